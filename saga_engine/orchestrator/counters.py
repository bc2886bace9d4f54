"""What an orchestrator has done since it began, as plain counts for tests, logs and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class Counters:
    """`sent_again` are repeated sends of commands: none in a healthy run. `ignored` counts replies by reason.

    `unreadable`: replies that went to the dead letters. `flooded`: those that had to wait, since too many of their saga
    waited already. `long`: sagas whose streams have become remarkably long. `forgeries`: those of `forged`, by what was
    wrong with their token.
    """

    batches: int = 0
    commits: int = 0
    replies: int = 0
    commands: int = 0
    sent_again: int = 0
    unacknowledged: int = 0
    over_sla: int = 0
    forged: int = 0
    unreadable: int = 0
    flooded: int = 0
    long: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    forgeries: Counter[str] = field(default_factory=Counter)

    def shown(self) -> Mapping[str, int | Mapping[str, int]]:
        """The counts by name, for a log line."""
        by_reason = {"ignored": dict(self.ignored), "forgeries": dict(self.forgeries)}
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in by_reason} | by_reason
