/*
 * A saga: step A, then B and C together; their tasks, what workers do with them, and the saga's timer.
 *
 * Kept:  no effect is left behind when the saga has gone back, and a completed one has them all, however late, twice or never somebody does
 *        the work and answers; nothing is undone of which it is known that it was not done,
 *        an answer under an old lease changes nothing,
 *        steps are undone once, in reverse order of completion, none before all that was begun has ended, none behind a barrier,
 *        a saga ends once; only compensate_saga leads from completed to compensated,
 *        a signal that was accepted is there for the step that waits for it,
 *        a saga that has not ended has a timer that will fire in time, nothing that it could do at once, and no step that waits for work that
 *        nobody will do; one that is parked has a compensation that failed.
 * A transaction is one step of the model: order, saga and task are locked in it. A crash is one that does not take place; whoever wanted it comes
 * again or does not. Only the clock takes a timer first and locks the saga later. There are two times: what comes near, and what is far away.
 * Each name that is tested with #if and not given below breaks one rule; run.sh expects every one to be refuted.
 */
#ifndef STEP_ATTEMPTS
#define STEP_ATTEMPTS 2
#endif
#ifndef TASK_ATTEMPTS
#define TASK_ATTEMPTS 2
#endif
#ifndef RESUMES
#define RESUMES 1
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#define STEPS   3
#define A       0
#define B       1
#define C       2

/* A is a task. B is a task too, about which a question can be asked (ASKS), and C is begun by a function and answered by somebody who cannot be
   stopped, as a payment is. With SIGNALS B is a function that sends a signal to its own saga, and C waits for it, or for one from elsewhere. */
#ifdef SIGNALS
#define IS_TASK(i)      ((i) == A)
#define IS_CALL(i)      ((i) == B)
#define IS_WAIT(i)      ((i) == C)
#define IS_PROMISE(i)   false
#define IS_BARRIER(i)   false
#else
#define IS_TASK(i)      ((i) != C)
#define IS_CALL(i)      false
#define IS_WAIT(i)      false
#define IS_PROMISE(i)   ((i) == C)
#define IS_BARRIER(i)   ((i) == B)
#endif
#ifdef ASKS
#define CAN_ASK(i)      ((i) == B)
#else
#define CAN_ASK(i)      false
#endif

/* The saga. */
#define RUNNING         1
#define COMPLETED       2
#define GOING_BACK      3
#define COMPENSATED     4
#define PARKED          5
unsigned saga : 3 = RUNNING;
unsigned completions : 3;
unsigned kept : 2;              /* signals that no step has taken */

/* Steps, besides the above: running is also waiting. */
#define PENDING         0
#define FAILED          3
#define SKIPPED         5
#define UNDOING         6
#define UNDO_FAILED     7
typedef Step {
    unsigned status : 3;
    unsigned attempts : 2;
    unsigned undo_attempts : 2;
    unsigned completion : 3;
    bool unknown;               /* perhaps it was done: for what has failed, or will fail */
    bool asking;
    bool timed;                 /* the next attempt has its time, which has not come */
    bool has_task
}
Step step[STEPS];

/* The last task of each step. Workers may still be at work for earlier ones. */
#define READY           1
#define LEASED          2
#define DONE            3
#define DEAD            4
#define DO              1       /* what it is for */
#define ASK             2
#define UNDO            3
typedef Task {
    unsigned status : 3;
    unsigned purpose : 2;
    unsigned attempt : 2;
    bool claimed                /* ever */
}
Task task[STEPS];

/* Answers, and what the saga hears of a task that has ended without one. */
#define SUCCEEDED       1
#define REFUSED         2       /* fail_task, not to be tried again */
#define FAILED_NOW      3       /* fail_task */
#define SAID_RETRY      4       /* complete_task with $retry: by another task */
#define SAID_UNKNOWN    5
#define USED_UP         6       /* the task's last attempt has failed */

#define IDLE            0
#define WORKING         1
#define HAS_DONE        2
typedef Worker {
    unsigned phase : 2;
    unsigned at : 2;
    unsigned purpose : 2;
    bool holds_task;            /* the step's last task is the one that it claimed */
    bool holds_epoch            /* and its lease is the last one */
}
Worker worker[WORKERS];

/* The world outside: what was done for each step. It remembers. */
#define NOTHING         0
#define EFFECT          1
#define NEVER           2       /* undone, or said not to be done: nothing will be done for this step any more */
byte world[STEPS];

/* The saga's rows of oms.timer, by when they are due, and the one that the clock is about. */
#define NEAR            1
#define FAR             2
bool timer[3];
unsigned in_flight : 2;
unsigned wake : 2;              /* when the timer fires that is set, as the saga knows it */

/* What people may still do, and what is remembered for the properties only. */
bool may_cancel = true, may_compensate = true, may_send = true;
unsigned resumes : 2;
unsigned accepted : 2;          /* signals that were accepted and are not taken */
unsigned ended : 3;             /* how the saga has ended */
bool undone[STEPS];

/* A violation is reported under these names. */
bool leaked, old_answer_counted, undone_twice, undone_for_nothing, undone_too_early, undone_out_of_order, barrier_broken;
bool ended_twice, incomplete, signal_lost, stuck, left_lying, waits_for_nobody, parked_without_reason, work_left;

/* What a transaction brings, and what it needs while it lasts. */
chan news = [0] of { byte, byte, byte };
byte act, node, other, best, barred, due, outcome;
bool unsure, again, found;

#define ANSWER          1
#define TIME            2
#define SIGNAL          3
#define CANCEL          4
#define COMPENSATE      5
#define RESUME          6

#define ANY(what)       (step[A].status == what || step[B].status == what || step[C].status == what)
#define BEGUN(i)        (step[i].attempts > 0)
#define OPEN(i)         (step[i].status == RUNNING || (step[i].status == PENDING && BEGUN(i)))
#define KNOWN_UNDONE(i) (step[i].status == SKIPPED || (step[i].status == FAILED && !step[i].unknown))
#define TO_UNDO(i)      (step[i].status == COMPLETED || (step[i].status == FAILED && step[i].unknown))
#define ACTIVE          (saga == RUNNING || saga == GOING_BACK)
#define IN_QUEUE(i)     (task[i].status == READY || task[i].status == LEASED)

inline check()
{
    stuck = ACTIVE && !(timer[NEAR] || in_flight == NEAR || (due == FAR && (timer[FAR] || in_flight == FAR)));
    assert(!stuck);
    for (other : A .. C) {
        leaked = leaked || (world[other] == EFFECT && (KNOWN_UNDONE(other) || saga == COMPENSATED));
        incomplete = incomplete || (saga == COMPLETED && (step[other].status != COMPLETED || (!IS_WAIT(other) && world[other] != EFFECT)));
        left_lying = left_lying || (ACTIVE && !step[other].timed && !step[other].has_task &&
            (step[other].status == UNDOING || (step[other].status == PENDING && BEGUN(other))));
        waits_for_nobody = waits_for_nobody || (step[other].has_task && !IN_QUEUE(other));
        work_left = work_left || (!step[other].has_task && IN_QUEUE(other))
    }
    signal_lost = saga == RUNNING && IS_WAIT(C) && step[C].status == RUNNING && accepted > 0;
    parked_without_reason = saga == PARKED && !ANY(UNDO_FAILED);
    assert(!leaked);
    assert(!incomplete);
    assert(!left_lying);
    assert(!waits_for_nobody);
    assert(!work_left);
    assert(!signal_lost);
    assert(!parked_without_reason)
}

#include "saga_engine.pml"
#include "saga_world.pml"

/* What the world around decides: which of the times have come, and whether the definition's functions raise. */
#define MAY_BE_DUE(i)   (IS_DUE_NEAR(i) || (said == FAR && step[i].status == RUNNING && !IS_PROMISE(i)))
#ifdef SIGNALS
#define FUNCTION        B
#else
#define FUNCTION        C
#endif
#define MAY_CALL        (step[FUNCTION].status < FAILED || step[FUNCTION].status > SKIPPED)

inline forget()
{
    act = 0; node = 0; other = 0; best = 0; barred = 0; due = 0; outcome = 0;
    unsure = false; again = false; found = false
}

/* One transaction. Who has news gives it here: the saga is locked, what the news is about has been done. */
active proctype engine()
{
    byte what, which, said;     /* which: the step; of TIME, the set of steps whose time has come */
    bool raises, too_late;      /* the definition's functions; the saga's deadline */

    d_step { advance(); arm(); check(); forget() };     /* start_saga */
    atomic {
        for (other : 0 .. WORKERS - 1) {
            run works(other)
        }
        other = 0;
        run leases(A); run leases(B); run clock(); run others(); run people()
    };
end:
    do
    :: atomic {
            news?what, which, said ->
            if
            :: MAY_CALL -> raises = true
            :: true
            fi;
            if
            :: what == TIME && MAY_BE_DUE(A) -> which = which | 1
            :: true
            fi;
            if
            :: what == TIME && MAY_BE_DUE(B) -> which = which | 2
            :: true
            fi;
            if
            :: what == TIME && MAY_BE_DUE(C) -> which = which | 4
            :: true
            fi;
            if
#ifdef LATE_TIMER_TURNS_BACK
            :: what == TIME && said == FAR -> too_late = true
#else
            :: what == TIME && said == FAR && saga == RUNNING -> too_late = true
#endif
            :: true
            fi;
            d_step {
                if
                :: what == ANSWER -> outcome = said; answered(which)
                :: what == TIME ->
                    in_flight = 0;
#ifndef WAKE_TIME_KEPT
                    wake = (wake <= said -> 0 : wake);
#endif
                    for (best : A .. C) {
                        if
                        :: which & (1 << best) -> time_came(best)
                        :: else
                        fi
                    }
                    saga = (too_late -> GOING_BACK : saga)
                :: what == SIGNAL ->
                    accepted++;
                    if
                    :: step[C].status == RUNNING -> accepted--; succeed(C)
                    :: else ->
#ifndef SIGNAL_NOT_KEPT
                        kept++
#endif
                    fi
                :: what == CANCEL -> may_cancel = false; saga = GOING_BACK
                :: what == COMPENSATE -> may_compensate = false; saga = GOING_BACK; ended = 0
                :: what == RESUME -> resumes++; resume(which)
                fi;
                advance();
                arm();
                check();
                forget();
                what = 0; which = 0; said = 0; raises = false; too_late = false
            }
       }
    od
}
