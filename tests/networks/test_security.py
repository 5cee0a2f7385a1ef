"""The same cases for every provider: what is forged, cut, stale or somebody else's is refused, and nothing is kept.

Each network signs by its own rules (`Network.sign`); the cases are the same for all. They go through the front door of
the inbox, so that a case that passed would be seen as a stored event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from payments import inbox
from payments.models import Inquiry, Payment, ProviderAccount, QueuedEvent, WebhookEvent
from payments.providers.base import Delivery
from tests.networks.base import Network
from tests.networks.every import EVERY
from tests.till import drain


@pytest.fixture(params=sorted(EVERY))
def network(request: pytest.FixtureRequest, db: None) -> Iterator[Network]:
    with EVERY[request.param]().set() as running:
        yield running


@pytest.fixture
def account(network: Network) -> ProviderAccount:
    return network.account()


def receive(account: ProviderAccount, delivery: Delivery, now: datetime) -> bool:
    return inbox.receive(provider=account.provider, account=account.name, delivery=delivery, now=now)


def refused(account: ProviderAccount, delivery: Delivery, now: datetime) -> str:
    """The code of the refusal; nothing may have been kept."""
    with pytest.raises(inbox.UnableToReceive) as refusal:
        receive(account, delivery, now)
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == 0
    return refusal.value.code


def test_what_is_signed_by_the_newest_key_or_the_one_before_is_kept(network: Network, account: ProviderAccount) -> None:
    now = timezone.now()
    assert receive(account, network.sign(network.sample(), at=now), now) is True
    assert receive(account, network.sign(network.sample(), at=now, key="previous"), now) in (True, False)
    assert set(WebhookEvent.objects.values_list("authority", flat=True)) <= {"signed", "mtls", "unsigned_hint"}


def test_what_comes_twice_is_kept_once(network: Network, account: ProviderAccount) -> None:
    now = timezone.now()
    delivery = network.sign(network.sample(), at=now)
    assert [receive(account, delivery, now) for _ in range(3)] == [True, False, False]
    assert WebhookEvent.objects.count() == 1


def test_what_somebody_elses_key_signed_is_refused(network: Network, account: ProviderAccount) -> None:
    now = timezone.now()
    code = refused(account, network.sign(network.sample(), at=now, key="other"), now)
    assert code in {"signature_wrong", "key_unknown", "certificate_wrong"}


def test_what_was_changed_by_one_byte_books_nothing(network: Network, account: ProviderAccount) -> None:
    """Where the body is signed it is refused; where it is not, nobody believes it."""
    now = timezone.now()
    delivery = network.sign(network.sample(), at=now)
    middle = len(delivery.raw) // 2
    changed = bytes([delivery.raw[middle] ^ 1])
    forged = replace(delivery, raw=delivery.raw[:middle] + changed + delivery.raw[middle + 1 :])
    books_nothing(network, account, forged, now)


def test_what_was_cut_off_books_nothing(network: Network, account: ProviderAccount) -> None:
    now = timezone.now()
    delivery = network.sign(network.sample(), at=now)
    for length in (0, 1, len(delivery.raw) // 2, len(delivery.raw) - 1):
        books_nothing(network, account, replace(delivery, raw=delivery.raw[:length]), now)


def books_nothing(network: Network, account: ProviderAccount, forged: Delivery, now: datetime) -> None:
    body_is_proved = network.signed and network.provider != "pix"  # Pix proves who sends it, not what.
    if body_is_proved:
        assert refused(account, forged, now) in {"signature_wrong", "signature_missing", "body_unreadable"}
        return
    try:
        receive(account, forged, now)
    except inbox.UnableToReceive:
        assert WebhookEvent.objects.count() == 0
    if not network.signed:
        drain()
        assert Payment.objects.count() == 0


def test_what_carries_no_proof_is_refused_or_is_a_hint_that_books_nothing(
    network: Network, account: ProviderAccount
) -> None:
    now = timezone.now()
    delivery = network.sign(network.sample(), at=now)
    bare = Delivery(raw=unsigned(network, delivery.raw), query=delivery.query)
    if network.signed:
        assert refused(account, bare, now) in {"signature_missing", "certificate_missing"}
        return
    receive(account, bare, now)
    drain()
    assert (Payment.objects.count(), Inquiry.objects.count()) == (0, 1)


def unsigned(network: Network, raw: bytes) -> bytes:
    """The body without its signature, where the signature stands in the body."""
    if network.provider != "alipay":
        return raw
    return b"&".join(pair for pair in raw.split(b"&") if not pair.startswith((b"sign=", b"sign_type=")))


@pytest.mark.parametrize("off_s", [-3600, -330, 330, 3600])
def test_what_is_too_old_or_of_the_future_is_refused(network: Network, account: ProviderAccount, off_s: int) -> None:
    if not network.timestamped:
        pytest.skip("this scheme signs no time")
    now = timezone.now()
    assert refused(account, network.sign(network.sample(), at=now + timedelta(seconds=off_s)), now) == "timestamp_stale"


@pytest.mark.parametrize("off_s", [-240, 240])
def test_a_clock_that_is_a_little_wrong_does_no_harm(network: Network, account: ProviderAccount, off_s: int) -> None:
    now = timezone.now()
    assert receive(account, network.sign(network.sample(), at=now + timedelta(seconds=off_s)), now) is True


def test_a_delivery_to_another_account_is_refused(network: Network, account: ProviderAccount) -> None:
    now = timezone.now()
    with pytest.raises(inbox.UnableToReceive) as refusal:
        inbox.receive(
            provider=account.provider, account="nobody", delivery=network.sign(network.sample(), at=now), now=now
        )
    assert (refusal.value.code, refusal.value.status) == ("unknown_account", 404)


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: dict.fromkeys(headers, ""),
        lambda headers: {name: value[:-1] for name, value in headers.items()},
        lambda headers: {name: value + "é" for name, value in headers.items()},
        lambda headers: {name: "\x00" + value for name, value in headers.items()},
        lambda headers: {name: value * 2000 for name, value in headers.items()},
        lambda headers: {name: "٣" + value for name, value in headers.items()},
    ],
    ids=["empty", "cut", "accent", "nul", "huge", "other digits"],
)
def test_headers_of_any_kind_are_refused_by_a_name_and_never_by_a_failure(
    network: Network, account: ProviderAccount, change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    now = timezone.now()
    delivery = network.sign(network.sample(), at=now)
    try:
        receive(account, replace(delivery, headers=change(dict(delivery.headers))), now)
    except inbox.UnableToReceive as refusal:
        assert refusal.status in (400, 503)
        assert WebhookEvent.objects.count() == 0
    drain()
    assert Payment.objects.filter(placed=True).count() == 0
