#!/usr/bin/env bash
# Runs the worker's tests of one build against a private PostgreSQL and the embedded broker.
#
#   test/run.sh BUILD_DIRECTORY [GTEST_FILTER]
#
# Prints the failures and, at the end, one line: suite worker: N passed, M failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
build=$(cd "$1" && pwd -P)
filter=${2:-*}
cluster=worker-test
results=$build/test-results.txt

# These need a real broker, which test/suites/exactly_once.sh starts.
if [ -z "${KAFKA:-}" ]; then
    case $filter in
    *-*) filter+=:ExactlyOnceKafka.* ;;
    *) filter+=-ExactlyOnceKafka.* ;;
    esac
fi

eval "$("$here/../../scripts/cluster.sh" start "$cluster")"
trap '"$here/../../scripts/cluster.sh" stop "$cluster"' EXIT

unset "${!OMS_@}" 2>/dev/null || true    # settings of a developer's own worker are not for the tests
export OMS_WORKER=$build/oms-worker
export TSAN_OPTIONS="suppressions=$here/tsan/suppressions"

status=0
"$build/worker-test" --gtest_filter="$filter" --gtest_brief=1 --gtest_output="json:$results.json" \
    >"$results" 2>"$results.stderr" || status=$?
count() { sed -n "s/^  \"$1\": \([0-9]*\),.*/\1/p" "$results.json" 2>/dev/null || true; }
tests=$(count tests)
failed=$(count failures)
skipped=$(grep -c '"result": "SKIPPED"' "$results.json" || true)
if [ "$status" -ne 0 ]; then
    cat "$results"
    grep -A 40 -E 'ERROR: (Address|Leak)|WARNING: Thread|runtime error' "$results.stderr" | head -n 200 || true
    # A process that ended before it could count (a sanitizer, a crash) is a failure too.
    [ "${failed:-0}" -gt 0 ] || failed=1
elif [ "$skipped" -gt 0 ]; then
    grep -A 2 Skipped "$results"
fi
echo "suite worker: $((${tests:-0} > skipped + failed ? tests - skipped - failed : 0)) passed, $failed failed"
[ "$status" -eq 0 ]
