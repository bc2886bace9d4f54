"""Runs many commands in one transaction, and in smaller ones where that does not go: halves, down to single commands.

Owns who is spared whose trouble. Blocking; knows no transport.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from saga_engine.envelope import Command
from saga_engine.errors import UnavailableError
from saga_engine.participant.answers import Answer
from saga_engine.participant.fence import Fence
from saga_engine.participant.ledger import LostRaceError
from saga_engine.participant.signature import Handler
from saga_engine.sql.savepoint import SpoiledError
from saga_engine.sql.transaction import CommitUnknownError, ContendedError


def run_batch(fence: Fence, work: Sequence[tuple[Handler, Command]], now: int) -> Sequence[Answer | Exception]:
    """For each command in order its answer, or the trouble of its transaction, as `Fence.execute` raises it.

    A transaction that fails for what one command did is tried again in halves, so that the others get theirs. When the
    database does not serve at all, all are told at once.
    """
    if len(work) == 1:
        return [_alone(fence, *work[0], now)]
    try:
        return fence.execute_many(work, now)
    except (ContendedError, CommitUnknownError, LostRaceError, SpoiledError):
        pass
    except UnavailableError as error:
        return [error] * len(work)
    except SQLAlchemyError:
        # A handler has left the transaction in a state that could not be committed.
        pass
    middle = len(work) // 2
    return [*run_batch(fence, work[:middle], now), *run_batch(fence, work[middle:], now)]


def _alone(fence: Fence, handler: Handler, command: Command, now: int) -> Answer | Exception:
    try:
        return fence.execute(handler, command, now)
    except (UnavailableError, SQLAlchemyError) as error:
        return error
