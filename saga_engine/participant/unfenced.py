"""Runs a handler that has no database: at least once, and never past the deadline of the send.

The deadline is its only fence: the orchestrator waits for it before it sends the compensation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import cast

from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.envelope import Command
from saga_engine.participant.answers import Answer, failed
from saga_engine.participant.context import Rejected, context_of
from saga_engine.participant.failures import RAISED, answer_failure, bounded
from saga_engine.participant.results import decode_result, encode_result
from saga_engine.participant.signature import Handler
from saga_engine.sql.trouble import is_infrastructure


async def run_unfenced(handler: Handler, command: Command, settings: Mapping[str, Json], seconds: float) -> Answer:
    """Run the handler for at most `seconds`. Raises only the trouble of a database that it may have used."""
    context = context_of(command, settings, command.undone_result, None)
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            result = await cast(Awaitable[object], handler.call(context, command.payload))
        return Answer(Outcome.SUCCEEDED, result=decode_result(encode_result(result)))
    except Rejected as rejected:
        return Answer(Outcome.REJECTED, code=rejected.code, message=bounded(rejected.message))
    except RAISED as error:
        if limit.expired():
            message = "the handler was stopped at the deadline of this send; give it a longer timeout.reply"
            return failed("deadline_passed", message)
        if is_infrastructure(error):
            raise
        return answer_failure(command, error)
