"""Keeps the table order_board equal to the log, each event counted exactly once, whatever is killed.

    consumer.py [SECONDS]       connects as libpq's environment says; runs until SIGTERM; sleeps SECONDS at most (default 5)

Reading, applying and confirming are one transaction, so a crash undoes all three or none. Start it twice: one works, the
other waits and takes over.
"""

import select
import signal
import socket
import sys
import time

import psycopg2

READER = "order_board"
EVENTS_MAX = 100        # of one transaction
TAKEOVER_WAIT_MS = 500  # how long the server is asked to wait for the reader in one call
RECONNECT_S = 1.0
PAUSE_MIN_S, PAUSE_MAX_S = 0.001, 0.010  # while somebody is committing

READ = "SELECT aggregate_id, payload ->> 'status' FROM oms.read_events(%s, %s)"
APPLY = """INSERT INTO order_board AS board (order_id, status, changes) VALUES (%s, %s, 1)
           ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, changes = board.changes + 1"""


class Stop:
    """What SIGTERM asks for. It can be waited for together with the connection, so a signal ends the sleep."""

    def __init__(self):
        self.asked = False
        self._wakes, self._woken = socket.socketpair()
        self._wakes.setblocking(False)
        signal.set_wakeup_fd(self._wakes.fileno())
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_):
        self.asked = True

    def fileno(self):
        return self._woken.fileno()


def call(connection, sql, *arguments):
    """One statement in a transaction of its own; its single value."""
    with connection, connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        return cursor.fetchone()[0] if cursor.description else None


def consume(connection):
    """One batch. The rows come in the order of the log; COMMIT keeps what they changed together with the reader's place."""
    with connection, connection.cursor() as cursor:
        cursor.execute(READ, (READER, EVENTS_MAX))
        events = cursor.fetchall()
        for event in events:
            cursor.execute(APPLY, event)
        cursor.execute("SELECT oms.commit_reader(%s)", (READER,))
    return len(events)


def wait(connection, stop, seconds):
    """Until the doorbell rings. A notification may have come with the answer of the last statement, so that one is looked for first."""
    connection.poll()
    if not connection.notifies:
        select.select([connection, stop], [], [], seconds)


def run(connection, stop, sleep_max_s):
    call(connection, "LISTEN oms_doorbell")  # committed before the first read: from now on no ring is missed
    while not call(connection, "SELECT oms.attach_reader(%s, %s)", READER, TAKEOVER_WAIT_MS):
        if stop.asked:
            return
    pause_s = PAUSE_MIN_S
    while not stop.asked:
        if consume(connection):
            pause_s = PAUSE_MIN_S
            continue
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_MAX_S)
        connection.notifies.clear()  # these rang for what has been read above
        if not call(connection, "SELECT oms.doorbell_arm()"):
            continue  # somebody is committing
        if not consume(connection):  # what was committed before the arming rang no bell
            wait(connection, stop, sleep_max_s)
        call(connection, "SELECT oms.doorbell_disarm()")


def main():
    sleep_max_s = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    stop = Stop()
    while not stop.asked:
        connection = None
        try:
            connection = psycopg2.connect("")
            run(connection, stop, sleep_max_s)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:  # the server went away, or a deadlock: from the last commit on
            print(f"again in {RECONNECT_S} s: {error}".rstrip(), file=sys.stderr)
            select.select([stop], [], [], RECONNECT_S)
        finally:
            if connection is not None:
                connection.close()  # gives the reader and the doorbell back


if __name__ == "__main__":
    main()
