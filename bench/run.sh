#!/usr/bin/env bash
# Measures oms and its rivals in one run, side by side, on a private server, and prints tables: medians of several rounds, with the spread.
#
#   bench/run.sh                     all measurements, about an hour
#   bench/run.sh clients latency     some of them: micro in_backend transitions batch clients memory pages, and with Apache Kafka (scripts/broker.sh)
#                                    drain latency listening worker_memory held_snapshot; tasks and sagas: tasks waiting whole_order
#   bench/run.sh --write [...]       writes the tables into bench/README.md and bench/tasks.md as well
#
# Environment: BENCH_FULL=1 (tables of 10 million orders, a million calls through libpq, drains of a million and five million events, ten minutes of
# outage, a snapshot held for five: two hours and 30 GB more), BENCH_ROUNDS, BENCH_SECONDS (of one pgbench run; of one run of `latency` a third),
# BENCH_ORDERS (of one stretch in a backend), BENCH_FILL (orders in the tables before it), BENCH_EVENTS (to drain), BENCH_LONG (seconds of the outage
# and of the held snapshot), BENCH_TASKS (pending, of which there are ten times as many in the long queue), BENCH_WAITING (sagas), BENCH_KEEP=1 (keep server and broker).
# The extension has to be installed: `make bench` does that first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/server_user.sh
. scripts/server_user.sh
# shellcheck source=bench/lib.sh
. bench/lib.sh

all=(micro in_backend transitions batch clients memory pages drain latency listening worker_memory held_snapshot tasks waiting whole_order)
write=
wanted=()
for argument in "$@"; do
    case $argument in
    --write) write=--write ;;
    -*) sed -n '2,/^set -euo/{/^#/!d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    *)
        [ -f "bench/cases/$argument.sh" ] || die "no measurement '$argument'; there are: ${all[*]}"
        wanted+=("$argument")
        ;;
    esac
done
if [ ${#wanted[@]} -eq 0 ]; then wanted=("${all[@]}"); fi

rounds=${BENCH_ROUNDS:-5}
seconds=${BENCH_SECONDS:-3}
orders=${BENCH_ORDERS:-20000}
fill=${BENCH_FILL:-20000}
processors=$(nproc)
memory_calls=$((orders * 50))
memory_client_calls=$((orders * 10))
sizes=("$((orders * 5))" "$((orders * 50))")
sample_size=50
drain_events=${BENCH_EVENTS:-200000}
memory_events=$((drain_events * 5 / 2))
outage_seconds=${BENCH_LONG:-60}
hold_seconds=${BENCH_LONG:-60}
held_rounds=$((rounds < 2 ? rounds : 2))    # of minutes each
if [ "${BENCH_FULL:-0}" = 1 ]; then
    memory_client_calls=$memory_calls
    sizes+=("$((orders * 500))")
    drain_events=${BENCH_EVENTS:-1000000}
    memory_events=$((drain_events * 5))
    outage_seconds=${BENCH_LONG:-600}
    hold_seconds=${BENCH_LONG:-300}
fi

# Two runs would measure each other.
mkdir -p "$run_dir"
exec 7>"$run_dir/bench.claim"
flock -n 7 || die 'another run is going on'

results=$run_dir/results/bench
mkdir -p "$results"

finish() {
    if [ "${BENCH_KEEP:-0}" = 1 ]; then return; fi
    scripts/cluster.sh destroy bench 7>&-
    scripts/broker.sh destroy bench 7>&-
}
trap finish EXIT
trap 'exit 130' INT TERM

load_before=$(cut -d' ' -f1-3 /proc/loadavg)
start_server 7>&-
for bench in "${wanted[@]}"; do
    echo "== $bench" >&2
    : >"$results/$bench.tsv"
    # shellcheck disable=SC1090
    (. "bench/cases/$bench.sh") 7>&-
done

settings=()
for name in BENCH_FULL BENCH_ROUNDS BENCH_SECONDS BENCH_ORDERS BENCH_FILL BENCH_EVENTS BENCH_LONG BENCH_TASKS BENCH_WAITING; do
    if [ -n "${!name:-}" ]; then settings+=("$name=${!name}"); fi
done
server=$(ask 'SELECT current_setting($$server_version$$)')
load="$load_before before, $(cut -d' ' -f1-3 /proc/loadavg) after"
bench/report.py $write --results "$results" --server "$server" --load "$load" --settings "${settings[*]:-}" "${wanted[@]}"
