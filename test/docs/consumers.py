"""The consumers of examples/readers under fire: their table must equal the log, whatever is killed, and a ring must wake them."""

import collections
import os
import random
import signal
import subprocess
import sys
import threading
import time

import psycopg2

import database

READER = "order_board"
CONSUMERS = {"consumer.py": [sys.executable], "consumer.sh": ["bash"]}
PRODUCERS = 3
KILLS = 8               # half of them in the middle of a transaction
TERMINATIONS = 2        # of its session, by the server
RINGS = 10
DEADLINE_S = 60         # of each thing that is waited for; a working consumer needs a fraction of a second
NEVER_S = 36_000        # as the longest sleep: who is not woken misses the deadline
POLL_S = 0.01

CREATE = """SELECT order_id FROM oms.create_order('customer', 'EUR', '[{"sku": "TEA-100", "qty": 1, "price_minor": 450}]', %s)"""
DIFFERENCES = """
    WITH log AS (SELECT aggregate_id::uuid AS order_id, (array_agg(payload ->> 'status' ORDER BY seq DESC))[1] AS status, count(*)::int AS changes
                 FROM oms.event WHERE topic = 'oms.order.events' GROUP BY 1)
    SELECT count(*) FROM log FULL JOIN order_board board USING (order_id)
    WHERE (log.status, log.changes) IS DISTINCT FROM (board.status, board.changes)"""
LEFT = f"SELECT count(*) FROM oms.read_events('{READER}')"
TAKEN = "SELECT coalesce(sum(changes), 0) FROM order_board"
WAITS_FOR_A_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND wait_event_type = 'Lock'"
OWNER = f"SELECT owner_pid FROM oms.reader_status('{READER}')"
ASLEEP = f"SELECT count(*) FROM oms.doorbell d JOIN pg_stat_activity a USING (pid) WHERE pid = ({OWNER}) AND a.state = 'idle'"


def connect(user=None):
    settings = database.environment()
    connection = psycopg2.connect(dbname=database.NAME, **({"user": user} if user else {}), options=f"-c timezone={settings['PGTZ']}")
    connection.autocommit = True
    return connection


def value(connection, sql, *arguments):
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        return cursor.fetchone()[0]


def until(what, condition):
    """Polls for something that must come; machines are slow, so the deadline is far away."""
    give_up = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"waited {DEADLINE_S} s in vain: {what}")
        time.sleep(POLL_S)
    return found


class Producers:
    """Sessions of the application. Each transaction makes an order and moves one; some stay open for a while, some are rolled back."""

    ACTIONS = ("reserve", "pay", "confirm", "ship", "complete")

    def __init__(self, user):
        self._user, self._over = user, threading.Event()
        self.committed, self.rolled_back = [0] * PRODUCERS, [0] * PRODUCERS
        self._threads = [threading.Thread(target=self._produce, args=(number,), daemon=True) for number in range(PRODUCERS)]
        for thread in self._threads:
            thread.start()

    def _produce(self, number):
        choose = random.Random(number)
        steps = {}  # of each order that is not complete: how many actions it has taken
        made = 0
        connection = connect(self._user)
        connection.autocommit = False
        cursor = connection.cursor()
        while not self._over.is_set():
            made += 1
            cursor.execute(CREATE, (f"{number}-{made}",))
            new = cursor.fetchone()[0]
            moved = choose.choice([new, *steps])
            step = steps.get(moved, 0)
            cursor.execute("SELECT oms.advance_order(%s, %s, %s)", (moved, self.ACTIONS[step], f"{number}-{made}/move"))
            self._over.wait(choose.choice((0, 0.005, 0.02)))
            if choose.random() < 0.2:
                connection.rollback()
                self.rolled_back[number] += 1
                continue
            connection.commit()
            self.committed[number] += 1
            steps = {new: 0} | steps | {moved: step + 1}
            if step + 1 == len(self.ACTIONS):
                del steps[moved]
        connection.close()

    def finish(self):
        self._over.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)


class Consumer:
    """One process of a consumer, with all that it starts."""

    def __init__(self, root, name, user):
        settings = database.environment() | {"PGUSER": user}
        self.process = subprocess.Popen([*CONSUMERS[name], root / "examples/readers" / name, str(NEVER_S)], env=settings,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def kill(self, alone=False):
        """Signal 9, to everything at once or to the process alone that was started; its psql then finds the end of its input."""
        if alone:
            self.process.kill()
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self):
        """Whatever of it still runs."""
        if self.process.poll() is None:
            self.kill()

    def stop(self):
        """SIGTERM to the consumer alone, as a service manager may do it; its exit status."""
        self.process.terminate()
        return self.process.wait(DEADLINE_S)


def kill_in_the_middle(consumer, watch, alone):
    """Kills it between reading and COMMIT: a lock on its table holds it there until it is dead."""
    locker = connect()
    locker.autocommit = False
    with locker.cursor() as cursor:
        cursor.execute("LOCK TABLE order_board IN SHARE MODE")
        pid = until("a consumer at work", lambda: value(watch, OWNER))
        until("a consumer that waits for the table", lambda: value(watch, WAITS_FOR_A_LOCK.format(pid)))
        consumer.kill(alone)
    locker.close()


def fire(start, watch, counts):
    """Kills and terminates, under load; returns the consumer that is left."""
    consumer = start()
    for number in range(KILLS):
        taken = value(watch, TAKEN)
        until("progress", lambda: value(watch, TAKEN) > taken)
        if number % 2:
            kill_in_the_middle(consumer, watch, alone=number % 4 == 3)
            counts["of these in the middle of a transaction"] += 1
        else:
            time.sleep(random.random() / 20)  # any moment will do
            consumer.kill()
        counts["killed with signal 9"] += 1
        consumer = start()
    for _ in range(TERMINATIONS):
        pid = until("a consumer at work", lambda: value(watch, OWNER))
        value(watch, f"SELECT pg_terminate_backend({pid}, {DEADLINE_S * 1000})")
        until("a new session of the consumer", lambda: value(watch, OWNER) not in (None, pid))
        counts["sessions terminated"] += 1
    return consumer


def ring(watch, shop, counts):
    """Commits while the consumer sleeps; nothing but a NOTIFY can wake it."""
    for number in range(RINGS):
        until("a sleeping consumer", lambda: value(watch, ASLEEP))
        taken = value(watch, TAKEN)
        value(shop, CREATE, f"ring-{number}")
        until("the consumer to wake", lambda: value(watch, TAKEN) > taken)
        counts["woken by a ring"] += 1


def run_consumer(root, name):
    """Runs it under fire; returns the problems found, and what to print."""
    shop_role, consumer_role = database.role_of("application"), database.role_of("worker")
    database.must(f"\\set consumer {consumer_role}\n\\i {root / 'examples/readers/order_board.sql'}")
    watch, shop = connect(), connect(shop_role)
    counts, problems, running = collections.Counter(), [], []
    producers = Producers(shop_role)

    def start():
        running.append(Consumer(root, name, consumer_role))
        return running[-1]

    def must_stop(consumer, when):
        problems.append("" if consumer.stop() == 0 else f"asked to stop {when}, it ended with {consumer.process.returncode}")

    try:
        consumer = fire(start, watch, counts)
        standby = start()
        must_stop(consumer, "under load")
        until("the standby to take over", lambda: value(watch, OWNER))
        producers.finish()
        until("the consumer to catch up", lambda: not value(watch, DIFFERENCES))
        ring(watch, shop, counts)
        until("a sleeping consumer", lambda: value(watch, ASLEEP))
        must_stop(standby, "asleep")
        until("its session to end", lambda: value(watch, OWNER) is None)
        problems.append("" if not value(watch, LEFT) else "events were applied and are still to be read")
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        problems.append(str(error))
    finally:
        producers.finish()
        for consumer in running:
            consumer.end()
    different = value(watch, DIFFERENCES)
    problems.append("" if not different else f"{different} orders differ from the log")
    counts |= {"events": value(watch, "SELECT count(*) FROM oms.event WHERE topic = 'oms.order.events'"),
               "orders": value(watch, "SELECT count(*) FROM order_board"),
               "transactions": sum(producers.committed), "rollbacks": sum(producers.rolled_back)}
    watch.close()
    shop.close()
    return problems, f"{name}: " + ", ".join(f"{what} {count}" for what, count in counts.items()) + f"; orders that differ from the log {different}"
