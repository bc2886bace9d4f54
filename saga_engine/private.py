"""What a project keeps on disk is for its owner alone, whatever the umask: the data folder and the files in it.

Owns the folder's name and the modes. Knows nothing of what is kept there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

DATA_FOLDER: Final = ".saga"
"""Where a project keeps its SQLite files and the embedded nats-server's data, below its root."""

FILE_MODE: Final = 0o600
OTHERS_MASK: Final = 0o077
"""The umask of programs that are started to write there."""

_FOLDER_MODE: Final = 0o700


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it. What is made is private; of what was there only a data folder is narrowed.

    Raises `OSError` when it cannot be made.
    """
    for one in reversed([folder, *folder.parents]):
        try:
            one.mkdir()
            one.chmod(_FOLDER_MODE)  # not by `mkdir`: the umask may take even the owner's rights
        except OSError:
            if not one.is_dir():
                raise
            if one.name == DATA_FOLDER and one.stat().st_mode & OTHERS_MASK:
                with suppress(PermissionError):  # somebody else's, who alone may narrow it
                    one.chmod(_FOLDER_MODE)


def write_private(path: Path, content: str) -> None:
    """Write a text file anew that nobody else can read, at no moment."""
    with open(path, "w", encoding="utf-8", opener=open_private) as file:
        file.write(content)


def open_private(path: str, flags: int) -> int:
    """For `open`: a file that is made is for its owner alone."""
    descriptor = os.open(path, flags, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)
    return descriptor
