#!/usr/bin/env bash
# Goal: the example workers work, and a worker that is killed loses nothing: its tasks are claimed again at once.
# Method: queues filled beforehand; workers as separate processes; kill -9 of a backend while it holds a lease.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
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
ask() {
    psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"
}

export PGOPTIONS="-c client_min_messages=warning"
PGDATABASE=postgres ask 'DROP DATABASE IF EXISTS oms_workers' && PGDATABASE=postgres ask 'CREATE DATABASE oms_workers' || exit
export PGDATABASE=oms_workers
ask 'CREATE EXTENSION oms'

fill() {
    ask "SELECT count(oms.create_task('$1', '$2', jsonb_build_object('n', i), '$1-$2-' || i)) FROM generate_series(1, $3) i" >/dev/null
}

fill python echo 200
fill python unknown 3
workers=()
for _ in 1 2 3; do
    timeout 60 examples/task_worker.py python --until-empty & workers+=($!)
done
wait "${workers[@]}"
check 'three Python workers share a queue' "$(ask "SELECT count(*), sum((result ->> 'n')::int), max(attempt) FROM oms.task WHERE queue = 'python' AND status = 'done'")" '200|20100|1'
check 'what can never succeed is dead' "$(ask "SELECT count(*) FROM oms.task WHERE queue = 'python' AND status = 'dead'")" 3

fill shell echo 5
timeout 60 examples/task_worker.sh shell cat
check 'the shell worker' "$(ask "SELECT count(*), sum((result ->> 'n')::int) FROM oms.task WHERE queue = 'shell' AND status = 'done'")" '5|15'
fill broken echo 2
timeout 60 examples/task_worker.sh broken sh -c 'exit 65'
check 'a command that says never' "$(ask "SELECT status, count(*), max(last_error) FROM oms.task WHERE queue = 'broken' GROUP BY 1")" 'dead|2|exit status 65'

# A worker that sleeps is rung by the commit of a task.
timeout 60 examples/task_worker.py bell & sleeper=$!
for _ in $(seq 600); do
    [ "$(ask "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 20230 AND database = (SELECT oid FROM pg_database WHERE datname = 'oms_workers')")" = 0 ] || break
    sleep 0.05
done
fill bell echo 1
for _ in $(seq 600); do
    [ "$(ask "SELECT count(*) FROM oms.task WHERE queue = 'bell' AND status = 'done'")" = 0 ] || break
    sleep 0.05
done
kill "$sleeper" 2>/dev/null
wait "$sleeper" 2>/dev/null
check 'the bell wakes a sleeping worker' "$(ask "SELECT status FROM oms.task WHERE queue = 'bell'")" done

# kill -9 of a backend that holds a lease for an hour. The server restarts; a claim need not be durable, and a lost one is as if never made.
fill killed echo 2
coproc holder { psql -X -q -A -t; }
echo "SELECT count(*) FROM oms.claim_tasks('killed', 2, '1 hour', while_connected => true); SELECT pg_backend_pid();" >&"${holder[1]}"
read -r count <&"${holder[0]}"
read -r pid <&"${holder[0]}"
check 'the holder has both' "$count" 2
check 'while it lives nobody else gets them' "$(ask "SELECT count(*) FROM oms.claim_tasks('killed', 2)")" 0
holder_psql=$holder_PID
ask "SELECT pg_terminate_backend($pid, 10000)" >/dev/null
check 'its tasks are claimed again at once' "$(ask "SELECT count(*) FROM oms.claim_tasks('killed', 2, '1 hour', while_connected => true)")" 2
kill "$holder_psql" 2>/dev/null
wait "$holder_psql" 2>/dev/null
# The session that claimed them just now has ended as well.
ask "SELECT pg_reload_conf()" >/dev/null
coproc holder { psql -X -q -A -t; }
echo "SELECT count(*) FROM oms.claim_tasks('killed', 2, '1 hour', while_connected => true); SELECT pg_backend_pid();" >&"${holder[1]}"
read -r count <&"${holder[0]}"
read -r pid <&"${holder[0]}"
check 'claimed a third time' "$count" 2
kill -9 "$pid"
for _ in $(seq 600); do
    ask 'SELECT 1' >/dev/null 2>&1 && break
    sleep 0.05
done
check 'claimed again after kill -9 and the restart of the server' "$(ask "SELECT count(*) FROM oms.claim_tasks('killed', 2)")" 2
kill "$holder_PID" 2>/dev/null
wait 2>/dev/null

echo "suite task_workers: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
