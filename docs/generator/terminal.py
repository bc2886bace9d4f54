"""What a terminal shows, as a picture: bytes with escape sequences to SVG, by rich.

Owns finding the frames of a picture that is drawn again and again, and the look. Knows no command.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Final

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_REDRAWN: Final = re.compile(r"\x1b\[\?25[lh]|(?:\r?\x1b\[2K(?:\x1b\[1A\x1b\[2K)*)")
"""What the live picture of rich writes between two frames: the cursor is hidden or shown, or goes up line by line."""

_FONT_FACE: Final = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
_LOOK: Final = _FONT_FACE.sub("", CONSOLE_SVG_FORMAT).replace(
    "Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
)
"""rich's own, but that no font is fetched from elsewhere."""


def frames(written: bytes) -> Sequence[str]:
    """Each picture that a terminal has shown, without the empty ones; a command that redraws nothing has one."""
    text = written.decode("utf-8").replace("\r\n", "\n")
    return [frame.strip("\n") for frame in _REDRAWN.split(text) if frame.strip()]


def svg(frame: str, title: str, name: str) -> str:
    """One frame. `name` is unique among the pictures of a page: it makes the names of its styles."""
    lines = [Text.from_ansi(line) for line in frame.splitlines()]
    width = max(cell_len(line.plain) for line in lines)
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, highlight=False)
    for line in lines:
        console.print(line, no_wrap=True, crop=False)
    picture = console.export_svg(title=title, code_format=_LOOK, unique_id=name)
    return "".join(f"{line.rstrip()}\n" for line in picture.splitlines() if line.strip())
