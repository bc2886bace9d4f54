"""One step of the YAML: its action, policies, compensation and events, read into the model.

Owns the keys of a step and which of them belong to which action. How steps stand to each other is for `rules`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from saga_engine.definition import reading
from saga_engine.definition.expressions import CompiledExpression, compile_value
from saga_engine.definition.model import (
    Action,
    Call,
    Child,
    Compensation,
    Emit,
    ForEach,
    Kind,
    OnExhausted,
    OnTimeout,
    Sleep,
    Step,
    Wait,
)
from saga_engine.definition.occasions import read_subject, read_wait_on
from saga_engine.definition.policies import (
    COMPENSATION_RETRY,
    FORWARD_RETRY,
    TIMEOUT,
    RetryPart,
    TimeoutPart,
    merged_retry,
    merged_timeout,
    read_retry,
    read_timeout,
)
from saga_engine.definition.problems import shown
from saga_engine.definition.report import Report
from saga_engine.definition.section import Section, likely, section
from saga_engine.definition.tree import Node, Scalar

_ACTIONS: Final = {
    "call": ("kind", "with", "for_each", "timeout", "retry", "emit", "compensate"),
    "sleep": (),
    "wait": ("emit",),
    "saga": ("version", "with"),
}
_COMMON: Final = ("step", "needs", "if")
_KEYS: Final = {*_COMMON, *_ACTIONS, *(key for keys in _ACTIONS.values() for key in keys)}
_CALL: Final = re.compile(r"([a-z][a-z0-9_]{0,62})\.([a-z][a-z0-9_]{0,62})", re.ASCII)
_PLACEHOLDER: Final = Sleep(duration_us=1)
MOST_VERSIONS: Final = 2**31 - 1
DEFAULT_PARALLEL: Final = 10


@dataclass(frozen=True, slots=True)
class Defaults:
    """The saga's `defaults`, for forward steps."""

    retry: RetryPart
    timeout: TimeoutPart


def read_step(report: Report, node: Node, index: int, above: str | None, defaults: Defaults) -> Step:
    """A step; what cannot be read is noted and filled with something harmless, so that the rest is still checked."""
    found = section(report, node, ("steps", index), "a step")
    if found is None:
        return Step(f"#{index + 1}", (), None, _PLACEHOLDER)
    kind = _kind_of_action(found)
    found.require("step", "its name")
    name = found.name("step") or f"#{index + 1}"
    action = _PLACEHOLDER if kind is None else _read_action(found, kind, defaults)
    return Step(name, _read_needs(found, above), found.expression("if"), action)


def _read_needs(step: Section, above: str | None) -> tuple[str, ...]:
    items = step.items("needs", "names of steps")
    if items is None:
        return () if above is None or step.get("needs") is not None else (above,)
    names: list[str] = []
    for item in items:
        name = reading.name(step.report, item)
        if name in names:
            step.report.at(item.at, "E205", f'"{name}" stands twice in "needs"', "each step once", "remove one")
        elif name is not None:
            names.append(name)
    return tuple(names)


def _kind_of_action(step: Section) -> str | None:
    """Which action the step has, once all its keys are looked at; None where it has not exactly one."""
    kinds = [key for key in _ACTIONS if step.get(key) is not None]
    if not kinds:
        kinds = [meant for entry in step.node.entries if (meant := _meant_action(entry.key.text)) is not None][:1]
    if len(kinds) == 1:
        _only_keys_of(step, kinds[0])
        return kinds[0]
    expected = "exactly one of " + ", ".join(_ACTIONS)
    if kinds:
        step.report.at(step.at(kinds[1]), "E113", f"a step with {' and '.join(kinds)}", expected)
    else:
        step.report.at(step.node.at, "E113", "a step without an action", expected)
    return None


def _meant_action(key: str) -> str | None:
    return None if key in _KEYS else likely(key, tuple(_ACTIONS))


def _only_keys_of(step: Section, action: str) -> None:
    known = (*_COMMON, action, *_ACTIONS[action])
    for entry in step.node.entries:
        key = entry.key
        if key.text in _KEYS and key.text not in known:
            step.report.at(key.at, "E113", f'"{key.text}" does not go with "{action}"', "one of " + ", ".join(known))
        elif key.text not in known:
            step.unknown(entry, known)


def _read_action(step: Section, kind: str, defaults: Defaults) -> Action:
    match kind:
        case "call":
            return _read_call(step, defaults)
        case "sleep":
            return Sleep(step.duration("sleep") or _PLACEHOLDER.duration_us)
        case "wait":
            return _read_wait(step) or _PLACEHOLDER
        case _:
            return _read_child(step) or _PLACEHOLDER


def _read_call(step: Section, defaults: Defaults) -> Call:
    target = _target(step)
    kind = step.choice("kind", Kind)
    if kind is None:
        # After a wrong kind no rule about kinds may speak, and read_only is the one that none speaks about.
        kind = Kind.COMPENSATABLE if step.get("kind") is None else Kind.READ_ONLY
    retry = merged_retry(FORWARD_RETRY, defaults.retry, read_retry(step))
    timeout = merged_timeout(TIMEOUT, defaults.timeout, read_timeout(step))
    payload = step.expression("with")
    compensation = _read_compensate(step, kind)
    for_each = _read_for_each(step)
    emit = read_emit(step, "emit")
    return Call(
        participant=target[0],
        command=target[1],
        payload=payload or _empty(),
        kind=kind,
        retry=retry,
        timeout=timeout,
        compensation=compensation,
        for_each=for_each,
        emit=emit,
    )


def _read_for_each(step: Section) -> ForEach | None:
    found = step.section("for_each", "in, as, max_parallel, tolerate")
    if found is None:
        return None
    found.only("in", "as", "max_parallel", "tolerate")
    found.require("in", "the list of items")
    items = found.expression("in")
    parallel = found.integer("max_parallel", 1, 10_000, "E217")
    tolerate = found.integer("tolerate", 0, 1_000_000, "E217")
    as_name = found.name("as")
    if items is None:
        return None
    return ForEach(items, as_name or "item", parallel or DEFAULT_PARALLEL, tolerate or 0)


def _read_compensate(step: Section, kind: Kind) -> Compensation | None:
    node = step.get("compensate")
    compensatable = kind is Kind.COMPENSATABLE
    if node is None:
        if compensatable and not step.has("compensate"):
            message = "a compensatable step without a compensation"
            hint = "if there is nothing to undo, say `compensate: none`"
            step.report.at(step.node.at, "E208", message, '"compensate" with a call', hint)
        return None
    if not compensatable and reading.written(step.get("kind")) == kind:
        message = f'"compensate" on a step of kind {kind}'
        step.report.at(
            step.at("compensate"), "E209", message, "a compensation on compensatable steps only", "remove it"
        )
    if isinstance(node, Scalar) and node.text == "none":
        return None
    found = section(step.report, node, (*step.path, "compensate"), "call, with, emit, retry, timeout, on_exhausted")
    return None if found is None else _read_compensation(found)


def _read_compensation(found: Section) -> Compensation:
    found.only("call", "with", "emit", "retry", "timeout", "on_exhausted")
    found.require("call", "participant.command")
    target = _target(found)
    payload = found.expression("with")
    emit = read_emit(found, "emit")
    retry = merged_retry(COMPENSATION_RETRY, read_retry(found))
    timeout = merged_timeout(TIMEOUT, read_timeout(found))
    on_exhausted = found.choice("on_exhausted", OnExhausted) or OnExhausted.BLOCK
    return Compensation(target[0], target[1], payload, emit, retry, timeout, on_exhausted)


def _read_wait(step: Section) -> Wait | None:
    found = step.section("wait", "event, on, timeout, on_timeout")
    emit = read_emit(step, "emit")
    if found is None:
        return None
    found.only("event", "on", "timeout", "on_timeout")
    node = found.require("event", "the name of an event")
    event = None if node is None else reading.event_name(found.report, node)
    timeout = found.duration("timeout")
    on_timeout = found.choice("on_timeout", OnTimeout)
    if on_timeout is not None and found.get("timeout") is None:
        found.report.at(found.at("on_timeout"), "E113", '"on_timeout" without "timeout"', "both or neither")
    on = read_wait_on(found)
    return None if event is None else Wait(event, timeout, on_timeout or OnTimeout.FAIL, emit, on)


def _read_child(step: Section) -> Child | None:
    saga = step.name("saga")
    version = step.integer("version", 1, MOST_VERSIONS)
    payload = step.expression("with")
    return None if saga is None else Child(saga, version, payload or _empty(), None)


def read_emit(parent: Section, key: str) -> Emit | None:
    """`emit: Name`, or a mapping with `event`, `subject` and `data`."""
    node = parent.get(key)
    if node is None:
        return None
    if isinstance(node, Scalar):
        event = reading.event_name(parent.report, node)
        return None if event is None else Emit(event, None, None)
    found = section(parent.report, node, (*parent.path, key), "event, subject, data")
    if found is None:
        return None
    found.only("event", "subject", "data")
    named = found.require("event", "the name of an event")
    event = None if named is None else reading.event_name(parent.report, named)
    subject = read_subject(found)
    data = found.expression("data")
    return None if event is None else Emit(event, subject, data)


def _target(found: Section) -> tuple[str, str]:
    """Participant and command; names that nobody has where they cannot be read, so that the kind still counts."""
    node = found.get("call")
    expected = f"participant.command, each {reading.NAME_EXPECTED}"
    text = None if node is None else reading.plain_text(found.report, node, expected)
    if node is None or text is None:
        return "", ""
    match = _CALL.fullmatch(text)
    if match is None:
        found.report.at(node.at, "E133", f"{shown(text)} names no command", expected)
        return "", ""
    return match[1], match[2]


def _empty() -> CompiledExpression:
    compiled = compile_value({})
    assert isinstance(compiled, CompiledExpression)
    return compiled
