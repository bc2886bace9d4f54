"""What commands and replies share in being read: numbers in headers, a JSON object as body, and being unreadable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from saga_engine.definition.model import Json
from saga_engine.definition.values import MAX_DEPTH, nests_deeper

_DEEPEST_BODY: Final = MAX_DEPTH + 1
"""Levels of a body: the object that it is, and the payload or result inside."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that is not what its subject promises, and why. It goes to the dead letters."""

    reason: str


def integers(headers: Mapping[str, str], names: tuple[str, ...]) -> list[int] | Unreadable:
    """The values of these headers, in their order."""
    values: list[int] = []
    for name in names:
        text = headers.get(name, "")
        if not (text.isascii() and text.isdecimal() and len(text) <= 18):
            return Unreadable(f"header {name} must be an integer of at most 18 digits and not negative")
        values.append(int(text))
    return values


def json_object(body: bytes) -> dict[str, Json] | Unreadable:
    """The body of a command or reply."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Unreadable(f"the body is not JSON: {error}")
    if not isinstance(value, dict):
        return Unreadable("the body must be a JSON object")
    # orjson reads deeper than it writes. Counting is quick, and enough for nearly every body.
    if body.count(b"{") + body.count(b"[") > _DEEPEST_BODY and nests_deeper(value, _DEEPEST_BODY):
        return Unreadable(f"the body is nested deeper than {_DEEPEST_BODY} levels")
    return value
