"""A broker that has lost what sagas published gets it again from the store: in order, once each, on every subject."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from uuid import UUID

import nats
import pytest

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.cli import main
from saga_engine.core.inputs import Outcome
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.resending import published_since
from saga_engine.ports.store import EventStore, Settlement
from saga_engine.sql.engine import open_engine
from tests.nats_fixtures import NatsServer
from tests.unit.orchestrator.support import BEGIN, Office, turn

SHOP: Final = """
saga: shop
version: 1
steps:
  - {step: one, call: p.one, emit: OneDone, compensate: none}
  - {step: two, call: q.two, emit: {event: TwoDone, subject: SHOP.two}, compensate: none}
emit: {completed: AllDone}
"""
SUBJECTS: Final = ("saga.event.shop.OneDone", "SHOP.two", "saga.event.shop.AllDone")


def published(sagas: int, store: EventStore | None = None) -> Client:
    """Sagas that have ended, and whose events the broker has acknowledged."""
    made = Office(SHOP, store=store)
    for _ in range(sagas):
        saga_id = made.start({})
        for step in ("one", "two"):
            turn(made.transactor(), saga_id, made.reply(step, Outcome.SUCCEEDED))
        head = made.store.heads([saga_id])[saga_id]
        made.store.settle([Settlement(saga_id, head.version, head.version, None)])
    return Client(made.store, dict, made.ids, made.clock)


async def kept(server: NatsServer) -> dict[UUID, list[tuple[str, str]]]:
    """By saga, what the stream of events has: subject and id, in order."""
    client = await nats.connect(server.url)
    try:
        jetstream = client.jetstream()
        state = (await jetstream.stream_info("SAGA_EVENTS")).state
        found: dict[UUID, list[tuple[str, str]]] = {}
        for sequence in range(state.first_seq, state.last_seq + 1):
            message = await jetstream.get_msg("SAGA_EVENTS", seq=sequence)
            event_id = (message.headers or {})["ce-id"]
            found.setdefault(UUID(event_id.partition("/")[0]), []).append((message.subject or "", event_id))
        return found
    finally:
        await client.close()


def whole(client: Client) -> dict[UUID, list[tuple[str, str]]]:
    return {
        one.saga_id: [
            (subject, f"{one.saga_id}/{event.version}") for subject, event in zip(SUBJECTS, one.events, strict=True)
        ]
        for page in published_since(client, BEGIN)
        for one in page
    }


@pytest.fixture
def client(own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Twenty such sagas in a project on a server of its own."""
    database = f"sqlite:///{tmp_path}/engine.db"
    (tmp_path / "config.yaml").write_text(
        f"saga_engine: 1\ndatabase: {database}\nnats: {{url: '{own_nats_server.url}'}}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["db", "upgrade"]) == 0
    store = SqlEventStore(open_engine(database))
    yield published(20, store)
    store.close()


def resend() -> int:
    return main(["events", "resend", "--since", "2020-01-01T00:00:00Z", "--yes", "-o", "json"])


def test_a_wiped_broker_has_everything_again_in_order_and_a_second_time_adds_nothing(
    own_nats_server: NatsServer, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    for wiped in (False, True):
        if wiped:
            own_nats_server.kill()
            own_nats_server.wipe()
            own_nats_server.start()
        for _ in range(2):
            capsys.readouterr()
            assert resend() == 0
            assert json.loads(capsys.readouterr().out)["sent"] == 60
            assert asyncio.run(kept(own_nats_server)) == whole(client)


def test_a_saga_that_cannot_be_read_holds_back_none_of_the_others(
    own_nats_server: NatsServer, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(tmp_path / "engine.db")) as database, database:
        database.execute(
            "UPDATE saga_events SET type = 'SagaTeleported' WHERE version = 2 AND stream_id = "
            "(SELECT stream_id FROM saga_streams LIMIT 1)"
        )
    capsys.readouterr()
    assert resend() == 1
    told = capsys.readouterr()
    assert json.loads(told.out) == {
        "published": 57,
        "sent": 57,
        "events": {"AllDone": 19, "OneDone": 19, "TwoDone": 19},
        "unreadable": 1,
    }
    assert "cannot be known: saga " in told.err
    assert "SagaTeleported" in told.err
    assert len(asyncio.run(kept(own_nats_server))) == 19
