"""Partitions shared out among orchestrators: fairly, taken over after a crash, handed back when leaving."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.envelope import PARTITIONS
from saga_engine.errors import StoreUnavailableError
from saga_engine.orchestrator.leases import LEASE_US, Leases, members, plan_changes
from saga_engine.orchestrator.tuning import Tuning
from saga_engine.ports.store import Lease, LeaseChange
from tests.unit.orchestrator.support import BEGIN, SECOND, ManualClock

EVERYTHING = frozenset(range(PARTITIONS))
LOOK_US = int(Tuning().lease_interval * SECOND)


class Forgetful(MemoryEventStore):
    """Changes leases and, while `deaf`, does not tell that it did."""

    deaf = False

    def change_leases(self, changes: Sequence[LeaseChange]) -> Sequence[bool]:
        changed = super().change_leases(changes)
        if self.deaf:
            raise StoreUnavailableError("the connection is gone")
        return changed


class Group:
    """Orchestrators on one store, each looking at the leases every half second while it lives."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryEventStore(self.clock.now)
        self.alive: dict[str, Leases] = {}
        self.held: dict[str, frozenset[int]] = {}

    def join(self, *names: str) -> None:
        for name in names:
            self.alive[name] = Leases(self.store, name)

    def crash(self, name: str) -> None:
        del self.alive[name], self.held[name]

    def seconds(self, count: float) -> None:
        for _ in range(round(count * SECOND / LOOK_US)):
            for name, leases in self.alive.items():
                self.held[name] = leases.renew().partitions
            self.clock.time += LOOK_US

    @property
    def shares(self) -> list[int]:
        return sorted(len(held) for held in self.held.values())

    @property
    def covered(self) -> frozenset[int]:
        return frozenset().union(*self.held.values())


def test_one_orchestrator_holds_everything_at_once() -> None:
    group = Group()
    group.join("a")
    holding = group.alive["a"].renew()
    assert holding.partitions == EVERYTHING
    assert holding.members == 1


@pytest.mark.parametrize(("members", "shares"), [(2, [8, 8]), (3, [5, 5, 6]), (5, [3, 3, 3, 3, 4]), (16, [1] * 16)])
def test_partitions_are_shared_out_evenly_without_overlap(members: int, shares: list[int]) -> None:
    group = Group()
    group.join("m0")
    group.seconds(2)
    group.join(*[f"m{n}" for n in range(1, members)])
    group.seconds(6)
    assert group.shares == shares
    assert group.covered == EVERYTHING
    assert sum(group.shares) == PARTITIONS, "no partition is held twice"


def test_more_orchestrators_than_partitions_leave_some_without() -> None:
    group = Group()
    group.join(*[f"m{n:02}" for n in range(PARTITIONS + 3)])
    group.seconds(6)
    assert group.shares == [0, 0, 0, *[1] * PARTITIONS]


def test_a_share_is_stable_once_it_is_even() -> None:
    group = Group()
    group.join("a", "b", "c")
    group.seconds(6)
    before = dict(group.held)
    group.seconds(10)
    assert group.held == before


def test_what_a_crashed_orchestrator_held_is_taken_over_when_its_leases_have_run_out() -> None:
    group = Group()
    group.join("a", "b")
    group.seconds(4)
    group.crash("b")
    group.seconds(1)
    assert len(group.covered) < PARTITIONS
    group.seconds((LEASE_US + LOOK_US) / SECOND - 1)
    assert group.held["a"] == EVERYTHING


def test_who_comes_back_under_its_name_after_a_crash_holds_its_share_at_once() -> None:
    group = Group()
    group.join("a", "b")
    group.seconds(4)
    share = group.held["b"]
    group.crash("b")
    group.seconds(1)
    group.join("b")
    holding = group.alive["b"].renew()
    assert (holding.partitions, holding.settled) == (share, True)
    assert group.alive["a"].renew().partitions == EVERYTHING - share


def test_who_comes_back_after_its_share_was_taken_over_is_handed_it_within_two_looks() -> None:
    group = Group()
    group.join("a", "b")
    group.seconds(4)
    group.crash("b")
    group.seconds(4)
    assert group.held["a"] == EVERYTHING
    group.join("b")
    returned = group.alive["b"].renew()
    assert (returned.partitions, returned.settled) == (frozenset(), False)
    assert len(group.alive["a"].renew().partitions) == PARTITIONS // 2
    returned = group.alive["b"].renew()
    assert (len(returned.partitions), returned.settled) == (PARTITIONS // 2, True)


def test_leases_are_written_at_every_second_look_only_and_never_run_out() -> None:
    group = Group()
    group.join("a")
    ends: list[int] = []
    for _ in range(20):
        group.seconds(LOOK_US / SECOND)
        ends.append(min(lease.expires_at for lease in group.store.leases()))
        assert ends[-1] - group.clock.time >= LEASE_US // 4
    assert len(set(ends)) == 10


def test_who_leaves_is_replaced_at_once() -> None:
    group = Group()
    group.join("a", "b")
    group.seconds(4)
    group.alive["b"].leave()
    group.crash("b")
    assert group.alive["a"].renew().partitions == EVERYTHING


def test_who_comes_back_late_does_not_hold_what_others_have_taken() -> None:
    group = Group()
    group.join("a", "b")
    group.seconds(4)
    frozen = group.alive["b"]
    group.crash("b")
    group.seconds(6)
    assert group.held["a"] == EVERYTHING
    assert frozen.renew().partitions == frozenset()
    group.join("b")
    group.seconds(4)
    assert group.shares == [8, 8]
    assert group.covered == EVERYTHING


def test_a_lost_race_for_a_lease_is_not_held() -> None:
    clock = ManualClock()
    store = MemoryEventStore(clock.now)

    class Beaten(MemoryEventStore):
        """Between looking and taking, somebody else takes."""

        def leases(self) -> list[Lease]:
            seen = list(store.leases())
            Leases(store, "faster").renew()
            return seen

        change_leases = store.change_leases
        now = store.now

    assert Leases(Beaten(clock.now), "slower").renew().partitions == frozenset()


def test_members_that_are_long_gone_are_crossed_out() -> None:
    gone = Lease("member/old", "old", BEGIN)
    later = BEGIN + 21 * LEASE_US
    changes = plan_changes([gone], "new", later).changes
    assert [(change.name, change.expires_at) for change in changes if change.name.startswith("member/")] == [
        ("member/new", later + LEASE_US),
        ("member/old", 0),
    ]
    recent = plan_changes([gone], "new", BEGIN + LEASE_US).changes
    assert [change.name for change in recent if change.name.startswith("member/")] == ["member/new"]


@pytest.mark.parametrize("phase", [0, 1, 2, 3, 4])
def test_of_two_that_live_under_one_name_one_takes_another_and_they_share(phase: int) -> None:
    clock = ManualClock()
    store = MemoryEventStore(clock.now)
    twins = [Leases(store, "copied"), Leases(store, "copied")]
    shares = [0, 0]
    for fifth in range(round(6 * SECOND / LOOK_US) * 5):
        for number, looks in enumerate((0, phase)):
            if fifth % 5 == looks:
                shares[number] = len(twins[number].renew().partitions)
        clock.time += LOOK_US // 5
    assert shares == [PARTITIONS // 2, PARTITIONS // 2]
    assert len(members(store.leases(), clock.time)) == 2


def test_who_comes_back_keeps_its_name_also_after_calls_whose_outcome_it_was_not_told() -> None:
    group = Group()
    store = Forgetful(group.clock.now)
    for _ in range(3):
        leases = Leases(store, "a")
        for _ in range(20):
            store.deaf = not store.deaf
            with suppress(StoreUnavailableError):
                assert leases.renew().partitions == EVERYTHING
            group.clock.time += LOOK_US
        assert members(store.leases(), group.clock.time) == {"a"}


def test_who_was_crossed_out_while_it_was_silent_keeps_its_name() -> None:
    group = Group()
    group.join("a", "b")
    group.seconds(3)
    silent = group.alive.pop("b")
    group.seconds(60)
    group.alive["b"] = silent
    group.seconds(6)
    assert members(group.store.leases(), group.clock.time) == {"a", "b"}
    assert group.shares == [8, 8]
