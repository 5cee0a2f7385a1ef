"""What every kind of payment code is read into."""

from __future__ import annotations

from qr.payloads.base import Reading, Unwritable, Violation


def test_one_fatal_violation_makes_a_reading_unsound() -> None:
    small = Violation("name_too_long", "59", "The name has 31 characters; 25 are allowed.")
    wrong = Violation("crc_wrong", "63", "The check sum does not fit the text.", fatal=True)
    assert Reading("pix", "Pix", "…", "unconfirmed", violations=(small,)).sound
    assert not Reading("pix", "Pix", "…", "unconfirmed", violations=(small, wrong)).sound


def test_what_must_not_be_written_says_why() -> None:
    refusal = Unwritable("key_too_long", "key", "The key has 90 characters; 77 are allowed.")
    assert (refusal.code, refusal.where, str(refusal)) == ("key_too_long", "key", refusal.detail)
