// SQL inside the extension: saved plans, run as the owner of the extension with a pinned search_path.
//
// For everything that is not hot. A Plan is a global: prepared on first use in a session, published last, kept until the session ends.
// Results live in the caller's current context of the time of the call.
#pragma once

#include <cstdint>
#include <array>
#include <initializer_list>
#include <span>

#include "pg/catalog.hpp"
#include "pg/jump.hpp"
#include "pg/memory.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

// Runs `fn` as a role and with search_path = pg_catalog, pg_temp. Both are undone by an abort if `fn` raises.
// A path of the caller's must not decide what an operator means.
class RoleScope {
  public:
    void enter(Oid role);
    void leave();

  private:
    Oid user_;
    int security_context_;
    int setting_level_;
};
static_assert(JumpSafe<RoleScope>);

template <class Fn>
void as_role(Oid role, Fn&& fn) {
    RoleScope scope;
    scope.enter(role);
    fn();
    scope.leave();
}

// As the extension's owner: applications hold no rights on tables.
template <class Fn>
void as_owner(Fn&& fn) {
    as_role(extension_owner(), fn);
}

// What a statement returned: rows copied into the context that was current when it ran.
struct Result {
    std::span<HeapTuple> rows;
    TupleDesc descriptor = nullptr;
    std::uint64_t count = 0;  // rows returned, or changed by a statement without RETURNING

    bool empty() const { return count == 0; }
    Datum value(std::size_t row, int column) const;
    bool is_null(std::size_t row, int column) const;
};

struct Parameter {
    Datum value;
    bool null = false;
};

enum class Access : bool { reads, writes };

// A session may plan while its tables are empty, and keeps the plan: what looks up a handful of rows by a key says so, and is not planned to read
// a table from end to end, however small it looks.
enum class Planned : bool { freely, by_index };

class Plan {
  public:
    // `types` names the parameters' types; `text` has every name schema-qualified.
    constexpr Plan(const char* statement, std::initializer_list<Oid> types, Planned planned = Planned::freely)
        : text_(statement), planned_(planned) {
        for (Oid type : types) types_[count_++] = type;
    }

    // Runs the plan. A reading plan uses the caller's snapshot, so that a STABLE function is stable; a writing one takes a new one.
    Result run(Access access, std::initializer_list<Parameter> parameters, long limit = 0);

    // The same with the rights of `role`: for calling a function in the name of whoever asked for it.
    Result run_as(Oid role, Access access, std::initializer_list<Parameter> parameters, long limit = 0);

  private:
    static constexpr int parameters_max = 16;

    void prepare();

    const char* text_;
    std::array<Oid, parameters_max> types_{};
    int count_ = 0;
    Planned planned_;
    SPIPlanPtr prepared_ = nullptr;
};

// For a statement whose text is made at run time. Nothing is kept.
Result run_once(Access access, const char* statement, std::span<const Oid> types, std::span<const Datum> values,
                std::span<const bool> nulls);

}  // namespace oms::pg
