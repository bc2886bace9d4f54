"""The stored form of a definition: the language as JSON with every default filled in, and the hash that names it.

Owns that form and the way back. Reading it is fast and trusts it: it was checked before it was stored. Knows no YAML.
"""

from __future__ import annotations

from saga_engine.definition.durations import format_duration
from saga_engine.definition.model import (
    Action,
    Call,
    Child,
    Compensation,
    Definition,
    Emit,
    ForEach,
    Json,
    Kind,
    Retry,
    SagaEmit,
    Sleep,
    StartOn,
    Step,
    Timeout,
    Wait,
    WaitOn,
)
from saga_engine.definition.values import canonical_json, sha256_hex


def definition_hash(definition: Definition) -> str:
    """SHA-256 (hex) of the canonical JSON: of keys in order, without spaces. Comments and layout change nothing."""
    return sha256_hex(definition_bytes(definition))


def definition_bytes(definition: Definition) -> bytes:
    """The canonical JSON itself, as it is stored."""
    return canonical_json(definition_to_json(definition))


def definition_to_json(definition: Definition) -> dict[str, Json]:
    """The language form with all defaults; durations as text. What is without bound or absent has no key."""
    return _present(
        {
            "saga": definition.saga,
            "version": definition.version,
            "summary": definition.summary,
            "key": None if definition.key is None else definition.key.source,
            "input": definition.input_schema,
            "on": None if definition.on is None else _on(definition.on),
            "timeout": _duration(definition.timeout_us),
            "sla": _duration(definition.sla_us),
            "emit": _saga_emit(definition.emit),
            "steps": [_step(step) for step in definition.steps],
        }
    ) | ({} if definition.output is None else {"output": definition.output.source})


def _present(fields: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in fields.items() if value is not None}


def _duration(microseconds: int | None) -> str | None:
    return None if microseconds is None else format_duration(microseconds)


def _step(step: Step) -> dict[str, Json]:
    form: dict[str, Json] = {"step": step.name, "needs": list(step.needs)}
    if step.condition is not None:
        form["if"] = step.condition.source
    return form | _action(step.action)


def _action(action: Action) -> dict[str, Json]:
    match action:
        case Call():
            return _call(action)
        case Sleep(duration_us=duration):
            return {"sleep": format_duration(duration)}
        case Wait():
            return _wait(action)
        case Child():
            inner = None if action.definition is None else definition_to_json(action.definition)
            form = _present({"saga": action.saga, "version": action.version, "definition": inner})
            return form | {"with": action.payload.source}


def _call(call: Call) -> dict[str, Json]:
    form: dict[str, Json] = {
        "call": f"{call.participant}.{call.command}",
        "kind": call.kind.value,
        "retry": _retry(call.retry),
        "timeout": _timeout(call.timeout),
        "for_each": None if call.for_each is None else _for_each(call.for_each),
        "emit": None if call.emit is None else _emit(call.emit),
    }
    if call.kind is Kind.COMPENSATABLE:
        form["compensate"] = "none" if call.compensation is None else _compensation(call.compensation)
    return _present(form) | {"with": call.payload.source}


def _wait(wait: Wait) -> dict[str, Json]:
    form: dict[str, Json] = {"event": wait.event}
    if wait.timeout_us is not None:
        form |= {"timeout": format_duration(wait.timeout_us), "on_timeout": wait.on_timeout.value}
    if wait.on is not None:
        form["on"] = _on(wait.on)
    return _present({"wait": form, "emit": None if wait.emit is None else _emit(wait.emit)})


def _on(on: StartOn | WaitOn) -> dict[str, Json]:
    form: dict[str, Json] = {"subject": on.subject}
    if on.key is not None:
        form["key"] = on.key.source
    if isinstance(on, StartOn) and on.input is not None:
        form["input"] = on.input.source
    return form


def _compensation(compensation: Compensation) -> dict[str, Json]:
    form: dict[str, Json] = {
        "call": f"{compensation.participant}.{compensation.command}",
        "emit": None if compensation.emit is None else _emit(compensation.emit),
        "retry": _retry(compensation.retry),
        "timeout": _timeout(compensation.timeout),
        "on_exhausted": compensation.on_exhausted.value,
    }
    if compensation.payload is not None:
        return _present(form) | {"with": compensation.payload.source}
    return _present(form)


def _for_each(each: ForEach) -> dict[str, Json]:
    return {
        "in": each.items.source,
        "as": each.as_name,
        "max_parallel": each.max_parallel,
        "tolerate": each.tolerate,
    }


def _retry(retry: Retry) -> dict[str, Json]:
    return _present(
        {
            "maximum_attempts": retry.maximum_attempts,
            "initial_interval": format_duration(retry.initial_interval_us),
            "backoff_coefficient": float(retry.backoff_coefficient),
            "maximum_interval": format_duration(retry.maximum_interval_us),
            "jitter": retry.jitter.value,
            # A step without a last attempt has no codes either that would make one the last.
            "non_retryable_errors": None if retry.maximum_attempts is None else list(retry.non_retryable_errors),
        }
    )


def _timeout(timeout: Timeout) -> dict[str, Json]:
    return _present({"reply": format_duration(timeout.reply_us), "total": _duration(timeout.total_us)})


def _emit(emit: Emit) -> dict[str, Json]:
    form = _present({"event": emit.event, "subject": emit.subject})
    return form if emit.data is None else form | {"data": emit.data.source}


def _saga_emit(emit: SagaEmit) -> dict[str, Json] | None:
    ends = {"completed": emit.completed, "compensated": emit.compensated, "closed": emit.closed}
    form: dict[str, Json] = {name: _emit(end) for name, end in ends.items() if end is not None}
    return form or None
