"""What tests see of the documentation: its pages, their blocks of code, their links and headings.

Owns reading Markdown as far as our pages use it. Judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
README: Final = ROOT / "README.md"
QUICKSTART: Final = ROOT / "docs" / "quickstart.md"
HOW_TO: Final = ROOT / "docs" / "how-to"
OWN_SAGA: Final = HOW_TO / "own-saga.md"
SIGNALS: Final = HOW_TO / "wait-and-signal.md"
OPERATING: Final = tuple(
    HOW_TO / f"{name}.md" for name in ("audit", "secure", "monitor", "participants-at-speed", "operate", "watch")
)
"""Pages about a project that is there, in the order in which they are followed."""

FOLLOWED: Final = frozenset((README, QUICKSTART, OWN_SAGA, SIGNALS, *OPERATING))
"""Pages whose commands the acceptance tests run, in real processes."""

_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_TITLE: Final = re.compile(r'title="([^"]+)"')
_ILLUSTRATION: Final = re.compile(r'illustration="([^"]+)"')
_IMAGE: Final = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_GENERATED: Final = re.compile(r"<!-- generated: .*?<!-- /generated -->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: where it stands, its language, and what its info string says besides.

    `title`: the file that it is the content of. `illustration`: why it is shown only; empty where it is run or checked.
    `stopped`: the reader was told to stop `saga run` before. `generated`: a program has written it from what there is.
    """

    page: Path
    line: int
    language: str
    title: str
    illustration: str
    stopped: bool
    generated: bool
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> Sequence[Path]:
    """Every page that we hold to account."""
    return [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [_block(page, text, found) for found in _FENCE.finditer(text)]


def _block(page: Path, text: str, found: re.Match[str]) -> Block:
    language, _, rest = found["info"].strip().partition(" ")
    title, illustration = _TITLE.search(rest), _ILLUSTRATION.search(rest)
    words = re.sub(r'"[^"]*"', '""', rest).split()
    assert set(words) <= {'title=""', 'illustration=""', "after-stop"}, f"{page.name}: what is {rest!r}?"
    generated = any(part.start() < found.start() < part.end() for part in _GENERATED.finditer(text))
    indent = len(found["indent"])
    lines = [line[indent:] for line in found["text"].splitlines()]
    return Block(
        page,
        text.count("\n", 0, found.start()) + 1,
        language,
        title[1] if title is not None else "",
        illustration[1] if illustration is not None else "",
        "after-stop" in words,
        generated,
        "\n".join(lines) + "\n",
    )


def links(page: Path) -> Iterator[str]:
    """The targets of all links of a page, those in code left out."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for found in _LINK.finditer(re.sub(r"`[^`\n]*`(?!\])", "", text)):
        yield found["target"]


def images(page: Path) -> Iterator[tuple[str, str]]:
    """The pictures of a page: what stands for each where it cannot be seen, and its file."""
    for found in _IMAGE.finditer(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        yield found["alt"], found["target"]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
