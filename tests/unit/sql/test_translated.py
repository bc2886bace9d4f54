"""A database's error in the engine's words: which database, and the driver's own first line without its wrapping."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from saga_engine.errors import StoreUnavailableError
from saga_engine.sql.engine import open_engine
from saga_engine.sql.transaction import CommitUnknownError, translated
from saga_engine.sql.trouble import Trouble


def test_the_drivers_first_line_is_told_without_the_librarys_wrapping() -> None:
    error = OperationalError("INSERT ...", {}, Exception("server closed the connection\nprobably it was killed"))
    told = translated(open_engine("sqlite:///engine.db"), error, Trouble.UNKNOWN_COMMIT)
    assert isinstance(told, CommitUnknownError)
    assert str(told) == "sqlite:///engine.db: it is unknown whether the commit happened (server closed the connection)"


def test_a_pool_without_a_free_connection_is_told_as_a_database_that_does_not_serve() -> None:
    error = PoolTimeoutError("no connection within 30 s")
    told = translated(open_engine("sqlite:///engine.db"), error, Trouble.UNAVAILABLE)
    assert isinstance(told, StoreUnavailableError)
    assert str(told) == "sqlite:///engine.db: the database does not serve: no connection within 30 s"
