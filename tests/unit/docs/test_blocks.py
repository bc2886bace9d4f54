"""Every block of code on every page is run or checked by a test, or says why it is not; every command is known."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from saga_engine.cli.app import saga
from saga_engine.configuration import load
from tests.unit.docs.markdown import FOLLOWED, HOW_TO, ROOT, Block, blocks, pages

EVERY = [block for page in pages() for block in blocks(page)]


def _checked(block: Block) -> bool:
    """Whether a test runs or checks what the block says."""
    if block.illustration or block.generated:
        return True
    match block.language:
        case "sh":
            return block.page in FOLLOWED or all(line.startswith("make ") for line in _commands(block))
        case "text":
            # What the commands before it print.
            return block.page in FOLLOWED
        case "python":
            return block.page in FOLLOWED or block.page.parent == HOW_TO
        case "yaml":
            return re.search("^(?:saga|saga_engine): ", block.text, re.MULTILINE) is not None
        case language:
            return language == "json"


def _commands(block: Block) -> list[str]:
    return [line for line in block.text.splitlines() if line.strip() and not line.startswith("#")]


def test_every_block_is_run_or_checked_or_says_why_it_is_an_illustration() -> None:
    assert [block.place for block in EVERY if not _checked(block)] == []
    assert len({block.page for block in EVERY if block.language == "sh"} & FOLLOWED) == len(FOLLOWED)


def test_a_block_that_nothing_looks_at_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```sh\nls\n```\n\n```sh illustration="of a folder"\nls\n```\n\n```text\nx\n```\n', encoding="utf-8"
    )
    assert [_checked(block) for block in blocks(page)] == [False, True, False]


@pytest.mark.parametrize(
    "block",
    [block for block in EVERY if block.language == "yaml" and re.search("^saga_engine: ", block.text, re.MULTILINE)],
    ids=lambda block: block.place,
)
def test_the_settings_on_a_page_are_settings(block: Block, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(block.text, encoding="utf-8")
    assert load(tmp_path).settings.root == tmp_path


def test_the_targets_of_make_on_the_pages_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = [line for block in EVERY if block.language == "sh" for line in _commands(block)]
    named = {found[1] for line in lines if (found := re.match(r"make ([\w-]+)", line))}
    assert len(named) >= 8
    assert [name for name in sorted(named) if f"\n{name}: " not in makefile] == []


def _spoken() -> Iterator[tuple[str, list[str]]]:
    """Where a command of `saga` stands, in a block or in the text, and its words."""
    for block in EVERY:
        if block.language == "sh":
            for line in block.text.splitlines():
                for found in re.finditer(r"(?:^|\| |\$)saga ([^|<>&]+)", line):
                    yield block.place, shlex.split(found[1], comments=True)
    for page in pages():
        for found in re.finditer(r"`saga ([^`\n]+)`", page.read_text(encoding="utf-8")):
            # Up to a pipe, which a table escapes; what may be left out stands in brackets.
            yield page.name, re.sub(r"[\[\]|]", " ", found[1].partition("\\|")[0]).split()


def _unknown(words: list[str]) -> str | None:
    """What of a command line the command line does not know."""
    command: click.Command = saga
    known = {name for option in saga.params for name in option.opts}
    for word in words:
        if word.startswith("-"):
            # `-` alone is stdin.
            if word != "-" and word.partition("=")[0] not in known | {"--help"}:
                return word
        elif isinstance(command, click.Group) and re.fullmatch("[a-z]+", word):
            found = command.get_command(click.Context(command), word)
            # The value of an option before the command: `saga --log-level debug run`.
            if found is None and command is saga and words[0].startswith("-"):
                continue
            if found is None:
                return word
            command = found
            known |= {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return None


def test_every_command_of_saga_on_a_page_is_known_with_its_options() -> None:
    spoken = list(_spoken())
    assert len(spoken) > 150
    assert [(place, " ".join(words)) for place, words in spoken if _unknown(words) is not None] == []


def test_a_command_that_is_not_there_would_be_noticed() -> None:
    assert _unknown(["start", "place_order", "--wait"]) is None
    assert _unknown(["begin", "place_order"]) == "begin"
    assert _unknown(["start", "place_order", "--soon"]) == "--soon"
    assert _unknown(["--log-level", "debug", "run", "--worker", "order"]) is None
    assert _unknown(["dead", "list", "--reason", "x"]) is None
    assert _unknown(["dead", "bury"]) == "bury"
