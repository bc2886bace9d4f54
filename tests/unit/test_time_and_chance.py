"""Clocks, randomness, sleeps and threads come in through ports: a run of the engine can be repeated exactly.

Reads the source. The modules that may name them are the ones that own a port's real side, or what is never simulated.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import saga_engine

_ROOT = Path(saga_engine.__file__).parent

_OWNERS = {
    "adapters/embedded": "starts a real server",
    "api": "serves real connections, in real time, and names what a client has not named",
    "adapters/nats": "talks to a real server",
    "adapters/memory": "lives in the time of its event loop; its clock and secrets can be given",
    "adapters/sql/reply_keys.py": "makes secrets, which no seed may give",
    "adapters/sql/store.py": "the clock of SQLite and the ids of batches, which can be given",
    "bootstrap": "where the real sides are chosen",
    "cli": "for people, in real time",
    "clock.py": "owns the clock and its sleep",
    "demo": "for people, in real time",
    "doctor": "looks at real servers, in real time",
    "eventstore": "serves real connections, in real time; no saga waits for it",
    "metrics/listener.py": "serves real connections, in real time",
    "participant/threads.py": "owns the threads of handlers",
    "sql/bounded.py": "bounds what a real connection may wait for",
    "sql/engine.py": "waits for the first switch of a real file",
    "sql/files.py": "keeps threads apart where a real file is made",
    "sql/migration_lock.py": "waits for other processes that migrate",
    "sql/migrate.py": "keeps real processes apart",
    "sql/pacing.py": "owns the pauses of retries",
    "tracing.py": "spans go by the clock of the machine, as those of other programs do",
    "testing": "the contract suites run in real time; virtual time is made here",
}
"""Path, and why it may."""

_MODULES = {"time", "random", "secrets", "threading", "socket", "subprocess", "multiprocessing"}
_CALLS = {
    ("asyncio", "sleep"),
    ("asyncio", "to_thread"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("uuid", "uuid1"),
    ("uuid", "uuid4"),
}


def test_only_their_owners_name_clocks_randomness_sleeps_and_threads() -> None:
    found = [
        f"{path.relative_to(_ROOT)}:{line}: {what}"
        for path in sorted(_ROOT.rglob("*.py"))
        if not _owned(path)
        for line, what in _named(ast.parse(path.read_text()))
    ]

    assert not found, "take it from a port (ports.Clock, sql.pacing, a seeded source):\n" + "\n".join(found)


def test_every_owner_is_there_and_names_something() -> None:
    for owner in _OWNERS:
        path = _ROOT / owner
        files = path.rglob("*.py") if path.is_dir() else [path]
        assert any(True for file in files for _ in _named(ast.parse(file.read_text()))), owner


def _owned(path: Path) -> bool:
    relative = path.relative_to(_ROOT).as_posix()
    return any(relative == owner or relative.startswith(f"{owner}/") for owner in _OWNERS)


def _named(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from ((node.lineno, each.name) for each in names if each.name.partition(".")[0] in _MODULES)
            case ast.ImportFrom(module, names) if module is not None:
                for each in names:
                    if module in _MODULES or (module, each.name) in _CALLS:
                        yield node.lineno, f"{module}.{each.name}"
            case ast.Attribute(ast.Name(base), name) if (base, name) in _CALLS:
                yield node.lineno, f"{base}.{name}"
