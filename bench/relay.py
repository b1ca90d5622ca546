#!/usr/bin/python3
"""A listener for doorbell.sh. On the channel oms_doorbell it keeps the doorbell's protocol like a relay does; on any other channel it only listens.

Found nothing: arm the bell. If a producer is committing, pause briefly and look again; else look once more, then sleep on the socket; on waking,
disarm first and then look. Looking is one look at the last id of the log, and what it finds is worked off in no processor time. Ends at SIGTERM.
"""
import select
import signal
import sys

import psycopg2

shortest_pause_s = 0.001
longest_pause_s = 0.010
floor_s = 5.0
batch_s = 0.005


class Relay:
    def __init__(self, channel):
        self.connection = psycopg2.connect("")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.cursor.execute(f"LISTEN {channel}")
        self.seen = 0

    def answer(self, query):
        self.cursor.execute(query)
        return self.cursor.fetchone()[0]

    def found_something(self):
        last = self.answer("SELECT last_value FROM oms.event_id_seq")
        news = last != self.seen
        self.seen = last
        return news

    def sleep(self, seconds):
        select.select([self.connection], [], [], seconds)
        self.connection.poll()
        self.connection.notifies.clear()

    def listen(self):
        while True:
            self.sleep(floor_s)

    def keep_the_bell(self):
        pause_s = shortest_pause_s
        while True:
            if self.found_something():
                pause_s = shortest_pause_s
                self.sleep(batch_s)
            elif not self.answer("SELECT oms.doorbell_arm()"):
                self.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_pause_s)
            else:
                if not self.found_something():
                    self.sleep(floor_s)
                self.cursor.execute("SELECT oms.doorbell_disarm()")


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
relay = Relay(sys.argv[1])
if sys.argv[1] == "oms_doorbell":
    relay.keep_the_bell()
else:
    relay.listen()
