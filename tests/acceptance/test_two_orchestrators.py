"""Two `saga run` share one PostgreSQL and one nats-server."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import LEDGER, eventually
from tests.nats_fixtures import NatsServer

SAGAS = 2000


@pytest.mark.timeout(240)
def test_two_engines_end_2000_sagas_once_each_and_ask_for_nothing_twice(
    project: MakeProject, postgres_databases: dict[str, str], own_nats_server: NatsServer
) -> None:
    made = project(LEDGER, postgres_databases, SAGA_NATS__URL=own_nats_server.url)
    assert made.saga("db", "upgrade").returncode == 0
    services = [made.run(), made.run()]
    # Shares are dealt out anew when the second one comes; what is measured is what follows.
    eventually(lambda: all('"held": [' in service.log and _held(service.log) == 8 for service in services), "shares")
    started = made.start_orders(SAGAS)
    assert made.wait_for_end(started, patience=200) == {"completed": SAGAS * 4 // 5, "compensated": SAGAS // 5}
    orders, payments = made.effects("order"), made.effects("payment")
    assert max(orders.values()) == max(payments.values()) == 1
    assert (orders.total(), payments.total()) == (SAGAS * 2, SAGAS * 4 // 5)
    assert [service.stop() for service in services] == [0, 0]
    counted = [service.counters() for service in services]
    assert all(one["commits"] > 0 for one in counted), "one of them did all the work"
    assert sum(one["sent_again"] for one in counted) == 0
    assert sum(one["unacknowledged"] for one in counted) == 0
    # Each command was sent once, each reply taken once: nothing was thrown away by the wrong engine.
    assert sum(one["commands"] for one in counted) == SAGAS * 3
    assert sum(one["replies"] for one in counted) == SAGAS * 3


def _held(log: str) -> int:
    line = [line for line in log.splitlines() if "partitions changed" in line][-1]
    held = line.split('"held": [')[1].split("]")[0]
    return len([number for number in held.split(",") if number.strip()])
