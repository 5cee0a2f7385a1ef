"""Alipay's daily bill: what it says of each row, and that a bill with any fault in it is refused as a whole."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.conf import LazySettings
from django.utils import timezone

from merchants import ids
from payments.models import Payment, PaymentIntent, ProviderAccount, Refund
from payments.providers import alipay
from payments.providers.base import ProviderError, StatementRow, Visit
from tests.networks.alipay import HEADER, ZONE, Alipay, pack
from tests.settlement_files import rows_in, rows_of_day

EDGES = ["#支付宝业务明细查询", HEADER]


@pytest.fixture
def network(db: None) -> Iterator[Alipay]:
    """A gateway on a day that does not end while a test runs."""
    with time_machine.travel(datetime(2026, 11, 20, 12, tzinfo=ZONE)), Alipay().set() as running:
        yield running


@pytest.fixture
def account(network: Alipay) -> ProviderAccount:
    return network.account()


def a_day_of(network: Alipay, account: ProviderAccount) -> tuple[date, list[StatementRow]]:
    """Two payments and a refund of one of them, with the rows that they must make."""
    rows = []
    for amount in (20_000, 350):
        now = timezone.now()
        intent = PaymentIntent(
            id=ids.new(),
            amount=amount,
            currency="CNY",
            description='"Pears", 梨',
            created_at=now,
            expires_at=now + timedelta(minutes=15),
        )
        alipay.start(account, intent, Visit(return_url="https://shop.example/r/abc"))
        trade = network.pay(intent.reference)
        at = network.trades[intent.reference].paid_at
        assert at is not None
        fee = round(amount * 0.006)
        rows.append(StatementRow("payment", trade, intent.reference, amount, fee, "CNY", at.astimezone(UTC)))
    payment = Payment(id=ids.new(), object_id=trade, currency="CNY", amount=350)
    refund = Refund(id=ids.new(), payment=payment, amount=150, currency="CNY")
    alipay.refund(account, refund, trade)
    at = network.trades[intent.reference].refunds[0].at
    rows.append(StatementRow("refund", refund.reference, refund.reference, -150, 0, "CNY", at.astimezone(UTC), trade))
    return at.date(), rows


def test_a_day_is_read_row_by_row(network: Alipay, account: ProviderAccount) -> None:
    day, expected = a_day_of(network, account)
    assert list(rows_of_day(account, day)) == expected


FAULTS: dict[str, Callable[[str], str]] = {
    "a dropped row": lambda text: "\n".join(line for line in text.splitlines() if ",3.50,3.50," not in line),
    "a row twice": lambda text: text.replace("#---", text.splitlines()[4] + "\n#---", 2),
    "a changed row": lambda text: text.replace(",3.50,3.50,", ",3.60,3.60,"),
    "a cut footer": lambda text: text[: text.index("#退款合计")],
    "no footer": lambda text: text[: text.index("#交易合计")],
    "cut in a row": lambda text: text[: text.index(",3.50,3.50,")],
    "another footer": lambda text: text.replace("2笔", "3笔"),
    "a footer twice": lambda text: text + "#交易合计：2笔，商家实收共203.50元，商家优惠共0.00元\n",
    "a footer in another form": lambda text: text.replace("商家实收共", "实收"),
    "a row after the footer": lambda text: text + text.splitlines()[4] + "\n",
    "another kind of row": lambda text: text.replace("退款\t", "转账\t"),
    "another header": lambda text: text.replace("完成时间", "完成"),
    "a column more": lambda text: text.replace(",3.50,3.50,", ",3.50,3.50,0.00,"),
    "no time": lambda text: text.replace("2026-", "26-"),
    "a payment below zero": lambda text: text.replace(",3.50,3.50,", ",-3.50,3.50,"),
    "a part of a fen": lambda text: text.replace(",3.50,3.50,", ",3.505,3.50,"),
    "a refund without a number": lambda text: text.replace("rfd_", "").replace("\t,交易", "\t,退款"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bill_with_a_fault_gives_no_row(network: Alipay, account: ProviderAccount, fault: str) -> None:
    day, _ = a_day_of(network, account)
    network.edit_bill = FAULTS[fault]
    rows: list[StatementRow] = []
    with pytest.raises(ProviderError, match="bill") as failure:
        rows.extend(rows_of_day(account, day))
    assert (rows, failure.value.permanent) == ([], False)


def test_the_line_at_fault_is_named() -> None:
    text = "\n".join([*EDGES, "20261122,only,three"])
    with pytest.raises(ProviderError, match="line 3 of the bill: 3 values in 25 columns"):
        rows_in("alipay", pack("2026-11-22", text))


def lines_of(*rows: str, got: str, back: str = "0.00", refunds: int = 0) -> str:
    footer = [
        f"#交易合计：{len(rows) - refunds}笔，商家实收共{got}元",
        f"#退款合计：{refunds}笔，商家实收退款共{back}元",
    ]
    return "\n".join([*EDGES, *rows, *footer])


def row(kind: str, subject: str, gross: str, got: str, request: str, fee: str) -> str:
    return (
        f"T1\t,int_1\t,{kind}\t,{subject},2026-11-22 08:00:00,2026-11-22 08:00:01,\t,\t,\t,\t,*\t,{gross},{got},"
        f"0,0,0,0,0,,0,0,{request}\t,{fee},0.00,"
    )


@pytest.mark.parametrize("subject", ['"an open quotation mark', '"Pears", and, plums', "two\t tabs", "？", "", ",,,"])
def test_no_subject_can_swallow_a_value_or_a_row_after_it(subject: str) -> None:
    rows = [row("交易", subject, "2.00", "2.00", "", "0.00"), row("交易", "x", "3.00", "3.00", "", "0.00")]
    packed = pack("2026-11-22", lines_of(*rows, got="5.00"))
    assert [read.amount for read in rows_in("alipay", packed)] == [200, 300]


def test_no_subject_can_pretend_to_be_the_values_after_it() -> None:
    pretended = row("交易", "x", "9000.00", "2.00", "", "0.00").split(",x,", 1)[1]
    text = lines_of(row("交易", f"x,{pretended}", "2.00", "2.00", "", "0.00"), got="2.00")
    with pytest.raises(ProviderError, match="line 3 of the bill"):
        rows_in("alipay", pack("2026-11-22", text))


def test_what_is_kept_of_a_payment_is_the_fee_and_the_merchants_own_discount() -> None:
    text = lines_of(
        row("交易", "x", "10.00", "9.00", "", "-0.05"),
        row("退款", "x", "-4.00", "-3.60", "rfd_1", "0.02"),
        got="9.00",
        back="-3.60",
        refunds=1,
    )
    rows = rows_in("alipay", pack("2026-11-22", text))
    assert [(read.amount, read.fee, read.amount - read.fee) for read in rows] == [(1000, 105, 895), (-400, -42, -358)]


def test_a_day_without_a_trade_has_no_rows_once_its_bill_would_be_made(
    network: Alipay, account: ProviderAccount
) -> None:
    day = date(2026, 11, 1)
    assert list(rows_of_day(account, day)) == []
    morning = datetime(2026, 11, 2, 9, 59, tzinfo=ZONE)
    network.faults["alipay.data.dataservice.bill.downloadurl.query"] = ("40004", "BILL_NOT_EXIST")
    with time_machine.travel(morning, tick=False), pytest.raises(ProviderError, match="not made yet") as failure:
        list(rows_of_day(account, day))
    assert not failure.value.permanent
    with time_machine.travel(morning + timedelta(minutes=1), tick=False):
        assert list(rows_of_day(account, day)) == []


def test_a_day_that_is_not_over_is_refused(network: Alipay, account: ProviderAccount) -> None:
    network.faults["alipay.data.dataservice.bill.downloadurl.query"] = ("40004", "invalid_arguments")
    with pytest.raises(ProviderError, match="invalid_arguments"):
        list(rows_of_day(account, timezone.now().date()))


def test_an_archive_that_grows_beyond_every_bound_is_not_opened(settings: LazySettings) -> None:
    settings.STATEMENT_BYTES_MAX = 1_000_000
    bomb = pack("2026-11-22", "0" * 1_000_001)
    assert len(bomb) < 5000
    with pytest.raises(ProviderError, match="larger than any") as failure:
        rows_in("alipay", bomb)
    assert failure.value.permanent


def test_what_is_no_archive_or_a_broken_one_is_refused() -> None:
    good = pack("2026-11-22", lines_of(row("交易", "x", "2.00", "2.00", "", "0.00"), got="2.00"))
    assert len(rows_in("alipay", good)) == 1
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    middle = good.index(b"PK") + 90
    for broken in (b"", b"<html>", good[:-30], empty.getvalue(), good[:middle] + b"\xff\xff\xff" + good[middle + 3 :]):
        with pytest.raises(ProviderError):
            rows_in("alipay", broken)
