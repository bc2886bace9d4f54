"""Random sound definitions: every kind, graphs, loops, conditions, waits, sleeps, with and without a pivot.

Owns what is generated. What it makes keeps the loader's rules, which `test_core` checks.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from saga_engine.definition.expressions import CompiledExpression, compile_value
from saga_engine.definition.model import (
    Action,
    Call,
    Compensation,
    Definition,
    Emit,
    ForEach,
    Jitter,
    Json,
    Kind,
    OnExhausted,
    OnTimeout,
    Retry,
    SagaEmit,
    Sleep,
    Step,
    Timeout,
    Wait,
)
from saga_engine.definition.order import Order, placed
from saga_engine.definition.rules import past_return, settled

SECOND: Final = 1_000_000
SIGNALS: Final = ("News", "Other")
INPUT: Final[Json] = {"yes": True, "no": False, "text": "text", "items": [1, 2, 3], "none": []}
"""What every generated saga is started with."""


def expression(source: Json) -> CompiledExpression:
    compiled = compile_value(source)
    assert isinstance(compiled, CompiledExpression)
    return compiled


_PAYLOADS: Final = tuple(
    expression({"x": source}) for source in ("${{ input.yes }}", "${{ saga.key }}", "${{ input.missing }}")
)
_CONDITIONS: Final = tuple(
    expression(f"${{{{ input.{name} }}}}") for name in ("yes", "yes", "yes", "no", "no", "no", "text", "missing")
)
_LISTS: Final = tuple(
    expression(f"${{{{ input.{name} }}}}") for name in ("items", "items", "items", "items", "none", "text")
)
_ITEM: Final = expression({"n": "${{ item }}"})


def _usually(draw: st.DrawFn, often: int = 3) -> bool:
    return draw(st.integers(0, often)) > 0


def _retry(draw: st.DrawFn) -> Retry:
    return Retry(draw(st.integers(1, 3)), SECOND, 2.0, 4 * SECOND, draw(st.sampled_from(Jitter)), ("fatal",))


def _timeout(draw: st.DrawFn) -> Timeout:
    return Timeout(30 * SECOND, draw(st.sampled_from((None, 60 * SECOND))))


def _emit(draw: st.DrawFn, name: str) -> Emit | None:
    return Emit(name, None, None) if draw(st.booleans()) else None


def _compensation(draw: st.DrawFn, name: str) -> Compensation | None:
    if not _usually(draw, 5):
        return None
    payload = draw(st.sampled_from((None,) * 9 + _PAYLOADS))
    how = draw(st.sampled_from(OnExhausted))
    return Compensation("p", f"undo_{name}", payload, _emit(draw, "Undone"), _retry(draw), _timeout(draw), how)


def _call(draw: st.DrawFn, name: str, kind: Kind) -> Call:
    loop = None
    if kind is not Kind.PIVOT and not _usually(draw, 4):
        tolerate = 0 if kind is Kind.RETRIABLE else draw(st.integers(0, 3))
        loop = ForEach(draw(st.sampled_from(_LISTS)), "item", draw(st.integers(1, 3)), tolerate)
    payload = _ITEM if loop is not None else draw(st.sampled_from((_PAYLOADS[0],) * 15 + _PAYLOADS))
    compensation = _compensation(draw, name) if kind is Kind.COMPENSATABLE else None
    return Call("p", name, payload, kind, _retry(draw), _timeout(draw), compensation, loop, _emit(draw, "Done"))


def _pause(draw: st.DrawFn, *, may_fail: bool) -> Action:
    if draw(st.booleans()):
        return Sleep(draw(st.integers(1, 90)) * SECOND)
    limit = draw(st.sampled_from((None, 45 * SECOND)))
    how = draw(st.sampled_from(OnTimeout)) if may_fail and limit is not None else OnTimeout.CONTINUE
    return Wait(draw(st.sampled_from(SIGNALS)), limit, how, _emit(draw, "Heard"))


def _step(draw: st.DrawFn, name: str, needs: tuple[str, ...], action: Action) -> Step:
    return Step(name, needs, None if _usually(draw, 6) else draw(st.sampled_from(_CONDITIONS)), action)


def _some(draw: st.DrawFn, names: list[str]) -> tuple[str, ...]:
    """Often the last of them alone, as in most sagas."""
    alone: bool = draw(st.booleans())
    if names and alone:
        return (names[-1],)
    return tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=3))) if names else ()


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """A sound definition of up to nine steps."""
    steps: list[Step] = []
    for index in range(draw(st.integers(0, 5))):
        name = f"b{index}"
        kind = draw(st.sampled_from((Kind.COMPENSATABLE,) * 4 + (Kind.READ_ONLY, None)))
        action = _pause(draw, may_fail=True) if kind is None else _call(draw, name, kind)
        steps.append(_step(draw, name, _some(draw, [step.name for step in steps]), action))
    before = [step.name for step in steps]
    # A read-only step may stand beside the point of no return: nothing but it need not be waited for.
    free = [
        s.name for s in steps if isinstance(s.action, Call) and s.action.kind is Kind.READ_ONLY and draw(st.booleans())
    ]
    bound = tuple(name for name in before if name not in free)
    gates: tuple[str, ...] = bound
    if draw(st.booleans()):
        steps.append(_step(draw, "pivot", bound, _call(draw, "pivot", Kind.PIVOT)))
        gates = ("pivot",)
    after: list[str] = []
    for index in range(draw(st.integers(0 if steps else 1, 3))):
        name = f"a{index}"
        kind = draw(st.sampled_from((Kind.RETRIABLE, Kind.RETRIABLE, Kind.READ_ONLY, None)))
        action = _pause(draw, may_fail=False) if kind is None else _call(draw, name, kind)
        needs = dict.fromkeys((*gates, *_some(draw, after), *_some(draw, free)))
        steps.append(_step(draw, name, tuple(needs), action))
        after.append(name)
    return _whole(draw, steps)


def _whole(draw: st.DrawFn, steps: list[Step]) -> Definition:
    definition = Definition(
        saga="random",
        version=1,
        summary="",
        key=None,
        input_schema=None,
        timeout_us=draw(st.sampled_from((None, 200 * SECOND))),
        sla_us=None,
        output=expression("${{ input.yes }}"),
        emit=SagaEmit(_emit(draw, "Completed"), _emit(draw, "Compensated"), _emit(draw, "Closed")),
        steps=tuple(steps),
    )
    order = placed(definition)
    return settled(definition, past_return(order, Order(order)))
