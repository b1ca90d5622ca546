"""The checker finds what it is there to find: otherwise its zeros mean nothing."""

import checker
from scenario import scenario


@scenario
def checker_itself(round_):
    """Somebody else writes to the topics, and an event is taken back: each must be found."""
    load = round_.start_load(sessions=3)
    round_.start_worker()
    load.write_more(120)
    load.stop()
    round_.await_drained()
    events = checker.events_of(round_.postgres, round_.database)
    ids = sorted(event.id for event in events.values() if event.topic == round_.topics[0])
    a, b = events[ids[0]], events[ids[1]]

    def forge(event, **changed):
        forged = event._replace(**changed)
        payload = round_.ask("SELECT payload::text FROM oms.event WHERE id = %s", event.id)[0][0]
        # The last character of a payload is a brace: a blank behind it changes nothing but the bytes.
        text = payload if forged.digest == event.digest else payload + " "
        round_.kafka.produce(forged.topic, forged.key, text, {"ce_id": forged.id, "oms_seq": forged.seq, "ce_source": "/forger"})

    result = round_.finish()
    before = result.finding
    forge(a)                         # a copy that nothing explains
    forge(b, digest="another")       # another content under a known id
    forge(a, id=10 ** 15)            # an id that the log does not have
    forged = checker.messages_of(round_.kafka, round_.prefix)
    round_.inject("forged messages", 3)
    tampered = checker.compare(events, {}, forged)
    round_.expect((before.foreign, before.unexplained) == (0, 0), "clean before")
    round_.expect(tampered.foreign == 2, f"2 foreign messages are found: {tampered.foreign}")
    round_.expect((tampered.duplicates, tampered.unexplained) == (1, 1), "the copy is found, and not explained")

    # Taken away and put out of order here, not there: Kafka forgets nothing.
    clean = [message for message in forged if message.source != "/forger"]
    keys = {}
    for message in clean:
        keys.setdefault((message.topic, message.key), []).append(message)
    one, other = next(group for group in keys.values() if len(group) >= 2)[:2]
    swapped = [m._replace(offset={one: other.offset, other: one.offset}.get(m, m.offset)) for m in clean]
    swapped.sort(key=lambda m: (m.topic, m.partition, m.offset))
    round_.expect(checker.compare(events, {}, swapped).disorder > 0, "two events that changed places are found")
    round_.expect(checker.compare(events, {}, [m for m in clean if m.id != one.id]).missing == 1, "a message that is taken away is found")
    load.ledger.acknowledged.add("never written")
    round_.expect(checker.compare(events, {}, clean, ledgers=[load.ledger]).lost == 1, "a lost commit is found")
    odd = {one.id: events[one.id]._replace(fate="rollback")}
    round_.expect(checker.compare(events | odd, {}, clean).undone == 1, "an event of a transaction that was rolled back is found")
    round_.inject("forgeries in memory", 4)
    return result
