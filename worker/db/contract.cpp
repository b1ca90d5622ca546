#include "db/contract.hpp"

namespace oms::db {
namespace {

constexpr Statement look = {
    "contract",
    "SELECT pg_catalog.to_regprocedure('oms.read_events(text, integer)') IS NOT NULL"
    "    OR pg_catalog.to_regprocedure('oms.read_events(text, integer, bigint)') IS NOT NULL,"
    "  pg_catalog.to_regprocedure('oms.read_events(text, integer, bigint)') IS NOT NULL,"
    "  pg_catalog.to_regprocedure('oms.reject_event(text, bigint, text, integer, boolean)') IS NOT NULL,"
    "  pg_catalog.to_regprocedure('oms.take_replays(text, integer)') IS NOT NULL,"
    "  pg_catalog.to_regprocedure("
    "    'oms.record_receipts(text, bigint[], text[], integer[], bigint[], timestamptz[])') IS NOT NULL,"
    "  pg_catalog.to_regprocedure('oms.topic_policies()') IS NOT NULL,"
    "  pg_catalog.to_regprocedure('oms.blocked_keys(text)') IS NOT NULL,"
    "  pg_catalog.to_regprocedure('oms.metrics()') IS NOT NULL,"
    "  pg_catalog.to_regprocedure('oms.resume_reader(text, text)') IS NOT NULL,"
    "  pg_catalog.to_regprocedure('oms.clock_disarm()') IS NOT NULL,"
    "  pg_catalog.to_regprocedure('oms.dead_letters_ahead(text)') IS NOT NULL"};

}  // namespace

Contract Contract::of(Connection& connection) {
    const auto found = connection.run(look);
    Contract contract;
    int column = 0;
    for (bool* offered : {&contract.reading, &contract.reads_by_bytes, &contract.parks, &contract.replays,
                          &contract.receipts, &contract.topic_policies, &contract.blocked_keys, &contract.metrics,
                          &contract.bookmarks, &contract.timers, &contract.letters_ahead})
        *offered = found.boolean(0, column++);
    return contract;
}

}  // namespace oms::db
