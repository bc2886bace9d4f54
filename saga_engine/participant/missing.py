"""Commands that have no handler in this worker: what becomes of one, and how seldom that is told.

Owns the wording of what is missing and for how long it is waited for. Knows no transport.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from saga_engine.core.timing import LONGEST_REPLY_WAIT
from saga_engine.envelope import Command
from saga_engine.handling import about
from saga_engine.participant.answers import Disposition, Dropped, PutBack
from saga_engine.participant.registry import MergedParticipant

_MOST_NAMES: Final = 1_000
"""Names that are told apart: who sends what nobody knows must not fill our memory."""
REMIND_US: Final = 10 * 60 * 1_000_000

log = structlog.get_logger("saga_engine.participant")


@dataclass(slots=True)
class _Told:
    """Of one name: when it was told last, and how many deliveries have come since."""

    at: int
    since: int = 0


class MissingHandlers:
    """What this worker does with commands that it has no handler for: a worker of a newer release may have one."""

    def __init__(self, participant: MergedParticipant) -> None:
        self._participant = participant
        self._told: dict[str, _Told] = {}

    def disposition(self, command: Command, now: int) -> Disposition:
        """Put back while another worker may take this send; later it is let go of.

        A send is let go of once the longest time between two sends has passed since its deadline: if an answer is still
        wanted, a newer send has come. So what ended sagas have asked for does not go round for ever. What an operator
        has sent again stays, since nothing comes after it.
        """
        self._tell(command, now)
        reason = f"{self._participant.name}.{command.command} has no handler in this worker"
        if command.resent or now <= command.deadline + LONGEST_REPLY_WAIT:
            return PutBack(reason)
        return Dropped(reason)

    def _tell(self, command: Command, now: int) -> None:
        name = command.command
        told = self._told.get(name)
        if told is None and len(self._told) < _MOST_NAMES:
            self._told[name] = _Told(now)
            log.warning(
                "no handler for a command: its sagas wait until a worker has one",
                command=f"{self._participant.name}.{name}",
                **about(command),
                known=", ".join(sorted(self._participant.handlers)),
                next=self._advice(name),
            )
        elif told is not None:
            told.since += 1
            if now >= told.at + REMIND_US:
                log.warning(
                    "still no handler for a command: its sagas wait",
                    command=f"{self._participant.name}.{name}",
                    deliveries=told.since,
                    next=self._advice(name),
                )
                self._told[name] = _Told(now)

    def _advice(self, name: str) -> str:
        # Names no handler that may be meant: one that definitions call rightly must not be taken for it, and no worker
        # knows the definitions.
        write = f'def {name}(ctx: Context) under the .command decorator of Participant("{self._participant.name}")'
        return f"write {write}, and run again"
