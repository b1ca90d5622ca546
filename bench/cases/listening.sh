# shellcheck shell=bash
# shellcheck source=bench/kafka.sh
. bench/kafka.sh
# What a listening worker costs the commands, durable commits, 16 and 32 clients. The worker is the real one and keeps the whole protocol of the doorbell:
# it sleeps, is woken by a commit, reads what was committed, and takes the bell again. Its reader wants a topic that no event has, so that it finds
# nothing to carry: what is measured is the listening. Carrying costs processor time, which on a machine of their own worker and broker would not take
# from the commands; the line "carries everything" shows what it is when all of them share these cores.
callers=('doorbell off' 'nobody listens' 'a worker listens' 'a worker carries everything' 'NOTIFY in each transaction')

measure() {
    local caller=$1 clients=$2 script=create_order doorbell=on began backend=
    restore
    forget_readers
    case $caller in
    'doorbell off') doorbell=off ;;
    'a worker listens') start_worker --topics bench.nobody.writes --start-at now ;;
    'a worker carries everything') start_worker --start-at now ;;
    'NOTIFY in each transaction')
        script=create_order_notify doorbell=off
        start_process listener "$bench_kafka" listen --database "$database" --channel rival --every 5000
        ;;
    esac
    case $caller in 'a worker'*) backend=$(reading_backend); began=$(($(processor_us "$worker") + $(processor_us "$backend"))) ;; esac
    PGOPTIONS="$PGOPTIONS -c oms.doorbell=$doorbell" pgbench_run "$script" "$clients" -T "$seconds"
    if [ -n "$backend" ]; then
        record "$clients clients: $caller, processor of worker and backend" 'us/command' \
            "$(ask "SELECT ($(processor_us "$worker") + $(processor_us "$backend") - $began) / $transactions.0")"
    fi
    case $caller in
    'a worker carries everything')
        await_no_lag 60
        end_process "$worker" worker
        ;;
    'a worker listens') end_process "$worker" worker ;;
    'NOTIFY in each transaction') end_process "$process" listener ;;
    esac
    ask "SELECT bench.holds('oms', $transactions)" >/dev/null
    record "$clients clients: $caller" '1/s' "$tps"
}

start_broker
warm_broker
for ((round = 0; round < rounds; round++)); do
    for clients in 16 32; do
        while IFS= read -r each; do measure "$each" $clients; done < <(rotated "$round" "${callers[@]}")
    done
    say "round $((round + 1)) of $rounds"
done
