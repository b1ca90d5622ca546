#!/usr/bin/python3
"""A worker for one queue: claims tasks, does them, answers. Sleeps until there is work.

    examples/task_worker.py QUEUE [--batch N] [--until-empty]

The connection comes from the environment (PGHOST, PGDATABASE ...). What a task means is in do(): replace it by your own work.
"""
import argparse
import select
import sys

import psycopg2
import psycopg2.extras

LEASE = "30 seconds"
SLEEP_MAX_S = 5  # retries and ended leases ring no bell: look again after a while


def do(kind, payload, provider_key):
    """The work itself; what it returns is stored with the task. Raise ValueError for what can never succeed, anything else to be tried again."""
    if kind == "echo":
        return payload
    raise ValueError(f"no worker here knows tasks of kind {kind}")


def work_off(cursor, queue, batch):
    """Claims a batch and answers each task; returns how many there were."""
    cursor.execute("SELECT task_id, lease_epoch, kind, payload, provider_key FROM oms.claim_tasks(%s, %s, %s, while_connected => true)",
                   (queue, batch, LEASE))
    done_ids, done_epochs, results = [], [], []
    tasks = cursor.fetchall()
    for task_id, epoch, kind, payload, provider_key in tasks:
        try:
            results.append(do(kind, payload, provider_key))
            done_ids.append(task_id)
            done_epochs.append(epoch)
        except Exception as problem:  # the task's failure, not the worker's
            cursor.execute("SELECT oms.fail_task(%s, %s, %s, %s)",
                           (task_id, epoch, str(problem) or type(problem).__name__, not isinstance(problem, ValueError)))
    if done_ids:
        cursor.execute("SELECT task_id, outcome FROM oms.complete_tasks(%s::bigint[], %s::bigint[], %s)",
                       (done_ids, done_epochs, psycopg2.extras.Json(results)))
        for task_id, outcome in cursor.fetchall():
            if outcome == "lease_lost":
                print(f"task {task_id}: too late, somebody else has it", file=sys.stderr)
    return len(tasks)


def sleep_until_rung(connection, cursor, queue, work, sleep_max_s):
    """Arms the queue's bell, looks once more, and only then sleeps: what was committed before is seen, what is committed later rings."""
    cursor.execute("SELECT oms.tasks_arm(%s)", (queue,))
    if not cursor.fetchone()[0]:
        return  # somebody is committing tasks right now
    try:
        if work(cursor) == 0:
            select.select([connection], [], [], sleep_max_s)
    finally:
        cursor.execute("SELECT oms.tasks_disarm(%s)", (queue,))
    connection.poll()
    connection.notifies.clear()


def serve(queue, work, until_empty=False, sleep_max_s=SLEEP_MAX_S):
    """Calls work(cursor) as long as it finds tasks, and sleeps in between."""
    connection = psycopg2.connect("")
    connection.autocommit = True  # each claim and each answer is a transaction of its own
    cursor = connection.cursor()
    cursor.execute("LISTEN oms_tasks")
    while True:
        if work(cursor) > 0:
            continue
        if until_empty:
            return
        sleep_until_rung(connection, cursor, queue, work, sleep_max_s)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("queue")
    arguments.add_argument("--batch", type=int, default=10)
    arguments.add_argument("--until-empty", action="store_true", help="end when there is nothing to do")
    given = arguments.parse_args()
    serve(given.queue, lambda cursor: work_off(cursor, given.queue, given.batch), given.until_empty)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
