"""How payouts go on and end: the one writer of their states, each with its movements, notice and question.

A payout is locked behind its shop, so an end meets neither a freeze nor another end half-done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from merchants import ids, notify
from merchants.journal import journal
from merchants.models import Shop
from merchants.notify import Telling
from payments import chart, ledger
from payments.chart import Movement, PayoutSubject
from payments.models import Discrepancy, Payout
from payments.payouts.endings import Step, Word, ending

_log = journal(__name__)
_State = Payout.State


def ask(payout: Payout, *, now: datetime) -> None:
    """Keeps a new payout and puts its money in flight; call it under the shop's lock."""
    payout.save(force_insert=True)
    ledger.post([chart.payout_asked(_subject(payout), now)], now=now)


def line_up(payouts: Sequence[Payout], *, now: datetime) -> None:
    """The payouts, locked by the caller, wait for the call that sends them."""
    Payout.objects.filter(id__in=[payout.id for payout in payouts]).update(next_call_at=now)


def sent(payouts: Sequence[Payout], *, now: datetime) -> None:
    """The payouts, locked by the caller, leave; their shops are told."""
    waiting = Payout.objects.filter(id__in=[payout.id for payout in payouts], state=_State.PREPARED)
    waiting.update(state=_State.SENT, sent_at=now)
    notify.tell([_telling("payout_sent", payout, _State.SENT) for payout in payouts], now=now)
    shops = [payout.shop_id for payout in payouts]
    transaction.on_commit(lambda: notify.announce(shops))


def end(
    *,
    payout_id: UUID,
    word: Word,
    at: datetime,
    now: datetime,
    object_id: str = "",
    failure: str = "",
    next_call_at: datetime | None = None,
) -> bool:
    """Takes a word on a payout: books what it changes, tells the shop, and asks a person where one is needed.

    `at`: when it happened. `next_call_at`: when the channel is asked again. Answers whether the word changed anything.
    """
    with transaction.atomic():
        [payout] = locked([payout_id])
        found = ending(payout.state, word)
        if found is None:
            return False
        ledger.post([_movement(step, payout, at) for step in found.steps], now=now)
        before, payout.state = payout.state, found.state
        payout.object_id = object_id or payout.object_id
        payout.failure = failure[:200]
        payout.settled_at, payout.next_call_at = at, next_call_at
        payout.save(update_fields=["state", "object_id", "failure", "settled_at", "next_call_at"])
        if found.contradicts:
            _question(payout, Discrepancy.Reason.CONTRADICTION, {"told": f"{before}, then {word}"}, now)
        if found.state in (_State.FAILED, _State.RETURNED):
            _question(payout, Discrepancy.Reason.PAYOUT_FAILED, {"failure": payout.failure}, now)
        kind = "payout_paid" if found.state == _State.PAID else "payout_failed"
        notify.tell([_telling(kind, payout, found.state)], now=now)
        transaction.on_commit(lambda: notify.announce([payout.shop_id]))
    _log.info("payout_ended", payout=payout.reference, state=payout.state)
    return True


def give_back(payouts: Sequence[Payout], *, failure: str, now: datetime) -> None:
    """Payouts, locked by the caller, that never left: their money is the shop's again, and she sees why."""
    waiting = [payout for payout in payouts if payout.state == _State.PREPARED]
    ledger.post([chart.payout_failed(_subject(payout), now) for payout in waiting], now=now)
    rows = Payout.objects.filter(id__in=[payout.id for payout in waiting])
    rows.update(state=_State.FAILED, failure=failure[:200], settled_at=now, next_call_at=None)
    for payout in waiting:
        payout.failure = failure[:200]
    notify.tell([_telling("payout_failed", payout, _State.FAILED) for payout in waiting], now=now)
    shops = [payout.shop_id for payout in waiting]
    transaction.on_commit(lambda: notify.announce(shops))


def called(payout: Payout, *, next_call_at: datetime) -> None:
    """A call about the payout, locked by the caller, is made now; the next is due at `next_call_at`."""
    Payout.objects.filter(id=payout.id).update(attempts=F("attempts") + 1, next_call_at=next_call_at)


def named(*, payout_id: UUID, object_id: str) -> None:
    """The channel has taken it, and calls it so."""
    Payout.objects.filter(id=payout_id, object_id="").update(object_id=object_id, failure="")


def watch(*, payout_id: UUID, next_call_at: datetime | None) -> None:
    """A payout that is paid is asked about again then, or never again."""
    Payout.objects.filter(id=payout_id).update(next_call_at=next_call_at)


def not_taken(*, payout_id: UUID, failure: str, permanent: bool, now: datetime) -> None:
    """A call brought no answer, or a refusal: that is no end, for an answer that was lost may have been a yes.

    The payout goes on being asked for; a `permanent` refusal is looked into by a person, once.
    """
    with transaction.atomic():
        [payout] = locked([payout_id])
        Payout.objects.filter(id=payout_id, state=_State.SENT).update(failure=failure[:200])
        if permanent and payout.state == _State.SENT:
            _question(payout, Discrepancy.Reason.PAYOUT_FAILED, {"refused": failure[:200]}, now)


def locked(payout_ids: Sequence[UUID]) -> list[Payout]:
    """The payouts with their shops and accounts, both locked: shops first, each by id."""
    shop_ids = Payout.objects.filter(id__in=payout_ids).values_list("shop_id", flat=True)
    list(Shop.objects.select_for_update(no_key=True).filter(id__in=list(shop_ids)).order_by("id"))
    rows = Payout.objects.select_for_update(of=("self",), no_key=True).filter(id__in=payout_ids)
    return list(rows.select_related("shop", "account").order_by("id"))


def _subject(payout: Payout) -> PayoutSubject:
    return PayoutSubject(payout.id, payout.shop_id, payout.amount, payout.currency)


def _movement(step: Step, payout: Payout, at: datetime) -> Movement:
    subject = _subject(payout)
    if step == "asked_again":
        return chart.payout_asked(subject, at, again=True)
    made = {"paid": chart.payout_paid, "failed": chart.payout_failed, "returned": chart.payout_returned}
    return made[step](subject, at)


def _telling(kind: str, payout: Payout, state: str) -> Telling:
    data: dict[str, Any] = {
        "payout": payout.reference,
        "amount": {"amount": payout.amount, "currency": payout.currency},
        "state": str(state),
        "tail": payout.account.tail,
        "failure": payout.failure,
    }
    return Telling(payout.shop_id, kind, data, payout.id)


def _question(payout: Payout, reason: str, details: dict[str, str], now: datetime) -> None:
    Discrepancy.objects.bulk_create(
        [
            Discrepancy(
                id=ids.new(now),
                key=f"{reason}|{payout.id.hex}",
                reason=reason,
                shop_id=payout.shop_id,
                payout=payout,
                amount=payout.amount,
                currency=payout.currency,
                details={"payout": payout.reference, **details},
                opened_at=now,
            )
        ],
        ignore_conflicts=True,
    )
