"""A picture as Mermaid text, which GitHub and many editors show. Owns that syntax and its escapes only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from saga_engine.graph.colours import BACK, FILL, STROKE, TEXT
from saga_engine.graph.picture import Box, Picture, Tone

_ESCAPES: Final = {ord(sign): f"#{ord(sign)};" for sign in '#"<>&{}[]()|\\`\n\r'}


def mermaid(shown: Picture) -> str:
    """The text of a flowchart."""
    return "\n".join(_lines(shown)) + "\n"


def _lines(shown: Picture) -> Iterator[str]:
    names = {box.place: f"s{number}" for number, box in enumerate(shown.boxes)}
    yield "---"
    yield f'title: "{shown.title}"'
    yield "---"
    yield "flowchart TD"
    for box in shown.boxes:
        left, right = ("{{", "}}") if box.pivot else ("([", "])") if box.tone is Tone.EVENT else ("[", "]")
        yield f'    {names[box.place]}{left}"{_label(box)}"{right}:::{box.tone}'
    back: list[int] = []
    drawn = 0
    for arrow in shown.arrows:
        yield f"    {names[arrow.source]} --> {names[arrow.target]}"
        drawn += 1
        if arrow.undone:
            yield f"    {names[arrow.target]} -.-> {names[arrow.source]}"
            back.append(drawn)
            drawn += 1
    if back:
        yield f"    linkStyle {','.join(map(str, back))} stroke:{BACK}"
    pivots = [names[box.place] for box in shown.boxes if box.pivot]
    for tone in Tone:
        if any(box.tone is tone for box in shown.boxes):
            yield f"    classDef {tone} fill:{FILL[tone]},stroke:{STROKE[tone]},color:{TEXT}"
    if pivots:
        yield f"    classDef pivot stroke-width:4px,stroke:{TEXT}"
        yield f"    class {','.join(pivots)} pivot"


def _label(box: Box) -> str:
    badge = f" · {box.badge}" if box.badge else ""
    lines = [f"<b>{box.place.translate(_ESCAPES)}</b>{badge}", *(line.translate(_ESCAPES) for line in box.lines)]
    return "<br/>".join(lines)
