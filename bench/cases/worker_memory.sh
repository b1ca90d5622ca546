# shellcheck shell=bash
# shellcheck source=bench/kafka.sh
. bench/kafka.sh
# The worker's resident memory: over the drain of a backlog, and over an outage of the broker while orders go on. "Highest" is the kernel's own mark
# (VmHWM); the halves are samples, twice a second. One round: this is not a matter of time.
sample_s=0.5

# watch PROCESS: writes samples in kB until watch_end.
watch() {
    while memory_kb "$1" VmRSS >>"$results/samples" 2>/dev/null; do sleep $sample_s; done &
    watcher=$!
    running+=("$watcher")
}

# watch_end NAME PROCESS: records the halves and the mark.
watch_end() {
    local first second
    { kill "$watcher" && wait "$watcher"; } 2>/dev/null || true
    forget_process "$watcher"
    read -r first second < <(awk '{ kb[NR] = $1 }
        END { for (i = 1; i <= NR; i++) { half = 2 * i > NR; if (kb[i] > most[half]) most[half] = kb[i] }; print most[0] / 1024, most[1] / 1024 }' \
        "$results/samples")
    record "$1: resident memory, first half" MiB "$first"
    record "$1: resident memory, second half" MiB "$second"
    record "$1: highest resident memory" MiB "$(ask "SELECT $(memory_kb "$2" VmHWM) / 1024.0")"
    rm "$results/samples"
}

over_a_drain() {
    local before
    ask 'CALL bench.clear()'
    PGOPTIONS='-c synchronous_commit=off' ask "CALL bench.append($memory_events)"
    ask 'VACUUM ANALYZE oms.event'
    forget_readers
    before=$(messages_at_broker)
    say "drain of $memory_events events"
    clock_start "$memory_events"
    start_worker
    watch "$worker"
    clock_stop
    watch_end drain "$worker"
    end_process "$worker" worker
    [ $(($(messages_at_broker) - before)) -eq "$memory_events" ] || die 'the broker does not hold what was drained'
}

over_an_outage() {
    local before load lost
    restore
    forget_readers
    start_worker --start-at now
    reading_backend >/dev/null
    before=$(messages_at_broker)
    say "outage of $outage_seconds s under load"
    pgbench -n -M prepared -c 4 -j 1 -R 800 -T "$((outage_seconds + 10))" -f bench/pgbench/create_order.sql -D items="$items" >"$results/load.log" 2>&1 &
    load=$!
    running+=("$load")
    sleep 5    # of orders that go through: the worker is warm when the broker dies
    scripts/broker.sh kill bench
    watch "$worker"
    sleep "$outage_seconds"
    watch_end outage "$worker"
    start_broker
    await_process "$load" load
    await_no_lag 300
    record 'outage: highest resident memory until all was carried' MiB "$(ask "SELECT $(memory_kb "$worker" VmHWM) / 1024.0")"
    end_process "$worker" worker
    lost=$(ask "SELECT (SELECT count(*) FROM oms.event) - (SELECT count(*) FROM bench.fill_event) - ($(messages_at_broker) - $before)")
    [ "$lost" -le 0 ] || die "$lost events are not at the broker"
}

start_broker
over_a_drain
over_an_outage
