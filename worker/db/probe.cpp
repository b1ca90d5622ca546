#include "db/probe.hpp"

#include "db/contract.hpp"
#include "db/pooler.hpp"

namespace oms::db {
namespace {

constexpr Statement reader_state = {"reader_state", "SELECT owner_pid, lag_events FROM oms.reader_status($1)"};
constexpr Statement may_execute = {
    "may_execute",
    "SELECT pg_catalog.has_function_privilege(p.oid, 'EXECUTE') FROM pg_catalog.pg_proc p"
    " WHERE p.oid = pg_catalog.to_regproc($1)"};
constexpr Statement clock_state = {
    "clock_state",
    "SELECT oms.next_due() IS NOT NULL,"
    "  coalesce(round(extract(epoch FROM oms.next_due() - oms.clock_time())), 0)::bigint"};
constexpr Statement policy_topics = {"policy_topics", "SELECT topic FROM oms.topic_policies()"};

Finding reader_finding(Connection& connection, const std::string& reader) {
    const auto rows = connection.run(reader_state, {reader});
    if (rows.rows() == 0) return {true, "reader '" + reader + "' does not exist and will be created"};
    std::string text = "reader '" + reader + "': " + std::string(rows.text(0, 1)) + " events behind";
    text += rows.is_null(0, 0) ? ", nobody owns it" : ", owned by process " + std::string(rows.text(0, 0));
    return {true, text};
}

Finding clock_finding(Connection& connection) {
    const auto rows = connection.run(clock_state);
    if (!rows.boolean(0, 0)) return {true, "clock: no timer is set"};
    const auto seconds = rows.number<std::int64_t>(0, 1);
    if (seconds < 0) return {true, "clock: the oldest due timer is " + std::to_string(-seconds) + " s late"};
    return {true, "clock: the next timer is due in " + std::to_string(seconds) + " s"};
}

bool may_call(Connection& connection, const char* function) {
    const auto allowed = connection.run(may_execute, {function});
    return allowed.rows() > 0 && allowed.boolean(0, 0);
}

}  // namespace

std::vector<Finding> probe(const Target& target, const Wanted& wanted) {
    std::vector<Finding> findings;
    try {
        Connection connection(target);
        findings.push_back({true, "connected to " + connection.peer()});
        if (const auto pooler = find_pooler(connection)) {
            findings.push_back({false, *pooler});
            return findings;
        }
        findings.push_back({true, "the session is the worker's own, no pooler in between"});
        const auto contract = Contract::of(connection);
        if ((wanted.reader && !contract.reading) || (wanted.clock && !contract.timers)) {
            findings.push_back({false, "the extension oms is not installed here (CREATE EXTENSION oms)"});
            return findings;
        }
        if ((wanted.reader && !may_call(connection, "oms.attach_reader")) ||
            (wanted.clock && !may_call(connection, "oms.run_due"))) {
            findings.push_back({false, "this role may not call the functions (SELECT oms.grant_worker(role))"});
            return findings;
        }
        if (wanted.reader) findings.push_back(reader_finding(connection, *wanted.reader));
        if (wanted.clock) findings.push_back(clock_finding(connection));
    } catch (const std::exception& error) {
        findings.push_back({false, error.what()});
    }
    return findings;
}

std::vector<std::string> topics_with_policy(const Target& target) {
    Connection connection(target);
    std::vector<std::string> topics;
    if (!Contract::of(connection).topic_policies) return topics;
    const auto rows = connection.run(policy_topics);
    for (int row = 0; row < rows.rows(); ++row) topics.emplace_back(rows.text(row, 0));
    return topics;
}

}  // namespace oms::db
