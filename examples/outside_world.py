"""The world outside of the database, simulated: a payment provider and a warehouse. They keep books of their own, in a file that the database
never sees, so that both can be compared afterwards.

They behave as real ones do:
- A request under a key that they have seen has no second effect; it gets the first answer.
- They refuse what makes no sense: a capture above what was authorized, a refund above what was captured. `offences` counts that.
- Whoever asks about a key that they have not seen closes it: a request under it that arrives later is refused. Without this "I have seen no such
  request" would be worth nothing, because the request may still be on its way.
"""
import sqlite3

TABLES = """
CREATE TABLE IF NOT EXISTS book (key TEXT PRIMARY KEY, kind TEXT, subject TEXT, amount INTEGER, outcome TEXT, reason TEXT);
CREATE INDEX IF NOT EXISTS book_subject ON book (subject);
CREATE TABLE IF NOT EXISTS injected (fault TEXT PRIMARY KEY, times INTEGER);
"""


UNDONE_BY = {"shipment.create": "shipment.cancel", "inventory.reserve": "inventory.release"}


class Refused(Exception):
    """They say no, now and for ever."""


class OutsideWorld:
    def __init__(self, path):
        self.books = sqlite3.connect(path, timeout=60, isolation_level=None)
        self.books.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing by that
        self.books.executescript(TABLES)

    def request(self, key, kind, subject, amount, declined=False):
        """One request; answers its reference. declined: the customer's card, or the shelf, says no."""
        with Exclusive(self.books):
            known = self.books.execute("SELECT outcome, reason, rowid FROM book WHERE key = ?", (key,)).fetchone()
            if not known:
                reason = self.senseless(kind, subject, amount)
                if reason:
                    self.note("offences")
                elif declined:
                    reason = "declined"
                row = self.books.execute("INSERT INTO book VALUES (?, ?, ?, ?, ?, ?)",
                                         (key, kind, subject, amount, "refused" if reason else "done", reason))
                known = ("refused" if reason else "done", reason, row.lastrowid)
        if known[0] != "done":
            raise Refused(known[1])
        return f"{kind.split('.')[0]}-{known[2]}"

    def look_up(self, key):
        """What became of the request under this key, and its reference."""
        with Exclusive(self.books):
            self.books.execute("INSERT OR IGNORE INTO book VALUES (?, 'unknown', NULL, 0, 'closed', 'it was asked about before it came')", (key,))
            outcome, kind, row = self.books.execute("SELECT outcome, kind, rowid FROM book WHERE key = ?", (key,)).fetchone()
        return ("succeeded", f"{kind.split('.')[0]}-{row}") if outcome == "done" else ("refused", None)

    def done(self, kind, subject):
        return self.books.execute("SELECT coalesce(sum(amount), 0) FROM book WHERE kind = ? AND subject = ? AND outcome = 'done'",
                                  (kind, subject)).fetchone()[0]

    def senseless(self, kind, subject, amount):
        authorized, captured, voided, refunded = (
            self.done(f"payment.{what}", subject) for what in ("authorize", "capture", "void", "refund"))
        if kind == "payment.capture" and captured + voided + amount > authorized:
            return "capture of more than is authorized"
        if kind == "payment.void" and captured + amount > authorized:
            return "void of what is not authorized, or captured"
        if kind == "payment.refund" and refunded + amount > captured:
            return "refund of more than is captured"
        if kind in UNDONE_BY and self.earlier(UNDONE_BY[kind], subject, ""):
            return "it was called off before it came"
        return None

    def earlier(self, kind, subject, key):
        """How many other requests of this kind there were for this subject."""
        return self.books.execute("SELECT count(*) FROM book WHERE kind = ? AND subject = ? AND key <> ?", (kind, subject, key)).fetchone()[0]

    def note(self, fault):
        self.books.execute("INSERT INTO injected VALUES (?, 1) ON CONFLICT (fault) DO UPDATE SET times = times + 1", (fault,))

    def injected(self):
        return dict(self.books.execute("SELECT fault, times FROM injected ORDER BY fault"))


class Exclusive:
    """One transaction of the books, alone."""

    def __init__(self, books):
        self.books = books

    def __enter__(self):
        self.books.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind, *_):
        self.books.execute("ROLLBACK" if kind else "COMMIT")
