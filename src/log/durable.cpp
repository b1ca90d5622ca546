// Which flush the rows of one read need, and the flush.
#include "log/durable.hpp"

#include "pg/raise.hpp"
#include "pg/settings.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

// The commits of all transactions below this one are on disk. It follows the reads: what one of them saw as finished is on disk when the log is
// flushed up to where it ended then.
constinit Xid durable_below = 0;
constinit Xid finished_below = 0;
constinit pg::WalPosition finished_at = 0;

void follow(Xid oldest_running, pg::WalPosition end) {
    if (finished_at != 0 && !pg::is_durable(finished_at)) return;
    durable_below = std::max(durable_below, finished_below);
    finished_below = oldest_running;
    finished_at = end;
}

}  // namespace

DurableGate::DurableGate(Xid oldest_running) : end_(pg::wal_end()), all_durable_(pg::is_durable(end_)) {
    follow(oldest_running, end_);
}

void DurableGate::look_at(Xid inserted_by) {
    last_seen_ = inserted_by;
    if (inserted_by >= durable_below) needed_ = std::max(needed_, pg::commit_position(inserted_by));
}

void DurableGate::wait() {
    if (!any_) return;
    pg::PublishAfter copy = pg::settings::publish_after();
    if (copy != pg::PublishAfter::local) needed_ = end_;
    if (needed_ > 0) pg::make_durable(needed_);
    if (pg::await_standby(end_, copy)) return;
    pg::raise(pg::Error::standby_unconfirmed, {.message = "the synchronous standby has not confirmed the events",
                                               .detail = "The wait that oms.publish_after asks for was canceled.",
                                               .hint = "Read again; nothing was handed out."});
}

}  // namespace oms::log
