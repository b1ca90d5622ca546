"""kill -9 of the worker and of PostgreSQL's processes, under load."""

import os
import signal
import time

from scenario import scenario, whole
from shell import eventually


@whole
def worker_killed(round_):
    """The worker dies at random points; another is started, or stands by already."""
    load = round_.start_load()
    worker = round_.start_worker()
    for _ in range(8 if round_.soak else 4):
        standby = None
        if round_.dice.random() < 0.4:
            worker.await_said("leading")  # else it might become the standby itself
            standby = round_.start_worker().await_said("standing by")
        round_.send_more(round_.dice.randint(1, 80))
        time.sleep(round_.dice.random() * 0.05)  # where in its work it dies
        # A standby may move the cursor as soon as the leader is dead, so it is looked at before.
        passed, died = round_.passed(), worker.kill()
        round_.inject("kill -9 of the worker" + (" with a standby" if standby else ""))
        if not standby:
            passed = round_.passed()
        round_.cut(died, passed)
        worker = standby or round_.start_worker()
        load.write_more(round_.dice.randint(1, 40))


@whole
def worker_killed_behind(round_):
    """The worker dies in the middle of a backlog, at full speed, and the next one goes on from where the cursor was written last."""
    round_.start_load(pads=(300, 1500)).write_more(100)
    round_.load.stop()
    round_.backlog(20000 if round_.soak else 5000)
    while round_.count("pending") > 0 and len(round_.cuts) < 12:
        worker = round_.start_worker({"batch": "100", "in-flight-messages": "500", "commit-interval": "50ms"})
        round_.send_more(min(round_.dice.randint(1, 400), round_.count("pending")))
        died = worker.kill()
        round_.cut(died, round_.passed())
        round_.inject("kill -9 of the worker in a backlog")
    round_.start_worker()


@whole
def session_terminated(round_):
    """The worker's session is ended by the server; what was acknowledged is not sent again, so not one copy is allowed."""
    load = round_.start_load()
    worker = round_.start_worker().await_said("leading")
    for turn in range(1, 4 + 4 * round_.soak):
        round_.send_more(round_.dice.randint(1, 60))
        round_.ask("SELECT pg_terminate_backend(owner_pid) FROM oms.reader_status('kafka')")
        round_.inject("pg_terminate_backend of the worker's session")
        worker.await_said("leading", turn + 1)
        load.write_more(20)


def crash(round_, harm):
    round_.send_more(round_.dice.randint(1, 60))
    time.sleep(round_.dice.random() * 0.05)
    harm()
    back(round_)


def back(round_):
    """The cursor's last write is allowed to be lost in a crash, so any event may come again behind it; the worker need not, and does not, make use of that
    for what it still remembers."""
    eventually(lambda: round_.postgres.answers(round_.database), "PostgreSQL is back")
    round_.cut(passed=frozenset())
    round_.load.write_more(20)


@whole
def backend_killed(round_):
    """kill -9 of a backend, a writer's or the worker's: PostgreSQL restarts all sessions and recovers."""
    round_.start_load()
    worker = round_.start_worker().await_said("leading")
    first = round_.dice.randrange(2)
    for turn in range(1, 3 + 3 * round_.soak):
        whose = ("writer", "oms-worker")[(turn + first) % 2]

        def harm(whose=whose):
            rows = round_.ask("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s ORDER BY random()", whose + "%")
            if round_.expect(rows, f"there is a session of {whose}"):
                os.kill(rows[0][0], signal.SIGKILL)
                round_.inject(f"kill -9 of a backend of {whose}")

        crash(round_, harm)
        worker.await_said("leading", turn + 1)


@whole
def postmaster_killed(round_):
    """kill -9 of the postmaster, and a new one as soon as the old one's children are gone."""
    round_.start_load()
    worker = round_.start_worker().await_said("leading")
    for turn in range(1, 3 + 3 * round_.soak):
        def harm():
            round_.postgres.kill_postmaster()
            round_.inject("kill -9 of the postmaster")
            round_.postgres.start()

        crash(round_, harm)
        worker.await_said("leading", turn + 1)


@scenario
def immediate_shutdown(round_):
    """Immediate shutdown while no commit waits for the disk: many are lost, and none of the lost may be in Kafka."""
    round_.start_load(sessions=6, kinds={"asynchronous": 90, "rolled_back": 10})
    worker = round_.start_worker({"in-flight-messages": "100", "batch": "50"}).await_said("leading")
    round_.finally_(round_.kafka.resume)
    for turn in range(1, 4 + 4 * round_.soak):
        # Reading makes durable what is read. Every other time the broker hangs, so that the worker stops reading, and more is lost.
        hung = turn % 2 == 0
        round_.send_more(round_.dice.randint(1, 60))
        round_.postgres.hang_walwriter()
        if hung:
            round_.kafka.pause()
            round_.load.write_more(300)
        time.sleep(round_.dice.random() * 0.05)
        round_.postgres.stop_immediately()
        round_.inject("immediate shutdown" + (" with a hung broker" if hung else ""))
        round_.postgres.start()
        round_.kafka.resume()
        back(round_)
        worker.await_said("leading", turn + 1)
    result = round_.finish()
    round_.tell("commits lost that had not waited for the disk", result.finding.lost_early)
    round_.expect(result.finding.lost_early > 0, "the shutdowns lost something: otherwise they prove nothing")
    return result
