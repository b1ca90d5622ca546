#include "runtime/metrics.hpp"

#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <fstream>

namespace oms::runtime {
namespace {

constexpr auto attempts = "oms_outbox_publish_attempts_total";
constexpr auto attempts_help = "Messages by what became of them";
constexpr auto reads = "oms_relay_reads_total";
constexpr auto reads_help = "Reads of the event log";
constexpr auto wakeups = "oms_relay_wakeups_total";
constexpr auto wakeups_help = "Why a sleeping relay woke up";
constexpr auto replays = "oms_relay_replays_total";
constexpr auto replays_help = "Replayed dead letters";
constexpr auto transactions = "oms_relay_transactions_total";
constexpr auto transactions_help = "Kafka transactions, when delivering exactly once";
constexpr auto clock_wakeups = "oms_clock_wakeups_total";
constexpr auto clock_wakeups_help = "Why a sleeping clock woke up";

double resident_memory() {
    std::ifstream statm("/proc/self/statm");
    long total = 0;
    long resident = 0;
    statm >> total >> resident;
    return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

Metrics::Metrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      published(counter(attempts, attempts_help, "result", "sent")),
      rejected(counter(attempts, attempts_help, "result", "rejected")),
      unconfirmed(counter(attempts, attempts_help, "result", "unconfirmed")),
      already_settled(
          counter("oms_relay_already_settled_total", "Events read again after a restart and not published twice")),
      parked(counter("oms_relay_parked_total", "Events parked behind a rejected one of their key")),
      reads_with_events(counter(reads, reads_help, "result", "events")),
      reads_empty(counter(reads, reads_help, "result", "empty")),
      wakeups_by_bell(counter(wakeups, wakeups_help, "cause", "doorbell")),
      wakeups_by_floor(counter(wakeups, wakeups_help, "cause", "floor")),
      cursor_writes(counter("oms_relay_cursor_writes_total", "Writes of the cursor position")),
      receipts(counter("oms_relay_receipts_total", "Delivery receipts written")),
      replays_sent(counter(replays, replays_help, "result", "sent")),
      replays_failed(counter(replays, replays_help, "result", "failed")),
      transactions_committed(counter(transactions, transactions_help, "result", "committed")),
      transactions_aborted(counter(transactions, transactions_help, "result", "aborted")),
      producer_rebuilds(counter("oms_relay_producer_rebuilds_total", "Producers replaced after a fatal error")),
      session_losses(counter("oms_relay_session_losses_total", "Database sessions lost")),
      broker_errors(counter("oms_relay_broker_errors_total", "Errors reported by the Kafka client")),
      clock_runs(counter("oms_clock_runs_total", "Calls of oms.run_due that were committed")),
      clock_timers(counter("oms_clock_timers_total", "Due timers whose work was done")),
      clock_failures(counter("oms_clock_failures_total", "Calls of oms.run_due that failed and were rolled back")),
      clock_session_losses(counter("oms_clock_session_losses_total", "Database sessions that the clock lost")),
      clock_wakeups_by_bell(counter(clock_wakeups, clock_wakeups_help, "cause", "doorbell")),
      clock_wakeups_by_timer(counter(clock_wakeups, clock_wakeups_help, "cause", "timer")),
      clock_wakeups_by_interval(counter(clock_wakeups, clock_wakeups_help, "cause", "interval")),
      leader(gauge("oms_relay_leader", "1 while this worker owns the reader")),
      broker_up(gauge("oms_relay_broker_up", "1 while the broker is believed reachable")),
      in_flight_messages(gauge("oms_relay_in_flight_messages", "Messages not yet acknowledged")),
      in_flight_bytes(gauge("oms_relay_in_flight_bytes", "Bytes not yet acknowledged")),
      window_events(gauge("oms_relay_window_events", "Events read and not behind the cursor yet")),
      committed_event_id(gauge("oms_relay_committed_event_id", "Event the cursor stands behind")),
      clock_running(gauge("oms_clock_running", "1 while the clock has its session")),
      clock_lag_seconds(
          gauge("oms_clock_lag_seconds", "For how long the oldest due timer had been due when the clock last looked")),
      resident_bytes(gauge("process_resident_memory_bytes", "Resident memory")),
      batch_events(histogram("oms_relay_batch_events", "Events per read that found some",
                             {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000})),
      delivery_seconds(histogram("oms_relay_delivery_seconds",
                                 "From handing a message to the client to its acknowledgement",
                                 {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300})) {}

Metrics::~Metrics() = default;

prometheus::Counter& Metrics::counter(const char* name, const char* help, const char* label, const char* value) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(*registry_);
    return family.Add(label ? prometheus::Labels{{label, value}} : prometheus::Labels{});
}

prometheus::Gauge& Metrics::gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add({});
}

prometheus::Histogram& Metrics::histogram(const char* name, const char* help,
                                          const prometheus::Histogram::BucketBoundaries& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_).Add({}, buckets);
}

std::string Metrics::text() const {
    resident_bytes.Set(resident_memory());
    return prometheus::TextSerializer().Serialize(registry_->Collect());
}

}  // namespace oms::runtime
