#!/usr/bin/env bash
# Orders that run themselves, while you watch: a private PostgreSQL with the extension, a broker, the worker, customers, and a payment provider and a
# warehouse that fail now and then (examples/participant.py). Then one order that was turned back; a provider that dies and comes back; one order
# read back from the broker and compared with SQL; and the provider's books compared with ours. Everything stays below .run/ and ends with the demo.
#
#   make demo                   with the broker that is built into the worker's Kafka library: no Java needed
#   make demo BROKER=kafka      with a real Apache Kafka
#   make demo KEEP=1            leave everything running, and say how to look around
#   make demo ORDERS=2000       more of it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

orders=${ORDERS:-400}
visits_per_second=${RATE:-40}
broker_kind=${BROKER:-embedded}
topic=oms.order.events
state=.run/demo-files
worker=build/worker/oms-worker
faults='declined=0.06,transient=0.05,silent=0.01,lost=0.02,late=0.02,duplicate=0.03'
deadline_s=150  # for the whole picture: a demo that hangs says so

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() {
    echo "demo: $*" >&2
    [ ! -s "$state/worker.log" ] || { echo "the worker's last words:" >&2; tail -n 5 "$state/worker.log" >&2; }
    exit 1
}

pids=()
finish() {
    local status=$?
    [ "${KEEP:-0}" = 1 ] && [ $status -eq 0 ] && return
    for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
    wait
    if [ "$broker_kind" = kafka ]; then scripts/broker.sh stop demo >/dev/null 2>&1 || true; fi
    scripts/cluster.sh destroy demo >/dev/null 2>&1 || true
}
trap finish EXIT
trap 'exit 130' INT TERM

scripts/setup.sh
rm -rf "$state"
mkdir -p "$state"

say 'A private PostgreSQL, with the extension'
scripts/cluster.sh destroy demo >/dev/null 2>&1 || true
eval "$(scripts/cluster.sh start demo)"
export PGOPTIONS='-c client_min_messages=warning' PSQL_PAGER=cat
psql -Xqv ON_ERROR_STOP=1 <<'SQL'
CREATE EXTENSION oms;
CREATE ROLE shop LOGIN;
CREATE ROLE relay LOGIN;
CREATE ROLE partner LOGIN;
SELECT oms.grant_application('shop'), oms.grant_application('partner'), oms.grant_worker('relay') \g /dev/null
SQL
echo "PostgreSQL $(psql -XAtc 'SHOW server_version'), oms $(psql -XAtc 'SELECT oms.version()'): roles shop (the application), partner (its task workers), relay (oms-worker)"

say 'The saga that comes with it: order_fulfilment'
psql -XAtqf scripts/demo/saga_tree.sql
psql -XAtqc "SELECT oms.saga_graph('order_fulfilment')" >"$state/order_fulfilment.mmd"
echo "(its picture, in Mermaid: $state/order_fulfilment.mmd, from oms.saga_graph)"

say "A broker ($broker_kind)"
if [ "$broker_kind" = kafka ]; then
    eval "$(scripts/broker.sh start demo)"
    address=$KAFKA
else
    "$worker" broker --port-file "$state/broker" 2>>"$state/broker.log" >>"$state/broker.log" &
    pids+=($!)
    for _ in $(seq 100); do [ -s "$state/broker" ] && break; sleep 0.05; done
    [ -s "$state/broker" ] || die 'the broker did not come up'
    address=$(cat "$state/broker")
fi
echo "listens on $address"

say 'The worker'
"$worker" run --database "host=$PGHOST port=$PGPORT dbname=$PGDATABASE user=relay" --broker "$address" --start-at beginning \
    --http 127.0.0.1:0 >"$state/worker.log" 2>&1 &
worker_pid=$!
pids+=("$worker_pid")
echo "process $worker_pid, log $state/worker.log"

say 'Goods, a payment provider and a warehouse'
psql -Xqv ON_ERROR_STOP=1 >/dev/null <<'SQL'
SELECT oms.set_stock('SKU-' || i, CASE WHEN i % 8 = 0 THEN 4 ELSE 1000 END, 'stock-' || i) FROM generate_series(1, 40) i;
SELECT oms.set_fulfilment_policy('{"provider": "acme", "shipping": true}');
SQL
engage() {
    PGUSER=partner examples/participant.py "$1" --world "$state/outside_world" --seed 4 --faults "$faults" --lease '2 seconds' --sleep 0.2 2>>"$state/participants.log" &
    pids+=($!)
}
engage payments && provider=$!
engage shipping
echo "40 products, five of them scarce; every order is paid at acme and shipped by the warehouse"
echo "they misbehave: ${faults//,/, }"

say "Customers: $orders orders, $visits_per_second a second"
started=$(date +%s)
pgbench -n -U shop --random-seed=4 -M prepared -c 4 -j 1 -t $((orders / 4)) -R "$visits_per_second" -f scripts/demo/customer.pgbench >"$state/pgbench.log" 2>&1 &
customers=$!
pids+=("$customers")
while psql -XqtU shop -f scripts/demo/clerk.sql >/dev/null 2>>"$state/clerk.log"; do sleep 0.5; done &
clerk=$!
pids+=("$clerk")

# --- the picture ------------------------------------------------------------------------------------------------------

picture() {
    psql -XAtF '|' <<'SQL'
SELECT format('%-10s %5s  %s', status, n, repeat('#', (40 * n / greatest(max(n) OVER (), 1))::int))
  FROM (SELECT s.status, count(o.order_id) AS n, min(array_position('{pending,reserved,paid,confirmed,shipped,completed,canceled,refunded}', s.status)) AS place
          FROM oms.order_status s LEFT JOIN oms.orders o USING (status) GROUP BY s.status) t ORDER BY place;
SELECT format(E'\nsagas: %s running, %s turning back, %s completed, %s turned back, %s parked', count(*) FILTER (WHERE status = 'running'),
              count(*) FILTER (WHERE status = 'compensating'), count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE status = 'compensated'),
              count(*) FILTER (WHERE status = 'parked'))
  FROM oms.saga;
SELECT format('events in the log %s   waiting for the broker %s   oldest of them %s ms', (SELECT count(*) FROM oms.event), lag_events,
              round(1000 * coalesce(lag_seconds, 0)))
  FROM oms.reader_status('kafka');
SQL
}

ask() { psql -XAtqc "$1"; }
under_way() {
    ask "SELECT (SELECT count(*) FROM oms.saga WHERE status IN ('running', 'compensating'))
              + (SELECT count(*) FROM oms.payment_operation WHERE status IN ('pending', 'indeterminate'))"
}
in_time() {
    kill -0 "$worker_pid" 2>/dev/null || die 'the worker ended'
    [ $(($(date +%s) - started)) -lt $deadline_s ] || die "$1 within $deadline_s s"
}

lines=0
show() {
    local text
    text=$(picture) || return 0
    if [ -t 1 ] && [ $lines -gt 0 ]; then printf '\033[%dA' "$lines"; fi
    while IFS= read -r line; do printf '%s' "$line"; [ -t 1 ] && printf '\033[K'; printf '\n'; done <<<"$text"
    lines=$(wc -l <<<"$text")
}
watch_for() {
    in_time "$1"
    if [ -t 1 ]; then show; fi
    sleep 0.5
}

while kill -0 "$customers" 2>/dev/null; do watch_for 'the orders were not all placed'; done
wait "$customers" || { cat "$state/pgbench.log"; die 'a customer met an error'; }
until [ "$(under_way)" = 0 ] && [ "$(ask "SELECT count(*) FROM oms.orders WHERE status IN ('confirmed', 'shipped')")" = 0 ]; do watch_for 'the orders did not all end'; done
kill "$clerk" && wait "$clerk" 2>/dev/null || true
if [ -s "$state/clerk.log" ]; then
    cat "$state/clerk.log"
    die 'the clerk met an error'
fi
show
echo
echo 'Why orders were turned back:'
ask "SELECT format('%5s  %s', count(*), failure) FROM oms.saga WHERE status = 'compensated' GROUP BY failure ORDER BY count(*) DESC, 1"
echo 'What went wrong on the way:'
examples/participant.py --world "$state/outside_world" --report |
    jq -r 'to_entries | map(select(.key | test("^answers taken|^answers heard") | not) | "\(.key) \(.value)") | "  " + join(", ")'

# --- one that was turned back -------------------------------------------------------------------------------------------

say 'One order that was paid, could not be shipped, and was turned back'
turned_back=$(ask "SELECT s.saga_id FROM oms.saga s JOIN oms.saga_step t USING (saga_id) JOIN oms.payment p ON p.order_id = s.key::uuid
    WHERE s.status = 'compensated' AND t.name = 'ship' AND t.status = 'failed' AND p.status = 'refunded' ORDER BY s.saga_id LIMIT 1")
[ -n "$turned_back" ] || turned_back=$(ask "SELECT saga_id FROM oms.saga WHERE status = 'compensated' ORDER BY saga_id LIMIT 1")
{
    psql -Xq -P footer=off -v saga="$turned_back" <<'SQL'
SELECT seq, type, step, attempt, reason, to_char(occurred_at, 'HH24:MI:SS.MS') AS at FROM oms.saga_history(:saga) ORDER BY seq;
SELECT t.seq, t.type, t.prev_status, t.status, t.reason FROM oms.saga s, oms.order_timeline(s.key::uuid) t WHERE s.saga_id = :saga ORDER BY t.seq;
SQL
} | sed '${/^$/d}'

# --- a provider that dies -----------------------------------------------------------------------------------------------

say 'The payment provider dies'
{ kill -9 "$provider" && wait "$provider"; } 2>/dev/null || true  # the shell would report it
psql -XqU shop -v ON_ERROR_STOP=1 >/dev/null <<'SQL'
SELECT oms.pay_order(order_id, 'late-pay-' || i, method => jsonb_build_object('token', 'late-' || i))
FROM generate_series(1, 5) i, LATERAL oms.create_order('customer-41', 'EUR', '[{"sku": "SKU-1", "qty": 1, "price_minor": 1900}]', 'late-' || i);
SQL
echo "Five more orders: their goods are reserved, nobody takes the money. What oms.stuck says 70 seconds later (the session's clock is set ahead):"
psql -XAtq <<'SQL'
SELECT set_config('oms.now_override', (now() + interval '70 seconds')::text, false) \g /dev/null
SELECT format(E'\n  %s %s, %s times, for the first time %s\n  why         %s\n  what to do  %s', what, definition, count(*), to_char(min(since), 'HH24:MI:SS'), why, what_to_do)
FROM oms.stuck GROUP BY what, definition, why, what_to_do;
SQL
printf '\nDone: a worker claims queue payments again'
faults='' engage payments
until [ "$(under_way)" = 0 ]; do in_time 'the orders did not go on'; sleep 0.2; done
psql -XAtq <<'SQL'
SELECT format('; the five orders are %s, and oms.stuck has %s rows.', string_agg(DISTINCT status, ', '), (SELECT count(*) FROM oms.stuck))
FROM oms.orders WHERE customer_id = 'customer-41';
SQL

until [ "$(ask "SELECT lag_events FROM oms.reader_status('kafka')")" = 0 ]; do in_time 'the relay did not catch up'; sleep 0.2; done

# --- what the broker holds ------------------------------------------------------------------------------------------

say 'One order, read back from the broker'
kcat -b "$address" -C -t "$topic" -o beginning -e -q -J >"$state/messages"
order=$(psql -XAtc 'SELECT order_id FROM oms.orders ORDER BY last_seq DESC, order_id LIMIT 1')
jq -c --arg order "$order" 'select(.key == $order) | .payload | fromjson' "$state/messages" >"$state/from_kafka"
psql -XAtc "SELECT payload FROM oms.event WHERE topic = '$topic' AND key = '$order' ORDER BY id" | jq -c . >"$state/from_sql"
jq -r --arg order "$order" 'select(.key == $order) | .headers[(.headers | index("ce_type")) + 1] as $type | .payload | fromjson |
    [$type, .version, .prev_status // "-", .status, .reason // "", .occurred_at] | @tsv' "$state/messages" |
    awk -F '\t' 'BEGIN { line = "%-26s %-8s %-10s %-10s %-20s %s\n"; printf line, "event", "version", "from", "to", "reason", "at" } { printf line, $1, $2, $3, $4, $5, $6 }'
diff <(jq -cS . "$state/from_kafka") <(jq -cS . "$state/from_sql") || die "order $order differs between the broker and SQL"

in_sql=$(psql -XAtc "SELECT count(*) FROM oms.event WHERE topic = '$topic'")
in_kafka=$(wc -l <"$state/messages")
distinct=$(jq -r '.key + " " + (.payload | fromjson | .version | tostring) + " " + (.headers | join(","))' "$state/messages" | sort -u | wc -l)
echo
echo "order $order: the broker's messages equal the events in SQL, its shipments' among them, byte order aside"
jq -r '[.key, (.payload | fromjson | .occurred_at), .ts] | @tsv' "$state/messages" >"$state/times"
delays=$(psql -XAtqF ' ' <<SQL
CREATE TEMP TABLE sent (key text, occurred_at timestamptz, ms bigint);
\\copy sent FROM '$state/times'
SELECT string_agg(round(greatest(percentile, 0)::numeric, 1)::text, ' ms, at most for 99 of 100: ' ORDER BY percentile)
  FROM (SELECT unnest(percentile_cont('{0.5, 0.99}'::float8[]) WITHIN GROUP (ORDER BY ms - 1000 * extract(epoch FROM occurred_at)::float8)) AS percentile FROM sent) p;
SQL
)
echo "from the change to the hand-over to the broker, median: $delays ms"
echo "all orders: $in_sql events in the log, $in_kafka messages at the broker, $distinct of them distinct"
[ "$in_sql" = "$in_kafka" ] && [ "$in_kafka" = "$distinct" ] || die 'the log and the broker do not agree'

# --- the sums -----------------------------------------------------------------------------------------------------------

say 'The sums'
psql -XAtq <<'SQL'
SELECT rtrim(format('%-32s %5s %s', name, value, labels ->> 'definition')) FROM oms.saga_metrics() WHERE name !~ 'step' AND name !~ 'duration' ORDER BY name;
SELECT format('%-32s %5s x %8s ms on average', 'step ' || (labels ->> 'step'), n, round((1000 * seconds / n)::numeric, 1))
FROM (SELECT labels, max(value) FILTER (WHERE name ~ '_count$') AS n, max(value) FILTER (WHERE name ~ '_sum$') AS seconds
      FROM oms.saga_metrics() WHERE name ~ 'step_duration' GROUP BY labels) m
WHERE n > 0 AND labels ->> 'step' IN ('authorize', 'capture', 'ship') ORDER BY 1;
SQL
examples/participant.py --world "$state/outside_world" --books >"$state/books"
theirs=$(awk -F '\t' '$5 == "done" { n[$2] += $4 } END { printf "captured %d, refunded %d", n["payment.capture"], n["payment.refund"] }' "$state/books")
ours=$(ask "SELECT format('captured %s, refunded %s', sum(amount_minor) FILTER (WHERE amount_minor > 0), coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0))
    FROM oms.ledger_entry WHERE account = 'provider:acme'")
violations=$(ask 'SELECT count(*) FROM oms.check_integrity()')
echo
echo "the provider's books: $theirs cents"
echo "the ledger of oms:    $ours cents"
echo "violated invariants (oms.check_integrity): $violations"
[ "$theirs" = "$ours" ] || die 'the provider and the ledger do not agree'
[ "$violations" = 0 ] || die 'an invariant is violated'

if [ "${KEEP:-0}" = 1 ]; then
    say 'Everything stays up'
    echo "psql:   eval \"\$(scripts/cluster.sh env demo)\"; psql"
    echo "broker: kcat -b $address -C -t $topic -o beginning"
    echo "end it: kill ${pids[*]}; scripts/cluster.sh destroy demo$([ "$broker_kind" = kafka ] && echo '; scripts/broker.sh stop demo')"
    trap - EXIT
    disown -a
fi
