"""Gives these tests the nats-server fixtures."""

from tests.nats_fixtures import nats_server, nats_url, own_nats_server

__all__ = ["nats_server", "nats_url", "own_nats_server"]
