"""Runs a handler that has no database: at least once, and never past the deadline of the send.

The deadline is its only fence: the orchestrator waits for it before it sends the compensation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Final, cast

from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.envelope import Command
from saga_engine.participant.answers import Answer, failed
from saga_engine.participant.context import Rejected, context_of
from saga_engine.participant.failures import answer_failure, bounded
from saga_engine.participant.results import read_result
from saga_engine.participant.signature import Handler
from saga_engine.participant.stepping import Ended, begin
from saga_engine.ports.clock import Clock
from saga_engine.sql.trouble import is_infrastructure

_STOPPED: Final = "the handler was stopped at the deadline of this send; give it a longer timeout.reply"


async def run_unfenced(handler: Handler, command: Command, settings: Mapping[str, Json], clock: Clock) -> Answer:
    """Run the handler until the deadline at most. Raises only the trouble of a database that it may have used."""
    context = context_of(command, settings, command.undone_result)
    limit: asyncio.Timeout | None = None
    try:
        first = begin(cast(Coroutine[object, object, object], handler.call(context, command.payload)))
        if isinstance(first, Ended):
            result = first.value
        else:
            limit = asyncio.timeout((command.deadline - clock.now()) / 1_000_000)
            async with limit:
                result = await first
        return Answer(Outcome.SUCCEEDED, result=read_result(result))
    except Rejected as rejected:
        return Answer(Outcome.REJECTED, code=rejected.code, message=bounded(rejected.message))
    except asyncio.CancelledError as error:
        # Of something that the handler awaited; where its own task is cancelled the worker is stopping.
        if _is_cancelled():
            raise
        return answer_failure(command, error)
    except GeneratorExit:  # Nobody waits for it any more.
        raise
    except BaseException as error:
        if limit is not None and limit.expired():
            return failed("deadline_passed", _STOPPED)
        if is_infrastructure(error):
            raise
        return answer_failure(command, error)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
