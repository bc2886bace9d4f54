"""What an author may want to look at again: sound, but perhaps not what was meant.

Owns the warnings W303 to W310: unknown commands, payloads that a command's schema does not know, an idle `sla`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from saga_engine.definition.catalogue import CommandEntry, ParticipantCatalogue
from saga_engine.definition.model import Call, Definition, Json
from saga_engine.definition.problems import Finding, PathPart, nearest, shown


def advice(definition: Definition, catalogue: ParticipantCatalogue | None) -> Iterator[Finding]:
    """All warnings about a definition, apart from those about single paths in expressions."""
    timeout, sla = definition.timeout_us, definition.sla_us
    if timeout is not None and sla is not None and sla >= timeout:
        yield Finding(
            "W310", ("sla",), "the warning never comes: the saga's timeout is not longer", "less than timeout"
        )
    if catalogue is None:
        return
    for index, step in enumerate(definition.steps):
        if not isinstance(step.action, Call):
            continue
        call, path = step.action, ("steps", index)
        yield from _command(catalogue, call.participant, call.command, call.payload.source, path)
        undo = call.compensation
        if undo is not None:
            # Without a payload of its own a compensation is sent the forward one.
            payload = call.payload.source if undo.payload is None else undo.payload.source
            yield from _command(catalogue, undo.participant, undo.command, payload, (*path, "compensate"))


def _command(
    catalogue: ParticipantCatalogue, participant: str, command: str, payload: Json, path: tuple[PathPart, ...]
) -> Iterator[Finding]:
    entry = catalogue.get(participant, command)
    if entry is not None:
        yield from _payload(entry, f"{participant}.{command}", payload, path)
        return
    name = f"{participant}.{command}"
    hint = nearest(name, catalogue.commands)
    if participant in catalogue.participants():
        yield Finding("W303", (*path, "call"), f"{participant} has no command {shown(command)}", "", hint)
    else:
        yield Finding("W303", (*path, "call"), f"unknown participant {shown(participant)}", "", hint)


def _payload(entry: CommandEntry, name: str, payload: Json, path: tuple[PathPart, ...]) -> Iterator[Finding]:
    """Compare the keys of a payload with the properties that the command takes."""
    schema = entry.input
    properties = None if schema is None else schema.get("properties")
    if schema is None or not isinstance(properties, Mapping) or not isinstance(payload, Mapping):
        return
    required = schema.get("required")
    for key in payload:
        if key not in properties and schema.get("additionalProperties") is False:
            message = f"{name} takes no {shown(key)}"
            yield Finding(
                "W304", (*path, "with", key), message, "one of " + ", ".join(properties), nearest(key, properties)
            )
    for key in required if isinstance(required, list) else ():
        if key not in payload:
            yield Finding("W304", (*path, "with"), f"{name} wants {shown(str(key))}, which is not sent")
