"""The colours of all pictures: light fills under dark text, so that every box can be read (WCAG 2.2, contrast AA)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from saga_engine.graph.picture import Tone

TEXT: Final = "#1f2933"
QUIET: Final = "#52606d"
LINE: Final = "#52606d"
BACK: Final = "#974208"
PAPER: Final = "#ffffff"

FILL: Final[Mapping[Tone, str]] = {
    Tone.PLAIN: "#eef4fb",
    Tone.TIMER: "#f5f0fa",
    Tone.EVENT: "#e9f6f5",
    Tone.PENDING: "#ffffff",
    Tone.RUNNING: "#d6e8ff",
    Tone.DONE: "#d5f0dc",
    Tone.SKIPPED: "#eceff1",
    Tone.COMPENSATING: "#ffe8c2",
    Tone.COMPENSATED: "#fff4d1",
    Tone.FAILED: "#fbdcdc",
}
STROKE: Final[Mapping[Tone, str]] = {
    Tone.PLAIN: "#5b7fa6",
    Tone.TIMER: "#8a6fb0",
    Tone.EVENT: "#3d8a85",
    Tone.PENDING: "#9aa5b1",
    Tone.RUNNING: "#2563c9",
    Tone.DONE: "#2f8f4e",
    Tone.SKIPPED: "#9aa5b1",
    Tone.COMPENSATING: "#c2740c",
    Tone.COMPENSATED: "#b98900",
    Tone.FAILED: "#c0392b",
}
