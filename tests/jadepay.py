"""A wallet of the tests only: it hands the payer over in whatever way a test says, and remembers how she came.

Beside the pretend wallet it is the second one that a shop takes. It is a provider as any other: a module, a line in the
list of modules, an address and an account.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.test import override_settings

from merchants.models import Shop
from payments import credentials, providers
from payments.models import PaymentIntent, ProviderAccount
from payments.providers.base import Field, ProviderError, Started, Visit

TITLE = "Jade Pay"
WALLET = "Jade Pay"
CURRENCIES = frozenset({"CNY"})
FIELDS: tuple[Field, ...] = ()
APP = re.compile(r"\bJadePay/")
DESTINATIONS = ("https://pay.jade.example",)
IN_APP = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36 JadePay/9.1"


@dataclass
class Desk:
    """What the wallet answers to a start, and the visits it was told of so far."""

    answer: Callable[[Visit], Started]
    account: ProviderAccount
    visits: list[Visit] = field(default_factory=list)


_desks: list[Desk] = []


@contextmanager
def taken(answer: Callable[[Visit], Started] | None = None, shop: Shop | None = None) -> Iterator[Desk]:
    """The wallet is known, and the platform (or that shop) has an account there; unless told, it is out of order."""
    providers.MODULES["jadepay"] = __name__
    with override_settings(JADEPAY_URL="https://api.jade.example"):
        account = ProviderAccount.objects.create(
            provider="jadepay",
            name="platform",
            shop=shop,
            funds="direct" if shop else "held",
            sealed_credentials=credentials.sealed({}),
        )
        _desks.append(Desk(answer or _out_of_order, account))
        try:
            yield _desks[-1]
        finally:
            _desks.pop()
            del providers.MODULES["jadepay"]


def start(account: ProviderAccount, intent: PaymentIntent, visit: Visit) -> Started:
    _desks[-1].visits.append(visit)
    return _desks[-1].answer(visit)


def _out_of_order(visit: Visit) -> Started:
    raise ProviderError("out of order", permanent=False)
