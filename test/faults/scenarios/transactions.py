"""Transactions that stay open, are prepared, are rolled back by the thousand."""

import contextlib
import time

import psycopg2

from scenario import whole
from shell import eventually

HOLD_S = {False: 3, True: 90}


def append(cursor, key, topic, text):
    cursor.execute("""SELECT last_id FROM oms.append_events('note', %s, NULL, jsonb_build_array(jsonb_build_object(
                          'type', 'note.written', 'topic', %s::text, 'payload', jsonb_build_object('text', %s::text))))""", (key, topic, text))
    return cursor.fetchone()[0]


def sent(round_, event):
    return round_.ask("SELECT status FROM oms.outbox WHERE id = %s", event)[0][0] == "sent"


def sessions(round_, stack, database=None):
    connection = psycopg2.connect(round_.postgres.dsn(database or round_.database))
    stack.callback(connection.close)
    return connection, connection.cursor()


@whole
def long_transactions(round_):
    """One transaction has written and stays open, one is prepared, one in another database holds a snapshot: only their own events wait."""
    round_.start_load(open_s=2)
    worker = round_.start_worker()
    round_.send_more(20)
    with contextlib.ExitStack() as stack:
        open_one, cursor = sessions(round_, stack)
        append(cursor, "held-1", round_.topics[0], "open")
        round_.inject("transaction left open")

        foreign, foreign_cursor = sessions(round_, stack, "postgres")
        foreign.set_session(isolation_level="REPEATABLE READ")
        foreign_cursor.execute("SELECT pg_current_xact_id()")
        round_.inject("snapshot held in another database")

        preparing, preparing_cursor = sessions(round_, stack)
        append(preparing_cursor, "held-2", round_.topics[1], "prepared")
        preparing_cursor.execute("PREPARE TRANSACTION 'held'")
        preparing.commit()
        round_.inject("transaction left prepared")

        began = time.monotonic()
        while time.monotonic() < began + HOLD_S[round_.soak]:
            # What others commit meanwhile does not wait for those.
            with contextlib.closing(round_.postgres.connect(round_.database)) as connection, connection.cursor() as other:
                event = append(other, "passing", round_.topics[0], "passing by")
            eventually(lambda event=event: sent(round_, event), "an event passes the open transactions")
            round_.inject("event passing by")
            time.sleep(0.2)
        round_.tell("seconds held", round(time.monotonic() - began))
        append(cursor, "held-1", round_.topics[0], "open, much later, under the old transaction id")
        open_one.commit()
        foreign.rollback()
        worker_goes_on = worker.alive()
        round_.expect(worker_goes_on, "the worker lives")
        preparing.autocommit = True
        preparing_cursor.execute("COMMIT PREPARED 'held'")
    eventually(lambda: round_.ask("SELECT count(*) FROM oms.outbox WHERE key LIKE 'held-%%' AND status = 'sent'")[0][0] == 3,
               "the events of the held transactions are sent")


@whole
def prepared_over_a_crash(round_):
    """Prepared transactions outlive the postmaster; whoever commits them afterwards, their events come then, and those rolled back never."""
    round_.start_load(kinds={"plain": 40, "prepared": 40, "asynchronous": 20}, open_s=1.5)
    round_.start_worker()
    round_.send_more(50)
    for number in range(6):
        with contextlib.ExitStack() as stack:
            connection, cursor = sessions(round_, stack)
            append(cursor, f"outlives-{number}", round_.topics[0], "prepared before the crash")
            cursor.execute(f"PREPARE TRANSACTION 'outlives-{number}'")
            connection.commit()
    round_.inject("prepared transaction left over a crash", 6)
    round_.postgres.kill_postmaster()
    round_.inject("kill -9 of the postmaster")
    round_.postgres.start()
    eventually(lambda: round_.postgres.answers(round_.database), "PostgreSQL is back")
    round_.cut()
    round_.load.write_more(50)
    for number in range(6):
        round_.ask(("COMMIT" if number % 2 else "ROLLBACK") + f" PREPARED 'outlives-{number}'")
    round_.send_more(20)
    eventually(lambda: round_.ask("SELECT count(*) FROM oms.outbox WHERE key LIKE 'outlives-%%' AND status = 'sent'")[0][0] == 3,
               "the events of those that were committed are sent")


@whole
def thousand_rollbacks(round_):
    """A thousand transactions and savepoints that append are rolled back among the commits: their ids are gaps, and nothing waits for them."""
    load = round_.start_load(kinds={"rolled_back": 55, "savepoint": 10, "plain": 30, "asynchronous": 5}, pause_s=0.004)
    round_.start_worker()
    goal = 1000 * (1 + 4 * round_.soak)
    eventually(lambda: load.ledger.transactions.get("rolled_back", 0) >= goal or any(w.failure for w in load.writers), f"{goal} rollbacks")
    load.stop()
    round_.inject("rollback", load.ledger.transactions["rolled_back"])
    round_.inject("rollback to a savepoint", load.ledger.transactions["savepoint"])
    round_.tell("events rolled back", len(load.ledger.rolled_back))
    gaps = round_.ask("SELECT max(id) - count(*) FROM oms.event")[0][0]
    round_.expect(gaps >= len(load.ledger.rolled_back) // 2, f"they left gaps in the ids: {gaps}")
