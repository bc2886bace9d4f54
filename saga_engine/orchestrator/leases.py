"""Which partitions this orchestrator looks after: leases in the store, shared out among those alive.

For speed only: two owners of a partition cost lost races and duplicate sends, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.envelope import PARTITIONS
from saga_engine.ports import EventStore, Lease, LeaseChange

LEASE_US: Final = 3_000_000
"""How long a lease lasts unless it is renewed: the longest silence after a crash. In microseconds."""

_MEMBER: Final = "member/"
_PARTITION: Final = "partition/"


@dataclass(frozen=True, slots=True)
class Holding:
    """The partitions held now, and how many orchestrators share them."""

    partitions: frozenset[int]
    members: int


class Leases:
    """Takes, renews and hands back leases for one orchestrator. Blocking; to be called three times in `lease_us`."""

    def __init__(self, store: EventStore, owner: str, lease_us: int = LEASE_US) -> None:
        self._store = store
        self._owner = owner
        self._lease_us = lease_us

    def renew(self) -> Holding:
        """One round: show that we are alive, renew our share, take what is free, hand back what is too much."""
        now = self._store.now()
        known = self._store.leases()
        changes = plan_changes(known, self._owner, now, self._lease_us)
        granted = self._store.change_leases(changes)
        held = {
            int(change.name.removeprefix(_PARTITION))
            for change, ok in zip(changes, granted, strict=True)
            if ok and change.expires_at and change.name.startswith(_PARTITION)
        }
        return Holding(frozenset(held), len(members(known, now) | {self._owner}))

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


def plan_changes(known: Sequence[Lease], owner: str, now: int, lease_us: int = LEASE_US) -> list[LeaseChange]:
    """What `owner` should ask for, given all leases: its own membership, and its fair share of the partitions."""
    by_name = {lease.name: lease for lease in known}
    until = now + lease_us
    sharing = sorted(members(known, now) | {owner})
    changes = [LeaseChange(_MEMBER + owner, owner, until, by_name.get(_MEMBER + owner))]
    changes += [
        LeaseChange(lease.name, lease.owner, 0, lease)
        for lease in known
        if lease.name.startswith(_MEMBER) and lease.owner != owner and 0 < lease.expires_at < now - 20 * lease_us
    ]
    # The first members take one more where the shares do not come out even, so that all agree on who gets how many.
    share = PARTITIONS // len(sharing) + (sharing.index(owner) < PARTITIONS % len(sharing))
    names = [f"{_PARTITION}{partition}" for partition in range(PARTITIONS)]
    leases = [(name, by_name.get(name)) for name in names]
    mine = [
        (name, lease) for name, lease in leases if lease is not None and lease.owner == owner and lease.expires_at > 0
    ]
    free = [(name, lease) for name, lease in leases if lease is None or lease.expires_at <= now]
    keep = mine[:share]
    take = [entry for entry in free if entry not in keep][: max(0, share - len(keep))]
    changes += [LeaseChange(name, owner, until, lease) for name, lease in keep + take]
    changes += [LeaseChange(name, owner, 0, lease) for name, lease in mine[share:] if (name, lease) not in take]
    return changes
