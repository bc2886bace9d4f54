"""Sagas of 1,000 steps: what the orchestrator spends on the last 100 steps against the first 100.

Twenty run side by side, so that there is enough to measure; their progress and its CPU time are sampled as they go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from benchmarks.machine import Meter, cpu_seconds
from benchmarks.records import Figures
from benchmarks.stage import Stage

SAGA: Final = "thousand_steps"
STEPS: Final = 1_000

_SAGAS: Final = 20
_PART: Final = 100
_EVENTS_PER_STEP: Final = 2
_LOOK_EVERY_S: Final = 0.2
_PATIENCE_S: Final = 600.0


async def measure(stage: Stage) -> tuple[Figures, float]:
    """The ratio, and microseconds of the orchestrator's CPU per step; with the foreign share."""
    meter = Meter(stage.engine.roles, own="load")
    started = await stage.load.start(SAGA, [{"order_id": f"long-{number}"} for number in range(_SAGAS)])
    samples = [(0.0, cpu_seconds(stage.engine.orchestrator.pid))]
    end = STEPS * _EVENTS_PER_STEP
    async with asyncio.timeout(_PATIENCE_S):
        while samples[-1][0] < end:
            await asyncio.sleep(_LOOK_EVERY_S)
            versions = await asyncio.to_thread(stage.load.versions, started)
            samples.append((sum(versions) / len(versions), cpu_seconds(stage.engine.orchestrator.pid)))
    usage = meter.stop()
    part = _PART * _EVENTS_PER_STEP
    first = _spent_at(samples, part) - samples[0][1]
    last = _spent_at(samples, end) - _spent_at(samples, end - part)
    per_step = 1e6 / (_PART * _SAGAS)
    figures = {"ratio": last / first, "cpu_us.first": first * per_step, "cpu_us.last": last * per_step}
    return {**figures, "commands_per_s": _SAGAS * STEPS / usage.wall_s}, usage.foreign


def _spent_at(samples: Sequence[tuple[float, float]], version: float) -> float:
    """The CPU time when the sagas were at that version on average, between two samples by proportion."""
    for (before, spent_before), (after, spent_after) in pairwise(samples):
        if before <= version <= after:
            share = (version - before) / (after - before) if after > before else 0.0
            return spent_before + share * (spent_after - spent_before)
    raise ValueError(f"no sample reaches version {version}")
