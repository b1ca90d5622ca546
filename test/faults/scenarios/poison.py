"""Messages that can never be sent, in the middle of a key."""

import contextlib
import secrets

from scenario import scenario
from scenarios.transactions import append
from shell import eventually

EVENTS = 12  # of each key
POISON = 5   # which of them is the bad one
BROKER_MAX = 20000


def poison(round_, policy):
    """Three kinds of poison, each in the middle of a key of its own, beside a healthy key and other writers. Returns the events by kind."""
    big, small, forbidden = (round_.prefix + name for name in ("big", "small", "forbidden"))
    for topic in (big, small, forbidden):
        round_.ask("SELECT oms.set_topic_policy(%s, %s)", topic, policy)
    # The topics must be there to be given rules. The writers use the first one, too.
    round_.topics = [big, round_.prefix + "notes"]
    round_.start_worker()
    with contextlib.closing(round_.postgres.connect(round_.database)) as connection, connection.cursor() as cursor:
        for topic in (big, small, forbidden):
            append(cursor, "first", topic, "first")
        round_.await_drained()
        round_.kafka.set_topic(small, f"max.message.bytes={BROKER_MAX}")
        round_.kafka.deny_writing(forbidden)
        round_.start_load()
        keys = {"too large for the client": [], "too large for the broker": [], "forbidden topic": [], "healthy": []}
        topics = [big, small, forbidden, small]
        for number in range(1, EVENTS + 1):
            for (kind, ids), topic in zip(keys.items(), topics):
                size = {"too large for the client": 1200000, "too large for the broker": BROKER_MAX}.get(kind, 100) if number == POISON else 100
                where = round_.topics[1] if kind == "forbidden topic" and number != POISON and policy == "skip" else topic
                ids.append(append(cursor, "poisoned " + kind, where, secrets.token_hex(size)))
    return keys, (big, small, forbidden)


def failed_of(keys):
    return {keys[kind][POISON - 1] for kind in ("too large for the client", "too large for the broker", "forbidden topic")}


def dead(round_, status):
    return {row[0] for row in round_.ask("SELECT event_id FROM oms.dead_letter WHERE status = %s", status)}


def all_sent(round_, ids):
    return round_.ask("SELECT count(*) FROM oms.outbox WHERE id = ANY (%s) AND status = 'sent'", list(ids))[0][0] == len(ids)


@scenario
def poison_skip(round_):
    """Too large for the client, too large for the broker, a forbidden topic: each becomes a dead letter, everything behind it goes on."""
    keys, (_, _, forbidden) = poison(round_, "skip")
    expected = failed_of(keys)
    others = {event for ids in keys.values() for event in ids} - expected
    eventually(lambda: dead(round_, "failed") >= expected, lambda: f"{sorted(expected)} are dead letters: {sorted(dead(round_, 'failed'))}")
    eventually(lambda: all_sent(round_, others), "what comes behind the poison is sent")
    round_.inject("poison message", len(expected))
    round_.load.write_more(50)
    round_.kafka.allow_again(forbidden)  # to read, too
    return round_.finish(dead=expected)


@scenario
def poison_block_key(round_):
    """The same where order matters more: what comes behind the poison is parked, other keys go on; then it is discarded or replayed, in order."""
    keys, topics = poison(round_, "block_key")
    # Of the topic that is forbidden every event is poison; the first is found guilty, the others wait behind it.
    failed = {keys["too large for the client"][POISON - 1], keys["too large for the broker"][POISON - 1], keys["forbidden topic"][0]}
    parked = {*keys["too large for the client"][POISON:], *keys["too large for the broker"][POISON:], *keys["forbidden topic"][1:]}
    eventually(lambda: dead(round_, "failed") == failed and dead(round_, "parked") == parked,
               lambda: f"failed {sorted(failed)}: {sorted(dead(round_, 'failed'))}; parked {sorted(parked)}: {sorted(dead(round_, 'parked'))}")
    eventually(lambda: all_sent(round_, keys["healthy"]), "the healthy key goes on")
    round_.inject("poison message", len(failed))
    round_.tell("parked", len(parked))

    ids = round_.ask("SELECT array_agg(dead_letter_id) FROM oms.dead_letter WHERE event_id = ANY (%s)", keys["too large for the client"])[0][0]
    bad = round_.ask("SELECT dead_letter_id FROM oms.dead_letter WHERE event_id = %s", keys["too large for the client"][POISON - 1])[0][0]
    round_.ask("SELECT count(*) FROM oms.dlq_discard(%s, 'never to be sent')", [bad])
    round_.expect(bad in ids, "the discarded one is a dead letter")
    round_.kafka.set_topic(topics[1], "max.message.bytes=1000000")
    round_.kafka.allow_again(topics[2])
    round_.ask("SELECT count(*) FROM oms.dlq_replay(filter => '{\"status\": \"failed\"}', dry_run => false, reason => 'the rules were changed')")
    discarded = {keys["too large for the client"][POISON - 1]}
    eventually(lambda: dead(round_, "sent") == (failed | parked) - discarded,
               lambda: f"all but the discarded one are sent: {round_.ask('SELECT status, count(*) FROM oms.dead_letter GROUP BY 1')}")
    round_.expect(dead(round_, "discarded") == discarded, "the discarded one stays discarded")
    round_.inject("dead letter discarded", 1)
    round_.inject("dead letter replayed", 2)
    round_.load.write_more(50)
    return round_.finish(dead=failed | parked, ordered=frozenset(topics))
