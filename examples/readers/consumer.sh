#!/usr/bin/env bash
# The consumer of consumer.py in psql, to show that SQL is all it takes. The same reader, the same table: it can take over from the other one.
#
#     consumer.sh [SECONDS]       connects as libpq's environment says; runs until SIGTERM; sleeps SECONDS at most (default 5)
#
# psql looks at its socket only when it runs a statement. So while this consumer sleeps it runs an empty one every tick, which costs the server
# neither a transaction nor a look at the log. A client with a real event loop needs no tick.
set -uo pipefail

reader=order_board
events_max=100
takeover_wait_ms=500
tick_s=0.2
pause_s=0.01
reconnect_s=1
sleep_max_s=${1:-5}

stop=
trap 'stop=yes' TERM INT
trap '' PIPE # psql that has gone is noticed when it is asked

connect() {
    local from to
    coproc { LC_ALL=C exec psql -X -A -t -q -v ON_ERROR_STOP=1; }
    psql_pid=$! from=${COPROC[0]} to=${COPROC[1]}
    exec 3<&"$from" 4>&"$to" {from}<&- {to}>&-
}

# ask SQL: runs it; its last value is in $answer, and `rang` is set when a notification came with it. Fails when psql has ended.
ask() {
    local line
    answer=
    printf '%s\n\\echo @\n' "$1" 2>/dev/null >&4 || return
    while IFS= read -r line <&3; do
        case $line in
        @) return 0 ;;
        'Asynchronous notification '*) rang=yes ;;
        ?*) answer=$line ;;
        esac
    done
    return 1
}

# One batch. COMMIT keeps what the events changed together with the reader's place. $answer is how many there were.
consume() {
    ask "BEGIN;
        WITH batch AS MATERIALIZED (SELECT aggregate_id::uuid AS order_id, seq, payload ->> 'status' AS status
                                    FROM oms.read_events('$reader', $events_max)),
             applied AS (INSERT INTO order_board AS board (order_id, status, changes)
                         SELECT order_id, (array_agg(status ORDER BY seq DESC))[1], count(*) FROM batch GROUP BY order_id
                         ON CONFLICT (order_id) DO UPDATE
                         SET status = excluded.status, changes = board.changes + excluded.changes)
        SELECT count(*) FROM batch;" || return
    local events=$answer
    ask "SELECT oms.commit_reader('$reader');
        COMMIT;" || return
    answer=$events
}

# Until the doorbell rings, a signal comes, or the time is over.
wait_for_the_bell() {
    local until=$((SECONDS + sleep_max_s))
    while [ -z "$rang$stop" ] && [ $SECONDS -lt $until ]; do
        read -rt "$tick_s" <&3 # psql says nothing unasked: this is the pause
        ask ';' || return
    done
}

run() {
    ask 'LISTEN oms_doorbell;' || return # committed before the first read: from now on no ring is missed
    until ask "SELECT oms.attach_reader('$reader', $takeover_wait_ms);" && [ "$answer" = t ]; do
        if [ -n "$stop" ] || [ -z "$answer" ]; then return; fi
    done
    while [ -z "$stop" ]; do
        consume || return
        if [ "$answer" -gt 0 ]; then continue; fi
        rang= # what rang until now was for what has been read above
        ask 'SELECT oms.doorbell_arm();' || return
        if [ "$answer" = f ]; then # somebody is committing
            sleep "$pause_s"
            continue
        fi
        consume || return # what was committed before the arming rang no bell
        if [ "$answer" -eq 0 ]; then wait_for_the_bell || return; fi
        ask 'SELECT oms.doorbell_disarm();' || return
    done
}

while [ -z "$stop" ]; do
    connect
    run
    exec 3<&- 4>&- # psql ends, and gives the reader and the doorbell back
    wait "$psql_pid"
    if [ -z "$stop" ]; then
        echo "again in $reconnect_s s" >&2
        sleep "$reconnect_s"
    fi
done
