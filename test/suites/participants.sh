#!/usr/bin/env bash
# Goal: whatever the participants do, every saga ends, or is parked with a reason; and what the provider took is what oms says was captured.
# Method: some hundred orders and sagas, worked off by simulated participants (examples/participant.py) that decline, hang, answer late, twice or never,
# and are killed, by themselves and from outside. The outside world keeps books in a file of its own, which are compared with the tables at the end.
# Time is the settable clock of the whole server: it is moved on to the next thing that is due when nobody has anything to do.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
seed=${SEED:-7}
orders=300
foreign=100     # sagas whose goods are kept elsewhere
deadline_s=240  # nothing is asserted about speed; this says only that it hangs
faults='declined=0.1,transient=0.08,silent=0.04,lost=0.05,late=0.06,duplicate=0.08,unsure=0.3,killed=0.04'
queues=(payments payments shipping checks inventory)
passed=0
failed=0
check() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "not ok: $1: '$2', wanted '$3'"
    fi
}
ask() { psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"; }

export PGOPTIONS='-c client_min_messages=warning'
PGDATABASE=postgres ask 'DROP DATABASE IF EXISTS oms_participants' && PGDATABASE=postgres ask 'CREATE DATABASE oms_participants' || exit
export PGDATABASE=oms_participants
world=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    wait 2>/dev/null
    psql -Xqt -c "LOAD 'oms'" -c 'ALTER SYSTEM RESET oms.now_override' -c 'SELECT pg_reload_conf()' >/dev/null
    rm -rf "$world"
}
trap finish EXIT

# --- the shop ---------------------------------------------------------------------------------------------------------

# What else is given is done by the new time.
move_clock() {
    psql -Xqt -v ON_ERROR_STOP=1 -c "LOAD 'oms'" -c "ALTER SYSTEM SET oms.now_override = '$1'" -c 'SELECT pg_reload_conf()' -c "SET oms.now_override = '$1'" \
        ${2:+-c "$2"} >/dev/null
}

ask 'CREATE EXTENSION oms'
now=$(ask "SELECT date_trunc('second', now())")
move_clock "$now"
psql -Xq -v ON_ERROR_STOP=1 -v orders="$orders" -v foreign="$foreign" >/dev/null <<'SQL' || exit
-- Goods for about nine of ten, so that some orders find none.
SELECT oms.set_stock('s' || i, 60, 'stock-' || i) FROM generate_series(0, 7) i;
SELECT oms.set_fulfilment_policy('{"provider": "sim"}');
CREATE TABLE visit AS
    SELECT i, order_id FROM generate_series(1, :orders) i,
        oms.create_order('customer-' || i, 'EUR', jsonb_build_array(jsonb_build_object('sku', 's' || i % 8, 'qty', 1 + i % 3, 'price_minor', 100 + i)), 'create-' || i);
SELECT oms.pay_order(order_id, 'pay-' || i, method => jsonb_build_object('token', 't' || i), policy => CASE i % 6
    WHEN 0 THEN '{"shipping": true}' WHEN 1 THEN '{"checks": ["fraud", "credit"], "shipping": true}' WHEN 2 THEN '{"capture_delay_ms": 60000}'
    WHEN 3 THEN '{"auth_only": true}' ELSE '{}' END::jsonb) FROM visit;
SELECT oms.define_saga('elsewhere', '{"steps": [
    {"name": "goods", "kind": "task", "queue": "inventory", "task": "inventory.reserve", "retry": {"attempts": 5, "base_ms": 100, "factor": 2},
     "compensation": {"queue": "inventory", "task": "inventory.release"}},
    {"name": "ship", "kind": "task", "queue": "shipping", "task": "shipment.create", "retry": {"attempts": 3, "base_ms": 100, "factor": 2},
     "compensation": {"queue": "shipping", "task": "shipment.cancel", "barrier": true}}]}');
SELECT oms.start_saga('elsewhere', jsonb_build_object('qty', 1 + i % 4, 'method', jsonb_build_object('token', 'e' || i)), 'start-' || i, 'elsewhere-' || i)
FROM generate_series(1, :foreign) i;
SQL

# --- the participants, and time ---------------------------------------------------------------------------------------

engage() {
    examples/participant.py "${queues[$1]}" --world "$world/books" --seed "$seed" --faults "$faults" --lease '10 seconds' --sleep 0.1 \
        2>>"$world/errors" &
    pids[$1]=$!
    disown  # its death is no news
}

# Customers change their minds in the middle of it, or want a part of their money back, whatever their order is doing: some are told to wait.
change_minds() {
    psql -Xqt >/dev/null 2>>"$world/minds" <<'SQL'
SELECT format('SELECT oms.cancel_order(%L, ''changed my mind'', %L)', order_id, 'cancel-' || i) FROM visit WHERE i % 8 = 0 \gexec
SELECT format('SELECT oms.refund_order(%L, 60, ''dented'', %L)', order_id, 'refund-' || i) FROM visit WHERE i % 8 = 4 \gexec
SQL
}

examples/participant.py --world "$world/books" --report >/dev/null
for i in "${!queues[@]}"; do engage "$i"; done
RANDOM=$seed
kills=0 moves=0 rounds=0 seen=
visits=0
started=$SECONDS
while :; do
    rounds=$((rounds + 1))
    IFS='|' read -r open closed ready progress due < <(ask "SELECT
        (SELECT count(*) FROM oms.saga WHERE status IN ('running', 'compensating'))
            + (SELECT count(*) FROM oms.payment_operation WHERE status IN ('pending', 'indeterminate')),
        (SELECT count(*) FROM oms.saga WHERE status NOT IN ('running', 'compensating')),
        (SELECT count(*) FROM oms.task WHERE status = 'ready' AND run_at <= oms.clock_time()),
        (SELECT coalesce(max(id), 0) FROM oms.event) || '/' || (SELECT coalesce(max(lease_epoch), 0) FROM oms.task),
        greatest(oms.next_due(), oms.clock_time()) + interval '1 second'")
    if [ "$open" = 0 ] && [ $visits -gt 4 ]; then break; fi
    if [ $((SECONDS - started)) -gt $deadline_s ]; then
        echo "after $deadline_s s $open sagas and payment operations are open:"
        ask "SELECT saga_id, definition, status, waits_for FROM oms.saga WHERE finished_at IS NULL LIMIT 20"
        failed=$((failed + 1))
        break
    fi
    if [ "$open" = 0 ] || { [ $visits -lt 4 ] && [ "$closed" -ge $((visits * 80)) ]; }; then
        visits=$((visits + 1))
        change_minds
    fi
    if [ $((rounds % 3)) = 0 ]; then
        victim=$((RANDOM % ${#queues[@]}))
        if kill -9 "${pids[victim]}" 2>/dev/null; then kills=$((kills + 1)); fi
    fi
    for i in "${!queues[@]}"; do
        kill -0 "${pids[i]}" 2>/dev/null || engage "$i"
    done
    if [ "$ready" = 0 ] && [ "$progress" = "$seen" ] && [ -n "$due" ]; then
        move_clock "$due" 'SELECT oms.run_due()'
        moves=$((moves + 1))
    fi
    seen=$progress
done
for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
wait 2>/dev/null
pids=()

# --- the books --------------------------------------------------------------------------------------------------------

ask "CREATE TABLE book (key text, kind text, subject text, amount bigint, outcome text)"
examples/participant.py --world "$world/books" --books >"$world/books.tsv"
ask "\\copy book FROM '$world/books.tsv'"
check 'every saga has ended, or is parked with a reason' "$(ask "SELECT count(*) FROM oms.saga s WHERE finished_at IS NULL
    AND NOT (status = 'parked' AND EXISTS (SELECT FROM oms.stuck WHERE id = saga_id::text AND why <> ''))")" 0
check 'integrity' "$(ask 'SELECT * FROM oms.check_integrity()')" ''
check 'the provider was never asked for anything senseless' "$(examples/participant.py --world "$world/books" --report | jq '.offences // 0')" 0
both="(SELECT key, kind, amount FROM book WHERE outcome = 'done' AND kind IN ('payment.authorize', 'payment.capture', 'payment.void', 'payment.refund'))"
ours="(SELECT operation_id::text, 'payment.' || kind, amount_minor FROM oms.payment_operation WHERE status = 'succeeded' AND kind <> 'reconcile')"
check 'what the provider did, oms knows' "$(ask "$both EXCEPT $ours")" ''
check 'what oms says was done, the provider did' "$(ask "$ours EXCEPT $both")" ''
check 'no operation is open' "$(ask "SELECT status, count(*) FROM oms.payment_operation WHERE status NOT IN ('succeeded', 'failed') AND kind <> 'reconcile' GROUP BY 1")" ''
check 'the ledger says what the provider took' "$(ask "SELECT * FROM
    (SELECT subject, sum(CASE kind WHEN 'payment.capture' THEN amount WHEN 'payment.refund' THEN -amount END) AS money FROM book WHERE outcome = 'done' GROUP BY 1) b
    FULL JOIN (SELECT payment_id::text AS subject, sum(amount_minor) AS money FROM oms.ledger_entry WHERE account = 'provider:sim' GROUP BY 1) l USING (subject)
    WHERE coalesce(b.money, 0) <> coalesce(l.money, 0)")" ''
check 'the ledger adds up to zero' "$(ask 'SELECT sum(amount_minor) FROM oms.ledger_entry')" 0
check 'of each order the customer paid what is captured and not refunded' "$(ask "SELECT o.order_id FROM oms.orders o JOIN oms.payment p USING (order_id)
    WHERE p.status <> 'authorized' GROUP BY o.order_id, o.paid_minor, o.refunded_minor
    HAVING o.paid_minor - o.refunded_minor <> sum(p.captured_minor - p.refunded_minor)")" ''
check 'a canceled order costs nothing, a confirmed one is paid or authorized' "$(ask "SELECT o.order_id, o.status, p.status FROM oms.orders o LEFT JOIN oms.payment p USING (order_id)
    WHERE (o.status = 'canceled' AND p.status NOT IN ('declined', 'voided', 'refunded')) OR (o.status = 'confirmed' AND p.authorized_minor IS DISTINCT FROM o.total_minor)
       OR o.status NOT IN ('canceled', 'confirmed')")" ''
check 'the stock lacks what was sold' "$(ask "SELECT sku, on_hand, reserved, sold FROM (SELECT sku, sum(on_hand) AS on_hand, sum(reserved) AS reserved FROM oms.stock GROUP BY 1) s
    LEFT JOIN (SELECT sku, sum(qty) AS sold FROM oms.order_item JOIN oms.orders USING (order_id) WHERE status = 'confirmed' GROUP BY 1) o USING (sku)
    WHERE on_hand <> 60 - coalesce(sold, 0) OR reserved <> 0")" ''
shipped="(SELECT subject FROM book WHERE kind = 'shipment.create' AND outcome = 'done' EXCEPT SELECT subject FROM book WHERE kind = 'shipment.cancel' AND outcome = 'done')"
to_ship="(SELECT order_id::text FROM visit JOIN oms.orders USING (order_id) WHERE i % 6 IN (0, 1) AND status = 'confirmed'
    UNION SELECT key FROM oms.saga WHERE definition = 'elsewhere' AND status = 'completed')"
check 'what was shipped is what was sold with shipping' "$(ask "($shipped EXCEPT $to_ship) UNION ALL ($to_ship EXCEPT $shipped)")" ''
check 'goods kept elsewhere: held for the sagas that completed' "$(ask "SELECT
    (SELECT sum(CASE kind WHEN 'inventory.reserve' THEN amount ELSE -amount END) FROM book WHERE kind LIKE 'inventory.%' AND outcome = 'done')
    - (SELECT sum((data ->> 'qty')::int) FROM oms.saga WHERE definition = 'elsewhere' AND status = 'completed')")" 0
check 'the participants met no error but late answers' "$(grep -cvE '^$' "$world/errors")" 0
[ ! -s "$world/errors" ] || tail -n 20 "$world/errors"

# --- what was injected ------------------------------------------------------------------------------------------------

injected=$(examples/participant.py --world "$world/books" --report)
echo "injected (seed $seed): $(jq -r 'to_entries | map("\(.key) \(.value)") | join(", ")' <<<"$injected"), killed from outside $kills, answers to customers who had to wait $(grep -c ERROR "$world/minds"); the clock was moved $moves times"
echo "orders: $(ask "SELECT string_agg(status || ' ' || n, ', ') FROM (SELECT status, count(*) AS n FROM oms.orders GROUP BY 1 ORDER BY 1) t"); \
sagas: $(ask "SELECT string_agg(definition || ' ' || status || ' ' || n, ', ') FROM (SELECT definition, status, count(*) AS n FROM oms.saga GROUP BY 1, 2 ORDER BY 1, 2) t")"
echo "operations at the provider: $(ask "SELECT string_agg(kind || ' ' || status || ' ' || n, ', ') FROM (SELECT kind, status, count(*) AS n FROM oms.payment_operation GROUP BY 1, 2 ORDER BY 1, 2) t")"
for fault in declined transient silent lost late duplicate unsure killed 'killed before it asks' 'killed when it was answered' 'killed when it has answered' \
    'answers too late' 'answers heard before'; do
    check "some $fault" "$(jq --arg fault "$fault" '(.[$fault] // 0) > 0' <<<"$injected")" true
done
check 'some orders were canceled, and some money given back, in the middle of it' "$(ask "SELECT count(*) > 0 AND (SELECT count(*) > 0 FROM oms.refund WHERE reason = 'dented' AND status = 'done')
    FROM oms.saga WHERE failure ~ 'changed my mind' AND status = 'compensated'")" t
check 'some were told to wait, and nothing else' "$(grep ERROR "$world/minds" | grep -cvE 'cannot (cancel|refund|be refunded)|another operation')" 0
check 'some were killed from outside' "$((kills > 0))" 1
check 'some goods were sold out' "$(ask "SELECT count(*) > 0 FROM oms.event WHERE type = 'inventory.failed'")" t
check 'some outcomes were not known' "$(ask "SELECT count(*) > 0 FROM oms.payment_operation WHERE kind = 'reconcile' AND status = 'succeeded'")" t
echo "suite participants: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
