# shellcheck shell=bash
# shellcheck source=bench/kafka.sh
. bench/kafka.sh
# shellcheck source=bench/rivals.sh
. bench/rivals.sh
# Events a second from the log to Apache Kafka: oms-worker, pgmq (read and delete), a poller with SKIP LOCKED that updates a status column; and what
# bounds them, COPY of the same rows to nowhere and a bare producer. The clock is at the broker: it looks at where the topic ends, for everybody. The
# rivals take batches of 100, as such relays are usually set, and of 1,000, as the worker does.
measure() {
    local before after backend
    case $1 in
    COPY)
        local nowhere client
        read -r nowhere client <<<"$(sql copy.sql -v n="$drain_events")"
        record 'C: COPY to /dev/null' 'events/s' "$nowhere"
        record 'COPY through a client' 'events/s' "$client"
        return
        ;;
    pgmq*) ask 'CALL bench.fill_pgmq()'; ask 'VACUUM ANALYZE pgmq.q_events' ;;
    skip_locked*) ask 'CALL bench.fill_outbox()'; ask 'VACUUM ANALYZE rival.outbox' ;;
    oms-worker) forget_readers ;;
    esac
    ask CHECKPOINT
    before=$(messages_at_broker)
    clock_start "$drain_events"
    case $1 in
    producer) start_process producer "$bench_kafka" produce --database "$database" --topic "$topic" --count "$drain_events" ;;
    oms-worker) start_worker ;;
    *) start_process rival "$bench_kafka" relay --database "$database" --queue "${1% *}" --batch "${1#* }" --every 100 ;;
    esac
    clock_stop
    case $1 in
    producer) record 'P: bare producer' 'events/s' "$per_second" ;;
    oms-worker)
        record oms-worker 'events/s' "$per_second"
        backend=$(reading_backend)
        record 'oms-worker, processor' 'us/event' "$(ask "SELECT $(processor_us "$worker") / $drain_events.0")"
        record 'oms-worker, processor of its backend' 'us/event' "$(ask "SELECT $(processor_us "$backend") / $drain_events.0")"
        ;;
    pgmq*) record "pgmq, read and delete, batches of ${1#* }" 'events/s' "$per_second" ;;
    skip_locked*) record "SKIP LOCKED and a status column, batches of ${1#* }" 'events/s' "$per_second" ;;
    esac
    case $1 in
    producer) await_process "$process" producer ;;
    oms-worker) end_process "$worker" worker ;;
    *) end_process "$process" rival ;;
    esac
    after=$(messages_at_broker)
    [ $((after - before)) -eq "$drain_events" ] || die "$1: $((after - before)) messages arrived, $drain_events were to"
}

start_broker
contenders=(COPY producer oms-worker 'skip_locked 100' 'skip_locked 1000')
if provide_pgmq; then
    psql_quiet -f "$pgmq_sql" -c "SELECT pgmq.create('events')"
    contenders+=('pgmq 100' 'pgmq 1000')
else
    say 'pgmq cannot be fetched: it is left out'
fi
ask 'CALL bench.clear()'
PGOPTIONS='-c synchronous_commit=off' ask "CALL bench.append($drain_events)"
ask 'VACUUM ANALYZE oms.event'
autovacuum on
warm_broker

for ((round = 0; round < rounds; round++)); do
    while IFS= read -r each; do measure "$each"; done < <(rotated "$round" "${contenders[@]}")
    ask "SELECT 1 / (1 / $(last_of 'C: COPY to /dev/null') + 1 / $(last_of 'P: bare producer'))" >"$results/bound"
    record 'bound: 1 / (1/C + 1/P)' 'events/s' "$(<"$results/bound")"
    say "round $((round + 1)) of $rounds"
done
autovacuum off
