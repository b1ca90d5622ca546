#!/usr/bin/env bash
# Runs the checks of test/lint/checks over the tree and then the test of the checks themselves.
#
#   test/lint/run.sh [CHECK ...]        some checks only, without their self-test
#
# A check is a program that runs in the root of the tree and prints what it found, one `file:line: what` each; silence means
# that all is well. Its line `# remedy: ...` tells what to do about a finding.
set -uo pipefail
export PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.." || exit

passed=0
failed=0

run_check() {
    local check=$here/checks/$1 findings status
    findings=$("$check" 2>&1)
    status=$?
    if [ $status -ne 0 ]; then findings+=$'\n'"$check: exit status $status"; fi
    if [ -z "$findings" ]; then
        echo "ok    $1"
        passed=$((passed + 1))
    else
        echo "FAIL  $1"
        printf '%s\n' "$findings" | grep . | sed 's/^/      /'
        sed -n 's/^# remedy: /      remedy: /p' "$check"
        failed=$((failed + 1))
    fi
}

if [ $# -gt 0 ]; then
    for check in "$@"; do run_check "$check"; done
else
    for check in "$here"/checks/*; do
        if [ -f "$check" ] && [ -x "$check" ]; then run_check "$(basename "$check")"; fi
    done
    read -r ok bad < <("$here/self_test.sh" | tee /dev/stderr | sed -nE 's/^self-test: ([0-9]+) passed, ([0-9]+) failed$/\1 \2/p')
    passed=$((passed + ${ok:-0}))
    failed=$((failed + ${bad:-1}))
fi

echo "suite lint: $passed passed, $failed failed"
[ $failed -eq 0 ]
