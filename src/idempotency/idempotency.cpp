// The protocol on one key: lock, probe, (work), write, unlock.
#include "idempotency/idempotency.hpp"

#include <cstring>

#include "pg/entry.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/settings.hpp"
#include "pg/subtransaction.hpp"
#include "pg/transaction.hpp"

#include "pg/poison.hpp"

namespace oms::idempotency {

namespace {

// Long enough for any id that a client makes, short enough for an index and a log line.
constexpr std::size_t key_bytes_max = 255;

enum Field : int { key_hash, created_at, fingerprint, operation, key, answer };

constexpr std::array columns{
    pg::Column{"key_hash", INT8OID},    pg::Column{"created_at", TIMESTAMPTZOID},
    pg::Column{"fingerprint", UUIDOID}, pg::Column{"operation", TEXTOID},
    pg::Column{"key", TEXTOID},         pg::Column{"answer", BYTEAOID},
};

constexpr pg::TableDefinition definition{
    .name = "idempotency_key", .columns = columns, .key = {}, .routing_column = Field::created_at};

constinit pg::Table keys{definition};

core::OrderId fingerprint_bytes(const core::Fingerprint& fingerprint) {
    core::OrderId bytes{};
    std::memcpy(bytes.bytes.data(), &fingerprint.high, sizeof(fingerprint.high));
    std::memcpy(bytes.bytes.data() + 8, &fingerprint.low, sizeof(fingerprint.low));
    return bytes;
}

std::string_view require_key(std::optional<std::string_view> key) {
    if (!key || key->empty()) {
        pg::raise(
            pg::Error::idempotency_key_required,
            {.message = "an idempotency key is required",
             .detail = key ? "The key is empty." : "The key is NULL.",
             .hint =
                 "Pass idempotency_key => a value that is unique to this request, and the same when it is repeated."});
    }
    if (key->size() > key_bytes_max) {
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("idempotency key is too long: %zu bytes", key->size()),
                   .detail = pg::format("The key begins %s.", pg::quoted(*key)),
                   .hint = pg::format("Use a key of 1 to %zu bytes.", key_bytes_max)});
    }
    return *key;
}

// A key that is reserved stands without an answer. What a command answers is never empty.
constexpr std::string_view no_answer_yet{};

[[noreturn]] void raise_reused(const Ticket& ticket, std::string_view first_operation) {
    const char* first = pg::format(ticket.answer == no_answer_yet ? "a queued call of %s" : "a call of %s",
                                   pg::c_string(first_operation));
    pg::raise(pg::Error::idempotency_key_reused,
              {.message = pg::format("idempotency key %s was used for another request", pg::quoted(ticket.key)),
               .detail = first_operation == ticket.operation
                             ? pg::format("It belongs to %s with other arguments.", first)
                             : pg::format("It belongs to %s, not of %s.", first, pg::c_string(ticket.operation)),
               .hint = "Use a new key for a new request; repeat a request with exactly its first arguments."});
}

[[noreturn]] void raise_in_progress(const Ticket& ticket) {
    pg::raise(pg::Error::idempotency_in_progress,
              {.message = pg::format("a call with idempotency key %s is still running", pg::quoted(ticket.key)),
               .detail = "Its transaction has neither committed nor rolled back.",
               .hint = "Repeat the call a little later, or turn oms.idempotency_wait on to wait for it."});
}

void lock_key(const Ticket& ticket) {
    bool taken = pg::lock_name(pg::LockSpace::idempotency_key, ticket.key_hash, pg::LockStrength::exclusive,
                               pg::LockDuration::transaction, pg::settings::idempotency_wait);
    if (!taken) raise_in_progress(ticket);
}

void unlock_key(const Ticket& ticket) {
    pg::unlock_name(pg::LockSpace::idempotency_key, ticket.key_hash, pg::LockStrength::exclusive,
                    pg::LockDuration::transaction);
}

// Looks for a live row with the ticket's key; fills in the answer when there is one, and raises if it is another request's.
pg::Probe look_up(Ticket& ticket) {
    std::int64_t expired_until = pg::now_us() - std::int64_t{pg::settings::idempotency_ttl_s} * USECS_PER_SEC;
    auto hash = static_cast<std::int64_t>(ticket.key_hash);
    if (!keys.may_contain(Field::key_hash, Int64GetDatum(hash), expired_until)) return pg::Probe::nothing;
    bool same_request = false;
    std::string_view first_operation;
    pg::Probe found = keys.probe(Field::key_hash, Int64GetDatum(hash), expired_until, [&](const pg::FoundRow& row) {
        if (DatumGetInt64(row.values[Field::created_at]) <= expired_until) return false;
        if (pg::text_view(row.values[Field::key]) != ticket.key) return false;
        core::OrderId wanted = fingerprint_bytes(ticket.fingerprint);
        same_request = std::memcmp(DatumGetUUIDP(row.values[Field::fingerprint])->data, wanted.bytes.data(), 16) == 0;
        const std::string_view given = pg::text_view(row.values[Field::answer]);
        // Reserved for this very request: whoever comes first carries it out. Behind it stands the answer, if somebody has.
        if (same_request && given == no_answer_yet) return false;
        // The row is gone when the probe ends.
        ticket.answer = pg::copied(given);
        first_operation = pg::copied(pg::text_view(row.values[Field::operation]));
        return true;
    });
    // An unfinished row may yet be rolled back: only a row that stays can say that the key belongs to another request.
    if (found == pg::Probe::found && !same_request) raise_reused(ticket, first_operation);
    return found;
}

pg::RowValues row_of(const Ticket& ticket, std::string_view given_answer) {
    pg::RowValues row;
    row.set(Field::key_hash, Int64GetDatum(static_cast<std::int64_t>(ticket.key_hash)));
    row.set(Field::created_at, TimestampTzGetDatum(pg::now_us()));
    row.set(Field::fingerprint, pg::uuid_datum(fingerprint_bytes(ticket.fingerprint)));
    row.set(Field::operation, pg::text_datum(ticket.operation));
    row.set(Field::key, pg::text_datum(ticket.key));
    row.set(Field::answer, pg::text_datum(given_answer));
    return row;
}

// The call that ask() is making, by its subtransaction, and what it said. An error may have ended it without a word, and left this behind.
struct Asking {
    pg::Subtransaction where;
    std::optional<Ticket> said;
};
constinit Asking asking{};

bool is_asked() { return asking.where == pg::innermost_subtransaction(); }

// The call ends here, in an error that nobody else sees.
[[noreturn]] void say(const Ticket& ticket) {
    asking.said = ticket;
    raise_in_progress(ticket);
}

}  // namespace

Ticket begin(std::optional<std::string_view> given_key, std::string_view operation,
             const core::Fingerprint& fingerprint) {
    pg::refuse_on_standby();
    Ticket ticket{require_key(given_key), operation, fingerprint, 0, false, {}};
    ticket.key_hash = core::key_hash(ticket.key);
    for (;;) {
        lock_key(ticket);
        switch (look_up(ticket)) {
        case pg::Probe::nothing:
            if (is_asked()) say(ticket);
            return ticket;
        case pg::Probe::found:
            unlock_key(ticket);
            ticket.replayed = true;
            return ticket;
        case pg::Probe::unfinished:
            // Not while holding the lock: the twin may ask for the same key again, and both would wait for ever.
            unlock_key(ticket);
            if (!pg::settings::idempotency_wait) raise_in_progress(ticket);
            pg::wait_for_writer();
            break;
        }
    }
}

void finish(std::span<const Ticket> tickets, std::span<const std::string_view> answers) {
    std::span<pg::RowValues> rows = pg::allocate<pg::RowValues>(tickets.size());
    for (std::size_t i = 0; i < tickets.size(); ++i) rows[i] = row_of(tickets[i], answers[i]);
    keys.insert_many(rows);
    for (const Ticket& ticket : tickets) unlock_key(ticket);
}

void finish(const Ticket& ticket, std::string_view given_answer) {
    keys.insert(row_of(ticket, given_answer));
    unlock_key(ticket);
}

std::optional<Ticket> ask_call(const Ticket& held, void (*call)(void*), void* argument) {
    const std::optional<pg::Failure> failure = pg::attempt([&] {
        asking = {pg::innermost_subtransaction(), std::nullopt};
        call(argument);
    });
    std::optional<Ticket> said = asking.said;
    asking = {};
    if (failure && !said) pg::raise_again(*failure);
    // What the call had of the key is gone with it.
    if (said) said->key = held.key;
    return said;
}

void reserve(const Ticket& ticket) { keys.insert(row_of(ticket, no_answer_yet)); }

Ticket hold(std::optional<std::string_view> given_key) {
    pg::refuse_on_standby();
    Ticket ticket{require_key(given_key), {}, {}, 0, false, {}};
    ticket.key_hash = core::key_hash(ticket.key);
    lock_key(ticket);
    return ticket;
}

void let_go(const Ticket& ticket) { unlock_key(ticket); }

pg::Table& table() { return keys; }

}  // namespace oms::idempotency
