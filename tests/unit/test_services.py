"""The services of a process and the files they work on: gone in the middle of the start, deleted, private."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.bootstrap.services import Roles, run
from saga_engine.errors import StoreUnavailableError
from saga_engine.private import DATA_FOLDER, OTHERS_MASK
from saga_engine.settings.sections import Config
from saga_engine.settings.settled import settle

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


async def _started(root: Path) -> tuple[asyncio.Task[None], asyncio.Event]:
    stop, ready = asyncio.Event(), asyncio.Event()
    services = asyncio.create_task(run(settle(Config(), root), Roles(), stop, lambda _: ready.set()))
    starting = asyncio.create_task(ready.wait())
    await asyncio.wait((services, starting), return_when=asyncio.FIRST_COMPLETED, timeout=60)
    assert ready.is_set(), services
    return services, stop


async def test_a_database_that_goes_away_while_the_services_start_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away: list[str] = []
    for name in ASKED_AT_THE_START:
        monkeypatch.setattr(SqlEventStore, name, _away_once(getattr(SqlEventStore, name), away, name))
    services, stop = await _started(tmp_path)
    stop.set()
    await services
    assert sorted(away) == sorted(ASKED_AT_THE_START)


async def test_a_database_that_is_deleted_under_the_services_ends_them_with_what_to_do(tmp_path: Path) -> None:
    services, _ = await _started(tmp_path)
    (tmp_path / DATA_FOLDER / "engine.db").unlink()
    with pytest.raises(StoreUnavailableError, match=r"engine\.db: the database was deleted .*backup"):
        await asyncio.wait_for(services, 60)


async def test_all_that_the_services_and_their_broker_keep_is_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        services, stop = await _started(tmp_path)
        found = [tmp_path / DATA_FOLDER, *(tmp_path / DATA_FOLDER).rglob("*")]
        modes = {str(path): stat.S_IMODE(path.stat().st_mode) for path in found if path.exists()}
        stop.set()
        await services
    finally:
        os.umask(before)
    assert any(path.endswith(".blk") for path in modes), "the broker has written nothing"
    assert not [path for path, mode in modes.items() if mode & OTHERS_MASK]
