"""The language as JSON Schema (draft-07), for editors: completion, hover texts, red lines while typing.

Owns that description only. What a definition must be is decided by the loader, which sees more than a schema can say.
"""

from __future__ import annotations

from typing import Final

from saga_engine.definition.model import Jitter, Json, Kind, OnExhausted, OnTimeout
from saga_engine.definition.policies import MOST_ATTEMPTS
from saga_engine.definition.reading import EVENT, NAME
from saga_engine.definition.scan import MAX_STEPS
from saga_engine.definition.steps import DEFAULT_PARALLEL

_NAME: Final = f"^{NAME.pattern}$"
_EVENT: Final = f"^{EVENT.pattern}$"
_CALL: Final = f"^{NAME.pattern}\\.{NAME.pattern}$"
_DURATION: Final[dict[str, Json]] = {"type": "string", "pattern": "^[1-9][0-9]*(ms|s|m|h|d)$"}


def language_schema() -> dict[str, Json]:
    """The whole language. Every description is one sentence that an editor can show."""
    description = "A business transaction over several services: its steps, and how each is undone."
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A saga of saga-engine",
        **_object(description, _top_fields(), ["saga", "steps"]),
        "definitions": {
            "retry": _retry(),
            "timeout": _timeout(),
            "emit": _emit(),
            "compensation": _compensation(),
            "step": {"oneOf": [_call_step(), _sleep_step(), _wait_step(), _saga_step()]},
        },
    }


def _top_fields() -> dict[str, Json]:
    ends = {name: _reference("emit") for name in ("completed", "compensated", "closed")}
    policies: dict[str, Json] = {"retry": _reference("retry"), "timeout": _reference("timeout")}
    return {
        "saga": _text("The name of the saga.", _NAME),
        "version": _integer("Changed content needs a new version. Default 1.", 1),
        "summary": _text("One line for people."),
        "key": _any("The business key, from the input; unique per saga for ever. Left out: a generated one."),
        "input": {"description": "JSON Schema (draft 2020-12) of the input. Left out: any object.", "type": "object"},
        "on": _object(
            "A domain event of others that starts a saga.",
            {
                "subject": _text("The subject on which it is published."),
                "key": _any("The business key, from the event. Left out: the definition's own."),
                "input": _any("The input, from the event. Left out: the event's data."),
            },
            ["subject"],
        ),
        "timeout": _duration("For the whole saga; then it is compensated, unless past the point of no return."),
        "sla": _duration("After this time the saga is reported as late; nothing else follows."),
        "defaults": _object("For all forward steps.", policies),
        "output": _any("The result of the saga, when it has completed."),
        "emit": _object("Domain events at the end of the saga.", dict(ends)),
        "steps": {
            "description": "A step follows the one above it, unless it says needs.",
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_STEPS,
            "items": _reference("step"),
        },
    }


def _call_step() -> dict[str, Json]:
    return _step(
        "A command to a participant.",
        {
            "call": _text("participant.command", _CALL),
            "kind": {
                "description": "What may happen to the step once it was issued. Default compensatable.",
                "enum": list(Kind),
            },
            "with": _any("What is sent. Left out: an empty object."),
            "for_each": _object(
                "The same call for every item of a list, which is fixed when the step opens.",
                {
                    "in": _any("The list."),
                    "as": _text("What expressions call an item. Default item.", _NAME),
                    "max_parallel": _integer(f"How many at a time. Default {DEFAULT_PARALLEL}.", 1),
                    "tolerate": _integer("How many may fail; those are undone inside the step. Default 0.", 0),
                },
                ["in"],
            ),
            "timeout": _reference("timeout"),
            "retry": _reference("retry"),
            "emit": _reference("emit"),
            "compensate": {
                "description": "How the step is undone; none when there is nothing to undo.",
                "anyOf": [{"const": "none"}, _reference("compensation")],
            },
        },
        "call",
    )


def _sleep_step() -> dict[str, Json]:
    return _step("A durable timer.", {"sleep": _duration("How long.")}, "sleep")


def _wait_step() -> dict[str, Json]:
    wait = _object(
        "Waits for a signal, or a domain event of others.",
        {
            "event": _text("The name of the event.", _EVENT),
            "on": _object(
                "A domain event that counts as the signal.",
                {
                    "subject": _text("The subject on which it is published."),
                    "key": _any("The business key of the saga that waits, from the event."),
                },
                ["subject", "key"],
            ),
            "timeout": _duration("How long; left out: for ever."),
            "on_timeout": {"description": "What follows then. Default fail.", "enum": list(OnTimeout)},
        },
        ["event"],
    )
    return _step("Waits for a signal.", {"wait": wait, "emit": _reference("emit")}, "wait")


def _saga_step() -> dict[str, Json]:
    return _step(
        "Another saga, run inside this one.",
        {
            "saga": _text("Its name.", _NAME),
            "version": _integer("Its version. Left out: the highest.", 1),
            "with": _any("Its input."),
        },
        "saga",
    )


def _step(description: str, fields: dict[str, Json], action: str) -> dict[str, Json]:
    common: dict[str, Json] = {
        "step": _text("The name of the step, unique in the saga.", _NAME),
        "needs": {
            "description": "The steps that this one follows; [] starts it at once. Left out: the one above.",
            "type": "array",
            "uniqueItems": True,
            "items": {"type": "string", "pattern": _NAME},
        },
        "if": _any("A condition; when it is false the step is skipped, and skipping does not spread."),
    }
    return _object(description, common | fields, ["step", action])


def _retry() -> dict[str, Json]:
    return _object(
        "When a failed command is tried again.",
        {
            "maximum_attempts": _integer("The first try counts. Default 5, for a compensation 20.", 1, MOST_ATTEMPTS),
            "initial_interval": _duration("Before the second try. Default 1s."),
            "backoff_coefficient": {
                "description": "Growth of the interval. Default 2.",
                "type": "number",
                "minimum": 1,
            },
            "maximum_interval": _duration("The interval grows no further. Default 30s, for a compensation 10m."),
            "jitter": {"description": "How the interval is spread. Default full.", "enum": list(Jitter)},
            "non_retryable_errors": {
                "description": "Codes of errors after which there is no further try.",
                "type": "array",
                "items": {"type": "string"},
            },
        },
    )


def _timeout() -> dict[str, Json]:
    return _object(
        "How long a reply is waited for.",
        {
            "reply": _duration("Then the command is sent again. Default 30s."),
            "total": _duration("Then the step is given up. Default never."),
        },
    )


def _emit() -> dict[str, Json]:
    return {
        "description": "A domain event.",
        "anyOf": [
            {"type": "string", "pattern": _EVENT},
            _object(
                "A domain event.",
                {
                    "event": _text("Its name.", _EVENT),
                    "subject": _text("Where it is published. Default saga.event.<saga>.<event>."),
                    "data": _any("Its data. Default the step's result; for a compensation its payload."),
                },
                ["event"],
            ),
        ],
    }


def _compensation() -> dict[str, Json]:
    return _object(
        "The command that undoes a step.",
        {
            "call": _text("participant.command", _CALL),
            "with": _any("What is sent. Left out: what the step sent."),
            "emit": _reference("emit"),
            "retry": _reference("retry"),
            "timeout": _reference("timeout"),
            "on_exhausted": {
                "description": "What follows the last attempt. Default block.",
                "enum": list(OnExhausted),
            },
        },
        ["call"],
    )


def _object(description: str, fields: dict[str, Json], required: list[str] | None = None) -> dict[str, Json]:
    schema: dict[str, Json] = {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "properties": fields,
    }
    if required:
        schema["required"] = required
    return schema


def _text(description: str, pattern: str | None = None) -> dict[str, Json]:
    schema: dict[str, Json] = {"description": description, "type": "string"}
    return schema if pattern is None else schema | {"pattern": pattern}


def _integer(description: str, low: int, high: int | None = None) -> dict[str, Json]:
    schema: dict[str, Json] = {"description": description, "type": "integer", "minimum": low}
    return schema if high is None else schema | {"maximum": high}


def _duration(description: str) -> dict[str, Json]:
    return {"description": description} | _DURATION


def _any(description: str) -> dict[str, Json]:
    return {"description": description}


def _reference(name: str) -> dict[str, Json]:
    return {"$ref": f"#/definitions/{name}"}
