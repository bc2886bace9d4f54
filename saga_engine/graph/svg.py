"""A picture as SVG, on its own: no script, no font to load, no style from outside. Owns drawing only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from saga_engine.graph.colours import BACK, FILL, LINE, PAPER, QUIET, STROKE, TEXT
from saga_engine.graph.layout import Layout, Turn, lay_out
from saga_engine.graph.picture import Arrow, Box, Picture, Tone

_MARGIN: Final = 28.0
_HEAD: Final = 44.0
_FOOT: Final = 40.0
_LINE_HEIGHT: Final = 18.0
_PADDING: Final = 12.0
_CHARACTER: Final = 7.6
"""Width of a character at 13 pixels, on the safe side: what is measured here is drawn by fonts that we do not know."""

_LONGEST: Final = 44
_BESIDE: Final = 7.0
"""How far apart the two directions of an arrow are drawn, on either side of its middle."""


def svg(shown: Picture) -> str:
    """The whole document."""
    sizes = {box.place: _size(box) for box in shown.boxes}
    layout = lay_out(sizes, shown.arrows)
    return "\n".join(_document(shown, layout)) + "\n"


def _size(box: Box) -> tuple[float, float]:
    lines = list(_texts(box))
    widest = max(len(_cut(box.place)) * 1.1, *(len(text) for text, _ in lines))
    return max(130.0, widest * _CHARACTER + 2 * _PADDING), (1 + len(lines)) * _LINE_HEIGHT + 2 * _PADDING - 4


def _texts(box: Box) -> Iterator[tuple[str, str]]:
    """The lines below a step's name, and their colours."""
    if box.badge:
        yield box.badge, QUIET
    for line in box.lines:
        yield _cut(line), BACK if line.startswith("↶") else TEXT


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _document(shown: Picture, layout: Layout) -> Iterator[str]:
    legend = list(_legend(shown))
    width = max(layout.width, len(shown.title) * 9.5, sum(_legend_width(text) for text, _ in legend))
    width, height = width + 2 * _MARGIN, layout.height + 2 * _MARGIN + _HEAD + _FOOT
    left = _MARGIN + (width - 2 * _MARGIN - layout.width) / 2
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" '
        f'font-size="13" fill="{TEXT}">'
    )
    yield f"<title>{escape(shown.title)}</title>"
    yield "<defs>"
    yield _arrow_head("forward", LINE)
    yield _arrow_head("back", BACK)
    yield "</defs>"
    yield f'<rect width="100%" height="100%" fill="{PAPER}"/>'
    title = escape(shown.title)
    yield f'<text x="{_MARGIN:.0f}" y="{_MARGIN + 12:.0f}" font-size="17" font-weight="600">{title}</text>'
    yield f'<g transform="translate({left:.1f} {_MARGIN + _HEAD:.1f})">'
    for arrow, turns in zip(shown.arrows, layout.arrows, strict=True):
        yield from _arrow(arrow, turns, down=layout.down)
    for box in shown.boxes:
        yield from _drawn(box, *layout.boxes[box.place])
    yield "</g>"
    yield from _key(legend, height - _MARGIN)
    yield "</svg>"


def _arrow_head(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        f'orient="auto"><path d="M0 0L10 5L0 10z" fill="{colour}"/></marker>'
    )


def _arrow(arrow: Arrow, turns: Sequence[Turn], *, down: bool) -> Iterator[str]:
    beside = _BESIDE if arrow.undone else 0.0
    path = _path([(across - beside, enter, leave) for across, enter, leave in turns], down=down)
    yield f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.6" marker-end="url(#forward)"/>'
    if arrow.undone:
        # Drawn from its own beginning, since not every viewer turns the head at a path's start around.
        back = [(across + beside, leave, enter) for across, enter, leave in reversed(turns)]
        path = _path(back, down=down)
        yield (
            f'<path d="{path}" fill="none" stroke="{BACK}" stroke-width="1.4" stroke-dasharray="5 4" '
            'marker-end="url(#back)"/>'
        )


def _path(turns: Sequence[Turn], *, down: bool) -> str:
    """From layer to layer in curves that begin and end in the direction of the layers, straight through each layer."""

    def point(across: float, along: float) -> str:
        return f"{across:.1f} {along:.1f}" if down else f"{along:.1f} {across:.1f}"

    across, _, leave = turns[0]
    parts = [f"M{point(across, leave)}"]
    for index, (next_across, enter, next_leave) in enumerate(turns[1:], start=1):
        half = (leave + enter) / 2
        parts.append(f"C{point(across, half)} {point(next_across, half)} {point(next_across, enter)}")
        if index < len(turns) - 1:
            parts.append(f"L{point(next_across, next_leave)}")
        across, leave = next_across, next_leave
    return "".join(parts)


def _drawn(box: Box, x: float, y: float, width: float, height: float) -> Iterator[str]:
    stroke, weight = (TEXT, 3.0) if box.pivot else (STROKE[box.tone], 1.3)
    dashed = ' stroke-dasharray="5 4"' if box.tone is Tone.SKIPPED else ""
    round_by = height / 2 if box.tone in (Tone.TIMER, Tone.EVENT) else 8
    whole = " · ".join((box.place, *box.lines))
    yield f"<g><title>{escape(whole)}</title>"
    yield (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{min(round_by, 20):.0f}" '
        f'fill="{FILL[box.tone]}" stroke="{stroke}" stroke-width="{weight}"{dashed}/>'
    )
    middle, line = x + width / 2, y + _PADDING + 10
    name = escape(_cut(box.place))
    yield f'<text x="{middle:.1f}" y="{line:.1f}" text-anchor="middle" font-weight="600">{name}</text>'
    for text, colour in _texts(box):
        line += _LINE_HEIGHT
        yield f'<text x="{middle:.1f}" y="{line:.1f}" text-anchor="middle" fill="{colour}">{escape(text)}</text>'
    yield "</g>"


def _legend(shown: Picture) -> Iterator[tuple[str, str]]:
    """The words below the picture, and how each is drawn: the signs that are used in it, no others."""
    yield "forward", "forward"
    if any(arrow.undone for arrow in shown.arrows):
        yield "order of compensation", "back"
    if any(line.startswith("↶") for box in shown.boxes for line in box.lines):
        yield "compensating command", "sign"
    if any(box.pivot for box in shown.boxes):
        yield "pivot: the point of no return", "pivot"


def _key(legend: Sequence[tuple[str, str]], y: float) -> Iterator[str]:
    x = _MARGIN
    for text, drawn in legend:
        if drawn == "sign":
            yield f'<text x="{x + 10:.0f}" y="{y:.0f}" fill="{BACK}">↶</text>'
        elif drawn == "pivot":
            yield (
                f'<rect x="{x:.0f}" y="{y - 11:.0f}" width="26" height="13" rx="3" fill="{PAPER}" stroke="{TEXT}" '
                'stroke-width="3"/>'
            )
        else:
            colour, dashes = (LINE, "") if drawn == "forward" else (BACK, ' stroke-dasharray="5 4"')
            yield (
                f'<path d="M{x:.0f} {y - 4:.0f}h26" stroke="{colour}" stroke-width="1.6"{dashes} '
                f'marker-end="url(#{drawn})"/>'
            )
        yield f'<text x="{x + 34:.0f}" y="{y:.0f}" fill="{QUIET}">{escape(text)}</text>'
        x += _legend_width(text)


def _legend_width(text: str) -> float:
    return 62 + len(text) * _CHARACTER
