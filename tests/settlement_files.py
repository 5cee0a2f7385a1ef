"""Settlement files for tests: fetched from a provider as the product does it, and read row by row."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from datetime import date
from typing import IO, Any

from django.utils import timezone

from payments import providers
from payments.models import BankAccount, ProviderAccount, Statement
from payments.providers.base import StatementRow
from payments.settlement import files, formats


def rows_of_day(account: ProviderAccount, day: date) -> Iterator[StatementRow]:
    """What a provider's file of a day says, in our words; nothing where it says that nothing happened."""
    module = providers.named(account.provider)
    with tempfile.TemporaryFile() as file:
        form = module.statement(account, day, file)
        assert form in ("", next(iter(module.FORMATS)))
        if form:
            for line in module.lines(account, form, file):
                if (row := module.meaning(account, form, line.raw)) is not None:
                    yield row


def rows_in(provider: str, content: bytes, form: str = "") -> list[StatementRow]:
    """What a file says, in our words."""
    module, account = providers.named(provider), ProviderAccount(provider=provider)
    form = form or next(iter(module.FORMATS))
    read = [module.meaning(account, form, line.raw) for line in module.lines(account, form, io.BytesIO(content))]
    return [row for row in read if row is not None]


Movement = tuple[str, str, str, int, int]  # Kind, id, reference, amount, fee.

WALLET_COLUMNS = "kind,id,order_reference,refund_reference,amount,fee,net,currency,occurred_at,settlement_id\r\n"


def wallet_file(*moved: Movement, currency: str = "CNY", settlement: str = "wst_1", paid_out: bool = True) -> bytes:
    """A settlement file as the pretend wallet writes it."""
    rows, net = [], sum(amount - fee for *_, amount, fee in moved)
    for kind, name, reference, amount, fee in moved:
        own = f"{reference},," if kind == "payment" else f",{reference},"
        at = f"{currency},2026-11-22T12:00:00Z,{settlement}"
        rows.append(f"{kind},{name},{own}{amount},{fee},{amount - fee},{at}\r\n")
    amounts, fees = sum(row[3] for row in moved), sum(row[4] for row in moved)
    rows.append(f"total,{len(moved)},,,{amounts},{fees},{net},{currency if moved else ''},,\r\n")
    if paid_out and net:
        at = f"{currency},2026-11-22T23:59:59Z,{settlement}"
        rows.append(f"payout,wpo_{settlement},,,{-net},0,{-net},{at}\r\n")
    return (WALLET_COLUMNS + "".join(rows)).encode()


def write_wallet_file(into: IO[bytes], count: int) -> None:
    """Writes such a file with so many payments of 200 and a fee of 1."""
    into.write(WALLET_COLUMNS.encode())
    for number in range(count):
        row = f"payment,wpy_{number:012d},int_{number:012d},,200,1,199,CNY,2026-11-22T12:00:00Z,wst_1\r\n"
        into.write(row.encode())
    into.write(f"total,{count},,,{200 * count},{count},{199 * count},CNY,,\r\n".encode())
    into.write(f"payout,wpo_1,,,{-199 * count},0,{-199 * count},CNY,2026-11-22T23:59:59Z,wst_1\r\n".encode())


def taken(source: formats.Source, content: bytes | IO[bytes], **how: Any) -> Statement:
    """A file of the 22nd of November, brought or fetched, after the product has taken it in."""
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    told: dict[str, Any] = {
        "form": next(iter(formats.of(source))),
        "name": "a-file",
        "day": None if isinstance(source, BankAccount) else date(2026, 11, 22),
        "fetched": not isinstance(source, BankAccount),
        "uploaded_by": None,
        "now": timezone.now(),
    }
    return files.take_in(source=source, file=file, **{**told, **how})


def bank_account(currency: str = "CNY") -> BankAccount:
    """Our account at a bank."""
    return BankAccount.objects.create(
        name=f"main-{currency.lower()}", holder="Pushcart", number=f"DE0212030000000020{currency}", currency=currency
    )
