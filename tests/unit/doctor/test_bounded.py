"""A check that hangs or fails is told as such, and hides no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from saga_engine.doctor import bounded as module
from saga_engine.doctor.bounded import bounded, in_thread
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.errors import StoreUnavailableError
from saga_engine.participant.threads import HandlerThreads


async def test_a_check_that_hangs_is_given_up_while_the_one_beside_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE_S", 0.05)
    threads, released = HandlerThreads("test", 2), threading.Event()

    def hangs() -> list[Finding]:
        released.wait()
        return []

    try:
        told = await asyncio.gather(
            in_thread(threads, "database", "there", hangs),
            in_thread(threads, "disk", "here", lambda: [fine("disk", "here", "room")]),
        )
    finally:
        released.set()
        threads.close()
    ((given_up,), (found,)) = told
    assert (given_up.check, given_up.severity) == ("database", Severity.ERROR)
    assert "no answer within" in given_up.what
    assert found.severity is Severity.OK


async def test_an_error_that_a_user_can_act_on_is_a_finding_for_each_of_its_lines() -> None:
    async def fails() -> list[Finding]:
        raise StoreUnavailableError("one\ntwo")

    told = await bounded("sagas", "here", fails())
    assert [(one.severity, one.what) for one in told] == [(Severity.ERROR, "one"), (Severity.ERROR, "two")]
    assert all(one.next for one in told)


async def test_a_defect_of_a_check_is_a_finding_and_no_traceback() -> None:
    def broken() -> Iterator[Finding]:
        yield fine("sagas", "here", "so far")
        raise KeyError("missing")

    threads = HandlerThreads("test", 1)
    try:
        (told,) = await in_thread(threads, "sagas", "here", broken)
    finally:
        threads.close()
    assert (told.severity, told.what) == (Severity.ERROR, "the check itself failed: KeyError: 'missing'")
