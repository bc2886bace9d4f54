"""What a sampled profile says: which part of the engine a sample is charged to, and which functions are on top.

Reads folded stacks, as flame graph tools do. Starts nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.records import Figures

_OURS: Final = "(saga_engine/"

_PARTS: Final = (
    ("core/", "core, definition, codec"),
    ("definition/", "core, definition, codec"),
    ("codec", "core, definition, codec"),
    ("orchestrator/", "orchestrator: agenda, transactor, relay, intake"),
    ("participant/", "participant: deliveries, executor, replies"),
    ("wire/", "wire, envelope"),
    ("envelope", "wire, envelope"),
    ("adapters/nats/", "NATS"),
    ("adapters/sql/", "SQL store, with its driver"),
    ("sql/", "SQL store, with its driver"),
    ("cli/", "event loop"),
    ("__main__", "event loop"),
)
_ELSEWHERE: Final = "ports, clock, tasks, other"
_LIBRARIES: Final = "threads and libraries of their own"

_FUNCTIONS: Final = 20


def parts(folded: str) -> Figures:
    """Shares of all samples, largest first.

    A sample is charged to the innermost function of ours: what a library does for it counts as its own. What runs
    below the command line alone is the event loop's.
    """
    charged = Counter[str]()
    for frames, count in _samples(folded):
        charged[_part(frames)] += count
    return _shares(charged, None)


def functions(folded: str) -> Figures:
    """Shares of the functions that were on top of the stack most often, libraries included."""
    own = Counter[str]()
    for frames, count in _samples(folded):
        own[frames[-1]] += count
    return _shares(own, _FUNCTIONS)


def within(folded: str) -> Figures:
    """Shares of our own functions, with all that they call."""
    found = Counter[str]()
    total = 0
    for frames, count in _samples(folded):
        total += count
        found.update({frame: count for frame in set(frames) if _OURS in frame})
    return {name: count / max(total, 1) for name, count in found.most_common(_FUNCTIONS)}


def _samples(folded: str) -> Iterator[tuple[Sequence[str], int]]:
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        yield stack.split(";"), int(count)


def _part(frames: Sequence[str]) -> str:
    ours = next((frame for frame in reversed(frames) if _OURS in frame), None)
    if ours is None:
        return _LIBRARIES
    place = ours.partition(_OURS)[2]
    return next((part for start, part in _PARTS if place.startswith(start)), _ELSEWHERE)


def _shares(counted: Counter[str], most: int | None) -> Figures:
    total = max(counted.total(), 1)
    return {name: count / total for name, count in counted.most_common(most)}
