"""Sagas to explore, and one call that explores them."""

from __future__ import annotations

from collections.abc import Callable

from saga_engine.definition.loader import Loaded, load_text
from saga_engine.definition.model import Definition
from saga_engine.verify.explore import Bounds, Explored, explore

LINEAR = """
saga: linear
version: 1
steps:
  - {step: a, call: left.do, compensate: {call: left.undo}}
  - {step: b, call: right.do, timeout: {reply: 10s, total: 1m}, compensate: {call: right.undo}}
"""

FORK = """
saga: fork
version: 1
timeout: 1h
steps:
  - {step: a, call: one.do, compensate: {call: one.undo}}
  - {step: b, needs: [a], call: two.do, compensate: {call: two.undo}}
  - {step: c, needs: [a], call: three.do, compensate: {call: three.undo, on_exhausted: continue}}
  - {step: d, needs: [b, c], call: four.do, compensate: {call: four.undo}}
"""

PIVOT = """
saga: pivoted
version: 1
steps:
  - {step: a, call: one.do, compensate: {call: one.undo}}
  - {step: p, kind: pivot, call: two.do}
  - {step: r, kind: retriable, call: three.do, with: {x: "${{ input.x }}"}}
"""

LOOP = """
saga: loop
version: 1
steps:
  - step: items
    call: one.do
    for_each: {in: "${{ input.items }}", as: item, tolerate: 1, max_parallel: 1}
    timeout: {reply: 10s, total: 1m}
    compensate: {call: one.undo}
  - {step: b, call: two.do, compensate: {call: two.undo}}
"""

WAITS = """
saga: waits
version: 1
timeout: 1h
steps:
  - {step: a, call: one.do, compensate: {call: one.undo}}
  - {step: nap, sleep: 5m}
  - {step: w, wait: {event: Approved, timeout: 10m, on_timeout: continue}}
  - {step: b, if: "${{ steps.w.status == 'succeeded' }}", call: two.do, compensate: {call: two.undo}}
  - {step: v, wait: {event: Checked}}
"""


LEFTOVERS = """
saga: leftovers
version: 1
steps:
  - {step: a, call: one.do, compensate: {call: one.undo}}
  - step: items
    call: two.do
    for_each: {in: "${{ input.items }}", as: item, tolerate: 1}
    compensate: {call: two.undo}
  - {step: p, kind: pivot, call: three.do, with: {x: "${{ input.x }}"}}
"""
"""Undoing a tolerated item may be what opens the next step, which may then fail at once."""

NO_ITEMS = """
saga: no_items
version: 1
steps:
  - {step: a, call: one.do, compensate: {call: one.undo}}
  - {step: items, kind: retriable, call: two.do, for_each: {in: "${{ input.items }}", as: item}}
  - {step: r, kind: retriable, call: three.do}
"""
"""The first retriable step may have nothing to do, and then the second is the point of no return."""


def define(text: str) -> Definition:
    loaded = load_text(text.encode(), "saga.yaml")
    assert isinstance(loaded, Loaded), loaded
    return loaded.definition


def with_inbox(_participant: str, _command: str) -> bool:
    return True


def without_inbox(_participant: str, _command: str) -> bool:
    return False


def explored(
    text: str, *, faults: int = 2, fenced: Callable[[str, str], bool] = with_inbox, states: int = 50_000
) -> Explored:
    return explore(define(text), fenced, Bounds(faults, states))


def broken_rule(result: Explored) -> str:
    """The rule of the counter-example that there must be."""
    assert result.counter_example is not None, "every property holds"
    return result.counter_example.violation.rule
