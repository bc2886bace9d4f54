"""How old a command may be, and what the inbox may forget because of that.

A worker refuses commands older than the horizon, so that a row older than it, plus a margin for clocks that differ,
protects nothing any more.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, delete, select

from saga_engine.sql.schema import inbox, inbox_tries
from saga_engine.sql.transaction import run_transaction

_DAY_US: Final = 86_400_000_000
HORIZON_US: Final = 90 * _DAY_US
MARGIN_US: Final = 7 * _DAY_US
_BATCH: Final = 1_000


def past_horizon(issued_at: int, now: int) -> bool:
    """Whether a command, by the time of its first issue, is too old to be run (microseconds)."""
    return issued_at < now - HORIZON_US


def may_be_forgotten(saga_id: UUID, now: int) -> bool:
    """Whether the inbox may have forgotten commands of this saga: its id (UUIDv7) tells when it was started."""
    return saga_id.version == 7 and _started_at(saga_id) < now - HORIZON_US - MARGIN_US


def forget(engine: Engine, now: int) -> int:
    """Delete what is older than horizon and margin, in short transactions; how many inbox rows were deleted.

    Safe to call at any time and from several processes. `now` is the store's time in microseconds.
    """
    bound = now - HORIZON_US - MARGIN_US
    forgotten = 0
    while deleted := run_transaction(engine, lambda connection: _forget_batch(connection, bound), repeatable=True):
        forgotten += deleted
    return forgotten


def _forget_batch(connection: Connection, bound: int) -> int:
    # A row's key begins with its saga's id, which is older than the command: the primary key serves as the index.
    oldest = _first_key(bound)
    keys = select(inbox.c.key).where(inbox.c.key < oldest, inbox.c.issued_at < bound).limit(_BATCH)
    old = list(connection.execute(keys).scalars())
    tries = inbox_tries.c
    connection.execute(delete(inbox_tries).where(tries.key < oldest, tries.recorded_at < bound))
    connection.execute(delete(inbox).where(inbox.c.key.in_(old)))
    return len(old)


def _started_at(saga_id: UUID) -> int:
    return (saga_id.int >> 80) * 1_000


def _first_key(started_at: int) -> str:
    """A text that sorts above the keys of all sagas started before that time, and below those of all later ones."""
    return str(UUID(int=(max(started_at, 0) // 1_000) << 80))
