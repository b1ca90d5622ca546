#!/usr/bin/env bash
# A worker of a few lines: claims one task at a time from a queue with psql, gives its payload to a command, and answers with what that prints.
#
#   examples/task_worker.sh QUEUE COMMAND [ARGUMENT...]     ends when the queue is empty
#
# The command gets the payload on its standard input. Exit status 0: done, its output (JSON) is the result. 65 (EX_DATAERR): can never succeed.
# Anything else: to be tried again. The connection comes from the environment.
set -euo pipefail
queue=${1:?queue} && shift
[ $# -gt 0 ] || { echo 'which command?' >&2; exit 2; }

ask() {
    psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
}

output=$(mktemp)
trap 'rm -f "$output"' EXIT
while IFS='|' read -r task epoch payload < <(ask -v queue="$queue" <<<"SELECT task_id, lease_epoch, payload FROM oms.claim_tasks(:'queue', 1, '30 seconds')"); do
    status=0
    "$@" <<<"$payload" >"$output" || status=$?
    if [ "$status" -eq 0 ]; then
        ask -v task="$task" -v epoch="$epoch" -v result="$(cat "$output")" <<<"SELECT oms.complete_task(:task, :epoch, nullif(:'result', '')::jsonb)" >/dev/null
    else
        retryable=true
        if [ "$status" -eq 65 ]; then retryable=false; fi
        ask -v task="$task" -v epoch="$epoch" -v error="exit status $status" -v retryable="$retryable" \
            <<<"SELECT oms.fail_task(:task, :epoch, :'error', :'retryable')" >/dev/null
    fi
done
