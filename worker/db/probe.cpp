#include "db/probe.hpp"

#include "db/contract.hpp"
#include "db/pooler.hpp"

namespace oms::db {
namespace {

constexpr Statement reader_state = {"reader_state", "SELECT owner_pid, lag_events FROM oms.reader_status($1)"};
constexpr Statement may_execute = {
    "may_execute",
    "SELECT pg_catalog.has_function_privilege(p.oid, 'EXECUTE') FROM pg_catalog.pg_proc p"
    " WHERE p.oid = pg_catalog.to_regproc('oms.attach_reader')"};
constexpr Statement policy_topics = {"policy_topics", "SELECT topic FROM oms.topic_policies()"};

Finding reader_finding(Connection& connection, const std::string& reader) {
    const auto rows = connection.run(reader_state, {reader});
    if (rows.rows() == 0) return {true, "reader '" + reader + "' does not exist and will be created"};
    std::string text = "reader '" + reader + "': " + std::string(rows.text(0, 1)) + " events behind";
    text += rows.is_null(0, 0) ? ", nobody owns it" : ", owned by process " + std::string(rows.text(0, 0));
    return {true, text};
}

}  // namespace

std::vector<Finding> probe(const Target& target, const std::string& reader) {
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
        if (!contract.reading) {
            findings.push_back({false, "the extension oms is not installed here (CREATE EXTENSION oms)"});
            return findings;
        }
        const auto allowed = connection.run(may_execute);
        if (allowed.rows() == 0 || !allowed.boolean(0, 0)) {
            findings.push_back({false, "this role may not call the functions (SELECT oms.grant_worker(role))"});
            return findings;
        }
        findings.push_back(reader_finding(connection, reader));
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
