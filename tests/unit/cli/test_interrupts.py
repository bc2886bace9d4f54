"""Ctrl-C at a moment at which a library makes another error of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from saga_engine.cli.frame import Frame
from saga_engine.cli.interrupts import interrupts_kept
from tests.unit.cli.conftest import Saga


@pytest.fixture(autouse=True)
def sigint_as_in_the_foreground() -> Iterator[None]:
    """A suite that a script has started in the background has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_error_that_a_ctrl_c_has_caused_is_told_as_the_ctrl_c(
    saga: Saga, project: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def client(_: Frame) -> object:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            raise AssertionError

    monkeypatch.setattr(Frame, "client", client)
    done = saga("list")
    assert (done.code, done.out, done.err) == (130, "", "interrupted\n")


def test_an_error_without_a_ctrl_c_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="its own"), interrupts_kept():
        raise ValueError("its own")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_sigint_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts_kept():
        signal.raise_signal(signal.SIGINT)


def test_a_ctrl_c_while_asyncio_runs_cancels_what_it_runs_and_breaks_into_no_other_task() -> None:
    told: list[str] = []

    async def beside() -> None:
        signal.raise_signal(signal.SIGINT)
        told.append("it went on")

    async def waiting() -> None:
        other = asyncio.create_task(beside())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            await other
            raise

    with pytest.raises(KeyboardInterrupt), interrupts_kept():
        asyncio.run(waiting())
    assert told == ["it went on", "cancelled"]
