"""What can go wrong around the engine, as exceptions that carry what, where and what to do.

Outcomes that are expected (a conflict, a rejection, a refusal) are values, never exceptions.
"""

from __future__ import annotations


class SagaEngineError(Exception):
    """Base of all errors that a user can cause or must act on. `exit_code` is what the CLI ends with."""

    exit_code = 1


class UsageError(SagaEngineError):
    """A bad definition, input or setting."""

    exit_code = 2


class NotFoundError(SagaEngineError):
    """There is no such saga, definition or participant."""

    exit_code = 3


class UnavailableError(SagaEngineError):
    """A server cannot be reached or does not answer; what was asked may be asked again."""

    exit_code = 4


class StoreUnavailableError(UnavailableError):
    """The database cannot be reached, is shutting down or is out of connections."""


class SchemaMissingError(UnavailableError):
    """The database is there, its tables are not, or not in this release's form: `saga db upgrade`."""


class TransportUnavailableError(UnavailableError):
    """NATS cannot be reached, or JetStream does not answer."""


class LoginRefusedError(TransportUnavailableError):
    """NATS is there and refuses who we say we are."""


def words_of(error: BaseException) -> str:
    """What an exception says of itself; nothing where its own code fails to."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - somebody else's code, which may do anything
        return ""
