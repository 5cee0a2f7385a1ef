"""What a person is told of a code: whose it is, how much, who hears of the payment, and what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from qr.payloads import words
from qr.payloads.base import Reading, Violation

NOW = datetime(2026, 11, 28, 23, 0, tzinfo=UTC)
PIX = Reading("pix", "Pix", "…", "unconfirmed", payee="Ana", account="ana@bank.br", amount=250, currency="BRL")
NOBODY = "No server tells us when this code is paid: look into your own wallet."


def said(reading: Reading) -> list[str]:
    return words.sentences(reading, now=NOW)


def test_a_code_with_a_name_and_an_amount() -> None:
    assert said(PIX) == ["It says that it pays “Ana”, to “ana@bank.br”.", "It asks for R$2.50.", NOBODY]
    assert words.wrong(PIX) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"account": ""}, "It says that it pays “Ana”."),
        ({"payee": ""}, "It pays to “ana@bank.br”, and says no name."),
        ({"payee": "", "account": ""}, "It does not say who is paid."),
        ({"payee": "", "country": "CN"}, "Whose it is, only the wallet shows."),
        ({"amount": None}, "The payer enters the amount."),
        ({"amount": None, "confirmation": "provider"}, "The amount is not in it."),
        ({"reference": "R 1"}, "Its reference is “R 1”."),
        ({"once": True}, "It is made for one payment."),
        ({"expires_at": NOW + timedelta(hours=1)}, "It is good until 29 November 2026, 00:00 (UTC)."),
        ({"expires_at": NOW}, "It expired on 28 November 2026, 23:00 (UTC)."),
        ({"confirmation": "provider"}, "Whoever had it made is told by the provider when it is paid."),
        ({"confirmation": "lookup"}, "Its network answers whether it was paid, when it is asked."),
    ],
)
def test_each_thing_has_its_sentence(changes: dict[str, object], sentence: str) -> None:
    assert sentence in said(replace(PIX, **changes))  # type: ignore[arg-type]


def test_an_amount_of_no_currency_is_not_shown() -> None:
    assert not any("asks" in sentence for sentence in said(replace(PIX, currency="")))


def test_links_and_unknown_texts_say_nothing_of_money() -> None:
    link = Reading("link", "A web link", "…", "unconfirmed", account="shop.test")
    assert said(link) == ["It opens a page of “shop.test”."]
    assert said(replace(link, profile="look_alike")) == ["It opens a page of “shop.test”."]
    assert said(replace(link, profile="unknown")) == []
    ours = replace(link, profile="pushcart", confirmation="provider")
    assert said(ours) == ["It opens a pay page of this service.", "This service is told when it is paid."]


def test_what_is_wrong_comes_worst_first_and_after_a_warning() -> None:
    small, bad = Violation("a", "", "The name is long."), Violation("b", "", "The check sum is wrong.", fatal=True)
    assert words.wrong(replace(PIX, violations=(small,))) == ["The name is long."]
    assert words.wrong(replace(PIX, violations=(small, bad))) == [
        "Do not pay by this code.",
        "The check sum is wrong.",
        "The name is long.",
    ]


def test_a_name_can_neither_break_a_line_nor_fill_a_page() -> None:
    assert words.quoted("  A\nB\t\x00 C ") == "A B C"
    assert words.quoted("A\u202eB\u200b\u2066C\u200d") == "ABC\u200d"
    assert words.quoted("x" * 200) == "x" * 99 + "…"
    assert words.plain("a\ud800") == "a\ufffd"
