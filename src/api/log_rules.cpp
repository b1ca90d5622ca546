// The triggers of the log: it only grows; and its routes are read again when they change.
#include "pg/entry.hpp"
#include "pg/raise.hpp"
#include "pg/trigger.hpp"

#include "pg/poison.hpp"

namespace oms::api {

OMS_FUNCTION(oms_log_only_grows) {
    pg::Trigger trigger{fcinfo};
    pg::raise(pg::Error::protected_row,
              {.message = "the log only grows: oms.event cannot be updated, deleted from or truncated",
               .detail = pg::format("The statement was aimed at \"%s\".", trigger.relation_name()),
               .hint = "Append an event that corrects the earlier one; retention drops whole partitions."});
}

OMS_FUNCTION(oms_topic_routes_changed) {
    pg::Trigger trigger{fcinfo};
    if (trigger.touches_builtin()) {
        pg::raise(pg::Error::protected_row, {.message = "a built-in row of oms.topic_route cannot be changed",
                                             .detail = "A change of it would not be in a dump.",
                                             .hint = "Add a row of your own for the same type: it wins."});
    }
    trigger.announce_change();
    return trigger.proceed();
}

}  // namespace oms::api
