"""A leader that does not die: it hangs, or is cut off, and another takes over. What it still has must not mix with what the other sends."""

import contextlib
import time

import checker
from network import Network
from scenario import scenario
from servers import KAFKA_WITH_RULES, Kafka
from shell import eventually

# A leader that is silent for so long loses its session. A third of it is more than the worker's shortest word.
LEASE = {"session-lease": "2s"}

# A peer that is cut off is noticed in seconds, where the worker's own settings take half a minute.
IMPATIENT = "keepalives_idle=1 keepalives_interval=1 keepalives_count=3 tcp_user_timeout=3000 connect_timeout=3"


def expect_no_mixing(round_, leaders):
    """Only what the old leader had read before it hung may still come from it, as copies, and nothing of it mixes with the new one's order."""
    messages = checker.messages_of(round_.kafka, round_.prefix)
    late = checker.late(messages, [worker.source for worker in leaders])
    round_.tell("sent late by the old leader", len(late))
    sent = {}
    for message in messages:
        sent.setdefault(message.id, set()).add(message.source)
    alone = [message for message in late if len(sent[message.id]) == 1]
    round_.expect(not alone, f"what comes late from the old leader, the new one sends as well: {alone[:3]}")
    by_source = {worker.source: sum(m.source == worker.source for m in messages) for worker in leaders}
    round_.tell("sent by each", "/".join(map(str, by_source.values())))
    return late


@scenario
def leader_hung(round_):
    """SIGSTOP for the leader; the standby takes over; SIGCONT: it finds itself fenced, sends nothing new, and stands by."""
    round_.start_load()
    leaders = [round_.start_worker(LEASE).await_said("leading")]
    fenced = {}
    for _ in range(1 + 2 * round_.soak):
        old = leaders[-1]
        round_.send_more(round_.dice.randint(20, 100))
        time.sleep(round_.dice.random() * 0.05)
        standby = round_.start_worker(LEASE).await_said("standing by")
        old.hang()
        round_.inject("SIGSTOP of the leader")
        round_.cut(passed=round_.passed())
        standby.await_said("leading")
        round_.send_more(round_.dice.randint(0, 100))
        losses, sessions = old.said("the session ended"), old.said("connected to the database")
        old.go_on()
        round_.inject("SIGCONT of the old leader")
        eventually(lambda: old.said("the session ended") > losses, "the old leader finds its session gone")
        eventually(lambda: old.said("connected to the database") > sessions, "it connects again")
        eventually(lambda: old.said("standing by") > 0, "it stands by")
        fenced[old.source] = int(time.time() * 1000)
        round_.load.write_more(100)
        round_.send_more(50)
        round_.expect(standby.said("the session ended") == 0, "the new leader goes on undisturbed")
        leaders.append(standby)
        old.kill()  # else it would be one of two standbys, and lead again out of turn
    result = round_.finish()
    expect_no_mixing(round_, leaders)
    after = [m for m in checker.messages_of(round_.kafka, round_.prefix) if m.time > fenced.get(m.source, m.time)]
    round_.expect(not after, f"an old leader sends nothing once it stands by: {after[:3]}")
    return result


@contextlib.contextmanager
def worker_in_a_network(round_):
    with Network(round_.world.name) as network:
        round_.use_kafka(Kafka(round_.world.name + "-net", listen=network.address("broker"), settings=KAFKA_WITH_RULES))
        round_.postgres.listen()
        round_.postgres.trust(network.subnet("database"), "relay")
        yield network


def start_in(round_, network, flags=None):
    round_.postgres_of_worker = round_.postgres.dsn(round_.database, "relay", network.address("database")) + " " + IMPATIENT
    worker = round_.start_worker(flags, kafka=["socket.timeout.ms=3000"], namespace=network.name)
    round_.postgres_of_worker = None
    return worker.await_said("leading")


def cut_for_a_while(round_, network, *cables):
    for cable in cables:
        network.cut(cable)
    # A standby knows only what the cursor says, and a worker that lost both never heard what became of messages on the wire.
    if "database" in cables:
        round_.cut(passed=round_.passed())
    round_.inject("network cut between the worker and the " + " and the ".join(cables))
    waiting = round_.count("pending")
    round_.load.write_more(100)
    eventually(lambda: round_.count("pending") > waiting, "events wait behind the cut")
    time.sleep(round_.dice.uniform(0, 40 if round_.soak else 5))


@scenario
def network_cut_broker(round_):
    """Packets between worker and broker vanish for a while; requests time out and are repeated; not one copy."""
    with worker_in_a_network(round_) as network:
        round_.start_load()
        start_in(round_, network)
        for _ in range(2 + 2 * round_.soak):
            round_.send_more(round_.dice.randint(1, 80))
            cut_for_a_while(round_, network, "broker")
            network.mend("broker")
            round_.send_more(20)
        return round_.finish()


@scenario
def network_cut_database(round_):
    """Packets between worker and PostgreSQL vanish, the broker stays in reach: the standby takes over, the leader comes back as a standby."""
    with worker_in_a_network(round_) as network:
        round_.start_load()
        leader = start_in(round_, network, LEASE)
        standby = round_.start_worker(LEASE).await_said("standing by")
        round_.send_more(round_.dice.randint(1, 80))
        cut_for_a_while(round_, network, "database")
        standby.await_said("leading")
        round_.send_more(100)
        network.mend("database")
        leader.await_said("standing by")
        round_.send_more(50)
        leader.end()
        result = round_.finish()
        expect_no_mixing(round_, [leader, standby])
        return result


@scenario
def network_cut_both(round_):
    """The worker loses PostgreSQL and the broker at once, and finds both again: what was on the wire, unanswered, may arrive twice."""
    with worker_in_a_network(round_) as network:
        round_.start_load()
        start_in(round_, network, LEASE)
        round_.send_more(round_.dice.randint(1, 80))
        cut_for_a_while(round_, network, "broker", "database")
        for cable in round_.dice.sample(["broker", "database"], 2):
            network.mend(cable)
        round_.send_more(50)
        return round_.finish()
