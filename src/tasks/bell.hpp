// The room's side of the claimers' doorbell.
#pragma once

#include <string_view>

namespace oms::tasks {

// Makes the commit of this transaction wake whoever sleeps until there are tasks in the queue.
void ring_at_commit(std::string_view queue);

}  // namespace oms::tasks
