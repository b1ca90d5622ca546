// Who owns a reader, and what becomes of the session's state when transactions end.
#include "log/reader_session.hpp"

#include "core/fingerprint.hpp"
#include "log/reader_lives.hpp"
#include "pg/catalog.hpp"
#include "pg/plan.hpp"
#include "pg/raise.hpp"
#include "pg/wait.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

constinit Reading* readings = nullptr;

constexpr const char* positions_name = "reader_position";

// How often attach looks again. A lock that is waited for cannot be given up after a while without an error.
constexpr std::int32_t attach_pause_ms = 10;

std::uint64_t lock_of(std::string_view name) {
    core::FingerprintBuilder builder;
    builder.add(name);
    return builder.finish().low;
}

void unlock_session(std::string_view name) {
    pg::unlock_name(pg::LockSpace::reader, lock_of(name), pg::LockStrength::exclusive, pg::LockDuration::session);
}

bool is_locked(const Reading& reading) {
    return pg::holds_name(pg::LockSpace::reader, lock_of(reading.reader.name), pg::LockStrength::exclusive);
}

constinit pg::Plan select_owner{
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = "
    "current_database()) "
    "AND classid::bigint = $1 AND objid::bigint = $2 AND objsubid = $3 AND granted",
    {INT8OID, INT8OID, INT2OID}};

[[noreturn]] void raise_busy(std::string_view name) {
    std::int32_t pid = owner_of(name);
    pg::raise(
        pg::Error::reader_busy,
        {.message = pg::format("reader %s is busy", pg::quoted(name)),
         .detail =
             pid != 0 ? pg::format("The session with process id %d owns it.", pid) : "A prepared transaction owns it.",
         .hint = "One session reads at a time; wait until that one detaches the reader or ends its transaction."});
}

[[noreturn]] void raise_unknown(std::string_view name) {
    pg::raise(pg::Error::not_found, {.message = pg::format("reader %s does not exist", pg::quoted(name)),
                                     .detail = "oms.reader has no such row that this transaction can see.",
                                     .hint = "Create it with oms.create_reader."});
}

Reading* find(std::string_view name) {
    for (Reading* reading = readings; reading != nullptr; reading = reading->next) {
        if (reading->reader.name == name) return reading;
    }
    return nullptr;
}

std::string_view kept(std::string_view text) { return pg::copied(text); }

// Hangs a new state in, standing at the stored cursor.
Reading& open(const StoredReader& stored, bool attached) {
    MemoryContext memory = pg::new_context("oms reader");
    Reading* reading = pg::in_context(memory, [&] {
        Reading* made = pg::allocate<Reading>(1).data();
        made->reader.name = kept(stored.reader.name);
        made->reader.topics.wanted = stored.reader.topics.wanted;
        std::span<std::string_view> list = pg::allocate<std::string_view>(stored.reader.topics.list.size());
        for (std::size_t i = 0; i < list.size(); ++i) list[i] = kept(stored.reader.topics.list[i]);
        made->reader.topics.list = list;
        return made;
    });
    reading->memory = memory;
    reading->positions = pg::relation_oid(positions_name);
    reading->attached = attached;
    reading->is_in_doubt = false;
    reading->opened_in = pg::current_subtransaction();
    MemoryContext position = pg::new_context("oms reader position");
    reading->stored = {position, stored.position.generation,
                       pg::in_context(position, [&] { return copied(stored.position.cursor); })};
    reading->next = readings;
    pg::keep_context(memory);
    pg::keep_context(position);
    readings = reading;
    return *reading;
}

}  // namespace

bool lock_reader(std::string_view name, pg::LockDuration duration) {
    return pg::lock_name(pg::LockSpace::reader, lock_of(name), pg::LockStrength::exclusive, duration, false);
}

std::int32_t owner_of(std::string_view name) {
    std::uint64_t key = lock_of(name);
    pg::Result rows =
        select_owner.run(pg::Access::reads, {{Int64GetDatum(static_cast<std::int64_t>(key >> 32))},
                                             {Int64GetDatum(static_cast<std::int64_t>(key & 0xFFFF'FFFF))},
                                             {Int16GetDatum(static_cast<std::int16_t>(pg::LockSpace::reader))}});
    return rows.empty() || rows.is_null(0, 0) ? 0 : DatumGetInt32(rows.value(0, 0));
}

namespace {

// The state of a reader that this session still owns. DISCARD ALL takes the session's lock; DROP EXTENSION takes the reader, and one of the same
// name may have come since. A rollback leaves the session attached, but takes back what the attaching transaction may have done to the reader
// before: created it, say.
Reading* find_current(std::string_view name) {
    Reading* reading = find(name);
    if (reading == nullptr) return nullptr;
    if (reading->positions == pg::relation_oid(positions_name) && is_locked(*reading)) {
        if (!reading->is_in_doubt) return reading;
        std::optional<StoredReader> stored = load_reader(name, Purpose::move);
        if (stored) {
            forget(*reading);
            return &open(*stored, true);
        }
    }
    if (reading->attached) {
        detach(name);
    } else {
        forget(*reading);
    }
    return nullptr;
}

}  // namespace

Reading& acquire(std::string_view name) {
    if (Reading* reading = find_current(name)) return *reading;
    if (!lock_reader(name, pg::LockDuration::transaction)) raise_busy(name);
    std::optional<StoredReader> stored = load_reader(name, Purpose::move);
    if (!stored) raise_unknown(name);
    return open(*stored, false);
}

bool attach(std::string_view name, std::int32_t wait_ms) {
    Reading* reading = find_current(name);
    if (reading != nullptr && reading->attached) return true;
    if (!load_reader(name, Purpose::look)) raise_unknown(name);
    pg::Deadline deadline{wait_ms};
    while (!lock_reader(name, pg::LockDuration::session)) {
        if (deadline.has_passed()) return false;
        pg::pause(attach_pause_ms);
    }
    if (reading != nullptr) {
        reading->attached = true;
        return true;
    }
    // Read once more: whoever owned it until now has moved it.
    std::optional<StoredReader> stored = load_reader(name, Purpose::move);
    if (!stored) {
        unlock_session(name);
        raise_unknown(name);
    }
    open(*stored, true);
    return true;
}

void detach(std::string_view name) {
    Reading* reading = find(name);
    if (reading == nullptr || !reading->attached) return;
    bool locked = is_locked(*reading);
    forget(*reading);
    if (locked) unlock_session(name);
}

void forget(Reading& reading) {
    Reading** link = &readings;
    while (*link != &reading) link = &(*link)->next;
    *link = reading.next;
    drop_all(reading);
    pg::drop_context(reading.stored.memory);
    pg::drop_context(reading.memory);
}

namespace {

void transaction_ended(pg::Ending ending) {
    life_transaction_ended(ending);
    Reading* next;
    for (Reading* reading = readings; reading != nullptr; reading = next) {
        next = reading->next;
        if (!reading->attached) {
            forget(*reading);
        } else if (ending == pg::Ending::committed) {
            settle(*reading);
            reading->opened_in = InvalidSubTransactionId;
        } else {
            undo(*reading);
            reading->is_in_doubt = reading->is_in_doubt || reading->opened_in != InvalidSubTransactionId;
        }
    }
}

void subtransaction_ended(pg::Ending ending, pg::SubtransactionNumber ended, pg::SubtransactionNumber parent) {
    life_subtransaction_ended(ending, ended, parent);
    Reading* next;
    for (Reading* reading = readings; reading != nullptr; reading = next) {
        next = reading->next;
        if (ending == pg::Ending::committed) {
            hand_to_parent(*reading, ended, parent);
        } else if (!reading->attached && reading->opened_in == ended) {
            forget(*reading);
        } else {
            undo(*reading, ended);
            reading->is_in_doubt = reading->is_in_doubt || reading->opened_in == ended;
        }
    }
}

void refuse_prepare() {
    for (Reading* reading = readings; reading != nullptr; reading = reading->next) {
        if (!reading->attached || !is_touched_by_transaction(*reading)) continue;
        pg::raise(pg::Error::reader_busy,
                  {.message = pg::format("a transaction that used reader %s cannot be prepared",
                                         pg::quoted(reading->reader.name)),
                   .detail = "The session is attached to the reader and would go on behind events whose fate is open.",
                   .hint = "Commit the transaction, or read in a session that is not attached."});
    }
}

}  // namespace

void install_readers() {
    pg::watch_transactions(
        {.before_prepare = refuse_prepare, .ended = transaction_ended, .subtransaction_ended = subtransaction_ended});
}

}  // namespace oms::log
