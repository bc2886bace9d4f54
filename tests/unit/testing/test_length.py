"""A saga whose stream has become long: told once, in time to look at it."""

from __future__ import annotations

from structlog.testing import capture_logs

from saga_engine.core.bounds import MOST_ITEMS
from saga_engine.testing.system import SagaSystem

MANY = """
saga: many
steps:
  - step: each
    call: stock.take
    for_each: {in: "${{ input.items }}", as: item, max_parallel: 500}
    with: {n: "${{ item }}"}
    compensate: none
"""


def test_a_saga_of_many_events_is_warned_about_once() -> None:
    with capture_logs() as logs, SagaSystem(MANY) as system:
        small = system.start("many", {"items": list(range(10))})
        large = system.start("many", {"items": list(range(MOST_ITEMS))})
        assert [str(small.ended()), str(large.ended())] == ["completed", "completed"]
        told = [line for line in logs if line["event"] == "a saga has many events"]
        assert [(line["saga_id"], line["limit"]) for line in told] == [(str(large.id), 10_000)]
        assert 2_000 <= told[0]["events"] <= len(large.events)
