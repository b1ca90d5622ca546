// The trigger of oms.queue: settings are read again when they change.
#include "pg/entry.hpp"
#include "pg/trigger.hpp"

#include "pg/poison.hpp"

namespace oms::api {

OMS_FUNCTION(oms_queues_changed) {
    pg::Trigger trigger{fcinfo};
    trigger.announce_change();
    return trigger.proceed();
}

}  // namespace oms::api
