"""Generated blocks within a page: what stands between `<!-- generated: NAME ARGUMENT -->` and `<!-- /generated -->`.

Owns finding and replacing them, and the forms of Markdown that they are written in. Knows no content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

_BLOCK: Final = re.compile(
    r"(?P<head><!-- generated: (?P<name>[a-z_]+)(?: (?P<argument>\S+))? -->\n).*?(?P<tail><!-- /generated -->)",
    re.DOTALL,
)


def has_blocks(text: str) -> bool:
    """Whether a page has anything to generate."""
    return _BLOCK.search(text) is not None


def replace_blocks(text: str, produce: Callable[[str, str], str]) -> str:
    """The page with every block written anew by `produce(name, argument)`."""

    def written(block: re.Match[str]) -> str:
        content = produce(block["name"], block["argument"] or "").strip("\n")
        return f"{block['head']}\n{content}\n\n{block['tail']}"

    return _BLOCK.sub(written, text)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a `|` in a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def fence(language: str, text: str) -> str:
    """A block of code."""
    body = text.strip("\n")
    return f"```{language}\n{body}\n```"


def code(text: str) -> str:
    """Code within a line; nothing when there is none."""
    return f"`{text}`" if text else ""
