"""How the pretend wallet settles: its fee, what it pays into the bank, and the faults that are asked of it."""

import csv
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from payments.sandbox import bank_statement, settlement
from tests.sandbox.pretend_shop import Shop, Wallet


def today() -> str:
    return datetime.now(UTC).date().isoformat()


@pytest.fixture
def shop(wallet: Wallet, new_shop: Callable[[Wallet], Shop]) -> Iterator[Shop]:
    """A shop of whose payments 0.6 % are kept; it skips the midnight that would part its day."""
    if datetime.now(UTC).time().isoformat() > "23:58":
        pytest.skip("midnight (UTC) is near")
    shop = new_shop(wallet)
    agreed = {"fee_ppm": 6000, "bank_account": "DE02 1203 0000 0000 2020 51"}
    assert wallet.control("PUT", f"/accounts/{shop.account}/terms", agreed).status_code == 200
    yield shop


def rows(shop: Shop) -> list[dict[str, str]]:
    return list(csv.DictReader(shop.call("GET", f"/settlements/{today()}.csv").text.splitlines()))


def stated(shop: Shop) -> list[tuple[str, str, str, str]]:
    return [(row["kind"], row["amount"], row["fee"], row["currency"]) for row in rows(shop)]


def at_bank(shop: Shop, currency: str = "") -> list[dict[str, str]]:
    answer = shop.call("GET", f"/bank/{today()}.csv?currency={currency}")
    return list(csv.DictReader(answer.text.splitlines()))


def test_the_fee_is_kept_and_the_net_of_the_day_is_paid_out(shop: Shop) -> None:
    shop.paid("fee-1", amount=300)
    shop.paid("fee-2", amount=75)
    own = f"wst_{shop.account}_{today().replace('-', '')}_CNY"
    assert stated(shop) == [
        ("payment", "300", "2", "CNY"),  # 1.8 and 0.45 fen.
        ("payment", "75", "0", "CNY"),
        ("total", "375", "2", "CNY"),
        ("payout", "-373", "0", "CNY"),
    ]
    assert at_bank(shop) == [
        {
            "date": today(),
            "amount": "3.73",
            "currency": "CNY",
            "direction": "credit",
            "reference": f"payout {own}",
            "end_to_end_id": own,
            "counterparty": "Pretend wallet",
            "balance": "3.73",
        }
    ]
    text = shop.call("GET", f"/bank/{today()}.xml").text
    read = {element.tag.rpartition("}")[2]: element.text for element in ElementTree.fromstring(text).iter()}
    assert (read["EndToEndId"], read["Amt"], read["Ccy"]) == (own, "3.73", "CNY")
    assert "<Id>DE02 1203 0000 0000 2020 51</Id>" in text


@pytest.mark.parametrize(
    ("behaviour", "expected", "arrives"),
    [
        ("unsettled", [("total", "0", "0", "")], None),
        ("settled_twice", [("payment", "300", "2", "CNY")] * 2 + [("total", "600", "4", "CNY")], "5.96"),
        ("settled_otherwise", [("payment", "270", "2", "CNY"), ("total", "270", "2", "CNY")], "2.68"),
        ("settled_in_currency", [("payment", "300", "2", "USD"), ("total", "300", "2", "USD")], None),
        ("fee_wrong", [("payment", "300", "5", "CNY"), ("total", "300", "5", "CNY")], "2.95"),
        ("short_payout", [("payment", "300", "2", "CNY"), ("total", "300", "2", "CNY")], "2.68"),
        ("settled_late", [("total", "0", "0", "")], None),
    ],
)
def test_a_fault_that_is_asked_for_is_planted(
    shop: Shop, behaviour: str, expected: list[Any], arrives: str | None
) -> None:
    shop.paid("fault", amount=300, behaviour=behaviour)
    assert [row for row in stated(shop) if row[0] != "payout"] == expected
    assert [row["amount"] for row in at_bank(shop, "CNY")] == ([arrives] if arrives else [])


def test_what_is_settled_late_is_in_the_file_of_the_day_after(shop: Shop, wallet: Wallet) -> None:
    shop.paid("late", amount=300, behaviour="settled_late")
    connection, day = sqlite3.connect(wallet.database), datetime.now(UTC).date()
    connection.row_factory = sqlite3.Row
    after = day + timedelta(days=1)
    assert [row.amount for row in settlement.rows(connection, shop.account, after)] == [300]
    stand = bank_statement.day_at(connection, shop.account, after, "CNY")
    assert (stand.opening, stand.closing) == (0, 298)
    connection.close()


def test_terms_are_an_accounts_own_and_bounded(shop: Shop, wallet: Wallet) -> None:
    for wrong in (-1, 1_000_001, True, "6000"):
        asked = wallet.control("PUT", f"/accounts/{shop.account}/terms", {"fee_ppm": wrong})
        assert asked.status_code == 422
    assert wallet.control("PUT", "/accounts/nobody/terms", {"fee_ppm": 1}).status_code == 404
    assert shop.call("GET", f"/bank/{today()}.csv").status_code == 422  # Nothing was paid out: in which currency?
