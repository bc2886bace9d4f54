"""From a definition to the one that is explored: the same graph, with values left open and limits made small.

Owns what is abstracted. An expression asks `Choices` for its value, so that the real decider meets every one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from saga_engine.definition.model import (
    Call,
    Child,
    Compensation,
    Definition,
    Emit,
    Expression,
    ExpressionFailed,
    ForEach,
    Jitter,
    Json,
    Retry,
    SagaEmit,
    Step,
    Wait,
)
from saga_engine.definition.template import OPEN
from saga_engine.definition.values import canonical_json

MOST_ATTEMPTS: Final = 2
"""Limits on attempts above this are explored as this: counters behave alike."""

MOST_ITEMS: Final = 2
"""A `for_each` is explored over lists up to this length."""

MOST_TOLERATED: Final = 1
FAILURE_CODE: Final = "failed"
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that an expression put to `Choices`: the value it got, and the others it could have got.

    `costs`: how many faults each value is. `name`: under which the value is remembered; None: not at all.
    """

    name: str | None
    value: int
    costs: tuple[int, ...]


class Choices:
    """What open expressions answer during one decision: first what is remembered, then the tape, then zero.

    Lives as long as one exploration; `begin` starts the next decision.
    """

    def __init__(self) -> None:
        self._remembered: Mapping[str, int] = {}
        self._tape: tuple[int, ...] = ()
        self.asked: list[Asked] = []

    def begin(self, remembered: Mapping[str, int], tape: tuple[int, ...]) -> None:
        self._remembered = remembered
        self._tape = tape
        self.asked = []

    def ask(self, name: str | None, costs: tuple[int, ...]) -> int:
        """One of `range(len(costs))`."""
        if name is not None:
            known = self._remembered.get(name)
            if known is None:
                known = next((asked.value for asked in self.asked if asked.name == name), None)
            if known is not None:
                return known
        index = len(self.asked)
        value = self._tape[index] if index < len(self._tape) else 0
        self.asked.append(Asked(name, value, costs))
        return value


@dataclass(frozen=True, slots=True)
class Open:
    """An expression whose value is one of `values`, chosen by `choices`. It reads no root."""

    source: Json
    values: tuple[Json | ExpressionFailed, ...]
    costs: tuple[int, ...]
    choices: Choices
    name: str | None = None

    @property
    def roots(self) -> frozenset[str]:
        return frozenset()

    @property
    def steps(self) -> frozenset[str]:
        return frozenset()

    def evaluate(self, _roots: Mapping[str, Json]) -> Json | ExpressionFailed:
        return self.values[self.choices.ask(self.name, self.costs) if len(self.values) > 1 else 0]


_NO_VALUE: Final = ExpressionFailed("the expression has no value")


def abstract(definition: Definition, choices: Choices) -> Definition:
    """The definition to explore, its children included. The order of steps, kinds and time limits stand as they are."""
    return _Abstraction(choices).definition(definition, "")


class _Abstraction:
    def __init__(self, choices: Choices) -> None:
        self._choices = choices

    def definition(self, given: Definition, prefix: str) -> Definition:
        return replace(
            given,
            key=None,
            output=None,
            emit=SagaEmit(_emit(given.emit.completed), _emit(given.emit.compensated), _emit(given.emit.closed)),
            steps=tuple(self._step(step, prefix) for step in given.steps),
        )

    def _step(self, step: Step, prefix: str) -> Step:
        condition = None if step.condition is None else self._condition(step.condition, prefix)
        action = step.action
        if isinstance(action, Call):
            action = self._call(action)
        elif isinstance(action, Wait):
            action = replace(action, emit=_emit(action.emit))
        elif isinstance(action, Child) and action.definition is not None:
            inner = self.definition(action.definition, f"{prefix}{step.name}/")
            action = replace(action, payload=self._value(action.payload), definition=inner)
        return Step(step.name, step.needs, condition, action)

    def _call(self, call: Call) -> Call:
        return replace(
            call,
            payload=self._value(call.payload),
            retry=_retry(call.retry),
            emit=_emit(call.emit),
            for_each=None if call.for_each is None else self._for_each(call.for_each),
            compensation=None if call.compensation is None else self._compensation(call.compensation),
        )

    def _compensation(self, given: Compensation) -> Compensation:
        payload = None if given.payload is None else self._value(given.payload)
        return replace(given, payload=payload, emit=_emit(given.emit), retry=_retry(given.retry))

    def _for_each(self, each: ForEach) -> ForEach:
        source = each.items.source
        if isinstance(source, Sequence) and not isinstance(source, str):
            lists: list[Json] = [[None] * min(len(source), MOST_ITEMS)]
        else:
            lists = [[None] * count for count in (1, *range(2, MOST_ITEMS + 1), 0)]
        items = self._open(source, tuple(lists), may_fail=is_open(source))
        return replace(each, items=items, tolerate=min(each.tolerate, MOST_TOLERATED))

    def _condition(self, condition: Expression, prefix: str) -> Expression:
        if isinstance(condition.source, bool):
            return Open(condition.source, (condition.source,), (0,), self._choices)
        name = prefix + canonical_json(condition.source).decode()
        return self._open(condition.source, (True, False), may_fail=True, name=name)

    def _value(self, expression: Expression) -> Expression:
        return self._open(expression.source, (None,), may_fail=is_open(expression.source))

    def _open(self, source: Json, values: tuple[Json, ...], *, may_fail: bool, name: str | None = None) -> Open:
        costs = (0,) * len(values)
        if not may_fail:
            return Open(source, values, costs, self._choices, name)
        return Open(source, (*values, _NO_VALUE), (*costs, 1), self._choices, name)


def is_open(source: Json) -> bool:
    """Whether there is an expression anywhere in a value of the definition, so that it may turn out to have none."""
    if isinstance(source, str):
        return OPEN in source
    if isinstance(source, Mapping):
        return any(is_open(value) for value in source.values())
    return isinstance(source, Sequence) and any(is_open(value) for value in source)


def _emit(emit: Emit | None) -> Emit | None:
    return None if emit is None else replace(emit, data=None)


def _retry(retry: Retry) -> Retry:
    most = None if retry.maximum_attempts is None else min(retry.maximum_attempts, MOST_ATTEMPTS)
    return Retry(most, _SECOND, 1.0, _SECOND, Jitter.NONE, retry.non_retryable_errors)
