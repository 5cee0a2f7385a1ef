"""Razorpay's settlement rows: each is held to what its columns mean, and a day is given whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from payments.models import ProviderAccount
from payments.providers import razorpay_calls as calls
from payments.providers.base import ProviderError, StatementRow, UnableToRead
from tests.networks.razorpay import Razorpay
from tests.settlement_files import rows_of_day

AT = datetime(2021, 6, 17, 7, 20, 19, tzinfo=UTC)  # 1623914419


@pytest.fixture
def network(db: None) -> Iterator[Razorpay]:
    with Razorpay().set() as running:
        yield running


@pytest.fixture
def account(network: Razorpay) -> ProviderAccount:
    return network.account()


def test_a_day_is_read_row_by_row(network: Razorpay, account: ProviderAccount) -> None:
    order = calls.post(account, "/v1/orders", {"receipt": "int_ours", "amount": 4700, "currency": "INR", "notes": {}})
    by_order = network.pay(order["receipt"])
    by_code = network.receive(1000, notes={"reference": "int_other"})
    back = network.refund_at_desk(by_order, 700)
    day = datetime.fromtimestamp(by_code["created_at"], UTC) + timedelta(hours=5, minutes=30)
    rows = list(rows_of_day(account, day.date()))
    told = [(r.kind, r.object_id, r.reference, r.amount, r.fee, r.parent_object_id) for r in rows]
    assert told == [
        ("payment", by_order, "int_ours", 4700, 110, ""),
        ("payment", by_code["id"], "int_other", 1000, 23, ""),
        ("refund", back, "", -700, 0, by_order),
    ]
    assert {row.settlement_id for row in rows} == {"setl_DGlQ1Rj8os78Ec"}
    assert list(rows_of_day(account, date(2020, 1, 1))) == []


def _row(kind: str, **changed: Any) -> dict[str, Any]:
    prefix = {"payment": "pay", "refund": "rfnd", "transfer": "trf", "adjustment": "adj"}[kind]
    row = {"entity_id": f"{prefix}_1", "type": kind, "amount": 1000, "currency": "INR", "credit": 0, "debit": 1000}
    row |= {"fee": 0, "tax": 0, "created_at": 1623914419, "notes": "Beam me up Scotty.", "settlement_id": None}
    return {**row, "payment_id": None, "order_id": None, "order_receipt": None, "dispute_id": None, **changed}


def test_rows_of_every_type_have_their_sign(network: Razorpay, account: ProviderAccount) -> None:
    network.recon = [
        _row("payment", credit=980, debit=0, fee=20, tax=3),
        _row("refund", debit=1005, fee=5, payment_id="pay_1", notes={"reference": "rfd_ours"}),
        _row("transfer", debit=1005, fee=5, payment_id="pay_1"),
        _row("adjustment", credit=1000, debit=0),
        _row("adjustment", entity_id="adj_2", dispute_id="disp_1", notes=None),
    ]
    assert list(rows_of_day(account, date(2021, 6, 17))) == [
        StatementRow("payment", "pay_1", "", 1000, 20, "INR", AT),
        StatementRow("refund", "rfnd_1", "rfd_ours", -1000, 5, "INR", AT, "pay_1"),
        StatementRow("adjustment", "trf_1", "", -1000, 5, "INR", AT, "pay_1"),
        StatementRow("adjustment", "adj_1", "", 1000, 0, "INR", AT),
        StatementRow("chargeback", "adj_2", "", -1000, 0, "INR", AT),
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (_row("payment", credit=1000, debit=0, fee=20), "row 2 (pay_1) does not add up"),
        (_row("payment", credit=980, debit=1, fee=20), "row 2 (pay_1) does not add up"),
        (_row("payment", credit=980, debit=0, fee=20, tax=21), "row 2 (pay_1) does not add up"),
        (_row("refund", debit=999), "row 2 (rfnd_1) does not add up"),
        (_row("adjustment", credit=1000), "row 2 (adj_1) does not add up"),
        (_row("adjustment", entity_id="adj_0"), "row 2 (adj_0) is there twice"),
        (_row("payment", amount="1000"), "row 2 (pay_1) has not the form we know"),
        (_row("payment", created_at=None), "row 2 (pay_1) does not add up"),
    ],
)
def test_a_row_that_contradicts_itself_is_named_and_nothing_is_given(
    network: Razorpay, account: ProviderAccount, row: dict[str, Any], words: str
) -> None:
    network.recon = [_row("adjustment", entity_id="adj_0"), row]
    with pytest.raises(ProviderError) as failure:
        next(rows_of_day(account, date(2021, 6, 17)))
    assert words in str(failure.value)


def test_a_type_that_we_do_not_know_is_a_row_that_cannot_be_read(network: Razorpay, account: ProviderAccount) -> None:
    network.recon = [_row("adjustment", type="lottery")]
    with pytest.raises(UnableToRead, match="lottery"):
        next(rows_of_day(account, date(2021, 6, 17)))


def test_a_long_day_is_read_page_by_page(network: Razorpay, account: ProviderAccount) -> None:
    network.recon = [_row("adjustment", entity_id=f"adj_{number}") for number in range(2000)]
    assert len(list(rows_of_day(account, date(2021, 6, 17)))) == 2000
    assert len(network.calls) == 3
