"""What a worker has done since it began, as plain counts for metrics."""

from __future__ import annotations

from dataclasses import dataclass, field

from saga_engine.tally import Tally


@dataclass(slots=True)
class WorkCounters:
    """What a worker has done since it was started.

    `received` are deliveries of commands, `redelivered` those among them that came before; `unreadable` went to the
    dead letters. `open`: taken and not settled yet. `handled`: by command and what came of it (`succeeded`, `rejected`,
    `failed`, `put_back`, `dropped`, `dead`), how often and how long after the delivery.
    """

    received: int = 0
    redelivered: int = 0
    unreadable: int = 0
    open: int = 0
    handled: dict[tuple[str, str], Tally] = field(default_factory=dict)

    def conclude(self, command: str, result: str, microseconds: int) -> None:
        """Count a delivery that came to an end."""
        tally = self.handled.get((command, result))
        if tally is None:
            tally = self.handled[command, result] = Tally()
        tally.add(microseconds)
