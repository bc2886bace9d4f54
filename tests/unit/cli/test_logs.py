"""Logs: what libraries and our own modules say, as lines of JSON where stderr is no terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent

import pytest


def logged(code: str) -> list[dict[str, object]]:
    """What a process of its own logs; it must print nothing to stdout."""
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize("how", ["configure", "configure_libraries"])
def test_a_library_that_warns_is_heard_and_one_that_chats_is_not(how: str) -> None:
    (line,) = logged(f"""
        import logging
        from saga_engine.cli.logs import {how}
        {how}("warning")
        logging.getLogger("sqlalchemy.pool").info("a connection was taken")
        logging.getLogger("sqlalchemy.pool").warning("a connection was lost")
    """)
    assert (line["event"], line["level"], line["logger"]) == ("a connection was lost", "warning", "sqlalchemy.pool")


def test_structlog_is_imported_when_a_library_has_something_to_say() -> None:
    (line,) = logged("""
        import logging, sys
        from saga_engine.cli.logs import configure_libraries
        configure_libraries("warning")
        assert "structlog" not in sys.modules
        logging.getLogger("nats").error("trouble")
    """)
    assert line["event"] == "trouble"


def test_an_exception_that_is_the_cause_of_trouble_is_shown_whole_and_none_is_not_shown_at_all() -> None:
    with_cause, without = logged("""
        import structlog
        from saga_engine.cli.logs import configure
        configure("info")
        log = structlog.get_logger("ours")
        try:
            {}["missing"]
        except KeyError as error:
            log.error("trouble", exc_info=error)
        log.error("trouble", exc_info=None)
    """)
    assert "KeyError: 'missing'" in str(with_cause["exception"])
    assert set(without) == {"event", "level", "logger", "timestamp"}
