"""WeChat Pay's fund flow bill: every change of the account's balance, of which only what no trade bill has counts here.

Trades, refunds and the fees of both stand in the trade bill, as one row with its fee; here each of them is a row of its
own, and moves no money a second time. What remains is what leaves for the bank (提现, a withdrawal), what it costs, and
what we put in ourselves (充值). A row of any other business is left for a person. Totals stand in the last line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import IO, Any, Literal

from payments.providers.base import ProviderError, RawLine, StatementRow, UnableToRead
from payments.providers.wechatpay_bill import decimal, fen, moment, table

_FOOTER = "资金流水总笔数"  # The first name of the second header.
_IN, _OUT = "收入", "支出"
_AMOUNT, _DIRECTION, _BUSINESS = "收支金额(元)", "收支类型", "业务类型"

_IN_THE_TRADE_BILL = {"交易", "退款", "扣除交易手续费", "退还交易手续费"}
_KINDS: dict[str, Literal["payout", "fee", "adjustment"]] = {
    "提现": "payout",
    "提现手续费": "fee",
    "充值": "adjustment",
}


def lines(file: IO[bytes]) -> Iterator[RawLine]:
    """The rows, once they were seen to add up to the totals, in and out. Raises ProviderError, which names the line."""
    counts, sums, told = {_IN: 0, _OUT: 0}, {_IN: Decimal(0), _OUT: Decimal(0)}, None
    for number, row in table(file):
        if _FOOTER in row:
            told = row
            continue
        direction = row.get(_DIRECTION, "")
        if direction not in counts:
            raise ProviderError(f"line {number}: a row of the bill is neither in nor out", permanent=False)
        counts[direction] += 1
        sums[direction] += decimal(row, _AMOUNT, number)
    if told is None:
        raise ProviderError("the bill does not add up: it ends without its totals", permanent=False)
    for name, found in (
        (_FOOTER, counts[_IN] + counts[_OUT]),
        ("收入笔数", counts[_IN]),
        ("收入金额", sums[_IN]),
        ("支出笔数", counts[_OUT]),
        ("支出金额", sums[_OUT]),
    ):
        if decimal(told, name, 0) != found:
            raise ProviderError(f"the bill does not add up: {name} {told[name]} is not {found}", permanent=False)
    yield from (RawLine(number, row) for number, row in table(file) if _FOOTER not in row)


def meaning(raw: Mapping[str, Any]) -> StatementRow | None:
    """A row in our words; None where the trade bill has it. Raises UnableToRead, also for another business."""
    try:
        business = raw[_BUSINESS]
        if business in _IN_THE_TRADE_BILL:
            return None
        if business not in _KINDS:
            raise ValueError(f"a business that we do not know: {business[:20]}")
        amount = fen(raw, _AMOUNT) if raw[_DIRECTION] == _IN else -fen(raw, _AMOUNT)
        kind, flow = _KINDS[business], raw["资金流水单号"]
        return StatementRow(
            kind=kind,
            object_id=flow,
            reference=raw["业务凭证号"],
            amount=amount,
            fee=0,
            currency="CNY",
            occurred_at=moment(raw["记账时间"]),
            # A withdrawal is not of named trades: it is a settlement by itself, of what the bill says it is.
            settlement_id=flow if kind == "payout" else "",
        )
    except (KeyError, ValueError, TypeError) as failure:
        raise UnableToRead(f"a row of the bill: {failure!r}"[:200]) from failure
