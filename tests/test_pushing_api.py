"""Phones subscribe to push over HTTP, say when they want to be told, and end it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from rest_framework.test import APIClient

from merchants import push_proofs, seals, vapid
from merchants.models import PushSubscription
from tests.cast import Person, field_problems, problem
from tests.push_service import Browser, subscribe

ADDRESS = "https://updates.push.services.mozilla.com/wpush/v2/abc"


@pytest.fixture
def phone() -> Browser:
    return Browser(ADDRESS)


@pytest.fixture
def unchanged(mei: Person) -> Iterator[None]:
    """Whatever the test asks for leaves every row as it is."""
    before = list(PushSubscription.objects.values())
    yield
    assert list(PushSubscription.objects.values()) == before


def test_a_phone_subscribes_changes_its_wishes_and_ends(api: APIClient, phone: Browser) -> None:
    said = subscribe(api, phone)
    assert (said["id"][:4], said["this_phone"], said["language"]) == ("psh_", True, "en")
    assert (said["quiet_from"], said["big_amount"], said["failures"], said["ended_at"]) == (None, None, 0, None)
    assert not {"endpoint", "keys"} & set(said)
    assert push_proofs.read_renewal(said.pop("renewal")) == PushSubscription.objects.get().id
    address = f"/api/v1/push/{said['id']}"
    wishes = {"quiet_from": "22:00", "quiet_until": "06:30", "big_amount": {"amount": 10_000, "currency": "CNY"}}
    assert api.patch(address, {**wishes, "language": "hi"}).json() == {**said, **wishes, "language": "hi"}
    assert api.patch(address, {"language": "zh"}).json() == {**said, **wishes, "language": "zh"}
    cleared = {"quiet_from": None, "quiet_until": None, "big_amount": None}
    assert api.patch(address, cleared).json() == {**said, "language": "zh"}
    state = api.get("/api/v1/push").json()
    assert state["public_key"] == vapid.public_key()
    assert [row["id"] for row in state["subscriptions"]] == [said["id"]]
    assert api.delete(address).status_code == api.delete(address).status_code == 204
    [row] = api.get("/api/v1/push").json()["subscriptions"]
    assert (row["ended_why"], row["ended_at"] is not None) == ("asked", True)


def test_the_address_is_kept_sealed(api: APIClient, phone: Browser) -> None:
    subscribe(api, phone)
    row = PushSubscription.objects.get()
    assert json.loads(seals.unseal(bytes(row.sealed_address))) == {
        "address": ADDRESS,
        **phone.subscription()["keys"],
    }
    assert b"mozilla" not in bytes(row.sealed_address)


def test_a_phone_has_one_subscription_and_an_address_one_phone(mei: Person, arjun: Person, phone: Browser) -> None:
    first = subscribe(mei.api(), Browser(ADDRESS + "/old"))
    second = subscribe(mei.api(), phone)
    assert [row["id"] for row in mei.api().get("/api/v1/push").json()["subscriptions"]] == [second["id"]]
    assert first["id"] != second["id"]
    # The phone is sold on, and its next owner signs in.
    subscribe(arjun.api(), phone)
    assert mei.api().get("/api/v1/push").json()["subscriptions"] == []
    assert PushSubscription.objects.get().shop == arjun.shop


def test_a_repeated_request_subscribes_once(api: APIClient, phone: Browser) -> None:
    sent = [api.post("/api/v1/push", phone.subscription(), headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert sent[0].json() == sent[1].json()
    assert PushSubscription.objects.count() == 1


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/x",
        "http://fcm.googleapis.com/x",
        "https://10.0.0.1.push.apple.com.example/x",
        "https://169.254.169.254/latest",
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_addresses_of_nobody_known_are_refused(api: APIClient, address: str) -> None:
    answer = api.post("/api/v1/push", Browser(address).subscription())
    assert problem(answer) == (400, "push_service_unknown")


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"keys": {"p256dh": "!", "auth": "AAAA"}}, {"keys.p256dh": "not_base64url"}),
        ({"keys": {}}, {"keys.p256dh": "required", "keys.auth": "required"}),
        ({"quiet_from": "22:00"}, {"quiet_until": "quiet_hours_unclear"}),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, {"quiet_until": "quiet_hours_unclear"}),
        ({"quiet_from": "25:00", "quiet_until": "22:00"}, {"quiet_from": "invalid"}),
        ({"big_amount": {"amount": 1, "currency": "USD"}}, {"big_amount": "currency_mismatch"}),
        ({"big_amount": {"amount": 0, "currency": "CNY"}}, {"big_amount.amount": "min_value"}),
        ({"language": "xx"}, {"language": "invalid_choice"}),
        ({"endpoint": "x" * 1025}, {"endpoint": "max_length"}),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_what_is_not_right_is_named(
    api: APIClient, phone: Browser, change: dict[str, Any], refused: dict[str, str]
) -> None:
    assert field_problems(api.post("/api/v1/push", {**phone.subscription(), **change})) == refused


@pytest.mark.usefixtures("unchanged")
def test_keys_of_no_subscription_are_refused(api: APIClient, phone: Browser) -> None:
    asked = {**phone.subscription(), "keys": {"p256dh": "AAAA", "auth": "AAAA"}}
    assert problem(api.post("/api/v1/push", asked)) == (400, "push_keys_wrong")


@pytest.mark.usefixtures("unchanged")
def test_without_a_key_of_ours_nobody_subscribes(api: APIClient, phone: Browser, settings: LazySettings) -> None:
    settings.VAPID_PRIVATE_KEY = ""
    assert problem(api.post("/api/v1/push", phone.subscription())) == (409, "push_unavailable")


def test_another_persons_phone_is_not_found(
    mei: Person, lan: Person, arjun: Person, stranger: APIClient, phone: Browser
) -> None:
    said = subscribe(mei.api(), phone)
    before = list(PushSubscription.objects.values())
    for other in (lan, arjun):
        assert other.api().get("/api/v1/push").json()["subscriptions"] == []
        assert problem(other.api().patch(f"/api/v1/push/{said['id']}", {"language": "zh"})) == (404, "not_found")
        assert problem(other.api().delete(f"/api/v1/push/{said['id']}")) == (404, "not_found")
    assert problem(mei.api().delete("/api/v1/push/nothing")) == (404, "not_found")
    assert problem(stranger.post("/api/v1/push", phone.subscription())) == (401, "not_authenticated")
    assert list(PushSubscription.objects.values()) == before
