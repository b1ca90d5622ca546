"""Writers: sessions that append to the log in every way a transaction can go.

What a transaction means to do stands in its payloads ("fate"), and what it was told stands in the ledger. So the checker need not believe the
database either: what was acknowledged must be in the log, and what was rolled back must be nowhere.
"""

import contextlib
import json
import random
import threading
import time

import psycopg2

from shell import Broken

COMMIT, ROLLBACK = "commit", "rollback"

# How often each kind of transaction is drawn.
USUAL = {"plain": 45, "asynchronous": 20, "rolled_back": 15, "savepoint": 5, "open": 4, "prepared": 4, "order": 7}


class Ledger:
    """What writers were told, by the nonce of each event."""

    def __init__(self):
        self.acknowledged = set()       # COMMIT was answered and waited for the disk
        self.acknowledged_early = set() # COMMIT was answered with synchronous_commit = off: a crash may undo it
        self.rolled_back = set()
        self.in_doubt = set()           # the session broke during COMMIT
        self.transactions = {}          # by kind
        self.lock = threading.Lock()

    def note(self, kind, fate, nonces):
        with self.lock:
            self.transactions[kind] = self.transactions.get(kind, 0) + 1
            fate.update(nonces)


class Writer(threading.Thread):
    def __init__(self, load, number, seed):
        super().__init__(name=f"writer-{number}", daemon=True)
        self._load = load
        self._number = number
        self._dice = random.Random(seed)
        self._count = 0
        self._connection = None
        self.failure = None

    def run(self):
        try:
            while not self._load.ending.is_set():
                try:
                    self._connect()
                    while not self._load.ending.is_set():
                        self._transaction()
                        self._load.ending.wait(self._dice.random() * self._load.pause_s)
                except psycopg2.Error:
                    # The server is down or has shot the session; what was open then is lost, and must be.
                    self._disconnect()
                    self._load.ending.wait(0.05)
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error
        finally:
            self._disconnect()

    def _connect(self):
        self._connection = psycopg2.connect(self._load.dsn + f" connect_timeout=10 application_name=writer_{self._number}")
        with self._connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'; SET deadlock_timeout = '200ms'")
        self._connection.commit()
        resolve_prepared(self._connection, f"{self._number}:")

    def _disconnect(self):
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    def _transaction(self):
        kinds = self._load.kinds
        kind = self._dice.choices(list(kinds), weights=list(kinds.values()))[0]
        try:
            getattr(self, "_" + kind)()
        except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
            self._connection.rollback()

    # --- kinds of transactions

    def _plain(self):
        self._commit("plain", self._append(self._shared_keys(), COMMIT))

    def _asynchronous(self):
        self._execute("SET LOCAL synchronous_commit = off")
        self._commit("asynchronous", self._append(self._shared_keys(), COMMIT), self._load.ledger.acknowledged_early)

    def _rolled_back(self):
        nonces = self._append(self._shared_keys(), ROLLBACK)
        self._connection.rollback()
        self._load.ledger.note("rolled_back", self._load.ledger.rolled_back, nonces)

    def _savepoint(self):
        keys = self._shared_keys()
        nonces = self._append(keys, COMMIT)
        self._execute("SAVEPOINT s")
        undone = self._append(keys, ROLLBACK)
        self._execute("ROLLBACK TO s")
        self._execute("SAVEPOINT t")
        nonces += self._append(keys, COMMIT)
        self._load.ledger.note("savepoint", self._load.ledger.rolled_back, undone)
        self._commit("savepoint", nonces)

    def _open(self):
        """Stays open while others commit, then goes on under its old transaction id."""
        keys = self._own_keys()
        nonces = self._append(keys, COMMIT)
        self._load.ending.wait(self._dice.random() * self._load.open_s)
        nonces += self._append(keys, COMMIT)
        self._commit("open", nonces)

    def _prepared(self):
        fate = self._dice.choice([COMMIT, COMMIT, ROLLBACK])
        nonces = self._append(self._own_keys(), fate)
        self._count += 1
        gid = f"{self._number}:{fate}:{self._load.name}:{self._count}"
        self._load.ledger.note("prepared", self._load.ledger.in_doubt, nonces)
        self._execute("PREPARE TRANSACTION %s", gid)
        self._connection.commit()
        self._load.ending.wait(self._dice.random() * self._load.open_s)
        resolve_prepared(self._connection, gid)
        with self._load.ledger.lock:
            self._load.ledger.in_doubt.difference_update(nonces)
            (self._load.ledger.acknowledged if fate == COMMIT else self._load.ledger.rolled_back).update(nonces)

    def _order(self):
        """An order's first steps, each a transaction of its own."""
        self._count += 1
        nonce = f"{self._load.name}-{self._number}-{self._count}"
        items = json.dumps([{"sku": "TEA", "qty": 1, "price_minor": 450}])
        order = self._value("SELECT order_id FROM oms.create_order(%s, 'EUR', %s, %s)", f"c{self._dice.randrange(50)}", items, "c" + nonce)
        self._commit("order", [])
        for step in ("reserve", "pay", "confirm")[: self._dice.randrange(4)]:
            self._value("SELECT status FROM oms.advance_order(%s, %s, %s)", order, step, step + nonce)
            self._commit("order", [])

    # --- parts of them

    def _shared_keys(self):
        # In order of their names: two writers never wait for each other in a circle.
        return sorted(self._dice.sample(range(self._load.keys), self._dice.choice([1, 1, 1, 2, 3])))

    def _own_keys(self):
        return [f"w{self._number}-{self._dice.randrange(3)}"]

    def _append(self, keys, fate):
        nonces = []
        for key in keys:
            events = []
            for _ in range(self._dice.choice([1, 1, 2, 4])):
                self._count += 1
                nonces.append(f"{self._load.name}-{self._number}-{self._count}")
                events.append({"type": "note.written", "topic": self._dice.choice(self._load.topics),
                               "payload": {"nonce": nonces[-1], "fate": fate, "pad": "x" * self._dice.choice(self._load.pads)}})
            self._value("SELECT version FROM oms.append_events('note', %s, NULL, %s)", f"key-{key}", json.dumps(events))
        return nonces

    def _commit(self, kind, nonces, fate=None):
        ledger = self._load.ledger
        try:
            self._connection.commit()
        except psycopg2.Error:
            ledger.note(kind, ledger.in_doubt, nonces)
            raise
        ledger.note(kind, ledger.acknowledged if fate is None else fate, nonces)

    def _execute(self, sql, *arguments):
        with self._connection.cursor() as cursor:
            cursor.execute(sql, arguments)

    def _value(self, sql, *arguments):
        with self._connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            return cursor.fetchone()[0]


def resolve_prepared(connection, prefix):
    """Ends the prepared transactions whose names begin so, each as its name says."""
    connection.commit()
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database() AND starts_with(gid, %s)", (prefix,))
            for (gid,) in cursor.fetchall():
                cursor.execute(("COMMIT" if gid.split(":")[1] == COMMIT else "ROLLBACK") + " PREPARED %s", (gid,))
    finally:
        connection.autocommit = False


class Load:
    """Some writers at once, from `start()` to `stop()`."""

    def __init__(self, dsn, name, topics, seed, sessions=5, kinds=None, keys=30, pads=(0, 40, 200, 1000), pause_s=0.02, open_s=0.4):
        self.dsn = dsn
        self.name = name
        self.topics = topics
        self.kinds = kinds or USUAL
        self.keys = keys
        self.pads = pads
        self.pause_s = pause_s
        self.open_s = open_s
        self.ledger = Ledger()
        self.ending = threading.Event()
        self.writers = [Writer(self, number, f"{seed}/{number}") for number in range(1, sessions + 1)]

    def start(self):
        for writer in self.writers:
            writer.start()
        return self

    def abandon(self):
        self.ending.set()
        for writer in self.writers:
            writer.join(60)

    def stop(self):
        self.abandon()
        for writer in self.writers:
            if writer.is_alive():
                raise Broken(f"{writer.name} does not end")
            if writer.failure is not None:
                raise writer.failure
        # What a crash left prepared is nobody's any more.
        connection = psycopg2.connect(self.dsn)
        with contextlib.closing(connection):
            for number in range(1, len(self.writers) + 1):
                resolve_prepared(connection, f"{number}:")

    def written(self):
        ledger = self.ledger
        with ledger.lock:
            return len(ledger.acknowledged) + len(ledger.acknowledged_early)

    def write_more(self, events, patience=120):
        """Waits until so many more events were committed."""
        goal, deadline = self.written() + events, time.monotonic() + patience
        while self.written() < goal:
            for writer in self.writers:
                if writer.failure is not None:
                    raise writer.failure
            if time.monotonic() > deadline:
                raise Broken(f"the writers did not commit {events} events in {patience} s")
            time.sleep(0.02)
