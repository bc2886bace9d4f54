"""Inputs of the decider as text and back, for histories that keep what was decided on.

Owns that text. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast, get_args

import orjson

from saga_engine.core.events import Direction, Effect, Verb
from saga_engine.core.inputs import Input, Outcome
from saga_engine.errors import UsageError

_KINDS: Final[Mapping[str, type[Input]]] = {kind.__name__: kind for kind in get_args(Input)}
_ENUMS: Final[Mapping[str, Callable[[str], object]]] = {
    "direction": Direction,
    "effect": Effect,
    "outcome": Outcome,
    "verb": Verb,
}


class InputError(UsageError):
    """A text is no input."""


def encode_input(input: Input) -> str:
    """The text of an input."""
    return orjson.dumps({"input": type(input).__name__, "value": input}).decode()


def decode_input(text: str) -> Input:
    """The input of a text.

    Raises:
        InputError: it is none.
    """
    try:
        raw = cast(dict[str, object], orjson.loads(text))
        value = cast(dict[str, object], raw["value"])
        for name, make in _ENUMS.items():
            if name in value:
                value[name] = make(cast(str, value[name]))
        return cast(Callable[..., Input], _KINDS[cast(str, raw["input"])])(**value)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"not an input ({error}): {text[:200]}") from error
