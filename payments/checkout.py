"""A customer starts to pay: the intent is committed first, then the provider is asked under the intent's own reference.

A crash in between resumes with the same reference, so nothing is asked twice. What the provider says later comes in by
the inbox; this module never decides that something is paid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from merchants import ids
from merchants.journal import journal
from merchants.models import Code, Shop
from payments import providers, timers
from payments.models import Payment, PaymentIntent, ProviderAccount, Refund
from payments.providers.base import ProviderError, Started, Visit

_log = journal(__name__)

# Whoever holds a phone is handed over to an app on it; whoever sits at a computer scans. A hint for the layout.
_PHONES = re.compile(r"Android|iPhone|iPod|Mobile|HarmonyOS", re.IGNORECASE)
# What another request may have written while the provider answered this one.
_TOLD = ["state", "closing", "closed_at", "redirect_url", "handover", "provider_object_id", "start_failure"]


class UnableToStart(Exception):
    """A customer cannot pay by this code now: `code` for programs, `detail` for people. Nothing was started."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Browser:
    """What we know of the payer's browser. Its own words (`user_agent`) decide the layout and nothing else."""

    user_agent: str = ""
    address: str = ""


def start(
    *,
    code: Code,
    amount: int | None,
    quantity: int,
    page: UUID,
    payer: str,
    now: datetime,
    wallet: str = "",
    browser: Browser | None = None,
) -> PaymentIntent:
    """The intent of this page, at its provider; asked again with the same page, the same intent.

    `amount` (minor units of the shop's currency) is what the payer typed, or the total that she was shown; `wallet` the
    provider she chose among `accepted` ("": the first). The intent's `redirect_url` and `handover` say how she gets
    to her wallet; both are empty when the provider could not be reached: `start_failure` says why.
    """
    browser = browser or Browser()
    intent = PaymentIntent.objects.filter(page=page).select_related("provider_account", "shop").first()
    if intent is None:
        intent = _commit(code, amount, quantity, page, payer, wallet, browser, now)
    else:
        _of_this_payer(intent, code, payer)
    if payable(intent, now) and not intent.startable:
        _ask_provider(intent, browser)
    return intent


def identified(*, receipt: str, payer: str, grant: str, browser: Browser, now: datetime) -> PaymentIntent | None:
    """The payer comes back from her wallet with a `grant` that says who she is there: the start goes on with it.

    None when no such intent belongs to this payer. A grant that comes twice, or too late, changes nothing.
    """
    intent = (
        PaymentIntent.objects.filter(receipt=receipt, payer=payer).select_related("provider_account", "shop").first()
    )
    if intent is not None and payable(intent, now) and not intent.handover:
        _ask_provider(intent, browser, grant)
    return intent


def receipt(secret: str) -> PaymentIntent | None:
    """The intent that this receipt shows, with its payments and their refunds."""
    return (
        PaymentIntent.objects.filter(receipt=secret)
        .select_related("shop", "code", "item", "provider_account")
        .prefetch_related("payments__refunds")
        .first()
    )


def receipt_story(secret: str) -> tuple[PaymentIntent, list[Payment], list[Refund]] | None:
    """The intent of a receipt, its payments and their refunds, by no more than two queries."""
    payments = list(Payment.objects.filter(intent__receipt=secret).select_related("intent").prefetch_related("refunds"))
    intent = payments[0].intent if payments else PaymentIntent.objects.filter(receipt=secret).first()
    if intent is None:
        return None
    return intent, payments, [refund for payment in payments for refund in payment.refunds.all()]


def accepted(shop: Shop, user_agent: str = "") -> list[ProviderAccount]:
    """The accounts by which this shop can be paid now, one per provider: its own where it has one, else the platform's.

    The scanning app's own wallet comes first.
    """
    fit = [
        name
        for name in providers.all_enabled()
        if (currencies := providers.named(name).CURRENCIES) is None or shop.currency in currencies
    ]
    rows = ProviderAccount.objects.filter(Q(shop=shop) | Q(shop=None), active=True, provider__in=fit).order_by("id")
    chosen: dict[str, ProviderAccount] = {}
    for row in sorted(rows, key=lambda row: (row.shop_id is not None, row.id)):
        chosen[row.provider] = row  # Of several the shop's own wins, and of those the newest.
    own_app = providers.opened_in(user_agent)
    return sorted(chosen.values(), key=lambda row: (row.provider != own_app, fit.index(row.provider)))


def origins(accounts: Iterable[ProviderAccount]) -> list[str]:
    """Where a payer's browser may be sent by these accounts, for the page's form-action."""
    found: dict[str, None] = {}
    for name in dict.fromkeys(account.provider for account in accounts):
        address = getattr(settings, f"{name.upper()}_URL")
        for url in [*([address] if isinstance(address, str) else address), *providers.named(name).DESTINATIONS]:
            if url:  # A receipt outlives its provider, which may be switched off by now.
                found[origin(url)] = None
    return list(found)


def origin(url: str) -> str:
    """Scheme, host and port of an address, as a page's policy names them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def payable(intent: PaymentIntent, now: datetime) -> bool:
    """Whether money is still waited for, so that the payer may be handed over to her wallet."""
    return intent.state == PaymentIntent.State.OPEN and not intent.closing and now < intent.expires_at


def on_phone(user_agent: str) -> bool:
    """Whether the browser says that it runs on a phone. A hint for the layout, never for trust."""
    return _PHONES.search(user_agent) is not None


def blocked(code: Code, shop: Shop, now: datetime) -> UnableToStart | None:
    """Why nobody can pay by this code at this moment, or None. Asked by the page, and again under the shop's lock."""
    if shop.state != Shop.State.ACTIVE:
        return UnableToStart(f"shop_{shop.state}", _("This shop cannot take payments at the moment."))
    if code.state != Code.State.ACTIVE:
        return UnableToStart(f"code_{code.state}", _("This code is not in use."))
    if code.expires_at is not None and code.expires_at <= now:
        return UnableToStart("code_expired", _("This code has expired."))
    if code.item is not None and (not code.item.active or code.item.deleted_at is not None):
        return UnableToStart("item_not_sold", _("This is not sold at the moment."))
    # Money that came after its intent was closed paid the code as well: nobody shall pay it twice.
    single = PaymentIntent.objects.filter(code=code, single_use=True)
    paid = Q(state=PaymentIntent.State.PAID) | Q(payments__placed=True)
    if code.kind == Code.Kind.ONE_TIME and single.filter(paid).exists():
        return UnableToStart("code_used", _("This code was paid already."))
    return None


def _commit(
    code: Code,
    amount: int | None,
    quantity: int,
    page: UUID,
    payer: str,
    wallet: str,
    browser: Browser,
    now: datetime,
) -> PaymentIntent:
    """Writes the intent under its shop's lock, so that a shop that is frozen at this moment starts nothing more."""
    try:
        with transaction.atomic():
            shop = Shop.objects.select_for_update(no_key=True).get(id=code.shop_id)
            fresh = Code.objects.select_related("item").get(id=code.id)
            refusal = blocked(fresh, shop, now)
            if refusal:
                raise refusal
            total, currency, description = _price(fresh, shop, amount, quantity)
            if shop.currency_locked_at is None:
                Shop.objects.filter(id=shop.id).update(currency_locked_at=now)
            intent = PaymentIntent.objects.create(
                id=ids.new(now),
                shop=shop,
                code=fresh,
                item=fresh.item,
                staff_id=fresh.staff_id,
                provider_account=_provider_account(shop, wallet, browser),
                amount=total,
                currency=currency,
                quantity=quantity,
                description=description,
                single_use=fresh.kind == Code.Kind.ONE_TIME,
                page=page,
                payer=payer,
                receipt=ids.secret(22),
                created_at=now,
                expires_at=now + settings.INTENT_LIFE,
            )
            timers.begin(intent)
            return intent
    except IntegrityError:
        return _other_start(code, page, payer)


def _other_start(code: Code, page: UUID, payer: str) -> PaymentIntent:
    """The same page was posted twice at once, or another payer holds this one-time code."""
    same = PaymentIntent.objects.filter(page=page).select_related("provider_account", "shop").first()
    if same is not None:
        return _of_this_payer(same, code, payer)
    # Whoever held it may have let go in this moment; then her next tap succeeds.
    assert code.kind == Code.Kind.ONE_TIME, "the database refused an intent for a reason that we do not know"
    raise UnableToStart("code_in_use", _("Somebody is paying by this code right now."))


def _of_this_payer(intent: PaymentIntent, code: Code, payer: str) -> PaymentIntent:
    """A page belongs to the payer who opened it: nobody else is shown where it leads."""
    if intent.payer != payer or intent.code_id != code.id:
        raise UnableToStart("page_of_another", _("This page was opened by somebody else."))
    return intent


def _price(code: Code, shop: Shop, amount: int | None, quantity: int) -> tuple[int, str, str]:
    """The total in minor units, its currency, and what the payer's wallet shows."""
    if not 1 <= quantity <= settings.QUANTITY_MAX:
        raise UnableToStart(
            "quantity_wrong",
            _("The quantity must be from 1 to %(quantity_max)s.") % {"quantity_max": settings.QUANTITY_MAX},
        )
    if code.item is not None:
        total, currency = code.item.amount * quantity, code.item.currency
        _check_shown(amount, total)
        description = code.item.name if quantity == 1 else f"{code.item.name} × {quantity}"
    elif code.amount is not None:
        total, currency, description = code.amount, code.currency, code.label or shop.name
        _check_shown(amount, total)
    elif amount is None or amount <= 0:
        raise UnableToStart("amount_missing", _("Please enter what you want to pay."))
    else:
        total, currency, description = amount, shop.currency, code.label or shop.name
    if total > settings.AMOUNT_MAX:
        raise UnableToStart("amount_too_large", _("This amount is too large."))
    return total, currency, description


def _check_shown(shown: int | None, total: int) -> None:
    """Nobody pays another price than the one she saw, however close to her tap it was changed."""
    if shown is not None and shown != total:
        raise UnableToStart("price_changed", _("The price has changed; please look again."))


def _provider_account(shop: Shop, wallet: str, browser: Browser) -> ProviderAccount:
    """The account of the wallet that the payer chose, or of the first that the page offered her."""
    offered = accepted(shop, browser.user_agent)
    if not offered:
        raise UnableToStart("no_provider", _("This shop cannot take payments yet."))
    if not wallet:
        return offered[0]
    chosen = next((account for account in offered if account.provider == wallet), None)
    if chosen is None:
        raise UnableToStart("wallet_not_taken", _("This shop does not take that wallet."))
    return chosen


def _visit(intent: PaymentIntent, browser: Browser, grant: str) -> Visit:
    own = providers.opened_in(browser.user_agent) == intent.provider_account.provider
    return Visit(
        return_url=f"{settings.PUBLIC_URL}/r/{intent.receipt}",
        place="own_app" if own else "phone" if on_phone(browser.user_agent) else "computer",
        address=browser.address,
        identify_url=f"{settings.PUBLIC_URL}/r/{intent.receipt}/payer",
        grant=grant,
    )


def _ask_provider(intent: PaymentIntent, browser: Browser, grant: str = "") -> None:
    """Starts the intent at the provider and records how the payer goes on, or why it failed (it can be tried again)."""
    account = intent.provider_account
    try:
        started = providers.named(account.provider).start(account, intent, _visit(intent, browser, grant))
    except ProviderError as failure:
        _log.warning("start_failed", intent=intent.reference, failure=str(failure), permanent=failure.permanent)
        intent.start_failure = str(failure)[:200]
        # Of two taps at once one may have got through: then its answer stands.
        same = PaymentIntent.objects.filter(id=intent.id, redirect_url=intent.redirect_url, handover={})
        if not same.update(start_failure=intent.start_failure):
            intent.refresh_from_db(fields=_TOLD)
        return
    # One that is being closed by now (its shop was frozen while the provider answered) leads nobody to the wallet, and
    # a slow answer to the first asking does not undo the handover that a later one brought.
    fresh = PaymentIntent.objects.filter(id=intent.id, closing="", handover={}).exclude(
        state__in=["expired", "canceled"]
    )
    fields = {
        "redirect_url": started.redirect_url,
        "handover": _handover(started),
        "provider_object_id": started.object_id,
        "start_failure": "",
    }
    if fresh.update(**fields):
        for name, value in fields.items():
            setattr(intent, name, value)
    else:
        intent.refresh_from_db(fields=_TOLD)


def _handover(started: Started) -> dict[str, Any]:
    """What of a start the receipt page needs beside the redirect; what is empty is left out."""
    parts = {
        "form": dict(started.form),
        "qr": started.qr,
        "copy": started.copy,
        "app_url": started.app_url,
        "bridge": dict(started.bridge),
    }
    return {name: value for name, value in parts.items() if value}
