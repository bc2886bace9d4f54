"""What an author may want to look at again: sound, but perhaps not what was meant.

Owns the warnings W303 to W310: unknown commands, keys of payloads that a command's schema does not know, a pivot
whose handler has no database, an idle `sla`. The values under those keys are `payload_fits`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from saga_engine.definition.asked import commands_of, meant_command
from saga_engine.definition.catalogue import CommandEntry, ParticipantCatalogue
from saga_engine.definition.model import Call, Definition, Json, Kind
from saga_engine.definition.problems import Finding, PathPart, nearest, shown


def advice(definition: Definition, catalogue: ParticipantCatalogue | None) -> Iterator[Finding]:
    """All warnings about a definition, apart from those about single paths in expressions."""
    timeout, sla = definition.timeout_us, definition.sla_us
    if timeout is not None and sla is not None and sla >= timeout:
        yield Finding(
            "W310", ("sla",), "the warning never comes: the saga's timeout is not longer", "less than timeout"
        )
    yield from _unfenced(definition)
    if catalogue is None:
        return
    called = commands_of(definition)
    for index, step in enumerate(definition.steps):
        if not isinstance(step.action, Call):
            continue
        call, path = step.action, ("steps", index)
        yield from _command(catalogue, called, call.participant, call.command, call.payload.source, path)
        yield from _pivot(catalogue, call, path)
        compensation = call.compensation
        if compensation is not None:
            # Without a payload of its own a compensation is sent the forward one.
            own = compensation.payload
            payload = call.payload.source if own is None else own.source
            place = (*path, "compensate")
            yield from _command(
                catalogue, called, compensation.participant, compensation.command, payload, place, passed_on=own is None
            )


def _unfenced(definition: Definition) -> Iterator[Finding]:
    """Compensations that another participant's inbox cannot fence against the command they compensate."""
    for index, step in enumerate(definition.steps):
        call = step.action
        if not isinstance(call, Call) or call.compensation is None:
            continue
        if call.compensation.participant != call.participant:
            message = (
                f"{call.participant}.{call.command} is undone by another participant, whose inbox cannot "
                "stop the command should it come late"
            )
            yield Finding("W305", ("steps", index, "compensate"), message, f"a command of {call.participant}")


def _pivot(catalogue: ParticipantCatalogue, call: Call, path: tuple[PathPart, ...]) -> Iterator[Finding]:
    """A pivot is never given up, and without an inbox its rejection is definite at the first send alone."""
    entry = catalogue.get(call.participant, call.command)
    if call.kind is not Kind.PIVOT or entry is None or entry.fenced:
        return
    message = (
        f"{call.participant}.{call.command} decides this saga and has no database: when it has failed or was not "
        "answered once, its rejection proves nothing any more, and it is asked until it succeeds"
    )
    expected = (
        f"a database for {call.participant} and a plain `def` handler that uses ctx.db, or a handler that does not "
        "reject once it may have had an effect"
    )
    yield Finding("W306", (*path, "call"), message, expected)


def _command(
    catalogue: ParticipantCatalogue,
    called: Set[str],
    participant: str,
    command: str,
    payload: Json,
    path: tuple[PathPart, ...],
    *,
    passed_on: bool = False,
) -> Iterator[Finding]:
    entry = catalogue.get(participant, command)
    if entry is not None:
        yield from _payload(entry, f"{participant}.{command}", payload, path, passed_on=passed_on)
        return
    name = f"{participant}.{command}"
    hint = meant_command(name, catalogue.commands.keys(), called)
    if participant in catalogue.participants():
        yield Finding("W303", (*path, "call"), f"{participant} has no command {shown(command)}", "", hint)
    else:
        yield Finding("W303", (*path, "call"), f"unknown participant {shown(participant)}", "", hint)


def _payload(
    entry: CommandEntry, name: str, payload: Json, path: tuple[PathPart, ...], *, passed_on: bool
) -> Iterator[Finding]:
    """Compare the keys of a payload with the properties that the command takes.

    `passed_on`: it is the forward payload, sent to a compensation that has none of its own.
    """
    schema = entry.input
    properties = None if schema is None else schema.get("properties")
    if schema is None or not isinstance(properties, Mapping) or not isinstance(payload, Mapping):
        return
    required = schema.get("required")
    for key in payload:
        if key in properties:
            continue
        # A key that its author wrote may be a slip; one that only comes along matters if it is refused.
        extra = schema.get("additionalProperties", passed_on)
        if not extra:
            message = f"{name} takes no {shown(key)}"
            yield Finding(
                "W304", (*path, "with", key), message, "one of " + ", ".join(properties), nearest(key, properties)
            )
    for key in required if isinstance(required, list) else ():
        if key not in payload:
            yield Finding("W304", (*path, "with"), f"{name} wants {shown(str(key))}, which is not sent")
