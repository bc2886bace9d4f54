"""Randomness from one seed: an independent stream for each concern, so that a draw more in one moves no other.

Owns the streams and nothing that is drawn from them.
"""

from __future__ import annotations

from random import Random


class Chance:
    """The streams of one seed, by name. The same name is the same stream."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, Random] = {}

    def of(self, concern: str) -> Random:
        """The stream of a concern, which goes on where it stopped."""
        stream = self._streams.get(concern)
        if stream is None:
            stream = self._streams[concern] = Random(f"{self.seed} {concern}")
        return stream
