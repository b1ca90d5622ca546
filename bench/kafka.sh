# shellcheck shell=bash
# Sourced by the cases that need a broker. Starts Apache Kafka, the worker and its rivals, and ends what the case leaves running.

bench_kafka=build/bench-kafka/bench-kafka
topic=oms.order.events
database="host=$PGHOST port=$PGPORT dbname=$PGDATABASE user=$PGUSER"
running=()    # processes of this case
clock=
clock_grace_s=5
# Deleted soon: otherwise a long run would fill the disk with messages that nobody will read.
broker_settings=(
    --heap 1g
    --set log.segment.bytes=67108864
    --set log.retention.bytes=268435456
    --set log.retention.check.interval.ms=5000
    --set file.delete.delay.ms=1000
)

end_processes() {
    local pid
    for pid in ${running[@]+"${running[@]}"} $clock; do kill "$pid" 2>/dev/null || true; done
    wait
}
trap end_processes EXIT

make --no-print-directory -s -C bench/kafka all

start_broker() {
    local settings
    settings=$(scripts/broker.sh start bench "${broker_settings[@]}")
    eval "$settings"
    messages_at_broker >/dev/null
}

# The broker is a Java program that compiles itself while it works: it gets its work in large and in small pieces before anybody is measured.
warm_broker() {
    local broker
    broker=$(<"$run_dir/kafka/clusters/bench/1/pid")
    [ "$broker" != "$(cat "$results/warm" 2>/dev/null)" ] || return 0
    "$bench_kafka" produce --database "$database" --topic bench.warm --count 1000000
    "$bench_kafka" latency --way bare --database "$database" --topic bench.warm --items "$items" --rate 500 --seconds 10 --warm-up 0 --clients 1 >/dev/null
    echo "$broker" >"$results/warm"
}

messages_at_broker() {
    "$bench_kafka" end --topic "$topic"
}

# start_process NAME COMMAND...: runs it in the background, sets `process`; its output goes to the results.
start_process() {
    local name=$1
    shift
    "$@" >"$results/$name.log" 2>&1 &
    process=$!
    running+=("$process")
}

# The worker as it is when nobody sets anything; sets `worker`.
start_worker() {
    start_process worker build/worker/oms-worker run --database "$database" --broker "$KAFKA" --http off --log-level warning "$@"
    worker=$process
}

# end_process PID NAME: in order; it has to say that all was well.
end_process() {
    kill "$1" 2>/dev/null || { tail -n 5 "$results/$2.log" >&2; die "$2 ended by itself"; }
    await_process "$@"
}

await_process() {
    wait "$1" || { tail -n 5 "$results/$2.log" >&2; die "$2 failed"; }
    forget_process "$1"
}

forget_process() {
    local each left=()
    for each in "${running[@]}"; do [ "$each" = "$1" ] || left+=("$each"); done
    running=(${left[@]+"${left[@]}"})
}

# No reader remembers anything; the next worker begins at the first event.
forget_readers() {
    ask 'SELECT oms.drop_reader(name) FROM oms.reader' >/dev/null
}

# The server process of the worker's session.
reading_backend() {
    local pid deadline=$((SECONDS + 30))
    until pid=$(ask "SELECT owner_pid FROM oms.reader_status() WHERE owner_pid IS NOT NULL LIMIT 1") && [ -n "$pid" ]; do
        [ "$SECONDS" -lt "$deadline" ] || die 'no worker owns the reader'
        sleep 0.05
    done
    echo "$pid"
}

# Waits until every event has been read and the cursor stands behind it.
await_no_lag() {
    local deadline=$((SECONDS + $1))
    until [ "$(ask 'SELECT coalesce(max(lag_events), 1) FROM oms.reader_status()')" = 0 ]; do
        [ "$SECONDS" -lt "$deadline" ] || die 'the worker did not catch up'
        sleep 0.1
    done
}

memory_kb() {
    sed -nE "s/^$2:\s+([0-9]+) kB/\1/p" "/proc/$1/status"
}

# clock_start COUNT ... clock_stop: times the next COUNT messages of the topic from the first to the last, and sets
# `per_second`. What ends before the last message has failed; the bare producer ends with it.
clock_start() {
    local line
    exec {clock_output}< <(exec "$bench_kafka" await --topic "$topic" --count "$1" --timeout "$((60 + $1 / 500))")
    clock=$!
    read -r line <&"$clock_output" || die 'the clock does not start'
}

clock_stop() {
    local word='' each
    until read -r -t 1 word per_second <&"$clock_output"; do
        kill -0 "$clock" 2>/dev/null || { read -r word per_second <&"$clock_output" || true; break; }
        # Who failed would be waited for as long as who is slow. The bare producer ends a moment before the clock does.
        for each in "${running[@]}"; do
            if kill -0 "$each" 2>/dev/null; then continue; fi
            read -r -t "$clock_grace_s" word per_second <&"$clock_output" || die "somebody ended early; see $results/*.log"
            break 2
        done
    done
    exec {clock_output}<&-
    wait "$clock" && [ "$word" = measured ] || die 'not all messages arrived'
    clock=
}
