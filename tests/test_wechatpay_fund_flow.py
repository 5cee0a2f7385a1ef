"""WeChat Pay's fund flow bill: only what no trade bill has counts, and its totals must be right, in and out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from payments.providers.base import ProviderError, StatementRow, UnableToRead
from tests.settlement_files import rows_in

HEAD = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,"
    "收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号\n"
)


def row(business: str, direction: str, amount: str, number: int) -> str:
    return (
        f"`2026-11-22 04:21:23,`5000{number},`19000{number},`{business},`{business},`{direction},`{amount},`0.17,"
        f"`system,`apples, pears,`V{number}\n"
    )


def bill(*rows: str, count_in: int, sum_in: str, count_out: int, sum_out: str) -> bytes:
    foot = f"`{count_in + count_out}.0,`{count_in}.0,`{sum_in},`{count_out}.0,`{sum_out}\n"
    return f"\ufeff{HEAD}{''.join(rows)}资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\n{foot}".encode()


A_DAY = [
    row("交易", "收入", "2.00", 1),
    row("扣除交易手续费", "支出", "0.01", 2),
    row("退款", "支出", "0.50", 3),
    row("提现", "支出", "1.40", 4),
    row("提现手续费", "支出", "0.09", 5),
    row("充值", "收入", "3.00", 6),
]
GOOD = bill(*A_DAY, count_in=2, sum_in="5.00", count_out=4, sum_out="2.00")
AT = datetime(2026, 11, 21, 20, 21, 23, tzinfo=UTC)


def test_what_the_trade_bill_has_too_moves_nothing_a_second_time() -> None:
    assert rows_in("wechatpay", GOOD, "fund_flow") == [
        StatementRow("payout", "190004", "V4", -140, 0, "CNY", AT, settlement_id="190004"),
        StatementRow("fee", "190005", "V5", -9, 0, "CNY", AT),
        StatementRow("adjustment", "190006", "V6", 300, 0, "CNY", AT),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (bill(*A_DAY[:5], count_in=2, sum_in="5.00", count_out=4, sum_out="2.00"), "资金流水总笔数 6.0 is not 5"),
        (bill(*A_DAY, count_in=3, sum_in="5.00", count_out=3, sum_out="2.00"), "收入笔数 3.0 is not 2"),
        (bill(*A_DAY, count_in=2, sum_in="5.01", count_out=4, sum_out="2.00"), "收入金额 5.01 is not 5.00"),
        (bill(*A_DAY, count_in=2, sum_in="5.00", count_out=4, sum_out="1.99"), "支出金额 1.99 is not 2.00"),
        (GOOD[: GOOD.index("资金流水总笔数".encode())], "ends without its totals"),
        (GOOD.replace("`支出,`1.40".encode(), "`别的,`1.40".encode()), "line 5: a row of the bill is neither in nor"),
        (GOOD.replace(b"`1.40", b"`1,40"), "line 5: the bill's 收支金额(元) is no amount"),
    ],
)  # fmt: skip
def test_a_bill_that_does_not_add_up_gives_no_row(content: bytes, told: str) -> None:
    with pytest.raises(ProviderError) as failure:
        rows_in("wechatpay", content, "fund_flow")
    assert told in str(failure.value)


def test_another_business_is_left_for_a_person() -> None:
    content = bill(row("分账", "支出", "1.00", 1), count_in=0, sum_in="0.00", count_out=1, sum_out="1.00")
    with pytest.raises(UnableToRead, match="分账"):
        rows_in("wechatpay", content, "fund_flow")
