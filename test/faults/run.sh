#!/usr/bin/env bash
# Faults: harms a private PostgreSQL, a private Kafka and the worker between them while writers write, and compares the log with what Kafka holds.
#
#   test/faults/run.sh                        each scenario once; the last line is the count
#   test/faults/run.sh worker_killed ...      these scenarios
#   test/faults/run.sh --list                 what there is
#   SEED=17 test/faults/run.sh                the same dice again
#   WORKER_FLAGS="--batch 10" WORKER_KAFKA="linger.ms=5" test/faults/run.sh     with other settings of the worker
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
export PYTHONDONTWRITEBYTECODE=1

# Debian's psycopg2 belongs to Debian's Python, which need not be the first one in PATH.
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import psycopg2' 2>/dev/null; then break; fi
done

[ -x "$here/../../build/worker/oms-worker" ] || make --no-print-directory -C "$here/../.." worker
exec "$python" "$here/main.py" "$@"
