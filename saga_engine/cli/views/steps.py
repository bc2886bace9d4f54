"""The steps of a saga, a line each: how it is, how long it took, what went wrong, and a bar of when that was.

Owns the signs and the bars. How a step is called in one word is `saga`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.cli.output import Part, Styled
from saga_engine.core import events as e
from saga_engine.core.events import Direction, Event
from saga_engine.core.plan import Plan
from saga_engine.core.state import CompensationStatus, SagaState, StepState, StepStatus, split
from saga_engine.documents.saga import given_up, step_status
from saga_engine.elapsed import elapsed
from saga_engine.plural import several

BAR: Final = 32
"""Cells of the bar that is the whole saga."""

_SIGNS: Final[Mapping[str, tuple[str, str | None]]] = {
    "succeeded": ("✓", "green"),
    "compensated": ("↺", "yellow"),
    "resolved": ("☞", "yellow"),
    "without_effect": ("-", None),
    "compensating": ("←", "yellow"),
    "rejected": ("✗", "red"),
    "out_of_time": ("✗", "red"),
    "unknown": ("?", "red"),
    "blocked": ("■", "red"),
    "compensation_exhausted": ("✗", "red"),
    "compensation_skipped": ("✗", "red"),
    "timed_out": ("◷", None),
    "skipped": ("-", None),
    "pending": ("·", None),
    "not_run": ("·", None),
    "unfinished": ("·", None),
    "given_up": ("·", None),
}
_UNDER_WAY: Final = ("→", "cyan")
_NOT_BEGUN: Final = ("pending", "not_run")
_TROUBLED: Final = (StepStatus.RETRYING, StepStatus.REJECTED, StepStatus.UNKNOWN, StepStatus.BLOCKED)
_UNDONE_IN_TROUBLE: Final = (
    CompensationStatus.RETRYING,
    CompensationStatus.BLOCKED,
    CompensationStatus.EXHAUSTED,
    CompensationStatus.SKIPPED,
)


@dataclass(frozen=True, slots=True)
class _Span:
    """From when to when, in microseconds; None: it goes on."""

    began: int
    ended: int | None


def steps_lines(
    plan: Plan, state: SagaState, events: Sequence[Event], now: int, *, bars: bool = False
) -> list[list[Part]]:
    """A line for each step in the order of the definition.

    `bars`: with a bar of when it was under way, as pictures go to a terminal only. `now`: until when what goes on has
    taken so far.
    """
    backward = _compensations(state, events)
    statuses = {place: step_status(state, place) for place in plan.nodes}
    widths = max(map(len, plan.nodes), default=0), max(map(len, statuses.values()), default=0)
    whole = _Span(state.started_at, state.ended_at)
    lines: list[list[Part]] = []
    for place, status in statuses.items():
        sign, colour = _SIGNS.get(status, _UNDER_WAY)
        dim = status in _NOT_BEGUN
        line: list[Part] = [
            Styled(f"  {sign} ", colour, dim=dim),
            Styled(f"{place:<{widths[0]}}", dim=dim),
            Styled(f"  {status.replace('_', ' '):<{widths[1]}}", colour, dim=dim),
        ]
        known = state.steps.get(place)
        if known is not None and known.status is not StepStatus.SKIPPED:
            spans = _forward(state, known), backward.get(place)
            if bars:
                line += ["  ", *_bar(whole, spans, now, colour)]
            line.append(f"  {'; '.join(_facts(known, spans, now))}")
        lines.append(line)
    return lines


def _forward(state: SagaState, known: StepState) -> _Span:
    """When a step was under way forward."""
    left = state.compensation_began_at if given_up(state, known) else state.ended_at
    return _Span(known.opened_at, known.ended_at or left)


def _facts(known: StepState, spans: tuple[_Span, _Span | None], now: int) -> list[str]:
    """What there is to say of a step: how long, how often, over how many items, how it went wrong."""
    forward, backward = spans
    facts = [_took(forward, now)]
    if known.items is not None:
        facts.append(f"{known.items_succeeded} of {several(len(known.items), 'item')} succeeded")
    if known.forward is not None and known.forward.attempt > 1:
        facts.append(f"{known.forward.attempt} attempts")
    if backward is not None:
        again = f", {known.backward.attempt} attempts" if known.backward and known.backward.attempt > 1 else ""
        facts.append(f"compensation {_took(backward, now)}{again}")
    if known.code and (known.status in _TROUBLED or known.undo in _UNDONE_IN_TROUBLE):
        facts.append(f"{known.code}: {known.message}" if known.message else known.code)
    return facts


def _took(span: _Span, now: int) -> str:
    if span.ended is None:
        return f"for {elapsed(now - span.began)}"
    return elapsed(span.ended - span.began)


def _compensations(state: SagaState, events: Sequence[Event]) -> Mapping[str, _Span]:
    """When each step was being compensated, all its items together."""
    spans: dict[str, _Span] = {}
    for event in events:
        match event:
            case e.CommandIssued(direction=Direction.COMPENSATE):
                began = spans[event.step].began if event.step in spans else event.at
                spans[event.step] = _Span(began, None)
            case e.StepCompensated() | e.OperatorActed() | e.CompensationFailed(retry_at=None) if event.step in spans:
                spans[event.step] = _Span(spans[event.step].began, event.at)
            case _:
                pass
    under_way = {
        split(place)[0] for place, step in state.steps.items() if step.undo is not None and not step.undo.settled
    }
    return {place: _Span(span.began, None) if place in under_way else span for place, span in spans.items()}


def _bar(whole: _Span, spans: tuple[_Span, _Span | None], now: int, colour: str | None) -> list[Part]:
    """The saga's time as cells: `━` while the step was under way, `╍` while it was compensated."""
    until = now if whole.ended is None else whole.ended
    length = max(until - whole.began, 1)

    def cells(span: _Span) -> range:
        first = min(max((span.began - whole.began) * BAR // length, 0), BAR - 1)
        last = ((span.ended or until) - whole.began) * BAR // length
        return range(first, min(max(last, first + 1), BAR))

    forward, backward = spans
    bar = [" "] * BAR
    for position in cells(forward):
        bar[position] = "━"
    for position in cells(backward) if backward is not None else ():
        bar[position] = "╍"
    return [Styled("▕", dim=True), Styled("".join(bar), colour), Styled("▏", dim=True)]
