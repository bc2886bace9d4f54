"""The services of a process start on a database that goes away in the middle of their start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.bootstrap.services import Roles, run
from saga_engine.errors import StoreUnavailableError
from saga_engine.settings import Config, settle

P = ParamSpec("P")
T = TypeVar("T")

ASKED_AT_THE_START = ("now", "register", "reply_keys")


def _away_once(call: Callable[P, T], told: list[str], name: str) -> Callable[P, T]:
    def asked(*arguments: P.args, **named: P.kwargs) -> T:
        if name not in told:
            told.append(name)
            raise StoreUnavailableError("the database system is starting up")
        return call(*arguments, **named)

    return asked


async def test_a_database_that_goes_away_while_the_services_start_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away: list[str] = []
    for name in ASKED_AT_THE_START:
        monkeypatch.setattr(SqlEventStore, name, _away_once(getattr(SqlEventStore, name), away, name))
    stop, ready = asyncio.Event(), asyncio.Event()
    services = asyncio.create_task(run(settle(Config(), tmp_path), Roles(), stop, lambda _: ready.set()))
    starting = asyncio.create_task(ready.wait())
    await asyncio.wait((services, starting), return_when=asyncio.FIRST_COMPLETED, timeout=60)
    assert ready.is_set(), services
    stop.set()
    await services
    assert sorted(away) == sorted(ASKED_AT_THE_START)
