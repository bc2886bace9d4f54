"""A projection in memory, over the sagas of a system under test: what it would show if it had followed them.

Knows no bell and no sweep: whoever asks waits for everything there is.
"""

from __future__ import annotations

from sqlalchemy import Connection

from saga_engine.orchestrator.plans import Plans
from saga_engine.ports.store import EventStore
from saga_engine.projections.projection import Projection
from saga_engine.projections.sweep import Sweep
from saga_engine.projections.taking import Taker
from saga_engine.projections.unseen import UnseenEvents
from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import checkpoint_tables

_IN_MEMORY = "sqlite:///:memory:"


class Projected:
    """One projection with tables of its own."""

    def __init__(self, projection: type[Projection], store: EventStore) -> None:
        self._engine = open_engine(_IN_MEMORY)
        for tables in (checkpoint_tables, projection.tables):
            tables.create_all(self._engine)
        self._taker = Taker(projection(), self._engine)
        self._unseen = UnseenEvents(store, Plans(store).get)
        self._sweep = Sweep(store, self._taker)
        self._connection: Connection | None = None

    def look(self) -> Connection:
        """Take in what is new, and a connection to its tables; an earlier one is closed.

        Raises:
            AssertionError: an event cannot be taken in. Its text is the reason that `saga projections lag` would show.
        """
        self._release()
        for page in self._sweep.all():
            taken = self._taker.take(self._unseen.read({one.head.stream_id: one.version for one in page.behind}))
            if taken.troubled:
                raise AssertionError(f"{self._taker.projection.name}: {next(iter(taken.troubled.values()))}")
        self._connection = self._engine.connect()
        return self._connection

    def close(self) -> None:
        """End it. May be repeated."""
        self._release()
        self._engine.dispose()

    def _release(self) -> None:
        # There is one database connection for all: a transaction that is left open would be everybody's.
        if self._connection is not None:
            self._connection.close()
            self._connection = None
