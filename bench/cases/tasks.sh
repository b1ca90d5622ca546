# shellcheck shell=bash
# shellcheck source=bench/rivals.sh
. bench/rivals.sh
# Claim and complete a task, alone and in batches of 100: oms, pgmq (read and archive), absurd, graphile-worker, and the table with SKIP LOCKED that people
# write themselves. Then with a million tasks waiting, and with a snapshot of somebody else's that was held while many tasks were done. A rival that cannot
# be fetched is left out, and the run says so.
backlog=${BENCH_TASKS:-100000}
pending=$((backlog * 10))
rivals=(oms own)
psql_quiet -f bench/sql/task_rivals.sql
if provide_pgmq; then rivals+=(pgmq); else say 'pgmq cannot be fetched: it is left out'; fi
if provide_absurd; then rivals+=(absurd); else say 'absurd cannot be fetched: it is left out'; fi
if provide_node; then rivals+=(graphile); else say 'graphile-worker cannot be fetched: it is left out'; fi

title() {
    case $1 in
    oms) echo oms ;;
    own) echo 'SKIP LOCKED table' ;;
    graphile) echo graphile-worker ;;
    *) echo "$1" ;;
    esac
}

# refill RIVAL COUNT: an empty queue with so many tasks in it.
refill() {
    case $1 in
    oms) psql_quiet -c 'TRUNCATE oms.task, oms.task_front, oms.timer' -c "CALL rival_task.fill_oms($2)" -c 'VACUUM ANALYZE oms.task' ;;
    own) psql_quiet -c 'TRUNCATE rival_task.task' -c "CALL rival_task.fill_own($2)" -c 'VACUUM ANALYZE rival_task.task' ;;
    pgmq)
        psql_quiet -c 'DROP SCHEMA IF EXISTS pgmq CASCADE' -c 'CREATE SCHEMA pgmq'
        psql_quiet -f "$pgmq_sql" -c "SELECT pgmq.create('q')"
        psql_quiet -c "SELECT count(s) FROM (SELECT pgmq.send('q', rival_task.payload()) AS s FROM generate_series(1, $2)) sent" -c 'VACUUM ANALYZE pgmq.q_q'
        ;;
    absurd)
        psql_quiet -c 'DROP SCHEMA IF EXISTS absurd CASCADE' -f "$absurd_sql" -c "SELECT absurd.create_queue('q')"
        # What it does at once for every pending task would take longer than the measurement: a thirtieth of the others' tasks.
        psql_quiet -c "SELECT count(s) FROM (SELECT absurd.spawn_task('q', 'work', rival_task.payload()) AS s FROM generate_series(1, $2 / 30)) spawned" -c 'VACUUM ANALYZE absurd.t_q' -c 'VACUUM ANALYZE absurd.r_q'
        ;;
    graphile)
        psql_quiet -c 'DROP SCHEMA IF EXISTS graphile_worker CASCADE'
        "$node" bench/rivals/graphile_tables.js || die 'graphile-worker: its tables could not be made'
        psql_quiet -c "CALL rival_task.fill_graphile($2)" \
            -c 'VACUUM ANALYZE graphile_worker._private_jobs'
        ;;
    esac
    ask CHECKPOINT
}

# How many tasks are done: a claim may come back empty, so transactions are no measure.
done_by() {
    case $1 in
    oms) ask "SELECT count(*) FROM oms.task WHERE status = 'done'" ;;
    own) ask "SELECT count(*) FROM rival_task.task WHERE status = 'done'" ;;
    pgmq) ask 'SELECT count(*) FROM pgmq.a_q' ;;
    absurd) ask "SELECT count(*) FROM absurd.t_q WHERE state = 'completed'" ;;
    graphile) ask "SELECT -count(*) FROM graphile_worker._private_jobs" ;;
    esac
}

waiting_for() {
    case $1 in
    oms) ask "SELECT count(*) FROM oms.task WHERE status = 'ready'" ;;
    own) ask "SELECT count(*) FROM rival_task.task WHERE status = 'ready'" ;;
    pgmq) ask 'SELECT count(*) FROM pgmq.q_q' ;;
    absurd) ask "SELECT count(*) FROM absurd.r_q WHERE state = 'pending'" ;;
    graphile) ask 'SELECT count(*) FROM graphile_worker._private_jobs' ;;
    esac
}

# run RIVAL BATCH CLIENTS CASE [pgbench arguments]
run() {
    local before after
    before=$(done_by "$1")
    pgbench_run "task_$1_$2" "$3" "${@:5}"
    after=$(done_by "$1")
    [ "$(waiting_for "$1")" -gt 0 ] || die "$4: $(title "$1") has emptied its queue; set BENCH_TASKS to more than $backlog"
    record "$4: $(title "$1")" 'tasks/s' "$(ask "SELECT ($after - $before) / ($transactions / $tps)")"
}

# pages CASE: what claiming and completing one task costs inside a backend, in time and, for a number that does not mind company, in pages touched.
pages() {
    local measured hits us
    measured=$(psql -X -q -A -t -c 'SELECT rival_task.pairs(100)' -c 'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT rival_task.pairs(2000)' | sed 1d)
    hits=$(jq '.[0].Plan | ."Shared Hit Blocks" + ."Shared Read Blocks"' <<<"$measured")
    us=$(jq '.[0]."Execution Time"' <<<"$measured")
    record "$1, pages" pages "$(ask "SELECT round($hits / 2000.0, 1)")"
    record "$1, time" us "$(ask "SELECT round($us / 2, 1)")"
}

for ((round = 0; round < rounds; round++)); do
    for batch in 1 100; do
        clients=8
        if [ $batch = 100 ]; then clients=4; fi
        for rival in $(rotated "$round" "${rivals[@]}"); do
            # A batch empties a queue quickly, and then nothing would be measured: four fifths of a longer one.
            if [ $batch = 1 ]; then
                refill "$rival" "$backlog"
                run "$rival" $batch $clients "batch of $batch" -T "$seconds"
            else
                refill "$rival" $((backlog * 3))
                run "$rival" $batch $clients "batch of $batch" -t $((backlog * 3 / $([ "$rival" = absurd ] && echo 30 || echo 1) * 4 / 5 / batch / clients))
            fi
        done
    done
    refill oms "$backlog"
    pages 'a pair in one backend'
    refill oms "$pending"
    run oms 1 8 "$pending waiting, batch of 1" -T "$seconds"
    run oms 100 4 "$pending waiting, batch of 100" -t "$((pending / 400 * 4 / 10))"
    refill oms "$pending"
    pages "a pair in one backend, $pending waiting"
    # An old snapshot of somebody else's, and under it most of the queue worked off: as much as batches of one do in minutes.
    coproc holder { exec psql -X -q -A -t; }
    echo 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;' >&"${holder[1]}"
    read -r _ <&"${holder[0]}"
    run oms 1 8 'old snapshot, just taken, batch of 1' -T "$seconds"
    pgbench_run task_oms_100 4 -t "$((pending / 400 * 6 / 10))"
    run oms 1 8 "old snapshot, $((pending * 6 / 10)) done under it, batch of 1" -T "$seconds"
    pages "a pair in one backend, $((pending * 6 / 10)) done under an old snapshot"
    echo '\q' >&"${holder[1]}"
    wait "$holder_PID"
    say "round $((round + 1)) of $rounds"
done
