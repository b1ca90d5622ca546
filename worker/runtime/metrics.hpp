// Every number the worker counts, by the name under which Prometheus sees it.
//
// Counting is lock-free and may be done from any thread. The members are references into the
// registry, so a metric exists, with value 0, from the start: a rate over it has no gap.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <memory>
#include <string>

namespace prometheus {
class Registry;
}

namespace oms::runtime {

class Metrics {
  public:
    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    /// Renders all metrics in the Prometheus text format.
    std::string text() const;

  private:
    std::shared_ptr<prometheus::Registry> registry_;

    prometheus::Counter& counter(const char* name, const char* help, const char* label = nullptr,
                                 const char* value = nullptr);
    prometheus::Gauge& gauge(const char* name, const char* help);
    prometheus::Histogram& histogram(const char* name, const char* help,
                                     const prometheus::Histogram::BucketBoundaries& buckets);

  public:
    // What became of the messages handed to the broker.
    prometheus::Counter& published;        // acknowledged
    prometheus::Counter& rejected;         // can never be sent, dead-lettered
    prometheus::Counter& unconfirmed;      // given up with the producer or the session, read again
    prometheus::Counter& already_settled;  // read again after a restart, known to be acknowledged
    prometheus::Counter& parked;           // behind a rejected event of the same key

    prometheus::Counter& reads_with_events;
    prometheus::Counter& reads_empty;
    prometheus::Counter& wakeups_by_bell;
    prometheus::Counter& wakeups_by_floor;
    prometheus::Counter& cursor_writes;
    prometheus::Counter& receipts;
    prometheus::Counter& replays_sent;
    prometheus::Counter& replays_failed;
    prometheus::Counter& transactions_committed;
    prometheus::Counter& transactions_aborted;
    prometheus::Counter& producer_rebuilds;
    prometheus::Counter& session_losses;
    prometheus::Counter& broker_errors;

    prometheus::Counter& clock_runs;
    prometheus::Counter& clock_timers;
    prometheus::Counter& clock_failures;
    prometheus::Counter& clock_session_losses;
    prometheus::Counter& clock_wakeups_by_bell;
    prometheus::Counter& clock_wakeups_by_timer;
    prometheus::Counter& clock_wakeups_by_interval;

    prometheus::Gauge& leader;
    prometheus::Gauge& broker_up;
    prometheus::Gauge& in_flight_messages;
    prometheus::Gauge& in_flight_bytes;
    prometheus::Gauge& window_events;
    prometheus::Gauge& committed_event_id;
    prometheus::Gauge& clock_running;
    prometheus::Gauge& clock_lag_seconds;
    prometheus::Gauge& resident_bytes;

    prometheus::Histogram& batch_events;
    prometheus::Histogram& delivery_seconds;
};

}  // namespace oms::runtime
