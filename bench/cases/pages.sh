# shellcheck shell=bash
# How many pages oms.get_order and oms.order_timeline touch, for orders from all over tables that grow. The orders have three events each, and these
# lie as far apart in the log as they can.
export PGOPTIONS='-c client_min_messages=warning -c synchronous_commit=off'

ask 'CALL bench.clear()'
psql_quiet -f bench/sql/grow.sql
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
    ask 'VACUUM ANALYZE oms.orders, oms.order_item, oms.event, oms.idempotency_key'
    measured=$(sql pages.sql -v size="$size")
    while read -r query pages; do
        record "oms.$query at $size orders" pages "$pages"
    done <<<"$measured"
    first=$((size + 1))
done
ask 'DROP PROCEDURE bench.grow; DROP PROCEDURE bench.take_sample; DROP FUNCTION bench.pages; DROP TABLE bench.sample'
