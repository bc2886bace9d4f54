"""Which partitions this orchestrator looks after: leases in the store, shared out among those alive.

For speed only: two owners of a partition cost lost races and duplicate sends, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from saga_engine.envelope import PARTITIONS
from saga_engine.ports.store import EventStore, Lease, LeaseChange

LEASE_US: Final = 2_000_000
"""How long a lease lasts unless it is renewed: the longest silence after a crash. In microseconds."""

_RENEWED_BELOW: Final = 2 / 3
"""Of its time: a lease that has more left is not written again. To look costs a read, to renew a commit."""

_GONE: Final = 20
"""Times of a lease after which a member that does not come back is crossed out."""

_MEMBER: Final = "member/"
_PARTITION: Final = "partition/"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Holding:
    """The partitions held now, and how many orchestrators share them. `settled`: they are our whole share."""

    partitions: frozenset[int]
    members: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to make of the leases: `kept` as they stand, `changes` to ask for; `share` is how many should be ours."""

    kept: Sequence[str]
    changes: Sequence[LeaseChange]
    share: int


class Leases:
    """Takes, renews and hands back leases for one orchestrator. Blocking; to be called four times in `lease_us`.

    Leases of the same owner are ours, whoever took them: a process that comes back under its name goes on at once.
    Should another that is alive have the name as well, one of the two goes on under a new one.
    """

    def __init__(self, store: EventStore, owner: str, lease_us: int = LEASE_US) -> None:
        self._store = store
        self._owner = owner
        self._lease_us = lease_us
        self._ends: frozenset[int] | None = None
        """When our membership may run out by what we found at first and have asked for since; None before we look."""

    def renew(self) -> Holding:
        """One round: show that we are alive, renew our share, take what is free, hand back what is too much."""
        now = self._store.now()
        known = self._store.leases()
        self._be_the_only_one(known, now)
        wanted = plan_changes(known, self._owner, now, self._lease_us)
        self._ends = (self._ends or frozenset()).union(
            # Before we ask: it may be written even if we are not told so.
            change.expires_at
            for change in wanted.changes
            if change.name == _MEMBER + self._owner
        )
        granted = self._store.change_leases(wanted.changes) if wanted.changes else ()
        names = [change.name for change, ok in zip(wanted.changes, granted, strict=True) if ok and change.expires_at]
        held = frozenset(
            int(name.removeprefix(_PARTITION)) for name in [*wanted.kept, *names] if name.startswith(_PARTITION)
        )
        return Holding(held, len(members(known, now) | {self._owner}), len(held) >= wanted.share)

    def _be_the_only_one(self, known: Sequence[Lease], now: int) -> None:
        """Take a new name when our membership was renewed, and not by us: a copied folder gives its names twice."""
        end = next((lease.expires_at for lease in known if lease.name == _MEMBER + self._owner), 0)
        if self._ends is None:
            self._ends = frozenset({end})
        elif end and end not in self._ends:
            name = f"{self._owner}-{now}"
            _log.warning(
                "another orchestrator has this name, and this one goes on under a new one: was .saga copied?",
                orchestrator=self._owner,
                instead=name,
            )
            self._owner, self._ends = name, frozenset()
        else:
            # What was asked for later may still be written by a call that has failed.
            self._ends = frozenset(one for one in self._ends if one >= end)

    def leave(self) -> None:
        """Hand back everything, so that others need not wait for it to expire."""
        mine = [lease for lease in self._store.leases() if lease.owner == self._owner]
        self._store.change_leases([LeaseChange(lease.name, self._owner, 0, lease) for lease in mine])


def members(known: Sequence[Lease], now: int) -> set[str]:
    """The orchestrators that are alive at the store's time `now`, by their leases."""
    return {lease.owner for lease in known if lease.name.startswith(_MEMBER) and lease.expires_at > now}


def owners(known: Sequence[Lease], now: int) -> Mapping[int, str]:
    """Who owns which partition at the store's time `now`. Partitions that nobody owns are absent."""
    return {
        int(lease.name.removeprefix(_PARTITION)): lease.owner
        for lease in known
        if lease.name.startswith(_PARTITION) and lease.expires_at > now
    }


def plan_changes(known: Sequence[Lease], owner: str, now: int, lease_us: int = LEASE_US) -> Wanted:
    """What `owner` should ask for, given all leases: its own membership, and its fair share of the partitions."""
    by_name = {lease.name: lease for lease in known}
    sharing = sorted(members(known, now) | {owner})
    # The first members take one more where the shares do not come out even, so that all agree on who gets how many.
    share = PARTITIONS // len(sharing) + (sharing.index(owner) < PARTITIONS % len(sharing))
    entries = [(f"{_PARTITION}{partition}", by_name.get(f"{_PARTITION}{partition}")) for partition in range(PARTITIONS)]
    mine = [(name, lease) for name, lease in entries if lease is not None and _held_by(lease, owner)]
    free = [(name, lease) for name, lease in entries if lease is None or lease.expires_at <= now]
    keep, spare = mine[:share], mine[share:]
    take = [entry for entry in free if entry not in keep][: share - len(keep)]
    own = [(_MEMBER + owner, by_name.get(_MEMBER + owner)), *keep]
    enough = now + int(lease_us * _RENEWED_BELOW)
    # All at once, so that they go on running out together.
    fresh = all(lease is not None and lease.expires_at > enough for _, lease in own)
    until = now + lease_us
    changes = [LeaseChange(name, owner, until, lease) for name, lease in [*([] if fresh else own), *take]]
    changes += [LeaseChange(name, owner, 0, lease) for name, lease in spare if (name, lease) not in take]
    changes += [
        LeaseChange(lease.name, lease.owner, 0, lease)
        for lease in known
        if lease.name.startswith(_MEMBER) and lease.owner != owner and 0 < lease.expires_at < now - _GONE * lease_us
    ]
    return Wanted([name for name, _ in own] if fresh else [], changes, share)


def _held_by(lease: Lease, owner: str) -> bool:
    return lease.owner == owner and lease.expires_at > 0
