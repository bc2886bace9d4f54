"""Outages of a participant and of the broker cost time, never correctness: no attempt, no compensation, no saga."""

from __future__ import annotations

import asyncio
from uuid import UUID

import nats
import pytest

from saga_engine.core.events import CommandIssued
from saga_engine.wire.subjects import COMMANDS
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import LEDGER, REPOSITORY, Project, eventually
from tests.nats_fixtures import NatsServer

SAGAS = 20


async def _waiting(url: str, subject: str) -> int:
    client = await nats.connect(url)
    try:
        info = await client.jetstream().stream_info(COMMANDS, subjects_filter=subject)
        return sum((info.state.subjects or {}).values())
    finally:
        await client.close()


def test_a_payment_worker_that_is_down_uses_up_no_attempt_and_compensates_nothing(
    project: MakeProject, own_nats_server: NatsServer
) -> None:
    made = project(REPOSITORY, SAGA_NATS__URL=own_nats_server.url)
    definition = made.folder / "definitions" / "place_order.yaml"
    text = definition.read_text()
    assert text.count("reply: 30s") == 2
    definition.write_text(text.replace("reply: 30s", "reply: 300ms"))
    made.run("--orchestrator", "--worker", "order", "--worker", "review")
    started = made.start_orders(SAGAS, declined_every=0)
    # Several reply time-outs pass in silence: each saga has asked for its payment at least four times.
    eventually(
        lambda: asyncio.run(_waiting(own_nats_server.url, "saga.command.payment.>")) >= 4 * SAGAS,
        "payments to be asked for again and again",
    )
    made.run("--worker", "payment")
    assert made.wait_for_end(started) == {"completed": SAGAS}
    with made.client() as client:
        for saga_id in started:
            issued = [event for event in client.view(saga_id).events if isinstance(event, CommandIssued)]
            assert [(event.step, event.attempt) for event in issued] == [
                ("create_order", 1),
                ("debit_payment", 1),
                ("review_order", 1),
                ("approve_order", 1),
            ]


@pytest.mark.parametrize("wiped", [False, True], ids=["restarted", "wiped"])
def test_sagas_end_when_the_broker_is_killed_and_comes_back(
    wiped: bool, project: MakeProject, own_nats_server: NatsServer
) -> None:
    made: Project = project(LEDGER, SAGA_NATS__URL=own_nats_server.url)
    made.run()
    started: list[UUID] = []
    with made.client() as client:
        under_way = False
        # A machine may finish them all before it gets round to the kill: that shows nothing.
        while not under_way:
            before = client.counts().get(("place_order", "completed"), 0)
            batch = made.start_orders(200, prefix=f"o-{len(started)}")
            eventually(lambda: client.counts().get(("place_order", "completed"), 0) > before, "the first sagas to end")  # noqa: B023  # awaited at once
            own_nats_server.kill()
            under_way = any(client.status(saga_id).ended_at is None for saga_id in batch)
            if wiped:
                own_nats_server.wipe()
            own_nats_server.start()
            started += batch
    assert made.wait_for_end(started) == {"completed": 4 * len(started) // 5, "compensated": len(started) // 5}
    assert max(made.effects("order").values()) == max(made.effects("payment").values()) == 1
