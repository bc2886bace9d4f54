"""Setting a project up: databases on their servers, streams and consumers on its broker, and what of it was new.

The tables are `databases`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.bootstrap.access import Parties, provision
from saga_engine.bootstrap.stores import is_embedded
from saga_engine.bootstrap.transports import transport
from saga_engine.databases import Database
from saga_engine.errors import StoreUnavailableError
from saga_engine.settings.settled import Settings
from saga_engine.settings.shown import shown_url

_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class BrokerSetUp:
    """`made`: the streams that were not there before; `there`: those that were."""

    made: Sequence[str]
    there: Sequence[str]
    parties: Parties


def make_databases(databases: Sequence[Database]) -> Sequence[str]:
    """Make those that their servers do not have; the branches of which one was made. SQLite files make themselves.

    Raises:
        StoreUnavailableError: a server cannot be reached, or this login may not make a database. It says all that an
            administrator is to run.
    """
    from saga_engine.sql.creation import Made, Refused, ensure_database

    outcomes = {url: ensure_database(url) for url in dict.fromkeys(map(_url, databases)) if not is_embedded(url)}
    refused = {url: one for url, one in outcomes.items() if isinstance(one, Refused)}
    if refused:
        why = [f"{shown_url(url)}: there is no such database: {one.reason}" for url, one in refused.items()]
        wanted = [f"  {statement};" for one in refused.values() for statement in one.statements]
        raise StoreUnavailableError(
            "\n".join([*why, "have an administrator of the server run this, then repeat `saga setup`:", *wanted])
        )
    return [one.branch for one in databases if isinstance(outcomes.get(_url(one)), Made)]


def _url(database: Database) -> str:
    return database.url.get_secret_value()


async def set_up_broker(settings: Settings) -> BrokerSetUp:
    """Make the streams and consumers that the project needs. Safe to repeat. Raises as `provision`."""
    looking = settings.nats.model_copy(update={"provision": False})
    async with transport(settings.with_nats(looking), _WAIT_S) as connected:
        there = await connected.streams()
        parties = await provision(settings)
        made = [name for name in await connected.streams() if name not in there]
    return BrokerSetUp(made, there, parties)
