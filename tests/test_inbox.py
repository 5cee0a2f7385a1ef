"""The inbox: what is proved is kept once, before anything is done with it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import REGISTRY

from merchants.models import Item
from payments import accounts, credentials, inbox
from payments.models import Payment, PaymentIntent, ProviderAccount, QueuedEvent, WebhookEvent
from payments.providers.base import Delivery
from tests.cast import Person
from tests.till import OTHER_SECRET, SECRET, Notification, direct, drain, expect, paid, platform


@pytest.fixture
def account(db: None) -> ProviderAccount:
    return platform()


@pytest.fixture
def intent(account: ProviderAccount, apples: Item) -> PaymentIntent:
    """Somebody is about to pay 200 for a pile of apples."""
    return expect(apples.codes.get())


def receive(raw: bytes, headers: dict[str, str], *, provider: str = "sandbox", account: str = "platform") -> bool:
    return inbox.receive(provider=provider, account=account, delivery=Delivery(raw, headers), now=timezone.now())


def signed(raw: bytes, *, delivery: str = "evt_1", secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
    """Headers over these very bytes, made without the library that the product verifies with."""
    stamp = str(int((at or timezone.now()).timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{delivery}.{stamp}.".encode() + raw, hashlib.sha256).digest()
    return {
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"pushcart_{name}_total", labels) or 0.0


@contextmanager
def refused(code: str, status: int) -> Iterator[None]:
    """What happens inside is refused, counted once, and leaves nothing behind."""
    before = counted("webhooks_refused", reason=code)
    with pytest.raises(inbox.UnableToReceive) as refusal:
        yield
    assert (refusal.value.code, refusal.value.status) == (code, status)
    assert counted("webhooks_refused", reason=code) == before + 1
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == 0


# --- What is proved --------------------------------------------------------------------------------------------------


def test_a_proved_notification_is_kept_as_the_bytes_that_came_with_what_proved_them(account: ProviderAccount) -> None:
    raw = b'{ "type" : "anything",\n\t"id": "evt_9"}  '
    headers = signed(raw, delivery="evt_9")
    before = counted("webhooks_received", provider="sandbox")
    now = timezone.now()

    new = inbox.receive(
        provider="sandbox", account="platform", delivery=Delivery(raw, {**headers, "user-agent": "wallet"}), now=now
    )

    assert new is True
    event = WebhookEvent.objects.get()
    assert (bytes(event.raw), event.delivery_id, event.authority) == (raw, "evt_9", "signed")
    assert (event.headers, event.provider_account, event.received_at) == (headers, account, now)
    assert event.key_id == f"sha256:{hashlib.sha256(SECRET.encode()).hexdigest()[:12]}"
    queued = QueuedEvent.objects.get()
    assert (queued.event_id, queued.state, queued.attempts, queued.due_at) == (event.id, "queued", 0, now)
    assert counted("webhooks_received", provider="sandbox") == before + 1


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"200", b"900"),
        lambda raw: raw + b" ",
        lambda raw: raw[:-1],
        lambda raw: b"",
        lambda raw: raw.replace(b'"', b"'"),
    ],
)
def test_a_body_that_was_changed_on_its_way_is_refused(
    account: ProviderAccount, change: Callable[[bytes], bytes]
) -> None:
    raw = b'{"id": "evt_1", "amount": 200}'
    headers = signed(raw)
    with refused("signature_wrong", 400):
        receive(change(raw), headers)


def test_another_shops_secret_proves_nothing(account: ProviderAccount) -> None:
    with refused("signature_wrong", 400):
        receive(b"{}", signed(b"{}", secret=OTHER_SECRET))


def test_a_signature_is_bound_to_its_delivery_and_its_time(account: ProviderAccount) -> None:
    headers = signed(b"{}")
    with refused("signature_wrong", 400):
        receive(b"{}", {**headers, "webhook-id": "evt_2"})
    with refused("signature_wrong", 400):
        receive(b"{}", {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)})


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_header_is_refused(account: ProviderAccount, header: str, value: str | None) -> None:
    headers = signed(b"{}")
    del headers[header]
    with refused("signature_missing", 400):
        receive(b"{}", headers if value is None else {**headers, header: value})


@pytest.mark.parametrize(("seconds", "kept"), [(-297, True), (-304, False), (297, True), (304, False)])
def test_a_notification_may_be_five_minutes_old_or_ahead_and_no_more(
    account: ProviderAccount, seconds: int, kept: bool
) -> None:
    headers = signed(b"{}", at=timezone.now() + timedelta(seconds=seconds))
    if kept:
        assert receive(b"{}", headers) is True
    else:
        with refused("timestamp_stale", 400):
            receive(b"{}", headers)


@pytest.mark.parametrize("stamp", ["yesterday", "nan", "inf", "-1e400", "9" * 400, "1e30", "²", "\x00"])
def test_what_is_no_time_is_refused(account: ProviderAccount, stamp: str) -> None:
    with refused("signature_wrong", 400):
        receive(b"{}", {**signed(b"{}"), "webhook-timestamp": stamp})


@pytest.mark.parametrize(
    "signature",
    ["v1,***", "v1", "v1,", ",", "v1,YQ", "v1,YQ,YQ", "v2,YQ==", "v1a,YQ==", "ü", "v1,\ud800", " ", "v1,YQ== v1"],
)
def test_what_is_no_signature_is_refused(account: ProviderAccount, signature: str) -> None:
    with refused("signature_wrong", 400):
        receive(b"{}", {**signed(b"{}"), "webhook-signature": signature})


def test_bytes_that_are_no_text_are_refused_even_when_they_are_signed(account: ProviderAccount) -> None:
    """The scheme signs text, and every message of the wallet is JSON."""
    raw = b'{"name": "\xff\xfe"}'
    with refused("signature_wrong", 400):
        receive(raw, signed(raw))


def test_one_good_signature_among_several_is_enough(account: ProviderAccount) -> None:
    good = signed(b"{}")
    other = signed(b"{}", secret=OTHER_SECRET)["webhook-signature"]
    assert receive(b"{}", {**good, "webhook-signature": f"{other} {good['webhook-signature']}"}) is True


def test_while_a_secret_is_rotated_both_prove_and_the_event_says_which(account: ProviderAccount) -> None:
    account.sealed_credentials = credentials.sealed(
        {"api_key": "a-key-of-the-tests-only", "webhook_secrets": f"{OTHER_SECRET} {SECRET}"}
    )
    account.save()
    receive(b"{}", signed(b"{}", delivery="evt_new", secret=OTHER_SECRET))
    receive(b"{}", signed(b"{}", delivery="evt_old", secret=SECRET))
    proved = dict(WebhookEvent.objects.values_list("delivery_id", "key_id"))
    assert proved == {
        "evt_new": f"sha256:{hashlib.sha256(OTHER_SECRET.encode()).hexdigest()[:12]}",
        "evt_old": f"sha256:{hashlib.sha256(SECRET.encode()).hexdigest()[:12]}",
    }


def test_a_secret_that_was_rotated_out_proves_nothing(account: ProviderAccount) -> None:
    account.sealed_credentials = credentials.sealed(
        {"api_key": "a-key-of-the-tests-only", "webhook_secrets": OTHER_SECRET}
    )
    account.save()
    with refused("signature_wrong", 400):
        receive(b"{}", signed(b"{}", secret=SECRET))


def test_the_largest_body_is_kept_and_a_byte_more_is_refused(account: ProviderAccount, settings: LazySettings) -> None:
    raw = b'"' + b"x" * (settings.WEBHOOK_BYTES_MAX - 1) + b'"'
    with refused("body_too_large", 413):
        receive(raw, signed(raw))
    assert receive(raw[1:], signed(raw[1:])) is True


@pytest.mark.parametrize("name", ["platform2", "", "Platform", "' OR 1=1 --", "ü", "platform\x00"])
def test_an_unknown_account_is_not_found(account: ProviderAccount, name: str) -> None:
    with refused("unknown_account", 404):
        receive(b"{}", signed(b"{}"), account=name)


@pytest.mark.parametrize("provider", ["paypal", "", "payments.providers.sandbox", "__init__"])
def test_an_unknown_provider_is_not_found(account: ProviderAccount, provider: str) -> None:
    with refused("unknown_provider", 404):
        receive(b"{}", signed(b"{}"), provider=provider)


def test_a_provider_that_is_switched_off_is_not_found(account: ProviderAccount, settings: LazySettings) -> None:
    settings.SANDBOX_URL = ""
    with refused("unknown_provider", 404):
        receive(b"{}", signed(b"{}"))


def test_an_account_that_takes_no_new_payments_still_hears_of_old_ones(account: ProviderAccount) -> None:
    account.active = False
    account.save()
    assert receive(b"{}", signed(b"{}")) is True


# --- Once ------------------------------------------------------------------------------------------------------------


def test_a_delivery_that_is_repeated_is_kept_once_and_counted_as_repeated(intent: PaymentIntent) -> None:
    told = paid(intent)
    before = counted("webhooks_repeated", provider="sandbox")
    assert [told.deliver() for _ in range(3)] == [True, False, False]
    assert WebhookEvent.objects.count() == QueuedEvent.objects.count() == 1
    assert counted("webhooks_repeated", provider="sandbox") == before + 2

    drain()
    assert told.deliver() is False  # Applied long ago: it is not queued again.
    assert QueuedEvent.objects.count() == 0
    assert Payment.objects.count() == 1


def test_two_accounts_may_use_the_same_delivery_id(account: ProviderAccount, mei: Person) -> None:
    ProviderAccount.objects.create(
        provider="sandbox", name="hers", funds="direct", shop=mei.shop, sealed_credentials=account.sealed_credentials
    )
    assert receive(b"{}", signed(b"{}")) is True
    assert receive(b"{}", signed(b"{}"), account="hers") is True
    assert WebhookEvent.objects.count() == 2


def test_what_a_shop_can_sign_by_itself_is_kept_only_so_often(
    account: ProviderAccount, mei: Person, settings: LazySettings
) -> None:
    settings.HINT_BUDGET = "2/minute"
    own = direct(mei.shop)
    paid(account=own).deliver()
    paid(account=own).deliver()
    for _ in range(3):
        with pytest.raises(inbox.UnableToReceive) as refusal:
            paid(account=own).deliver()
        assert (refusal.value.code, refusal.value.status) == ("too_many_hints", 429)
        assert paid(account=account).deliver() is True  # The platform's secret is nobody's to flood us with.
    assert WebhookEvent.objects.filter(provider_account=own).count() == 2


def test_an_account_is_read_once_and_each_notification_is_one_statement(account: ProviderAccount) -> None:
    assert paid(account=account).deliver() is True
    told = [paid(account=account) for _ in range(2)]
    with CaptureQueriesContext(connection) as asked:
        assert [one.deliver() for one in told] == [True, True]
    assert [one["sql"].count("INSERT") for one in asked.captured_queries] == [3, 3]


@pytest.mark.parametrize("guarded", [True, False])
def test_a_secret_that_was_revoked_lets_nothing_in_though_the_account_was_read_before(
    account: ProviderAccount, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paid(account=account).deliver() is True
    stolen = Notification(account, paid(account=account).message, secret=SECRET)
    sealed = credentials.sealed({"api_key": "new", "webhook_secrets": OTHER_SECRET})
    accounts.replace(account, identity={}, sealed=sealed, keep_old=False, now=timezone.now())
    if not guarded:  # So it would be without the comparison.
        monkeypatch.setattr(inbox, "_KEEP_SQL", inbox._KEEP_SQL.replace("%(sealed)s::bytea IS NULL", "true"))
        assert stolen.deliver() is True
        return
    with pytest.raises(inbox.UnableToReceive, match="signature_wrong"):
        stolen.deliver()
    assert Notification(account, paid(account=account).message, secret=OTHER_SECRET).deliver() is True
    assert WebhookEvent.objects.count() == 2


def test_an_account_that_became_a_shops_own_has_a_budget_at_once(
    account: ProviderAccount, mei: Person, settings: LazySettings
) -> None:
    assert paid(account=account).deliver() is True
    settings.HINT_BUDGET = "1/minute"
    ProviderAccount.objects.update(funds="direct", shop=mei.shop)
    assert paid(account=account).deliver() is True
    with pytest.raises(inbox.UnableToReceive, match="too_many_hints"):
        paid(account=account).deliver()


def test_what_was_kept_is_never_changed(account: ProviderAccount) -> None:
    receive(b"{}", signed(b"{}"))
    for statement in ("UPDATE payments_webhookevent SET raw = ''", "TRUNCATE payments_webhookevent"):
        with pytest.raises(Exception, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert bytes(WebhookEvent.objects.get().raw) == b"{}"


def test_headers_are_kept_as_json(account: ProviderAccount) -> None:
    headers = signed(b"{}")
    receive(b"{}", headers)
    with connection.cursor() as cursor:
        cursor.execute("SELECT headers::text FROM payments_webhookevent")
        assert json.loads(cursor.fetchone()[0]) == headers
