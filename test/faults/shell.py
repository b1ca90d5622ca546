"""Programs, waiting, and what a scenario that cannot run here says."""

import os
import pathlib
import subprocess
import time

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
RUN = CHECKOUT / ".run"

# Long enough for a crash recovery or a broker's start on two busy cores. Who waits longer has lost something.
PATIENCE_S = float(os.environ.get("PATIENCE", "120"))
POLL_S = 0.05


class Skip(Exception):
    """The machine lacks what the scenario needs; the text says what."""


class Broken(Exception):
    """A scenario did not come to its end."""


def run(*command, check=True, **options):
    """Runs a program to its end and returns its standard output."""
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, **options)
    if check and done.returncode != 0:
        raise Broken(f"{' '.join(map(str, command))}: exit status {done.returncode}: {(done.stderr + done.stdout)[-2000:].strip()}")
    return done.stdout


def script(name, *arguments, **options):
    return run(CHECKOUT / "scripts" / name, *arguments, **options)


def exported(text):
    """The settings that a script prints for eval."""
    words = text.replace("export ", "").split()
    return {name: value.strip("'") for name, value in (word.split("=", 1) for word in words)}


def eventually(condition, what, patience=PATIENCE_S, poll=POLL_S):
    """Waits until condition() is true, and returns what it returned."""
    deadline = time.monotonic() + patience
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise Broken(f"still not, after {patience:.0f} s: {what() if callable(what) else what}")
        time.sleep(poll)
