/* Those who bring news: workers, the ends of leases, the clock, and people. Included by saga.pml. */

inline take_place(i)
{
    world[i] = EFFECT;
    leaked = KNOWN_UNDONE(i);
    assert(!leaked)
}

#define SELF worker[me]
#define STEP worker[me].at
#ifdef EPOCH_UNCHECKED
#define HOLDS_LEASE     (SELF.holds_task && task[STEP].status == LEASED)
#else
#define HOLDS_LEASE     (SELF.holds_epoch && task[STEP].status == LEASED)
#endif

inline close_task(i, said)
{
    task[i].status = (said == FAILED_NOW -> (task[i].attempt < TASK_ATTEMPTS -> READY : DEAD) : (said == REFUSED -> DEAD : DONE))
}

inline let_go()
{
    SELF.phase = IDLE; SELF.purpose = 0; SELF.holds_task = false; SELF.holds_epoch = false
}

/* Without the lease it is OM022, or the same answer as before: nothing. */
inline close(can, said)
{
    d_step {
        can && HOLDS_LEASE ->
        old_answer_counted = !SELF.holds_epoch;
        assert(!old_answer_counted);
        close_task(STEP, said);
#ifndef FAILURE_TAKEN_FOR_A_NO
        step[STEP].unknown = step[STEP].unknown || (said == FAILED_NOW && SELF.purpose == DO && task[STEP].status == READY);
#endif
        let_go()
    }
}

inline answer(can, said)
{
    close(can, said);
#ifndef STEP_TOLD_LATER
    news!ANSWER, STEP, said
#endif
}

#define IS_AT(what)     (SELF.phase == WORKING && SELF.purpose == what)

/* Claims, works and answers, each in a transaction of its own, as late as it likes, or never. */
proctype works(byte me)
{
end:
    do
    :: d_step {                 /* claims; the second one only when the first is busy: they are alike. There is one task at a time. */
            SELF.phase == IDLE && (me == 0 || worker[0].phase != IDLE) && (task[A].status == READY || task[B].status == READY) ->
            STEP = (task[A].status == READY -> A : B);
            end_epoch(STEP);
            SELF.phase = WORKING; SELF.purpose = task[STEP].purpose; SELF.holds_epoch = true;
#ifdef EPOCH_UNCHECKED
            SELF.holds_task = true;
#endif
            task[STEP].status = LEASED; task[STEP].attempt++; task[STEP].claimed = true
       }
       /* does it, or finds it done; when it has not done it, it may say so, whatever became of earlier attempts; it may not know, and it may
          fail in any case */
    :: d_step { IS_AT(DO) && world[STEP] != NEVER -> take_place(STEP); SELF.phase = HAS_DONE }
    :: atomic { answer(SELF.phase == HAS_DONE, SUCCEEDED) }
    :: atomic { answer(SELF.phase == HAS_DONE, SAID_UNKNOWN) }
    :: atomic { answer(IS_AT(DO), SAID_UNKNOWN) }
    :: atomic { answer(IS_AT(DO), SAID_RETRY) }
    :: atomic {                 /* to be tried again, of which the saga hears nothing, or not */
            close(SELF.phase != IDLE, FAILED_NOW);
            if
            :: task[STEP].status == READY
            :: task[STEP].status == DEAD -> news!ANSWER, STEP, USED_UP
            fi
       }
    :: atomic { answer(IS_AT(DO), REFUSED) }
#ifdef ASKS
       /* asks whether it was done; when it was not, it will not be */
    :: atomic { answer(IS_AT(ASK) && world[STEP] == EFFECT, SUCCEEDED) }
#ifdef QUESTION_DECIDES_NOTHING
    :: atomic { answer(IS_AT(ASK) && world[STEP] != EFFECT, REFUSED) }
#else
    :: d_step { IS_AT(ASK) && world[STEP] == NOTHING -> world[STEP] = NEVER }
    :: atomic { answer(IS_AT(ASK) && world[STEP] == NEVER, REFUSED) }
#endif
#endif
       /* undoes, or cannot */
#ifdef UNDOING_NOT_REMEMBERED
    :: d_step { IS_AT(UNDO) -> world[STEP] = NOTHING; SELF.phase = HAS_DONE }
#else
    :: d_step { IS_AT(UNDO) -> world[STEP] = NEVER; SELF.phase = HAS_DONE }
#endif
    :: atomic { answer(IS_AT(UNDO), REFUSED) }
    :: d_step { SELF.phase != IDLE -> let_go() }        /* dies */
    od
}

/* Ends leases. That there was one without an answer is noted: the work may yet be done by who had it. */
proctype leases(byte i)
{
end:
    do
    :: atomic {
            d_step {
                task[i].status == LEASED ->
                end_epoch(i);
                step[i].unknown = step[i].unknown || (task[i].purpose == DO);
                close_task(i, FAILED_NOW)
            };
            if
            :: task[i].status == READY
            :: task[i].status == DEAD -> news!ANSWER, i, SAID_UNKNOWN
            fi
       }
#ifdef CLAIM_LOST_IN_CRASH
    :: d_step {                 /* the server's; the worker lives on */
            task[i].status == LEASED ->
            end_epoch(i);
            task[i].status = READY; task[i].attempt--; task[i].claimed = task[i].attempt > 0
       }
#endif
    od
}

/* Takes a timer, and only then locks the saga; or its transaction fails, and the timer is there again. */
proctype clock()
{
end:
    do
#ifdef CLOCK_AT_ONCE
    :: atomic { timer[NEAR] -> timer[NEAR] = false; news!TIME, 0, NEAR }
    :: atomic { timer[FAR] -> timer[FAR] = false; news!TIME, 0, FAR }
#else
    :: d_step { in_flight == 0 && timer[NEAR] -> timer[NEAR] = false; in_flight = NEAR }
    :: d_step { in_flight == 0 && timer[FAR] -> timer[FAR] = false; in_flight = FAR }
    :: d_step { in_flight != 0 -> timer[in_flight] = true; in_flight = 0 }
    :: atomic { in_flight != 0 -> news!TIME, 0, in_flight }
#endif
    od
}

/* What functions began, and signals from elsewhere. */
proctype others()
{
end:
    do
#ifdef SIGNALS
    :: atomic { may_send && saga == RUNNING -> may_send = false; news!SIGNAL, C, 0 }
#else
    :: atomic { d_step { step[C].status == RUNNING && world[C] == NOTHING -> take_place(C) }; news!ANSWER, C, SUCCEEDED }
    :: atomic { step[C].status == RUNNING && world[C] == NOTHING -> news!ANSWER, C, REFUSED }
#ifdef UNSTOPPABLE_HALTED
    :: d_step { BEGUN(C) && step[C].status != RUNNING && world[C] == NOTHING -> take_place(C) }
#endif
#endif
    od
}

proctype people()
{
end:
    do
#ifdef CANCELED_AFTER_ITS_END
    :: atomic { may_cancel && saga != GOING_BACK -> news!CANCEL, 0, 0 }
#else
    :: atomic { may_cancel && saga == RUNNING -> news!CANCEL, 0, 0 }
#endif
    :: atomic { may_compensate && saga == COMPLETED -> news!COMPENSATE, 0, 0 }
#if RESUMES > 0
    :: atomic { saga == PARKED && resumes < RESUMES -> news!RESUME, false, 0 }
    :: atomic { saga == PARKED && resumes < RESUMES -> news!RESUME, true, 0 }       /* undone by hand */
#endif
    od
}
