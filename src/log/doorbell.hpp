// The doorbell, the producers' side: waking a sleeping relay without the price of a NOTIFY in every transaction.
#pragma once

namespace oms::log {

// This transaction has appended something to deliver.
void ring_at_commit();

}  // namespace oms::log
