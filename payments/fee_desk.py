"""What operators agree about fees: a version is added to a scope, with its line in their trail, and none is changed.

A version may not rewrite the past: it begins now or later, but for the first one of its scope, which may say what was
agreed before we kept it here.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from merchants import audit, ids, money
from merchants.audit import UnableToAct
from merchants.models import Shop, User
from payments import fees, providers
from payments.fees import Rates
from payments.models import FeeContract, ProviderAccount

Side = FeeContract.Side

TIERS_MAX = 20  # More than any contract has; each is looked at for every payment.


def add_version(
    *,
    side: str,
    provider: str,
    currency: str,
    shop: Shop | None,
    provider_account: ProviderAccount | None,
    valid_from: datetime,
    rates: Rates,
    tolerance_amount: int = 0,
    operator: User,
    note: str,
    now: datetime,
) -> FeeContract:
    """Adds the next version of the scope that (side, provider, currency, shop or account, or neither) makes.

    Raises UnableToAct `scope_wrong`, `rates_wrong` or `valid_from_past`.
    """
    _check_scope(side, provider, currency, shop, provider_account)
    _check_rates(side, rates, tolerance_amount)
    scope = {
        "side": side,
        "provider": provider,
        "currency": currency,
        "shop": shop,
        "provider_account": provider_account,
    }
    with transaction.atomic():
        _one_at_a_time()
        before = newest(FeeContract.objects.filter(**scope))
        if before is not None and valid_from < now:
            raise UnableToAct("valid_from_past", _("A version begins now or later; it may not rewrite the past."))
        made = FeeContract.objects.create(
            id=ids.new(now),
            **scope,
            version=before.version + 1 if before else 1,
            valid_from=valid_from,
            parts_per_million=rates.parts_per_million,
            fixed_amount=rates.fixed_amount,
            floor_amount=rates.floor_amount,
            cap_amount=rates.cap_amount,
            tiers=[asdict(tier) for tier in rates.tiers],
            tolerance_amount=tolerance_amount,
            note=note,
            made_by=operator,
            made_at=now,
        )
        audit.record(
            operator=operator,
            act="add_fee_version",
            subject=made,
            reason=note,
            before=_told(before) if before else {},
            after=_told(made),
            now=now,
        )
        return made


def newest(versions: QuerySet[FeeContract]) -> FeeContract | None:
    """The version of one scope that was added last."""
    return versions.order_by("-version").first()


def _one_at_a_time() -> None:
    """Of two operators who add versions the second waits, and sees the first one's. Readers wait for nobody."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE payments_feecontract IN SHARE ROW EXCLUSIVE MODE")


def _check_scope(
    side: str, provider: str, currency: str, shop: Shop | None, provider_account: ProviderAccount | None
) -> None:
    if side not in Side.values:
        raise UnableToAct("scope_wrong", _("A contract says what we charge, or what a provider charges."))
    if provider not in providers.MODULES:
        raise UnableToAct("scope_wrong", _("There is no provider %(provider)s.") % {"provider": provider})
    if not money.is_currency(currency):
        raise UnableToAct("scope_wrong", _("%(currency)s is no currency.") % {"currency": currency})
    if side == Side.CHARGE and provider_account is not None:
        raise UnableToAct("scope_wrong", _("What we charge is agreed with a shop, not with an account."))
    if side == Side.COST and shop is not None:
        raise UnableToAct("scope_wrong", _("What a provider charges is agreed for an account, not for a shop."))
    if provider_account is not None and provider_account.provider != provider:
        raise UnableToAct(
            "scope_wrong",
            _("%(provider_account)s is an account at another provider.") % {"provider_account": provider_account},
        )


def _check_rates(side: str, rates: Rates, tolerance: int) -> None:
    """The database refuses most of it as well; here it is said to a person."""
    amounts = [rates.fixed_amount, rates.floor_amount, tolerance, *(tier.fixed_amount for tier in rates.tiers)]
    amounts += [] if rates.cap_amount is None else [rates.cap_amount]
    if any(not 0 <= amount <= settings.AMOUNT_MAX for amount in amounts):
        raise UnableToAct("rates_wrong", _("An amount is below zero, or larger than any payment."))
    shares = [rates.parts_per_million, *(tier.parts_per_million for tier in rates.tiers)]
    if any(not 0 <= share <= 1_000_000 for share in shares):
        raise UnableToAct("rates_wrong", _("A share lies between nothing and the whole."))
    if rates.cap_amount is not None and rates.cap_amount < rates.floor_amount:
        raise UnableToAct("rates_wrong", _("The cap is below the floor."))
    if side == Side.CHARGE and tolerance:
        raise UnableToAct("rates_wrong", _("Only what a provider charges has a tolerance."))
    begins = [tier.from_amount for tier in rates.tiers]
    if len(begins) > TIERS_MAX:
        raise UnableToAct("rates_wrong", _("At most %(tiers_max)s tiers.") % {"tiers_max": TIERS_MAX})
    if begins != sorted(set(begins)) or any(not 0 < begin <= settings.AMOUNT_MAX for begin in begins):
        raise UnableToAct("rates_wrong", _("Tiers begin above zero, each at a higher amount than the one before."))


def _told(row: FeeContract) -> dict[str, Any]:
    """A version in the trail."""
    return {
        "version": row.version,
        "valid_from": row.valid_from.isoformat(),
        "rates": fees.kept(row),
        "tolerance_amount": row.tolerance_amount,
    }
