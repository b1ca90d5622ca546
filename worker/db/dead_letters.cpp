#include "db/dead_letters.hpp"

namespace oms::db {
namespace {

// As JSON: whatever columns the functions return, today and later, are shown.
constexpr Statement list_rows = {"dlq_list", "SELECT pg_catalog.to_jsonb(d) FROM oms.dlq_list($1, $2) d"};
constexpr Statement replay_rows = {"dlq_replay",
                                   "SELECT pg_catalog.to_jsonb(d) FROM oms.dlq_replay($1, $2, $3, $4, $5, $6) d"};
constexpr Statement discard_rows = {"dlq_discard", "SELECT pg_catalog.to_jsonb(d) FROM oms.dlq_discard($1, $2) d"};

std::optional<std::string> array_of(const std::vector<std::int64_t>& ids) {
    if (ids.empty()) return std::nullopt;
    ArrayText array;
    for (const auto id : ids) array.add(id);
    return std::move(array).finish();
}

}  // namespace

std::vector<std::string> DeadLetters::rows(const Statement& statement, Arguments arguments) {
    const auto found = connection_.run(statement, arguments);
    std::vector<std::string> rows;
    for (int row = 0; row < found.rows(); ++row) rows.emplace_back(found.text(row, 0));
    return rows;
}

std::vector<std::string> DeadLetters::list(const std::optional<std::string>& filter, int limit) {
    return rows(list_rows, {filter.value_or("{}"), limit});
}

std::vector<std::string> DeadLetters::replay(const std::vector<std::int64_t>& ids,
                                             const std::optional<std::string>& filter, int limit,
                                             std::optional<int> rate, bool dry_run, const std::string& reason) {
    const auto pace = rate ? Argument(*rate) : Argument(std::nullopt);
    const auto why = reason.empty() ? Argument(std::nullopt) : Argument(reason);
    return rows(replay_rows, {array_of(ids), filter, limit, pace, dry_run, why});
}

std::vector<std::string> DeadLetters::discard(const std::vector<std::int64_t>& ids, const std::string& reason) {
    return rows(discard_rows, {array_of(ids), reason});
}

}  // namespace oms::db
