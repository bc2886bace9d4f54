"""This machine: the versions that the engine runs on, and room on the disks of what is embedded.

Knows nothing of what is in a database.
"""

from __future__ import annotations

import platform
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.settings.settled import Settings

OLDEST_SQLITE: Final = (3, 35, 0)
"""The first with RETURNING, by which a start learns whether its key was free."""

LITTLE_ROOM: Final = 1 << 30
NO_ROOM: Final = 100 << 20


def versions() -> Iterator[Finding]:
    """Python, the engine, and SQLite's library."""
    engine = metadata.version("saga-engine")
    yield fine("versions", "this machine", f"saga-engine {engine}, Python {platform.python_version()}")
    yield from sqlite_findings(sqlite3.sqlite_version_info)


def sqlite_findings(version: tuple[int, ...]) -> Iterator[Finding]:
    """Whether SQLite's library is new enough."""
    shown = ".".join(map(str, version))
    if version >= OLDEST_SQLITE:
        yield fine("versions", "this machine", f"SQLite {shown}")
        return
    yield Finding(
        "versions",
        Severity.ERROR,
        "this machine",
        f"SQLite is version {shown}; expected at least {'.'.join(map(str, OLDEST_SQLITE))}",
        "Older ones have no RETURNING, so that no saga can be started.",
        "use a Python that is linked with a newer SQLite",
    )


def disks(settings: Settings) -> Iterator[Finding]:
    """The disks on which the embedded files stand: databases, and the data of an embedded nats-server."""
    folders = set(map(_existing, _folders(settings)))
    by_device = {folder.stat().st_dev: folder for folder in sorted(folders, reverse=True)}
    for folder in sorted(by_device.values()):
        yield room(folder, shutil.disk_usage(folder).free)


def room(folder: Path, free: int) -> Finding:
    """What so many free bytes on the disk of a folder mean."""
    left = f"{free / (1 << 30):,.1f} GiB free" if free >= LITTLE_ROOM else f"{free / (1 << 20):,.0f} MiB free"
    if free >= LITTLE_ROOM:
        return fine("disk", str(folder), left)
    return Finding(
        "disk",
        Severity.ERROR if free < NO_ROOM else Severity.WARNING,
        str(folder),
        f"the disk is nearly full: {left}",
        "A database that cannot write commits nothing, and a nats-server on a full disk switches JetStream off.",
        f"df -h {folder}",
    )


def _folders(settings: Settings) -> Iterable[Path]:
    if settings.nats.url is None:
        yield settings.data_folder
    participants = [one.database for one in settings.participants.values()]
    projections = [one.database for one in settings.projections.values()]
    for url in (settings.database, *participants, *projections):
        file = sqlite_file(url.get_secret_value())
        if file is not None:
            yield file.parent


def sqlite_file(url: str) -> Path | None:
    """The file that a database url names, None for a server."""
    return Path(url.partition(":///")[2].partition("?")[0]) if url.startswith("sqlite") else None


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there already."""
    return next(one for one in (folder, *folder.parents) if one.exists())
