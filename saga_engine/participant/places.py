"""Where a handler failed, as places only: the lines of its author's own code, and where the error came up.

Owns which frames of a traceback are told. Shows no value and no source text.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

_ENGINE: Final = str(Path(__file__).parents[1])
_INSTALLED: Final = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_INNERMOST: Final = 2
"""Frames that are told whosever they are: where the error came up."""
_MOST: Final = 12
"""Of a handler that calls itself, its first and last frames."""


def places_of(trace: TracebackType | None) -> str:
    """`file:line function`, from the handler inwards, without what the engine and libraries did in between."""
    frames = traceback.extract_tb(trace)
    outside = [at for at, frame in enumerate(frames) if not _below(frame, (_ENGINE,))]
    # The first frame outside the engine is the handler itself, also where its package is installed as a library is.
    own = {at for at in outside if at == outside[0] or not _below(frames[at], _INSTALLED)}
    told = sorted({*own, *range(max(len(frames) - _INNERMOST, 0), len(frames))})
    if len(told) > _MOST:
        told = [*told[: _MOST // 2], *told[-_MOST // 2 :]]
    return _joined(frames, told)


def _joined(frames: Sequence[traceback.FrameSummary], told: Sequence[int]) -> str:
    """The frames of these numbers; `…` where some between two of them are left out."""
    text = ""
    for number, at in enumerate(told):
        if number:
            text += " > " if at == told[number - 1] + 1 else " > … > "
        text += f"{frames[at].filename}:{frames[at].lineno} {frames[at].name}"
    return text


def _below(frame: traceback.FrameSummary, folders: Sequence[str]) -> bool:
    return any(frame.filename.startswith(f"{folder}/") for folder in folders)
