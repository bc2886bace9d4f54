"""A sample is charged to the innermost function of ours, whatever library it was in."""

from __future__ import annotations

import pytest

from benchmarks.stacks import functions, parts, within

_LOOP = "main (saga_engine/cli/app.py:1);Runner.run (asyncio/runners.py:86)"
_FOLDED = "\n".join(
    [
        f"{_LOOP} 10",
        f"{_LOOP};Relay.send (saga_engine/orchestrator/relay.py:59) 5",
        f"{_LOOP};Relay.send (saga_engine/orchestrator/relay.py:59);send (saga_engine/adapters/nats/client.py:68);"
        "StreamWriter.write (asyncio/streams.py:342) 20",
        f"{_LOOP};Relay.send (saga_engine/orchestrator/relay.py:59);decide (saga_engine/core/decider.py:73) 10",
        "Thread.run (threading.py:975) 5",
    ]
)


def test_what_a_library_does_is_charged_to_the_part_that_called_it() -> None:
    assert parts(_FOLDED) == {
        "NATS": pytest.approx(0.4),
        "event loop": pytest.approx(0.2),
        "core, definition, codec": pytest.approx(0.2),
        "orchestrator: agenda, transactor, relay, intake": pytest.approx(0.1),
        "threads and libraries of their own": pytest.approx(0.1),
    }


def test_a_function_has_what_was_sampled_on_top_and_within_it() -> None:
    assert functions(_FOLDED)["StreamWriter.write (asyncio/streams.py:342)"] == pytest.approx(0.4)
    assert within(_FOLDED)["Relay.send (saga_engine/orchestrator/relay.py:59)"] == pytest.approx(0.7)
    assert not any("asyncio" in name for name in within(_FOLDED))
