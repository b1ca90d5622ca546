#!/usr/bin/env bash
# Executes every example of the documentation, and checks its links; README.md here has the rules.
#
#   test/docs/run.sh                      everything; needs the extension installed (make install)
#   test/docs/run.sh orders examples      some pages
#   test/docs/run.sh --update orders      write the real outputs into the page instead of complaining
#
# Uses the server that PGHOST names, else a private one of its own.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.." || exit
export PYTHONDONTWRITEBYTECODE=1

# Debian's psycopg2 belongs to Debian's Python, which need not be the first one in PATH.
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import psycopg2' 2>/dev/null; then break; fi
done

if [ -z "${PGHOST:-}" ]; then
    trap 'scripts/cluster.sh destroy docs' EXIT
    settings=$(scripts/cluster.sh start docs --set fsync=off) || exit
    eval "$settings"
fi

passed=0
failed=0
# Shows what a part prints, and adds up its count; a part that ends without one has failed.
run_part() {
    local line counted=no
    while IFS= read -r line; do
        if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
            passed=$((passed + BASH_REMATCH[1]))
            failed=$((failed + BASH_REMATCH[2]))
            counted=yes
        else
            printf '%s\n' "$line"
        fi
    done < <("$python" "$@" 2>&1)
    if [ $counted = no ]; then failed=$((failed + 1)); fi
}
if [ $# -eq 0 ]; then run_part "$here/self_test.py"; fi
run_part "$here/run.py" "$@"

echo "suite docs: $passed passed, $failed failed"
[ $failed -eq 0 ]
