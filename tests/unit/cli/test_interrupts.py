"""Ctrl-C at a moment at which a library makes another error of it."""

from __future__ import annotations

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
