# shellcheck shell=bash
# A million sagas that wait for somebody's answer, each with a timer far in the future: what they cost new orders, and oms.run_due when nothing, ten or a
# thousand timers are due. Measured beside a database in which nothing waits, in turns.
waiting=${BENCH_WAITING:-1000000}
clients=4
paid_orders=$((orders / 4))

prepare() {
    local pid part
    psql_quiet -d postgres -c "DROP DATABASE IF EXISTS waiting_$1" -c "CREATE DATABASE waiting_$1"
    export PGDATABASE=waiting_$1
    psql_quiet -c 'CREATE EXTENSION oms' -f bench/sql/waiting.sql
    if [ "$1" = many ]; then
        for part in 0 1; do
            PGOPTIONS='-c synchronous_commit=off' ask "CALL bench.wait_for($part * ($waiting / 2) + 1, ($part + 1) * ($waiting / 2))" &
        done
        for pid in $(jobs -p); do wait "$pid" || die 'the sagas could not be started'; done
        [ "$(ask "SELECT count(*) FROM oms.saga WHERE status = 'running'"),$(ask 'SELECT count(*) FROM oms.timer')" = "$waiting,$waiting" ] ||
            die "there are not $waiting sagas with a timer each"
    fi
    # Some orders before: plans that are made for empty tables are not what is measured.
    psql_quiet -c "SELECT count(bench.place(n, 'fill-' || n)) FROM generate_series(1, $fill) n" -c 'VACUUM ANALYZE'
}

# measure DATABASE CASE
measure() {
    local due pages us
    export PGDATABASE=waiting_$1
    stretch "$2: create and pay an order" waiting_orders.sql -v n="$paid_orders" -v round="$round"
    pgbench_run waiting_order $clients -t "$((seconds * 2000 / clients))"
    record "$2: orders" '1/s' "$tps"
    for due in 0 10 1000; do
        read -r pages us <<<"$(sql run_due.sql -v due=$due -v round="$round-$due")"
        [ -n "$us" ] || die "$2: run_due was not measured"
        if [ $due = 0 ]; then
            record "$2: run_due, nothing due, pages" pages "$pages"
            record "$2: run_due, nothing due" us "$us"
        else
            record "$2: run_due, $due due, pages for each" pages "$(ask "SELECT $pages / $due.0")"
            record "$2: run_due, $due due, time for each" us "$(ask "SELECT $us / $due")"
        fi
    done
}

prepare none
prepare many
# No checkpoint from here on: behind one each page is logged whole once, and the database with a million sagas has more pages.
ask CHECKPOINT
for each in none many; do
    PGDATABASE=waiting_$each PGOPTIONS='-c synchronous_commit=off' ask "SELECT count(bench.place(n, 'first-' || n)) FROM generate_series(1, $paid_orders) n" >/dev/null
done
for ((round = 0; round < rounds; round++)); do
    for each in $(rotated "$round" none many); do
        measure "$each" "$([ "$each" = none ] && echo 'none waiting' || echo "$waiting waiting")"
    done
    say "round $((round + 1)) of $rounds"
done
export PGDATABASE=oms_bench
psql_quiet -d postgres -c 'DROP DATABASE waiting_none' -c 'DROP DATABASE waiting_many'
