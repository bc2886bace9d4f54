"""The file of a SQLite database: how it is made, and whether it is still the one that was opened.

Knows no connection.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from saga_engine.errors import StoreUnavailableError
from saga_engine.private import open_private

# A process that closes any descriptor of a file lets go of all its locks on it: nobody may open it in between.
_MAKING: Final = threading.Lock()


def file_of(url: str) -> Path | None:
    """The file of a database's url, None for one on a server."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def make_file(path: str) -> None:
    """Make a database's file for its owner alone, if it is not there; SQLite gives those beside it the same rights.

    One that cannot be made is left for SQLite to complain of.
    """
    with _MAKING, suppress(OSError):
        os.close(open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """The very file that a process works on, which may lose its name while it is written to."""

    path: Path
    device: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> OpenedFile:
        """The file of that name. Raises `FileNotFoundError`."""
        found = path.stat()
        return cls(path, found.st_dev, found.st_ino)

    def check(self) -> None:
        """Raises `StoreUnavailableError` when the name is gone or means another file: what is written would be lost."""
        with suppress(FileNotFoundError):
            if OpenedFile.of(self.path) == self:
                return
        # Which of the two cannot be told: a new connection makes a new file of the name.
        raise StoreUnavailableError(
            f"{self.path}: the database was deleted or replaced while it was in use, and what is "
            "written now would be lost; put the file back from a backup, or go on with what is there, and start again"
        )
