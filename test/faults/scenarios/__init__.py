"""One module for each kind of thing that breaks. Importing them registers their scenarios, in this order."""

from scenarios import itself, kills, brokers, takeovers, transactions, poison, moves  # noqa: F401
