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

_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_TITLE: Final = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: where it stands, its language, and what its info string says besides.

    `title`: the file that it is the content of. `illustration`: it is shown only, and says so. `stopped`: the reader
    was told to stop `saga run` before.
    """

    page: Path
    line: int
    language: str
    title: str
    illustration: bool
    stopped: bool
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
    title = _TITLE.search(rest)
    indent = len(found["indent"])
    lines = [line[indent:] for line in found["text"].splitlines()]
    return Block(
        page,
        text.count("\n", 0, found.start()) + 1,
        language,
        title[1] if title is not None else "",
        "illustration" in rest.split(),
        "after-stop" in rest.split(),
        "\n".join(lines) + "\n",
    )


def links(page: Path) -> Iterator[str]:
    """The targets of all links of a page, those in code left out."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for found in _LINK.finditer(re.sub(r"`[^`\n]*`(?!\])", "", text)):
        yield found["target"]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
