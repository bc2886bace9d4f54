"""Setting a project up on its broker, and what of it was new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.bootstrap.access import Parties, provision
from saga_engine.bootstrap.transports import transport
from saga_engine.settings import Settings

_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class BrokerSetUp:
    """`made`: the streams that were not there before; `there`: those that were."""

    made: Sequence[str]
    there: Sequence[str]
    parties: Parties


async def set_up_broker(settings: Settings) -> BrokerSetUp:
    """Make the streams and consumers that the project needs. Safe to repeat. Raises as `provision`."""
    looking = settings.nats.model_copy(update={"provision": False})
    async with transport(settings.with_nats(looking), _WAIT_S) as connected:
        there = await connected.streams()
        parties = await provision(settings)
        made = [name for name in await connected.streams() if name not in there]
    return BrokerSetUp(made, there, parties)
