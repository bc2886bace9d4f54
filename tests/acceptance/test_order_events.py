"""A service that follows `ORDERS.*` and drops repeated ids sees each order as it goes, whatever happens to us."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import MakeProject
from tests.acceptance.order_events import follow, report
from tests.acceptance.projects import REPOSITORY
from tests.nats_fixtures import NatsServer


@pytest.mark.timeout(400)
async def test_each_event_of_an_order_is_seen_once_and_in_order_though_its_orchestrator_is_killed(
    project: MakeProject, own_nats_server: NatsServer
) -> None:
    made = project(REPOSITORY, SAGA_NATS__URL=own_nats_server.url)
    seen = await follow(made, own_nats_server.url, orders=30, kills=2)
    assert seen.wrong == [], report(seen)
    assert seen.under_way >= 1, "the kills came too late to show anything"
    assert {course[-1] for course in seen.courses.values()} == {"approved", "rejected"}
