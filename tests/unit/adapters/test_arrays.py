"""Arrays as PostgreSQL and CockroachDB read them. That a server does read them so, the store's contract tells."""

from __future__ import annotations

from uuid import UUID

import pytest

from saga_engine.adapters.sql.arrays import in_lines, plain, texts


def test_numbers_ids_and_truths_stand_as_they_are_and_none_is_null() -> None:
    assert plain([1, None, True, UUID(int=7)]) == "{1,NULL,True,00000000-0000-0000-0000-000000000007}"


def test_nothing_is_an_empty_array() -> None:
    assert plain([]) == texts([]) == "{}"


def test_texts_are_quoted_whatever_is_in_them() -> None:
    assert texts(["", "NULL", 'a,"b"', "{c\\d}"]) == '{"","NULL","a,\\"b\\"","{c\\\\d}"}'


def test_long_texts_are_lines() -> None:
    assert in_lines([b'{"a":"\\n"}', b"null"]) == '{"a":"\\n"}\nnull'


def test_a_text_that_would_be_two_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="line break"):
        in_lines([b'{\n"a":1}', b"null"])
