// Goal: the probes tell the truth in each phase, and /metrics is what Prometheus reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "http/health.hpp"
#include "http/server.hpp"

namespace oms::http {
namespace {

using namespace std::chrono_literals;
using runtime::Phase;

struct NoNumbers final : DatabaseNumbers {
    std::string text() override { return "from_the_database 1\n"; }
};

struct Http : testing::Test {
    runtime::FakeClock clock;
    runtime::Status status{clock};
    runtime::Metrics metrics;
    NoNumbers numbers;
    Server server{"127.0.0.1:0", status, metrics, numbers, 60s};
    httplib::Client client{"127.0.0.1", server.port()};

    int code(const char* path) {
        const auto answer = client.Get(path);
        return answer ? answer->status : -1;
    }
};

TEST_F(Http, IsReadyWhenLeadingWithABrokerOrStandingBy) {
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

TEST_F(Http, IsAliveUnlessTheRelayIsStuck) {
    EXPECT_EQ(code("/livez"), 200) << "no database is no reason to be restarted";
    clock.advance(61s);
    EXPECT_EQ(code("/livez"), 503);
    status.alive();
    EXPECT_EQ(code("/livez"), 200);
}

TEST_F(Http, HealthTellsWhatIsWrong) {
    status.set_trouble("connection refused");
    const auto answer = client.Get("/healthz");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503);
    EXPECT_THAT(answer->body, testing::HasSubstr(R"("phase":"connecting")"));
    EXPECT_THAT(answer->body, testing::HasSubstr("connection refused"));
}

TEST_F(Http, MetricsCarryTheContractsNames) {
    metrics.published.Increment(3);
    const auto answer = client.Get("/metrics");
    ASSERT_TRUE(answer);
    for (const char* part : {"oms_outbox_publish_attempts_total{result=\"sent\"} 3", "oms_relay_in_flight_messages 0",
                             "oms_relay_batch_events_bucket", "process_resident_memory_bytes", "from_the_database 1"})
        EXPECT_THAT(answer->body, testing::HasSubstr(part));
}

TEST_F(Http, UnknownPathsAreNotFoundAndTakenAddressesAreErrors) {
    EXPECT_EQ(code("/"), 404);
    EXPECT_THROW(Server("256.0.0.1:80", status, metrics, numbers, 60s), std::runtime_error);
}

}  // namespace
}  // namespace oms::http
