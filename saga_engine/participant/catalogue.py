"""What the handlers say about themselves, in the form in which definitions are checked against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, cast

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

from saga_engine.definition.catalogue import CommandEntry, ParticipantCatalogue
from saga_engine.definition.model import Json
from saga_engine.errors import UsageError
from saga_engine.participant.registry import MergedParticipant
from saga_engine.participant.signature import Handler

JsonObject: TypeAlias = Mapping[str, Json]


def catalogue_of(participants: Iterable[MergedParticipant], *, lenient: bool = False) -> ParticipantCatalogue:
    """Every command with the JSON Schemas of its payload and result, as its handler's annotations declare them.

    Raises UsageError, with the handler's place, for a type that has no JSON Schema; `lenient`: that command is untyped.
    """
    return ParticipantCatalogue(
        {
            f"{participant.name}.{command}": _entry(participant.name, handler, lenient=lenient)
            for participant in participants
            for command, handler in participant.handlers.items()
        }
    )


def _entry(participant: str, handler: Handler, *, lenient: bool) -> CommandEntry:
    try:
        return CommandEntry(
            input=_schema(handler.input, "validation"),
            result=_schema(handler.output, "serialization"),
            fenced=handler.fenced,
        )
    except PydanticUserError as error:
        if lenient:
            return CommandEntry(fenced=handler.fenced)
        what = f"{participant}.{handler.command} takes or gives a type without a JSON Schema"
        raise UsageError(f"{handler.place}: {what}: {str(error).splitlines()[0]}") from error


def _schema(adapter: TypeAdapter[object] | None, mode: Literal["validation", "serialization"]) -> JsonObject | None:
    return None if adapter is None else cast(JsonObject, adapter.json_schema(mode=mode))
