# shellcheck shell=bash
# shellcheck source=bench/kafka.sh
. bench/kafka.sh
# From the commit to the consumer, orders coming at random moments, 500 a second: oms-worker, a poller that looks every 100 ms, a relay that a NOTIFY
# in each transaction wakes; and a bare producer at the same rate on the same broker, from the hand-over to the consumer.
rate=500
clients=4
warm_up=1

measure() {
    local way p50 p99 greatest messages reached relay=()
    restore
    forget_readers
    ask 'TRUNCATE rival.outbox'
    case $1 in
    'bare producer') way=bare ;;
    oms-worker)
        way=oms
        start_worker --start-at now
        reading_backend >/dev/null
        ;;
    'poller, 100 ms') way=outbox relay=(--every 100) ;;
    'NOTIFY in each transaction') way=outbox_notify relay=(--every 5000 --channel rival) ;;
    esac
    if [ ${#relay[@]} -gt 0 ]; then start_process relay "$bench_kafka" relay --database "$database" --queue skip_locked "${relay[@]}"; fi
    PGOPTIONS="$PGOPTIONS -c oms.doorbell=$([ $way = oms ] && echo on || echo off)" "$bench_kafka" latency --database "$database" --topic "$topic" \
        --way $way --items "$items" --rate $rate --seconds "$((3 * seconds + warm_up))" --warm-up $warm_up --clients $clients >"$results/latency" ||
        die "$1: the measurement failed"
    read -r _ p50 p99 greatest messages reached <"$results/latency"
    record "$1, p50" ms "$p50"
    record "$1, p99" ms "$p99"
    record "$1, greatest" ms "$greatest"
    [ "$(ask "SELECT $reached > 0.9 * $rate")" = t ] || die "$1: only $reached messages a second"
    case $1 in
    'bare producer') ;;
    oms-worker) end_process "$worker" worker ;;
    *) end_process "$process" relay ;;
    esac
}

start_broker
warm_broker
for ((round = 0; round < rounds; round++)); do
    while IFS= read -r each; do
        measure "$each"
    done < <(rotated "$round" 'bare producer' oms-worker 'poller, 100 ms' 'NOTIFY in each transaction')
    say "round $((round + 1)) of $rounds"
done
