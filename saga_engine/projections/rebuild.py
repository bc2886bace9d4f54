"""Makes a projection anew from the streams, as if it had never been: its tables are emptied and filled again.

Owns the two ways of it, in steps or at once. Printing progress is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, delete
from sqlalchemy.exc import SQLAlchemyError

from saga_engine.errors import SagaEngineError
from saga_engine.ports.store import EventStore
from saga_engine.projections.sweep import Sweep
from saga_engine.projections.taking import Taker, TroubleError, explained
from saga_engine.projections.unseen import UnseenEvents
from saga_engine.sql.transaction import run_transaction


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is: sagas looked at, of so many there were when it began, and what was taken in of them."""

    looked: int
    of: int
    events: int
    troubled: int


def rebuild_in_steps(
    store: EventStore, taker: Taker, unseen: UnseenEvents, report: Callable[[Progress], None]
) -> Progress:
    """Empty it in one transaction, then fill it, a transaction for each page of sagas, newest first. Blocking.

    Readers see it grow, and how far it lags. Whoever follows it meanwhile helps. Cut short, it is finished by whoever
    follows it. Sagas whose events cannot be taken are held back.

    Raises:
        StoreUnavailableError: a database cannot be asked.
    """
    run_transaction(taker.engine, partial(_empty, taker=taker), repeatable=True)
    sweep = Sweep(store, taker)
    done = Progress(0, sweep.count(), 0, 0)
    for page in sweep.all():
        taken = taker.take(unseen.read({one.head.stream_id: one.version for one in page.behind}))
        done = Progress(
            done.looked + page.looked, done.of, done.events + taken.events, done.troubled + len(taken.troubled)
        )
        report(done)
    return done


def rebuild_at_once(
    store: EventStore, taker: Taker, unseen: UnseenEvents, report: Callable[[Progress], None]
) -> Progress:
    """Do it all in one transaction: readers see the old one until it is committed. Blocking.

    Whoever follows it waits meanwhile.

    Raises:
        SagaEngineError: an event cannot be taken. Everything is as it was.
        StoreUnavailableError: a database cannot be asked. Everything is as it was.
    """
    try:
        return run_transaction(
            taker.engine, lambda connection: _all(connection, store, taker, unseen, report), repeatable=True
        )
    except (TroubleError, SQLAlchemyError) as error:
        what = explained(error)
        raise SagaEngineError(
            f"the projection {taker.projection.name} stays as it was: {what}; correct the handler, or rebuild it "
            "without --at-once, which holds back such sagas"
        ) from error


def _all(
    connection: Connection,
    store: EventStore,
    taker: Taker,
    unseen: UnseenEvents,
    report: Callable[[Progress], None],
) -> Progress:
    _empty(connection, taker)
    sweep = Sweep(store, taker)
    done = Progress(0, sweep.count(), 0, 0)
    for heads in sweep.heads():
        read = unseen.read({head.stream_id: 0 for head in heads})
        broken = next((one for one in read if one.trouble is not None), None)
        if broken is not None:
            raise SagaEngineError(f"the projection {taker.projection.name} stays as it was: {broken.trouble}")
        taken = taker.apply(connection, read)
        done = Progress(done.looked + len(heads), done.of, done.events + taken.events, 0)
        report(done)
    return done


def _empty(connection: Connection, taker: Taker) -> None:
    taker.checkpoints.close(connection)
    taker.checkpoints.forget(connection)
    for table in reversed(taker.projection.tables.sorted_tables):
        connection.execute(delete(table))
