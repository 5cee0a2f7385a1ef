"""The merchant's bank, as far as the wallet's payouts reach it: the statement of a day, as camt.053 and as CSV.

The account holds what was ever paid out to it in one currency; each payout is a credit whose reference is the
settlement's id (a debit, where more was refunded than received).
"""

import csv
import io
import sqlite3
from dataclasses import dataclass
from datetime import date, timedelta
from xml.sax.saxutils import escape

from iso4217 import Currency

from .exchange import Refusal
from .settlement import Payout, payouts, rows

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
COLUMNS = ("date", "amount", "currency", "direction", "reference", "end_to_end_id", "counterparty", "balance")
WALLET = "Pretend wallet"


@dataclass(frozen=True)
class Day:
    """What the account held when a day began, and what came that day. Minor units."""

    number: str
    currency: str
    day: date
    opening: int
    credits: list[Payout]

    @property
    def closing(self) -> int:
        return self.opening + sum(credit.arrives for credit in self.credits)


def day_at(db: sqlite3.Connection, account: str, day: date, currency: str) -> Day:
    """Look at an account of the bank on a day, in a currency ("" where there is only one); 422 `invalid` otherwise."""
    found = db.execute("SELECT bank_account FROM terms WHERE account = ?", (account,)).fetchone()
    number = (found and found["bank_account"]) or f"SANDBOX-{account}"
    began = db.execute("SELECT min(occurred_at) AS at FROM payments WHERE account = ?", (account,)).fetchone()["at"]
    first = date.fromisoformat(began[:10]) if began else day
    days = [first + timedelta(days=after) for after in range((day - first).days + 1)]
    paid = [payout for on in days for payout in payouts(account, on, list(rows(db, account, on)))]
    currencies = {currency} if currency else {payout.currency for payout in paid}
    if len(currencies) != 1:
        raise Refusal(422, "invalid", "currency must be named: an account of the bank is in one of them.")
    own = currencies.pop()
    opening = sum(payout.arrives for payout in paid if payout.currency == own and payout.day < day)
    return Day(number, own, day, opening, [row for row in paid if row.currency == own and row.day == day])


def as_csv(stand: Day) -> str:
    """Write a day as CSV, each row with the balance after it."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    balance = stand.opening
    for credit in stand.credits:
        balance += credit.arrives
        amount, direction = _major(abs(credit.arrives), stand.currency), "credit" if credit.arrives > 0 else "debit"
        own, after = credit.settlement_id, _major(balance, stand.currency)
        lines.writerow((stand.day, amount, stand.currency, direction, f"payout {own}", own, WALLET, after))
    return text.getvalue()


def as_camt053(stand: Day) -> str:
    """Write a day as camt.053.001.08."""
    entries = "".join(
        f"<Ntry><NtryRef>{number}</NtryRef>{_amount(credit.arrives, stand)}<Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><Dt>{stand.day}</Dt></BookgDt><AcctSvcrRef>{escape(credit.settlement_id)}-{number}</AcctSvcrRef>"
        "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>"
        f"<NtryDtls><TxDtls><Refs><EndToEndId>{escape(credit.settlement_id)}</EndToEndId></Refs>"
        f"<RltdPties><Dbtr><Pty><Nm>{WALLET}</Nm></Pty></Dbtr></RltdPties>"
        f"<RmtInf><Ustrd>payout {escape(credit.settlement_id)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
        for number, credit in enumerate(stand.credits, start=1)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{NAMESPACE}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>{stand.day}</MsgId><CreDtTm>{stand.day}T23:59:59Z</CreDtTm></GrpHdr>"
        f"<Stmt><Id>{stand.day:%Y%m%d}</Id>"
        f"<Acct><Id><Othr><Id>{escape(stand.number)}</Id></Othr></Id><Ccy>{stand.currency}</Ccy></Acct>"
        f"{_balance('OPBD', stand.opening, stand)}{_balance('CLBD', stand.closing, stand)}"
        f"{entries}</Stmt></BkToCstmrStmt></Document>\n"
    )


def _balance(code: str, amount: int, stand: Day) -> str:
    kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
    return f"<Bal>{kind}{_amount(amount, stand)}<Dt><Dt>{stand.day}</Dt></Dt></Bal>"


def _amount(amount: int, stand: Day) -> str:
    direction = "CRDT" if amount >= 0 else "DBIT"
    major = _major(abs(amount), stand.currency)
    return f'<Amt Ccy="{stand.currency}">{major}</Amt><CdtDbtInd>{direction}</CdtDbtInd>'


def _major(amount: int, currency: str) -> str:
    places = int(Currency(currency).exponent or 0)
    whole, part = divmod(abs(amount), int(10**places))
    return f"{'-' if amount < 0 else ''}{whole}{f'.{part:0{places}d}' if places else ''}"
