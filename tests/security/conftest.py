"""Fixtures of the security tests: projects, and the nats-server that they attack."""

from tests.acceptance.conftest import project
from tests.nats_fixtures import nats_server, nats_url, own_nats_server

__all__ = ["nats_server", "nats_url", "own_nats_server", "project"]
