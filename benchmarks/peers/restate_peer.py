"""Restate: its server, one service process, and this client: `restate_peer.py SERVER FOLDER`.

Settings are the best that were found: 4 partitions, 200 in flight. Its own log syncs as it does by default.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import uvloop

from benchmarks.orders import Order
from benchmarks.peers.conversation import converse

IN_FLIGHT = 200
PARTITIONS = 4
PATIENCE_S = 60.0


async def main(server: str, folder: Path) -> None:
    ingress, admin, node, service = (_free_port() for _ in range(4))
    environment = {
        **os.environ,
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_DEFAULT_NUM_PARTITIONS": str(PARTITIONS),
        "RUST_LOG": "error",
    }
    hypercorn = str(Path(sys.executable).parent / "hypercorn")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            _process(folder, environment, server, "--base-dir", str(folder / "data"), "--no-logo")
        )
        await stack.enter_async_context(
            _process(
                folder,
                environment,
                *(hypercorn, "-b", f"127.0.0.1:{service}", "-k", "uvloop", "--log-level", "error"),
                "benchmarks.peers.restate_service:app",
            )
        )
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        deployment = {"uri": f"http://127.0.0.1:{service}", "force": True}
        await _until_accepted(session, f"http://127.0.0.1:{admin}/deployments", deployment)
        url = f"http://127.0.0.1:{ingress}/saga/run"
        probe: Order = {"order_id": "probe", "fail": False}
        await _until_accepted(session, url, probe)

        async def run_one(order: Order) -> str:
            async with session.post(url, json=order) as answer:
                answer.raise_for_status()
                ended: str = await answer.json()
                return ended

        await converse(run_one, IN_FLIGHT)


@asynccontextmanager
async def _process(folder: Path, environment: dict[str, str], *command: str) -> AsyncIterator[None]:
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _until_accepted(session: aiohttp.ClientSession, url: str, body: object) -> None:
    """The server is some seconds in coming up, and its service after it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with session.post(url, json=body) as answer:
                    if answer.ok:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2])))
