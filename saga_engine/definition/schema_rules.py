"""Which JSON Schemas the input of a definition may have.

Owns the bounds (references stay inside the document and end, patterns run in linear time) and a quick look that tells
most sound schemas without importing the library that knows all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from saga_engine.definition.cel_library import Refused, search
from saga_engine.definition.model import Json
from saga_engine.definition.problems import Finding, PathPart
from saga_engine.definition.shapes import resolve

_IN_PLACE: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref")
_REFUSED: Final = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "patternProperties")
_LOCAL_REFERENCE: Final = re.compile(r"#(?:/[$A-Za-z0-9_-]+)+", re.ASCII)
_TYPES: Final = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})


def schema_findings(schema: Mapping[str, Json], path: tuple[PathPart, ...]) -> Iterator[Finding]:
    """What is wrong with the schema that stands at a path of a definition."""
    if not plainly_sound(schema):
        from saga_engine.definition.input_schema import form_errors

        errors = form_errors(schema)
        if errors:
            for place, message in errors:
                yield Finding("E125", (*path, *place), f"no JSON Schema: {message}", "draft 2020-12")
            return
    yield from _bounds(schema, schema, path)
    if schema.get("type", "object") != "object":
        yield Finding("E125", (*path, "type"), "the input of a saga is an object", "type: object")


def plainly_sound(schema: Json) -> bool:
    """Whether a schema is certainly one: made of common keywords with values of the right form. False: not certain."""
    if isinstance(schema, bool):
        return True
    return isinstance(schema, Mapping) and all(
        keyword in _PLAIN and _PLAIN[keyword](value) for keyword, value in schema.items()
    )


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_anything(_value: Json) -> bool:
    return True


def _is_type(value: Json) -> bool:
    return isinstance(value, str) and value in _TYPES


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_names(value: Json) -> bool:
    names = value if isinstance(value, list) else [None]
    return all(isinstance(name, str) for name in names) and len(set(map(str, names))) == len(names)


def _are_schemas(value: Json) -> bool:
    return isinstance(value, Mapping) and all(plainly_sound(schema) for schema in value.values())


def _is_choice(value: Json) -> bool:
    return isinstance(value, list) and bool(value) and all(plainly_sound(schema) for schema in value)


def _is_local_reference(value: Json) -> bool:
    return (
        isinstance(value, str) and value.startswith("#/") and value[2:].replace("/", "").replace("$", "").isidentifier()
    )


_PLAIN: Final[Mapping[str, Callable[[Json], bool]]] = {
    "type": _is_type,
    "properties": _are_schemas,
    "required": _is_names,
    "additionalProperties": plainly_sound,
    "items": plainly_sound,
    "$defs": _are_schemas,
    "$ref": _is_local_reference,
    "allOf": _is_choice,
    "anyOf": _is_choice,
    "oneOf": _is_choice,
    "not": plainly_sound,
    "enum": lambda value: isinstance(value, list),
    "const": _is_anything,
    "default": _is_anything,
    "title": _is_text,
    "description": _is_text,
    "format": _is_text,
    "minimum": _is_number,
    "maximum": _is_number,
    "exclusiveMinimum": _is_number,
    "exclusiveMaximum": _is_number,
    "minLength": _is_count,
    "maxLength": _is_count,
    "minItems": _is_count,
    "maxItems": _is_count,
    "uniqueItems": lambda value: isinstance(value, bool),
}


def _bounds(node: Mapping[str, Json], document: Mapping[str, Json], path: tuple[PathPart, ...]) -> Iterator[Finding]:
    """References, patterns and keywords that the engine does not follow."""
    for key in _REFUSED:
        if key in node:
            yield Finding("E126", (*path, key), f'the keyword "{key}" is not supported', "properties and #/ references")
    reference = node.get("$ref")
    if isinstance(reference, str):
        if resolve(reference, document) is None:
            yield Finding("E126", (*path, "$ref"), f"{reference} leads to no schema", "#/... inside this schema")
        elif _returns(node, document, ()):
            yield Finding("E126", (*path, "$ref"), f"{reference} leads back to itself", "a reference that ends")
    pattern = node.get("pattern")
    if isinstance(pattern, str) and (refusal := _pattern_refusal(pattern)):
        expected = "a pattern without look-around and back references (RE2)"
        yield Finding("E127", (*path, "pattern"), f"the pattern is not supported: {refusal}", expected)
    for place, inner in _inner(node):
        yield from _bounds(inner, document, (*path, *place))


def _inner(node: Mapping[str, Json]) -> Iterator[tuple[tuple[PathPart, ...], Mapping[str, Json]]]:
    """The schemas directly inside one."""
    for key, value in node.items():
        if key in ("properties", "$defs", "definitions", "dependentSchemas") and isinstance(value, Mapping):
            yield from (((key, name), inner) for name, inner in value.items() if isinstance(inner, Mapping))
        elif key in ("allOf", "anyOf", "oneOf", "prefixItems") and isinstance(value, list):
            yield from (((key, place), inner) for place, inner in enumerate(value) if isinstance(inner, Mapping))
        elif key not in ("default", "const", "enum", "examples") and isinstance(value, Mapping):
            yield (key,), value


def _returns(node: Mapping[str, Json], document: Mapping[str, Json], seen: tuple[int, ...]) -> bool:
    """Whether applying a schema to a value applies it to the same value again, for ever."""
    if id(node) in seen:
        return True
    seen = (*seen, id(node))
    for key in _IN_PLACE:
        value = node.get(key)
        target = resolve(value, document) if key == "$ref" and isinstance(value, str) else value
        for inner in target if isinstance(target, list) else [target]:
            if isinstance(inner, Mapping) and _returns(inner, document, seen):
                return True
    return False


def _pattern_refusal(pattern: str) -> str:
    found = search(pattern, "")
    return found.message if isinstance(found, Refused) else ""
