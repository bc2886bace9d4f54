"""A quick look that tells most inputs that fit their schema, without the library that knows all of JSON Schema.

Owns the common keywords, for values of the plainest types. What does not pass here is judged by `input_schema`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from saga_engine.definition.model import Json

Fits: TypeAlias = Callable[[Json], bool]
"""True: the value certainly fits. False: not certain."""

_NOTES: Final = frozenset({"$schema", "$comment", "title", "description", "default", "examples", "deprecated"})


def plainly_fits(schema: Json) -> Fits | None:
    """The quick look for a schema; None for one that has a keyword beyond the common ones."""
    if schema is True:
        return _anything
    if not isinstance(schema, Mapping):
        return None
    checks: list[Fits] = []
    of_objects = {"properties", "required", "additionalProperties"} & schema.keys()
    for keyword, given in schema.items():
        if keyword in _NOTES or keyword in of_objects:
            continue
        made = _MADE[keyword](given) if keyword in _MADE else None
        if made is None:
            return None
        checks.append(made)
    if of_objects:
        whole = _object(schema)
        if whole is None:
            return None
        checks.append(whole)
    return _all(checks)


def has_defaults(schema: Json) -> bool:
    """Whether filling in defaults may change a value, wherever in the schema they stand."""
    if isinstance(schema, Mapping):
        return "default" in schema or any(has_defaults(part) for part in schema.values())
    return isinstance(schema, list) and any(has_defaults(part) for part in schema)


def _anything(_value: Json) -> bool:
    return True


def _all(checks: list[Fits]) -> Fits:
    if len(checks) == 1:
        return checks[0]
    return lambda value: all(check(value) for check in checks)


def _type(given: Json) -> Fits | None:
    kind = _TYPES.get(given) if isinstance(given, str) else None
    return None if kind is None else lambda value: type(value) is kind


def _object(schema: Mapping[str, Json]) -> Fits | None:
    """Its properties, which of them must be there, and whether others may."""
    parts, required = schema.get("properties", {}), schema.get("required", [])
    more = schema.get("additionalProperties", True)
    if not isinstance(parts, Mapping) or not isinstance(required, list) or not isinstance(more, bool):
        return None
    checks: dict[str, Fits] = {}
    for name, part in parts.items():
        check = plainly_fits(part)
        if check is None:
            return None
        checks[name] = check

    def fits(value: Json) -> bool:
        if type(value) is not dict:
            return False
        for name in required:
            if name not in value:
                return False
        for name, item in value.items():
            check = checks.get(name)
            if check is None:
                if not more:
                    return False
            elif not check(item):
                return False
        return True

    return fits


def _items(given: Json) -> Fits | None:
    check = plainly_fits(given)
    return None if check is None else lambda value: type(value) is list and all(map(check, value))


def _least(given: Json) -> Fits | None:
    return None if type(given) is not int else lambda value: type(value) is int and value >= given


def _most(given: Json) -> Fits | None:
    return None if type(given) is not int else lambda value: type(value) is int and value <= given


def _shortest(kind: type[str] | type[list[Json]]) -> Callable[[Json], Fits | None]:
    return lambda given: None if type(given) is not int else lambda value: _length(value, kind) >= given


def _longest(kind: type[str] | type[list[Json]]) -> Callable[[Json], Fits | None]:
    return lambda given: None if type(given) is not int else lambda value: 0 <= _length(value, kind) <= given


def _length(value: Json, kind: type[str] | type[list[Json]]) -> int:
    """-1 for what is not of that kind."""
    return len(value) if isinstance(value, kind) else -1


def _one_of(given: Json) -> Fits | None:
    if not isinstance(given, list) or not all(type(one) is str for one in given):
        return None
    return lambda value: type(value) is str and value in given


_TYPES: Final[Mapping[str, type]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}

_MADE: Final[Mapping[str, Callable[[Json], Fits | None]]] = {
    "type": _type,
    "items": _items,
    "minimum": _least,
    "maximum": _most,
    "minLength": _shortest(str),
    "maxLength": _longest(str),
    "minItems": _shortest(list),
    "maxItems": _longest(list),
    "enum": _one_of,
}
