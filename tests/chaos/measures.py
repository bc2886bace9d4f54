"""What is measured of a chaos run: first progress after each start of an orchestrator, memory and descriptors.

Owns the figures and how they are taken. The limits they are held to are the verdict's.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

from saga_engine.audit.history import Record
from saga_engine.audit.records.clients import ClientAnswered, ClientCalled
from saga_engine.audit.records.surroundings import Fault
from tests.chaos.faults import Act
from tests.chaos.fleet import CLIENT, ENGINE, Fleet
from tests.chaos.processes import Process
from tests.chaos.servers import BROKER, DATABASE

PROGRESS_LIMIT_S: Final = 5.0
_KIB_IN_MIB: Final = 1024.0
_SETTLED_S: Final = 10.0
_ENOUGH_SAMPLES: Final = 24
_SILENT_S: Final = 1.0

Silence: TypeAlias = tuple[float, float]
"""From when to when, in seconds."""


@dataclass(frozen=True, slots=True)
class Life:
    """One process of a member: its name in the database, and from when to when it was meant to run (seconds)."""

    member: str
    application: str
    began: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How long each start of an orchestrator took to its first commit, in seconds, where nothing else was wrong.

    `disturbed`: starts while a server or a link of theirs was, another orchestrator stood still, or the client waited
    for an answer and gave nothing to commit; `short`: ended before they could be judged. `late`: undisturbed lives that
    had not committed within the limit.
    """

    undisturbed: Sequence[float]
    disturbed: int
    short: int
    late: Sequence[str]

    @property
    def shown(self) -> str:
        if not self.undisturbed:
            return "no undisturbed start"
        p50, most = median(self.undisturbed), max(self.undisturbed)
        return f"{len(self.undisturbed)} undisturbed starts, p50={_told(p50)} max={_told(most)}"


def _told(seconds: float) -> str:
    return f"{seconds:.1f} s" if isfinite(seconds) else "never"


def first_commits(fleet: Fleet) -> Mapping[str, float]:
    """When each process committed events for the first time, by its name in the database."""
    with fleet.connection(ENGINE) as connection:
        rows = connection.execute(
            "SELECT application, extract(epoch FROM min(at))::float8 FROM chaos_commits GROUP BY application"
        ).fetchall()
    return {str(application): float(str(at)) for application, at in rows}


def silences(client: Iterable[Record]) -> list[Silence]:
    """When the client waited for one answer, and so started nothing: on a link that was cut half-open, up to 30 s."""
    asked: dict[str, float] = {}
    found: list[Silence] = []
    for record in client:
        match record:
            case ClientCalled(call_id, at=at):
                asked[call_id] = at / 1e6
            case ClientAnswered(call_id, at=at) if call_id in asked:
                began = asked.pop(call_id)
                if at / 1e6 - began > _SILENT_S:
                    found.append((began, at / 1e6))
            case _:
                pass
    return found


def progress(
    lives: Iterable[Life], faults: Sequence[Fault], commits: Mapping[str, float], silent: Sequence[Silence] = ()
) -> Progress:
    """Judge every life of an orchestrator by its first commit. `silent`: when the client asked for nothing."""
    undisturbed: list[float] = []
    late: list[str] = []
    disturbed = short = 0
    for life in lives:
        first = commits.get(life.application)
        judged_until = first if first is not None else life.began + PROGRESS_LIMIT_S
        if first is None and life.ended is not None and life.ended < judged_until:
            short += 1
        elif any(_touches(fault, life, judged_until) for fault in faults) or any(
            began < judged_until and ended > life.began for began, ended in silent
        ):
            disturbed += 1
        else:
            taken = (first if first is not None else float("inf")) - life.began
            undisturbed.append(taken)
            if taken > PROGRESS_LIMIT_S:
                late.append(f"{life.application} committed first after: {_told(taken)}")
    return Progress(undisturbed, disturbed, short, late)


def _touches(fault: Fault, life: Life, until: float) -> bool:
    # Without a client there is nothing to commit either.
    links = [f"{name}-{server}" for name in (life.member, CLIENT) for server in (BROKER, DATABASE)]
    # Another orchestrator that is paused in a transaction keeps its rows locked until the database ends that.
    paused = fault.kind == Act.PAUSE_ORCHESTRATOR
    if not paused and fault.target not in (BROKER, DATABASE, life.member, *links):
        return False
    began, ended = fault.at / 1e6, (fault.until or fault.at) / 1e6
    # The kill that the start follows ends with it, and is no disturbance.
    own_kill = fault.target == life.member and ended <= life.began + 0.5
    return not own_kill and began < until and ended > life.began


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at one process: its age in seconds, resident memory in MiB, open descriptors."""

    role: str
    at: float
    age: float
    memory: float
    descriptors: int


def sample(processes: Iterable[Process]) -> list[Sample]:
    """Look at every process that runs."""
    found: list[Sample] = []
    now = time.time()
    for process in processes:
        if (pid := process.pid) is None:
            continue
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except OSError:
            # It has ended in this moment.
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        memory = float(fields.get("VmRSS", "0 kB").split()[0]) / _KIB_IN_MIB
        found.append(Sample(process.program.role, now, now - process.started_at, memory, descriptors))
    return found


@dataclass(frozen=True, slots=True)
class Resources:
    """Of one role: medians of the run's second and last quarter, over processes that have settled, and the most seen.

    `judged` False: too few samples to tell a course, or a server, whose memory is not ours.
    """

    role: str
    memory: tuple[float, float]
    descriptors: tuple[float, float]
    most_memory: float
    most_descriptors: int
    judged: bool

    @property
    def shown(self) -> str:
        return (
            f"{self.role}: memory {self.memory[0]:.0f} then {self.memory[1]:.0f} MiB (most {self.most_memory:.0f}), "
            f"descriptors {self.descriptors[0]:.0f} then {self.descriptors[1]:.0f} (most {self.most_descriptors})"
            f"{'' if self.judged else ', not judged'}"
        )


def resources(samples: Sequence[Sample]) -> list[Resources]:
    """The course of memory and descriptors, by role."""
    by_role: dict[str, list[Sample]] = defaultdict(list)
    for one in samples:
        by_role[one.role].append(one)
    return [_course(role, found) for role, found in sorted(by_role.items())]


def _course(role: str, samples: Sequence[Sample]) -> Resources:
    settled = [one for one in samples if one.age >= _SETTLED_S]
    enough = len(settled) >= _ENOUGH_SAMPLES
    used = settled if enough else samples
    began, ended = used[0].at, used[-1].at
    quarter = (ended - began) / 4
    second = [one for one in used if began + quarter <= one.at <= began + 2 * quarter] or used
    last = [one for one in used if one.at >= ended - quarter] or used
    return Resources(
        role,
        (median(one.memory for one in second), median(one.memory for one in last)),
        (median(one.descriptors for one in second), median(one.descriptors for one in last)),
        max(one.memory for one in samples),
        max(one.descriptors for one in samples),
        enough and role not in (BROKER, DATABASE),
    )
