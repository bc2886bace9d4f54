"""What an API process counts: its answers by operation and status, and who follows a saga. Plain objects of the loop's.

Owns those counts. What metrics are made of them is `metrics`'.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from saga_engine.tally import Tally

NO_OPERATION: Final = "none"
"""Where nothing was asked for that there is: a caller may make up paths, and labels are to be few."""


@dataclass(slots=True)
class ApiCounters:
    """`answered`: by operation and status, from a request's head until its answer began. `followers`: one for each."""

    answered: dict[tuple[str, str], Tally] = field(default_factory=dict)
    open: int = 0
    followers: set[object] = field(default_factory=set)

    @property
    def following(self) -> int:
        return len(self.followers)

    def count(self, operation: str | None, status: int, microseconds: int) -> None:
        """An answer has begun."""
        labels = (operation or NO_OPERATION, str(status))
        tally = self.answered.get(labels)
        if tally is None:
            tally = self.answered[labels] = Tally()
        tally.add(microseconds)
