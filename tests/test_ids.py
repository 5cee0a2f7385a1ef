"""Ids: sortable, opaque, and read back only when we could have written them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchants import ids

MOMENT = datetime(2026, 11, 22, 20, 46, 1, 234_000, tzinfo=UTC)


def test_an_id_is_a_uuid_of_version_seven_and_of_its_millisecond() -> None:
    made = ids.new(MOMENT)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(MOMENT.timestamp() * 1000)


def test_ids_of_one_millisecond_ascend_even_in_a_large_batch() -> None:
    made = [ids.new(MOMENT) for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == 10_000


def test_texts_of_ids_are_ids_that_ascend_with_all_others() -> None:
    before, made, after = ids.new(MOMENT), ids.texts(300, MOMENT), ids.new(MOMENT)
    assert [UUID(text).hex for text in made] == made
    assert [before.hex, *made, after.hex] == sorted({before.hex, *made, after.hex})


def test_texts_of_several_moments_are_each_of_its_own() -> None:
    moments = [MOMENT + timedelta(milliseconds=after) for after in (0, 0, 0, 1, 4000, 3999)]
    made = [UUID(text) for text in ids.texts_of(moments)]
    assert [
        [ids.first_of(at) <= one < ids.first_of(at + timedelta(milliseconds=1)) for at in moments] for one in made
    ] == [[mine == at for at in moments] for mine in moments]
    assert made[:5] == sorted(made[:5])
    assert ids.texts_of([]) == []


def test_an_id_lies_between_the_bounds_of_its_moment() -> None:
    assert ids.first_of(MOMENT) <= ids.new(MOMENT) < ids.first_of(MOMENT + timedelta(milliseconds=1))


@given(st.uuids())
def test_a_public_id_is_read_back(value: UUID) -> None:
    text = ids.public("pay", value)
    assert text.startswith("pay_")
    assert len(text) == 30
    assert ids.parse("pay", text) == value


@given(st.uuids(), st.uuids())
def test_public_ids_sort_as_the_ids_do(one: UUID, other: UUID) -> None:
    assert (ids.public("pay", one) < ids.public("pay", other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pay_",
        "pay",
        "itm_01j00000000000000000000000",
        "pay_01j0000000000000000000000",
        "pay_01j000000000000000000000000",
        "pay_81j00000000000000000000000",
        "pay_01J00000000000000000000000",
        "pay_01i00000000000000000000000",
        "pay_０1j00000000000000000000000",
    ],
)
def test_what_we_cannot_have_written_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an id of the form pay_"):
        ids.parse("pay", text)


def test_a_secret_is_long_and_free_of_letters_that_look_alike() -> None:
    made = [ids.secret(12) for _ in range(2000)]
    assert len(set(made)) == 2000
    assert {len(word) for word in made} == {12}
    assert not set("".join(made)) & set("0O1Il")
    assert len(ids.secret()) == 22
