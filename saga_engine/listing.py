"""Pages of sagas: the blocked ones first, which need somebody, then the newest.

Owns that order and what a row says of a blocked saga. Knows no terminal and no HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from saga_engine.core.state import Status
from saga_engine.core.verbs import useful_verbs
from saga_engine.core.waits import AwaitedOperator, blocked_steps
from saga_engine.definition.model import Json
from saga_engine.documents.saga import head_json
from saga_engine.documents.waits import blocked_json
from saga_engine.envelope import StreamHead
from saga_engine.identifiers import lowest_id
from saga_engine.ports.store import StreamFilter

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import Client


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of sagas; of those that are blocked what blocks them, and which verbs are of use."""

    heads: Sequence[StreamHead]
    blocked: Mapping[UUID, Sequence[AwaitedOperator]]
    verbs: Mapping[UUID, Sequence[str]]

    def rows(self) -> list[Mapping[str, Json]]:
        """A row for each; of a blocked saga also what blocks it and what can be done."""
        return [_row(head, self.blocked.get(head.stream_id), self.verbs.get(head.stream_id, ())) for head in self.heads]


def started_before(client: Client, older_than: int | None) -> UUID | None:
    """The id below which sagas were started longer ago than that many microseconds."""
    return None if older_than is None else lowest_id(client.now - older_than)


def listed(client: Client, wanted: StreamFilter, older_than: int | None = None) -> Listed:
    """The page that is asked for, of sagas started longer than `older_than` microseconds ago.

    The first page of all sagas begins with those that are blocked.
    """
    bounds = [bound for bound in (wanted.before, started_before(client, older_than)) if bound is not None]
    heads = _page(client, replace(wanted, before=min(bounds, default=None)))
    plans = {head.stream_id: client.plan(head.definition_hash) for head in heads if head.status == Status.BLOCKED}
    states = client.states(list(plans))
    return Listed(
        heads,
        {saga_id: blocked_steps(state) for saga_id, state in states.items()},
        {saga_id: useful_verbs(plans[saga_id], state) for saga_id, state in states.items()},
    )


def _page(client: Client, wanted: StreamFilter) -> Sequence[StreamHead]:
    if wanted.statuses or wanted.before is not None:
        return client.list(wanted)
    first = client.list(replace(wanted, statuses=(Status.BLOCKED,)))
    left = wanted.limit - len(first)
    if not left:
        return first
    seen = {head.stream_id for head in first}
    # As many as were seen may be met again; asked by status, no index would give them in order.
    others = client.list(wanted)
    return [*first, *[head for head in others if head.stream_id not in seen][:left]]


def _row(head: StreamHead, steps: Sequence[AwaitedOperator] | None, verbs: Sequence[str]) -> Mapping[str, Json]:
    if steps is None:
        return head_json(head)
    return {
        **head_json(head),
        "blocked": [blocked_json(step) for step in steps],
        "verbs": list(verbs),
    }
