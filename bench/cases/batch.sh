# shellcheck shell=bash
# oms.create_orders of 1,000 orders against single calls of oms.create_order: orders a second of one client, and inside one backend.
batches=$((orders / 1000))
psql_quiet -v batches="$batches" -f bench/sql/batch.sql

measure() {
    local form=$1 commit=$2
    restore
    case $form in
    single)
        PGOPTIONS="-c synchronous_commit=$commit" pgbench_run create_order 1 -T "$seconds"
        record "$kind, one client: oms.create_order" 'orders/s' "$tps"
        ask "SELECT bench.holds('oms', $transactions)" >/dev/null
        ;;
    batch)
        ask 'ALTER SEQUENCE bench.next_turn RESTART'
        PGOPTIONS="-c synchronous_commit=$commit" pgbench_run create_orders 1 -t "$batches"
        record "$kind, one client: oms.create_orders" 'orders/s' "$(ask "SELECT 1000 * $tps")"
        ask "SELECT bench.holds('oms', 1000 * $transactions)" >/dev/null
        ;;
    esac
}

for ((round = 0; round < rounds; round++)); do
    for commit in on off; do
        if [ $commit = on ]; then kind=durable; else kind=asynchronous; fi
        for form in $(rotated "$round" single batch); do
            measure "$form" $commit
        done
    done
    for form in $(rotated "$round" create_order create_orders); do
        restore
        stretch "in one backend: oms.$form" "$form.sql"
    done
    say "round $((round + 1)) of $rounds"
done
