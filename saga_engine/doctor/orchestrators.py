"""Who orchestrates: members and partitions by their leases, and the keys that replies are checked with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence, Set
from typing import Final

from sqlalchemy import select

from saga_engine.adapters.sql.reply_keys import SECRET_BYTES
from saga_engine.doctor.databases import PATIENCE
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.envelope import PARTITIONS
from saga_engine.orchestrator.leases import LEASE_US, members, owners
from saga_engine.plural import several
from saga_engine.ports.store import EventStore
from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import reply_keys
from saga_engine.sql.transaction import run_query

_SETTLES_US: Final = LEASE_US + 1_500_000
"""A partition whose owner has died is taken over within the rest of its lease and a round of the others."""

_PAUSE_S: Final = 0.5
_BEYOND_US: Final = 2 * LEASE_US


def leases(store: EventStore, open_sagas: int) -> Iterator[Finding]:
    """Whether orchestrators are alive, and whether every partition has one."""
    now, known = store.now(), store.leases()
    alive = members(known, now)
    for lease in known:
        if lease.expires_at > now + _BEYOND_US:
            yield Finding(
                "orchestrators",
                Severity.ERROR,
                lease.name,
                f"{lease.owner} holds it for {(lease.expires_at - now) / 1e6:,.0f} s more; "
                f"expected at most {LEASE_US / 1e6:.0f}",
                "Nobody takes it over before that, and its sagas rest: the database's clock was set back.",
                "saga run --orchestrator, once the clock of the database is right",
            )
    if not alive:
        what = "no orchestrator is alive"
        what += (
            f", and {several(open_sagas, 'saga')} wait{'s' if open_sagas == 1 else ''} for one" if open_sagas else ""
        )
        severity = Severity.ERROR if open_sagas else Severity.WARNING
        why = "Without one, sagas are started and told things, and nothing follows."
        yield Finding("orchestrators", severity, "leases", what, why, "saga run")
        return
    lost = _unowned_for_long(store)
    if lost:
        numbers = ", ".join(map(str, sorted(lost)))
        yield Finding(
            "orchestrators",
            Severity.ERROR,
            "leases",
            f"{several(len(lost), 'partition')} of {PARTITIONS} without an owner: {numbers}",
            "Their replies are taken by nobody, and their sagas rest.",
            "look at the logs of the orchestrators: " + ", ".join(sorted(alive)),
        )
    else:
        yield fine("orchestrators", "leases", f"{several(len(alive), 'orchestrator')} alive, no partition unowned")


def _unowned_for_long(store: EventStore) -> Set[int]:
    """Partitions that stay without an owner for longer than it takes to hand them on."""
    everything = frozenset(range(PARTITIONS))
    now = store.now()
    until, lost = now + _SETTLES_US, everything - owners(store.leases(), now).keys()
    while lost and now < until:
        time.sleep(_PAUSE_S)
        now = store.now()
        lost &= everything - owners(store.leases(), now).keys()
    return lost


def keys_of_replies(url: str, sagas: int) -> Iterator[Finding]:
    """Whether the keys of the reply tokens are there and whole. Their secrets are not shown."""
    engine = open_engine(url, PATIENCE)
    try:
        rows: Sequence[tuple[str, bytes]] = run_query(
            engine,
            lambda connection: [
                (id_, bytes(secret)) for id_, secret in connection.execute(select(reply_keys.c.id, reply_keys.c.secret))
            ],
        )
    finally:
        engine.dispose()
    short = [id_ for id_, secret in rows if len(secret) < SECRET_BYTES]
    if short:
        yield Finding(
            "reply keys",
            Severity.ERROR,
            "saga_reply_keys",
            f"key {', '.join(short)} is shorter than {SECRET_BYTES} bytes",
            "Replies under it can be forged by whoever may publish them.",
            "saga keys rotate, then saga keys retire " + short[0],
        )
    elif not rows and sagas:
        yield Finding(
            "reply keys",
            Severity.WARNING,
            "saga_reply_keys",
            f"there is none, though there {'is' if sagas == 1 else 'are'} {several(sagas, 'saga')}",
            "The next orchestrator makes one; replies under the old one are refused, and asked for again.",
            "saga run",
        )
    else:
        yield fine(
            "reply keys", "saga_reply_keys", several(len(rows), "key") if rows else "is made when it is needed first"
        )
