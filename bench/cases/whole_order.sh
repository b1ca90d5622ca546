# shellcheck shell=bash
# shellcheck source=bench/rivals.sh
. bench/rivals.sh
# Whole orders a second, from the cart to `confirmed`: oms with its saga order_fulfilment, and the same flow on DBOS, absurd, graphile-worker and pg-boss with tables and
# functions written by hand. The same client program for all (whole_order/client.js), in the language of the rivals: two processes that place orders for
# some seconds and do what participants do, at once; the clock stops when the last order placed is confirmed. Each run has a database of its own.
skus=10000
export BENCH_SKUS=$skus
rivals=(dbos absurd graphile_worker pg_boss)
placing_seconds=$((seconds + 2))

title() {
    case $1 in
    oms) echo oms ;;
    dbos) echo "DBOS $(version_of @dbos-inc/dbos-sdk)" ;;
    absurd) echo "absurd $(version_of absurd-sdk)" ;;
    graphile_worker) echo "graphile-worker $(version_of graphile-worker)" ;;
    pg_boss) echo "pg-boss $(version_of pg-boss)" ;;
    esac
}

client() {
    "$node" --no-deprecation bench/whole_order/client.js "$@"
}

# A template database for each: the goods, some finished orders, and the contender's own tables.
prepare() {
    local database=whole_$1 template=template1
    case $1 in oms | shop) ;; *) template=whole_shop ;; esac
    psql_quiet -d postgres -c "DROP DATABASE IF EXISTS $database" -c "CREATE DATABASE $database TEMPLATE $template"
    case $1 in
    oms) psql_quiet -d "$database" -c 'CREATE EXTENSION oms' -c "SET bench.fill = $fill" -v skus=$skus -f bench/sql/whole_order_oms.sql ;;
    shop) psql_quiet -d "$database" -c "SET bench.fill = $fill" -v skus=$skus -f bench/sql/whole_order.sql ;;
    *)
        if [ "$1" = absurd ]; then psql_quiet -d "$database" -f "$absurd_sql"; fi
        PGDATABASE=$database client "$1" --prepare || die "$1: its tables could not be made"
        ;;
    esac
    psql_quiet -d "$database" -c 'VACUUM ANALYZE'
}

# What must be there when `orders` orders were placed and confirmed, for oms and for the others: one number each, all of them equal to it.
count_oms="
    SELECT (SELECT count(*) FROM oms.orders WHERE status = 'confirmed' AND paid_minor = total_minor AND total_minor = 22500), (SELECT count(*) FROM oms.orders),
           (SELECT count(*) FROM oms.saga WHERE status = 'completed'), (SELECT count(*) FROM oms.payment WHERE status = 'captured' AND captured_minor = 22500),
           (SELECT sum(1000000000 - on_hand)::bigint / 3 FROM oms.stock WHERE reserved = 0), (SELECT count(*) / 2 FROM oms.ledger_entry HAVING sum(amount_minor) = 0)"
count_shop="
    SELECT (SELECT count(*) FROM shop.orders WHERE status = 'confirmed' AND paid_minor = total_minor AND total_minor = 22500), (SELECT count(*) FROM shop.orders),
           (SELECT count(*) / 9 FROM shop.outbox), (SELECT count(*) FROM shop.payment WHERE status = 'captured' AND captured_minor = 22500),
           (SELECT sum(1000000000 - on_hand)::bigint / 3 FROM shop.stock WHERE reserved = 0), (SELECT count(*) / 2 FROM shop.ledger HAVING sum(amount_minor) = 0)"

# measure CONTENDER COMMIT: one run in a fresh copy of its template; sets `rate`.
measure() {
    local output placed took processor repeated warmed counts name began ended
    name="$2: $(title "$1")"
    psql_quiet -d postgres -c 'DROP DATABASE IF EXISTS whole_run' -c "CREATE DATABASE whole_run TEMPLATE whole_$1" \
        -c "ALTER DATABASE whole_run SET synchronous_commit = $([ "$2" = durable ] && echo on || echo off)" -c CHECKPOINT
    began=$(server_processor_us)
    output=$(PGDATABASE=whole_run client "$1" --seconds "$placing_seconds") || die "$name: the client failed"
    ended=$(server_processor_us)
    read -r placed took processor repeated warmed <<<"$output"
    if [ "$1" = oms ]; then counts=$count_oms; else counts=$count_shop; fi
    counts=$(psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -d whole_run -c "$counts")
    for count in $counts; do [ "$count" = $((fill + warmed + placed)) ] || die "$name: $((fill + warmed + placed)) orders are to be there, counted is: $counts"; done
    rate=$(ask "SELECT $placed / $took")
    record "$name" 'orders/s' "$rate"
    record "$name, processor of the server" 'us/order' "$(ask "SELECT ($ended - $began) / ($placed + $warmed)")"
    record "$name, processor of the client" 'us/order' "$(ask "SELECT 1e6 * $processor / $placed")"
    if [ "$1" = oms ]; then record "$name, repeated after a deadlock" times "$repeated"; fi
}

provide_node || die 'this needs the packages of bench/rivals: npm could not fetch them'
provide_absurd || { say 'absurd cannot be fetched: it is left out'; rivals=("${rivals[@]/absurd/}"); }
for each in oms shop ${rivals[*]}; do prepare "$each"; done
autovacuum on
for ((round = 0; round < rounds; round++)); do
    for commit in durable asynchronous; do
        best=0
        for each in $(rotated "$round" oms ${rivals[*]}); do
            measure "$each" $commit
            if [ "$each" != oms ]; then best=$(ask "SELECT greatest($best, $rate)"); fi
        done
        record "$commit: the best rival" 'orders/s' "$best"
    done
    say "round $((round + 1)) of $rounds"
done
autovacuum off
psql_quiet -d postgres -c 'DROP DATABASE whole_run'
