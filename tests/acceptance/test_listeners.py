"""Sagas that events of others start and end: one of two listeners is killed, and the broker loses all that it had."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.errors import NoStreamResponseError

from saga_engine.ports import StreamFilter
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


@pytest.mark.timeout(300)
def test_every_event_counts_once_whoever_is_killed_and_whatever_the_broker_forgets(
    listening: Project, own_nats_server: NatsServer
) -> None:
    first, second = listening.run("--orchestrator"), listening.run("--orchestrator")
    before = [f"o-{number}" for number in range(40)]
    # What ends a wait comes before what starts the saga, and everything comes twice.
    publish(own_nats_server, "SHOP.paid", before[:20])
    publish(own_nats_server, "SHOP.created", before)
    first.kill()
    publish(own_nats_server, "SHOP.created", before)
    publish(own_nats_server, "SHOP.paid", before)
    eventually(lambda: ended(listening, before), "all to be started and ended by the other one")
    own_nats_server.kill()
    own_nats_server.wipe()
    own_nats_server.start()
    after = [f"p-{number}" for number in range(20)]
    publish(own_nats_server, "SHOP.created", after)
    publish(own_nats_server, "SHOP.paid", after)
    eventually(lambda: ended(listening, [*before, *after]), "what came after the loss to be heard")
    assert json.loads(listening.saga("dead", "list", "-o", "json").stdout) == []
    assert second.stop() == 0, second.log
