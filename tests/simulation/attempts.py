"""What used up an attempt: what a handler did or said, never trouble of a database or of the broker.

Owns this one check, which rests on what the simulated handlers can raise.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

_FAILURES: Final = "SELECT json_extract(data, '$.code'), hex(stream_id) FROM saga_events WHERE type IN (?, ?)"
_OWN: Final = frozenset({"connection_reset_error", "fatal", "declined", "poison", "deadline_passed", "gave_up"})
"""The codes of what handlers raise here, of what kills its worker, and of what took longer than its author allows."""


def spent_by_trouble(store: sqlite3.Connection) -> Iterator[str]:
    """Failed attempts whose cause is none of the handler's, the number of the invariant first."""
    for code, saga_id in store.execute(_FAILURES, ("StepFailed", "CompensationFailed")):
        if code not in _OWN:
            yield f"B3 saga {saga_id}: an attempt was used up by {code!r}, which is no doing of a handler"
