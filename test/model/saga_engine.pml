/* The engine: what one transaction does with the saga that it has locked. Included by saga.pml.
 * In here: unsure says that nobody knows whether the work was done, again that the policy allows another attempt if there is one left. */

/* --- tasks --- */

inline end_epoch(i)
{
    for (other : 0 .. WORKERS - 1) {
        worker[other].holds_epoch = worker[other].holds_epoch && worker[other].at != i
    };
    other = 0
}

inline hand_out(i, what)
{
    end_epoch(i);
    for (other : 0 .. WORKERS - 1) {
        worker[other].holds_task = worker[other].holds_task && worker[other].at != i
    }
    task[i].status = READY;
    task[i].purpose = what;
    task[i].attempt = 0;
    task[i].claimed = false;
    step[i].has_task = true
}

/* Whoever has had it may have done it. */
inline withdraw(i)
{
    if
    :: step[i].has_task ->
#ifndef LEASED_TAKEN_FOR_UNTOUCHED
        unsure = unsure || task[i].claimed || !IN_QUEUE(i);
#endif
        if
        :: IN_QUEUE(i) -> task[i].status = DEAD; end_epoch(i)
        :: else
        fi
    :: else
    fi
}

/* --- steps --- */

inline set_status(i, what)
{
    step[i].status = what;
    step[i].timed = false;
    step[i].has_task = false
}

inline succeed(i)
{
    set_status(i, COMPLETED);
    completions++;
    step[i].completion = completions;
    step[i].unknown = false
}

/* What a lease without an answer left open is remembered until the work has succeeded, or somebody was asked who knows. */
inline fail(i)
{
    again = again && saga == RUNNING && step[i].attempts < STEP_ATTEMPTS;
#ifndef DOUBT_FORGOTTEN
    unsure = unsure || (!again && step[i].unknown);
#endif
    if
    :: unsure && saga == RUNNING && CAN_ASK(i) && !step[i].asking ->
        set_status(i, RUNNING);
        step[i].asking = true;
        hand_out(i, ASK)
    :: else ->
        if
        :: again -> set_status(i, PENDING); step[i].timed = true
        :: else ->
            set_status(i, FAILED);
            step[i].unknown = unsure;
            completions = completions + unsure;
            step[i].completion = (unsure -> completions : 0)
        fi
    fi
}

inline begin(i)
{
    step[i].attempts++;
    if
    :: IS_TASK(i) -> set_status(i, RUNNING); hand_out(i, DO)
    :: IS_WAIT(i) && kept > 0 -> kept--; accepted--; succeed(i)
    :: IS_WAIT(i) && kept == 0 -> set_status(i, RUNNING)
    :: !IS_TASK(i) && !IS_WAIT(i) && raises -> unsure = false; again = true; fail(i)
    :: IS_PROMISE(i) && !raises -> set_status(i, RUNNING)
    :: IS_CALL(i) && !raises ->
        world[i] = EFFECT;
        kept++;                 /* a signal to its own saga: kept, whoever waits already */
        accepted++;
        succeed(i)
    fi
}

inline halt(i)
{
    unsure = step[i].asking;
    again = false;
    if
    :: step[i].status == PENDING && !step[i].unknown -> set_status(i, SKIPPED)
    :: else -> withdraw(i); fail(i)
    fi
}

inline undo_succeed(i)
{
    set_status(i, COMPENSATED);
    undone_twice = undone[i];
    assert(!undone_twice);
    undone[i] = true
}

inline undo_fail(i)
{
    if
    :: again && step[i].undo_attempts < STEP_ATTEMPTS -> set_status(i, UNDOING); step[i].timed = true
    :: else -> set_status(i, UNDO_FAILED)
    fi
}

inline undo(i)
{
    for (other : A .. C) {
        undone_too_early = undone_too_early || OPEN(other);
        undone_out_of_order = undone_out_of_order ||
            (step[other].completion > step[i].completion && (TO_UNDO(other) || step[other].status == UNDOING));
        barrier_broken = barrier_broken ||
            (step[other].completion > step[i].completion && IS_BARRIER(other) && step[other].status == UNDO_FAILED)
    }
    undone_for_nothing = KNOWN_UNDONE(i);
    assert(!undone_too_early);
    assert(!undone_out_of_order);
    assert(!barrier_broken);
    assert(!undone_for_nothing);
    set_status(i, UNDOING);
    if
    :: IS_WAIT(i) -> undo_succeed(i)
    :: IS_TASK(i) -> step[i].undo_attempts++; hand_out(i, UNDO)
    :: !IS_WAIT(i) && !IS_TASK(i) ->
        step[i].undo_attempts++;
        if
        :: raises -> again = true; undo_fail(i)
        :: else -> world[i] = NEVER; undo_succeed(i)
        fi
    fi
}

/* --- what is next: core/saga.hpp --- */

#define WAIT            0
#define START           1
#define SETTLED         2
#define TURN            3
#define HALT            4
#define GO_BACK         5
#define FINISH          6
#define FORWARD(i)      (step[i].status == PENDING -> (step[i].timed -> WAIT : START) : \
                            (step[i].status == RUNNING -> WAIT : (step[i].status == COMPLETED -> SETTLED : TURN)))
#define ACTS(i)         (FORWARD(i) == START || FORWARD(i) == TURN)

inline forward()
{
    if
    :: FORWARD(A) != SETTLED -> node = A; act = FORWARD(A)
    :: FORWARD(A) == SETTLED && ACTS(B) -> node = B; act = FORWARD(B)
    :: FORWARD(A) == SETTLED && !ACTS(B) && ACTS(C) -> node = C; act = FORWARD(C)
    :: FORWARD(A) == SETTLED && !ACTS(B) && !ACTS(C) ->
        act = (FORWARD(B) == SETTLED && FORWARD(C) == SETTLED -> FINISH : WAIT)
    fi
}

#ifdef UNSTOPPABLE_HALTED
#define CANNOT_HALT(i)  false
#else
#define CANNOT_HALT(i)  (step[i].status == RUNNING && IS_PROMISE(i))
#endif
#if defined(UNDONE_BESIDE_RUNNING_BRANCH)
#define HALTS(i)        false
#define AWAITS(i)       false
#elif defined(PENDING_RETRY_NOT_HALTED)
#define HALTS(i)        (step[i].status == RUNNING && !CANNOT_HALT(i))
#define AWAITS(i)       CANNOT_HALT(i)
#else
#define HALTS(i)        (OPEN(i) && !CANNOT_HALT(i))
#define AWAITS(i)       CANNOT_HALT(i)
#endif
#ifdef UNDONE_AS_DEFINED
#define PLACE(i)        (STEPS - (i))
#else
#define PLACE(i)        step[i].completion
#endif

inline backward()
{
    act = FINISH;
    best = 0;
    barred = 0;                 /* up to which completion a barrier holds everything back */
    for (other : A .. C) {
        if
        :: step[other].status == UNDO_FAILED && IS_BARRIER(other) -> barred = step[other].completion
        :: else
        fi
    }
#ifdef BARRIER_IGNORED
    barred = 0;
#endif
    for (other : A .. C) {
        if
        :: TO_UNDO(other) && step[other].completion > barred && PLACE(other) > best ->
            best = PLACE(other);
            node = other;
            act = GO_BACK
        :: else
        fi
    }
    found = false;
    for (other : A .. C) {
        if
        :: step[other].status == UNDOING && !found ->
            found = true;
            node = other;
            act = (step[other].has_task || step[other].timed -> WAIT : GO_BACK)
        :: else
        fi
    }
    for (other : A .. C) {
        if
        :: AWAITS(other) -> act = WAIT
        :: else
        fi
    }
    for (other : A .. C) {
        if
        :: HALTS(other) -> node = other; act = HALT
        :: else
        fi
    }
}

inline finish()
{
    saga = (saga == RUNNING -> COMPLETED : (ANY(UNDO_FAILED) -> PARKED : COMPENSATED));
    if
    :: saga != PARKED ->
        ended_twice = ended != 0 && ended != saga;
        assert(!ended_twice);
        ended = saga
    :: else
    fi
}

inline advance()
{
    do
    ::  if
        :: saga == RUNNING -> forward()
        :: saga == GOING_BACK -> backward()
        :: else -> act = WAIT
        fi;
#ifndef KEPT_SIGNAL_NOT_OFFERED
        if
        :: act == WAIT && saga == RUNNING && IS_WAIT(C) && step[C].status == RUNNING && kept > 0 ->
            kept--; accepted--; succeed(C);
            act = START;
            node = STEPS
        :: else
        fi;
#endif
        if
        :: act == WAIT -> break
        :: act == START && node < STEPS -> begin(node)
        :: act == START && node == STEPS
        :: act == TURN -> saga = GOING_BACK
        :: act == HALT -> halt(node)
        :: act == GO_BACK -> undo(node)
        :: act == FINISH -> finish(); break
        fi
    od
}

/* --- the saga's timer --- */

/* The saga's deadline is that of A and of a promise, too. With nothing to wait for but a promise it looks again, far away. */
#define IS_DUE_NEAR(i)  (step[i].timed || (step[i].status == UNDOING && step[i].has_task) || \
                            (step[i].status == RUNNING && (i) != A && !IS_PROMISE(i)))
#define NEXT_DUE        (!ACTIVE -> 0 : (IS_DUE_NEAR(A) || IS_DUE_NEAR(B) || IS_DUE_NEAR(C) -> NEAR : FAR))

/* There is one, moved only to an earlier time: one that fires too early finds nothing due, and is set anew. */
inline arm()
{
    due = NEXT_DUE;
    if
#ifdef TIMER_NEVER_MOVED
    :: wake != 0 && due == 0 ->
#else
    :: wake != 0 && (due == 0 || due < wake) ->
#endif
        timer[NEAR] = false; timer[FAR] = false; wake = 0      /* what the clock is about just now, fires */
    :: else
    fi;
    if
    :: due != 0 && wake == 0 -> timer[due] = true; wake = due
    :: else
    fi
}

/* --- news --- */

inline work_answered(i)
{
#ifdef USED_UP_TAKEN_FOR_FAILED
    unsure = outcome == SAID_UNKNOWN;
#else
    unsure = outcome == SAID_UNKNOWN || outcome == USED_UP;
#endif
    again = outcome == SAID_RETRY;
#ifdef UNKNOWN_TAKEN_FOR_FAILED
    unsure = false;
#endif
    if
    :: outcome == SUCCEEDED -> succeed(i)
    :: else -> fail(i)
    fi
}

inline question_answered(i)
{
    again = false;
    unsure = outcome != REFUSED;
    step[i].unknown = unsure;
    if
    :: outcome == SUCCEEDED -> succeed(i)
    :: else -> fail(i)
    fi
}

inline answered(i)
{
    if
    :: step[i].status == RUNNING && !step[i].asking -> work_answered(i)
    :: step[i].status == RUNNING && step[i].asking -> question_answered(i)
    :: step[i].status == UNDOING && step[i].has_task ->
        again = outcome == SAID_RETRY;
        if
        :: outcome == SUCCEEDED -> undo_succeed(i)
        :: else -> undo_fail(i)
        fi
    :: else
    fi
}

/* The step's time has come: of its next attempt, or to end what it waits for. */
inline time_came(i)
{
    unsure = step[i].asking;
    again = step[i].status == UNDOING;
    if
    :: step[i].timed -> step[i].timed = false
    :: !step[i].timed && step[i].status == RUNNING && !IS_PROMISE(i) -> withdraw(i); fail(i)
    :: !step[i].timed && step[i].status == UNDOING && step[i].has_task -> withdraw(i); undo_fail(i)
    :: else
    fi
}

inline resume(by_hand)
{
    saga = GOING_BACK;
    for (best : A .. C) {
        if
        :: step[best].status == UNDO_FAILED ->
            step[best].undo_attempts = 0;
#ifdef RESUMED_ALL_AT_ONCE
            set_status(best, UNDOING);
#else
            set_status(best, (step[best].unknown -> FAILED : COMPLETED));
#endif
            if
            :: by_hand -> world[best] = NEVER; undo_succeed(best)
            :: else
            fi
        :: else
        fi
    }
}
