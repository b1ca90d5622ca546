# shellcheck shell=bash
# shellcheck source=bench/kafka.sh
. bench/kafka.sh
# A session in another database that holds a transaction id and a snapshot, while 800 orders a second are placed: what that does to the worker. Measured
# with it and without it, one after the other: the way from commit to consumer in the second half of the time; the processor time an event costs;
# the drain of a backlog while the session still holds; and dead rows in the tables of the log, with autovacuum on.
rate=800
clients=4
backlog=$((drain_events / 4))

hold() {
    coproc holder { exec psql -X -q -A -t -v ON_ERROR_STOP=1 -d elsewhere; }
    echo 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_xact_id();' >&"${holder[1]}"
    read -r held_xid <&"${holder[0]}"
}

let_go() {
    [ "$(ask "SELECT count(*) FROM pg_stat_activity WHERE datname = 'elsewhere' AND backend_xid = '$held_xid' AND backend_xmin IS NOT NULL")" = 1 ] ||
        die 'the session that holds the snapshot is gone'
    local pid=$holder_PID
    echo 'COMMIT; \q' >&"${holder[1]}"
    wait "$pid"
}

measure() {
    local name=$1 backend began p50 p99 greatest messages reached dead_log dead_positions index_log index_positions before_log before_positions
    restore
    forget_readers
    ask 'VACUUM ANALYZE oms.event, oms.receipt, oms.stream, oms.log_life, oms.reader, oms.reader_position, oms.dead_letter'
    read -r _ _ before_log before_positions <<<"$(sql dead_rows.sql)"
    if [ "$name" = held ]; then hold; fi
    start_worker --start-at now
    backend=$(reading_backend)
    began=$(($(processor_us "$worker") + $(processor_us "$backend")))
    "$bench_kafka" latency --database "$database" --topic "$topic" --way oms --items "$items" --rate $rate --seconds "$hold_seconds" \
        --warm-up "$((hold_seconds / 2))" --clients $clients >"$results/latency" || die "$name: the measurement failed"
    read -r _ p50 p99 greatest messages reached <"$results/latency"
    record "$name: p50" ms "$p50"
    record "$name: p99" ms "$p99"
    record "$name: orders" '1/s' "$reached"
    record "$name: processor of worker and backend" 'us/event' \
        "$(ask "SELECT ($(processor_us "$worker") + $(processor_us "$backend") - $began) / ($reached * $hold_seconds)")"
    await_no_lag 30
    end_process "$worker" worker

    PGOPTIONS='-c synchronous_commit=off' ask "CALL bench.append($backlog)"
    clock_start "$backlog"
    start_worker
    clock_stop
    record "$name: drain" 'events/s' "$per_second"
    read -r dead_log dead_positions index_log index_positions <<<"$(sql dead_rows.sql)"
    record "$name: dead rows in the log" rows "$dead_log"
    record "$name: dead rows in the positions" rows "$dead_positions"
    record "$name: growth of the log's indexes" kB "$((index_log - before_log))"
    record "$name: growth of the positions' index" kB "$((index_positions - before_positions))"
    end_process "$worker" worker
    if [ "$name" = held ]; then let_go; fi
}

start_broker
warm_broker
psql_quiet -d postgres -c 'DROP DATABASE IF EXISTS elsewhere' -c 'CREATE DATABASE elsewhere'
autovacuum on
for ((round = 0; round < held_rounds; round++)); do
    for each in $(rotated "$round" free held); do measure "$each"; done
    say "round $((round + 1)) of $held_rounds"
done
autovacuum off
psql_quiet -d postgres -c 'DROP DATABASE elsewhere'
