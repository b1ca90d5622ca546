# shellcheck shell=bash
# What a backend's memory is after many calls in one session: made inside the server with commits in between, and coming one by one through libpq,
# each a transaction. One round: this is not a matter of time.
calls_inside() {
    echo "CALL bench.create_one_by_one($1, $2);"
}

# Written here and not by a query of the session: its memory would be measured as well.
calls_through_libpq() {
    seq "$1" "$2" | sed "s/.*/SELECT order_id, version FROM oms.create_order('customer-&', 'EUR', '$items', 'one-by-one-&');/"
}

session() {
    local calls=$1 early=$2 late=$3
    echo 'SET synchronous_commit = off;'
    "$calls" 1 "$early"
    echo "\\set calls $early"
    echo '\ir bench/sql/memory_sample.sql'
    "$calls" "$((early + 1))" "$late"
    echo "\\set calls $late"
    echo '\ir bench/sql/memory_sample.sql'
    echo "SELECT bench.holds('oms', $late);"
}

measure() {
    local name=$1 calls=$2 late=$3 measured number contexts private
    restore
    say "$name, $late calls"
    measured=$(session "$calls" "$((late / 10))" "$late" | psql -X -q -v ON_ERROR_STOP=1 -o /dev/null -f - | sed -n 's/^measured //p')
    while read -r number contexts private; do
        record "$name: memory contexts after $number calls" kB "$contexts"
        record "$name: private memory after $number calls" kB "$private"
    done <<<"$measured"
}

measure 'inside the server' calls_inside "$memory_calls"
measure 'through libpq' calls_through_libpq "$memory_client_calls"
