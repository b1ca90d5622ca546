// Goal: what happens to a session becomes the right kind of error, and nothing waits for ever. Method: a real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <poll.h>

#include <thread>

#include "db/event_source.hpp"
#include "db/numbers.hpp"
#include "db/pooler.hpp"
#include "db/probe.hpp"
#include "db/timer_store.hpp"
#include "db/transaction.hpp"
#include "runtime/refused.hpp"
#include "test/pgbouncer.hpp"
#include "test/postgres.hpp"
#include "test/process.hpp"

namespace oms::test {
namespace {

using namespace std::chrono_literals;
using db::Connection;
using db::Error;

template <typename F>
Error error_of(F f) {
    try {
        f();
    } catch (const Error& error) {
        return error;
    }
    throw std::logic_error("no error was raised");
}

TEST(Database, ARefusedStatementKeepsItsSqlstateAndTheSession) {
    TestDatabase db;
    Connection connection(db.target());
    const auto error = error_of([&] { connection.run_text("SELECT 1/0"); });
    EXPECT_EQ(error.sqlstate(), "22012");
    EXPECT_FALSE(error.retryable());
    EXPECT_FALSE(error.session_lost());
    EXPECT_FALSE(error.in_doubt());
    EXPECT_EQ(connection.run_text("SELECT 7").number<int>(0, 0), 7);
}

TEST(Database, AnErrorTellsDetailAndHint) {
    TestDatabase db;
    Connection connection(db.target());
    const auto error = error_of([&] {
        connection.run_text("DO $$ BEGIN RAISE 'm' USING DETAIL = 'd', HINT = 'h', ERRCODE = '40001'; END $$");
    });
    EXPECT_STREQ(error.what(), "m; d; hint: h");
    EXPECT_TRUE(error.retryable());
}

TEST(Database, ACutSessionIsLostAndWhatWasSentIsInDoubt) {
    TestDatabase db;
    Connection connection(db.target());
    constexpr db::Statement sleep = {"sleep", "SELECT pg_sleep(60)"};
    connection.start(sleep);
    db.cut_sessions();
    const auto first = error_of([&] { connection.finish(); });
    EXPECT_EQ(first.sqlstate(), "57P01") << "the server said why before it hung up";
    EXPECT_TRUE(first.retryable());
    const auto second = error_of([&] { connection.run_text("SELECT 1"); });
    EXPECT_TRUE(second.session_lost());
    EXPECT_TRUE(second.retryable());
}

TEST(Database, ACommitWhoseAnswerIsLostIsInDoubt) {
    // The server's last word never comes: what a cut cable between COMMIT and its answer looks like.
    const Error error("server closed the connection unexpectedly", "", Error::Session::lost, true);
    EXPECT_TRUE(error.in_doubt());
    EXPECT_FALSE(Error("could not connect", "", Error::Session::lost, false).in_doubt());
    EXPECT_TRUE(Error("statement completion unknown", "40003", Error::Session::alive, true).in_doubt());
}

TEST(Database, ATransactionThatIsNotCommittedIsRolledBack) {
    TestDatabase db;
    Connection connection(db.target());
    connection.run_text("CREATE TABLE t (i int)");
    {
        db::Transaction transaction(connection);
        connection.run_text("INSERT INTO t VALUES (1)");
    }
    EXPECT_EQ(db.ask("SELECT count(*) FROM t"), "0");
    db::Transaction transaction(connection);
    connection.run_text("INSERT INTO t VALUES (1)");
    transaction.commit();
    EXPECT_EQ(db.ask("SELECT count(*) FROM t"), "1");
}

TEST(Database, UnreachableAndMisspelledTargetsAreClearErrors) {
    EXPECT_THAT(error_of([] {
                    Connection({"host=127.0.0.1 port=1 dbname=x", "", "t"});
                }).what(),
                testing::HasSubstr("Connection refused"));
    EXPECT_THAT(error_of([] { Connection({"hots=127.0.0.1", "", "t"}); }).what(), testing::HasSubstr("hots"));
}

TEST(Database, OfSeveralHostsTheOneThatAnswersIsTaken) {
    TestDatabase db;
    const std::string host = std::getenv("PGHOST");
    const std::string port = std::getenv("PGPORT");
    Connection connection({db.conninfo() + " host=127.0.0.1," + host + " port=1," + port, "", "t"});
    EXPECT_EQ(connection.peer(), host + ":" + port);
}

TEST(Database, AStopEndsTheWaitForTheReader) {
    TestDatabase db;
    db::ReaderSettings settings{db.target(), "kafka", {}, "beginning", 30s};
    runtime::Stop never;
    runtime::Stop stop;
    db::EventSource leader(settings, never);
    ASSERT_TRUE(leader.attach(0ms));
    db::EventSource standby(settings, stop);
    std::thread stopper([&] { stop.request(); });
    EXPECT_FALSE(standby.attach(30s));
    stopper.join();
    SUCCEED() << "and not after 30 seconds";
}

TEST(Database, ASilentLeaderLosesItsSessionAfterTheLease) {
    TestDatabase db;
    db::ReaderSettings settings{db.target(), "kafka", {}, "beginning", 200ms};
    runtime::Stop stop;
    db::EventSource leader(settings, stop);
    ASSERT_TRUE(leader.attach(0ms));
    settings.session_lease = 30s;
    db::EventSource standby(settings, stop);
    EXPECT_TRUE(standby.attach(10s)) << "the server ended the session that said nothing";
    EXPECT_THROW(leader.keep_alive(), Error);
}

TEST(Database, ARingThatCameWithAnAnswerLeavesNothingOnTheSocket) {
    TestDatabase db;
    db::ReaderSettings settings{db.target(), "kafka", {}, "beginning", 30s};
    runtime::Stop stop;
    db::EventSource source(settings, stop);
    source.attach(0ms);
    source.arm_doorbell();
    db.append("a");
    source.keep_alive();
    pollfd socket = {source.wake_fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&socket, 1, 0), 0) << "a poll here would sleep";
    EXPECT_TRUE(source.take_ring()) << "so take_ring must look into what was received before";
}

TEST(Database, ASessionThatEndsAsleepLeavesNoLockBehind) {
    TestDatabase db;
    runtime::Stop stop;
    {
        db::ReaderSettings settings{db.target(), "kafka", {}, "beginning", 30s};
        db::EventSource source(settings, stop);
        ASSERT_TRUE(source.attach(0ms));
        ASSERT_TRUE(source.arm_doorbell());
    }
    // A doorbell held by nobody would make every producer notify for ever.
    EXPECT_TRUE(eventually([&db] {
        return db.ask(
                   "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = "
                   "'worker-test'") == "1";
    }));
    EXPECT_EQ(
        db.ask("SELECT count(*) FROM pg_locks l WHERE NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid)"
               " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"),
        "0");
}

TEST(Database, ADirectSessionIsNotTakenForAPooler) {
    TestDatabase db;
    Connection connection(db.target());
    EXPECT_EQ(db::find_pooler(connection), std::nullopt);
}

TEST(Database, APoolerInBetweenIsRefusedWithAnExplanation) {
    TestDatabase db;
    PgBouncer pooler;
    if (!pooler.running()) GTEST_SKIP() << "pgbouncer is not installed";
    db::ReaderSettings settings{{db.conninfo() + pooler.conninfo(), "", "t"}, "kafka", {}, "beginning", 30s};
    runtime::Stop stop;
    try {
        db::EventSource source(settings, stop);
        FAIL() << "not refused";
    } catch (const runtime::Refused& refused) {
        EXPECT_THAT(refused.what(), testing::HasSubstr("pooler"));
        EXPECT_THAT(refused.what(), testing::HasSubstr("directly"));
    }
    const db::TimerSettings of_timers{settings.target, 30s};
    EXPECT_THROW(db::TimerStore(of_timers, stop), runtime::Refused) << "the clock has a bell, too";
    const auto findings = db::probe(settings.target, {"kafka", true});
    EXPECT_FALSE(findings.back().good);
}

TEST(Database, ADatabaseWithoutTheExtensionIsAClearError) {
    const auto findings = db::probe({"dbname=postgres", "", "t"}, {"kafka", true});
    EXPECT_FALSE(findings.back().good);
    EXPECT_THAT(findings.back().text, testing::HasSubstr("CREATE EXTENSION oms"));
}

TEST(Database, NumbersComeInPrometheusForm) {
    TestDatabase db;
    runtime::SteadyClock clock;
    runtime::Stop stop;
    db::EventSource source({db.target(), "kafka", {}, "beginning", 30s}, stop);
    db.append("a");
    db::Numbers numbers(db.target(), "kafka", clock);
    const auto text = numbers.text();
    EXPECT_THAT(text, testing::HasSubstr("oms_outbox_pending_records"));
    EXPECT_THAT(text, testing::HasSubstr("oms_worker_database_up 1"));
    db::Numbers none({"host=127.0.0.1 port=1", "", "t"}, "kafka", clock);
    EXPECT_EQ(none.text(), "oms_worker_database_up 0\n");
}

TEST(Database, LabelsAreEscaped) {
    EXPECT_EQ(db::metric_line("m", R"({"a": "x\"y\\z\nw", "n": 3})", "1"), "m{a=\"x\\\"y\\\\z\\nw\",n=\"3\"} 1\n");
    EXPECT_EQ(db::metric_line("m", "{}", ""), "m NaN\n");
}

TEST(Database, ArraysAreQuoted) {
    db::ArrayText array;
    array.add(std::string_view("a\"b\\c,d"));
    array.add(std::int64_t{-7});
    EXPECT_EQ(std::move(array).finish(), R"({"a\"b\\c,d","-7"})");
    EXPECT_EQ(db::ArrayText().finish(), "{}");
}

}  // namespace
}  // namespace oms::test
