// The latch of the session, with a timeout.
#include "pg/wait.hpp"

namespace oms::pg {

void pause(std::int32_t ms) {
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, WAIT_EVENT_PG_SLEEP);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

}  // namespace oms::pg
