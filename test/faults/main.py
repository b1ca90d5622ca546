"""Runs scenarios, prints what each injected and counted, and adds up. See README.md."""

import argparse
import collections
import contextlib
import fcntl
import os
import random
import signal
import sys
import time
import traceback

import scenarios  # noqa: F401  registers them
from scenario import ALL, LONG, Round, World
from shell import RUN, Broken, Skip

MEASURES = ("events", "messages", "dead", "missing", "disorder", "foreign", "duplicates", "unexplained", "lost", "undone")


class Sums:
    def __init__(self):
        self.rounds = collections.defaultdict(collections.Counter)
        self.injected = collections.Counter()
        self.peaks = collections.Counter()
        self.passed = self.failed = 0
        self.skipped = {}

    def add(self, name, result, seconds):
        sums = self.rounds[name]
        good = not result.failures
        sums["rounds"] += 1
        sums["failed"] += not good
        sums["seconds"] += seconds
        for measure in MEASURES:
            sums[measure] += getattr(result.finding, measure)
        self.injected.update(result.injected)
        self.peaks[name] = max(self.peaks[name], result.counted.get("worker memory MiB", 0))
        self.passed += good
        self.failed += not good

    def crash(self, name):
        self.rounds[name]["rounds"] += 1
        self.rounds[name]["failed"] += 1
        self.failed += 1

    def table(self):
        heads = ("scenario", "rounds", "failed", *MEASURES, "MiB")
        rows = [(name, s["rounds"], s["failed"], *(s[m] for m in MEASURES), self.peaks[name]) for name, s in self.rounds.items()]
        rows.append(("all", *(sum(row[i] for row in rows) for i in range(1, len(heads) - 1)), max((row[-1] for row in rows), default=0)))
        widths = [max(len(str(row[i])) for row in (heads, *rows)) for i in range(len(heads))]
        for row in (heads, *rows):
            print(str(row[0]).ljust(widths[0]), *(str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:])), sep="  ")
        print("injected:", ", ".join(f"{count} x {what}" for what, count in self.injected.most_common()))


def play(world, name, seed, number, soak, sums):
    started = time.monotonic()
    try:
        with Round(world, name, seed, number, soak) as round_:
            try:
                result = ALL[name](round_)
            except Broken:
                print("      " + round_.describe().replace("\n", "\n      "), flush=True)
                raise
            result.failures = round_.failures
    except Skip as why:
        print(f"SKIP  {name}: {why}", flush=True)
        sums.skipped[name] = str(why)
        return
    except Exception:  # pylint: disable=broad-except
        print(f"FAIL  {name}  seed {seed}: it did not come to its end", flush=True)
        print("      " + traceback.format_exc().replace("\n", "\n      "), flush=True)
        print(f"      logs: {world.files.relative_to(RUN.parent)}/{name}_{number}.*", flush=True)
        sums.crash(name)
        return
    seconds = time.monotonic() - started
    sums.add(name, result, seconds)
    injected = ", ".join(f"{count} x {what}" for what, count in result.injected.items())
    counted = "".join(f", {what} {count}" for what, count in result.counted.items())
    print(f"{'FAIL' if result.failures else 'ok  '}  {name}  seed {seed}  {seconds:.0f} s: {injected or 'nothing injected'}", flush=True)
    print(f"      {result.finding.line()}{counted}", flush=True)
    if result.failures:
        for text in (*result.failures, *result.finding.examples):
            print(f"      {text}", flush=True)
        print(f"      logs: {world.files.relative_to(RUN.parent)}/{name}_{number}.*", flush=True)
    else:
        for file in world.files.glob(f"{name}_{number}.*"):
            file.unlink()


@contextlib.contextmanager
def claimed():
    """Two runs in one checkout must not share servers: the second takes the next name."""
    RUN.mkdir(exist_ok=True)
    for number in range(1, 9):
        name = "faults" + (f"-{number}" if number > 1 else "")
        with open(RUN / f"{name}.claim", "w", encoding="ascii") as file:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield name
                return
    raise SystemExit("eight runs are under way here already")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help="all, if none is named")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10 ** 6))
    parser.add_argument("--rounds", type=int, default=None, help="so many rounds, scenario after scenario; one of each, if not told")
    parser.add_argument("--soak", action="store_true", help="longer rounds, and the long outage once")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for name, function in ALL.items():
            print(f"{name:24} {function.__doc__.splitlines()[0]}")
        return 0
    unknown = [name for name in options.names if name not in ALL]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are: {', '.join(ALL)}")
    names = options.names or [name for name in ALL if name not in LONG]
    plan = [names[number % len(names)] for number in range(options.rounds or len(names))]
    if options.soak and not options.names:
        plan += sorted(LONG)
    print(f"seed {options.seed}; again with: SEED={options.seed} test/faults/run.sh", flush=True)
    # Told to stop, it takes its servers along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sums = Sums()
    with claimed() as name, World(name) as world:
        for number, each in enumerate(plan):
            if each not in sums.skipped:
                play(world, each, options.seed + number, number, options.soak, sums)
    if options.soak:
        sums.table()
    print(f"faults: {len(sums.skipped)} skipped")
    print(f"suite faults: {sums.passed} passed, {sums.failed} failed")
    return 1 if sums.failed else 0


if __name__ == "__main__":
    sys.exit(main())
