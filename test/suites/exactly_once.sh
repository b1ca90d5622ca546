#!/usr/bin/env bash
# Goal: with --delivery exactly_once a consumer of committed messages sees each event once, whatever is killed or hangs.
# Method: the worker's tests that need a real Kafka: transactions that are given up are hidden by nothing less. OMS_SEED repeats the dice of a
# run, OMS_ROUNDS makes it longer.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
name=exactly-once-$$
trap 'scripts/broker.sh destroy "$name"' EXIT

if ! { make --no-print-directory -C worker -j"$(nproc)" test-build && settings=$(scripts/broker.sh start "$name"); } >"build/$name.log" 2>&1; then
    tail -n 40 "build/$name.log"
    echo "suite exactly_once: 0 passed, 1 failed"
    exit 1
fi
rm -f "build/$name.log"
eval "$settings"
worker/test/run.sh build/worker 'ExactlyOnceKafka.*' | sed 's/^suite worker:/suite exactly_once:/'
