"""What every scenario works with: a database of its own, topics of its own, workers, writers, and the judgement at the end."""

import contextlib
import dataclasses
import os
import random
import time

import psycopg2

import checker
from load import Load
from servers import KAFKA_WITH_RULES, Kafka, Postgres
from shell import RUN, Broken, eventually
from worker import Worker

MEMORY_MAX_KIB = 64 * 1024  # what a worker may need at most, whatever happens around it

ALL = {}
LONG = set()


def scenario(function):
    """Registers a scenario: `def name(round_)`, its first line says what it does."""
    ALL[function.__name__] = function
    return function


def once_in_a_soak(function):
    """One that takes too long for the short form, and for every cycle of a soak. It runs when it is named, too."""
    LONG.add(function.__name__)
    return scenario(function)


class World:
    """The servers of a run. They are shared by its rounds, because starting them is what takes longest."""

    def __init__(self, name):
        self.name = name
        self.postgres = Postgres(name)
        self._kafka = Kafka(name, settings=KAFKA_WITH_RULES)
        self.files = RUN / f"{name}-files"
        self._rounds_on_kafka = 0

    def __enter__(self):
        self.files.mkdir(parents=True, exist_ok=True)
        self.postgres.destroy()
        self._kafka.destroy()
        self.postgres.start()
        self.postgres.ask("CREATE ROLE relay LOGIN")
        return self

    def __exit__(self, *_):
        self._kafka.destroy()
        self.postgres.destroy()

    @property
    def kafka(self):
        return self._kafka

    def kafka_for_a_round(self, rounds_max=20):
        """A broker that runs. Every topic costs it memory, so after some rounds it begins anew."""
        if self._rounds_on_kafka >= rounds_max:
            self._kafka.destroy()
            self._rounds_on_kafka = 0
        self._rounds_on_kafka += 1
        return self._kafka.start()


@dataclasses.dataclass
class Result:
    finding: checker.Finding
    injected: dict
    counted: dict
    failures: list


class Round:
    """One run of one scenario."""

    def __init__(self, world, name, seed, number, soak):
        self.world = world
        self.name = name
        self.seed = seed
        self.soak = soak
        self.dice = random.Random(seed)
        self.database = f"{name}_{number}"
        self.prefix = f"{name.replace('_', '-')}.{number}."
        self.topics = [self.prefix + "notes", self.prefix + "memos"]
        self.postgres = world.postgres
        self.postgres_of_worker = None  # how workers reach the database, if not as everybody does
        self._kafka = None
        self.broker = None              # how workers reach the broker, if not as everybody does
        self.loads = []
        self.workers = []
        self.cuts = []
        self.injected = {}
        self.counted = {}
        self.failures = []
        self._cleanup = contextlib.ExitStack()

    # --- set up and clean up

    def __enter__(self):
        self.make_database()
        return self

    def __exit__(self, *_):
        for load in self.loads:
            load.ending.set()
        for worker in self.workers:
            worker.discard()
        with contextlib.suppress(Exception):
            self.postgres.start()
        for load in self.loads:
            load.abandon()
        self._cleanup.close()
        self.postgres = self.world.postgres
        with contextlib.suppress(Exception):
            for gid, in self.postgres.ask("SELECT gid FROM pg_prepared_xacts WHERE database = %s", (self.database,)):
                self.postgres.ask("ROLLBACK PREPARED %s", (gid,), self.database)
            self.postgres.ask(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")

    def finally_(self, function, *arguments):
        """Undone when the round ends, however it ends."""
        self._cleanup.callback(function, *arguments)

    def make_database(self):
        self.postgres.start()
        self.postgres.ask(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        self.postgres.ask(f"CREATE DATABASE {self.database}")
        self.ask("CREATE EXTENSION oms")
        self.ask("SELECT oms.grant_worker('relay')")
        self.ask("INSERT INTO oms.topic_route (aggregate_type, topic) VALUES ('order', %s)", self.prefix + "orders")

    @property
    def kafka(self):
        """The shared broker, unless the scenario brought one of its own."""
        if self._kafka is None:
            self._kafka = self.world.kafka_for_a_round()
        return self._kafka

    def use_kafka(self, kafka):
        self.finally_(kafka.destroy)
        kafka.destroy()
        self._kafka = kafka.start()
        return kafka

    # --- actors

    def ask(self, sql, *arguments):
        return self.postgres.ask(sql, arguments or None, self.database)

    @property
    def load(self):
        return self.loads[-1]

    def start_load(self, **options):
        number = len(self.loads) + 1
        load = Load(self.postgres.dsn(self.database), f"{self.database}.{number}", self.topics, f"{self.seed}/{number}", **options)
        self.loads.append(load)
        return load.start()

    def start_worker(self, flags=None, kafka=(), namespace=None):
        number = len(self.workers) + 1
        database = self.postgres_of_worker or self.postgres.dsn(self.database, "relay")
        worker = Worker(number, database, self.broker or self.kafka.address, self.world.files / f"{self.database}.worker{number}.log", flags, kafka, namespace)
        self.workers.append(worker)
        return worker

    def backlog(self, events):
        """So many events at once, in transactions of a hundred."""
        for _ in range(events // 100):
            self.ask("""SELECT count(a) FROM generate_series(1, 100) n, LATERAL (SELECT oms.append_events('note', 'bulk-' || n %% 37, NULL,
                            jsonb_build_array(jsonb_build_object('type', 'note.written', 'topic', %s::text,
                                                                 'payload', jsonb_build_object('pad', repeat('y', 500))))) a) a""", self.topics[0])

    # --- looking

    def count(self, status):
        return self.ask("SELECT count(*) FROM oms.outbox WHERE status = %s", status)[0][0]

    def passed(self):
        """The events that the stored cursor has passed."""
        return frozenset(row[0] for row in self.ask("SELECT id FROM oms.outbox WHERE status = 'sent'"))

    def send_more(self, events):
        """Waits until the cursor passed so many more events."""
        goal = self.count("sent") + events
        eventually(lambda: self.expect_a_worker() and self.count("sent") >= goal, lambda: f"{goal} events are sent; the cursor passed {self.count('sent')}")

    def expect_a_worker(self):
        if not any(worker.alive() for worker in self.workers):
            raise Broken(f"no worker is alive; the last one said: {list(self.workers[-1].lines())[-2:]}")
        return True

    def await_drained(self, patience=180):
        eventually(lambda: self.expect_a_worker() and self.count("pending") == 0, lambda: f"all events are sent; {self.count('pending')} wait", patience, 0.2)

    def describe(self):
        """Who does what in the database, for somebody who wonders why a scenario did not come to its end."""
        try:
            with_sessions = self.ask("""SELECT pid, application_name, state, wait_event_type, wait_event, now() - state_change, left(query, 70)
                                          FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()""")
            status = self.ask("SELECT * FROM oms.reader_status('kafka')")
        except psycopg2.Error as error:
            return f"the database does not answer: {error}"
        return "\n".join(" ".join(map(str, row)) for row in (*with_sessions, *status))

    # --- telling

    def inject(self, what, times=1):
        self.injected[what] = self.injected.get(what, 0) + times

    def tell(self, what, count):
        self.counted[what] = count

    def expect(self, condition, what):
        if not condition:
            self.failures.append(what)
        return condition

    def cut(self, time_ms=None, passed=frozenset()):
        """From here on copies are explained of what the cursor had not passed."""
        self.cuts.append(checker.Cut(int(time.time() * 1000) if time_ms is None else time_ms, passed))

    # --- the end

    def finish(self, dead=frozenset(), ordered=frozenset()):
        """Ends the load, lets the workers finish, and judges. dead: the events that must be dead letters, sent or not, and no others.
        ordered: the topics in which also they keep the order of their key."""
        for load in self.loads:
            load.stop()
        self.await_drained()
        for worker in self.workers:
            if worker.alive():
                self.expect(worker.end() == 0, f"worker {worker.number} ends in order")
        return self.judge(dead, ordered)

    def judge(self, dead, ordered):
        events = checker.events_of(self.postgres, self.database)
        letters = checker.dead_letters_of(self.postgres, self.database)
        finding = checker.compare(events, letters, checker.messages_of(self.kafka, self.prefix), self.cuts, [load.ledger for load in self.loads], ordered)
        self.expect(finding.clean, "the log and Kafka agree")
        self.expect(events, "something was written")
        if "exactly_once" in os.environ.get("WORKER_FLAGS", ""):
            self.expect(finding.duplicates == 0, "exactly once: not one copy, whatever was cut")
        self.expect(letters.keys() == dead, f"dead letters: {sorted(letters)} instead of {sorted(dead)}")
        integrity = self.ask("SELECT * FROM oms.check_integrity()")
        self.expect(not integrity, f"integrity of the database: {integrity}")
        peak = max((worker.peak_kib for worker in self.workers), default=0)
        self.expect(peak <= MEMORY_MAX_KIB, f"a worker needs at most {MEMORY_MAX_KIB} KiB: {peak}")
        self.tell("worker memory MiB", round(peak / 1024))
        rebuilds = sum(worker.said("the producer is broken") for worker in self.workers)
        if rebuilds:
            self.tell("producers rebuilt", rebuilds)
        return Result(finding, self.injected, self.counted, self.failures)


def whole(function):
    """For scenarios that end as most do: they leave the load running and everything up."""
    def wrapped(round_):
        function(round_)
        return round_.finish()
    wrapped.__name__, wrapped.__doc__ = function.__name__, function.__doc__
    return scenario(wrapped)
