"""Alipay's daily business bill: a ZIP of GBK files, read row by row, and given only when it adds up.

A bill holds one file of rows (业务明细) and one of sums (汇总), both with names in GBK. In the rows' file, lines that
begin with `#` stand before and after the table; the last ones tell how many payments and refunds there are and what
the merchant got by them. Source: alipay.data.dataservice.bill.downloadurl.query, bill_type `trade`.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO

from django.conf import settings

from payments.providers.alipay_gateway import ZONE
from payments.providers.base import AMOUNT_MAX, ProviderError, RawLine, StatementRow, UnableToRead

_PAYMENT, _REFUND = "交易", "退款"
_TRADE, _ORDER, _KIND, _CREATED, _DONE = "支付宝交易号", "商户订单号", "业务类型", "创建时间", "完成时间"
_GROSS, _GOT, _REFUND_ID, _FEE = "订单金额（元）", "商家实收（元）", "退款批次号/请求号", "服务费（元）"
_COLUMNS = (_TRADE, _ORDER, _KIND, _CREATED, _DONE, _GROSS, _GOT, _REFUND_ID, _FEE)
_TOTAL = re.compile(r"#(交易|退款)合计：(\d+)笔，商家实收(?:退款)?共(-?[\d.]+)元", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_YUAN = re.compile(r"(-?)(\d{1,13})(?:\.(\d{1,2}))?", re.ASCII)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError)


Row = Mapping[str, str]


def lines(file: IO[bytes]) -> Iterator[RawLine]:
    """The rows of a bill, after a first reading has seen that they add up to its own sums.

    Raises ProviderError, which names the line, before the first row is given.
    """
    file.seek(0)
    try:
        with zipfile.ZipFile(file, metadata_encoding="gbk") as bill:
            names = _row_files(bill)
            for name in names:
                for _ in _checked(bill, name):
                    pass
            before = 0  # A bill in several files has its lines numbered through.
            for name in names:
                last = 0
                for last, row in _rows(bill, name):
                    yield RawLine(before + last, row)
                before += last
    except _BROKEN as failure:
        raise ProviderError(f"the bill cannot be opened: {type(failure).__name__}", permanent=False) from failure


def meaning(raw: Row) -> StatementRow:
    """What a row says. Raises UnableToRead, also for a kind of row that we do not know."""
    try:
        if raw[_KIND] not in (_PAYMENT, _REFUND):
            raise ValueError(f"a kind of row that we do not know: {raw[_KIND][:20]}")
        return _meant(raw)
    except (KeyError, ValueError, TypeError) as failure:
        raise UnableToRead(f"a row of the bill: {failure}") from failure


@dataclass(slots=True)
class _Sums:
    """How many rows of a kind there are, and what the merchant got by them."""

    count: dict[str, int] = field(default_factory=lambda: {_PAYMENT: 0, _REFUND: 0})
    got: dict[str, int] = field(default_factory=lambda: {_PAYMENT: 0, _REFUND: 0})


def _row_files(bill: zipfile.ZipFile) -> list[str]:
    entries = bill.infolist()
    # The sizes an archive states are also the most that is ever read of its entries.
    if sum(entry.file_size for entry in entries) > settings.STATEMENT_BYTES_MAX:
        raise ProviderError("the bill is larger than any we know", permanent=True)
    names = [
        entry.filename
        for entry in entries
        if entry.filename.endswith(".csv") and "业务明细" in entry.filename and "汇总" not in entry.filename
    ]
    if not names:
        raise ProviderError("the bill holds no file of rows", permanent=False)
    return sorted(names)


def _rows(bill: zipfile.ZipFile, name: str) -> Iterator[tuple[int, Row]]:
    """The rows alone, of a file that was seen to add up, each with the number of its line."""
    header: list[str] = []
    with bill.open(name) as raw, io.TextIOWrapper(raw, encoding="gb18030", errors="replace", newline="\n") as text:
        for number, line in enumerate(text, start=1):
            line = line.rstrip("\r\n")
            if line.startswith("#") or not line.strip():
                continue
            if header:
                yield number, dict(zip(header, _cells(line, header), strict=True))
            else:
                header = _header(line)


def _checked(bill: zipfile.ZipFile, name: str) -> Iterator[None]:
    """Reads a whole file, row by row, and compares it with its sums. Raises ProviderError, which names the line."""
    header: list[str] = []
    counted, told = _Sums(), _Sums()
    totals: set[str] = set()
    with bill.open(name) as raw, io.TextIOWrapper(raw, encoding="gb18030", errors="replace", newline="\n") as text:
        for number, line in enumerate(text, start=1):
            line = line.rstrip("\r\n")
            try:
                if line.startswith("#"):
                    _note_total(line, told, totals)
                elif not line.strip():
                    continue
                elif not header:
                    header = _header(line)
                elif totals:
                    raise ValueError("a row after the sums")
                else:
                    _count(dict(zip(header, _cells(line, header), strict=True)), counted)
                    yield
            except ValueError as failure:
                raise ProviderError(f"line {number} of the bill: {failure}", permanent=False) from failure
    if totals != {_PAYMENT, _REFUND}:
        raise ProviderError("the bill ends before its sums", permanent=False)
    for kind in (_PAYMENT, _REFUND):
        if (counted.count[kind], counted.got[kind]) != (told.count[kind], told.got[kind]):
            difference = f"{counted.count[kind]} rows, {counted.got[kind]} fen; told "
            difference += f"{told.count[kind]} rows, {told.got[kind]} fen"
            raise ProviderError(f"the bill's sum of {kind} does not add up: {difference}", permanent=False)


def _note_total(line: str, told: _Sums, totals: set[str]) -> None:
    if "合计" not in line:
        return
    found = _TOTAL.match(line)
    if found is None or found[1] in totals:
        raise ValueError("a sum that has not the form we know")
    totals.add(found[1])
    told.count[found[1]], told.got[found[1]] = int(found[2]), _fen(found[3])


def _header(line: str) -> list[str]:
    names = [name.strip() for name in line.split(",")]
    missing = [name for name in _COLUMNS if names.count(name) != 1]
    if missing or names.index(_DONE) != names.index(_CREATED) + 1:
        raise ValueError(f"columns that we do not know: no {missing[0] if missing else _DONE}")
    return names


def _count(told: Row, counted: _Sums) -> None:
    """Adds a row to its sum, once it could be read. A kind that we do not know is in neither; its row is unreadable."""
    kind = told[_KIND]
    if kind in counted.count:
        _meant(told)
        counted.count[kind] += 1
        counted.got[kind] += _fen(told[_GOT])


def _meant(told: Row) -> StatementRow:
    kind = told[_KIND]
    gross, got, fee = _fen(told[_GROSS]), _fen(told[_GOT]), abs(_fen(told[_FEE]))
    if (gross <= 0) if kind == _PAYMENT else (gross >= 0 or not told[_REFUND_ID]):
        raise ValueError(f"a row of {kind} that cannot be one")
    # What the merchant pays of a discount never reaches it either; of a refund, both come back.
    kept = gross - got + (fee if kind == _PAYMENT else -fee)
    return StatementRow(
        kind="payment" if kind == _PAYMENT else "refund",
        object_id=_id(told[_TRADE] if kind == _PAYMENT else told[_REFUND_ID]),
        reference=told[_ORDER] if kind == _PAYMENT else told[_REFUND_ID],
        amount=gross,
        fee=kept,
        currency="CNY",
        occurred_at=_moment(told[_DONE]),
        parent_object_id="" if kind == _PAYMENT else _id(told[_TRADE]),
    )


def _cells(line: str, header: Sequence[str]) -> list[str]:
    """A line's values, without the tabs they are padded with.

    Names and remarks are free text whose commas stand as they are: the two times after the name say where it ends. A
    line with several such places could be read in several ways, and is refused.
    """
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) > len(header):
        name, last = header.index(_CREATED) - 1, len(header) - 1
        times = [at for at in range(name + 1, len(cells) - 1) if all(map(_TIME.fullmatch, cells[at : at + 2]))]
        if len(times) == 1:
            cells = [*cells[:name], ",".join(cells[name : times[0]]), *cells[times[0] :]]
            cells = [*cells[:last], ",".join(cells[last:])]
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} values in {len(header)} columns")
    return cells


def _moment(text: str) -> datetime:
    if not _TIME.fullmatch(text):
        raise ValueError(f"not a time: {text[:20]!r}")
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


def _id(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("a row without an id")
    return text


def _fen(text: str) -> int:
    found = _YUAN.fullmatch(text)
    if found is None:
        raise ValueError(f"not an amount: {text[:20]!r}")
    fen = int(found[2]) * 100 + int((found[3] or "0").ljust(2, "0"))
    if fen > AMOUNT_MAX:
        raise ValueError(f"not an amount: {text[:20]!r}")
    return -fen if found[1] else fen
