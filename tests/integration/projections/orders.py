"""Orders whose sagas are real and whose replies are made here, and the query model that they feed.

Owns how both are made. Knows no test.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, select

from saga_engine.clock import StoreClock
from saga_engine.core.decider import Decided
from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome, ReplyReceived
from saga_engine.definition.loader import Loaded, load_file
from saga_engine.definition.model import Definition, Json
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.plans import Plans
from saga_engine.orchestrator.starting import Started, register
from saga_engine.ports.store import EventStore
from saga_engine.projections.projection import Projection
from saga_engine.projections.sweep import Sweep
from saga_engine.projections.taking import Taken, Taker
from saga_engine.projections.unseen import UnseenEvents
from saga_engine.sql.engine import open_engine
from saga_engine.sql.migrate import upgrade
from saga_engine.sql.transaction import run_query
from store.order_view import OrderView, items, orders

ROOT: Final = Path(__file__).resolve().parents[3]
MIGRATIONS: Final = ROOT / "store" / "migrations"
BATCH: Final = 500


def definition() -> Definition:
    loaded = load_file(ROOT / "definitions" / "place_order.yaml")
    assert isinstance(loaded, Loaded), loaded
    return loaded.definition


def order(number: int) -> Json:
    """An order of so many items, of one of ten customers."""
    lines: list[Json] = [
        {"code": f"c-{line}", "name": f"Dish {line}", "unit_price": 100 + line, "quantity": line + 1}
        for line in range(number % 4)
    ]
    return {
        "order_id": f"o-{number:06d}",
        "customer_id": f"c-{number % 10}",
        "amount": 1_000 + number,
        "items": lines,
    }


class Orders:
    """Starts sagas of `place_order` and answers for its participants, in whatever order is asked for."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        made = definition()
        register(store, [made])
        ids, clock = TimeOrderedIds(secrets.token_bytes), StoreClock(store.now)
        self.client = Client(store, lambda: {made.saga: {made.version: made}}, ids, clock)

    def start(self, numbers: Sequence[int], *, again: bool = False) -> list[UUID]:
        outcomes = self.client.start_many("place_order", [order(number) for number in numbers], again=again)
        started = [outcome.saga_id for outcome in outcomes if isinstance(outcome, Started)]
        assert len(started) == len(numbers), outcomes
        return started

    def create(self, sagas: Sequence[UUID]) -> None:
        self._reply(sagas, "create_order", {"order_id": "its own"})

    def pay(self, sagas: Sequence[UUID]) -> None:
        self._reply(sagas, "debit_payment", {"receipt": "R-1"})

    def approve(self, sagas: Sequence[UUID]) -> None:
        self._reply(sagas, "review_order", None)
        self._reply(sagas, "approve_order", None)

    def decline(self, sagas: Sequence[UUID]) -> None:
        self._reply(sagas, "debit_payment", None, outcome=Outcome.REJECTED, code="card_declined")
        self._reply(sagas, "create_order", None, direction=Direction.COMPENSATE)

    def finish(self, numbers: Sequence[int]) -> list[UUID]:
        """Sagas to their end: every fifth is declined."""
        sagas = self.start(numbers)
        self.create(sagas)
        declined = sagas[::5]
        going = [saga for saga in sagas if saga not in set(declined)]
        self.decline(declined)
        self.pay(going)
        self.approve(going)
        return sagas

    def finish_many(self, count: int) -> None:
        for first in range(0, count, BATCH):
            self.finish(range(first, min(first + BATCH, count)))

    def _reply(
        self,
        sagas: Sequence[UUID],
        step: str,
        result: Json,
        *,
        direction: Direction = Direction.FORWARD,
        outcome: Outcome = Outcome.SUCCEEDED,
        code: str = "",
    ) -> None:
        def reply(at: int) -> ReplyReceived:
            return ReplyReceived(at, step, None, direction, 1, 1, outcome, result, code, code, Effect.UNDONE, True)

        verdicts = self.client.act_on_many(sagas, reply) if sagas else []
        assert all(isinstance(verdict, Decided) for verdict in verdicts), verdicts[:1]


@dataclass(frozen=True, slots=True)
class View:
    """A projection over a store, as a process opens it."""

    store: EventStore
    taker: Taker
    unseen: UnseenEvents

    @property
    def engine(self) -> Engine:
        return self.taker.engine

    def take(self, sagas: Sequence[UUID]) -> Taken:
        """What is new of these sagas, as it would be after a ring for each."""
        known = self.taker.checkpoints.of(self.engine, sagas)
        return self.taker.take(self.unseen.read({saga: known[saga].version if saga in known else 0 for saga in sagas}))

    def catch_up(self) -> int:
        """All there is; how many events that was."""
        taken = 0
        for page in Sweep(self.store, self.taker).all():
            after = {one.head.stream_id: one.version for one in page.behind}
            taken += self.taker.take(self.unseen.read(after)).events
        return taken

    def rows(self) -> list[tuple[object, ...]]:
        """All that the query model holds, read as a reader does: without a transaction that would keep others out."""

        def read(connection: Connection) -> list[tuple[object, ...]]:
            held = connection.execute(select(orders).order_by(orders.c.order_id)).all()
            lines = connection.execute(select(items).order_by(items.c.order_id, items.c.line)).all()
            return [tuple(row) for row in (*held, *lines)]

        return run_query(self.engine, read)


def open_view(store: EventStore, engine: Engine, projection: type[Projection] = OrderView) -> View:
    plan_of = Plans(store).get if projection.published_handlers else None
    return View(store, Taker(projection(), engine), UnseenEvents(store, plan_of))


@contextmanager
def migrated_view(url: str) -> Iterator[Engine]:
    """An engine for a database with the tables of the query model."""
    engine = open_engine(url)
    try:
        upgrade(engine, "order_view", [MIGRATIONS], inbox=False, checkpoints=True)
        yield engine
    finally:
        engine.dispose()
