"""A handler's result as JSON text, within the limits of the protocol. Knows no handler and no database."""

from __future__ import annotations

import math
from typing import cast

import orjson
from pydantic_core import PydanticSerializationError, to_jsonable_python

from saga_engine.definition.model import Json
from saga_engine.definition.values import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_PAYLOAD,
    canonical_json,
    is_plainly_payload,
    nests_deeper,
)


class ResultRefusedError(Exception):
    """A result that cannot be sent: the transaction is rolled back and the reply is `failed` with this code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def encode_result(result: object) -> str:
    """Canonical JSON of a model, dataclass, dict or plain value. Raises as `read_result`."""
    return canonical_json(read_result(result)).decode()


def read_result(result: object) -> Json:
    """A model, dataclass, dict or plain value as JSON.

    Raises ResultRefusedError: `result_not_json` for what JSON cannot carry exactly (NaN, integers beyond 2^53, other
    objects), `result_too_deep` past 64 levels of objects and lists, `result_too_large` past 256 KiB.
    """
    try:
        plain = cast(Json, to_jsonable_python(result, inf_nan_mode="constants"))
        if not is_plainly_payload(plain):
            _check(plain)
    except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
        raise ResultRefusedError("result_not_json", f"the result cannot be written as JSON ({error})") from error
    return plain


def decode_result(text: str) -> Json:
    """The result that `encode_result` wrote."""
    return cast(Json, orjson.loads(text))


def _check(plain: Json) -> None:
    """Look at all of it, which few results need."""
    inexact = _inexact(plain)
    if inexact is not None:
        raise ResultRefusedError("result_not_json", f"the result holds {inexact}")
    if nests_deeper(plain, MAX_DEPTH):
        raise ResultRefusedError("result_too_deep", f"the result is nested deeper than {MAX_DEPTH} levels")
    size = len(canonical_json(plain))
    if size > MAX_PAYLOAD:
        message = f"the result has {size} bytes of JSON, at most {MAX_PAYLOAD} may be: return a reference"
        raise ResultRefusedError("result_too_large", message)


def _inexact(value: object) -> str | None:
    """What JSON readers would not get as it was given: orjson writes NaN as null, others round large integers."""
    if isinstance(value, float):
        return None if math.isfinite(value) else f"the number {value}"
    if isinstance(value, int):
        return None if -MAX_INTEGER <= value <= MAX_INTEGER else "an integer beyond 2^53"
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for found in map(_inexact, members) if found is not None), None)
