"""What an orchestrator is called: by its place in the project's folder.

So its successor there has its name, and with it its leases. Owns the places, held by locks that die with their process.
Knows no lease.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import structlog
from filelock import FileLock, Timeout

from saga_engine.private import FILE_MODE, make_private_folder, write_private

_PLACES: Final = 64
_WORD_BYTES: Final = 6

_log = structlog.get_logger(__name__)


@contextmanager
def orchestrator_name(folder: Path) -> Iterator[str]:
    """A name that no other process has while this block runs, and that whoever comes after us in `folder` gets again.

    The first free place below `folder` is taken. Its file holds a random word: two folders do not give the same name
    unless one was copied from the other, nor do two machines that share one. Where nothing can be locked or written,
    the name is a new one each time. Two that have the same name after all find out by their leases.
    """
    with ExitStack() as held:
        try:
            word = _take_place(folder, held)
        except (OSError, NotImplementedError) as error:  # the latter: filelock's, of a file system without locks
            _log.info("this orchestrator cannot keep its name: its leases must run out when it dies", error=str(error))
            word = None
        yield f"{socket.gethostname()}-{word or secrets.token_hex(_WORD_BYTES)}"


def _take_place(folder: Path, held: ExitStack) -> str | None:
    """The word of the first free place, whose lock `held` keeps; None when all are taken. Raises as locking does."""
    make_private_folder(folder)
    for number in range(_PLACES):
        lock = FileLock(folder / f"{number}.lock", thread_local=False, mode=FILE_MODE)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        held.callback(lock.release)
        return _word(folder / f"{number}.name")
    return None


def _word(file: Path) -> str:
    """Of a place that we hold: nobody else writes there."""
    try:
        word = file.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        word = ""
    if not word.isalnum():
        word = secrets.token_hex(_WORD_BYTES)
        draft = file.with_suffix(".new")
        write_private(draft, word)
        draft.replace(file)
    return word
