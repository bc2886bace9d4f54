"""JSON Schema as definitions use it: checked when a definition is loaded, applied when a saga is started.

Owns the bounds on schemas (references stay inside the document, patterns run in linear time) and the filling in of
defaults. The only module that imports jsonschema; import this one late.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from saga_engine.definition.cel_library import Refused, search
from saga_engine.definition.model import Json
from saga_engine.definition.problems import Finding, PathPart
from saga_engine.definition.shapes import resolve

MAX_VIOLATIONS: Final = 20
_IN_PLACE: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref")
_REFUSED: Final = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "patternProperties")


def schema_findings(schema: Mapping[str, Json], path: tuple[PathPart, ...]) -> Iterator[Finding]:
    """What is wrong with the schema that stands at a path of a definition."""
    checked = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    errors = list(checked.iter_errors(schema))
    for error in errors:
        yield Finding("E125", (*path, *error.absolute_path), f"no JSON Schema: {_message(error)}", "draft 2020-12")
    if not errors:
        yield from _bounds(schema, schema, path)
        if schema.get("type", "object") != "object":
            yield Finding("E125", (*path, "type"), "the input of a saga is an object", "type: object")


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


def _pattern(_validator: object, pattern: str, value: object, _schema: object) -> Iterator[ValidationError]:
    # Python's own patterns may take exponential time, and the text comes from whoever starts a saga.
    if isinstance(value, str) and search(pattern, value) is not True:
        yield ValidationError(f"the text does not match the pattern {pattern!r}")


_Validator: Final = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]  # untyped in the stubs


def checker(schema: Mapping[str, Json]) -> Callable[[Json], list[tuple[tuple[PathPart, ...], str]]]:
    """A function that says where and why a value breaks the schema: in the order of the paths, at most twenty."""
    validator = _Validator(schema, registry=Registry())

    def violations(value: Json) -> list[tuple[tuple[PathPart, ...], str]]:
        found: list[tuple[tuple[PathPart, ...], str]] = []
        for error in validator.iter_errors(value):
            found.append((tuple(error.absolute_path), _message(error)))
            if len(found) == MAX_VIOLATIONS:
                break
        return sorted(found, key=lambda violation: [str(part) for part in violation[0]])

    return violations


def _message(error: ValidationError | SchemaError) -> str:
    message = str(error.message)
    return message if len(message) <= 200 else message[:199] + "…"


def filled(schema: Mapping[str, Json], value: Json, document: Mapping[str, Json] | None = None) -> Json:
    """The value with the `default` of every absent property, also in nested objects, lists and referenced schemas.

    Defaults under `anyOf`, `oneOf` and `if` are not filled in: which branch holds is not known yet.
    """
    document = schema if document is None else document
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = resolve(reference, document)
        value = value if target is None else filled(target, value, document)
    if isinstance(value, Mapping):
        return _filled_object(schema, value, document)
    items = schema.get("items")
    if isinstance(items, Mapping) and isinstance(value, Sequence) and not isinstance(value, str):
        return [filled(items, item, document) for item in value]
    return value


def _filled_object(schema: Mapping[str, Json], value: Mapping[str, Json], document: Mapping[str, Json]) -> Json:
    made = dict(value)
    parts = schema.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        inner = filled(part, made, document) if isinstance(part, Mapping) else made
        made = dict(inner) if isinstance(inner, Mapping) else made
    properties = schema.get("properties")
    for name, property_schema in properties.items() if isinstance(properties, Mapping) else ():
        if not isinstance(property_schema, Mapping):
            continue
        if name in made:
            made[name] = filled(property_schema, made[name], document)
        elif "default" in property_schema:
            made[name] = copy.deepcopy(property_schema["default"])
    return made
