#!/usr/bin/env bash
# Orders living their lives, while you watch: a private PostgreSQL with the extension, a broker, the worker, and customers. At the end the life of one
# order is read back from the broker and compared with the one in SQL. Everything stays below .run/ and ends with the demo.
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
deadline_s=120  # for the whole picture: a demo that hangs says so

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
export PGOPTIONS='-c client_min_messages=warning'
psql -Xqv ON_ERROR_STOP=1 <<'SQL'
CREATE EXTENSION oms;
CREATE ROLE shop LOGIN;
CREATE ROLE relay LOGIN;
SELECT oms.grant_application('shop') \g /dev/null
SELECT oms.grant_worker('relay') \g /dev/null
SQL
echo "PostgreSQL $(psql -XAtc 'SHOW server_version'), oms $(psql -XAtc 'SELECT oms.version()'): roles shop (the application) and relay (the worker)"

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

say "Customers: $orders orders, $visits_per_second a second"
started=$(date +%s)
pgbench -n -U shop -M prepared -c 4 -j 1 -t $((orders / 4)) -R "$visits_per_second" -f scripts/demo/life.pgbench >"$state/pgbench.log" 2>&1 &
customers=$!
pids+=("$customers")

# --- the picture ------------------------------------------------------------------------------------------------------

picture() {
    psql -XAtF '|' <<'SQL'
SELECT format('%-10s %5s  %s', status, n, repeat('#', (40 * n / greatest(max(n) OVER (), 1))::int))
  FROM (SELECT s.status, count(o.order_id) AS n, min(array_position('{pending,reserved,paid,confirmed,shipped,completed,canceled,refunded}', s.status)) AS place
          FROM oms.order_status s LEFT JOIN oms.orders o USING (status) GROUP BY s.status) t ORDER BY place;
SELECT format(E'\nevents in the log %s   waiting for the broker %s   oldest of them %s ms', (SELECT count(*) FROM oms.event), lag_events,
              round(1000 * coalesce(lag_seconds, 0)))
  FROM oms.reader_status('kafka');
SQL
}

behind() { psql -XAtc "SELECT lag_events FROM oms.reader_status('kafka')"; }

lines=0
show() {
    local text
    text=$(picture) || return 0
    if [ -t 1 ] && [ $lines -gt 0 ]; then printf '\033[%dA' "$lines"; fi
    while IFS= read -r line; do printf '%s' "$line"; [ -t 1 ] && printf '\033[K'; printf '\n'; done <<<"$text"
    lines=$(wc -l <<<"$text")
}

while kill -0 "$customers" 2>/dev/null; do
    kill -0 "$worker_pid" 2>/dev/null || die 'the worker ended'
    [ $(($(date +%s) - started)) -lt $deadline_s ] || die "the orders did not finish within $deadline_s s"
    if [ -t 1 ]; then show; sleep 0.5; else sleep 3; fi
done
wait "$customers" || { cat "$state/pgbench.log"; die 'a customer met an error'; }
until [ "$(behind)" = 0 ]; do
    [ $(($(date +%s) - started)) -lt $deadline_s ] || die "the relay did not catch up within $deadline_s s"
    sleep 0.2
done
lines=0
show

# --- what the broker holds ------------------------------------------------------------------------------------------

say 'One order, read back from the broker'
kcat -b "$address" -C -t "$topic" -o beginning -e -q -J >"$state/messages"
order=$(psql -XAtc 'SELECT order_id FROM oms.orders ORDER BY last_seq DESC, order_id LIMIT 1')
jq -c --arg order "$order" 'select(.key == $order) | .payload | fromjson' "$state/messages" >"$state/from_kafka"
psql -XAtc "SELECT payload FROM oms.order_timeline('$order') ORDER BY seq" | jq -c . >"$state/from_sql"
jq -r '[.version, .prev_status // "-", .status, .reason // "", .occurred_at] | @tsv' "$state/from_kafka" |
    awk -F '\t' 'BEGIN { printf "%-8s %-10s %-10s %-24s %s\n", "version", "from", "to", "reason", "at" } { printf "%-8s %-10s %-10s %-24s %s\n", $1, $2, $3, $4, $5 }'
diff <(jq -cS . "$state/from_kafka") <(jq -cS . "$state/from_sql") || die "order $order differs between the broker and SQL"

in_sql=$(psql -XAtc "SELECT count(*) FROM oms.event WHERE topic = '$topic'")
in_kafka=$(wc -l <"$state/messages")
distinct=$(jq -r '.key + " " + (.payload | fromjson | .version | tostring) + " " + (.headers | join(","))' "$state/messages" | sort -u | wc -l)
violations=$(psql -XAtc 'SELECT count(*) FROM oms.check_integrity()')
echo
echo "order $order: the broker's messages equal the timeline in SQL, byte order aside"
jq -r '[.key, (.payload | fromjson | .occurred_at), .ts] | @tsv' "$state/messages" >"$state/times"
delays=$(psql -XAtqF ' ' <<SQL
CREATE TEMP TABLE sent (key text, occurred_at timestamptz, ms bigint);
\\copy sent FROM '$state/times'
SELECT string_agg(round(greatest(percentile, 0)::numeric, 1)::text, ' ms, at most for 99 of 100: ' ORDER BY percentile)
  FROM (SELECT unnest(percentile_cont('{0.5, 0.99}'::float8[]) WITHIN GROUP (ORDER BY ms - 1000 * extract(epoch FROM occurred_at)::float8)) AS percentile FROM sent) p;
SQL
)
echo "from the change to the hand-over to the broker, median: $delays ms"
echo "all orders: $in_sql events in the log, $in_kafka messages at the broker, $distinct of them distinct; violated invariants: $violations"
[ "$in_sql" = "$in_kafka" ] && [ "$in_kafka" = "$distinct" ] && [ "$violations" = 0 ] || die 'the log and the broker do not agree'

if [ "${KEEP:-0}" = 1 ]; then
    say 'Everything stays up'
    echo "psql:   eval \"\$(scripts/cluster.sh env demo)\"; psql"
    echo "broker: kcat -b $address -C -t $topic -o beginning"
    echo "end it: kill ${pids[*]}; scripts/cluster.sh destroy demo$([ "$broker_kind" = kafka ] && echo '; scripts/broker.sh stop demo')"
    trap - EXIT
    disown -a
fi
