"""`saga run` is killed at random moments with 200 sagas under way and started again: nothing lost or doubled."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from saga_engine.core.state import Status
from saga_engine.orchestrator.client import Client
from tests.acceptance.projects import Project, eventually

SAGAS = 200
ROUNDS = 10


@pytest.mark.timeout(600)
def test_all_sagas_end_with_one_effect_per_step_however_often_the_engine_is_killed(ledger: Project) -> None:
    chance = random.Random(20261123)
    everything: list[UUID] = []
    killed_under_way = 0
    for round_ in range(ROUNDS):
        started = ledger.start_orders(SAGAS, prefix=f"r{round_}")
        everything += started
        service = ledger.run()
        with ledger.client() as client:
            # The moment is random on purpose, so that kills fall into every part of the work.
            _wait_for_some(client, len(everything) - SAGAS + chance.randrange(SAGAS * 3 // 4))
            service.kill()
            killed_under_way += any(client.status(saga_id).ended_at is None for saga_id in started)
        service = ledger.run()
        ended = ledger.wait_for_end(started)
        assert ended == {"completed": SAGAS * 4 // 5, "compensated": SAGAS // 5}
        # In order, so that the next round's engine has the partitions at once and is killed at work.
        assert service.stop() == 0
    assert killed_under_way >= ROUNDS // 2, "the kills came too late to show anything"
    _one_effect_per_step(ledger, everything)


def _wait_for_some(client: Client, ended: int) -> None:
    """Wait until so many sagas have ended."""

    def enough() -> bool:
        return sum(count for (_, status), count in client.counts().items() if Status(status).ended) >= ended

    eventually(enough, f"{ended} sagas to end")


def _one_effect_per_step(ledger: Project, saga_ids: list[UUID]) -> None:
    orders, payments = ledger.effects("order"), ledger.effects("payment")
    expected_orders: set[tuple[str, str, str]] = set()
    expected_payments: set[tuple[str, str, str]] = set()
    for i, saga_id in enumerate(saga_ids):
        saga, declined = str(saga_id), i % 5 == 4
        expected_orders.add((saga, "create_order", "forward"))
        if declined:
            expected_orders.add((saga, "create_order", "compensate"))
        else:
            expected_orders.add((saga, "approve_order", "forward"))
            expected_payments.add((saga, "debit_payment", "forward"))
    assert set(orders) == expected_orders
    assert set(payments) == expected_payments
    assert max(orders.values()) == 1
    assert max(payments.values()) == 1
