#!/usr/bin/env bash
# Checks the models with spin: those that keep every rule must hold in an exhaustive search, and each variant that breaks
# one rule must be refuted, by the property that the rule is there for. A search that was cut short proves nothing, nor
# does one that left a statement unreached: both count as failures.
#
#   run.sh              checks everything
#   run.sh NAME         checks what is selected by -DNAME and prints the shortest counterexample of what is refuted
set -euo pipefail

models=$(cd "$(dirname "$0")" && pwd)
only=${1:-}
memory_mb=1500                  # of one search; the largest needs some 600
depth=3000000                   # of the search stack; the deepest path is about a million steps
seconds=300                     # a search that takes so long has grown beyond what this test is for

for tool in spin gcc; do
    if ! command -v "$tool" >/dev/null; then
        echo "model: $tool is missing (apt-get install spin gcc)" >&2
        exit 1
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# verdict | model | definitions; the verdict is "holds" or the name of the property that is violated
checks='
holds                     | doorbell | READERS=1
holds                     | doorbell | READERS=2
lost_wakeup               | doorbell | READERS=1 NO_SECOND_READ
lost_wakeup               | doorbell | READERS=1 BELL_RELEASED_BEFORE_VISIBLE
lost_wakeup               | doorbell | READERS=1 NOTIFY_BEFORE_VISIBLE
lost_wakeup               | doorbell | READERS=1 LISTEN_AFTER_READ
lost_wakeup               | doorbell | READERS=1 NOTIFICATION_DROPPED_BEFORE_SLEEP
lost_wakeup               | doorbell | READERS=1 PREPARED_WITHOUT_FLOOR
lost_wakeup               | doorbell | READERS=1 MODES_DO_NOT_CONFLICT
notify_for_working_reader | doorbell | READERS=1 RELEASE_AFTER_READ
holds                     | doorbell | READERS=1 RELEASE_AFTER_READ PRICE_UNCHECKED
holds                     | doorbell | READERS=1 READERS_EXCLUDE_EACH_OTHER
idle_polling              | doorbell | READERS=2 READERS_EXCLUDE_EACH_OTHER
holds                     | cursor   | WRITERS=3
holds                     | cursor   | WRITERS=3 ORDER_WRITERS=0 EVENTS=1
holds                     | cursor   | WRITERS=2 ORDER_WRITERS=0 READER_APPENDS
missed                    | cursor   | WRITERS=2 ORDER_WRITERS=0 ID_GREATER_THAN_LAST
missed                    | cursor   | WRITERS=2 ORDER_WRITERS=0 IN_PROGRESS_LIST_IGNORED
missed                    | cursor   | WRITERS=2 ORDER_WRITERS=0 PAGE_UNDER_NEW_SNAPSHOT
missed                    | cursor   | WRITERS=2 ORDER_WRITERS=0 XID_AFTER_ID
missed                    | cursor   | WRITERS=2 ORDER_WRITERS=0 SEQUENCE_NOTED_LAST
missed                    | cursor   | WRITERS=2 ORDER_WRITERS=0 XMAX_TAKEN_FOR_NEXT_XID
missed                    | cursor   | WRITERS=2 ORDER_WRITERS=0 BOUND_NOT_CARRIED
missed                    | cursor   | WRITERS=2 ORDER_WRITERS=0 READER_APPENDS OWN_XID_FORGOTTEN
out_of_order              | cursor   | WRITERS=2 SORT_BY_XID
out_of_order              | cursor   | WRITERS=2 ID_BEFORE_ROW_LOCK
holds                     | saga     | CLOCK_AT_ONCE RESUMES=0
holds                     | saga     | CLOCK_AT_ONCE WORKERS=1 ASKS
holds                     | saga     | WORKERS=1 RESUMES=0
holds                     | saga     | SIGNALS
old_answer_counted        | saga     | CLOCK_AT_ONCE EPOCH_UNCHECKED
leaked                    | saga     | CLOCK_AT_ONCE DOUBT_FORGOTTEN
leaked                    | saga     | CLOCK_AT_ONCE LEASED_TAKEN_FOR_UNTOUCHED
leaked                    | saga     | CLOCK_AT_ONCE CLAIM_LOST_IN_CRASH
leaked                    | saga     | CLOCK_AT_ONCE UNKNOWN_TAKEN_FOR_FAILED
leaked                    | saga     | CLOCK_AT_ONCE TASK_ATTEMPTS=1 USED_UP_TAKEN_FOR_FAILED
leaked                    | saga     | CLOCK_AT_ONCE FAILURE_TAKEN_FOR_A_NO
leaked                    | saga     | CLOCK_AT_ONCE UNSTOPPABLE_HALTED
leaked                    | saga     | CLOCK_AT_ONCE UNDONE_BESIDE_RUNNING_BRANCH
leaked                    | saga     | CLOCK_AT_ONCE UNDOING_NOT_REMEMBERED
leaked                    | saga     | CLOCK_AT_ONCE ASKS QUESTION_DECIDES_NOTHING
undone_too_early          | saga     | CLOCK_AT_ONCE PENDING_RETRY_NOT_HALTED
undone_out_of_order       | saga     | CLOCK_AT_ONCE UNDONE_AS_DEFINED
undone_out_of_order       | saga     | CLOCK_AT_ONCE SIGNALS WORKERS=1 RESUMED_ALL_AT_ONCE
barrier_broken            | saga     | CLOCK_AT_ONCE WORKERS=1 BARRIER_IGNORED
waits_for_nobody          | saga     | CLOCK_AT_ONCE STEP_TOLD_LATER
ended_twice               | saga     | SIGNALS WORKERS=1 CANCELED_AFTER_ITS_END
ended_twice               | saga     | SIGNALS WORKERS=1 LATE_TIMER_TURNS_BACK
signal_lost               | saga     | SIGNALS SIGNAL_NOT_KEPT
signal_lost               | saga     | SIGNALS KEPT_SIGNAL_NOT_OFFERED
stuck                     | saga     | SIGNALS WAKE_TIME_KEPT
stuck                     | saga     | SIGNALS TIMER_NEVER_MOVED
'

# Searches all states of one model; the answer of pan is left in $work/answer. What should be refuted is searched breadth
# first, which finds the shortest counterexample; what should hold depth first, which needs less memory.
search() {
    local verdict=$1 model=$2 search_flags=(-O1 -DBFS)
    shift 2
    [[ $verdict == holds ]] && search_flags=(-O2 -DCOLLAPSE)
    cp "$models"/*.pml "$work"
    (
        cd "$work"
        rm -f ./*.trail
        spin "$@" -a "$model.pml" &&
            gcc "${search_flags[@]}" -DSAFETY -DMEMLIM="$memory_mb" -o pan pan.c &&
            timeout "$seconds" ./pan -m"$depth"
    ) >"$work/answer" 2>&1
}

# Says why the answer is not the expected one; says nothing if it is.
objection() {
    local verdict=$1
    if [[ $verdict != holds ]]; then
        grep -qF "assertion violated  !($verdict)" "$work/answer" || echo "not refuted by $verdict"
        return
    fi
    if ! grep -q 'errors: 0$' "$work/answer"; then
        echo 'does not hold'
    elif grep -qE 'max search depth too small|out of memory|reached -DMEMLIM|Search not completed|truncated' "$work/answer" ||
        ! grep -q '^Full statespace search' "$work/answer"; then
        echo 'the search was cut short'
    elif grep -E 'state [0-9]+, "' "$work/answer" | grep -qvE '"-end-"|"assert\(!\(lost_wakeup\)\)"'; then
        echo 'a statement is never reached'
    fi
}

while IFS='|' read -r verdict model definitions; do
    read -r verdict <<<"$verdict"
    read -r model <<<"$model"
    read -ra names <<<"$definitions"
    if [[ -z $verdict || (-n $only && " ${names[*]} " != *" $only "*) ]]; then
        continue
    fi

    search "$verdict" "$model" "${names[@]/#/-D}" || true
    why=$(objection "$verdict")
    states=$(awk '/states, stored/ { print $1 }' "$work/answer")
    if [[ -z $why ]]; then
        passed=$((passed + 1))
        result='ok    '
    else
        failed=$((failed + 1))
        result='not ok'
    fi
    [[ $verdict == holds ]] || verdict="refuted: $verdict"
    printf '%s  %-8s  %-58s  %-34s  %9s states\n' "$result" "$model" "${names[*]}" "$verdict" "${states:-no}"
    if [[ -n $why ]]; then
        printf 'model: %s %s: %s\n' "$model" "${names[*]}" "$why"
        cat "$work/answer"
    elif [[ -n $only && $verdict != holds ]]; then
        (cd "$work" && spin -t -p -g "${names[@]/#/-D}" "$model.pml") | grep -v ':init:' || true
    fi
done <<<"$checks"

echo "suite model: $passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
