"""A day's bill of WeChat Pay: whole and adding up, or not at all; and our signature goes nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from merchants.models import Item
from payments.models import ProviderAccount
from payments.providers.base import ProviderError, StatementRow, UnableToRead
from tests.networks.wechatpay import SHANGHAI, WeChatPay
from tests.settlement_files import rows_of_day
from tests.till import expect


@pytest.fixture
def network(db: None) -> Iterator[WeChatPay]:
    with WeChatPay().set() as running:
        yield running


@pytest.fixture
def account(network: WeChatPay) -> ProviderAccount:
    return network.account()


@pytest.fixture
def day(network: WeChatPay, account: ProviderAccount, apples: Item) -> date:
    """A day with two payments, of which one was refunded twice: once in vain."""
    for amount in (200, 133):
        intent = expect(apples.codes.get())
        network.orders[intent.reference].body["description"] = 'Apples, red, 2 "piles"'  # The file quotes nothing.
        network.pay(intent.reference, amount=amount)
    network.refund_at_desk(next(iter(network.orders.values())).transaction_id, 50)
    network.refund_state = "ABNORMAL"
    network.refund_at_desk(next(iter(network.orders.values())).transaction_id, 60)
    return datetime.now(SHANGHAI).date()


def refused(account: ProviderAccount, day: date) -> ProviderError:
    """Why the bill was not taken; nothing of it may have been given before."""
    with pytest.raises(ProviderError) as failure:
        next(rows_of_day(account, day))
    return failure.value


def test_the_rows_of_a_day_are_payments_and_refunds_in_fen_with_what_was_kept_of_them(
    network: WeChatPay, account: ProviderAccount, day: date
) -> None:
    first, second = network.orders.values()
    at = [datetime.fromisoformat(order.paid_at).astimezone(UTC) for order in (first, second)]
    refund = first.refunds[0]
    names = [order.body["out_trade_no"] for order in (first, second)]
    # 0.6 % of 2.00, 1.33 and 0.50 yuan are 1.2, 0.798 and 0.3 fen.
    assert list(rows_of_day(account, day)) == [
        StatementRow("payment", first.transaction_id, names[0], 200, 1, "CNY", at[0]),
        StatementRow(
            "refund", refund["refund_id"], refund["out_refund_no"], -50, 0, "CNY",
            datetime.fromisoformat(refund["create_time"]), first.transaction_id,
        ),
        StatementRow("payment", second.transaction_id, names[1], 133, 1, "CNY", at[1]),
    ]  # fmt: skip


@pytest.mark.parametrize(("rate", "fee"), [("0.0025", 1), ("0.00249", 0), ("0.0075", 2), ("0.00749", 1)])
def test_half_a_fen_of_a_fee_counts_as_one(
    network: WeChatPay, account: ProviderAccount, day: date, rate: str, fee: int
) -> None:
    network.fee_rate = type(network.fee_rate)(rate)
    assert next(rows_of_day(account, day)).fee == fee


def test_a_day_on_which_nothing_happened_has_no_rows(account: ProviderAccount) -> None:
    assert list(rows_of_day(account, date(2020, 1, 1))) == []


def test_a_bill_that_is_not_ready_may_be_asked_for_later(network: WeChatPay, account: ProviderAccount) -> None:
    network.fail_next = (400, "STATEMENT_CREATING")
    assert refused(account, date(2020, 1, 1)).permanent is False


def test_totals_may_be_told_with_fewer_decimals_than_the_fees_have(
    network: WeChatPay, account: ProviderAccount, day: date
) -> None:
    # 0.01200 + 0.00798 - 0.00300 - 0.00360
    network.edit_bill = lambda text: text.replace("`0.01338", "`0.01")
    assert len(list(rows_of_day(account, day))) == 3


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda text: text[: text.index("总交易单数")], "ends without its totals"),
        (lambda text: text.replace("`4.0,", "`5.0,"), "5.0 rows told, 4 found"),
        (lambda text: "".join(x for x in text.splitlines(True) if "`1.33," not in x), "4.0 rows told, 3 found"),
        (lambda text: text.replace("`2.00,", "`3.00,", 1), "应结订单总金额 3.33 is not 4.33"),
        (lambda text: text.replace("`0.01338,", "`0.02338,"), "手续费总金额 0.02338 is not 0.01338"),
        (lambda text: text.replace("`0.01200,", "`1,2,"), "手续费 is no amount"),
        (lambda text: text.replace("`0.01200,", "`0.01200,`,"), "has not the columns of its header"),
        (lambda text: text.replace("`1900000109,", "`1900000108,"), "line 2: the bill is about another merchant"),
        (lambda text: text.replace("`20", "`99X", 1), "has not the form we know"),
        (lambda text: "\r\n", "ends without its totals"),
    ],
)  # fmt: skip
def test_a_bill_that_does_not_add_up_or_has_another_form_gives_not_one_row(
    network: WeChatPay, account: ProviderAccount, day: date, edit: Callable[[str], str], told: str
) -> None:
    network.edit_bill = edit
    assert told in str(refused(account, day))


def test_a_trade_in_a_state_that_we_do_not_know_is_a_row_that_cannot_be_read(
    network: WeChatPay, account: ProviderAccount, day: date
) -> None:
    network.edit_bill = lambda text: text.replace(",`SUCCESS,`OTHERS", ",`NEW,`OTHERS")
    with pytest.raises(UnableToRead, match="has not the form we know: KeyError\\('NEW'\\)"):
        next(rows_of_day(account, day))


def test_a_bill_that_is_not_the_one_that_was_announced_is_not_read(
    network: WeChatPay, account: ProviderAccount, day: date
) -> None:
    network.damage_bill = lambda raw: raw[:-1]
    assert "digest differs" in str(refused(account, day))


@pytest.mark.parametrize(
    "place",
    [
        "https://bills.example",
        "http://api.mch.weixin.qq.com",
        "https://api.mch.weixin.qq.com.example",
        "https://api.mch.weixin.qq.com@bills.example",
        "https://api.mch.weixin.qq.com\\@bills.example",
        "https://api.mch.weixin.qq.com:x",
        "//api.mch.weixin.qq.com",
    ],
)
def test_our_signature_goes_to_no_other_place_whatever_the_answer_says(
    network: WeChatPay, account: ProviderAccount, day: date, place: str
) -> None:
    network.bill_at = place
    asked = len(network.requests)
    failure = refused(account, day)
    assert (failure.permanent, "not WeChat Pay's" in str(failure)) == (True, True)
    assert [request.path for request in network.requests[asked:]] == ["/v3/bill/tradebill"]


def test_a_bill_too_large_is_left(
    network: WeChatPay, account: ProviderAccount, day: date, settings: LazySettings
) -> None:
    settings.STATEMENT_BYTES_MAX = 100
    assert "larger than any we know" in str(refused(account, day))


def test_a_refund_is_of_the_day_on_which_it_was_asked_for(
    network: WeChatPay, account: ProviderAccount, day: date
) -> None:
    order = next(iter(network.orders.values()))
    before = timezone.now().astimezone(SHANGHAI) - timedelta(days=1)
    order.refunds[0]["create_time"] = before.isoformat(timespec="seconds")
    assert [row.kind for row in rows_of_day(account, before.date())] == ["refund"]
    assert [row.kind for row in rows_of_day(account, day)] == ["payment", "payment"]
