"""WeChat Pay's trade bill of one day, read row by row once its digest and its own totals have been seen to be right.

The file: UTF-8 with a byte order mark, no quoting, a back-tick before every value, amounts in yuan; after the rows a
second header and one line of totals. A refund's row is of the day on which it was asked for and is never changed.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import IO, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings

from payments.models import ProviderAccount
from payments.providers import client, wechatpay_calls
from payments.providers.base import ProviderError, RawLine, StatementRow, UnableToRead

_OFFICIAL = "https://api.mch.weixin.qq.com"
ZONE = ZoneInfo("Asia/Shanghai")
_ADDRESS = re.compile(r"[\x21-\x5b\x5d-\x7e]+")  # What every reader of addresses splits at the same places.
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,5})?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_CHUNK = 65_536

_FOOTER = "总交易单数"  # The first name of the second header.
# Each total, and the column that it adds up.
_TOTALS = {
    "应结订单总金额": "应结订单金额",
    "退款总金额": "退款金额",
    "充值券退款总金额": "充值券退款金额",
    "手续费总金额": "手续费",
    "订单总金额": "订单金额",
    "申请退款总金额": "申请退款金额",
}
_KINDS = {"SUCCESS": "payment", "REFUND": "refund", "REVOKED": "refund"}

Row = dict[str, str]


def fetch(account: ProviderAccount, day: date, into: IO[bytes]) -> bool:
    """Writes the bill of that day (in Shanghai), as it was announced; False when nothing happened on that day.

    Raises ProviderError.
    """
    try:
        told = wechatpay_calls.call(account, "GET", f"/v3/bill/tradebill?bill_date={day.isoformat()}&bill_type=ALL")
    except wechatpay_calls.Refused as refusal:
        if refusal.code == "NO_STATEMENT_EXIST":
            return False
        raise refusal.error from refusal
    url, digest = _place(told or {})
    client.download(account, url, into, headers=wechatpay_calls.authorization(account, "GET", url))
    _check_digest(into, digest)
    return True


def lines(file: IO[bytes], mchid: str) -> Iterator[RawLine]:
    """The bill's rows, once they were seen to add up to its totals. Raises ProviderError, which names the line."""
    sums, count, told = dict.fromkeys(_TOTALS, Decimal(0)), 0, None
    for number, row in table(file):
        if _FOOTER in row:
            told = row
            continue
        count += 1
        for total, column in _TOTALS.items():
            sums[total] += decimal(row, column, number)
        _check(number, row, mchid)
    _check_totals(told, count, sums)
    yield from (RawLine(number, row) for number, row in table(file) if _FOOTER not in row)


def meaning(raw: Mapping[str, Any]) -> StatementRow | None:
    """A row in our words; None for a refund that had failed already when the bill was made, which moved nothing.

    Raises UnableToRead, also for a state of trade that we do not know.
    """
    try:
        return _read(raw)
    except (KeyError, ValueError, TypeError) as failure:
        raise UnableToRead(f"a row of the bill has not the form we know: {failure!r}"[:200]) from failure


def table(file: IO[bytes]) -> Iterator[tuple[int, Row]]:
    """Every line of values, with its number, by the names of the header above it: the rows, and last the totals."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="\n")
    names: list[str] = []
    try:
        for number, line in enumerate(text, start=1):
            line = line.rstrip("\r\n")
            if not line:
                continue
            if not line.startswith("`"):
                names = line.split(",")
                continue
            # Values hold commas (a shop's own words are among them), but none holds one before a back-tick.
            values = line[1:].split(",`")
            if len(values) != len(names):
                told = f"line {number}: a row of the bill has not the columns of its header"
                raise ProviderError(told, permanent=False)
            yield number, dict(zip(names, (value.strip() for value in values), strict=True))
    except UnicodeDecodeError as failure:
        raise ProviderError("the bill is no UTF-8", permanent=False) from failure
    finally:
        text.detach()  # Or it would close the file, which is read a second time.


def decimal(row: Mapping[str, str], column: str, number: int) -> Decimal:
    """An amount of yuan. Raises ProviderError, which names the line."""
    try:
        return _decimal(row, column)
    except ValueError as failure:
        raise ProviderError(f"line {number}: the bill's {failure}", permanent=False) from failure


def _place(told: Mapping[str, Any]) -> tuple[str, str]:
    """Where the file is, and its SHA-1. Our signature goes to WeChat Pay and nowhere else, whatever the answer says."""
    url, kind, digest = told.get("download_url"), told.get("hash_type"), told.get("hash_value")
    if not isinstance(url, str) or not isinstance(digest, str) or kind != "SHA1":
        raise ProviderError("the bill's address has not the form we know", permanent=False)
    if not _ADDRESS.fullmatch(url) or _origin(url) not in {_origin(settings.WECHATPAY_URL), _OFFICIAL}:
        raise ProviderError("the bill is said to be at a place that is not WeChat Pay's", permanent=True)
    return url, digest


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return "" if parts.username or parts.password else f"{parts.scheme}://{parts.hostname}{port}"


def _check_digest(file: IO[bytes], digest: str) -> None:
    """The digest is of the bill itself, not of a compressed form of it; we ask for it uncompressed."""
    file.seek(0)
    summed = hashlib.sha1(usedforsecurity=False)
    while chunk := file.read(_CHUNK):
        summed.update(chunk)
    if summed.hexdigest() != digest.lower():
        raise ProviderError("the bill is not the one that was announced: its digest differs", permanent=False)


def _check(number: int, row: Row, mchid: str) -> None:
    """A row of a kind that we know must be readable; any other is left for a person."""
    if row.get("商户号") != mchid:
        raise ProviderError(f"line {number}: the bill is about another merchant", permanent=True)
    if row.get("交易状态") in _KINDS:
        try:
            _read(row)
        except (KeyError, ValueError) as failure:
            told = f"line {number}: a row of the bill has not the form we know: {failure!r}"
            raise ProviderError(told[:250], permanent=False) from failure


def _check_totals(told: Row | None, count: int, sums: Mapping[str, Decimal]) -> None:
    """Compares what was counted and added up with the file's last line."""
    if told is None:
        raise ProviderError("the bill does not add up: it ends without its totals", permanent=False)
    if decimal(told, _FOOTER, 0) != count:
        raise ProviderError(f"the bill does not add up: {told[_FOOTER]} rows told, {count} found", permanent=False)
    for total, summed in sums.items():
        # Fees have five decimals in the rows, and may have only two in the totals.
        if decimal(told, total, 0) not in (summed, summed.quantize(Decimal("0.01"), ROUND_HALF_UP)):
            raise ProviderError(f"the bill does not add up: {total} {told[total]} is not {summed}", permanent=False)


def _read(row: Mapping[str, str]) -> StatementRow | None:
    kind = _KINDS[row["交易状态"]]
    occurred_at = moment(row["交易时间"])
    transaction, currency = row["微信订单号"], row["货币种类"]
    # The fee has five decimals; half a fen and more counts as one, as in the account's own settlement.
    fee = int((_decimal(row, "手续费") * 100).quantize(Decimal(1), ROUND_HALF_UP))
    if kind == "payment":
        return StatementRow("payment", transaction, row["商户订单号"], fen(row, "订单金额"), fee, currency, occurred_at)
    if row["退款状态"] == "FAIL":
        return None
    refund, amount = row["微信退款单号"], -fen(row, "申请退款金额")
    return StatementRow("refund", refund, row["商户退款单号"], amount, fee, currency, occurred_at, transaction)


def moment(text: str) -> datetime:
    """A time in Shanghai. Raises ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"not a time: {text[:20]!r}")
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def fen(row: Mapping[str, str], column: str) -> int:
    """An amount of yuan, in fen. Raises ValueError."""
    amount = _decimal(row, column) * 100
    if amount != amount.to_integral_value():
        raise ValueError(f"{column} has a part of a fen")
    return int(amount)


def _decimal(row: Mapping[str, str], column: str) -> Decimal:
    text = row.get(column, "")
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"{column} is no amount")
    return Decimal(text)
