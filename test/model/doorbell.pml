/*
 * The doorbell: how a producer's commit wakes a sleeping reader without a NOTIFY in every transaction.
 *
 * Kept:  no lost wake-up (a reader never sleeps on an unread event with nothing on its way to wake it),
 *        no idle polling (only a committing producer can refuse a reader the bell),
 *        the price (a NOTIFY is queued only for a reader that sleeps or is about to, never for one that works).
 * Producers run transactions and readers lose their sessions without end: the states are finite because what counts
 * of the log is one bit per reader, whether something visible is unread. A reader may wake for no reason at any moment,
 * but no property relies on it: the timeout is a floor, not a crutch.
 * Each name that is tested with #if and not given below breaks one rule; run.sh expects every one to be refuted.
 */
#ifndef PRODUCERS
#define PRODUCERS 3
#endif
#ifndef READERS
#define READERS 2
#endif

/* PostgreSQL's lock modes, as far as they matter here. The bell is one lock. Producers take it in a mode that goes with
   itself, readers in another that goes with itself, and the two exclude each other. */
#define ROW_SHARE     2
#define ROW_EXCLUSIVE 3
#define SHARE         5
#define EXCLUSIVE     7
#if defined(READERS_EXCLUDE_EACH_OTHER)
#define PRODUCER_MODE SHARE
#define READER_MODE   EXCLUSIVE
#elif defined(MODES_DO_NOT_CONFLICT)
#define PRODUCER_MODE ROW_EXCLUSIVE
#define READER_MODE   ROW_SHARE
#else
#define PRODUCER_MODE ROW_EXCLUSIVE
#define READER_MODE   SHARE
#endif
#define ONE_IS(m, a, b)     ((a) == m || (b) == m)
#define CONFLICT(a, b)      (ONE_IS(EXCLUSIVE, a, b) || (ONE_IS(ROW_EXCLUSIVE, a, b) && ONE_IS(SHARE, a, b)))

byte ringing;                   /* producers that hold the bell */
byte armed;                     /* readers that hold the bell */
byte prepared;                  /* transactions prepared and not yet committed */

typedef Reader {
    bool unread;                /* an event is visible that its last snapshot did not show */
    bool listening;             /* LISTEN is committed */
    bool in_flight;             /* a notification is queued for its session */
    bool notified;              /* it has arrived and nobody has looked at it */
    bool holds_bell;
    bool working;               /* reads after having been woken */
    bool asleep;
    bool has_timeout;           /* sleeps with the short timeout */
    bool killed
}
Reader reader[READERS];

/* A violation is reported under these names. */
bool lost_wakeup, idle_polling, notify_for_working_reader;

#define REFUSED_TO_PRODUCER (armed > 0 && CONFLICT(PRODUCER_MODE, READER_MODE))
#define REFUSED_TO_READER   ((ringing > 0 && CONFLICT(READER_MODE, PRODUCER_MODE)) || \
                             (armed > 0 && CONFLICT(READER_MODE, READER_MODE)))

/* Tries the bell without waiting; to be refused means that somebody sleeps. */
inline ring()
{
    d_step {
        if
        :: REFUSED_TO_PRODUCER ->
            notify = true;
#ifndef PRICE_UNCHECKED
            notify_for_working_reader = true;
            for (r : 0 .. READERS - 1) {
                if
                :: reader[r].holds_bell && !reader[r].working -> notify_for_working_reader = false
                :: else
                fi
            }
            r = 0;
            assert(!notify_for_working_reader)
#endif
        :: else -> ringing++; holds = true
        fi
    }
}

inline make_event_visible()
{
    for (r : 0 .. READERS - 1) {
        reader[r].unread = true
    }
    r = 0
}

/* Queues the notification, if there is one, for everyone who listens at this moment. */
inline post_notification()
{
    for (r : 0 .. READERS - 1) {
        reader[r].in_flight = reader[r].in_flight || (notify && reader[r].listening)
    }
    r = 0;
    notify = false
}

inline release_lock()
{
    d_step { ringing = ringing - holds; holds = false }
}

/* One session of the application, from the pre-commit callback on; each transaction has appended a deliverable event. */
active [PRODUCERS] proctype producer()
{
    byte r;
    bool holds, notify;

end:
    do
    ::  ring();
#ifdef BELL_RELEASED_BEFORE_VISIBLE
        release_lock();
#endif
#ifdef NOTIFY_BEFORE_VISIBLE
        d_step { post_notification() };
#endif
        if
        :: d_step { make_event_visible(); post_notification() }     /* commit: both in one step */
        :: notify = false       /* abort: what follows the callback can still fail; the queued NOTIFY dies with it */
        fi;
        release_lock()          /* the last thing a transaction does, after its commit is visible */
#ifdef PREPARED_WITHOUT_FLOOR
    ::  prepared++;             /* PREPARE TRANSACTION refuses a queued NOTIFY, and COMMIT PREPARED calls nobody back */
        d_step { prepared--; make_event_visible() }
#endif
    od
}

/* PostgreSQL carries a queued notification to its session, some time after the commit. */
proctype delivery(byte to)
{
end:
    do
    :: d_step { reader[to].in_flight -> reader[to].in_flight = false; reader[to].notified = true }
    od
}

#define SELF reader[me]

/* Reads under a new snapshot. Notifications that came before may be thrown away first: the snapshot shows their events. */
inline read()
{
    if
    :: SELF.notified = false
    :: true
    fi;
    d_step { found = SELF.unread; SELF.unread = false; SELF.has_timeout = prepared > 0 }
}

inline release_bell()
{
    d_step { armed = armed - SELF.holds_bell; SELF.holds_bell = false; SELF.working = false }
}

/* The relay, or any other process that owns a reader. */
proctype reader_process(byte me)
{
    bool found;

new_session:
    {
#ifdef LISTEN_AFTER_READ
        skip;
#else
        SELF.listening = true;
#endif
read_on:
        read();
#ifdef RELEASE_AFTER_READ
        release_bell();
#endif
        if
        :: found -> goto read_on
        :: else
        fi;

        atomic {                /* try without waiting */
            if
            :: REFUSED_TO_READER ->     /* pause, then read */
                idle_polling = ringing == 0;
                assert(!idle_polling);
                goto read_on
            :: else -> armed++; SELF.holds_bell = true
            fi
        };
#ifndef NO_SECOND_READ
        /* Once more, under a snapshot taken now: what committed between the read above and the arming rang for a reader
           that was awake. A snapshot older than the arming is no second read. */
        read();
        if
        :: found -> release_bell(); goto read_on
        :: else
        fi;
#endif
#ifdef LISTEN_AFTER_READ
        SELF.listening = true;
#endif
#ifdef NOTIFICATION_DROPPED_BEFORE_SLEEP
        SELF.notified = false;
#endif
        SELF.asleep = true;
        if
        :: d_step { SELF.notified -> SELF.notified = false; SELF.asleep = false }
        :: SELF.asleep = false  /* the floor, a signal, somebody else's notification */
        fi;
#ifdef RELEASE_AFTER_READ
        SELF.working = true;
#else
        release_bell();
#endif
        goto read_on
    } unless { SELF.killed };

    d_step {                    /* PostgreSQL releases the session's locks and forgets what was queued for it */
        release_bell();
        SELF.killed = false; SELF.listening = false; SELF.in_flight = false; SELF.notified = false; SELF.asleep = false;
        SELF.has_timeout = false; found = false
    };
    if
    :: SELF.unread = true       /* the stored position may be older than what the session had read */
    :: true
    fi;
    goto new_session
}

/* Ends the reader's session at any moment. */
proctype killer(byte of_reader)
{
end:
    do
    :: reader[of_reader].killed = true
    od
}

proctype monitor(byte who)
{
end:
    atomic {
        reader[who].asleep && reader[who].unread && !reader[who].notified && !reader[who].in_flight &&
            !reader[who].has_timeout ->
        lost_wakeup = true;
        assert(!lost_wakeup)
    }
}

init
{
    byte r;

    atomic {
        for (r : 0 .. READERS - 1) {
            run reader_process(r);
            run delivery(r);
            run killer(r);
            run monitor(r)
        }
    }
}
