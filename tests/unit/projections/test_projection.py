"""The form of a projection: what it may handle, and how each mistake is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, new_class
from typing import Any, cast

import pytest
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, Table

from saga_engine.core.events import SagaCompleted, SagaStarted
from saga_engine.databases import databases
from saga_engine.errors import UsageError
from saga_engine.handlers import load_projections
from saga_engine.participant.registry import MergedParticipant
from saga_engine.projections import Context, Projection, on
from saga_engine.settings.sections import Config
from saga_engine.settings.settled import settle

tables = MetaData()
Table("seen", tables, Column("id", Integer, primary_key=True))

PROJECTION = """
from sqlalchemy import Column, Integer, MetaData, Table
from saga_engine.core.events import SagaStarted
from saga_engine.projections import Context, Projection, on

metadata = MetaData()
Table("seen", metadata, Column("id", Integer, primary_key=True))

class Seen(Projection):
    name = "{name}"
    tables = metadata

    @on(SagaStarted)
    def started(self, ctx: Context) -> None: ...
"""


class Paid(BaseModel):
    amount: int


def handler(self: Projection, ctx: Context) -> None: ...


def made(**members: object) -> type[Projection]:
    return new_class("Made", (Projection,), {}, lambda body: body.update(members))


def test_what_it_handles_is_known_by_event() -> None:
    class Both(Projection):
        name = "both"
        tables = MetaData()
        Table("seen", tables, Column("id", Integer, primary_key=True))

        @on(SagaStarted, SagaCompleted)
        def around(self, ctx: Context) -> None: ...

        @on("PaymentDebited")
        def paid(self, ctx: Context, paid: Paid) -> None: ...

    assert Both.handled_events() == ["PaymentDebited", "SagaCompleted", "SagaStarted"]
    assert Both.published_handlers["PaymentDebited"].data is not None
    assert Both.defined_at.startswith(__file__)


@pytest.mark.parametrize("event", ["orderCreated", "", 7, int, "Order-Created"])
def test_what_is_no_event_is_refused(event: Any) -> None:  # Any: a user's mistake is of any type
    with pytest.raises(UsageError, match="expected the name of a published event, as in OrderCreated, or a type"):
        on(event)


async def waiting(self: Projection, ctx: Context) -> None: ...


WAITING = cast(Callable[..., None], waiting)


def narrow(self: Projection) -> None: ...


def bare(self: Projection, ctx: Context, paid) -> None: ...  # type: ignore[no-untyped-def] # the mistake under test


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"tables": tables, "one": on("Paid")(handler)}, 'set name = "order_view"'),
        ({"name": "Orders", "tables": tables, "one": on("Paid")(handler)}, "it must match"),
        ({"name": "seen", "one": on("Paid")(handler)}, "set tables to the MetaData"),
        ({"name": "seen", "tables": MetaData(), "one": on("Paid")(handler)}, "set tables to the MetaData"),
        ({"name": "seen", "tables": tables}, "handles no event"),
        ({"name": "seen", "tables": tables, "sagas": "trip", "one": on("Paid")(handler)}, "must be a tuple of names"),
        (
            {"name": "seen", "tables": tables, "one": on("Paid")(cast(Callable[..., None], waiting))},
            "waiting cannot handle Paid; expected def",
        ),
        ({"name": "seen", "tables": tables, "one": on("Paid")(narrow)}, "narrow cannot handle Paid; expected def"),
        ({"name": "seen", "tables": tables, "one": on("Paid")(bare)}, "annotate 'paid': a pydantic model"),
    ],
)
def test_another_form_is_refused_with_its_place(members: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        made(**members)


def test_two_handlers_of_one_event_are_refused() -> None:
    def other(self: Projection, ctx: Context) -> None: ...

    with pytest.raises(UsageError, match=r"has two handlers of Paid: .+:\d+ and .+:\d+; remove one"):
        made(name="seen", tables=tables, one=on("Paid")(handler), other=on("Paid")(other))


def imported() -> dict[str, ModuleType]:
    """The modules of whatever `store` there is."""
    return {name: module for name, module in sys.modules.items() if name == "store" or name.startswith("store.")}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Call it to write a module of `store` of a project; the project's root. This repository's `store` is put aside."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    aside = imported()

    def write(name: str, text: str) -> Path:
        module = tmp_path / "store" / name
        module.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / "__init__.py").touch()
        module.write_text(text)
        return tmp_path

    for name in aside:
        del sys.modules[name]
    yield write
    for name in imported():
        del sys.modules[name]
    sys.modules.update(aside)


def test_the_modules_of_store_are_searched_and_revisions_are_not(project: Callable[[str, str], Path]) -> None:
    root = project("seen.py", PROJECTION.format(name="seen"))
    (root / "store" / "migrations" / "versions").mkdir(parents=True)
    (root / "store" / "migrations" / "versions" / "0001_seen.py").write_text("raise RuntimeError")
    project("again.py", "from store.seen import Seen\n")
    assert list(load_projections(root)) == ["seen"]


def test_two_projections_of_one_name_are_refused(project: Callable[[str, str], Path]) -> None:
    project("one.py", PROJECTION.format(name="seen"))
    root = project("two.py", PROJECTION.format(name="seen"))
    with pytest.raises(UsageError, match=r"two projections are named seen: .*one.py:\d+ and .*two.py:\d+"):
        load_projections(root)


def test_two_projections_that_keep_one_table_are_refused(project: Callable[[str, str], Path]) -> None:
    project("one.py", PROJECTION.format(name="seen"))
    own = 'metadata = MetaData()\nTable("seen", metadata, Column("id", Integer, primary_key=True))'
    second = PROJECTION.format(name="other")
    assert own in second
    root = project("two.py", second.replace(own, "from store.one import metadata"))
    with pytest.raises(UsageError, match=r"projections seen and other both keep the table \w+, which a rebuild"):
        load_projections(root)


def test_a_projection_may_not_have_the_name_of_a_participant(tmp_path: Path) -> None:
    order = MergedParticipant("order", {})
    own = made(name="order", tables=tables, one=on("Paid")(handler))
    with pytest.raises(UsageError, match="the name 'order' is a participant's already; call it order_view"):
        list(databases(settle(Config(), tmp_path), [order], [own]))
