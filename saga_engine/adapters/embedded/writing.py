"""Whether a running nats-server still writes: after an error of the disk it refuses a stream until it is started anew.

Told by its log, the one place where it says so. Starts and ends nothing.
"""

from __future__ import annotations

import shutil
from typing import Final

from saga_engine.adapters.embedded.place import Place

_GIVEN_UP: Final = b"critical write error"
_ROOM: Final = 16 * 1024 * 1024
"""Bytes that must be free before a server is worth to be started anew: its blocks have at most 8 MiB."""


class Writing:
    """What the server that is started next writes into its log from now on."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._read = _size(place)
        self._given_up = False

    def hopeless(self) -> bool:
        """Whether it has given up a stream, and there is room again: started anew it would write."""
        try:
            if not self._given_up:
                self._given_up = _GIVEN_UP in self._news().lower()
            return self._given_up and shutil.disk_usage(self._place.root).free >= _ROOM
        except OSError:
            # What cannot be looked at, as while somebody takes the folder away, says nothing.
            return False

    def _news(self) -> bytes:
        size = _size(self._place)
        if size < self._read:
            # A log that has become too long is begun anew.
            self._read = 0
        if size == self._read:
            return b""
        with self._place.log.open("rb") as log:
            log.seek(self._read)
            news = log.read(size - self._read)
        self._read = size
        return news


def _size(place: Place) -> int:
    try:
        return place.log.stat().st_size
    except FileNotFoundError:
        return 0
