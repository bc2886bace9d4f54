"""Projections wired: to their database, to the event store and to the bell; which of them a process follows.

A program that looks at one or rebuilds it opens it here as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from saga_engine.bootstrap.stores import is_embedded, open_store
from saga_engine.errors import NotFoundError, UsageError
from saga_engine.handlers import load_projections
from saga_engine.orchestrator.plans import Plans
from saga_engine.ports.events import EventBell
from saga_engine.ports.store import EventStore, RunSync
from saga_engine.projections.follower import Follower, Pace
from saga_engine.projections.projection import Projection
from saga_engine.projections.taking import Taker
from saga_engine.projections.unseen import UnseenEvents
from saga_engine.settings.settled import Settings
from saga_engine.sql.engine import open_engine
from saga_engine.sql.patience import HANDLERS, SLOW, Patience


@dataclass(frozen=True, slots=True)
class Opened:
    """A projection with what it is made from. `unseen` belongs to one thread at a time."""

    store: EventStore
    taker: Taker
    unseen: UnseenEvents


def chosen(settings: Settings, wanted: Sequence[str] | None) -> list[type[Projection]]:
    """Those of these names; None: all. Raises `UsageError` for a name that none has."""
    # Who wants none does not import them: a worker need not have what they need.
    known: Mapping[str, type[Projection]] = {} if wanted == () else load_projections(settings.root)
    if wanted is None:
        return list(known.values())
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UsageError(f"no projection named {unknown[0][:80]!r} in store/; there are: {', '.join(known) or 'none'}")
    return [known[name] for name in dict.fromkeys(wanted)]


def open_projection(
    settings: Settings, projection: type[Projection], store: EventStore, patience: Patience = HANDLERS
) -> Opened:
    """Open it. Its database connects when it is used; `taker.engine` is to be disposed of."""
    engine = open_engine(settings.projection(projection.name).database.get_secret_value(), patience)
    plan_of = Plans(store).get if projection.published_handlers else None
    return Opened(store, Taker(projection(), engine), UnseenEvents(store, plan_of))


def follower(
    settings: Settings, opened: Opened, bell: EventBell, subjects: Sequence[str], run_sync: RunSync
) -> Follower:
    """What keeps it up to date. `subjects`: on which definitions publish, besides the engine's own."""
    pace = Pace(recent=settings.projection(opened.taker.projection.name).sweep / 1_000_000)
    return Follower(opened.taker, opened.store, opened.unseen, bell, subjects, run_sync, pace)


@contextmanager
def store_and_projections(settings: Settings, names: Sequence[str]) -> Iterator[list[Opened]]:
    """These projections (none: all) over the project's store, for a command. What is embedded is brought up to date.

    Raises:
        NotFoundError: there is none of that name.
        StoreUnavailableError, SchemaMissingError: as `open_store`.
    """
    known = load_projections(settings.root)
    missing = [name for name in names if name not in known]
    if missing:
        raise NotFoundError(f"no projection named {missing[0][:80]!r}; there are: {', '.join(known) or 'none'}")
    wanted = [known[name] for name in dict.fromkeys(names or known)]
    set_up_embedded(settings, wanted)
    store = open_store(settings)
    opened: list[Opened] = []
    try:
        opened += [open_projection(settings, one, store, SLOW) for one in wanted]
        yield opened
    finally:
        for one in opened:
            one.taker.engine.dispose()
        store.close()


def set_up_embedded(settings: Settings, projections: Sequence[type[Projection]]) -> None:
    """Make the tables of those that are embedded, or bring them up to date. Raises `StoreUnavailableError`."""
    from saga_engine import databases

    for one in databases.databases(settings, (), projections):
        if one.checkpoints and is_embedded(one.url.get_secret_value()):
            databases.upgrade(settings, one)
