"""Schemas of inputs: the quick look never takes what the library would refuse, and needs no library to do so."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from saga_engine.definition.model import Json
from saga_engine.definition.schema_rules import plainly_sound, schema_findings
from tests.unit.definition.support import ROOT

_KEYWORDS = (
    *("type", "properties", "required", "additionalProperties", "items", "$defs", "$ref", "allOf", "anyOf", "oneOf"),
    *("not", "enum", "const", "default", "title", "description", "format", "minimum", "maximum", "exclusiveMinimum"),
    *("exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "pattern", "$comment", "x"),
)
_leaves = st.sampled_from(["object", "string", "#/$defs/a", "#/a b", "", 1, -1, 0, 1.5, True, False, None])
schemas = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYWORDS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYWORDS), schemas, max_size=3))
def test_what_the_quick_look_takes_is_a_schema(schema: dict[str, Json]) -> None:
    if plainly_sound(schema):
        Draft202012Validator.check_schema(schema)


def test_the_quick_look_takes_common_schemas() -> None:
    assert plainly_sound(
        {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "$defs": {"line": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}},
            "properties": {
                "id": {"type": "string", "minLength": 1},
                "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "maxItems": 5},
                "kind": {"enum": ["a", "b"], "default": "a"},
            },
        }
    )


def test_a_common_schema_is_judged_without_the_library() -> None:
    script = (
        "import sys; from saga_engine.definition.loader import load_file, Loaded\n"
        "assert isinstance(load_file('definitions/place_order.yaml'), Loaded)\n"
        "assert 'jsonschema' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_place_inside_the_schema_is_kept() -> None:
    schema: dict[str, Json] = {"type": "object", "properties": {"a": {"anyOf": [{"type": "strin"}]}}}
    assert [finding.path for finding in schema_findings(schema, ("input",))] == [
        ("input", "properties", "a", "anyOf", 0, "type")
    ]
