#!/usr/bin/env bash
# Runs the suites against a private server and adds up what they counted. The last line is `N passed, N failed`; the exit
# status is 0 only if nothing failed. A suite that fails does not stop the others; one that crashes counts as a failure.
#
#   test/run.sh                               all suites
#   test/run.sh unit regress                  these suites
#   test/run.sh regress:create_order          one test of a suite; unit:Money.* is a filter of GoogleTest
#   ONLY="regress:create_order lint" make test
#
# Suites, in this order: lint unit regress isolation tap suites docs model worker faults. One that has no files yet is left out.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
# shellcheck source=scripts/server_user.sh
. scripts/server_user.sh

suites=(lint unit regress isolation tap suites docs model worker faults)
without_server=' lint unit model '     # neither built extension nor cluster
diff_lines_max=400                     # of regression.diffs, so that one broken error message does not bury the rest

wanted=("$@")
if [ $# -eq 0 ]; then read -ra wanted <<<"${ONLY:-}"; fi
for each in ${wanted[@]+"${wanted[@]}"}; do
    [[ " ${suites[*]} " == *" ${each%%:*} "* ]] || die "no suite '${each%%:*}'; there are: ${suites[*]}"
done

chosen() {
    local each
    [ ${#wanted[@]} -gt 0 ] || return 0
    for each in "${wanted[@]}"; do [ "${each%%:*}" != "$1" ] || return 0; done
    return 1
}

# The tests of suite $1 that were named, or nothing when the whole suite is wanted.
chosen_tests() {
    local each
    for each in ${wanted[@]+"${wanted[@]}"}; do
        if [ "$each" = "$1" ]; then return; fi
    done
    for each in ${wanted[@]+"${wanted[@]}"}; do
        if [ "${each%%:*}" = "$1" ]; then echo "${each#*:}"; fi
    done
}

# Two runs in one checkout must not share a server: the second takes the next name.
claim_run() {
    local number
    mkdir -p "$run_dir"
    for number in '' -2 -3 -4 -5 -6 -7 -8; do
        run=test$number
        exec 8>"$run_dir/$run.claim"
        flock -n 8 && break
    done
    results=$run_dir/results/$run
    rm -rf "$results"
    mkdir -p "$results"
}

finish() {
    if [ -n "${server_started:-}" ]; then scripts/cluster.sh destroy "$run" 8>&-; fi
}

start_server() {
    server_started=yes
    scripts/cluster.sh destroy "$run" 8>&- && scripts/cluster.sh start "$run" --set fsync=off 8>&- >"$results/env"
}

passed=0
failed=0

# run_suite NAME COMMAND...: the command prints one or more `suite NAME: N passed, M failed`.
run_suite() {
    local name=$1 log=$results/$1.log status counted=no suite_failed=0 p f
    shift
    echo "== $name"
    "$@" </dev/null 8>&- 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    while read -r p f; do
        counted=yes
        passed=$((passed + p))
        suite_failed=$((suite_failed + f))
    done < <(sed -nE 's/^suite [^:]+: ([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$log")
    if [ $counted = no ] || { [ $status -ne 0 ] && [ $suite_failed -eq 0 ]; }; then
        echo "suite $name: crashed (exit status $status), counted as one failure"
        suite_failed=$((suite_failed + 1))
    fi
    failed=$((failed + suite_failed))
}

count_line() {
    echo "suite $1: $2 passed, $3 failed"
    [ "$3" -eq 0 ]
}

suite_lint() {
    local tests
    mapfile -t tests < <(chosen_tests lint)
    test/lint/run.sh ${tests[@]+"${tests[@]}"}
}

suite_unit() {
    local filter
    filter=$(chosen_tests unit | paste -sd:)
    make --no-print-directory -j"$(nproc)" -C test/unit run ${filter:+FILTER="$filter"}
}

# Counts what pg_regress and its sister for isolation print, in the words of PostgreSQL 15 and in those of 16 and later.
count_regress() {
    local suite=$1 out=$2 status
    shift 2
    mkdir -p "$out"
    "$@" --bindir="$pg_bin" --outputdir="$out" --encoding=UTF8 |
        grep --line-buffered -vE '^(SET|(CREATE|DROP|ALTER) (DATABASE|EXTENSION))$|^$' | tee "$out/output"
    status=${PIPESTATUS[0]}
    if [ -s "$out/regression.diffs" ]; then
        head -n "$diff_lines_max" "$out/regression.diffs"
        echo "(all differences: ${out#"$checkout/"}/regression.diffs)"
    fi
    # 2 and above: it gave up in the middle, so that a count would be a part of the truth.
    [ "$status" -le 1 ] && grep -qE '(All|[0-9]+ of) [0-9]+ tests' "$out/output" || return 2
    count_line "$suite" "$(grep -cE '\.\.\. ok|^ok ' "$out/output")" "$(grep -cE '\.\.\. FAILED|^not ok ' "$out/output")"
}

# A test named alone runs behind the first of the schedule, which makes what all others use.
suite_regress() {
    local tests first
    mapfile -t tests < <(chosen_tests regress)
    if [ ${#tests[@]} -eq 0 ]; then
        tests=(--schedule=test/regress.schedule)
    else
        first=$(awk '/^test:/ { print $2; exit }' test/regress.schedule)
        if [[ " ${tests[*]} " != *" $first "* ]]; then tests=("$first" "${tests[@]}"); fi
    fi
    count_regress regress "$results/regress" "$pgxs_test/regress/pg_regress" --inputdir=. --dbname=oms_regress "${tests[@]}"
}

suite_isolation() {
    local tests
    mapfile -t tests < <(chosen_tests isolation)
    if [ ${#tests[@]} -eq 0 ]; then mapfile -t tests < <(basename -s .spec -a test/isolation/specs/*.spec); fi
    count_regress isolation "$results/isolation" "$pgxs_test/isolation/pg_isolation_regress" \
        --inputdir=test/isolation --dbname=oms_isolation --load-extension=oms "${tests[@]}"
}

# A TAP test makes its own clusters, as the server's user; where that user cannot read the checkout it gets a copy.
suite_tap() {
    local root=$checkout place file log ok=0 bad=0 file_ok file_bad tests
    place=$(state_dir "$run-tap") || return
    if ! server_user_reads_checkout; then
        root=$place/checkout
        rm -rf "$root"
        as_server_user mkdir "$root"
        tar -c --exclude=.git --exclude=.run --exclude='*.o' . | as_server_user tar -x -C "$root"
    fi
    mapfile -t tests < <(chosen_tests tap)
    for file in test/tap/t/*.pl; do
        if [ ${#tests[@]} -gt 0 ] && [[ " ${tests[*]} " != *" $(basename "$file" .pl) "* ]]; then continue; fi
        log=$results/tap-$(basename "$file" .pl).log
        as_server_user env -C "$root" TESTDIR="$place" TESTDATADIR="$place/tmp_check" TESTLOGDIR="$place/log" \
            PG_REGRESS="$pgxs_test/regress/pg_regress" OMS_ROOT="$root" PATH="$pg_bin:$PATH" \
            prove -v -I "$pgxs_test/perl" -I test/tap "$file" >"$log" 2>&1
        local status=$?
        file_ok=$(grep -cE '^ok [0-9]+' "$log")
        file_bad=$(grep -cE '^not ok [0-9]+' "$log")
        if [ $status -ne 0 ] && [ "$file_bad" -eq 0 ]; then file_bad=1; fi
        echo "$(basename "$file" .pl): $file_ok passed, $file_bad failed"
        if [ "$file_bad" -gt 0 ]; then grep -vE '^ok ' "$log" | tail -n 60; fi
        ok=$((ok + file_ok)) bad=$((bad + file_bad))
    done
    rm -rf "${place:?}" "${run_dir:?}/$run-tap"
    count_line tap "$ok" "$bad"
}

suite_worker() {
    make --no-print-directory -C worker test
}

suite_faults() {
    local tests
    mapfile -t tests < <(chosen_tests faults)
    test/faults/run.sh ${tests[@]+"${tests[@]}"}
}

has_files() {
    compgen -G "$1" >/dev/null
}

# The glob that says whether a suite has something to run.
suite_files() {
    case $1 in
    lint) echo 'test/lint/run.sh' ;;
    unit) echo 'test/unit/Makefile' ;;
    regress) echo 'sql/*.sql' ;;
    isolation) echo 'test/isolation/specs/*.spec' ;;
    tap) echo 'test/tap/t/*.pl' ;;
    suites) echo 'test/suites/*.sh' ;;
    docs | model | faults) echo "test/$1/run.sh" ;;
    worker) echo 'worker/Makefile' ;;
    esac
}

to_run=()
needs_server=no
for suite in "${suites[@]}"; do
    if ! chosen "$suite"; then continue; fi
    if ! has_files "$(suite_files "$suite")"; then
        echo "== $suite: no $(suite_files "$suite") yet"
    else
        to_run+=("$suite")
        if [[ $without_server != *" $suite "* ]]; then needs_server=yes; fi
    fi
done

claim_run
trap finish EXIT
trap 'exit 130' INT TERM

if [ $needs_server = yes ]; then
    pg_config=$(scripts/pg_config.sh)
    if ! { make --no-print-directory -j"$(nproc)" all && make --no-print-directory install; } >"$results/build.log" 2>&1; then
        tail -n 60 "$results/build.log"
        echo "the build failed; the whole log: ${results#"$checkout/"}/build.log"
        echo '0 passed, 1 failed'
        exit 1
    fi
    [ -n "$pg_config" ] || pg_config=$(scripts/pg_config.sh)
    pg_bin=$("$pg_config" --bindir)
    pgxs_test=$(dirname "$("$pg_config" --pgxs)")/../test
    pgxs_test=$(cd "$pgxs_test" && pwd)
    start_server || { echo '0 passed, 1 failed'; exit 1; }
    # shellcheck disable=SC1091
    . "$results/env"
fi

for suite in ${to_run[@]+"${to_run[@]}"}; do
    case $suite in
    suites)
        mapfile -t named < <(chosen_tests suites)
        for file in test/suites/*.sh; do
            name=$(basename "$file" .sh)
            if [ ${#named[@]} -gt 0 ] && [[ " ${named[*]} " != *" $name "* ]]; then continue; fi
            run_suite "$name" "$file"
        done
        ;;
    docs | model) run_suite "$suite" "test/$suite/run.sh" ;;
    *) run_suite "$suite" "suite_$suite" ;;
    esac
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
