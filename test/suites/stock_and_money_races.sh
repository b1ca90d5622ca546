#!/usr/bin/env bash
# Goal: whatever the interleaving, nothing is sold twice and nothing is given back twice.
# Method: real sessions that wait for one lock and are let go together. Afterwards the outcomes are counted, and the integrity checks must be silent.
# There is no sleep to be right: the lock is released when the server says that every session waits for it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

name=stock_and_money_races
database=oms_races
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0
failed=0

sql() { psql -X -q -At -v ON_ERROR_STOP=1 -d "$database" -c "$1"; }

check() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "ok: $1 ($2)"
    else
        failed=$((failed + 1))
        echo "not ok: $1: $2, wanted $3"
    fi
}

silent_integrity() { check "integrity after $1" "$(sql 'SELECT string_agg(c::text, E'"'\n'"') FROM oms.check_integrity() c')" ''; }

# together FILE...: runs each file in a session of its own, all let go at once. Each leaves its SQLSTATE, or 00000, in FILE.state.
together() {
    local gate file
    coproc gate { exec psql -X -q -At -d "$database"; }
    echo 'SELECT pg_advisory_lock(4711);' >&"${gate[1]}"
    read -r -u "${gate[0]}" _
    for file in "$@"; do
        psql -X -q -At -d "$database" -v VERBOSITY=sqlstate -v ON_ERROR_STOP=1 -c 'SELECT pg_advisory_lock_shared(4711)' \
            -c "$(cat "$file")" >"$file.out" 2>"$file.err" &
        pids[${#pids[@]}]=$!
    done
    until [ "$(sql "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted")" = $# ]; do :; done
    echo 'SELECT pg_advisory_unlock(4711);' >&"${gate[1]}"
    wait "${pids[@]}"
    pids=()
    echo '\q' >&"${gate[1]}"
    wait "$gate_PID" 2>/dev/null
    for file in "$@"; do
        if [ -s "$file.err" ]; then sed -nE 's/^.*ERROR: +([0-9A-Z]{5}).*$/\1/p' "$file.err"; else echo 00000; fi >"$file.state"
    done
}
pids=()

count_state() {
    local state=$1
    shift
    cat "${@/%/.state}" | grep -cx "$state"
}

others() {
    cat "${@/%/.state}" | grep -vxE '00000|OM010|OM013' | sort | uniq -c | tr -s ' \n' ' '
}

new_order() { # items
    sql "SELECT order_id FROM oms.create_order('racer', 'EUR', '$1', gen_random_uuid()::text)"
}

answer_all() {
    sql "SELECT count(*) FROM oms.claim_tasks('payments', 1000) t, LATERAL oms.complete_task(t.task_id, t.lease_epoch, '{}')" >/dev/null
}

captured_payment() { # a payment of 5000 that is captured
    local order payment
    order=$(new_order '[{"sku": "gold", "qty": 1, "price_minor": 5000}]')
    payment=$(sql "SELECT payment_id FROM oms.authorize_payment('$order', idempotency_key => gen_random_uuid()::text)")
    answer_all
    sql "SELECT oms.capture_payment('$payment', idempotency_key => gen_random_uuid()::text)" >/dev/null
    answer_all
    sql "SELECT oms.advance_order('$order', action, gen_random_uuid()::text) FROM unnest('{reserve, pay}'::text[]) action" >/dev/null
    echo "$payment"
}

refund_race() { # amounts...: leaves the payment in $payment and the sessions' files in $race_files
    local i=0 amount files=()
    payment=$(captured_payment)
    for amount in "$@"; do
        i=$((i + 1))
        files+=("$scratch/refund$i")
        echo "SELECT oms.refund_payment('$payment', $amount, 'race', 'race-$payment-$i')" >"$scratch/refund$i"
    done
    together "${files[@]}"
    race_files=("${files[@]}")
}

buyers_race() { # buyers, items of the odd ones, items of the even ones
    local order files=()
    for order in $(sql "SELECT order_id FROM generate_series(1, $1) i, LATERAL oms.create_order('racer', 'EUR',
            CASE WHEN i % 2 = 1 THEN '$2'::jsonb ELSE '$3' END, gen_random_uuid()::text || i)"); do
        files+=("$scratch/buyer-$order")
        echo "SELECT oms.reserve('$order', 'race-$order')" >"$scratch/buyer-$order"
    done
    together "${files[@]}"
    race_files=("${files[@]}")
}

dropdb --if-exists "$database" 2>/dev/null
createdb "$database" && sql 'CREATE EXTENSION oms' || exit

for round in 1 2 3; do
    # shellcheck disable=SC2046  # one amount for each word
    refund_race $(sql 'SELECT 4000 + (random() * 3500)::int FROM generate_series(1, 16)')
    granted=$(count_state 00000 "${race_files[@]}")
    echo "16 refunds of 40 to 75 on a payment of 50, round $round: $granted granted, $(count_state OM013 "${race_files[@]}") refused"
    check "at most one of them fits" "$((granted <= 1))" 1
    check "nothing else went wrong" "$(others "${race_files[@]}")" ''
    check "never above what was captured" "$(sql "SELECT refunded_minor + refund_pending_minor <= captured_minor FROM oms.payment WHERE payment_id = '$payment'")" t
    answer_all
    check "nor when the provider has done them" "$(sql "SELECT refunded_minor <= captured_minor AND refund_pending_minor = 0 FROM oms.payment WHERE payment_id = '$payment'")" t
done

refund_race 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500 500
check '16 refunds of 5 on a payment of 50: granted' "$(count_state 00000 "${race_files[@]}")" 10
check '16 refunds of 5 on a payment of 50: refused' "$(count_state OM013 "${race_files[@]}")" 6
answer_all
check 'the order is refunded' "$(sql "SELECT o.status || ' ' || o.refunded_minor FROM oms.orders o JOIN oms.payment p USING (order_id) WHERE payment_id = '$payment'")" 'refunded 5000'

payment=$(captured_payment)
for i in 1 2 3 4 5 6 7 8; do echo "SELECT oms.refund_payment('$payment', 500, 'race', 'the same key')" >"$scratch/twin$i"; done
together "$scratch"/twin[1-8]
check '8 twins of one refund: one refund' "$(sql "SELECT count(*) || ' of ' || sum(amount_minor) FROM oms.refund WHERE payment_id = '$payment'")" '1 of 500'
silent_integrity 'the refunds'

for buckets in 1 4 16; do
    sku=last-$buckets
    sql "SELECT oms.set_stock('$sku', 10, gen_random_uuid()::text, $buckets)" >/dev/null
    item="[{\"sku\": \"$sku\", \"qty\": 1, \"price_minor\": 1}]"
    buyers_race 64 "$item" "$item"
    check "64 buyers of the last 10 pieces in $buckets bucket(s): served" "$(count_state 00000 "${race_files[@]}")" 10
    check "64 buyers of the last 10 pieces in $buckets bucket(s): sent away" "$(count_state OM010 "${race_files[@]}")" 54
    check "the stock of $sku" "$(sql "SELECT reserved || ' of ' || on_hand FROM oms.list_stock('{\"sku\": \"$sku\"}')")" '10 of 10'
done

# Two items, named in either order, in buckets: whoever takes them takes them in one order, so that nobody waits in a circle.
sql "SELECT oms.set_stock('left', 20, 'left'), oms.set_stock('right', 20, 'right', 4)" >/dev/null
buyers_race 32 '[{"sku": "left", "qty": 1, "price_minor": 1}, {"sku": "right", "qty": 1, "price_minor": 1}]' \
    '[{"sku": "right", "qty": 1, "price_minor": 1}, {"sku": "left", "qty": 1, "price_minor": 1}]'
check '32 buyers of two items in either order: served' "$(count_state 00000 "${race_files[@]}")" 20
check 'none waited in a circle' "$(others "${race_files[@]}")" ''
silent_integrity 'the sale'

dropdb "$database"
echo "suite $name: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
