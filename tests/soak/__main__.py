"""`make soak MINUTES=n`: the engine under half load, each process watched; exit code 1 when one of them grows.

Owns the course: measure what the engine can bear, load it with half of that, sample, judge, print.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.acceptance.projects import LEDGER, Project, Service
from tests.soak.flatness import MEASURES, MEMORY, WARM_UP, filling, slope
from tests.soak.samples import Sample, children, sample

_PROBE: Final = 400
_SAMPLE_EVERY_S: Final = 2.0
_BATCH_EVERY_S: Final = 0.5
_PATIENCE_S: Final = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long it is loaded (default: 10)")
    minutes: float = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        project = Project(Path(folder) / "project", LEDGER)
        try:
            return _soak(project, minutes)
        finally:
            project.close()


def _soak(project: Project, minutes: float) -> int:
    services = {
        "orchestrator": project.run("--orchestrator"),
        "worker order": project.run("--worker", "order"),
        "worker payment": project.run("--worker", "payment"),
    }
    rate = _half_load(project)
    print(f"half load: {rate:.0f} sagas/s for {minutes:g} minutes")  # noqa: T201 - what a person started it for
    started, series = _load(project, services, rate, minutes * 60)
    ended = project.wait_for_all(_PATIENCE_S)
    known = filling(_PROBE + started * WARM_UP, _PROBE + started)
    if known:
        print(f"caches of ids are not full yet: {known:.0f} KiB of growth are theirs")  # noqa: T201 - as above
    flat = _report(series, known)
    lost = started + _PROBE - sum(ended.values())
    counts = " ".join(f"{status}={count}" for status, count in sorted(ended.items()))
    print(f"sagas={started + _PROBE} {counts} lost={lost} flat={'yes' if flat else 'no'}")  # noqa: T201 - as above
    return 0 if flat and not lost else 1


def _half_load(project: Project) -> float:
    """Half of the sagas that end in a second when many wait: what it can bear on this machine, now."""
    began = time.monotonic()
    project.start_orders(_PROBE, prefix="probe")
    project.wait_for_all(_PATIENCE_S)
    return _PROBE / (time.monotonic() - began) / 2


def _load(
    project: Project, services: Mapping[str, Service], rate: float, seconds: float
) -> tuple[int, Mapping[str, list[Sample]]]:
    """Start sagas at that rate and sample; how many were started, and the samples of each process."""
    began = time.monotonic()
    series: defaultdict[str, list[Sample]] = defaultdict(list)
    pids = _pids(services)
    started, next_sample = 0, began
    while (now := time.monotonic()) < began + seconds:
        due = int((now - began) * rate) - started
        if due:
            project.start_orders(due, prefix=f"s{started}")
            started += due
        if now >= next_sample:
            for name, pid in pids.items():
                series[name].append(sample(pid, now - began))
            next_sample = now + _SAMPLE_EVERY_S
        time.sleep(max(0.0, now + _BATCH_EVERY_S - time.monotonic()))
    return started, series


def _pids(services: Mapping[str, Service]) -> Mapping[str, int]:
    """Of our processes and of the nats-server that one of them looks after."""
    own = {name: service.process.pid for name, service in services.items()}
    servers = [child for pid in own.values() for child in children(pid)]
    return {**own, **{f"nats-server {n}": pid for n, pid in enumerate(servers, start=1)}}


def _report(series: Mapping[str, list[Sample]], known: float) -> bool:
    """A line for each process and measure; whether all are flat. The server is shown, and is not ours to judge.

    `known`: KiB of memory that each may have grown by without harm.
    """
    all_flat = True
    for name, samples in series.items():
        for what, measure in MEASURES.items():
            found = slope(samples, measure, known if what == MEMORY else 0.0)
            judged = not name.startswith("nats-server")
            all_flat = all_flat and (found.flat or not judged)
            verdict = ("flat" if found.flat else "GROWS") if judged else "not judged"
            line = f"{name:<16} {what:<12} {found.begin:>9.0f} -> {found.end:>9.0f} {measure.unit:<4}"
            print(f"{line} {found.per_hour:>+10.1f}/h  {verdict}")  # noqa: T201 - as above
    return all_flat


if __name__ == "__main__":
    sys.exit(main())
