# shellcheck shell=bash
# What a backend's memory is after many calls in one session: made inside the server with commits in between, and coming one by one through libpq.
# One round: this is not a matter of time.
measure() {
    local name=$1 client=$2 early=$3 late=$4 measured calls contexts private
    restore
    say "$name, $late calls"
    measured=$(sql memory.sql -o /dev/null -v client="$client" -v early="$early" -v late="$late")
    while read -r calls contexts private; do
        record "$name: memory contexts after $calls calls" kB "$contexts"
        record "$name: private memory after $calls calls" kB "$private"
    done <<<"$measured"
}

measure 'inside the server' off "$((memory_calls / 10))" "$memory_calls"
measure 'through libpq' on "$((memory_client_calls / 10))" "$memory_client_calls"
