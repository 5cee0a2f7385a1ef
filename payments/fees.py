"""What a payment costs, in whole minor units: percent, fixed part, floor, cap, tiers, and whose contract was in force.

There is one rounding: the percentage part is rounded half up to the minor unit, once, before anything is added to it.
What we charge never exceeds the money it is charged on. A fee on nothing, or on money that goes back, is 0: nobody is
expected to give a fee back.

The contract of a moment is the newest version that had begun by then, of the shop's (or account's) own scope when that
has one, else of the scope of all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from merchants import money
from merchants.models import Shop
from payments.models import FeeContract, ProviderAccount

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Tier:
    """The rates of payments from an amount on, instead of the contract's own."""

    from_amount: int
    parts_per_million: int
    fixed_amount: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """How a fee is made: 6,000 parts per million are 0.6 %; amounts are minor units; `tiers` ascend."""

    parts_per_million: int = 0
    fixed_amount: int = 0
    floor_amount: int = 0
    cap_amount: int | None = None
    tiers: tuple[Tier, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether no payment of any amount costs anything."""
        parts = [self.parts_per_million, self.fixed_amount, self.floor_amount]
        parts += [part for tier in self.tiers for part in (tier.parts_per_million, tier.fixed_amount)]
        return not any(parts) or self.cap_amount == 0


@dataclass(frozen=True, slots=True)
class Contract:
    """One version of a scope, as plain values. Without an `id`: nothing was ever agreed."""

    id: UUID | None
    version: int
    valid_from: datetime | None
    rates: Rates
    tolerance: int = 0


# Of each scope (provider, currency, and the shop or the account, or nobody) its versions, the newest first.
Versions = Mapping[tuple[str, str, UUID | None], Sequence[Contract]]
NO_CONTRACT = Contract(id=None, version=0, valid_from=None, rates=Rates())


def fee(rates: Rates, amount: int, *, paid: int | None = None) -> int:
    """The fee on `amount`. `paid` chooses the tier: the payment's own amount, of which `amount` is what is left."""
    if amount <= 0:
        return 0
    per_million, fixed = rates.parts_per_million, rates.fixed_amount
    for tier in rates.tiers:
        if tier.from_amount <= (amount if paid is None else paid):
            per_million, fixed = tier.parts_per_million, tier.fixed_amount
    made = (amount * per_million + _MILLION // 2) // _MILLION + fixed
    made = max(made, rates.floor_amount)
    return made if rates.cap_amount is None else min(made, rates.cap_amount)


def charged(rates: Rates, amount: int, *, paid: int | None = None) -> int:
    """The fee that we charge on it: never more than the money itself."""
    return min(fee(rates, amount, paid=paid), max(amount, 0))


def in_force(versions: Versions, provider: str, currency: str, owner: UUID | None, at: datetime) -> Contract | None:
    """The contract of that moment: the newest version that has begun, of the most specific scope that has one."""
    for whose in dict.fromkeys((owner, None)):
        for contract in versions.get((provider, currency, whose), ()):
            if contract.valid_from is not None and contract.valid_from <= at:
                return contract
    return None


@dataclass(frozen=True, slots=True)
class Terms:
    """What providers charge some of our accounts, as agreed."""

    versions: Versions
    provider_of: Mapping[UUID, str]

    def expected(self, account_id: UUID, currency: str, amount: int, at: datetime) -> tuple[int, int] | None:
        """The fee on a line of that amount, and by how much it may differ; None when nothing was agreed.

        Of a negative amount (a refund, a chargeback) the fee is 0: what a provider gives back of its fee is not agreed.
        """
        provider = self.provider_of.get(account_id)
        found = in_force(self.versions, provider, currency, account_id, at) if provider else None
        return (fee(found.rates, amount), found.tolerance) if found else None


@dataclass(frozen=True, slots=True)
class ChargeTerms:
    """What we charge some shops, as agreed."""

    versions: Versions

    def contract(self, shop_id: UUID, provider: str, currency: str, at: datetime) -> Contract:
        """The shop's contract of that moment, which charges nothing when there is none."""
        return in_force(self.versions, provider, currency, shop_id, at) or NO_CONTRACT


@dataclass(frozen=True, slots=True)
class Offer:
    """What a shop is charged by one way of being paid: now, and from a moment on that was announced."""

    provider: str
    funds: str
    currency: str
    contract: Contract
    next: Contract | None


def cost_terms(*, account_ids: Collection[UUID]) -> Terms:
    """What was agreed with the providers of these accounts, by one question to the database."""
    rows: Iterable[Any] = FeeContract.objects.raw(_COSTS_SQL, [list(account_ids)])
    found: dict[UUID, Any] = {}
    provider_of: dict[UUID, str] = {}
    for row in rows:
        found[row.id] = row
        provider_of[row.of_account] = row.provider
    return Terms(_versions(found.values()), provider_of)


def charge_terms(*, shop_ids: Collection[UUID]) -> ChargeTerms:
    """What was agreed with these shops, by one question to the database."""
    own = Q(shop_id__in=list(shop_ids)) | Q(shop=None)
    return ChargeTerms(_versions(FeeContract.objects.filter(own, side=FeeContract.Side.CHARGE)))


def offers(*, shop: Shop, accounts: Iterable[ProviderAccount], now: datetime) -> list[Offer]:
    """What the shop is charged by each of these accounts. What reaches her directly, we charge nothing for."""
    terms = charge_terms(shop_ids=[shop.id])
    return [_offer(shop, account, terms, now) for account in accounts]


def rates_of(row: FeeContract) -> Rates:
    """A version's rates as plain values."""
    return Rates(
        parts_per_million=row.parts_per_million,
        fixed_amount=row.fixed_amount,
        floor_amount=row.floor_amount,
        cap_amount=row.cap_amount,
        tiers=tuple(Tier(**tier) for tier in row.tiers),
    )


def shown(rates: Rates, currency: str) -> str:
    """The rates as a person reads them: "0.6 % + CN¥0.10, at least CN¥0.20, at most CN¥5.00"."""
    if rates.nothing:
        return _("nothing")
    parts = [_rate_shown(rates.parts_per_million, rates.fixed_amount, currency)]
    parts += [
        _("from %(amount)s on %(rate)s")
        % {
            "amount": _shown(tier.from_amount, currency),
            "rate": _rate_shown(tier.parts_per_million, tier.fixed_amount, currency),
        }
        for tier in rates.tiers
    ]
    if rates.floor_amount:
        parts.append(_("at least %(amount)s") % {"amount": _shown(rates.floor_amount, currency)})
    if rates.cap_amount is not None:
        parts.append(_("at most %(amount)s") % {"amount": _shown(rates.cap_amount, currency)})
    return ", ".join(parts)


def kept(row: FeeContract) -> str:
    """A version's rates as the operators' trail keeps them: in English, whoever has entered them."""
    with override(settings.LANGUAGE_CODE):
        return shown(rates_of(row), row.currency)


def percent(per_million: int) -> str:
    """Parts per million as a person writes them: 6,000 are "0.6"."""
    whole, rest = divmod(per_million, _MILLION // 100)
    return f"{whole}.{rest:04}".rstrip("0").rstrip(".")


def _rate_shown(per_million: int, fixed: int, currency: str) -> str:
    share = f"{percent(per_million)} %"
    if not fixed:
        return share
    return f"{share} + {_shown(fixed, currency)}" if per_million else _shown(fixed, currency)


def _shown(amount: int, currency: str) -> str:
    return money.shown(amount, currency, get_language() or "en")


def _offer(shop: Shop, account: ProviderAccount, terms: ChargeTerms, now: datetime) -> Offer:
    contract, following = NO_CONTRACT, None
    if account.funds == ProviderAccount.Funds.HELD:
        contract = terms.contract(shop.id, account.provider, shop.currency, now)
        changes = (terms.contract(shop.id, account.provider, shop.currency, at) for at in _begins(terms, now))
        following = next((later for later in changes if later.rates != contract.rates), None)
    return Offer(account.provider, account.funds, shop.currency, contract, following)


def _begins(terms: ChargeTerms, now: datetime) -> list[datetime]:
    """The moments at which something announced begins, the nearest first."""
    begun = {version.valid_from for versions in terms.versions.values() for version in versions}
    return sorted(moment for moment in begun if moment is not None and moment > now)


def _versions(rows: Iterable[Any]) -> Versions:
    found: dict[tuple[str, str, UUID | None], list[Contract]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.version, reverse=True):
        scope = (row.provider, row.currency, row.shop_id or row.provider_account_id)
        found[scope].append(Contract(row.id, row.version, row.valid_from, rates_of(row), row.tolerance_amount))
    return found


# A contract of all accounts of a provider comes once for each of them.
_COSTS_SQL = """
SELECT contract.*, account.id AS of_account
  FROM payments_provideraccount account
  JOIN payments_feecontract contract
    ON contract.side = 'cost' AND contract.provider = account.provider
   AND (contract.provider_account_id IS NULL OR contract.provider_account_id = account.id)
 WHERE account.id = ANY(%s::uuid[])
"""
