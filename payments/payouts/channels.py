"""By which way money leaves: a file for our bank, or an API that pays, each one module behind the same functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Literal, Protocol, cast

from payments import providers
from payments.models import Payout, PayoutAccount, ProviderAccount

FILE = "file"

State = Literal["pending", "paid", "failed", "returned"]
NameCheck = Literal["match", "close", "no_match", "unknown"]

# An API is on when its provider is (`<NAME>_URL`).
_APIS = {"sandbox": "payments.payouts.sandbox_bank"}


@dataclass(frozen=True, slots=True)
class Told:
    """How a payout stands by the word of whoever carries it out; `failure` says why it did not arrive."""

    state: State
    object_id: str
    at: datetime
    failure: str = ""


class Api(Protocol):
    """What an API that pays out must do. Every function raises ProviderError when there is no answer."""

    def pay(self, account: ProviderAccount, payout: Payout, number: str) -> Told:
        """Pays `payout` to the account `number`, under the payout's reference: asked again, it is the same payout."""
        ...

    def ask(self, account: ProviderAccount, payout: Payout) -> Told:
        """How the payout stands."""
        ...

    def check_name(self, account: ProviderAccount, payee: PayoutAccount, number: str) -> NameCheck:
        """Whether the account `number` is held by `payee.holder`, as its bank says."""
        ...


def names() -> list[str]:
    """Every channel that terms may name now."""
    return [FILE, *(name for name in _APIS if providers.enabled(name))]


def api(name: str) -> Api | None:
    """The module of an API that is on; None for the file and for one that is off."""
    if name not in _APIS or not providers.enabled(name):
        return None
    return cast(Api, import_module(_APIS[name]))


def account(name: str) -> ProviderAccount | None:
    """Our own account at that API: the platform's oldest that is on."""
    ours = ProviderAccount.objects.filter(provider=name, shop=None, funds=ProviderAccount.Funds.HELD, active=True)
    return ours.order_by("id").first()
