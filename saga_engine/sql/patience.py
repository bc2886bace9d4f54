"""How long a database server is waited for, and how long it waits for us. SQLite has no server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Patience:
    """`answer`: how long one exchange with the database may take, seconds; then the connection is given up.

    `idle`: how long the database keeps a transaction, and its locks, of a client that says nothing, seconds.
    """

    answer: float
    idle: float


STORE: Final = Patience(answer=30.0, idle=5.0)
"""The engine's own transactions take milliseconds, and wait for nothing else in between."""

HANDLERS: Final = Patience(answer=60.0, idle=900.0)
"""A handler may do anything inside its transaction, for ten minutes before it counts as hanging."""

SLOW: Final = Patience(answer=86_400.0, idle=900.0)
"""A change to a large table takes as long as it takes."""
