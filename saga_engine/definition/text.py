"""A definition's stored form as text for people: YAML as an author would write it, and line by line what differs.

Owns that rendering. What stands in the form is `canonical`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import unified_diff
from io import StringIO
from typing import TypeAlias, cast

import orjson
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from saga_engine.definition.canonical import definition_bytes, definition_to_json
from saga_engine.definition.model import Definition, Json
from saga_engine.definition.scalars import Reading, reading_of
from saga_engine.definition.stored import definition_from_json
from saga_engine.definition.tree import Position, Scalar

Written: TypeAlias = "CommentedMap | CommentedSeq | bool | int | float | str | None"


def stored_form(content: bytes) -> Mapping[str, Json]:
    """Stored content as the language form, its keys in the order in which an author writes them.

    Raises CorruptDefinitionError for what is no stored definition.
    """
    return definition_to_json(definition_from_json(cast(Json, orjson.loads(content))))


def written_form(definition: Definition) -> Mapping[str, Json]:
    """What `stored_form` would give once the definition is stored: the author's order of free keys does not count."""
    return stored_form(definition_bytes(definition))


def definition_yaml(form: Mapping[str, Json]) -> str:
    """The form as YAML that the loader reads back as the same definition."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = 1_000_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    yaml.dump(_written(form), text)
    return text.getvalue()


def differing_lines(
    before: Mapping[str, Json], after: Mapping[str, Json], from_name: str, to_name: str, context: int = 2
) -> Sequence[str]:
    """A unified diff of two forms as YAML; empty when they say the same."""
    old, new = definition_yaml(before).splitlines(), definition_yaml(after).splitlines()
    return list(unified_diff(old, new, from_name, to_name, n=context, lineterm=""))


class _Representer(RoundTripRepresenter):
    """Writes `null`: the empty place that the library leaves for it is a missing value to the loader."""

    def represent_null(self, _value: None) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")

    yaml_representers = {**RoundTripRepresenter.yaml_representers, type(None): represent_null}  # noqa: RUF012 - ruamel's


def _written(value: Json) -> Written:
    if isinstance(value, str):
        return value if _is_plain(value) else DoubleQuotedScalarString(value)
    if isinstance(value, Mapping):
        return CommentedMap({_written(key): _written(item) for key, item in value.items()})
    if isinstance(value, Sequence):
        items = CommentedSeq(_written(item) for item in value)
        if not any(isinstance(item, Mapping | Sequence) and not isinstance(item, str) for item in value):
            items.fa.set_flow_style()
        return items
    return value


def _is_plain(text: str) -> bool:
    """Whether no loader takes the text for something else when it stands there without quotes."""
    scalar = Scalar(Position(1, 1), text, plain=True)
    return text.isprintable() and text == text.strip() and reading_of(scalar) is Reading.TEXT
