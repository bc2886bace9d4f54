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


def test_what_a_handler_logs_says_of_which_saga_step_and_trace_it_is() -> None:
    ours, theirs, outside = logged("""
        import logging
        import structlog
        from saga_engine.cli.logs import configure
        from saga_engine.handling import handled
        from saga_engine.wire.commands import message_to_command
        from saga_engine.envelope import Message
        configure("info")
        key = "0190d7a0-0000-7000-8000-000000000000/pay/forward"
        numbers = {f"saga-{name}": "1" for name in ("attempt", "send", "issued-at", "deadline", "partition")}
        trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        headers = {"saga-key": key, "saga-name": "order", **numbers, **trace}
        token = handled.set(message_to_command(Message("saga.command.bank.pay", headers, b'{"payload":{}}', None)))
        structlog.get_logger("ours").info("charged", attempt="its own word")
        logging.getLogger("theirs").warning("slow")
        handled.reset(token)
        logging.getLogger("theirs").warning("outside")
    """)
    about = {
        "saga": "order",
        "saga_id": "0190d7a0-0000-7000-8000-000000000000",
        "step": "pay",
        "direction": "forward",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
    assert about.items() <= ours.items()
    assert ours["attempt"] == "its own word"
    assert {**about, "attempt": 1}.items() <= theirs.items()
    assert "saga" not in outside
