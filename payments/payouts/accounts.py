"""The life of a payout account: entered by an owner, proved to be the shop's, taking effect, replaced or canceled.

Whoever changes it diverts a shop's money. So it wants a fresh code, every owner is told on the phone that she had
before, and a change waits settings.PAYOUT_ACCOUNT_DELAY, in which any owner can stop it; meanwhile nothing is paid.
The first account of a shop waits for nothing but its proof. None is ever paid to before its holder is proved: by the
answer of the bank's own name check, or by an operator who has seen a document. Of the number only its tail is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from merchants import audit, ids, languages, seals, step_up
from merchants.audit import UnableToAct
from merchants.journal import journal
from merchants.models import Shop, Staff, User
from merchants.step_up import Confirmation
from payments import owners
from payments.models import PayoutAccount, ProviderAccount
from payments.owners import UnableToChange
from payments.payouts import channels, terms
from payments.payouts.bank_numbers import BankNumber
from payments.providers.base import ProviderError

APPLY = "payments.apply_payout_accounts"
NOTICE = "payout_account_change"

_log = journal(__name__)
_State = PayoutAccount.State
_TAIL = 4
_NOBODY_TO_ASK = gettext_noop("no name check by this channel: a document is needed")

_SAID = {
    "match": gettext_noop("name check of the bank: match"),
    "close": gettext_noop("name check of the bank: close"),
    "no_match": gettext_noop("name check of the bank: no match"),
    "unknown": gettext_noop("name check of the bank: unknown"),
}

_TEXTS = {
    "requested": gettext_noop(
        "Pushcart: the money of %(shop)s shall be paid to the account of %(holder)s ending %(tail)s from %(when)s on. "
        "Not you? Stop %(account)s before then at %(app)s, or tell us its number."
    ),
    "entered": gettext_noop(
        "Pushcart: the money of %(shop)s shall be paid to the account of %(holder)s ending %(tail)s, "
        "once its holder is proved. Not you? Stop %(account)s at %(app)s, or tell us its number."
    ),
    "canceled": gettext_noop(
        "Pushcart: the payout account of %(shop)s ending %(tail)s (%(account)s) was canceled. Nothing has changed."
    ),
    "applied": gettext_noop(
        "Pushcart: the money of %(shop)s is paid to the account of %(holder)s ending %(tail)s from now on "
        "(%(account)s). Not you? Tell us at once."
    ),
}


def of(shop: Shop) -> list[PayoutAccount]:
    """The shop's account and the one that waits, as far as there are any, in its currency."""
    known = PayoutAccount.objects.filter(shop=shop, currency=shop.currency, state__in=[_State.ACTIVE, _State.WAITING])
    return list(known.order_by("id"))


def request(*, staff: Staff, bank: BankNumber, holder: str, confirmation: Confirmation, now: datetime) -> PayoutAccount:
    """Keeps an account until it takes effect, uses the code up, and tells every owner.

    Raises UnableToChange `change_waiting`, `shop_<state>`; Refused 403 `step_up_invalid`. Nothing has changed then.
    """
    with transaction.atomic():
        step_up.redeem(confirmation, purpose=step_up.Purpose.PAYOUT, now=now)
        shop = Shop.objects.select_for_update(no_key=True).get(id=staff.shop_id)
        if shop.state != Shop.State.ACTIVE:
            raise UnableToChange(f"shop_{shop.state}", _("This shop cannot change its payout account at the moment."))
        known = PayoutAccount.objects.filter(shop=shop, currency=shop.currency)
        if known.filter(state=_State.WAITING).exists():
            raise UnableToChange("change_waiting", _("Another account is waiting already. Cancel it first."))
        first = not known.filter(state=_State.ACTIVE).exists()
        account = PayoutAccount.objects.create(
            id=ids.new(now),
            shop=shop,
            currency=shop.currency,
            scheme=bank.scheme,
            country=bank.country,
            bank_code=bank.bank_code,
            holder=holder,
            tail=bank.number[-_TAIL:],
            sealed_number=seals.seal(bank.number),
            requested_by=staff,
            requested_at=now,
            effective_at=now if first else now + settings.PAYOUT_ACCOUNT_DELAY,
        )
        _tell(shop, "entered" if first else "requested", account, now)
        return account


def cancel(*, shop: Shop, account_id: UUID, now: datetime) -> PayoutAccount:
    """Ends a waiting account, wipes its number, and tells.

    Raises PayoutAccount.DoesNotExist for another shop's, UnableToChange `change_not_waiting`.
    """
    with transaction.atomic():
        locked = Shop.objects.select_for_update(no_key=True).get(id=shop.id)
        account = PayoutAccount.objects.select_for_update(no_key=True).get(id=account_id, shop=locked)
        if account.state != _State.WAITING:
            raise UnableToChange(
                "change_not_waiting",
                _("This account is %(state)s already.") % {"state": account.get_state_display().lower()},
            )
        account.state, account.ended_at, account.sealed_number = _State.CANCELED, now, b""
        account.save(update_fields=["state", "ended_at", "sealed_number"])
        _tell(locked, "canceled", account, now)
    return account


def verify(*, account_id: UUID, operator: User, reason: str, now: datetime) -> None:
    """An operator has seen a document (`reason`) that the account is the shop's.

    Raises UnableToAct `verified_already` or `account_<state>`.
    """
    with transaction.atomic():
        account = _locked(account_id)
        if account.state != _State.WAITING:
            raise UnableToAct(
                f"account_{account.state}",
                _("%(account)s is %(state)s already.")
                % {"account": account, "state": account.get_state_display().lower()},
            )
        if account.verified_at is not None:
            raise UnableToAct(
                "verified_already", _("The holder of %(account)s is proved already.") % {"account": account}
            )
        _prove(account, by=operator, how=reason, now=now)
        audit.record(
            operator=operator,
            act="verify",
            subject=account,
            reason=reason,
            before={"verified_at": None, "verification": account.verification},
            after={"verified_at": now.isoformat(), "verification": reason[:200]},
            now=now,
        )


def refuse(*, account_id: UUID, operator: User, reason: str, now: datetime) -> None:
    """An operator ends a waiting account, whose owner has called or whose holder is somebody else; the shop is told.

    Raises UnableToAct `account_<state>`.
    """
    with transaction.atomic():
        row = PayoutAccount.objects.select_related("shop").get(id=account_id)
        try:
            account = cancel(shop=row.shop, account_id=account_id, now=now)
        except UnableToChange:
            raise UnableToAct(f"account_{row.state}", _("%(row)s does not wait any more.") % {"row": row})
        before, after = {"state": _State.WAITING.value}, {"state": account.state}
        audit.record(
            operator=operator, act="refuse", subject=account, reason=reason, before=before, after=after, now=now
        )


def check_names(*, now: datetime, limit: int = 20, in_time: Callable[[], bool] = lambda: True) -> int:
    """Asks the bank who holds the accounts that nobody has proved; answers how many were looked at.

    A match proves it; any other answer, and that there is nobody to ask, is kept for the operator who decides. What
    failed is asked again.
    """
    silent = PayoutAccount.objects.filter(state=_State.WAITING, verified_at=None, verification="")
    looked_at = 0
    for account in silent.select_related("shop").order_by("requested_at")[:limit]:
        if not in_time():
            break
        found = terms.of(account.shop, account.currency)
        if found is None:
            continue
        channel, ours = channels.api(found.channel), channels.account(found.channel)
        said = _held_by(account, channel, ours) if channel is not None and ours is not None else _NOBODY_TO_ASK
        if said:
            _keep_answer(account.id, said, now)
            looked_at += 1
    return looked_at


def apply_due(*, now: datetime, limit: int = 100) -> int:
    """Lets proved accounts take effect whose time has come, each once; answers how many. A frozen shop's waits."""
    due = PayoutAccount.objects.filter(
        state=_State.WAITING, effective_at__lte=now, verified_at__isnull=False, shop__state=Shop.State.ACTIVE
    )
    waiting = list(due.order_by("effective_at").values_list("id", "shop_id")[:limit])
    return sum(_apply(account_id, shop_id, now) for account_id, shop_id in waiting)


def number(account: PayoutAccount) -> str:
    """The whole number, for the bank alone: never to be shown, logged or put into an error. Raises seals.Unreadable."""
    return seals.unseal(bytes(account.sealed_number))


# --- Proving, taking effect, telling ---------------------------------------------------------------------------------


def _held_by(account: PayoutAccount, channel: channels.Api, ours: ProviderAccount) -> str:
    """What the bank says; empty when it did not answer."""
    try:
        return channel.check_name(ours, account, number(account))
    except (ProviderError, seals.Unreadable) as failure:
        _log.warning("name_not_checked", account=str(account), failure=str(failure))
        return ""


def _keep_answer(account_id: UUID, said: str, now: datetime) -> None:
    with transaction.atomic():
        row = _locked(account_id)
        if row.state != _State.WAITING or row.verified_at is not None:
            return
        if said == "match":
            _prove(row, by=None, how=_SAID[said], now=now)
        else:
            PayoutAccount.objects.filter(id=row.id).update(verification=_SAID.get(said, said))


def _prove(account: PayoutAccount, *, by: User | None, how: str, now: datetime) -> None:
    PayoutAccount.objects.filter(id=account.id).update(verified_at=now, verified_by=by, verification=how[:200])


def _apply(account_id: UUID, shop_id: UUID, now: datetime) -> bool:
    """Whether it was we who did it: the shop's lock lets one worker through, who finds the account still waiting."""
    with transaction.atomic():
        shop = Shop.objects.select_for_update(no_key=True).get(id=shop_id)
        waiting = PayoutAccount.objects.select_for_update(no_key=True).filter(
            id=account_id, state=_State.WAITING, verified_at__isnull=False
        )
        account = waiting.first()
        if account is None or shop.state != Shop.State.ACTIVE:
            return False
        before = PayoutAccount.objects.filter(shop=shop, currency=account.currency, state=_State.ACTIVE)
        before.update(state=_State.REPLACED, ended_at=now)
        account.state = _State.ACTIVE
        account.save(update_fields=["state"])
        _tell(shop, "applied", account, now)
    _log.info("payout_account_changed", account=str(account))
    return True


def _locked(account_id: UUID) -> PayoutAccount:
    """The row behind its shop's lock."""
    shop_id = PayoutAccount.objects.values_list("shop_id", flat=True).get(id=account_id)
    Shop.objects.select_for_update(no_key=True).get(id=shop_id)
    return PayoutAccount.objects.select_for_update(no_key=True).get(id=account_id)


def _tell(shop: Shop, step: str, account: PayoutAccount, now: datetime) -> None:
    owners.tell(
        shop,
        kind=NOTICE,
        data={
            "step": step,
            "account": str(account),
            "tail": account.tail,
            "effective_at": account.effective_at.isoformat(),
        },
        text=_TEXTS[step],
        words=lambda: {
            "account": str(account),
            "holder": f'"{" ".join(account.holder.split())[:40]}"',
            "tail": account.tail,
            "when": languages.moment(account.effective_at, shop.time_zone),
        },
        of_use_for=settings.PAYOUT_ACCOUNT_DELAY,
        now=now,
    )
