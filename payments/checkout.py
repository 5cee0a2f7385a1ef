"""A customer starts to pay: the intent is committed first, then the provider is asked under the intent's own reference.

A crash in between resumes with the same reference, so nothing is asked twice. What the provider says later comes in by
the inbox; this module never decides that something is paid.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from merchants import ids
from merchants.journal import journal
from merchants.models import Code, Shop
from payments import providers
from payments.models import PaymentIntent, ProviderAccount
from payments.providers.base import ProviderError

_log = journal(__name__)


class UnableToStart(Exception):
    """A customer cannot pay by this code now: `code` for programs, `detail` for people. Nothing was started."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def start(*, code: Code, amount: int | None, quantity: int, page: UUID, payer: str, now: datetime) -> PaymentIntent:
    """The intent of this page, at its provider; asked again with the same page, the same intent.

    `amount` (minor units of the shop's currency) is what the payer typed, or the total that she was shown. The intent's
    `redirect_url` is where the payer goes; empty when the provider could not be reached: `start_failure` says why.
    """
    intent = PaymentIntent.objects.filter(page=page).select_related("provider_account", "shop").first()
    if intent is None:
        intent = _commit(code, amount, quantity, page, payer, now)
    else:
        _of_this_payer(intent, code, payer)
    startable = intent.state == PaymentIntent.State.OPEN and not intent.closing and now < intent.expires_at
    if startable and not intent.redirect_url:
        _ask_provider(intent)
    return intent


def receipt(secret: str) -> PaymentIntent | None:
    """The intent that this receipt shows, with its payments and their refunds."""
    return (
        PaymentIntent.objects.filter(receipt=secret)
        .select_related("shop", "code", "item")
        .prefetch_related("payments__refunds")
        .first()
    )


def origins() -> list[str]:
    """Where a payer's browser may be sent: the origins of the enabled providers, for the page's form-action."""
    urls = [getattr(settings, f"{name.upper()}_URL") for name in providers.MODULES if providers.enabled(name)]
    return [f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls)]


def blocked(code: Code, shop: Shop, now: datetime) -> UnableToStart | None:
    """Why nobody can pay by this code at this moment, or None. Asked by the page, and again under the shop's lock."""
    if shop.state != Shop.State.ACTIVE:
        return UnableToStart(f"shop_{shop.state}", "This shop cannot take payments at the moment.")
    if code.state != Code.State.ACTIVE:
        return UnableToStart(f"code_{code.state}", "This code is not in use.")
    if code.expires_at is not None and code.expires_at <= now:
        return UnableToStart("code_expired", "This code has expired.")
    if code.item is not None and (not code.item.active or code.item.deleted_at is not None):
        return UnableToStart("item_not_sold", "This is not sold at the moment.")
    # Money that came after its intent was closed paid the code as well: nobody shall pay it twice.
    single = PaymentIntent.objects.filter(code=code, single_use=True)
    paid = Q(state=PaymentIntent.State.PAID) | Q(payments__placed=True)
    if code.kind == Code.Kind.ONE_TIME and single.filter(paid).exists():
        return UnableToStart("code_used", "This code was paid already.")
    return None


def _commit(code: Code, amount: int | None, quantity: int, page: UUID, payer: str, now: datetime) -> PaymentIntent:
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
            return PaymentIntent.objects.create(
                id=ids.new(now),
                shop=shop,
                code=fresh,
                item=fresh.item,
                staff_id=fresh.staff_id,
                provider_account=_provider_account(shop),
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
                next_query_at=now + settings.QUERY_AFTER[0],
                next_close_at=now + settings.INTENT_LIFE,
            )
    except IntegrityError:
        return _other_start(code, page, payer)


def _other_start(code: Code, page: UUID, payer: str) -> PaymentIntent:
    """The same page was posted twice at once, or another payer holds this one-time code."""
    same = PaymentIntent.objects.filter(page=page).select_related("provider_account", "shop").first()
    if same is not None:
        return _of_this_payer(same, code, payer)
    # Whoever held it may have let go in this moment; then her next tap succeeds.
    assert code.kind == Code.Kind.ONE_TIME, "the database refused an intent for a reason that we do not know"
    raise UnableToStart("code_in_use", "Somebody is paying by this code right now.")


def _of_this_payer(intent: PaymentIntent, code: Code, payer: str) -> PaymentIntent:
    """A page belongs to the payer who opened it: nobody else is shown where it leads."""
    if intent.payer != payer or intent.code_id != code.id:
        raise UnableToStart("page_of_another", "This page was opened by somebody else.")
    return intent


def _price(code: Code, shop: Shop, amount: int | None, quantity: int) -> tuple[int, str, str]:
    """The total in minor units, its currency, and what the payer's wallet shows."""
    if not 1 <= quantity <= settings.QUANTITY_MAX:
        raise UnableToStart("quantity_wrong", f"The quantity must be from 1 to {settings.QUANTITY_MAX}.")
    if code.item is not None:
        total, currency = code.item.amount * quantity, code.item.currency
        _check_shown(amount, total)
        description = code.item.name if quantity == 1 else f"{code.item.name} × {quantity}"
    elif code.amount is not None:
        total, currency, description = code.amount, code.currency, code.label or shop.name
        _check_shown(amount, total)
    elif amount is None or amount <= 0:
        raise UnableToStart("amount_missing", "Please enter what you want to pay.")
    else:
        total, currency, description = amount, shop.currency, code.label or shop.name
    if total > settings.AMOUNT_MAX:
        raise UnableToStart("amount_too_large", "This amount is too large.")
    return total, currency, description


def _check_shown(shown: int | None, total: int) -> None:
    """Nobody pays another price than the one she saw, however close to her tap it was changed."""
    if shown is not None and shown != total:
        raise UnableToStart("price_changed", "The price has changed; please look again.")


def _provider_account(shop: Shop) -> ProviderAccount:
    """The shop's own account where it has one, else the platform's."""
    accounts = ProviderAccount.objects.filter(active=True, provider__in=filter(providers.enabled, providers.MODULES))
    own = accounts.filter(shop=shop).order_by("-id").first()
    account = own or accounts.filter(shop=None).order_by("-id").first()
    if account is None:
        raise UnableToStart("no_provider", "This shop cannot take payments yet.")
    return account


def _ask_provider(intent: PaymentIntent) -> None:
    """Starts the intent at the provider and records where the payer goes, or why it failed (it can be tried again)."""
    return_url = f"{settings.PUBLIC_URL}/r/{intent.receipt}"
    try:
        started = providers.named(intent.provider_account.provider).start(intent.provider_account, intent, return_url)
    except ProviderError as failure:
        _log.warning("start_failed", intent=intent.reference, failure=str(failure), permanent=failure.permanent)
        intent.start_failure = str(failure)[:200]
        PaymentIntent.objects.filter(id=intent.id).update(start_failure=intent.start_failure)
        return
    # One that is being closed by now (its shop was frozen while the provider answered) leads nobody to the wallet.
    payable = PaymentIntent.objects.filter(id=intent.id, closing="").exclude(state__in=["expired", "canceled"])
    if payable.update(redirect_url=started.redirect_url, start_failure=""):
        intent.redirect_url, intent.start_failure = started.redirect_url, ""
    else:
        intent.refresh_from_db(fields=["state", "closing", "closed_at"])
