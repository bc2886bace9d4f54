"""Reads a stored definition, the canonical JSON of `canonical`, back into the model.

Owns the trust in that form: it was checked when it was stored, so what does not fit is corruption, no user's mistake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar, cast

from saga_engine.definition.durations import parse_duration
from saga_engine.definition.expressions import CompiledExpression, compile_value
from saga_engine.definition.model import (
    Action,
    Call,
    Child,
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
    StartOn,
    Step,
    Timeout,
    Wait,
    WaitOn,
)

Value = TypeVar("Value", bool, int, float, str)
Choice = TypeVar("Choice", bound=StrEnum)


class CorruptDefinitionError(Exception):
    """What was stored is not a canonical definition of this release or an earlier one."""


def definition_from_json(form: Json) -> Definition:
    """The definition that `definition_to_json` gave. Raises CorruptDefinitionError for anything else."""
    fields = _fields(form, "the definition")
    schema = fields.get("input")
    return Definition(
        saga=_value(fields, "saga", str),
        version=_value(fields, "version", int),
        summary=_value(fields, "summary", str),
        key=_optional_expression(fields, "key"),
        input_schema=None if schema is None else _fields(schema, "input"),
        timeout_us=_optional_duration(fields, "timeout"),
        sla_us=_optional_duration(fields, "sla"),
        output=_optional_expression(fields, "output"),
        emit=_saga_emit(_fields(fields.get("emit", {}), "emit")),
        steps=tuple(_step(_fields(step, "a step")) for step in _items(fields, "steps")),
        on=_start_on(_fields(fields["on"], "on")) if "on" in fields else None,
    )


def _fields(value: Json, what: str) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise CorruptDefinitionError(f"{what} is not an object")
    return value


def _items(fields: Mapping[str, Json], key: str) -> Sequence[Json]:
    value = fields.get(key)
    if not isinstance(value, list | tuple):
        raise CorruptDefinitionError(f'"{key}" is not a list')
    return cast(Sequence[Json], value)


def _value(fields: Mapping[str, Json], key: str, kind: type[Value]) -> Value:
    value = fields.get(key)
    if not isinstance(value, kind):
        raise CorruptDefinitionError(f'"{key}" is missing or no {kind.__name__}')
    return value


def _texts(fields: Mapping[str, Json], key: str) -> tuple[str, ...]:
    texts = _items(fields, key)
    if not all(isinstance(text, str) for text in texts):
        raise CorruptDefinitionError(f'"{key}" holds more than texts')
    return cast("tuple[str, ...]", tuple(texts))


def _expression(fields: Mapping[str, Json], key: str) -> CompiledExpression:
    compiled = compile_value(fields.get(key))
    if not isinstance(compiled, CompiledExpression):
        raise CorruptDefinitionError(f'"{key}": {compiled[0].message}')
    return compiled


def _optional_expression(fields: Mapping[str, Json], key: str) -> CompiledExpression | None:
    return _expression(fields, key) if key in fields else None


def _duration(fields: Mapping[str, Json], key: str) -> int:
    duration = parse_duration(_value(fields, key, str))
    if duration is None:
        raise CorruptDefinitionError(f'"{key}" is no duration')
    return duration


def _optional_duration(fields: Mapping[str, Json], key: str) -> int | None:
    return _duration(fields, key) if key in fields else None


def _choice(fields: Mapping[str, Json], key: str, choices: type[Choice]) -> Choice:
    text = _value(fields, key, str)
    if text not in list(choices):
        raise CorruptDefinitionError(f'"{key}" is {text}')
    return choices(text)


def _step(fields: Mapping[str, Json]) -> Step:
    return Step(
        _value(fields, "step", str), _texts(fields, "needs"), _optional_expression(fields, "if"), _action(fields)
    )


def _action(fields: Mapping[str, Json]) -> Action:
    if "call" in fields:
        return _call(fields)
    if "sleep" in fields:
        return Sleep(_duration(fields, "sleep"))
    if "wait" in fields:
        return _wait(fields)
    version = _value(fields, "version", int) if "version" in fields else None
    child = definition_from_json(fields["definition"]) if "definition" in fields else None
    return Child(_value(fields, "saga", str), version, _expression(fields, "with"), child)


def _wait(fields: Mapping[str, Json]) -> Wait:
    wait = _fields(fields["wait"], "wait")
    on_timeout = _choice(wait, "on_timeout", OnTimeout) if "on_timeout" in wait else OnTimeout.FAIL
    emit, on = _emit(fields.get("emit")), _wait_on(_fields(wait["on"], "on")) if "on" in wait else None
    return Wait(_value(wait, "event", str), _optional_duration(wait, "timeout"), on_timeout, emit, on)


def _wait_on(fields: Mapping[str, Json]) -> WaitOn:
    return WaitOn(_value(fields, "subject", str), _expression(fields, "key"))


def _start_on(fields: Mapping[str, Json]) -> StartOn:
    subject = _value(fields, "subject", str)
    return StartOn(subject, _optional_expression(fields, "key"), _optional_expression(fields, "input"))


def _call(fields: Mapping[str, Json]) -> Call:
    participant, _, command = _value(fields, "call", str).partition(".")
    compensate = fields.get("compensate", "none")
    return Call(
        participant=participant,
        command=command,
        payload=_expression(fields, "with"),
        kind=_choice(fields, "kind", Kind),
        retry=_retry(fields),
        timeout=_timeout(fields),
        compensation=None if compensate == "none" else _compensation(_fields(compensate, "compensate")),
        for_each=_for_each(_fields(fields["for_each"], "for_each")) if "for_each" in fields else None,
        emit=_emit(fields.get("emit")),
    )


def _compensation(fields: Mapping[str, Json]) -> Compensation:
    participant, _, command = _value(fields, "call", str).partition(".")
    return Compensation(
        participant=participant,
        command=command,
        payload=_optional_expression(fields, "with"),
        emit=_emit(fields.get("emit")),
        retry=_retry(fields),
        timeout=_timeout(fields),
        on_exhausted=_choice(fields, "on_exhausted", OnExhausted),
    )


def _for_each(fields: Mapping[str, Json]) -> ForEach:
    return ForEach(
        items=_expression(fields, "in"),
        as_name=_value(fields, "as", str),
        max_parallel=_value(fields, "max_parallel", int),
        tolerate=_value(fields, "tolerate", int),
    )


def _retry(parent: Mapping[str, Json]) -> Retry:
    fields = _fields(parent.get("retry"), "retry")
    return Retry(
        maximum_attempts=_value(fields, "maximum_attempts", int) if "maximum_attempts" in fields else None,
        initial_interval_us=_duration(fields, "initial_interval"),
        backoff_coefficient=_value(fields, "backoff_coefficient", float),
        maximum_interval_us=_duration(fields, "maximum_interval"),
        jitter=_choice(fields, "jitter", Jitter),
        non_retryable_errors=_texts(fields, "non_retryable_errors") if "non_retryable_errors" in fields else (),
    )


def _timeout(parent: Mapping[str, Json]) -> Timeout:
    fields = _fields(parent.get("timeout"), "timeout")
    return Timeout(_duration(fields, "reply"), _optional_duration(fields, "total"))


def _emit(value: Json) -> Emit | None:
    if value is None:
        return None
    fields = _fields(value, "emit")
    subject = _value(fields, "subject", str) if "subject" in fields else None
    return Emit(_value(fields, "event", str), subject, _optional_expression(fields, "data"))


def _saga_emit(fields: Mapping[str, Json]) -> SagaEmit:
    return SagaEmit(_emit(fields.get("completed")), _emit(fields.get("compensated")), _emit(fields.get("closed")))
