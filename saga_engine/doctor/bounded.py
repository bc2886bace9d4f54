"""Runs one check so that it never hangs and never hides another: within a time, and whatever it raises is a finding.

Knows no check.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

from saga_engine.doctor.finding import Finding, Severity
from saga_engine.errors import SagaEngineError
from saga_engine.ports.store import RunSync

DEADLINE_S: Final = 10.0
"""How long one check may take. All run side by side, so that this is about as long as the whole may take."""


async def bounded(check: str, where: str, work: Awaitable[Iterable[Finding]]) -> Sequence[Finding]:
    """What the check finds, or one finding that says why it did not come to an end."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            return list(await work)
    except TimeoutError:
        return [Finding(check, Severity.ERROR, where, f"no answer within {DEADLINE_S:.0f} s", _HANGS, _LOOK_THERE)]
    except SagaEngineError as error:
        next_ = "correct that first, then saga doctor again"
        return [Finding(check, Severity.ERROR, where, line, _UNKNOWN, next_) for line in str(error).splitlines()]
    except Exception as error:  # noqa: BLE001 - a defect of one check must not hide what the others have found
        what = f"the check itself failed: {type(error).__name__}: {' '.join(str(error).split())}"
        return [Finding(check, Severity.ERROR, where, what, _UNKNOWN, "SAGA_DEBUG=1 saga doctor")]


async def in_thread(
    run_sync: RunSync, check: str, where: str, work: Callable[[], Iterable[Finding]]
) -> Sequence[Finding]:
    """The same for a check that blocks. One that hangs is left behind in its thread."""
    return await bounded(check, where, run_sync(partial(_all, work)))


def _all(work: Callable[[], Iterable[Finding]]) -> list[Finding]:
    return list(work())


_UNKNOWN: Final = "What this check looks at is unknown."
_HANGS: Final = "Something accepts connections and does not work: whoever uses it waits."
_LOOK_THERE: Final = "look at that server's own log, and at what stands in between"
