"""A handler's exception as the code and message of a `failed` reply. Payloads and SQL parameters stay out of both."""

from __future__ import annotations

import builtins
import difflib
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import StatementError

from saga_engine.envelope import Command
from saga_engine.errors import words_of
from saga_engine.handling import about
from saga_engine.participant.answers import Answer, failed
from saga_engine.participant.context import CODE
from saga_engine.participant.places import places_of
from saga_engine.participant.results import ResultRefusedError

MAX_MESSAGE: Final = 500
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")

log = structlog.get_logger("saga_engine.participant")


def failure_of(error: BaseException) -> Answer:
    """`CardNetworkDown("...")` becomes code `card_network_down`; a name that makes no code becomes `error`."""
    if isinstance(error, ResultRefusedError):
        return failed(error.code, bounded(error.message))
    code = _WORDS.sub("_", type(error).__name__).lower()
    return failed(code if CODE.fullmatch(code) else "error", bounded(_text(error)))


def explain(error: ValidationError) -> str:
    """What a model refused, and where, without the values."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'payload'}: {problem['msg']}" for problem in problems)


def bounded(text: str) -> str:
    """One printable line of at most 500 characters: PostgreSQL refuses NUL, terminals obey control characters."""
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= MAX_MESSAGE else f"{line[: MAX_MESSAGE - 1]}…"


def answer_failure(command: Command, error: BaseException) -> Answer:
    """The reply for a handler that failed; the log is told where, in places only, no values."""
    answer = failure_of(error)
    log.warning(
        "handler failed",
        participant=command.participant,
        command=command.command,
        key=command.key,
        **about(command),
        code=answer.code,
        reason=answer.message,
        where=places_of(error.__traceback__),
    )
    return answer


def _text(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return explain(error)
    if isinstance(error, StatementError) and error.orig is not None:
        # The statement's parameters and the server's DETAIL line hold values of the payload.
        return next(iter(str(error.orig).splitlines()), "") or type(error.orig).__name__
    text = words_of(error)
    return f"{text}{_meant(error)}" if text else type(error).__name__


def _meant(error: BaseException) -> str:
    """What Python would ask under a traceback: `. Did you mean: 'amount'?`, of names alone."""
    if not isinstance(error, AttributeError | NameError) or not isinstance(error.name, str):
        return ""
    known = {name for name in _names(error) if isinstance(name, str) and name != error.name}
    near = difflib.get_close_matches(error.name, known, n=1)
    return f". Did you mean: {near[0]!r}?" if near else ""


def _names(error: AttributeError | NameError) -> Iterator[str]:
    """The names that could have been meant where the error came up."""
    if isinstance(error, AttributeError):
        with suppress(Exception):  # An object lists its attributes by code of its own, which may do anything.
            yield from dir(error.obj)
        return
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None:
        yield from trace.tb_frame.f_locals
        yield from trace.tb_frame.f_globals
    yield from vars(builtins)
