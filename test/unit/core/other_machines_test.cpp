// Every smaller machine's complete matrix: what the domain lists is legal, and each other pair of statuses is not.
#include "core/other_machines.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/status.hpp"

using namespace oms::core;

namespace {

using Successors = std::map<std::string, std::set<std::string>>;

struct Machine {
    std::string name;
    std::span<const Edge> edges;
    Successors successors;  // written out by hand; every status has a line, final ones an empty one
    std::set<std::string> finals;
};

const std::vector<Machine> all_machines = {
    {"payment",
     machines::payment,
     {{"", {"initiated"}},
      {"initiated", {"authorized", "declined", "indeterminate"}},
      {"indeterminate", {"authorized", "declined"}},
      {"authorized", {"capture_pending", "voided"}},
      {"capture_pending", {"captured", "capture_failed"}},
      {"capture_failed", {"capture_pending", "voided"}},
      {"captured", {"partially_refunded", "refunded"}},
      {"partially_refunded", {"partially_refunded", "refunded"}},
      {"declined", {}},
      {"voided", {}},
      {"refunded", {}}},
     {"declined", "voided", "refunded"}},
    {"refund",
     machines::refund,
     {{"", {"pending"}}, {"pending", {"done", "failed"}}, {"done", {}}, {"failed", {}}},
     {"done", "failed"}},
    {"reservation",
     machines::reservation,
     {{"pending", {"reserved", "failed"}},
      {"reserved", {"released", "consumed", "expired"}},
      {"failed", {}},
      {"released", {}},
      {"consumed", {}},
      {"expired", {}}},
     {"failed", "released", "consumed", "expired"}},
    {"shipment",
     machines::shipment,
     {{"pending", {"created", "failed"}},
      {"created", {"shipped", "canceled"}},
      {"shipped", {"delivered", "returned"}},
      {"failed", {}},
      {"canceled", {}},
      {"delivered", {}},
      {"returned", {}}},
     {"failed", "canceled", "delivered", "returned"}},
    {"dispute",
     machines::dispute,
     {{"open", {"under_review", "submitted", "won", "lost", "closed", "canceled"}},
      {"under_review", {"submitted", "won", "lost", "closed", "canceled"}},
      {"submitted", {"won", "lost", "closed"}},
      {"won", {}},
      {"lost", {}},
      {"closed", {}},
      {"canceled", {}}},
     {"won", "lost", "closed", "canceled"}},
    {"provider_status",
     machines::provider_status,
     {{"", {"created"}},
      {"created", {"updated", "success", "failed"}},
      {"updated", {"updated", "success", "failed"}},
      {"success", {}},
      {"failed", {}}},
     {"success", "failed"}},
    {"saga",
     machines::saga,
     {{"", {"running"}},
      {"running", {"completed", "compensating"}},
      {"compensating", {"compensated", "parked"}},
      {"parked", {"compensating"}},
      {"completed", {"compensating"}},
      {"compensated", {}}},
     {"compensated"}},
    {"step",
     machines::step,
     {{"pending", {"running", "skipped"}},
      {"running", {"completed", "failed", "waiting", "pending"}},
      {"waiting", {"completed", "failed"}},
      {"completed", {"compensating"}},
      {"compensating", {"compensated", "compensation_failed"}},
      {"compensation_failed", {"compensating"}},
      {"skipped", {}},
      {"failed", {"compensating"}},
      {"compensated", {}}},
     {"skipped", "compensated"}},
    {"task",
     machines::task,
     {{"ready", {"leased"}}, {"leased", {"done", "ready", "dead"}}, {"dead", {"ready"}}, {"done", {}}},
     {"done"}},
    {"inbox_message",
     machines::inbox_message,
     {{"pending", {"processed", "parked", "failed"}},
      {"parked", {"pending"}},
      {"failed", {"pending"}},
      {"processed", {}}},
     {"processed"}},
    {"breaker",
     machines::breaker,
     {{"closed", {"open"}}, {"open", {"half_open"}}, {"half_open", {"closed", "open"}}},
     {}},
};

class OtherMachine : public testing::TestWithParam<Machine> {};

TEST_P(OtherMachine, AllowsExactlyWhatTheDomainLists) {
    const auto& [name, edges, successors, finals] = GetParam();
    std::set<std::string> statuses = {"", "no_such_status"};
    for (const auto& [from, to] : successors) statuses.insert(from);
    std::size_t legal_pairs = 0;
    for (const std::string& from : statuses)
        for (const std::string& to : statuses) {
            const auto row = successors.find(from);
            const bool expected = row != successors.end() && row->second.contains(to);
            EXPECT_EQ(legal(edges, from, to), expected) << from << " -> " << to;
            legal_pairs += expected;
        }
    EXPECT_EQ(edges.size(), legal_pairs) << "an edge is written twice or names a status that is not listed";
}

TEST_P(OtherMachine, KnowsItsStatusesAndItsFinalOnes) {
    const auto& [name, edges, successors, finals] = GetParam();
    for (const auto& [status, to] : successors) {
        EXPECT_EQ(has_status(edges, status), !status.empty()) << status;
        EXPECT_EQ(is_final(edges, status), finals.contains(status)) << status;
    }
    EXPECT_FALSE(has_status(edges, "no_such_status"));
    EXPECT_FALSE(is_final(edges, "no_such_status")) << "a status that does not exist is not a final one";
    EXPECT_FALSE(is_final(edges, ""));
}

INSTANTIATE_TEST_SUITE_P(All, OtherMachine, testing::ValuesIn(all_machines),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(OtherMachines, ALateOpenedNeverReopensADispute) {
    for (const std::string_view status : {"under_review", "submitted", "won", "lost", "closed", "canceled"})
        EXPECT_FALSE(legal(machines::dispute, status, "open"));
}

TEST(OtherMachines, AnIndeterminatePaymentIsNotYetDeclined) {
    EXPECT_FALSE(is_final(machines::payment, "indeterminate"));
    EXPECT_FALSE(legal(machines::payment, "indeterminate", "voided"));
}

static_assert(legal(machines::saga, "parked", "compensating"));
static_assert(is_final(machines::task, "done") && !is_final(machines::task, "dead"));

}  // namespace
