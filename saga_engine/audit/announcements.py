"""Group B: what a saga tells the world. Its events are first published in their order.

Owns that order, which is told from the wire alone. What must be published, and when, is `commands`'.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from saga_engine.audit.case import Case
from saga_engine.audit.history import Section
from saga_engine.audit.invariant import Finding, Findings, SagaInvariant, invariant
from saga_engine.audit.records.messages import Carried, Published


@invariant("B2", Section.WIRE)
def published_in_order(case: Case) -> Findings:
    """B2: Events of a saga are first published in their order, each after the one before it was acknowledged."""
    of_version: defaultdict[int, list[Published]] = defaultdict(list)
    for sent in case.saga.published:
        if sent.carried is Carried.EVENT and not sent.forged and sent.order is not None:
            of_version[sent.version].append(sent)
    before: int | None = None
    for version in sorted(of_version):
        first = min(sent.order or 0 for sent in of_version[version])
        if before is not None and not _acknowledged_by(of_version[before], first):
            seen = f"the event of version {version} was published at {first}"
            yield Finding(seen, f"that of version {before} to be acknowledged before it")
        before = version


def _acknowledged_by(messages: list[Published], order: int) -> bool:
    return any(sent.acknowledged and (sent.order or 0) < order for sent in messages)


SAGA: Final[tuple[SagaInvariant, ...]] = (published_in_order,)
