"""The judge of the soak: what grows is found, what only varies is not."""

from __future__ import annotations

import os
import random
import socket
import tracemalloc
from uuid import UUID

import pytest

from saga_engine.core.events import Direction
from saga_engine.envelope import SAGAS_AT_HAND, Address, parse_key
from tests.soak.flatness import MEASURES, filling, slope
from tests.soak.samples import Sample, sample

MEMORY = MEASURES["memory"]
DESCRIPTORS = MEASURES["descriptors"]


def series(memory: list[int], every: float = 2.0) -> list[Sample]:
    return [Sample(i * every, kib, kib, 0, 0) for i, kib in enumerate(memory)]


def test_what_varies_around_one_level_is_flat() -> None:
    chance = random.Random(1)
    found = slope(series([50_000 + chance.randrange(-800, 800) for _ in range(300)]), MEMORY)
    assert found.flat
    assert abs(found.end - found.begin) < 800


def test_growth_in_the_warm_up_does_not_count() -> None:
    found = slope(series([30_000 + min(i, 90) * 200 for i in range(300)]), MEMORY)
    assert found.flat
    assert found.per_hour == 0


def test_a_leak_of_a_kibibyte_for_each_ten_sagas_is_found_in_ten_minutes() -> None:
    chance = random.Random(2)
    leaking = series([50_000 + i * 20 + chance.randrange(-800, 800) for i in range(300)])
    found = slope(leaking, MEMORY)
    assert not found.flat
    assert found.per_hour == pytest.approx(20 / 2 * 3600, rel=0.1)


def test_a_descriptor_that_is_lost_every_minute_is_found_and_one_spike_is_not() -> None:
    assert not slope(series([40 + i // 30 for i in range(300)]), DESCRIPTORS).flat
    assert slope(series([40 if i != 250 else 90 for i in range(300)]), DESCRIPTORS).flat


def test_caches_that_fill_are_not_a_leak_until_they_are_full() -> None:
    fills = series([50_000 + i * 20 for i in range(300)])
    known = filling(before=1_000, after=10_000)
    assert slope(fills, MEMORY, known).flat
    assert not slope(fills, MEMORY, filling(before=SAGAS_AT_HAND, after=100_000)).flat
    leaks = series([50_000 + i * 60 for i in range(300)])
    assert not slope(leaks, MEMORY, known).flat


def test_the_caches_of_ids_take_what_is_said_of_them() -> None:
    tracemalloc.start()
    for number in range(SAGAS_AT_HAND):
        parse_key(f"{UUID(int=number)}/step/forward")
        Address(UUID(int=number), "step", None, Direction.COMPENSATE)
    taken_kib = tracemalloc.get_traced_memory()[0] / 1024
    tracemalloc.stop()
    assert filling(0, SAGAS_AT_HAND) / 2 < taken_kib <= filling(0, SAGAS_AT_HAND)


def test_too_few_samples_tell_nothing() -> None:
    with pytest.raises(ValueError, match="let it run longer"):
        slope(series([1, 2, 3]), MEMORY)


def test_a_process_is_sampled_as_it_is() -> None:
    before = sample(os.getpid(), 0)
    with socket.socket():
        during = sample(os.getpid(), 1)
    assert (during.descriptors - before.descriptors, during.connections - before.connections) == (1, 1)
    assert before.memory_kib > 1_000
    assert before.threads >= 1


def test_a_process_that_has_ended_is_told() -> None:
    with pytest.raises(ProcessLookupError):
        sample(2**22 + 1, 0)
