#!/usr/bin/python3
"""A simulated participant: a payment provider's worker, a warehouse's, or somebody who checks. It is an ordinary worker of one queue
(task_worker.py), except that it misbehaves as often as it is told. Nothing in the database knows that it is not real.

    examples/participant.py QUEUE --world FILE [--seed N] [--faults 'declined=0.1,late=0.05'] [--lease '2 seconds'] [--until-empty]
    examples/participant.py --world FILE --report | --books

The books of the outside world are in FILE (outside_world.py). What goes wrong is drawn from the seed, the order's payment token, the kind of the
task and the number of the attempt, so that the same orders meet the same faults, whoever is the first to claim. The faults:

    declined   the provider, or the warehouse, says no
    transient  it could not be reached this time
    silent     it could not be reached, and the worker hangs until its lease has ended
    lost       it does what it is asked for, and its answer is lost, also in the next two attempts: nobody knows
    late       it is done, and the worker answers when its lease has ended
    duplicate  the worker answers twice
    unsure     asked what became of a request, it does not know yet
    killed     the worker kills itself: before it asks, when it was answered, or when it has answered
"""
import argparse
import json
import os
import random
import signal

import psycopg2
import psycopg2.extras

from outside_world import OutsideWorld, Refused
from task_worker import serve

FAULTS = ("declined", "transient", "silent", "lost", "late", "duplicate", "unsure", "killed")
# What is drawn once for a request, and what for each attempt at it. A way back that the provider refused for good would be a person's business.
DECLINABLE = {"payment.authorize", "payment.capture", "payment.refund", "shipment.create", "inventory.reserve", "check.fraud", "check.credit"}
LOSABLE = {"payment.authorize", "payment.capture", "payment.void", "payment.refund"}


class Task:
    def __init__(self, row):
        self.id, self.epoch, self.kind, self.payload, self.attempt, self.key = row
        data = self.payload.get("data", {})
        method = self.payload.get("method") or data.get("method") or {}
        self.subject = self.payload.get("payment_id") or self.payload.get("key")
        self.token = method.get("token", self.subject)
        self.amount = self.payload.get("amount_minor", data.get("qty", 1))


class Participant:
    def __init__(self, queue, world, seed, faults, lease, batch):
        self.queue, self.world, self.seed, self.faults, self.lease, self.batch = queue, world, seed, faults, lease, batch
        self.held = []  # answers that wait for the end of their lease

    # --- what goes wrong ----------------------------------------------------------------------------------------------

    def drawn(self, fault, *what):
        return random.Random(f"{self.seed}/{fault}/" + "/".join(map(str, what))).random() < self.faults.get(fault, 0)

    def happens(self, fault, *what):
        if not self.drawn(fault, *what):
            return False
        self.world.note(fault)
        return True

    def die(self, here):
        self.world.note("killed")
        self.world.note(f"killed {here}")
        os.kill(os.getpid(), signal.SIGKILL)

    # --- the work -----------------------------------------------------------------------------------------------------

    def ask_world(self, task, number):
        """Has the outside world do it; answers the result for the task."""
        if task.kind == "payment.reconcile":
            about = task.payload["reconciles"]
            asked = self.world.earlier("question", about, task.key)
            try:
                self.world.request(task.key, "question", about, 0)
            except Refused:
                pass
            if self.happens("unsure", task.token, about_kind(self.world, about), asked):
                return {"outcome": "unknown"}
            outcome, reference = self.world.look_up(about)
            return {"outcome": outcome, "provider_ref": reference, "reason": None if reference else "the provider has no such request"}
        if task.kind == "inventory.release":
            task.amount = self.world.done("inventory.reserve", task.subject)
        declined = task.kind in DECLINABLE and self.drawn("declined", task.token, task.kind, number)
        return {"provider_ref": self.world.request(task.key, task.kind, task.subject, task.amount, declined)}

    def attempt(self, cursor, task):
        number = self.world.earlier(task.kind, task.subject, task.key)
        this = (task.token, task.kind, number, task.attempt)
        killed = self.drawn("killed", *this)
        where = random.Random(f"{self.seed}/where/{this}").choice(("before it asks", "when it was answered", "when it has answered"))
        if killed and where == "before it asks":
            self.die(where)
        if self.happens("silent", *this):
            return
        if self.happens("transient", *this):
            self.fail(cursor, task, "the provider cannot be reached", True)
            return
        try:
            result = self.ask_world(task, number)
        except Refused as no:
            if str(no) == "declined":
                self.world.note("declined")
            if killed and where == "when it was answered":
                self.die(where)
            self.fail(cursor, task, str(no), False)
        else:
            if killed and where == "when it was answered":
                self.die(where)
            if task.kind in LOSABLE and task.attempt <= 3 and self.happens("lost", task.token, task.kind, number):
                self.fail(cursor, task, "the provider did not answer", True)
            elif self.happens("late", *this):
                self.held.append((task, result))
            else:
                self.complete(cursor, task, result)
                if self.happens("duplicate", *this):
                    self.complete(cursor, task, result)
        if killed:
            self.die(where)

    # --- answers ------------------------------------------------------------------------------------------------------

    def complete(self, cursor, task, result):
        try:
            cursor.execute("SELECT replayed FROM oms.complete_task(%s, %s, %s)", (task.id, task.epoch, psycopg2.extras.Json(result)))
            self.world.note("answers heard before" if cursor.fetchone()[0] else "answers taken")
        except psycopg2.Error as error:
            self.refused(error)

    def fail(self, cursor, task, why, retryable):
        try:
            cursor.execute("SELECT oms.fail_task(%s, %s, %s, %s)", (task.id, task.epoch, why, retryable))
        except psycopg2.Error as error:
            self.refused(error)

    def refused(self, error):
        if error.pgcode != "OM022":
            raise error
        self.world.note("answers too late")

    def answer_late(self, cursor):
        """Answers what was held back, once somebody has ended its lease."""
        still_held = []
        for task, result in self.held:
            cursor.execute("SELECT (oms.get_task(%s) ->> 'lease_epoch')::bigint", (task.id,))
            if cursor.fetchone()[0] == task.epoch:
                still_held.append((task, result))
            else:
                self.complete(cursor, task, result)
        self.held = still_held

    def work(self, cursor):
        """One batch; answers how many tasks there were."""
        self.answer_late(cursor)
        cursor.execute("SELECT task_id, lease_epoch, kind, payload, attempt, provider_key"
                       " FROM oms.claim_tasks(%s, %s, %s, while_connected => true)", (self.queue, self.batch, self.lease))
        tasks = [Task(row) for row in cursor.fetchall()]
        for task in tasks:
            self.attempt(cursor, task)
        return len(tasks)


def about_kind(world, key):
    row = world.books.execute("SELECT kind FROM book WHERE key = ?", (key,)).fetchone()
    return row[0] if row else "nothing"


def probabilities(text):
    faults = {}
    for item in filter(None, text.split(",")):
        name, _, value = item.partition("=")
        if name not in FAULTS:
            raise argparse.ArgumentTypeError(f"no fault {name}; there are {', '.join(FAULTS)}")
        faults[name] = float(value)
    return faults


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("queue", nargs="?")
    arguments.add_argument("--world", required=True, metavar="FILE")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--faults", type=probabilities, default={}, metavar="NAME=PROBABILITY,...")
    arguments.add_argument("--lease", default="30 seconds")
    arguments.add_argument("--batch", type=int, default=5)
    arguments.add_argument("--sleep", type=float, default=1, metavar="SECONDS", help="how long it sleeps at most when nobody rings")
    arguments.add_argument("--until-empty", action="store_true", help="end when there is nothing to do")
    arguments.add_argument("--report", action="store_true", help="print what was injected so far, as JSON, and end")
    arguments.add_argument("--books", action="store_true", help="print the books of the outside world, tab-separated, and end")
    given = arguments.parse_args()
    world = OutsideWorld(given.world)
    if given.report:
        print(json.dumps(world.injected()))
        return
    if given.books:
        for row in world.books.execute("SELECT key, kind, subject, amount, outcome FROM book ORDER BY rowid"):
            print("\t".join("" if value is None else str(value) for value in row))
        return
    if not given.queue:
        arguments.error("which queue?")
    participant = Participant(given.queue, world, given.seed, given.faults, given.lease, given.batch)
    serve(given.queue, participant.work, given.until_empty, given.sleep)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
