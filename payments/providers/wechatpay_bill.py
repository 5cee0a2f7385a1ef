"""WeChat Pay's trade bill of one day, read row by row once its digest and its own totals have been seen to be right.

The file: UTF-8 with a byte order mark, no quoting, a back-tick before every value, amounts in yuan; after the rows a
second header and one line of totals. A refund's row is of the day on which it was asked for and is never changed.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import IO, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings

from payments import credentials
from payments.models import ProviderAccount
from payments.providers import client, wechatpay_calls
from payments.providers.base import ProviderError, StatementRow

_OFFICIAL = "https://api.mch.weixin.qq.com"
_SHANGHAI = ZoneInfo("Asia/Shanghai")
_ADDRESS = re.compile(r"[\x21-\x5b\x5d-\x7e]+")  # What every reader of addresses splits at the same places.
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,5})?")
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


def rows(account: ProviderAccount, day: date) -> Iterator[StatementRow]:
    """The bill's rows of that day (in Shanghai); none when nothing happened. Raises ProviderError."""
    try:
        told = wechatpay_calls.call(account, "GET", f"/v3/bill/tradebill?bill_date={day.isoformat()}&bill_type=ALL")
    except wechatpay_calls.Refused as refusal:
        if refusal.code == "NO_STATEMENT_EXIST":
            return
        raise refusal.error from refusal
    url, digest = _place(told or {})
    with tempfile.TemporaryFile() as file:
        client.download(account, url, file, headers=wechatpay_calls.authorization(account, "GET", url))
        _check_digest(file, digest)
        _check_totals(file)
        mchid = credentials.of(account)["mchid"]
        for row in _rows(file):
            if (read := _read(row, mchid)) is not None:
                yield read


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


def _check_totals(file: IO[bytes]) -> None:
    """Counts and adds up every row, and compares that with the file's last line."""
    sums, count, told = dict.fromkeys(_TOTALS, Decimal(0)), 0, None
    for row in _lines(file):
        if _FOOTER in row:
            told = row
            continue
        count += 1
        for total, column in _TOTALS.items():
            sums[total] += _decimal(row, column)
    if told is None:
        raise ProviderError("the bill does not add up: it ends without its totals", permanent=False)
    if _decimal(told, _FOOTER) != count:
        raise ProviderError(f"the bill does not add up: {told[_FOOTER]} rows told, {count} found", permanent=False)
    for total, summed in sums.items():
        # Fees have five decimals in the rows, and may have only two in the totals.
        if _decimal(told, total) not in (summed, summed.quantize(Decimal("0.01"), ROUND_HALF_UP)):
            raise ProviderError(f"the bill does not add up: {total} {told[total]} is not {summed}", permanent=False)


def _rows(file: IO[bytes]) -> Iterator[Row]:
    return (row for row in _lines(file) if _FOOTER not in row)


def _lines(file: IO[bytes]) -> Iterator[Row]:
    """Every line of values by the names of the header above it: the rows, and last the totals."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="\n")
    names: list[str] = []
    try:
        for line in text:
            line = line.rstrip("\r\n")
            if not line:
                continue
            if not line.startswith("`"):
                names = line.split(",")
                continue
            # Values hold commas (a shop's own words are among them), but none holds one before a back-tick.
            values = line[1:].split(",`")
            if len(values) != len(names):
                raise ProviderError("a row of the bill has not the columns of its header", permanent=False)
            yield dict(zip(names, (value.strip() for value in values), strict=True))
    except UnicodeDecodeError as failure:
        raise ProviderError("the bill is no UTF-8", permanent=False) from failure
    finally:
        text.detach()  # Or it would close the file, which is read a second time.


def _read(row: Row, mchid: str) -> StatementRow | None:
    """A row in our words; None for a refund that had failed already when the bill was made, which moved nothing."""
    try:
        if row["商户号"] != mchid:
            raise ProviderError("the bill is about another merchant", permanent=True)
        kind = _KINDS[row["交易状态"]]
        occurred_at = datetime.strptime(row["交易时间"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=_SHANGHAI)
        transaction, currency = row["微信订单号"], row["货币种类"]
        # The fee has five decimals; half a fen and more counts as one, as in the account's own settlement.
        fee = int((_decimal(row, "手续费") * 100).quantize(Decimal(1), ROUND_HALF_UP))
        if kind == "payment":
            amount = _fen(row, "订单金额")
            return StatementRow("payment", transaction, row["商户订单号"], amount, fee, currency, occurred_at)
        if row["退款状态"] == "FAIL":
            return None
        refund, amount = row["微信退款单号"], -_fen(row, "申请退款金额")
        reference = row["商户退款单号"]
        return StatementRow("refund", refund, reference, amount, fee, currency, occurred_at, transaction)
    except (KeyError, ValueError) as failure:
        raise ProviderError(f"a row of the bill has not the form we know: {failure!r}", permanent=False) from failure


def _fen(row: Row, column: str) -> int:
    fen = _decimal(row, column) * 100
    if fen != fen.to_integral_value():
        raise ValueError(f"{column} has a part of a fen")
    return int(fen)


def _decimal(row: Row, column: str) -> Decimal:
    text = row.get(column, "")
    if not _DECIMAL.fullmatch(text):
        raise ProviderError(f"the bill's {column} is no amount", permanent=False)
    return Decimal(text)
