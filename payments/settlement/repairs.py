"""What can be proved is booked by itself: providers are asked about lines that we do not know, and files are believed.

Nothing is booked here. Answers and lines enter the inbox, and are decided on there like every other event: money with
an unknown reference lands in suspense, a refund beyond what was received raises its question.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from merchants import audit, ids
from merchants.audit import UnableToAct
from merchants.models import User
from payments import asking, inbox, inquiries
from payments.known import refund_id
from payments.models import Payment, ProviderAccount, StatementLine
from payments.settlement import judging, proof
from payments.settlement.stated import Book, Line, Verdict


def open_all(verdicts: Sequence[Verdict], book: Book, *, now: datetime) -> None:
    """Notes what providers are asked, and keeps in the inbox what their files prove after the last look.

    Runs in the transaction that writes the verdicts; `ask_of_intents` after it.
    """
    wanted = [verdict.ask for verdict in verdicts if verdict.ask]
    inquiries.open_all([(ask.account_id, ask.object_id) for ask in wanted if ask.intent_id is None], now=now)
    proving = [verdict.line for verdict in verdicts if verdict.proves]
    accounts = ProviderAccount.objects.in_bulk({line.account_id for line in proving})
    for line in proving:
        refund = book.ours.get(("refund", named)) if (named := refund_id(line.reference)) else None
        payment = book.ours.get(("payment", refund.payment_id)) if refund else None
        parent = payment.object_id if payment else ""
        inbox.keep(account=accounts[line.account_id], verified=proof.of_line(line, parent_object_id=parent), now=now)


def ask_of_intents(verdicts: Sequence[Verdict], *, now: datetime) -> None:
    """Has providers tell the whole story of our own intents.

    After the commit, because intents are locked before everything that a look has locked. Lost with its worker, it is
    asked at the next look.
    """
    named = {verdict.ask.intent_id for verdict in verdicts if verdict.ask and verdict.ask.intent_id}
    asking.ask_again(intent_ids=sorted(named), now=now)


def book_from_line(*, line_id: int, operator: User, reason: str, now: datetime) -> None:
    """An operator agrees that a line which our book does not know is true: it is booked as the statement has it.

    It enters by the inbox, and the line is looked at again once it was applied. Called by its remedy, above a limit
    after a second operator has agreed. Raises UnableToAct `not_missing`, `says_too_little`, `booked_already`.
    """
    with transaction.atomic():
        row = (
            StatementLine.objects.select_for_update(of=("self",), no_key=True)
            .select_related("provider_account", "statement")
            .get(id=line_id)
        )
        line = of_row(row)
        if row.outcome != StatementLine.Outcome.MISSING_IN_BOOKS or row.provider_account is None:
            raise UnableToAct("not_missing", _("Only a line that our book does not know can be booked."))
        if not judging.provable(line):
            raise UnableToAct(
                "says_too_little", _("The line does not say what it is about; nothing can be booked of it.")
            )
        verified = proof.of_line(line, parent_object_id=_parent_of(line))
        if not inbox.keep(account=row.provider_account, verified=verified, now=now):
            raise UnableToAct("booked_already", _("It was booked already; look at its event in the inbox."))
        again = now + settings.LOOK_AGAIN_AFTER[0]
        StatementLine.objects.filter(id=row.id).update(outcome=StatementLine.Outcome.ASKED, look_at=again, looks=0)
        audit.record(
            operator=operator,
            act="book_from_line",
            subject=row,
            reason=reason,
            before={"outcome": row.outcome},
            after={"outcome": "asked", "event": verified.delivery_id},
            now=now,
        )


def _parent_of(line: Line) -> str:
    """The payment of one of our refunds, where the file names only the refund."""
    named = refund_id(line.reference)
    if named is None or line.parent_object_id:
        return ""
    found = Payment.objects.filter(refunds=named, provider_account=line.account_id).first()
    return found.object_id if found else ""


def of_row(row: StatementLine) -> Line:
    """The line with its statement, as values."""
    assert row.provider_account_id is not None
    return Line(
        id=row.id,
        statement=ids.public(row.statement.prefix, row.statement_id),
        number=row.number,
        account_id=row.provider_account_id,
        kind=row.kind,
        object_id=row.object_id,
        parent_object_id=row.parent_object_id,
        reference=row.reference,
        settlement_id=row.settlement_id,
        amount=row.amount,
        fee=row.fee,
        currency=row.currency,
        occurred_at=row.occurred_at,
        looks=row.looks,
        fetched=row.statement.fetched,
        counts=row.statement.state == row.statement.State.IMPORTED,
    )
