"""Mappings that many versions share: whatever is set, they hold what dicts would, in the same order."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from saga_engine.core.layers import Layered, with_entries


def grown(size: int) -> Mapping[str, int]:
    mapping: Mapping[str, int] = {}
    for number in range(size):
        mapping = with_entries(mapping, {f"k{number}": number})
    return mapping


@given(st.integers(0, 300), st.lists(st.tuples(st.integers(0, 320), st.integers()), max_size=150))
def test_every_version_holds_what_a_dict_would_in_the_order_of_a_dict(
    size: int, changes: list[tuple[int, int]]
) -> None:
    mapping, expected = grown(size), {f"k{number}": number for number in range(size)}
    versions = [(mapping, dict(expected))]
    for number, value in changes:
        entries = {f"k{number}": value, f"k{number + 1}": -value}
        mapping = with_entries(mapping, entries)
        expected |= entries
        versions.append((mapping, dict(expected)))
    for version, wanted in versions:
        assert list(version.items()) == list(wanted.items())
        assert len(version) == len(wanted)
        assert version == wanted


def test_a_large_one_is_shared_and_a_small_one_is_a_dict() -> None:
    assert isinstance(grown(10), dict)
    assert isinstance(grown(1_000), Layered)


def test_what_is_not_there_is_missed_as_in_a_dict() -> None:
    large = grown(1_000)
    assert "k1000" not in large
    assert large.get("k1000") is None
    assert repr(grown(70)) == repr({f"k{number}": number for number in range(70)})
