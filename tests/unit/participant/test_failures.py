"""What is told of a handler's exception: what it should have been called, and where it was raised."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, event, text
from sqlalchemy.engine import Connection
from structlog.testing import capture_logs

from saga_engine.participant.failures import answer_failure, failure_of
from saga_engine.participant.places import places_of
from tests.unit.participant.support import forward


class Debit(BaseModel):
    amount: int


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Sly:
    def __dir__(self) -> list[str]:
        raise RuntimeError("look elsewhere")


def attribute_of_a_model() -> None:
    Debit(amount=1).amout  # type: ignore[attr-defined]  # noqa: B018


def name_of_a_function() -> None:
    failure_off(ValueError())  # type: ignore[name-defined]  # noqa: F821


def name_of_a_builtin() -> None:
    pritn()  # type: ignore[name-defined]  # noqa: F821


def nothing_near() -> None:
    Debit(amount=1).zzzzzz  # type: ignore[attr-defined]  # noqa: B018


def attribute_of_what_lists_none() -> None:
    Sly().amout  # type: ignore[attr-defined]  # noqa: B018


def attribute_error_of_ones_own() -> None:
    raise AttributeError("no such thing")


def raised(call: Callable[[], object]) -> Exception:
    try:
        call()
    except (AttributeError, NameError, LookupError, ValueError) as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("call", "ending"),
    [
        (attribute_of_a_model, "has no attribute 'amout'. Did you mean: 'amount'?"),
        (name_of_a_function, "name 'failure_off' is not defined. Did you mean: 'failure_of'?"),
        (name_of_a_builtin, "name 'pritn' is not defined. Did you mean: 'print'?"),
        (nothing_near, "has no attribute 'zzzzzz'"),
        (attribute_of_what_lists_none, "has no attribute 'amout'"),
        (attribute_error_of_ones_own, "no such thing"),
    ],
)
def test_a_misspelt_name_is_told_with_what_was_meant(call: Callable[[], object], ending: str) -> None:
    assert failure_of(raised(call)).message.endswith(ending)


def test_an_error_that_cannot_say_what_it_is_is_told_by_its_name() -> None:
    answer = failure_of(SilentError())
    assert (answer.code, answer.message) == ("silent_error", "SilentError")


def test_the_handlers_own_lines_are_told_however_deep_a_library_failed(engine: Engine) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def refuse(*_: object) -> None:
        raise LookupError("deep inside")

    def handler(connection: Connection) -> None:
        written(connection)

    def written(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))

    with engine.connect() as connection, capture_logs() as logs:
        error = raised(lambda: handler(connection))
        answer_failure(forward(), error)
    (entry,) = logs
    places = entry["where"].split(" > ")
    ours = [place.rpartition(" ")[2] for place in places if place.startswith(f"{__file__}:")]
    assert ours[-3:] == ["handler", "written", "refuse"]
    assert "…" in places, "what SQLAlchemy did in between is left out"
    assert len(places) < 10


def test_a_handler_that_calls_itself_is_told_by_its_first_and_last_lines() -> None:
    def handler(left: int) -> None:
        if left:
            handler(left - 1)
        raise ValueError("at the bottom")

    places = places_of(raised(lambda: handler(50)).__traceback__).split(" > ")
    assert places.count("…") == 1
    assert len(places) == 13
    assert places[0].endswith(" raised")


def test_the_handler_is_told_also_where_its_package_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "saga_engine.participant.places._INSTALLED", (str(tmp_path), str(Path(json.__file__).parents[1]))
    )
    source = tmp_path / "hotel.py"
    source.write_text("import json\ndef reserve():\n    json.loads('{')\n")
    names: dict[str, Callable[[], object]] = {}
    exec(compile(source.read_text(), str(source), "exec"), names)
    error = raised(names["reserve"])
    trace = error.__traceback__
    assert trace is not None
    told = places_of(trace.tb_next)
    assert told.startswith(f"{source}:3 reserve > … > "), told
    assert told.endswith(" raw_decode")


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert places_of(None) == ""
