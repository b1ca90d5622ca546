// Goal: the probes tell the truth in each phase, and /metrics is what Prometheus reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "http/health.hpp"
#include "http/server.hpp"

namespace oms::http {
namespace {

using namespace std::chrono_literals;
using runtime::ClockPhase;
using runtime::Phase;

struct NoNumbers final : DatabaseNumbers {
    std::string text() override { return "from_the_database 1\n"; }
};

struct Http : testing::Test {
    runtime::FakeClock clock;
    runtime::Status status{clock};
    runtime::ClockStatus timers{clock};
    runtime::Metrics metrics;
    NoNumbers numbers;
    Server server{"127.0.0.1:0", {&status, &timers}, metrics, numbers, 60s};
    httplib::Client client{"127.0.0.1", server.port()};

    int code(const char* path) {
        const auto answer = client.Get(path);
        return answer ? answer->status : -1;
    }
};

TEST_F(Http, IsReadyWhenLeadingWithABrokerOrStandingBy) {
    timers.phase = ClockPhase::running;
    EXPECT_EQ(code("/readyz"), 503) << "connecting";
    status.phase = Phase::leading;
    EXPECT_EQ(code("/readyz"), 503) << "no broker yet";
    status.broker_up = true;
    EXPECT_EQ(code("/readyz"), 200);
    status.phase = Phase::standby;
    status.broker_up = false;
    EXPECT_EQ(code("/readyz"), 200);
    status.phase = Phase::stopping;
    EXPECT_EQ(code("/readyz"), 503);
}

TEST_F(Http, IsReadyWhenTheClockRunsToo) {
    status.phase = Phase::standby;
    EXPECT_EQ(code("/readyz"), 503) << "what is due is not done";
    timers.phase = ClockPhase::running;
    EXPECT_EQ(code("/readyz"), 200);
}

TEST_F(Http, IsAliveUnlessARoomIsStuck) {
    EXPECT_EQ(code("/livez"), 200) << "no database is no reason to be restarted";
    clock.advance(61s);
    EXPECT_EQ(code("/livez"), 503);
    status.alive();
    EXPECT_EQ(code("/livez"), 503) << "the clock is stuck";
    timers.alive();
    EXPECT_EQ(code("/livez"), 200);
    clock.advance(61s);
    timers.alive();
    EXPECT_EQ(code("/livez"), 503) << "the relay is stuck";
    status.phase = Phase::stopped;
    EXPECT_EQ(code("/livez"), 200);
}

TEST(Health, IsJudgedByTheRoomsThatThereAre) {
    const runtime::FakeClock clock;
    runtime::ClockStatus timers{clock};
    EXPECT_FALSE(judge({nullptr, &timers}, 60s).ready);
    timers.phase = ClockPhase::running;
    const auto alone = judge({nullptr, &timers}, 60s);
    EXPECT_TRUE(alone.ready);
    EXPECT_THAT(alone.detail, testing::Not(testing::HasSubstr("broker_up")));
    runtime::Status status{clock};
    status.phase = Phase::standby;
    const auto without = judge({&status, nullptr}, 60s);
    EXPECT_TRUE(without.ready);
    EXPECT_THAT(without.detail, testing::Not(testing::HasSubstr("clock")));
}

TEST_F(Http, HealthTellsWhatIsWrong) {
    status.set_trouble("connection refused");
    const auto answer = client.Get("/healthz");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503);
    EXPECT_THAT(answer->body, testing::HasSubstr(R"("phase":"connecting")"));
    EXPECT_THAT(answer->body, testing::HasSubstr("connection refused"));
    timers.lag_seconds = 2.5;
    timers.set_trouble("canceling statement");
    EXPECT_THAT(client.Get("/healthz")->body,
                testing::HasSubstr(R"("clock":{"phase":"connecting","lag_seconds":2.5,"silent_seconds":0.0,)"
                                   R"("last_trouble":"canceling statement"})"));
}

TEST_F(Http, MetricsCarryTheContractsNames) {
    metrics.published.Increment(3);
    const auto answer = client.Get("/metrics");
    ASSERT_TRUE(answer);
    for (const char* part :
         {"oms_outbox_publish_attempts_total{result=\"sent\"} 3", "oms_relay_in_flight_messages 0",
          "oms_relay_batch_events_bucket", "oms_clock_timers_total 0", "oms_clock_wakeups_total{cause=\"doorbell\"} 0",
          "oms_clock_lag_seconds 0", "process_resident_memory_bytes", "from_the_database 1"})
        EXPECT_THAT(answer->body, testing::HasSubstr(part));
}

TEST_F(Http, UnknownPathsAreNotFoundAndTakenAddressesAreErrors) {
    EXPECT_EQ(code("/"), 404);
    EXPECT_THROW(Server("256.0.0.1:80", {&status, nullptr}, metrics, numbers, 60s), std::runtime_error);
}

}  // namespace
}  // namespace oms::http
