"""Where boxes stand: layers by the longest way from the start, few crossings, long arrows led around boxes.

Owns coordinates, as the layered method of Sugiyama, Tagawa and Toda (1981) finds them. Knows sizes, no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from statistics import mean
from typing import Final, TypeAlias

from saga_engine.graph.picture import Arrow

Turn: TypeAlias = tuple[float, float, float]

_SWEEPS: Final = 8
_WIDE: Final = 5
_TURNING: Final = 5.0
_BEND_ROOM: Final = 26.0


@dataclass(slots=True)
class Spot:
    """A box, or a bend of a long arrow (`place` empty). `length` is along the layers' way, the rest across it."""

    place: str
    layer: int
    length: float
    breadth: float
    across: float = 0.0
    before: list[Spot] = field(default_factory=list)
    after: list[Spot] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of a picture is drawn.

    Boxes by name, as (left, top, width, height), and for each arrow, in order, the turns it takes: where it stands
    across the layer, where along the way it enters the layer, and where it leaves it. `down`: layers lie below each
    other, else side by side.
    """

    boxes: Mapping[str, tuple[float, float, float, float]]
    arrows: Sequence[Sequence[Turn]]
    down: bool
    width: float
    height: float


def lay_out(
    sizes: Mapping[str, tuple[float, float]], arrows: Sequence[Arrow], *, gap: float = 52.0, room: float = 26.0
) -> Layout:
    """Place boxes of these sizes (width, height), which come in topological order.

    Layers lie below each other unless one of them is wide. `gap` is left between layers, `room` between boxes.
    """
    layers_of = _layers(sizes, arrows)
    widest = max((list(layers_of.values()).count(layer) for layer in set(layers_of.values())), default=0)
    down = widest <= _WIDE
    spots = {
        place: Spot(place, layers_of[place], *((height, width) if down else (width, height)))
        for place, (width, height) in sizes.items()
    }
    chains = [_chain(spots[arrow.source], spots[arrow.target]) for arrow in arrows]
    layers = _ordered(spots, chains)
    _spread(layers, room)
    return _finish(layers, chains, down=down, gap=gap)


def _layers(sizes: Mapping[str, tuple[float, float]], arrows: Sequence[Arrow]) -> dict[str, int]:
    layer = dict.fromkeys(sizes, 0)
    into: dict[str, list[str]] = {place: [] for place in sizes}
    for arrow in arrows:
        into[arrow.target].append(arrow.source)
    for place in sizes:
        layer[place] = max((layer[source] + 1 for source in into[place]), default=0)
    return layer


def _chain(source: Spot, target: Spot) -> list[Spot]:
    """The spots of an arrow: its ends, and a bend in every layer between them."""
    bends = [Spot("", layer, 0.0, _BEND_ROOM) for layer in range(source.layer + 1, target.layer)]
    chain = [source, *bends, target]
    for near, far in pairwise(chain):
        near.after.append(far)
        far.before.append(near)
    return chain


def _ordered(spots: Mapping[str, Spot], chains: Sequence[Sequence[Spot]]) -> list[list[Spot]]:
    """The layers, each ordered so that few arrows cross: by the mean position of neighbours, back and forth."""
    depth = max((spot.layer for spot in spots.values()), default=-1) + 1
    layers: list[list[Spot]] = [[] for _ in range(depth)]
    for spot in spots.values():
        layers[spot.layer].append(spot)
    for chain in chains:
        for bend in chain[1:-1]:
            layers[bend.layer].append(bend)
    rank = {id(spot): float(index) for layer in layers for index, spot in enumerate(layer)}
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            means = {
                id(spot): mean(
                    [rank[id(near)] for near in (spot.before if sweep % 2 == 0 else spot.after)] or [rank[id(spot)]]
                )
                for spot in layer
            }
            layer.sort(key=lambda spot: means[id(spot)])
            for index, spot in enumerate(layer):
                rank[id(spot)] = float(index)
    return layers


def _spread(layers: Sequence[Sequence[Spot]], room: float) -> None:
    """Move the spots of each layer apart, and as near to their neighbours as that allows."""
    for layer in layers:
        _apart(layer, room)
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            for spot in layer:
                near = spot.before if sweep % 2 == 0 else spot.after
                if near:
                    spot.across = mean(other.across for other in near)
            _apart(layer, room)


def _apart(layer: Sequence[Spot], room: float) -> None:
    """Keep the order and the room between neighbours, moving the whole as little as possible."""
    wanted = [spot.across for spot in layer]
    for left, right in pairwise(layer):
        right.across = max(right.across, left.across + (left.breadth + right.breadth) / 2 + room)
    if layer:
        shift = mean(spot.across - want for spot, want in zip(layer, wanted, strict=True))
        for spot in layer:
            spot.across -= shift


def _finish(layers: Sequence[Sequence[Spot]], chains: Sequence[Sequence[Spot]], *, down: bool, gap: float) -> Layout:
    left = min((spot.across - spot.breadth / 2 for layer in layers for spot in layer), default=0.0)
    bands: list[tuple[float, float]] = []
    at = 0.0
    for layer, following in zip_longest(layers, layers[1:], fillvalue=()):
        length = max(spot.length for spot in layer)
        bands.append((at, at + length))
        # A wide bundle of arrows needs room to turn in.
        at += length + gap + _TURNING * max(0, max(len(layer), len(following)) - _WIDE)
    boxes: dict[str, tuple[float, float, float, float]] = {}
    for layer in layers:
        for spot in layer:
            start, end = bands[spot.layer]
            along, across = (start + end - spot.length) / 2, spot.across - left - spot.breadth / 2
            if spot.place and down:
                boxes[spot.place] = (across, along, spot.breadth, spot.length)
            elif spot.place:
                boxes[spot.place] = (along, across, spot.length, spot.breadth)
    arrows = [[_turn(spot, bands, left) for spot in chain] for chain in chains]
    breadth = max((spot.across + spot.breadth / 2 for layer in layers for spot in layer), default=0.0) - left
    length = bands[-1][1] if bands else 0.0
    return Layout(boxes, arrows, down, breadth if down else length, length if down else breadth)


def _turn(spot: Spot, bands: Sequence[tuple[float, float]], left: float) -> Turn:
    start, end = bands[spot.layer]
    middle = (start + end) / 2
    if spot.place:
        return spot.across - left, middle - spot.length / 2, middle + spot.length / 2
    return spot.across - left, start, end
