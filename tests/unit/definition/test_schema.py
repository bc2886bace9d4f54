"""The JSON Schema of the language, for editors: it takes what the loader takes, and refuses what it can see."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from saga_engine.cli.commands.schema import schema
from saga_engine.definition.canonical import definition_to_json
from saga_engine.definition.loader import Loaded, load_file
from saga_engine.definition.model import Json
from saga_engine.definition.schema import language_schema
from tests.unit.definition.support import CORPUS, SOUND


def errors(content: Json) -> list[str]:
    return [error.message for error in Draft7Validator(language_schema()).iter_errors(content)]


def yaml(path: Path) -> Json:
    content: Json = YAML(typ="safe", pure=True).load(path.read_text())
    return content


def test_it_is_a_schema_of_draft_7() -> None:
    Draft7Validator.check_schema(language_schema())


def test_the_file_in_the_package_is_what_the_command_prints() -> None:
    shipped = files("saga_engine.definition") / "language.schema.json"
    printed = CliRunner().invoke(schema, []).output
    stale = "run: saga schema > saga_engine/definition/language.schema.json"
    assert shipped.read_text(encoding="utf-8") == printed, stale


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_it_takes_every_sound_definition_as_written_and_as_stored(path: Path) -> None:
    assert errors(yaml(path)) == []
    result = load_file(path)
    assert isinstance(result, Loaded)
    assert errors(definition_to_json(result.definition)) == []


@pytest.mark.parametrize(
    "name",
    [
        *("unknown_key", "unknown_key_in_step", "unknown_key_in_retry", "unknown_key_in_compensate", "no_saga"),
        *("no_steps", "two_actions", "no_action", "kind_unknown", "jitter_unknown", "name_upper_case", "name_with_dot"),
        *("event_lower_case", "call_without_command", "duration_unknown_unit", "timeout_negative", "attempts_zero"),
        *("coefficient_below_one", "parallel_zero", "steps_is_a_text", "needs_is_a_text", "compensate_is_a_text"),
        *("retry_on_sleep", "kind_on_wait", "version_zero", "empty_steps", "no_event_in_wait", "no_in_for_each"),
    ],
)
def test_it_refuses_what_an_editor_can_point_at(name: str) -> None:
    assert errors(yaml(CORPUS / "malformed" / f"{name}.yaml"))
