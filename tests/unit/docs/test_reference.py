"""The reference is complete and fresh: what can be said to the engine, or by it, stands there, and nothing else does.

Owns where each kind of thing is known from: the command line, the loader, the model of the settings, never the page's
own generator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Final, cast, get_args

import click
import pytest

from docs.generator import errors, language
from docs.generator.blocks import replace_blocks
from docs.generator.pages import DOCS, generated_pages, refreshed
from saga_engine.cli.app import saga
from saga_engine.core.events import Event
from saga_engine.definition.loader import load_text
from saga_engine.definition.model import Json
from saga_engine.definition.problems import Problems
from saga_engine.settings.sections import Config

REFERENCE: Final = DOCS / "reference"
_ROW: Final = re.compile(r"^\| (?:`|\*\*)(?P<name>[^`*]+)(?:`|\*\*)[ ,]", re.MULTILINE)

WRONG: Final = b"""
saga: a
bogus: 1
on: {subject: a.b, key: "${{ event.id }}", bogus: 1}
defaults: {bogus: 1, retry: {bogus: 1}, timeout: {bogus: 1}}
emit: {completed: {event: A, bogus: 1}, bogus: 1}
steps:
  - {step: a, call: a.b, bogus: 1, for_each: {in: "${{ input.x }}", as: y, bogus: 1}, compensate: {call: a.c, bogus: 1}}
  - {step: b, sleep: 1s, bogus: 1}
  - {step: c, wait: {event: A, bogus: 1, on: {subject: a.c, key: "${{ event.id }}", bogus: 1}}, bogus: 1}
  - {step: d, saga: other, bogus: 1}
"""
PLACES: Final = (
    *("saga", "on", "defaults", "retry", "timeout", "emit", "saga_emit", "call_step", "for_each", "compensation"),
    *("sleep_step", "wait", "wait_on", "wait_step", "saga_step"),
)
"""The places of the language in the order in which `WRONG` has something unknown in them."""


def _known_keys() -> set[str]:
    """Every key of the language with its place, as the loader says what it would have expected there."""
    said = load_text(WRONG, "wrong.yaml")
    assert isinstance(said, Problems)
    found = [
        problem.expected.removeprefix("one of ").split(", ") for problem in said.problems if problem.code == "E111"
    ]
    places = dict(zip(PLACES, found, strict=True))
    common = set(places["sleep_step"]) - {"sleep"}
    own = {name: set(keys) - common if name.endswith("_step") else keys for name, keys in places.items()}
    return {f"{place}.{key}" for place, keys in {**own, "step": common}.items() for key in keys}


def _shown_keys(page: str) -> set[str]:
    found = re.finditer(r"<!-- generated: keys (\w+) -->(.*?)<!-- /generated -->", page, re.DOTALL)
    return {f"{block[1]}.{row['name']}" for block in found for row in _ROW.finditer(block[2])}


def _known_commands(command: click.Command = saga, path: str = "saga") -> Iterator[str]:
    """Every command and every option of it, as they are typed."""
    yield path
    yield from (f"{path} {option}" for option in _options(command))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from _known_commands(cast(click.Command, command.get_command(context, name)), f"{path} {name}")


def _options(command: click.Command) -> Iterator[str]:
    given = [one for one in command.params if isinstance(one, click.Option) and one.name != "help"]
    yield from (name for one in given for name in (*one.opts, *one.secondary_opts))


def _shown_commands(page: str) -> set[str]:
    sections = re.findall(r"^### `(saga[^`]*)`$(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    rows = [(path, row) for path, text in sections for row in re.findall(r"^\| (`-[^|]*) \|", text, re.MULTILINE)]
    return {path for path, _ in sections} | {
        f"{path} {name}" for path, row in rows for name in re.findall("`([^`]+)`", row)
    }


def _known_settings() -> set[str]:
    """Every key of config.yaml, from the JSON Schema that pydantic makes of the settings."""
    schema = cast(Mapping[str, Json], Config.model_json_schema())
    return set(_leaves(schema, cast(Mapping[str, Mapping[str, Json]], schema["$defs"]), ""))


def _leaves(schema: Mapping[str, Json], shared: Mapping[str, Mapping[str, Json]], prefix: str) -> Iterator[str]:
    for name, each in cast(Mapping[str, Mapping[str, Json]], schema["properties"]).items():
        text = str(each)
        section = re.search(r"#/\$defs/((?!JsonValue|Listening)\w+)", text)
        form = ".<name>" if "patternProperties" in text else "[]" if "array" in text else ""
        if section is None:
            yield prefix + name
        else:
            yield from _leaves(shared[section[1]], shared, f"{prefix}{name}{form}.")


def _known_metrics() -> Iterable[str]:
    """The metrics that the source of the engine's metrics names."""
    for path in (DOCS.parent / "saga_engine" / "metrics").glob("*.py"):
        yield from re.findall(r'"(saga_engine_[a-z_]+)"', path.read_text(encoding="utf-8"))


def _rows(page: str) -> set[str]:
    return {row["name"] for row in _ROW.finditer(page)}


def _shown_metrics(page: str) -> set[str]:
    return {name for name in _rows(page) if name.startswith("saga_engine_")}


def _shown_settings(page: str) -> set[str]:
    return _rows(page.partition("<!-- generated: config -->")[2].partition("<!-- /generated -->")[0])


def _shown_events(page: str) -> set[str]:
    return _rows(page) & {event.__name__ for event in get_args(Event)}


def _shown_codes(page: str) -> set[str]:
    return set(re.findall(r"^### ([EW]\d+)", page, re.MULTILINE))


KINDS: Final[Mapping[str, tuple[str, Set[str], Callable[[str], set[str]]]]] = {
    "commands": ("cli.md", set(_known_commands()), _shown_commands),
    "settings": ("config.md", _known_settings(), _shown_settings),
    "events": ("events.md", {event.__name__ for event in get_args(Event)}, _shown_events),
    "keys": ("language.md", _known_keys(), _shown_keys),
    "codes": ("errors.md", set(errors.known_codes()), _shown_codes),
    "metrics": ("metrics.md", set(_known_metrics()), _shown_metrics),
}
"""By kind: its page, what there is of it, and what the page shows of it."""

FEWEST: Final = {"commands": 150, "settings": 40, "events": 20, "keys": 50, "codes": 50, "metrics": 15}


@pytest.mark.parametrize("page", generated_pages(), ids=lambda page: page.name)
def test_a_generated_page_is_fresh(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == refreshed(page), "run `make docs-reference`"


def test_a_stale_block_would_be_noticed_and_what_is_written_by_hand_stays() -> None:
    page = "# Title\n\n<!-- generated: cli -->\n\nold\n\n<!-- /generated -->\n\nby hand\n"
    fresh = replace_blocks(page, lambda name, _argument: f"new {name}")
    assert fresh == "# Title\n\n<!-- generated: cli -->\n\nnew cli\n\n<!-- /generated -->\n\nby hand\n"
    assert replace_blocks(fresh, lambda name, _argument: f"new {name}") == fresh


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_shows_everything_that_there_is_and_nothing_else(kind: str) -> None:
    page, known, shown = KINDS[kind]
    assert shown((REFERENCE / page).read_text(encoding="utf-8")) == known
    assert len(known) >= FEWEST[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_taken_off_its_page_is_missed(kind: str) -> None:
    page, known, shown = KINDS[kind]
    text = (REFERENCE / page).read_text(encoding="utf-8")
    generated = "".join(re.findall(r"<!-- generated: .*?<!-- /generated -->", text, re.DOTALL))
    telling = re.findall(r"^(?:\| [`*]|### ).*\n", generated, re.MULTILINE)
    assert len(telling) > 12
    for line in telling[:: len(telling) // 12]:
        assert shown(text.replace(line, "", 1)) != known, line


def test_every_part_of_the_language_has_its_table() -> None:
    assert set(language.places()) == {*PLACES, "step"}
