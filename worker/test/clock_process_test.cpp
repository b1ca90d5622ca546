// Goal: with a worker running, what is due happens, once, on time, without anybody calling oms.run_due; whatever becomes of
// sessions and processes. Method: real processes against the extension, as a role that oms.grant_worker made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <signal.h>
#include <unistd.h>

#include <regex>

#include "test/postgres.hpp"
#include "test/process.hpp"

namespace oms::test {
namespace {

using testing::HasSubstr;

const std::string as_the_clock = "application_name = 'oms-worker clock' AND datname = current_database()";

struct ClockProcess : testing::Test {
    TestDatabase db;
    db::Connection somebody{db.target()};  // who holds locks
    std::string role = "oms_clock_" + std::to_string(::getpid());

    void SetUp() override {
        if (!extension_offered()) GTEST_SKIP() << "the stand-in has nothing that is due";
        db.ask("DROP ROLE IF EXISTS " + role);
        db.ask("CREATE ROLE " + role + " LOGIN");
        db.ask("SELECT oms.grant_worker('" + role + "')");
        db.ask(R"(
            CREATE TABLE worker_test.fired (saga text);
            CREATE FUNCTION worker_test.note(context jsonb) RETURNS jsonb LANGUAGE sql AS
                $$ INSERT INTO worker_test.fired VALUES (context ->> 'key') RETURNING '{}'::jsonb $$;
            SELECT oms.define_saga('worker_test.late', '{"steps": [
                {"name": "answer", "kind": "wait", "signal": "answer", "deadline_ms": 500}]}');
            SELECT oms.define_saga('worker_test.tick', '{"steps": [
                {"name": "time", "kind": "timer", "delay_path": "$.ms"},
                {"name": "note", "kind": "sql", "function": "worker_test.note", "compensation": null}]}');)");
    }
    void TearDown() override {
        db.ask("DROP OWNED BY " + role);
        db.ask("DROP ROLE " + role);
    }

    std::vector<std::string> arguments(std::vector<std::string> more = {}) {
        std::vector<std::string> all = {
            "run",    "--relay",     "off",         "--database", db.conninfo() + " user=" + role,
            "--http", "127.0.0.1:0", "--retry-cap", "200ms"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    void start_ticks(int count, const std::string& ms) {
        db.ask("SELECT count(oms.start_saga('worker_test.tick', jsonb_build_object('ms', " + ms +
               "), gen_random_uuid()::text, 'tick-' || n)) FROM generate_series(1, " + std::to_string(count) + ") n");
    }
    bool all_fired(int count) {
        return eventually([&] { return db.ask("SELECT count(*) FROM worker_test.fired") == std::to_string(count); });
    }
    std::string fired_twice() {
        return db.ask("SELECT count(*) FROM (SELECT FROM worker_test.fired GROUP BY saga HAVING count(*) > 1) twice");
    }
    /// Asleep for good: it holds the bell and has asked nothing for a while.
    bool sleeps() {
        return eventually([this] {
            return db.ask("SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE " + as_the_clock +
                          " AND l.locktype = 'advisory' AND a.state = 'idle'"
                          " AND clock_timestamp() - a.state_change > '100ms'") == "1";
        });
    }
};

double metric(const Process& worker, const std::string& name) {
    std::smatch port;
    const auto said = worker.output();
    if (!std::regex_search(said, port, std::regex("\"http_port\": ?([0-9]+)"))) return -1;
    const auto answer = httplib::Client("127.0.0.1", std::stoi(port[1])).Get("/metrics");
    const auto at = answer ? answer->body.find("\n" + name + " ") : std::string::npos;
    return at == std::string::npos ? -1 : std::stod(answer->body.substr(at + name.size() + 2));
}

TEST_F(ClockProcess, DeadlinesAndDelayedCapturesComeTrueWithoutAnybodyCalling) {
    Process worker(arguments());
    ASSERT_TRUE(worker.says("the clock runs")) << worker.output();
    const auto saga = db.ask("SELECT saga_id FROM oms.start_saga('worker_test.late', '{}', 'late-1', 'late')");
    const auto order = db.ask(
        "SELECT order_id FROM oms.create_order('buyer', 'EUR',"
        " '[{\"sku\": \"x\", \"qty\": 1, \"price_minor\": 500}]', 'order-1')");
    const auto payment = db.ask("SELECT payment_id FROM oms.authorize_payment('" + order + "', NULL, 'pay-1')");
    db.ask(
        "SELECT oms.complete_task(task_id, lease_epoch, '{\"provider_ref\": \"a\"}') FROM oms.claim_tasks('payments')");
    EXPECT_EQ(
        db.ask("SELECT status FROM oms.capture_payment('" + payment + "', NULL, interval '500 milliseconds', 'c-1')"),
        "authorized");
    EXPECT_TRUE(eventually([&] {
        return db.ask("SELECT status FROM oms.saga WHERE saga_id = " + saga) == "compensated";
    })) << db.ask("SELECT status FROM oms.saga WHERE saga_id = " + saga)
        << worker.output();
    EXPECT_TRUE(eventually([&] {
        return db.ask("SELECT status FROM oms.payment WHERE payment_id = '" + payment + "'") == "capture_pending";
    })) << worker.output();
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
}

TEST_F(ClockProcess, AnEarlierTimerRingsAndNothingIsPolled) {
    db.ask("SELECT worker_test.set_timer('1 hour')");
    Process worker(arguments());
    constexpr int rounds = 5;
    for (int round = 0; round < rounds; ++round) {
        ASSERT_TRUE(sleeps()) << "a clock that polls is never idle for so long; " << worker.output();
        db.ask("SELECT worker_test.set_timer('200 milliseconds')");
        ASSERT_TRUE(eventually([&] { return db.ask("SELECT count(*) FROM oms.timer") == "1"; })) << worker.output();
    }
    ASSERT_TRUE(sleeps());
    const auto rung = metric(worker, R"(oms_clock_wakeups_total{cause="doorbell"})");
    const auto timer = metric(worker, R"(oms_clock_wakeups_total{cause="timer"})");
    const auto interval = metric(worker, R"(oms_clock_wakeups_total{cause="interval"})");
    const auto runs = metric(worker, "oms_clock_runs_total");
    std::printf("woken by the bell %g, by a timer %g, by the interval %g; oms.run_due was called %g times\n", rung,
                timer, interval, runs);
    EXPECT_GE(rung, 1);
    EXPECT_EQ(metric(worker, "oms_clock_timers_total"), rounds);
    EXPECT_LE(runs, 4 * (rung + timer + interval + 1)) << "it looks when it is woken, and not otherwise";
}

TEST_F(ClockProcess, ABacklogIsWorkedOffInSmallTransactions) {
    start_ticks(500, "1");
    Process worker(arguments({"--clock-batch", "20"}));
    ASSERT_TRUE(all_fired(500)) << worker.output();
    EXPECT_GE(metric(worker, "oms_clock_runs_total"), 500 / 20);
    EXPECT_EQ(fired_twice(), "0");
}

TEST_F(ClockProcess, CutSessionsCostNothing) {
    start_ticks(300, "(random() * 2000)::int");
    Process worker(arguments());
    ASSERT_TRUE(worker.says("the clock runs")) << worker.output();
    int cut = 0;
    for (int round = 0; round < 8; ++round) {
        ASSERT_TRUE(eventually([&] {
            const auto ended =
                db.ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE " + as_the_clock);
            cut += std::stoi(ended);
            return ended == "1";
        }));
    }
    ASSERT_TRUE(all_fired(300)) << worker.output();
    EXPECT_EQ(cut, 8);
    EXPECT_EQ(fired_twice(), "0");
    EXPECT_GE(metric(worker, "oms_clock_session_losses_total"), 1);
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
}

TEST_F(ClockProcess, ASessionThatIsCutInTheMiddleOfItsWorkIsFollowedByOneThatDoesIt) {
    start_ticks(10, "1");
    somebody.run_text("BEGIN; SELECT FROM oms.saga WHERE key = 'tick-7' FOR UPDATE");
    Process worker(arguments());
    const auto waits = "SELECT pid FROM pg_stat_activity WHERE " + as_the_clock + " AND wait_event_type = 'Lock'";
    ASSERT_TRUE(eventually([&] { return !db.ask(waits).empty(); })) << worker.output();
    EXPECT_EQ(db.ask("SELECT count(*) FROM worker_test.fired"), "0") << "it is one transaction";
    db.ask("SELECT pg_terminate_backend(pid) FROM (" + waits + ") s");
    somebody.run_text("ROLLBACK");
    ASSERT_TRUE(worker.says("the clock's session ended"));
    ASSERT_TRUE(all_fired(10)) << worker.output();
    EXPECT_EQ(fired_twice(), "0");
}

TEST_F(ClockProcess, OneThatIsHeldByALockIsPutBackAndTheOthersAreDone) {
    start_ticks(10, "1");
    somebody.run_text("BEGIN; SELECT FROM oms.saga WHERE key = 'tick-7' FOR UPDATE");
    Process worker(arguments());
    ASSERT_TRUE(all_fired(9)) << worker.output();
    EXPECT_THAT(db.ask("SELECT last_error FROM oms.timer WHERE failures > 0"), HasSubstr("lock timeout"));
    somebody.run_text("ROLLBACK");
    ASSERT_TRUE(all_fired(10)) << worker.output();
}

TEST_F(ClockProcess, TwoAtOnceFireEachTimerOnce) {
    Process one(arguments({"--clock-batch", "5"}));
    Process other(arguments({"--clock-batch", "5"}));
    ASSERT_TRUE(one.says("the clock runs"));
    ASSERT_TRUE(other.says("the clock runs"));
    db.ask("SELECT count(worker_test.set_timer('1 second')) FROM generate_series(1, 400)");
    start_ticks(200, "1 + (random() * 2000)::int");
    ASSERT_TRUE(all_fired(200)) << one.output() << other.output();
    const auto done_by = [](const Process& worker) { return metric(worker, "oms_clock_timers_total"); };
    EXPECT_TRUE(eventually([&] { return done_by(one) + done_by(other) >= 600; }));
    EXPECT_EQ(db.ask("SELECT count(*) FROM oms.timer WHERE due_at < now() + interval '1 minute'"), "0");
    std::printf("600 timers; done by one %g, by the other %g\n", done_by(one), done_by(other));
    EXPECT_EQ(done_by(one) + done_by(other), 600);
    EXPECT_EQ(fired_twice(), "0");
    EXPECT_EQ(metric(one, "oms_clock_failures_total") + metric(other, "oms_clock_failures_total"), 0);
    for (auto* worker : {&one, &other}) {
        worker->signal(SIGTERM);
        EXPECT_EQ(worker->wait(), 0);
    }
}

TEST_F(ClockProcess, AStopEndsARunThatWaitsForALock) {
    start_ticks(1, "1");
    somebody.run_text("BEGIN; LOCK TABLE oms.timer");
    Process worker(arguments({"--shutdown-timeout", "10min"}));
    ASSERT_TRUE(eventually([&] {
        return !db.ask("SELECT pid FROM pg_stat_activity WHERE " + as_the_clock + " AND wait_event_type = 'Lock'")
                    .empty();
    })) << worker.output();
    worker.signal(SIGTERM);
    EXPECT_EQ(worker.wait(), 0);
    somebody.run_text("ROLLBACK");
    EXPECT_EQ(db.ask("SELECT count(*) FROM worker_test.fired"), "0");
}

TEST_F(ClockProcess, ALockedTableIsAskedForLessAndLessOften) {
    somebody.run_text("BEGIN; LOCK TABLE oms.timer");
    Process worker(arguments());
    ASSERT_TRUE(worker.says("what is due could not be done")) << worker.output();
    EXPECT_EQ(metric(worker, "oms_clock_session_losses_total"), 0);
    somebody.run_text("ROLLBACK");
    start_ticks(5, "1");
    ASSERT_TRUE(all_fired(5)) << worker.output();
}

TEST_F(ClockProcess, CheckTellsOfTheClock) {
    db.ask("SELECT worker_test.set_timer('1 hour')");
    Process good({"check", "--relay", "off", "--database", db.conninfo() + " user=" + role});
    EXPECT_EQ(good.wait(), 0);
    EXPECT_THAT(good.output(), HasSubstr("clock: the next timer is due in 3"));
    db.ask("SELECT oms.revoke_all('" + role + "')");
    Process bad({"check", "--relay", "off", "--database", db.conninfo() + " user=" + role});
    EXPECT_EQ(bad.wait(), 1);
}

}  // namespace
}  // namespace oms::test
