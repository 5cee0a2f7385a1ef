"""Whose notification it is: an account is read once, and what is unknown says what."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries

from payments import senders
from payments.senders import UnknownSender
from tests.till import platform


def test_an_account_is_asked_for_once_until_it_is_forgotten(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    account = platform()
    assert senders.remembered("sandbox", account.name) is None
    with django_assert_num_queries(1):
        assert senders.read("sandbox", account.name) == account
        assert senders.remembered("sandbox", account.name) == account
    senders.forget("sandbox", account.name)
    assert senders.remembered("sandbox", account.name) is None


@pytest.mark.parametrize(
    ("provider", "name", "code"),
    [
        ("nobody", "us", "unknown_provider"),
        ("sandbox", "nobody", "unknown_account"),
        ("sandbox", "n\0ul", "unknown_account"),
    ],
)
def test_what_is_unknown_is_said_and_not_remembered(db: None, provider: str, name: str, code: str) -> None:
    with pytest.raises(UnknownSender, match=f"^{code}$"):
        senders.read(provider, name)
    assert senders.remembered(provider, name) is None


def test_it_remembers_a_bounded_number(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    account = platform()
    monkeypatch.setattr(senders, "_REMEMBERED_MAX", 0)
    senders.read("sandbox", account.name)
    senders.read("sandbox", account.name)
    assert list(senders._remembered) == [("sandbox", account.name)]
