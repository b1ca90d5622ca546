# shellcheck shell=bash
# Sourced by run.sh. What the measurements in cases/ are made of: the private server, its tables, single measured stretches, results.

# The order that everybody writes, as a client sends it; bench.items() in sql/ground.sql is the same.
items='[{"sku": "SKU-001", "qty": 2, "price_minor": 10000}, {"sku": "SKU-002", "qty": 1, "price_minor": 2500}]'

# Nothing may run beside the measurement; what a commit costs is left as it is in production. The library is loaded when the server starts: one that
# is built and installed meanwhile must not join the run half way.
server_settings=(
    --set shared_preload_libraries=oms
    --set shared_buffers=1GB
    --set max_wal_size=8GB
    --set min_wal_size=4GB
    --set checkpoint_timeout=1d
    --set autovacuum=off
    --set jit=off
    --set max_connections=60
)

start_server() {
    local settings
    settings=$(scripts/cluster.sh start bench "${server_settings[@]}")
    eval "$settings"
    export PGDATABASE=oms_bench PGOPTIONS='-c client_min_messages=warning'
    psql_quiet -d postgres -c 'DROP DATABASE IF EXISTS oms_bench' -c 'CREATE DATABASE oms_bench'
    psql_quiet -c 'CREATE EXTENSION oms' -f bench/sql/rival_schema.sql -f bench/sql/twin.sql -v fill="$fill" -f bench/sql/ground.sql -f bench/sql/log.sql
    # Segments of WAL to be used again, so that nobody has to make new ones in a measured stretch.
    psql_quiet -c "SELECT pg_logical_emit_message(false, 'bench', repeat('x', 1000000)) FROM generate_series(1, 2000)" -c CHECKPOINT
}

psql_quiet() {
    psql -X -q -v ON_ERROR_STOP=1 "$@" >/dev/null
}

ask() {
    psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}

# Autovacuum as PostgreSQL has it: rivals that leave dead rows behind need it.
autovacuum() {
    ask "ALTER SYSTEM SET autovacuum = $1"
    ask 'SELECT pg_reload_conf()' >/dev/null
}

# Every measured stretch starts here: the same rows in all tables, and every page's next change a first one since a checkpoint.
restore() {
    ask 'CALL bench.restore()'
    ask 'CHECKPOINT'
}

# sql FILE [psql arguments]: runs a script of bench/sql and prints what it measured, separated by blanks.
sql() {
    local file=$1
    shift
    psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -v n="$orders" "$@" -f "bench/sql/$file" | sed -n 's/^measured //p'
}

# record CASE UNIT VALUE: one value of one round.
record() {
    printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$results/$bench.tsv"
}

# last_of CASE: the value that was recorded last.
last_of() {
    awk -F '\t' -v name="$1" '$1 == name { value = $3 } END { print value }' "$results/$bench.tsv"
}

# stretch CASE FILE [psql arguments]: runs a script with start.sql and stop.sql in it, and records what they measured.
stretch() {
    local name=$1 measured wall processor wal
    shift
    measured=$(sql "$@") || die "$name failed"
    read -r wall processor wal <<<"$measured"
    [ -n "$wal" ] || die "$name: nothing was measured"
    record "$name" us "$wall"
    record "$name, processor" us "$processor"
    record "$name, WAL" bytes "$wal"
}

# pgbench_run SCRIPT CLIENTS [pgbench arguments]: sets `tps` and `transactions`.
pgbench_run() {
    local script=$1 clients=$2 output
    shift 2
    output=$(pgbench -n -M prepared -c "$clients" -j "$((clients < processors ? clients : processors))" -f "bench/pgbench/$script.sql" \
        -D items="$items" "$@" 2>&1) || { printf '%s\n' "$output" >&2; die "pgbench $script failed"; }
    [[ $output == *'failed transactions: 0 '* ]] || { printf '%s\n' "$output" >&2; die "pgbench $script: failed transactions"; }
    transactions=$(sed -nE 's,^number of transactions actually processed: ([0-9]+).*,\1,p' <<<"$output")
    tps=$(sed -nE 's/^tps = ([0-9.]+).*/\1/p' <<<"$output")
}

# Prints its arguments from the second on, beginning with another one each round: whoever comes first in a round is not always the same.
rotated() {
    local round=$1 i
    shift
    for ((i = 0; i < $#; i++)); do
        printf '%s\n' "${@:$(((round + i) % $# + 1)):1}"
    done
}

say() {
    echo "   $*" >&2
}

# processor_us PID: what a process has used of the processor, all its threads, to a hundredth of a second.
processor_us() {
    local stat
    stat=$(<"/proc/$1/stat")
    read -r -a stat <<<"${stat##*) }"
    echo $(((stat[11] + stat[12]) * 10000))
}

# server_processor_us: the same for the server: its first process, the children that have ended, and those that live.
server_processor_us() {
    local server stat sum child
    server=$(ask "SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)")
    stat=$(<"/proc/$server/stat")
    read -r -a stat <<<"${stat##*) }"
    sum=$(((stat[11] + stat[12] + stat[13] + stat[14]) * 10000))
    for child in $(pgrep -P "$server"); do sum=$((sum + $(processor_us "$child" 2>/dev/null || echo 0))); done
    echo "$sum"
}
