"""Sagas that events of others start and end, in two processes, of which one is killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.errors import NoStreamResponseError

from saga_engine.ports.store import StreamFilter
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import LEDGER, Project, eventually
from tests.nats_fixtures import NatsServer

CHARGE = """saga: charge
version: 1
key: ${{ input.id }}
on: {subject: SHOP.created}
steps:
  - step: paid
    wait: {event: Paid, on: {subject: SHOP.paid, key: "${{ event.data.id }}"}}
"""


@pytest.fixture
def listening(project: MakeProject, own_nats_server: NatsServer) -> Project:
    made = project(LEDGER, SAGA_NATS__URL=own_nats_server.url)
    Path(made.folder, "definitions", "charge.yaml").write_text(CHARGE)
    assert made.saga("setup").returncode == 0
    return made


def publish(server: NatsServer, subject: str, ids: Sequence[str]) -> None:
    """Each once, as a service that knows nothing of sagas does, until the broker says that it has it."""

    async def publishing() -> None:
        client = await nats.connect(server.url)
        async with asyncio.timeout(120):
            for one in ids:
                await taken(client.jetstream(), subject, json.dumps({"id": one}).encode())
        await client.close()

    asyncio.run(publishing())


async def taken(jetstream: JetStreamContext, subject: str, body: bytes) -> None:
    """Publish it; again while there is no stream for it."""
    while True:
        try:
            await jetstream.publish(subject, body, timeout=30)
        except NoStreamResponseError:
            await asyncio.sleep(0.1)
        else:
            return


def ended(project: Project, ids: Sequence[str]) -> bool:
    with project.client() as client:
        found = {head.key: head.status for head in client.list(StreamFilter(saga="charge", limit=1_000))}
    return found == dict.fromkeys(ids, "completed")


@pytest.mark.timeout(400)
def test_every_event_counts_once_whichever_of_two_listeners_takes_it(
    listening: Project, own_nats_server: NatsServer
) -> None:
    first, second = listening.run("--orchestrator"), listening.run("--orchestrator")
    ids = [f"o-{number}" for number in range(40)]
    # What ends a wait comes before what starts the saga.
    publish(own_nats_server, "SHOP.paid", ids[:20])
    publish(own_nats_server, "SHOP.created", ids[:20])
    eventually(lambda: ended(listening, ids[:20]), "the first to be started and ended", patience=150)
    first.kill()
    # Everything comes once more, to the other one alone.
    publish(own_nats_server, "SHOP.created", ids)
    publish(own_nats_server, "SHOP.paid", ids)
    eventually(lambda: ended(listening, ids), "all to be started and ended by the other one", patience=150)
    assert json.loads(listening.saga("dead", "list", "-o", "json").stdout) == []
    assert second.stop() == 0, second.log
