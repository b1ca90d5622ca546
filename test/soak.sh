#!/usr/bin/env bash
# Soak: the scenarios of test/faults, round after round, longer and with more faults in each, and an outage of the broker of ten minutes. The default
# takes about an hour on two cores. The end is a table with what was counted and a line with what was injected.
#
#   ROUNDS=500 test/soak.sh              so many rounds, scenario after scenario
#   LONG_OUTAGE=60 test/soak.sh          a shorter outage, in seconds
#   SEED=17 test/soak.sh worker_killed   the same dice again; these scenarios only
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/faults/run.sh" --soak --rounds "${ROUNDS:-126}" "$@"
