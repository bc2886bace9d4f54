"""What JSON Schema says about the values that a path leads to, without any value.

Owns the walk of a field or an index through a schema. Where a schema says nothing, anything may be there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from saga_engine.definition.model import Json

_MOST_VARIANTS: Final = 64
_WORDS: Final = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "null": "null",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """All schemas a value may satisfy, each with the document its references point into. Empty: anything."""

    variants: tuple[tuple[Mapping[str, Json], Mapping[str, Json]], ...] = ()
    optional: bool = False

    @property
    def types(self) -> frozenset[str]:
        """The JSON types the value may have; empty when that is not known."""
        found: set[str] = set()
        for schema, _ in self.variants:
            types = _types(schema)
            if not types:
                return frozenset()
            found |= types
        return frozenset(found)

    def describe(self) -> str:
        """The types in words."""
        return " or ".join(_WORDS.get(name, name) for name in sorted(self.types)) or "of any type"


@dataclass(frozen=True, slots=True)
class NoSuch:
    """A path leads nowhere: `known` are the fields that are there; `why` says it when fields are not the matter."""

    known: tuple[str, ...]
    why: str


ANYTHING: Final = Shape()


def shape_of(schema: Mapping[str, Json] | None) -> Shape:
    """The shape that a whole schema describes."""
    return ANYTHING if schema is None else _merged([(schema, schema)], False)


def type_shape(*types: str) -> Shape:
    """A shape known by its types only."""
    schema: dict[str, Json] = {"type": list(types)}
    return Shape(((schema, schema),))


def list_shape(items: Shape) -> Shape:
    """A list whose items have a shape; only a shape with one variant is carried."""
    if len(items.variants) != 1:
        return type_shape("array")
    schema, document = items.variants[0]
    return Shape((({"type": "array", "items": schema}, document),))


def field(shape: Shape, name: str) -> Shape | NoSuch:
    """What a field of the value is."""
    if not shape.variants:
        return ANYTHING
    found: list[tuple[Mapping[str, Json], Mapping[str, Json]]] = []
    known: list[str] = []
    anything = optional = objects = False
    for schema, document in shape.variants:
        types = _types(schema)
        if types and "object" not in types:
            continue
        objects = True
        inner = _property(schema, name)
        known += [key for key in _mapping(schema.get("properties")) if key not in known]
        if inner is None:
            continue
        anything = anything or not inner
        found.append((inner, document))
        optional = optional or _may_be_absent(schema, name)
    if not objects:
        return NoSuch((), f"is {shape.describe()} and has no fields")
    if not found:
        return NoSuch(tuple(known), "")
    return Shape((), optional) if anything else _merged(found, optional)


def element(shape: Shape) -> Shape | NoSuch:
    """What an element of the list is."""
    if not shape.variants:
        return ANYTHING
    found: list[tuple[Mapping[str, Json], Mapping[str, Json]]] = []
    lists = False
    for schema, document in shape.variants:
        types = _types(schema)
        if types and "array" not in types:
            continue
        lists = True
        items = schema.get("items")
        if not isinstance(items, Mapping) or not items or "prefixItems" in schema:
            return ANYTHING
        found.append((items, document))
    return _merged(found, False) if lists else NoSuch((), f"is {shape.describe()} and no list")


def _merged(found: list[tuple[Mapping[str, Json], Mapping[str, Json]]], optional: bool) -> Shape:
    variants: list[tuple[Mapping[str, Json], Mapping[str, Json]]] = []
    for schema, document in found:
        for variant in _variants(schema, document, 0):
            variants.append((variant, document))
            if not variant or len(variants) > _MOST_VARIANTS:
                return Shape((), optional)
    return Shape(tuple(variants), optional)


def _variants(schema: Mapping[str, Json], document: Mapping[str, Json], depth: int) -> Iterator[Mapping[str, Json]]:
    """The alternatives of a schema, references followed; an empty one where it is too involved to tell."""
    if depth > 16 or "allOf" in schema or "if" in schema or "$dynamicRef" in schema:
        yield {}
        return
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = resolve(reference, document)
        yield from [{}] if target is None else _variants(target, document, depth + 1)
        return
    for key in ("anyOf", "oneOf"):
        choices = schema.get(key)
        if isinstance(choices, list):
            if "properties" in schema:
                yield {}
                return
            for choice in choices:
                yield from _variants(choice if isinstance(choice, Mapping) else {}, document, depth + 1)
            return
    yield schema


def resolve(reference: str, document: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """What a reference inside the document (`#/...`) points to, if that is a schema."""
    if reference == "#":
        return document
    if not reference.startswith("#/"):
        return None
    node: Json = document
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, Mapping) and key in node:
            node = node[key]
        else:
            return None
    return node if isinstance(node, Mapping) else None


def _types(schema: Mapping[str, Json]) -> frozenset[str]:
    types = schema.get("type")
    if isinstance(types, str):
        return frozenset({types})
    if isinstance(types, list):
        return frozenset(str(name) for name in types)
    if "properties" in schema:
        return frozenset({"object"})
    return frozenset()


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _property(schema: Mapping[str, Json], name: str) -> Mapping[str, Json] | None:
    """The schema of a property; empty for anything, None where it is misspelt: others are named and it is not."""
    properties = schema.get("properties")
    others = schema.get("additionalProperties")
    if isinstance(properties, Mapping) and name in properties:
        return _mapping(properties[name])
    if isinstance(others, Mapping):
        return others
    if others is True or "patternProperties" in schema or (not isinstance(properties, Mapping) and others is None):
        return {}
    return None


def _may_be_absent(schema: Mapping[str, Json], name: str) -> bool:
    """Whether a declared property may be missing: it is not required, and no default fills it in."""
    properties = _mapping(schema.get("properties"))
    required = schema.get("required")
    if name not in properties or "default" in _mapping(properties[name]):
        return False
    return not (isinstance(required, list) and name in required)
