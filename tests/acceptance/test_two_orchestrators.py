"""Two `saga run` share one PostgreSQL and one nats-server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

import nats
import pytest
from sqlalchemy import text

from saga_engine.sql.engine import open_engine
from saga_engine.wire.subjects import COMMANDS, REPLIES
from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import LEDGER, Project, eventually
from tests.nats_fixtures import NatsServer

SAGAS = 2000
DECLINED = SAGAS // 5
PATIENT = {"reply: 30s": "reply: 10m", "total: 5m": "total: 20m", "timeout: 15m": "timeout: 1h"}
"""No command's time to be asked again comes within the test, however slow the machine is."""


@pytest.mark.timeout(400)
def test_two_engines_end_2000_sagas_once_each_and_ask_for_nothing_twice(
    project: MakeProject, postgres_databases: dict[str, str], own_nats_server: NatsServer
) -> None:
    made = made_patient(project(LEDGER, postgres_databases, SAGA_NATS__URL=own_nats_server.url))
    assert made.saga("db", "upgrade").returncode == 0
    services = [made.run(), made.run()]
    # Shares are dealt out anew when the second one comes; what is measured is what follows.
    eventually(lambda: all('"held": [' in service.log and _held(service.log) == 8 for service in services), "shares")
    started = made.start_orders(SAGAS)
    assert made.wait_for_end(started, patience=300) == {"completed": SAGAS - DECLINED, "compensated": DECLINED}
    orders, payments = made.effects("order"), made.effects("payment")
    assert max(orders.values()) == max(payments.values()) == 1
    assert (orders.total(), payments.total()) == (SAGAS * 2, SAGAS - DECLINED)
    # Each command was issued once, and each reply was taken once, by whichever engine.
    decided = events(postgres_databases["engine"])
    assert decided["CommandIssued"] == SAGAS * 3
    assert decided["StepSucceeded"] == SAGAS + 2 * (SAGAS - DECLINED)
    assert (decided["StepRejected"], decided["StepCompensated"], decided["StepFailed"]) == (DECLINED, DECLINED, 0)
    # What had to be said twice on a slow machine, since nothing was heard in time, the broker has recognised.
    assert asyncio.run(taken(own_nats_server.url)) == {COMMANDS: SAGAS * 3, REPLIES: SAGAS * 3}
    assert [service.stop() for service in services] == [0, 0]
    counted = [service.counters() for service in services]
    assert all(one["commits"] > 0 for one in counted), "one of them did all the work"
    assert sum(one["sent_again"] for one in counted) == 0


def made_patient(project: Project) -> Project:
    path = project.folder / "definitions" / "place_order.yaml"
    content = path.read_text(encoding="utf-8")
    for short, long in PATIENT.items():
        assert short in content
        content = content.replace(short, long)
    path.write_text(content, encoding="utf-8")
    return project


def events(url: str) -> Counter[str]:
    """How many events of each type the streams hold."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT type, count(*) FROM saga_events GROUP BY type")).all()
    finally:
        engine.dispose()
    return Counter({row[0]: row[1] for row in rows})


async def taken(url: str) -> Mapping[str, int]:
    """How many different messages each work queue has ever taken."""
    client = await nats.connect(url)
    try:
        stream = client.jetstream()
        return {name: (await stream.stream_info(name)).state.last_seq for name in (COMMANDS, REPLIES)}
    finally:
        await client.close()


def _held(log: str) -> int:
    line = [line for line in log.splitlines() if "partitions changed" in line][-1]
    held = line.split('"held": [')[1].split("]")[0]
    return len([number for number in held.split(",") if number.strip()])
