"""Compares the log with what Kafka holds, event by event.

missing      an event that was committed, is not a dead letter, and is in no partition
foreign      a message that is no event of the log: unknown id, other key, sequence or payload than the log has under this id, or a dead letter
disorder     by the first appearance of each event: a key whose events do not come in the order of their sequence, or in two partitions
duplicates   further copies of an event. Each must be explained: sent behind a cut, and not passed by the cursor at that cut
lost         a commit that a writer saw acknowledged, and that is not in the log (a commit that did not wait for the disk may be lost in a crash)
undone       a rolled back event that is in the log or in Kafka
"""

import collections
import dataclasses
import hashlib
import itertools

Event = collections.namedtuple("Event", "id topic key seq digest nonce fate")
Message = collections.namedtuple("Message", "topic partition offset time key id seq digest source original")
Cut = collections.namedtuple("Cut", "time passed")

ORIGINAL = "oms_original_topic"


@dataclasses.dataclass
class Finding:
    events: int = 0
    messages: int = 0
    dead: int = 0
    missing: int = 0
    foreign: int = 0
    disorder: int = 0
    duplicates: int = 0
    unexplained: int = 0
    lost: int = 0
    undone: int = 0
    lost_early: int = 0
    examples: list = dataclasses.field(default_factory=list)

    @property
    def clean(self):
        return not (self.missing or self.foreign or self.disorder or self.unexplained or self.lost or self.undone)

    def line(self):
        return (f"log {self.events} events, Kafka {self.messages} messages, dead letters {self.dead}; missing {self.missing}, disorder {self.disorder}, "
                f"foreign {self.foreign}, duplicates {self.duplicates} (unexplained {self.unexplained}), lost {self.lost}, undone {self.undone}")


def digest(text):
    return hashlib.md5(text.encode()).hexdigest()


def events_of(postgres, database):
    rows = postgres.ask("""SELECT id, topic, coalesce(key, aggregate_id), seq, md5(payload::text), payload ->> 'nonce', payload ->> 'fate'
                             FROM oms.event WHERE topic IS NOT NULL ORDER BY id""", database=database)
    return {row[0]: Event(*row) for row in rows}


def dead_letters_of(postgres, database):
    return dict(postgres.ask("SELECT event_id, status FROM oms.dead_letter WHERE reader = 'kafka'", database=database))


def messages_of(kafka, prefix):
    messages = []
    for topic in kafka.topics(prefix):
        for raw in kafka.read(topic):
            pairs = raw.get("headers") or []
            headers = dict(zip(pairs[::2], pairs[1::2]))
            number = headers.get("ce_id", "")
            messages.append(Message(raw["topic"], raw["partition"], raw["offset"], raw["ts"], raw.get("key"), int(number) if number.isdigit() else None,
                                    int(headers.get("oms_seq", 0)), digest(raw.get("payload") or ""), headers.get("ce_source"), headers.get(ORIGINAL)))
    return sorted(messages, key=lambda m: (m.topic, m.partition, m.offset))


def compare(events, dead, messages, cuts=(), ledgers=(), ordered=frozenset()):
    """cuts: what broke when, and which events the stored cursor had passed by then. A copy sent later of another event is explained.
    ordered: the topics in which dead letters, when they are sent at last, keep the order of their key."""
    finding = Finding(events=len(events), messages=len(messages), dead=len(dead))
    copies = collections.defaultdict(list)
    for message in messages:
        wrong = wrong_in(message, events, dead)
        if wrong:
            finding.foreign += 1
            note(finding, f"foreign ({wrong}): {message}")
        elif message.original is None:
            copies[message.id].append(message)
    for event in events.values():
        if event.id not in copies and dead.get(event.id) in (None, "sent"):
            finding.missing += 1
            note(finding, f"missing: {event}")
    order(finding, copies, {number for number in dead if events[number].topic not in ordered})
    repeats(finding, copies, cuts)
    promises(finding, events, ledgers)
    return finding


def wrong_in(message, events, dead):
    event = events.get(message.id)
    if event is None:
        return "no such event"
    if (event.key, event.seq, event.digest) != (message.key, message.seq, message.digest):
        return "another event has this id"
    if message.original is not None:
        return None if message.id in dead and message.original == event.topic else "a copy of what is no dead letter"
    if event.topic != message.topic:
        return "another topic"
    return f"a dead letter, {dead[message.id]}" if dead.get(message.id, "sent") != "sent" else None


def order(finding, copies, overtaken):
    # A replayed dead letter comes after those that went on without it.
    first = sorted((each[0] for number, each in copies.items() if number not in overtaken), key=lambda m: (m.topic, m.key, m.partition, m.offset))
    for _, group in itertools.groupby(first, key=lambda m: (m.topic, m.key)):
        for one, next_one in itertools.pairwise(group):
            if one.seq >= next_one.seq or one.partition != next_one.partition:
                finding.disorder += 1
                note(finding, f"disorder: {one} before {next_one}")


def repeats(finding, copies, cuts):
    for each in copies.values():
        for copy in sorted(each, key=lambda m: m.time)[1:]:
            finding.duplicates += 1
            before = [cut for cut in cuts if cut.time <= copy.time]
            if not before or copy.id in before[-1].passed:
                finding.unexplained += 1
                note(finding, f"unexplained copy: {copy} of {each[0]}")


def promises(finding, events, ledgers):
    written = {event.nonce for event in events.values() if event.nonce}
    for ledger in ledgers:
        for nonce in ledger.acknowledged - written:
            finding.lost += 1
            note(finding, f"lost: {nonce}")
        finding.lost_early += len(ledger.acknowledged_early - written)
    for event in events.values():
        if event.fate == "rollback":
            finding.undone += 1
            note(finding, f"undone: {event}")


def late(messages, sources):
    """Messages that a worker sent into a partition behind the first one of a worker that took over from it."""
    found, leads = [], {}
    for message in messages:
        place, rank = (message.topic, message.partition), sources.index(message.source)
        if rank < leads.get(place, 0):
            found.append(message)
        leads[place] = max(rank, leads.get(place, 0))
    return found


def note(finding, text, most=12):
    if len(finding.examples) < most:
        finding.examples.append(text)
