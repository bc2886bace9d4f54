"""The input of a saga: strict JSON, checked against the definition's schema, defaults filled in, hashed.

Owns what a start may carry. jsonschema is imported only when there is a schema to check against.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from saga_engine.definition.input_fits import Fits, has_defaults, plainly_fits
from saga_engine.definition.model import Definition, Json
from saga_engine.definition.problems import PathPart
from saga_engine.definition.values import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_PAYLOAD,
    canonical_json,
    is_plainly_json,
    sha256_hex,
)

MAX_TEXT: Final = 4 * MAX_PAYLOAD
"""Characters of JSON text that are looked at: spaces and escapes may make it longer than what it says."""


@dataclass(frozen=True, slots=True)
class InputProblem:
    """What is wrong with an input, where (`$.items[0].sku`), by which rule."""

    code: str
    json_path: str
    message: str

    def __str__(self) -> str:
        return f"{self.json_path}: {self.code} {self.message}"


@dataclass(frozen=True, slots=True)
class InputRejected:
    """Why an input is not taken."""

    problems: tuple[InputProblem, ...]

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class InputCheck:
    """The check of one definition's inputs, prepared once: preparing costs more than checking."""

    def __init__(self, definition: Definition) -> None:
        self._schema = definition.input_schema
        self._prepared: _Prepared | None = None
        self._fits: Fits | None = None
        if self._schema is not None:
            from saga_engine.definition.input_schema import checker, filled

            self._prepared = _Prepared(partial(filled, self._schema), checker(self._schema))
            self._fits = None if has_defaults(self._schema) else plainly_fits(self._schema)

    def __call__(self, value: Json) -> Json | InputRejected:
        """The input with the schema's defaults filled in, or all that is wrong with it.

        E301 not a finite number, E303 too deep, E304 integer out of range, E305 a character that no store takes, E306
        not JSON, E402 larger than 256 KiB, E404 against the schema.
        """
        plainly = is_plainly_json(value)
        if not plainly and (problem := _not_json(value, (), 0)):
            return InputRejected((problem,))
        if not isinstance(value, Mapping):
            return InputRejected((InputProblem("E404", "$", "the input of a saga is an object"),))
        if not plainly and (too_large := _too_large(value)):
            return too_large
        if self._prepared is None or (self._fits is not None and self._fits(value)):
            return value
        full = self._prepared.fill(value)
        if broken := self._prepared.violations(full):
            return InputRejected(tuple(InputProblem("E404", json_path(path), message) for path, message in broken))
        return _too_large(full) or full


@dataclass(frozen=True, slots=True)
class _Prepared:
    fill: Callable[[Json], Json]
    violations: Callable[[Json], list[tuple[tuple[PathPart, ...], str]]]


def check_input(definition: Definition, value: Json) -> Json | InputRejected:
    """One check of one input, as `InputCheck` does it."""
    return InputCheck(definition)(value)


def _too_large(value: Json) -> InputRejected | None:
    size = len(canonical_json(value))
    if size <= MAX_PAYLOAD:
        return None
    return InputRejected((InputProblem("E402", "$", f"the input has {size:,} bytes, at most {MAX_PAYLOAD:,}"),))


def input_hash(value: Json) -> str:
    """SHA-256 (hex) of the canonical JSON of a checked input."""
    return sha256_hex(canonical_json(value))


def parse_json(text: bytes) -> Json | InputRejected:
    """Strict JSON: no NaN (E301), no repeated key (E302), bounded depth, numbers and size. Never raises."""
    if len(text) > MAX_TEXT:
        return InputRejected((InputProblem("E402", "$", f"{len(text):,} bytes of JSON, at most {MAX_TEXT:,}"),))
    try:
        decoded = text.decode("utf-8")
        if _depth(decoded) > MAX_DEPTH:
            return InputRejected((InputProblem("E303", "$", f"nested deeper than {MAX_DEPTH} levels"),))
        value: Json = json.loads(
            decoded,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        return InputRejected((InputProblem("E306", "$", f"not UTF-8 at byte {error.start}"),))
    except json.JSONDecodeError as error:
        return InputRejected(
            (InputProblem("E306", "$", f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}"),)
        )
    except _RefusedError as error:
        return InputRejected((error.problem,))
    problem = _not_json(value, (), 0)
    return InputRejected((problem,)) if problem else value


class _RefusedError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.problem = InputProblem(code, "$", message)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made: dict[str, Json] = {}
    for key, value in pairs:
        if key in made:
            raise _RefusedError("E302", f"the key {json.dumps(key)} stands twice in an object")
        made[key] = value
    return made


def _constant(name: str) -> Json:
    raise _RefusedError("E301", f"{name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > 17:
        raise _RefusedError("E304", f"an integer of {len(digits.lstrip('-'))} digits is beyond ±2^53")
    return int(digits)


def _depth(text: str) -> int:
    """How deep brackets nest outside strings: the standard decoder recurses."""
    deepest = depth = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _not_json(value: object, path: tuple[PathPart, ...], depth: int) -> InputProblem | None:
    """The first thing in a value that is not JSON as the engine keeps it."""
    if isinstance(value, str):
        return _bad_text(value, path)
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        if -MAX_INTEGER <= value <= MAX_INTEGER:
            return None
        return InputProblem("E304", json_path(path), "an integer beyond ±2^53; send it as a text")
    if isinstance(value, float):
        if value - value == 0:
            return None
        return InputProblem("E301", json_path(path), "a number that is not finite")
    if not isinstance(value, Mapping | list | tuple):
        return InputProblem("E306", json_path(path), f"a {type(value).__name__} is no JSON value")
    if depth == MAX_DEPTH:
        return InputProblem("E303", json_path(path), f"nested deeper than {MAX_DEPTH} levels")
    return _bad_member(value, path, depth)


def _bad_member(
    value: Mapping[object, object] | Sequence[object], path: tuple[PathPart, ...], depth: int
) -> InputProblem | None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                return InputProblem("E306", json_path(path), f"a key is a {type(key).__name__}, not a text")
            if problem := _bad_text(key, path) or _not_json(item, (*path, key), depth + 1):
                return problem
    else:
        for index, item in enumerate(value):
            if problem := _not_json(item, (*path, index), depth + 1):
                return problem
    return None


def _bad_text(text: str, path: tuple[PathPart, ...]) -> InputProblem | None:
    if text.isascii() and "\x00" not in text:
        return None
    if "\x00" in text:
        return InputProblem("E305", json_path(path), "a text holds the character NUL")
    if any("\ud800" <= char <= "\udfff" for char in text):
        return InputProblem("E305", json_path(path), "a text holds a lone surrogate")
    return None


def json_path(path: Sequence[PathPart]) -> str:
    """A path as JSONPath: `$.items[0].sku`, other keys in brackets."""
    text = "$"
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if part.isidentifier() and part.isascii() else f"[{json.dumps(part)}]"
    return text
