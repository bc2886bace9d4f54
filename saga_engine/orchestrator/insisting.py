"""How a caller who blocks goes on when others were quicker with its sagas: it waits, longer each time, and asks again.

Owns for how long. An orchestrator does not wait here, but with its agenda, where its other sagas go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from saga_engine.orchestrator.inline import finish
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.turns import Turn, Turned

Pause: TypeAlias = Callable[[float], None]
"""`sql.pacing.Pacing.pause`: waits for a random part of so many seconds, so that callers do not meet again."""

_PAUSES: Final = 25
"""Ten seconds at most, as long as a transaction is retried: who is still overtaken then is told."""
_FIRST_S: Final = 0.01
_LONGEST_S: Final = 0.5


def insist(transactor: Transactor, turns: Callable[[], Sequence[Turn]], pause: Pause) -> Sequence[Turned]:
    """As `Transactor.transact`, whose store calls are inline, for those that were overtaken again after each pause.

    `turns` makes them, the same each time but for the time that they carry. It goes on record, and what was sent until
    then is waited for: a cancel recorded as of ten seconds ago would let its compensations overtake a handler.
    """
    done = list(finish(transactor.transact(turns(), tries=1)))
    for tried in range(_PAUSES):
        overtaken = [index for index, turned in enumerate(done) if turned.overtaken]
        if not overtaken:
            break
        pause(min(_LONGEST_S, _FIRST_S * 2.0**tried))
        anew = turns()
        again = finish(transactor.transact([anew[index] for index in overtaken], tries=1))
        for index, turned in zip(overtaken, again, strict=True):
            done[index] = turned
    return done
