// A trigger function's view of the row it was called for.
#pragma once

#include <string_view>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

class Trigger {
  public:
    explicit Trigger(FunctionCallInfo info);

    const char* relation_name() const;
    bool is_for_row() const;  // false: for a statement, TRUNCATE among them
    bool has_new() const;
    bool is_insert() const;
    // A boolean column of the old or new row; false when there is no such row, or the column is NULL.
    bool old_flag(const char* column) const;
    bool new_flag(const char* column) const;
    std::string_view new_text(const char* column) const;  // empty when NULL

    // True when the row has the flag `builtin`, or is about to get it, and this is not the extension's own script.
    bool touches_builtin() const;

    // True while CREATE or ALTER EXTENSION runs the extension's script.
    bool during_extension_script() const;

    // Tells every session that the table's contents changed, once this transaction commits.
    void announce_change() const;

    // Lets the operation go on with the row as it is.
    Datum proceed() const;

  private:
    TriggerData* data_;
};
static_assert(JumpSafe<Trigger>);

}  // namespace oms::pg
