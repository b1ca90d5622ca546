/*
 * The cursor: a reader's position in the log is a snapshot, and a batch is what the new snapshot shows and the old did not.
 *
 * Kept:  each committed event is delivered exactly once, and no other ever is,
 *        the lower bound of ids that keeps a read off the whole log never hides an event,
 *        events of one order are delivered in the order in which they happened.
 * Writers commit in any order or abort. The reader starts at any moment, at the beginning of the log or at "now"; it pages
 * through a batch over several transactions, one of which may append an event of its own, and each of which may fail.
 * Each name that is tested with #if and not given below breaks one rule; run.sh expects every one to be refuted.
 */
#ifndef WRITERS
#define WRITERS 3
#endif
#ifndef EVENTS
#define EVENTS 2                /* at most, of the first writer; the others append one at most */
#endif
#ifndef ORDER_WRITERS
#define ORDER_WRITERS 2         /* the first so many writers all write to one order, each of the others to its own */
#endif
#ifdef READER_APPENDS           /* an event of its own, in one of the transactions that it reads in */
#define OWN     1
#else
#define OWN     0
#endif
#define XIDS    (WRITERS + OWN)
#define IDS     (WRITERS - 1 + EVENTS + OWN)
#define BIT(x)  (1 << (x))

/* The server. xids and ids count from 1; sets of them are bit masks. */
byte next_xid = 1, latest_completed, sequence;
short running, committed;       /* xids */
short published;                /* ids of committed events */
byte xid_of[IDS + 1];           /* of each row; rows of aborted transactions stay, as dead rows do */
bool order_locked;              /* the row lock of the order that several write to */
short of_order;                 /* ids of that order's events */
byte finished;                  /* writers */

/* A violation is reported under these names. */
bool missed, delivered_twice, delivered_uncommitted, out_of_order;

/* What PostgreSQL puts into a snapshot. xmax is not the next xid: a transaction at or above xmax may have been running
   for long, if only no younger one has completed. A session's own xid is not in its list. */
#define XMAX                    (latest_completed + 1)
#define XIP(own)                (running & (BIT(XMAX) - 1) & ~BIT(own))
#define VISIBLE(x, snapshot)    ((x) < snapshot.xmax && !(snapshot.xip & BIT(x)))

inline assign_xid()
{
    d_step { xid = next_xid; next_xid++; running = running | BIT(xid) }
}

inline draw_id()
{
    sequence++;
    id = sequence
}

inline insert_row(shares_order)
{
    xid_of[id] = xid;
    mine = mine | BIT(id);
    of_order = of_order | (shares_order << id);
    id = 0
}

/* Becomes visible, or not, in one step; transactions need not complete in the order of their xids. */
inline complete(committing)
{
    running = running & ~BIT(xid);
    latest_completed = (xid > latest_completed -> xid : latest_completed);
    committed = committed | (committing << xid);
    published = published | (committing * mine);
    xid = 0;
    mine = 0
}

inline end_transaction(committing)
{
    complete(committing);
    order_locked = order_locked && !locked;     /* no earlier than the commit is visible */
    locked = false; left = 0; id = 0;
    finished++
}

proctype writer(byte left; bool shares_order)
{
    byte xid, id;
    short mine;
    bool locked;

#ifdef XID_AFTER_ID
    d_step { draw_id() };
#endif
    assign_xid();
#ifdef ID_BEFORE_ROW_LOCK
    d_step { draw_id() };       /* a sequence cached by its session does that too */
#endif
    do
    :: d_step {
            left > 0 && (locked || !shares_order || !order_locked) ->
            locked = shares_order;
            order_locked = order_locked || locked;
            if
            :: id == 0 -> draw_id()
            :: else
            fi;
            insert_row(shares_order);
            left--
       }
    :: true -> break
    od;
    if
    :: d_step { end_transaction(true) }
    :: d_step { end_transaction(false) }
    fi
}

/* A snapshot, and a note taken beside it: transactions from from_xid on draw ids above above_id only. */
typedef Sight {
    byte xmax;
    short xip;
    byte above_id;
    byte from_xid
}

/* The note is true if the sequence is read before the xid. When the snapshot is taken does not matter to it, so that may
   be one which the caller's transaction took long ago. */
inline look()
{
    if
#if defined(SEQUENCE_NOTED_LAST)
    :: note_xid(); take_snapshot(); note_sequence()
#elif defined(XMAX_TAKEN_FOR_NEXT_XID)
    :: note_sequence(); take_snapshot(); sight.from_xid = sight.xmax
#else
    :: note_sequence(); note_xid(); take_snapshot()
    :: note_sequence(); take_snapshot(); note_xid()
    :: take_snapshot(); note_sequence(); note_xid()
#endif
    fi
}
inline note_sequence() { sight.above_id = sequence }
inline note_xid()      { sight.from_xid = next_xid }
inline take_snapshot() { d_step { sight.xmax = XMAX; sight.xip = XIP(xid); promised = published } }

/* Makes what was seen the new end of the batch. */
inline open_batch(end)
{
    end.xmax = sight.xmax;
    end.above_id = sight.above_id;
#if defined(IN_PROGRESS_LIST_IGNORED)
    end.xip = 0;
#elif defined(OWN_XID_FORGOTTEN)
    end.xip = sight.xip;
#else
    end.xip = sight.xip | (BIT(xid) & (BIT(sight.xmax) - 2));   /* what this transaction writes is for the next batch */
#endif
    end.from_xid = sight.from_xid;
    sight.xmax = 0; sight.xip = 0; sight.above_id = 0; sight.from_xid = 0
}

/* The ids of x are above this: the note of the old snapshot, or the older one carried for a transaction that it did not
   cover. One scan may start at the least bound of all that it looks for; here each row has to pass its own. */
#ifdef BOUND_NOT_CARRIED
#define BOUND(x)        old.above_id
#else
#define BOUND(x)        ((x) >= old.from_xid -> old.above_id : bound[x])
#endif

#define ROW_XID         xid_of[id]
#define ROW_IS_VISIBLE  (ROW_XID != 0 && ((committed & BIT(ROW_XID)) || (ROW_XID == xid && appended_first)))
#ifdef ID_GREATER_THAN_LAST
#define IN_BATCH        (ROW_IS_VISIBLE && VISIBLE(ROW_XID, new))
#else
#define IN_BATCH        (ROW_IS_VISIBLE && VISIBLE(ROW_XID, new) && !VISIBLE(ROW_XID, old) && id > BOUND(ROW_XID))
#endif

/* Rows come in the order of id, so that a row's place is its id. */
#ifdef SORT_BY_XID
#define PLACES          (XIDS * IDS)
#define ID_AT(place)    (1 + (place - 1) % IDS)
#define IN_TURN(place)  (ROW_XID == 1 + (place - 1) / IDS)
#else
#define PLACES          IDS
#define ID_AT(place)    place
#define IN_TURN(place)  true
#endif

/* Delivers the next row behind the position. A larger page is several of these with nothing in between. */
inline deliver_page()
{
    place = position + 1;
    do
    :: place > PLACES || found -> break
    :: else ->
        id = ID_AT(place);
        if
        :: IN_TURN(place) && IN_BATCH ->
            delivered_twice = (delivered & BIT(id)) != 0;
            assert(!delivered_twice);
            delivered = delivered | BIT(id);
            out_of_order = (of_order & BIT(id)) && (delivered & of_order) >> (id + 1) != 0;
            assert(!out_of_order);
            found = true;
            position = place
        :: else
        fi;
        place++
    od;
    exhausted = place > PLACES;
    place = 0; id = 0; found = false
}

/* The new snapshot becomes the old one. What it did not show keeps its bound: one is stored for each xid in its list, and a
   single one, the least, for all from its xmax to the note. */
inline close_batch()
{
    missed = (promised & ~delivered) != 0;
    assert(!missed);
    for (place : 1 .. XIDS) {
        id = (place > new.xmax -> new.xmax : place);
        bound[place] = (VISIBLE(place, new) || place >= new.from_xid -> 0 : BOUND(id))
    }
    place = 0; id = 0;
    old.xmax = new.xmax; old.xip = new.xip; old.above_id = new.above_id; old.from_xid = new.from_xid;
    new.xmax = 0; new.xip = 0; new.above_id = 0; new.from_xid = 0;
    promised = 0;
#ifndef ID_GREATER_THAN_LAST
    position = 0
#endif
}

proctype reader()
{
    /* the stored cursor */
    Sight old, new;             /* new: of the batch being paged, rows that it shows and old did not; none if xmax is 0 */
    byte position;              /* the place of the last row delivered from it */
    byte bound[XIDS + 1];
    short delivered;

    /* one transaction */
    Sight sight;
    short mine, promised;       /* promised: what the batch has to bring */
    byte xid, id, place;
    bool appended_first;        /* before it read */
    bool found, exhausted, last_round, may_append = true;

    if
    :: old.xmax = 1; old.from_xid = 1           /* from the beginning */
#ifndef ID_GREATER_THAN_LAST
    :: look();                                  /* from now on; what runs already may have drawn any id: its bound is 0 */
        d_step { open_batch(old); delivered = promised; promised = 0 }
#endif
    fi;

    do
    ::  last_round = finished == WRITERS;
#ifdef READER_APPENDS
        if
        :: may_append -> may_append = false; last_round = false; assign_xid();
            if
            :: d_step { draw_id(); insert_row(false); appended_first = true }
            :: true
            fi
        :: true
        fi;
#endif
#ifdef PAGE_UNDER_NEW_SNAPSHOT
        look();
#else
        if
        :: new.xmax == 0 -> look()
        :: else
        fi;
#endif
#ifdef READER_APPENDS
        if
        :: xid != 0 && mine == 0 -> d_step { draw_id(); insert_row(false) }
        :: else
        fi;
#endif
        if
        :: atomic {             /* commit: the cursor, what was done with the events, and the own event */
                d_step {
                    if
                    :: sight.xmax != 0 -> open_batch(new)
                    :: else
                    fi;
                    deliver_page();
                    if
                    :: xid != 0 -> complete(true); appended_first = false
                    :: else
                    fi;
                    delivered_uncommitted = (delivered & ~published) != 0;
                    assert(!delivered_uncommitted)
                };
                if
                :: exhausted -> d_step { close_batch(); exhausted = false };
                    if
                    :: last_round -> break
                    :: else
                    fi
                :: else
                fi
           }
        :: d_step {             /* abort, or a crash */
                if
                :: xid != 0 -> complete(false); appended_first = false
                :: else
                fi;
                if
                :: new.xmax == 0 -> promised = 0
                :: else
                fi;
                sight.xmax = 0; sight.xip = 0; sight.above_id = 0; sight.from_xid = 0
           }
        fi;
        last_round = false
    od
}

init
{
    byte w;

    atomic {
        for (w : 1 .. WRITERS) {
            run writer((w == 1 -> EVENTS : 1), w <= ORDER_WRITERS)
        }
        run reader()
    }
}
