"""The database moves."""

from scenario import scenario
from servers import Postgres
from shell import run


@scenario
def restored_elsewhere(round_):
    """Dumped in the middle of a backlog, restored into another cluster with other transaction ids; the worker goes on there, into the same topics."""
    flags = {"batch": "50", "in-flight-messages": "100", "commit-interval": "50ms"}
    worker = round_.start_worker(flags)
    round_.start_load().write_more(300)
    round_.send_more(1)
    died = worker.kill()
    round_.cut(died, round_.passed())
    round_.backlog(4000)
    round_.load.stop()
    worker = round_.start_worker(flags)
    round_.send_more(round_.dice.randint(50, 150))
    if round_.dice.random() < 0.5:
        round_.expect(worker.end() == 0, "the worker ends in order")
        round_.inject("worker ended before the dump")
    else:
        worker.kill()
        round_.inject("worker killed before the dump")
    round_.cut(passed=round_.passed())
    round_.tell("passed and waiting at the dump", f"{len(round_.passed())} {round_.count('pending')}")
    round_.expect(round_.count("pending") > 0, "a backlog is dumped")

    old = round_.postgres
    passed = round_.passed()
    other = Postgres(round_.world.name + "-other")
    other.destroy()
    round_.finally_(other.destroy)
    other.start()
    dump = round_.world.files / f"{round_.database}.dump"
    run("pg_dump", "-Fc", "-d", old.dsn(round_.database), "-f", dump)
    other.ask("CREATE ROLE relay LOGIN")
    other.ask(f"CREATE DATABASE {round_.database}")
    run("pg_restore", "--exit-on-error", "-d", other.dsn(round_.database), dump)
    round_.inject("restore into another cluster")
    round_.postgres = other
    round_.expect(round_.passed() == passed, "what was delivered stays delivered")
    worker = round_.start_worker()
    round_.start_load()
    round_.send_more(200)
    return round_.finish()
