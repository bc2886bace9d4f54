"""The bounds of JSON values inside the engine, and their canonical text.

Owns limits (size, depth, integers within ±2^53) and the one byte form that hashes are taken of. Knows no definition.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from saga_engine.definition.model import Json

MAX_INTEGER: Final = 2**53
MAX_DEPTH: Final = 64
MAX_PAYLOAD: Final = 256 * 1024
"""Bytes of one payload, as JSON text."""

_LONGEST_CHARACTER: Final = 6
"""Bytes that one character takes at most in JSON text: a control character is written as an escape."""


_STRICTLY: Final = (
    orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
"""Only what JSON has. An Enum and a UUID are taken as well, which no expression makes."""


class OutOfBoundsError(Exception):
    """A value that is not JSON as the engine keeps it. Always caught inside this package."""


def canonical_json(value: Json) -> bytes:
    """JSON with sorted keys and no spaces. Raises TypeError for what is not JSON (a lone surrogate, another type)."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def sha256_hex(data: bytes) -> str:
    """SHA-256, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def check_payload(value: Json) -> None:
    """Refuse what is no payload: more than 256 KiB of JSON text, or what `size_within` refuses.

    Raises:
        OutOfBoundsError: saying why.
    """
    if is_plainly_payload(value):
        return
    # The text is made only where escapes and characters of several bytes could make it too long.
    about = MAX_PAYLOAD - size_within(value, MAX_PAYLOAD)
    if about * _LONGEST_CHARACTER > MAX_PAYLOAD:
        _check_text(value)


def _check_text(value: Json) -> None:
    if (size := len(canonical_json(value))) > MAX_PAYLOAD:
        raise OutOfBoundsError(f"it has {size:,} bytes of JSON, at most {MAX_PAYLOAD:,} may be")


def payload_problem(value: Json) -> str | None:
    """Why a value that comes from outside is no payload, for whoever sent it; None: it is one."""
    try:
        size_within(value, MAX_PAYLOAD)
        # Whether it can be written at all is only known by doing so: a text may hold half a character.
        _check_text(value)
    except (OutOfBoundsError, TypeError) as error:
        return str(error)
    return None


def is_plainly_payload(value: Json) -> bool:
    """Whether a value certainly is a payload, by its text: a tenth of the time of a walk. False: not certain.

    Its brackets bound its depth. What is not finite is written as null.
    """
    return _plain_text(value) is not None


def is_plainly_json(value: object) -> bool:
    """Whether a value from outside certainly is a payload. False: not certain.

    Its text must read back as the same: an id or a date has a text too, and is no JSON value.
    """
    text = _plain_text(value)
    return text is not None and bool(orjson.loads(text) == value)


def _plain_text(value: object) -> bytes | None:
    try:
        text = orjson.dumps(value, option=_STRICTLY)
    except TypeError:
        return None
    plainly = (
        len(text) <= MAX_PAYLOAD
        and text.count(b"{") + text.count(b"[") <= MAX_DEPTH
        and b"null" not in text
        and b"\\u0000" not in text
    )
    return text if plainly else None


def size_within(value: object, limit: int, depth: int = MAX_DEPTH) -> int:
    """What is left of `limit` bytes after the JSON text of a value, about. Raises OutOfBoundsError.

    Refuses what is not JSON, deeper than 64, a float that is not finite, an integer beyond ±2^53 and a NUL in a text.
    """
    kind = type(value)
    if kind is str:
        assert isinstance(value, str)
        limit -= len(value) + 2
        if "\x00" in value:
            raise OutOfBoundsError("a text holds the character NUL")
    elif kind is int:
        assert isinstance(value, int)
        limit -= 8
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise OutOfBoundsError("an integer is beyond ±2^53")
    elif kind is dict or kind is list:
        limit = _inner_size(value, limit, depth)
    elif value is None or kind is bool:
        limit -= 4
    elif isinstance(value, float):
        limit -= 8
        if not math.isfinite(value):
            raise OutOfBoundsError("a number is not finite")
    elif isinstance(value, Mapping | Sequence) and not isinstance(value, bytes | bytearray):
        limit = _inner_size(value, limit, depth)
    else:
        raise OutOfBoundsError(f"a {kind.__name__} is not a JSON value")
    if limit < 0:
        raise OutOfBoundsError("the value is too large")
    return limit


def nests_deeper(value: Json, depth: int) -> bool:
    """Whether a JSON value has more than so many levels of objects and lists. Looks at one level after the other."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        inner = [member for one in level for member in (one.values() if isinstance(one, dict) else one)]
        level = [member for member in inner if isinstance(member, dict | list)]
        if not level:
            return False
    return bool(level)


def _inner_size(value: object, limit: int, depth: int) -> int:
    if depth == 0:
        raise OutOfBoundsError(f"the value is nested deeper than {MAX_DEPTH} levels")
    limit -= 2
    if isinstance(value, Mapping):
        for key, item in value.items():
            if type(key) is not str:
                raise OutOfBoundsError("a key of a mapping is not a text")
            limit -= len(key) + 4
            if type(item) is str and "\x00" not in item:
                # Most of what payloads hold, and nothing to look at beyond its length: not worth a call each.
                limit -= len(item) + 2
            else:
                limit = size_within(item, limit, depth - 1)
        if limit < 0:
            raise OutOfBoundsError("the value is too large")
    elif isinstance(value, Sequence):
        for item in value:
            limit = size_within(item, limit - 1, depth - 1)
    return limit
