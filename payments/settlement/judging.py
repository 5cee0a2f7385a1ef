"""What a line of a provider's statement is about, and how it fits our book: a pure decision, without clock or database.

A name is stronger than a coincidence: the provider's own id comes first, then our reference, and only a line that has
neither is compared by its amount. A line whose name we do not know is first asked about, because another payment may
lie behind it. What is paired with a difference is paired all the same, with a question; only another currency keeps
two sides apart, because nothing of them can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from payments.known import intent_id, refund_id
from payments.models import Discrepancy, Match, Refund, StatementLine
from payments.settlement.stated import Ask, Book, Conclusion, Line, Ours, Pairing, Patience, Question, Terms, Verdict

Reason = Discrepancy.Reason
Outcome = StatementLine.Outcome
Rule = Match.Rule
Kind = StatementLine.Kind


def judge(lines: Sequence[Line], book: Book, patience: Patience, new_id: Callable[[], UUID]) -> list[Verdict]:
    """Every line, each knowing what the ones before it took. Those that fit exactly by their name go first.

    `book.pairings` afterwards holds the pairings that were made or joined; `conclude` says what each comes to.
    """
    fits = [_fits_by_name(line, book) for line in lines]
    order = [line for line, fit in zip(lines, fits, strict=True) if fit]
    order += [line for line, fit in zip(lines, fits, strict=True) if not fit]
    return [_judge(line, book, patience, new_id) for line in order]


def conclude(pairing: Pairing, terms: Terms, *, looks: int = 0) -> Conclusion:
    """What all lines of a pairing together say: the fee to book, and the questions that it leaves."""
    ours, line = pairing.ours, pairing.lines[-1]
    agreed = None
    if ours.about == "payment" and pairing.amount > 0:
        agreed = terms.expected(ours.account_id, ours.currency, pairing.amount, ours.occurred_at)
    due, outcome, questions = pairing.fee, str(Outcome.MATCHED), []
    if agreed is not None and abs(pairing.fee - agreed[0]) > agreed[1]:
        due, outcome = agreed[0], str(Outcome.FEE_DIFFERS)
        questions.append(_differs(Reason.FEE_DIFFERS, pairing, line, pairing.fee - due))
    if pairing.amount != ours.amount:
        outcome = str(Outcome.AMOUNT_DIFFERS)
        questions.append(_differs(Reason.AMOUNT_DIFFERS, pairing, line, pairing.amount - ours.amount))
    keys = [question.key for question in questions]
    why = {
        "rule": f"{Rule(pairing.rule).label}" + (f": {pairing.reason}" if pairing.reason else ""),
        "stated": {
            "lines": list(pairing.names),
            "object": line.object_id,
            "reference": line.reference,
            "amount": pairing.amount,
            "currency": line.currency,
            "occurred_at": _moment(line.occurred_at),
            "settlement": line.settlement_id,
        },
        "booked": _shown(ours),
        "fee": {
            "stated": pairing.fee,
            "expected": agreed[0] if agreed else None,
            "tolerance": agreed[1] if agreed else None,
            "booked": due,
        },
        "looks": looks,
        "questions": keys,
    }
    answered = tuple(key for key in pairing.open_keys if key not in keys)
    return Conclusion(pairing, outcome, why, due - pairing.booked_fee, tuple(questions), answered)


def pair(line: Line, ours: Ours, rule: str, book: Book, new_id: Callable[[], UUID], *, reason: str = "") -> Pairing:
    """Makes them a pair."""
    pairing = Pairing(new_id(), str(rule), ours, new=True, reason=reason)
    pairing.add(line)
    book.pairings[ours.key] = pairing
    return pairing


def _fits_by_name(line: Line, book: Book) -> bool:
    about = {"payment": "payment", "refund": "refund", "chargeback": "dispute"}.get(line.kind)
    if about is None:
        return False
    named = book.named(line.account_id, about, line.object_id)
    return any((ours.amount, ours.currency) == (line.amount, line.currency) for ours in named)


def _judge(line: Line, book: Book, patience: Patience, new_id: Callable[[], UUID]) -> Verdict:
    if not line.counts:
        return Verdict(line, Outcome.NOTHING)
    match line.kind:
        case Kind.PAYMENT:
            return _payment(line, book, patience, new_id)
        case Kind.REFUND:
            return _refund(line, book, patience, new_id)
        case Kind.CHARGEBACK:
            return _chargeback(line, book, patience, new_id)
        case Kind.PAYOUT | Kind.NOTHING:
            return Verdict(line, Outcome.NOTHING)
        case "":
            return Verdict(line, Outcome.UNREADABLE, question=_about_line(Reason.LINE_UNREADABLE, line, None))
        case _:
            return _otherwise(line, book)


# --- Payments --------------------------------------------------------------------------------------------------------


def _payment(line: Line, book: Book, patience: Patience, new_id: Callable[[], UUID]) -> Verdict:
    named = book.named(line.account_id, "payment", line.object_id)
    if named:
        return _meet(line, named[0], Rule.OBJECT_ID, book, new_id)
    referred = book.of_intent(intent_id(line.reference), line.account_id)
    last = line.looks >= len(patience.asked)
    # Under a reference of ours there may be another payment, of which we have not heard: it is asked about first.
    if referred and (not line.object_id or last):
        free = [ours for ours in referred if ours.key not in book.pairings and ours.currency == line.currency]
        exact = [ours for ours in free if ours.amount == line.amount]
        if exact or (free and not line.object_id):
            return _meet(line, min(exact or free, key=lambda ours: ours.id), Rule.REFERENCE, book, new_id)
        if not line.object_id:
            return _meet(line, min(referred, key=lambda ours: ours.id), Rule.REFERENCE, book, new_id)
    if not line.object_id and intent_id(line.reference) not in book.intents:
        alike, rivals = book.alike(line, patience.amount_within), book.rivals(line, patience.amount_within)
        if len(alike) == 1 and not rivals:
            return _meet(line, alike[0], Rule.AMOUNT, book, new_id)
    return _unknown(line, None, book, patience)


# --- Money back ------------------------------------------------------------------------------------------------------


def _refund(line: Line, book: Book, patience: Patience, new_id: Callable[[], UUID]) -> Verdict:
    payment = next(iter(book.named(line.account_id, "payment", line.parent_object_id)), None)
    found = _one_of(line, payment, book.named(line.account_id, "refund", line.object_id))
    rule = Rule.OBJECT_ID
    referred = refund_id(line.reference)
    if found is None and referred is not None:
        found, rule = book.ours.get(("refund", referred)), Rule.REFERENCE
        found = found if found and found.account_id == line.account_id else None
    if found is None and (not line.object_id or line.looks >= len(patience.asked)):
        # Alone among what went back of this payment, by its amount: some providers name a refund otherwise in a file.
        alone = [o for o in book.back(payment, "refund") if o.key not in book.pairings and o.amount == line.amount]
        settled = [ours for ours in alone if ours.state == Refund.State.SUCCEEDED]
        found, rule = (settled[0], Rule.AMOUNT) if len(settled) == 1 else (None, rule)
    if found is None:
        return _unknown(line, payment, book, patience)
    if found.state == Refund.State.SUCCEEDED or found.currency != line.currency:
        return _meet(line, found, rule, book, new_id)
    # Asked for and not confirmed with us, or failed with us: its provider has the last word, in its own time.
    return _wait(line, Outcome.TIMING, patience.timing, _asking(line, payment or _payment_of(found, book), book), found)


def _chargeback(line: Line, book: Book, patience: Patience, new_id: Callable[[], UUID]) -> Verdict:
    payment = next(iter(book.named(line.account_id, "payment", line.parent_object_id)), None)
    found = _one_of(line, payment, book.named(line.account_id, "dispute", line.object_id))
    if found is not None:
        return _meet(line, found, Rule.OBJECT_ID, book, new_id)
    contested = book.back(payment, "dispute")
    if len(contested) == 1 and not line.object_id:
        return _meet(line, contested[0], Rule.AMOUNT, book, new_id)
    return _unknown(line, payment, book, patience)


def _one_of(line: Line, payment: Ours | None, named: Sequence[Ours]) -> Ours | None:
    """Of several that carry the same id at their provider, the one of the payment that the line names."""
    if payment is not None:
        named = [ours for ours in named if ours.payment_id == payment.id]
    return named[0] if len(named) == 1 else None


def _payment_of(ours: Ours, book: Book) -> Ours | None:
    return book.ours.get(("payment", ours.payment_id))


# --- Pairing ---------------------------------------------------------------------------------------------------------


def _meet(line: Line, ours: Ours, rule: str, book: Book, new_id: Callable[[], UUID]) -> Verdict:
    """The line is about this: a pair, a part of one, the same once more, or in a currency that cannot be compared."""
    if line.currency != ours.currency:
        question = _about_line(Reason.CURRENCY_DIFFERS, line, ours)
        return Verdict(line, Outcome.CURRENCY_DIFFERS, question=question)
    holding = book.pairings.get(ours.key)
    if holding is None:
        return Verdict(line, "", pairing=pair(line, ours, rule, book, new_id))
    together = holding.amount + line.amount
    part = holding.amount != ours.amount and abs(together - ours.amount) < abs(holding.amount - ours.amount)
    if (together != ours.amount and not part) or holding.amount == ours.amount:
        return Verdict(line, Outcome.DUPLICATE, question=_about_line(Reason.STATED_TWICE, line, ours, holding))
    holding.add(line)
    if together == ours.amount:
        holding.rule = str(Rule.SUM)
    return Verdict(line, "", pairing=holding)


def _unknown(line: Line, payment: Ours | None, book: Book, patience: Patience) -> Verdict:
    """Nothing of ours: its provider is asked, and its answer is booked; at the end the line itself may prove it."""
    return _wait(line, Outcome.ASKED, patience.asked, _asking(line, payment, book), None)


def _wait(line: Line, outcome: str, steps: Sequence[timedelta], ask: Ask | None, ours: Ours | None) -> Verdict:
    if ask is not None and line.looks < len(steps):
        return Verdict(line, outcome, ask=ask, again=steps[line.looks])
    if line.fetched and line.looks <= len(steps) and provable(line):
        return Verdict(line, Outcome.ASKED, again=steps[0], proves=True)
    return Verdict(line, Outcome.MISSING_IN_BOOKS, question=_about_line(Reason.MISSING_IN_BOOKS, line, ours))


def provable(line: Line) -> bool:
    """Whether the line says enough to be booked: what, of what, and when."""
    if line.occurred_at is None or not line.object_id or not line.currency:
        return False
    if line.kind == Kind.PAYMENT:
        return line.amount > 0
    known_payment = bool(line.parent_object_id) or refund_id(line.reference) is not None
    return line.kind in (Kind.REFUND, Kind.CHARGEBACK) and line.amount < 0 and known_payment


def _asking(line: Line, payment: Ours | None, book: Book) -> Ask | None:
    """Of an intent of ours its provider tells the whole story; of anything else, what it knows under its own id."""
    named = payment.intent_id if payment else intent_id(line.reference)
    if named is not None and (payment is not None or book.intents.get(named) == line.account_id):
        return Ask(line.account_id, named, "")
    about = line.parent_object_id or (payment.object_id if payment else "") or line.object_id
    return Ask(line.account_id, None, about) if about else None


# --- Questions -------------------------------------------------------------------------------------------------------


def _otherwise(line: Line, book: Book) -> Verdict:
    """A fee or a correction by itself: nothing of ours to compare it with, so a person says what it is."""
    if line.amount == line.fee:
        return Verdict(line, Outcome.NOTHING)
    payment = next(iter(book.named(line.account_id, "payment", line.parent_object_id)), None)
    question = _about_line(Reason.STATED_OTHERWISE, line, payment)
    return Verdict(line, Outcome.MISSING_IN_BOOKS, question=question)


def _about_line(reason: str, line: Line, ours: Ours | None, holding: Pairing | None = None) -> Question:
    details: dict[str, Any] = {
        "stated": {
            "line": line.name,
            "kind": line.kind,
            "object": line.object_id,
            "parent": line.parent_object_id,
            "reference": line.reference,
            "amount": line.amount,
            "fee": line.fee,
            "currency": line.currency,
            "occurred_at": _moment(line.occurred_at),
        },
        "booked": _shown(ours) if ours else None,
    }
    if holding is not None:
        details["first"] = list(holding.names)
    net = line.amount - line.fee if reason == Reason.STATED_OTHERWISE else line.amount
    return Question(
        key=f"{reason}|{line.id}",
        reason=str(reason),
        line_id=line.id,
        account_id=line.account_id,
        amount=abs(net),
        currency=line.currency,
        details=details,
        **_whose(ours),
    )


def _differs(reason: str, pairing: Pairing, line: Line, difference: int) -> Question:
    stated, booked = (
        (pairing.amount, pairing.ours.amount)
        if reason == Reason.AMOUNT_DIFFERS
        else (pairing.fee, pairing.fee - difference)
    )
    return Question(
        key=f"{reason}|{pairing.id.hex}|{difference}",
        reason=str(reason),
        line_id=line.id,
        account_id=line.account_id,
        amount=abs(difference),
        currency=line.currency,
        details={"stated": stated, "expected": booked, "lines": list(pairing.names), "booked": _shown(pairing.ours)},
        **_whose(pairing.ours),
    )


def _whose(ours: Ours | None) -> dict[str, Any]:
    if ours is None:
        return {}
    refund = ours.id if ours.about == "refund" else None
    return {"shop_id": ours.shop_id, "payment_id": ours.payment_id, "refund_id": refund}


def _shown(ours: Ours) -> dict[str, Any]:
    return {
        ours.about: ours.name,
        "object": ours.object_id,
        "amount": ours.amount,
        "currency": ours.currency,
        "occurred_at": _moment(ours.occurred_at),
    } | ({"state": ours.state} if ours.state else {})


def _moment(at: Any) -> str | None:
    return at.isoformat() if at is not None else None
