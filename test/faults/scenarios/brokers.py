"""Kafka dies, is away for long, loses a node, runs out of disk."""

import os
import time

from scenario import once_in_a_soak, whole
from servers import Kafka
from shell import Broken, Skip, eventually, run

OUTAGE_S = float(os.environ.get("OUTAGE", "8"))
LONG_OUTAGE_S = float(os.environ.get("LONG_OUTAGE", "600"))


def lose_the_broker(round_, kafka, *node):
    kafka.kill(*node)
    round_.finally_(kafka.start)


@whole
def broker_killed(round_):
    """kill -9 of the broker at random points, and up again. The idempotent producer repeats itself, Kafka drops what it has: not one copy."""
    round_.start_load()
    round_.start_worker()
    for _ in range(1 + 2 * round_.soak):
        round_.send_more(round_.dice.randint(1, 100))
        time.sleep(round_.dice.random() * 0.05)
        lose_the_broker(round_, round_.kafka)
        round_.inject("kill -9 of the broker")
        round_.load.write_more(round_.dice.randint(10, 200))
        round_.kafka.start()
        round_.send_more(20)


def outage(round_, seconds):
    """Memory is looked at all the time; it may grow as long as the bounds are not reached, and not after that."""
    round_.send_more(50)
    worker = round_.workers[-1]
    lose_the_broker(round_, round_.kafka)
    round_.inject(f"broker away for {seconds:.0f} s")
    began, memory, most_waiting = time.monotonic(), [], 0
    while time.monotonic() < began + seconds:
        memory.append(worker.resident_kib())
        time.sleep(0.25)
    eventually(lambda: round_.count("pending") > 0, "something waits for the broker")
    most_waiting = round_.count("pending")
    round_.kafka.start()
    round_.send_more(100)
    dead = round_.ask("SELECT count(*) FROM oms.dead_letter")[0][0]
    round_.expect(dead == 0, f"an outage makes no dead letters: {dead}")
    round_.tell("waited at the end of the outage", most_waiting)
    half = len(memory) // 2
    round_.tell("memory MiB in its two halves", f"{max(memory[:half]) / 1024:.1f} {max(memory[half:]) / 1024:.1f}")
    return max(memory[:half]), max(memory[half:])


@whole
def broker_outage(round_):
    """The broker is away for a while under load, with more waiting than the worker may hold; it waits in bounded memory."""
    round_.start_load(sessions=6, pads=(200, 1000, 4000), pause_s=0.005)
    round_.start_worker({"in-flight-messages": "400", "batch": "100"})
    outage(round_, OUTAGE_S)


@once_in_a_soak
def broker_outage_long(round_):
    """Ten minutes without a broker under load, with the worker's own settings: memory is flat, and everything arrives."""
    round_.start_load(sessions=5, pads=(200, 1000, 2000), pause_s=0.03)
    round_.start_worker()
    first, second = outage(round_, LONG_OUTAGE_S)
    round_.expect(second <= first * 1.25 + 4096, f"memory is flat over the outage: {first} KiB, then {second} KiB")
    return round_.finish()


@whole
def one_of_three_brokers_down(round_):
    """One of three nodes is killed, the one that leads most: messages go on through the others meanwhile."""
    kafka = round_.use_kafka(Kafka(round_.world.name + "-three", nodes=3))
    round_.start_load(pause_s=0.05)
    round_.start_worker()
    round_.send_more(50)
    for _ in range(1 + 2 * round_.soak):
        led = kafka.leaders(round_.prefix)
        node = max(led, key=led.get)
        kafka.kill(node)
        round_.inject("kill -9 of one of three nodes")
        eventually(lambda node=node: kafka.leaders(round_.prefix) and node not in kafka.leaders(round_.prefix), "the others lead its partitions")
        # Written after the node was lost, and delivered without it.
        round_.load.write_more(50)
        written = round_.ask("SELECT coalesce(max(id), 0) FROM oms.event")[0][0]
        eventually(lambda written=written: round_.ask("SELECT count(*) FROM oms.outbox WHERE status = 'pending' AND id <= %s", written)[0][0] == 0,
                   "what was written meanwhile is sent with two nodes", poll=0.2)
        kafka.start()
        round_.send_more(20)


@whole
def disk_full(round_):
    """The broker's disk is full: it gives up its logs. Room is made, it comes back, and nothing is lost."""
    place = round_.world.files / "small-disk"
    place.mkdir(exist_ok=True)
    if os.geteuid() != 0:
        raise Skip("a small file system can only be mounted by root")
    try:
        run("mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", place)
    except Broken as error:
        raise Skip(f"no file system can be mounted here: {error}") from error
    round_.finally_(run, "umount", "-l", place)
    settings = {"log.segment.bytes": str(1 << 20), "log.index.size.max.bytes": str(64 << 10), "log.flush.interval.messages": "200"}
    kafka = round_.use_kafka(Kafka(round_.world.name + "-disk", data=place, settings=settings))
    round_.start_load(pads=(1000, 4000))
    round_.start_worker(flags={"compression": "none"})
    round_.send_more(100)
    filler = place / "filler"
    fill(filler)
    round_.inject("disk full at the broker")
    # It notices at its next write that needs room.
    eventually(lambda: not kafka.running() or stuck(round_), "the broker has no room left")
    waiting = round_.count("pending")
    round_.tell("broker ended itself", "no" if kafka.running() else "yes")
    round_.load.write_more(100)
    eventually(lambda: round_.count("pending") > waiting, "events wait for the broker")
    filler.unlink()
    kafka.kill()
    kafka.start()
    round_.send_more(50)


def fill(file):
    block = b"\0" * (1 << 16)
    try:
        with open(file, "wb", buffering=0) as filler:
            while True:
                filler.write(block)
    except OSError:
        pass


def stuck(round_):
    """Nothing was sent while much was written."""
    before = round_.count("sent")
    round_.load.write_more(200)
    return round_.count("sent") == before
