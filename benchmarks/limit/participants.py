"""The limit's participants, a process of their own.

They answer at once, and acknowledge a command once its reply is stored. `python -m benchmarks.limit.participants
NATS_URL` says `ready` and works until it is ended.
"""

from __future__ import annotations

import asyncio
import sys

import nats
import orjson
import uvloop
from nats.aio.msg import Msg

from benchmarks.limit.jetstream import COMMANDS, REPLY_SUBJECT, Publisher, Pull


async def work(url: str) -> None:
    """Answer the commands on the nats-server of `url`, for ever."""
    client = await nats.connect(url, pending_size=256 * 2**20)

    async def acknowledge(delivery: str) -> None:
        await client.publish(delivery, b"+ACK")

    publisher = Publisher(client, acknowledge)

    async def answer(message: Msg) -> None:
        command = orjson.loads(message.data)
        reply = {
            "saga_id": command["saga_id"],
            "step": command["step"],
            "outcome": "success",
            "data": {"ref": command["data"]["order_id"]},
        }
        await publisher.publish(REPLY_SUBJECT, orjson.dumps(reply), message.reply)

    await publisher.start()
    await Pull(client, COMMANDS, answer).start()
    await client.flush()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(work(sys.argv[1]))
