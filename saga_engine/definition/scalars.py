"""What a scalar of a definition means: typed by what stands there, never by what YAML would make of it.

Owns the words and numbers that YAML loaders disagree about (`no`, `010`, `12:30`, dates, `.nan`): they are never
guessed. Knows no key of the language.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from saga_engine.definition.model import Json
from saga_engine.definition.problems import shown
from saga_engine.definition.tree import Scalar
from saga_engine.definition.values import MAX_INTEGER

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_BOOLEANS: Final = frozenset({"yes", "no", "on", "off", "true", "false"})
_NULLS: Final = frozenset({"", "~", "Null", "NULL"})
_FORMS: Final = (
    ("a number in base 60", re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?", re.ASCII)),
    ("a date", re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|\s+)[0-9:.\sZz+-]*)?", re.ASCII)),
    ("not a number or infinity", re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)),
    ("an octal number", re.compile(r"[-+]?0o?[0-7_]+", re.ASCII)),
    ("a number", re.compile(r"[-+]?(?:0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?")),
)


class Reading(Enum):
    """What a scalar plainly is. AMBIGUOUS: a loader of YAML 1.1 or 1.2 would make something else of it."""

    TEXT = "a text"
    INTEGER = "an integer"
    NUMBER = "a number"
    BOOLEAN = "a boolean"
    NULL = "null"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Unclear:
    """Why a scalar has no value: `code` E120 or E121."""

    code: str
    message: str
    expected: str
    suggestion: str


def reading_of(scalar: Scalar) -> Reading:
    """How a scalar is to be read; quoted and block scalars are texts."""
    text = scalar.text
    if not scalar.plain:
        return Reading.TEXT
    if text in ("true", "false"):
        return Reading.BOOLEAN
    if text == "null":
        return Reading.NULL
    if _INTEGER.fullmatch(text):
        return Reading.INTEGER
    if _NUMBER.fullmatch(text):
        return Reading.NUMBER
    return Reading.AMBIGUOUS if surprise(text) else Reading.TEXT


def surprise(text: str) -> str:
    """What some YAML loader would silently make of a plain text, or nothing."""
    if text.lower() in _BOOLEANS and text in (text.lower(), text.upper(), text.capitalize()):
        return "a boolean"
    if text in _NULLS:
        return "null"
    if text in ("<<", "="):
        return "a merge"
    return next((what for what, form in _FORMS if form.fullmatch(text)), "")


def found(scalar: Scalar) -> str:
    """A scalar in the words of an error: what was found."""
    if scalar.plain and not scalar.text:
        return "nothing (YAML reads null)"
    if reading_of(scalar) is Reading.AMBIGUOUS:
        return f"{scalar.text}, which YAML may read as {surprise(scalar.text)}"
    return shown(scalar.text) if reading_of(scalar) is Reading.TEXT else shown(scalar.text).strip('"')


def integer(scalar: Scalar) -> int | Unclear:
    """The integer that is plainly written there, within ±2^53."""
    if reading_of(scalar) is not Reading.INTEGER:
        hint = "remove the quotes" if not scalar.plain and _INTEGER.fullmatch(scalar.text) else ""
        return Unclear("E120", f"found {found(scalar)}", "an integer such as 5", hint)
    return _bounded(scalar)


def number(scalar: Scalar) -> int | float | Unclear:
    """The number that is plainly written there: finite, an integer within ±2^53."""
    reading = reading_of(scalar)
    if reading is Reading.INTEGER:
        return _bounded(scalar)
    if reading is not Reading.NUMBER:
        return Unclear("E120", f"found {found(scalar)}", "a number such as 1.5", "")
    value = float(scalar.text) if len(scalar.text) < 400 else math.inf
    if math.isfinite(value):
        return value
    return Unclear("E121", f"{shown(scalar.text)} is out of range", "a number that fits 64 bits", "")


def json_scalar(scalar: Scalar) -> Json | Unclear:
    """The JSON value that is plainly written there."""
    match reading_of(scalar):
        case Reading.TEXT:
            return scalar.text
        case Reading.BOOLEAN:
            return scalar.text == "true"
        case Reading.NULL:
            return None
        case Reading.INTEGER | Reading.NUMBER:
            return number(scalar)
        case Reading.AMBIGUOUS:
            expected = "true, false, null, a number or a text in quotes"
            hint = f'write "{scalar.text}" if it is a text' if scalar.text else "write null"
            return Unclear("E120", f"found {found(scalar)}", expected, hint)


def _bounded(scalar: Scalar) -> int | Unclear:
    value = int(scalar.text) if len(scalar.text) < 20 else MAX_INTEGER + 1
    if -MAX_INTEGER <= value <= MAX_INTEGER:
        return value
    hint = "write it as a text in quotes" if len(scalar.text) < 40 else ""
    return Unclear("E121", f"{shown(scalar.text)} is out of range", "an integer within ±2^53", hint)
