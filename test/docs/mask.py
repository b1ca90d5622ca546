"""What two outputs may differ in and still be the same.

Moments become <time>. Every uuid becomes <uuid N>, N counting the different ones in the order in which they appear: an
id that comes back on the page must come back in the real output too. Runs of blanks and of dashes count as one, because
the width of a column follows its longest value. Everything else must be equal.
"""

import re

UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
TIME = re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::\d\d)?)?")


class Mask:
    """One side of the comparison; the numbers of the ids hold for a whole page."""

    def __init__(self):
        self._seen = {}

    def lines(self, text):
        text = TIME.sub("<time>", UUID.sub(self._number, text))
        return [re.sub(r" +", " ", re.sub(r"-{2,}", "--", line)).strip() for line in text.strip("\n").split("\n")]

    def _number(self, found):
        return f"<uuid {self._seen.setdefault(found.group(), len(self._seen) + 1)}>"
