"""A statement as larger shops' software reads it from banks: ISO 20022 camt.053.001.08, BankToCustomerStatement.

One `Stmt` with the balances OPBD and CLBD, and an `Ntry` for each movement that changes the total. The account is the
shop's public id; `NtryRef` and `AcctSvcrRef` are the entry's, `EndToEndId` what the movement is traced by; the kind is
a proprietary `BkTxCd`. Booking is when our book learned of it, value when it happened. The sums stand before the
entries, so these wait in a temporary file until all are read. Elements and their order: the message definition report.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from xml.sax.saxutils import escape

from merchants import ids, money
from merchants.models import Shop
from payments import statement_file
from payments.ledger import Balance
from payments.models import LedgerEntry
from payments.statement import Asked, Line, Summary
from payments.statement_file import Telling

CONTENT_TYPE = "application/xml; charset=utf-8"
VERSION = "camt.053.001.08"

_IN_MEMORY = 4_194_304  # Bytes of entries; more of them wait on disk.
_PIECE = 65_536
# What XML 1.0 cannot carry, not even escaped.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def pieces(asked: Asked, now: datetime) -> Iterator[bytes]:
    """The document, piece by piece. Movements that leave the total as it is are no entries of an account: left out."""
    telling = Telling(replace(asked, everything=False))
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as entries:
        for line in telling.lines():
            entries.write(_entry(asked, line).encode())
        entries.seek(0)
        yield _head(telling, now).encode()
        while piece := entries.read(_PIECE):
            yield piece
        yield _tail(asked, now).encode()


def _head(telling: Telling, now: datetime) -> str:
    asked, found = telling.asked, telling.summary()
    key = "|".join((str(asked.shop.id), asked.period.name, asked.basis, statement_file.as_of(asked).isoformat()))
    message = hashlib.sha256(key.encode()).hexdigest()[:32]
    made = _moment(statement_file.as_of(asked))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{VERSION}"><BkToCstmrStmt>\n'
        f"<GrpHdr><MsgId>{message}</MsgId><CreDtTm>{made}</CreDtTm></GrpHdr>\n"
        f"<Stmt><Id>{asked.period.name}-{asked.basis}</Id><CreDtTm>{made}</CreDtTm>"
        f"<FrToDt><FrDtTm>{_moment(asked.period.start)}</FrDtTm><ToDtTm>{_moment(asked.period.end)}</ToDtTm></FrToDt>\n"
        f"<Acct><Id><Othr><Id>{ids.public(Shop.prefix, asked.shop.id)}</Id></Othr></Id><Ccy>{asked.shop.currency}</Ccy>"
        f"<Ownr><Nm>{_text(asked.shop.name, 140)}</Nm></Ownr></Acct>\n"
        + _balance("OPBD", found.opening, asked, asked.period.start)
        + _balance("CLBD", found.closing, asked, asked.until)
        + _summary(found, telling.count)
    )


def _balance(code: str, balance: Balance, asked: Asked, moment: datetime) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(balance.total, balance.currency)}"
        f"<Dt><DtTm>{_local(asked, moment)}</DtTm></Dt></Bal>\n"
    )


def _summary(found: Summary, count: int) -> str:
    currency = found.opening.currency
    net = found.money_in - found.money_out
    total = _plain(found.money_in + found.money_out, currency)
    return (
        f"<TxsSummry><TtlNtries><NbOfNtries>{count}</NbOfNtries><Sum>{total}</Sum><TtlNetNtry>"
        f"<Amt>{_plain(abs(net), currency)}</Amt><CdtDbtInd>{_side(net)}</CdtDbtInd></TtlNetNtry></TtlNtries>"
        f"<TtlCdtNtries><Sum>{_plain(found.money_in, currency)}</Sum></TtlCdtNtries>"
        f"<TtlDbtNtries><Sum>{_plain(found.money_out, currency)}</Sum></TtlDbtNtries></TxsSummry>\n"
    )


def _entry(asked: Asked, line: Line) -> str:
    entry = statement_file.public(LedgerEntry, line.entry_id)
    said = [_text(text, 140) for text in (line.description, line.reason, statement_file.receipt(line)) if text]
    remittance = "".join(f"<Ustrd>{text}</Ustrd>" for text in said)
    return (
        f"<Ntry><NtryRef>{entry}</NtryRef>{_amount(line.change, asked.shop.currency)}<Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><DtTm>{_local(asked, line.recorded_at)}</DtTm></BookgDt>"
        f"<ValDt><DtTm>{_local(asked, line.occurred_at)}</DtTm></ValDt><AcctSvcrRef>{entry}</AcctSvcrRef>"
        f"<BkTxCd><Prtry><Cd>{line.kind}</Cd><Issr>Pushcart</Issr></Prtry></BkTxCd>"
        f"<NtryDtls><TxDtls><Refs><AcctSvcrRef>{entry}</AcctSvcrRef>"
        f"<EndToEndId>{statement_file.reference(line)}</EndToEndId></Refs>"
        f"{_amount(line.change, asked.shop.currency)}"
        f"{f'<RmtInf>{remittance}</RmtInf>' if remittance else ''}</TxDtls></NtryDtls>"
        f"<AddtlNtryInf>{_text(statement_file.words(line.kind), 500)}</AddtlNtryInf></Ntry>\n"
    )


def _tail(asked: Asked, now: datetime) -> str:
    said = f"{statement_file.basis(asked)} {statement_file.finality(asked, now)}"
    return f"<AddtlStmtInf>{_text(said, 500)}</AddtlStmtInf></Stmt>\n</BkToCstmrStmt></Document>\n"


def _amount(amount: int, currency: str) -> str:
    """An amount and its side. A zero is a credit, as an account that owes nothing has it."""
    return f'<Amt Ccy="{currency}">{_plain(abs(amount), currency)}</Amt><CdtDbtInd>{_side(amount)}</CdtDbtInd>'


def _side(amount: int) -> str:
    return "DBIT" if amount < 0 else "CRDT"


def _plain(amount: int, currency: str) -> str:
    return f"{money.decimal(amount, currency):f}"


def _text(text: str, longest: int) -> str:
    """What people wrote, without what XML cannot carry, in full Unicode, not longer than the element may be."""
    return escape(_NO_XML.sub("", text)[:longest])


def _local(asked: Asked, moment: datetime) -> str:
    return moment.astimezone(asked.period.zone).isoformat(timespec="milliseconds")


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
