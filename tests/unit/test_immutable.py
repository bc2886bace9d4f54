"""Immutable dataclasses: as the standard library's, cheaper, guarded at run time in development mode."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from saga_engine.immutable import dataclass, replace


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0


@dataclass(frozen=True, slots=True)
class Vector:
    x: int
    y: int = 0


def test_replace_changes_a_copy_and_leaves_the_original_as_it_was() -> None:
    point = Point(1, 2)
    assert replace(point, y=3) == Point(1, 3)
    assert point == Point(1, 2)
    assert replace(point) is not point


@dataclass(frozen=True, slots=True)
class Coin:
    kind: str
    value: int
    new: bool = True
    copy: int = 0


def test_a_field_may_have_any_name() -> None:
    assert replace(Coin("cent", 1), kind="dime", value=10, new=False, copy=2) == Coin("dime", 10, new=False, copy=2)
    assert replace(Coin("cent", 1), copy=3) == Coin("cent", 1, copy=3)


def test_values_are_equal_and_hash_alike_by_class_and_fields() -> None:
    assert Point(1) == Point(1, 0)
    assert hash(Point(1)) == hash(Point(1, 0))
    other: object = Vector(1)
    assert Point(1) != other


def test_what_the_standard_library_does_with_a_dataclass_it_does_with_these() -> None:
    assert dataclasses.asdict(Point(1)) == {"x": 1, "y": 0}
    assert dataclasses.replace(Point(1), x=2) == Point(2)
    assert repr(Point(1)) == "Point(x=1, y=0)"
    match Point(4, 5):
        case Point(x, y):
            assert (x, y) == (4, 5)


def test_a_field_that_is_not_there_can_neither_be_replaced_nor_set() -> None:
    with pytest.raises((AttributeError, TypeError)):
        replace(Point(1), z=1)  # type: ignore[call-arg]  # that is the mistake
    with pytest.raises(AttributeError):
        Point(1).z = 1  # type: ignore[attr-defined]  # that is the mistake


GUARDED = """
from dataclasses import FrozenInstanceError
from uuid import UUID
from saga_engine.core.state import SagaState
state = SagaState(UUID(int=1))
try:
    state.version = 1
except FrozenInstanceError:
    print("refused")
"""


def test_development_mode_refuses_an_assignment_at_run_time() -> None:
    ran = subprocess.run([sys.executable, "-X", "dev", "-c", GUARDED], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "refused"


@pytest.mark.skipif(sys.flags.dev_mode, reason="development mode has the standard library's decorator, which allows it")
def test_a_class_that_is_not_frozen_is_no_business_of_this_decorator() -> None:
    with pytest.raises(TypeError, match="frozen and has slots"):
        dataclass(frozen=False, slots=True)
