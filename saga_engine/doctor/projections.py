"""Read models: whether somebody keeps each up to date, told by how long an event has not been taken in.

Looks at what is new and at what is open, as a follower does; the whole is `saga projections lag`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from saga_engine.bootstrap.projections import Opened, open_projection
from saga_engine.doctor.databases import PATIENCE
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.doctor.sagas import MINUTE
from saga_engine.plural import several
from saga_engine.ports.store import EventStore
from saga_engine.projections.lag import first_unseen
from saga_engine.projections.projection import Projection
from saga_engine.projections.sweep import Behind, Sweep
from saga_engine.settings.settled import Settings

CHECK: Final = "projections"
_MOST_PAGES: Final = 4
"""Of sagas: one that nobody ever followed would be compared with all that there are."""


def unfollowed(settings: Settings, store: EventStore, projections: Sequence[type[Projection]]) -> Iterator[Finding]:
    """A finding for each of these, whose databases are set up. `store.now()` is what their age is counted to."""
    for projection in projections:
        opened = open_projection(settings, projection, store, PATIENCE)
        try:
            yield judge(opened, store.now())
        finally:
            opened.taker.engine.dispose()


def judge(opened: Opened, now: int) -> Finding:
    """What its checkpoints say at a time, in microseconds."""
    name = opened.taker.projection.name
    pages = islice(Sweep(opened.store, opened.taker).recent(), _MOST_PAGES)
    behind: dict[object, Behind] = {one.head.stream_id: one for page in pages for one in page.behind}
    held = sum(1 for one in behind.values() if one.checkpoint is not None and one.checkpoint.trouble is not None)
    if held:
        what = f"{several(held, 'saga')} cannot be taken in: an event that it does not understand holds each back"
        why = "What it shows of them is old until that is put right."
        return Finding(CHECK, Severity.WARNING, name, what, why, f"saga projections lag {name}")
    late = max((now - at for at in first_unseen(opened.store, list(behind.values()))), default=0)
    if late < MINUTE:
        return fine(CHECK, name, "is up to date, or less than a minute behind")
    what = f"has not taken in events of {several(len(behind), 'saga')} or more, the oldest for {late // 1_000_000:,} s"
    why = "Nobody follows it at present, or it cannot keep up: what it shows is old. Nothing is lost meanwhile."
    return Finding(CHECK, Severity.WARNING, name, what, why, f"saga run --projection {name}")
