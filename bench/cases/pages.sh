# shellcheck shell=bash
# How many pages oms.get_order and oms.order_timeline touch, for orders from all over tables that grow. The orders have three events each, and these
# lie as far apart in the log as they can. Each size is also measured as a new installation has it after a large import: before the first ANALYZE.
export PGOPTIONS='-c client_min_messages=warning -c synchronous_commit=off'

ask 'CALL bench.clear()'
psql_quiet -f bench/sql/grow.sql

forget_statistics() {
    ask "DELETE FROM pg_statistic USING pg_class WHERE starelid = pg_class.oid AND relnamespace = 'oms'::regnamespace"
    ask "UPDATE pg_class SET relpages = 0, reltuples = -1 WHERE relkind IN ('r', 'i') AND relnamespace = 'oms'::regnamespace"
}

count_pages() {
    local size=$1 situation=$2 measured query pages
    measured=$(sql pages.sql -v size="$size")
    while read -r query pages; do
        record "oms.$query$situation at $size orders" pages "$pages"
    done <<<"$measured"
}

first=1
for size in "${sizes[@]}"; do
    say "$size orders"
    each=$(((size - first + 1) / processors))
    workers=()
    for ((i = 0; i < processors; i++)); do
        from=$((first + i * each))
        to=$((i == processors - 1 ? size : from + each - 1))
        ask "CALL bench.grow($from, $to)" &
        workers+=($!)
    done
    for worker in "${workers[@]}"; do wait "$worker" || die 'growing the tables failed'; done
    ask "CALL bench.take_sample($size, $sample_size)"
    forget_statistics
    count_pages "$size" ' without statistics'
    ask 'ANALYZE oms.orders, oms.order_item, oms.event, oms.idempotency_key'
    count_pages "$size" ''
    first=$((size + 1))
done
ask 'DROP PROCEDURE bench.grow; DROP PROCEDURE bench.take_sample; DROP FUNCTION bench.pages; DROP TABLE bench.sample'
