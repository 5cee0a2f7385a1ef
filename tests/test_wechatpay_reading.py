"""What WeChat Pay's messages mean: every branch with exact values, whatever else comes, and what old keys sealed."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as some

from payments import credentials
from payments.models import OldCredentials, ProviderAccount
from payments.providers import wechatpay, wechatpay_reading
from payments.providers.base import Delivery, Event, UnableToRead, UnableToVerify, Verified, answered
from tests.networks.wechatpay import WeChatPay

AT = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)
TOLD_AT = "2026-03-01T12:05:06+08:00"
NETWORK = WeChatPay()
US = {"mchid": NETWORK.mchid, "appid": NETWORK.appid}
TRANSACTION = {
    **US,
    "transaction_id": "4200000001",
    "out_trade_no": "int_1",
    "trade_state": "SUCCESS",
    "success_time": TOLD_AT,
    "amount": {"total": 200, "payer_total": 150, "currency": "CNY", "payer_currency": "CNY"},
}
REFUND = {
    "mchid": NETWORK.mchid,
    "transaction_id": "4200000001",
    "out_trade_no": "int_1",
    "refund_id": "5000000001",
    "out_refund_no": "rfd_1",
    "refund_status": "SUCCESS",
    "success_time": TOLD_AT,
    "amount": {"total": 200, "refund": 80, "payer_total": 150, "payer_refund": 60},
}
ANSWERED_REFUND = {
    **{name: value for name, value in REFUND.items() if name not in ("mchid", "refund_status")},
    "status": "SUCCESS",
    "create_time": "2026-03-01T12:00:00+08:00",
}


def noticed(event: str, kind: str, held: Any, *, bound: str | None = None, at: str = TOLD_AT) -> Event:
    """What such a notification means to us."""
    raw = NETWORK.notice("EV-1", event, kind, held, at, bound=bound)
    events = wechatpay_reading.notification(Verified("EV-1", raw, "signed"), [NETWORK.apiv3_key])
    assert len(events) == 1
    return events[0]


def meant(**message: Any) -> list[Event]:
    return list(wechatpay_reading.answer(answered(message)))


# --- Notifications ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", ["transaction", ""])
def test_a_payment_is_of_the_order_s_price_and_names_our_account(bound: str) -> None:
    assert noticed("TRANSACTION.SUCCESS", "transaction", TRANSACTION, bound=bound) == Event(
        kind="payment.succeeded",
        object_id="4200000001",
        amount=200,
        currency="CNY",
        occurred_at=AT,
        reference="int_1",
        account=US,
    )


def test_a_payment_whose_order_was_refunded_since_was_paid_all_the_same() -> None:
    event = noticed("TRANSACTION.SUCCESS", "transaction", {**TRANSACTION, "trade_state": "REFUND"})
    assert (event.kind, event.amount, event.decision) == ("payment.succeeded", 200, "apply")


def test_a_share_of_a_payment_is_no_payment() -> None:
    event = noticed("TRANSACTION.SUCCESS", "profitsharing", {"amount": 1})
    assert (event.kind, event.decision, event.amount) == ("info", "ignore", 0)
    assert event.reason == "a share of money that was told of before"


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("PAYSCORE.USER_OPEN_SERVICE", "payscore"),
        ("COMPLAINT.CREATE", "complaint"),
        ("MCHTRANSFER.BILL.FINISHED", "mch_payment"),
        ("\x00", "?"),
    ],
)
def test_what_moves_no_money_is_ignored_without_being_opened(event: str, kind: str) -> None:
    raw = json.loads(NETWORK.notice("EV-1", event, kind, {}, TOLD_AT))
    raw["resource"]["ciphertext"] = "AAAA"
    events = wechatpay_reading.notification(Verified("EV-1", json.dumps(raw).encode(), "signed"), [])
    assert [(e.kind, e.decision, e.object_id, e.occurred_at) for e in events] == [("info", "ignore", "EV-1", AT)]
    assert events[0].reason
    assert events[0].reason.isprintable()


@pytest.mark.parametrize(
    ("event", "kind"),
    [("TRANSACTION.SUCCESS", "combine"), ("TRANSACTION.PAY_BACK", "transaction"), ("REFUND.SUCCESS", "")],
)
def test_an_unknown_word_on_payments_waits_for_a_person(event: str, kind: str) -> None:
    told = noticed(event, kind, {})
    assert (told.kind, told.decision) == ("unknown", "apply")


@pytest.mark.parametrize(
    ("state", "kind", "final"),
    [("SUCCESS", "refund.succeeded", True), ("ABNORMAL", "refund.failed", False), ("CLOSED", "refund.failed", True)],
)
def test_a_refund_is_read_with_its_payment_and_in_yuan_though_it_names_no_currency(
    state: str, kind: str, final: bool
) -> None:
    later = "2026-03-01T12:10:00+08:00"
    event = noticed(f"REFUND.{state}", "refund", {**REFUND, "refund_status": state}, at=later)
    assert event == Event(
        kind=kind,  # type: ignore[arg-type]
        object_id="5000000001",
        parent_object_id="4200000001",
        amount=80,
        currency="CNY",
        occurred_at=AT if state == "SUCCESS" else AT.replace(minute=10, second=0),
        reference="rfd_1",
        final=final,
        account={"mchid": NETWORK.mchid},
    )


@pytest.mark.parametrize(
    ("event", "kind", "held"),
    [
        ("TRANSACTION.SUCCESS", "transaction", {**TRANSACTION, "trade_state": "NOTPAY"}),
        ("REFUND.SUCCESS", "refund", {**REFUND, "refund_status": "CLOSED"}),
        ("REFUND.CLOSED", "refund", {**REFUND, "refund_status": "\x00"}),
    ],
)
def test_a_notification_that_contradicts_what_is_sealed_in_it_waits_for_a_person(
    event: str, kind: str, held: dict[str, Any]
) -> None:
    told = noticed(event, kind, held)
    assert told.decision == "quarantine"
    assert "holds" in told.reason
    assert told.reason.isprintable()


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda held: {key: value for key, value in held.items() if key != name}


@pytest.mark.parametrize(
    "change",
    [
        *(without(name) for name in TRANSACTION),
        lambda held: {**held, "amount": {"total": "200", "currency": "CNY"}},
        lambda held: {**held, "amount": {"total": 200.0, "currency": "CNY"}},
        lambda held: {**held, "amount": {"total": True, "currency": "CNY"}},
        lambda held: {**held, "amount": {"total": 0, "currency": "CNY"}},
        lambda held: {**held, "amount": {"total": -200, "currency": "CNY"}},
        lambda held: {**held, "amount": {"total": 10**15 + 1, "currency": "CNY"}},
        lambda held: {**held, "amount": {"total": 200, "currency": "yuan"}},
        lambda held: {**held, "amount": []},
        lambda held: {**held, "transaction_id": 4200000001},
        lambda held: {**held, "transaction_id": "4200\x00"},
        lambda held: {**held, "out_trade_no": "x" * 81},
        lambda held: {**held, "success_time": "2026-03-01T12:05:06"},
        lambda held: {**held, "success_time": "0001-01-01T00:00:00+08:00"},
        lambda held: {**held, "success_time": 7},
        lambda held: {**held, "trade_state": []},
        list,
    ],
)
def test_a_payment_of_another_form_is_not_guessed_at(change: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(UnableToRead) as failure:
        noticed("TRANSACTION.SUCCESS", "transaction", change(dict(TRANSACTION)))
    assert NETWORK.apiv3_key not in str(failure.value)


# --- Answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["SUCCESS", "REFUND"])
def test_a_paid_order_is_a_payment_in_an_answer(state: str) -> None:
    [event] = meant(order={**TRANSACTION, "trade_state": state}, refunds=[])
    assert (event.kind, event.object_id, event.amount, event.currency) == (
        "payment.succeeded",
        "4200000001",
        200,
        "CNY",
    )
    assert (event.reference, event.occurred_at, event.account, event.final) == ("int_1", AT, US, True)


@pytest.mark.parametrize(
    ("state", "kind", "final"),
    [
        ("NOTPAY", "payment.pending", False),
        ("USERPAYING", "payment.pending", False),
        ("CLOSED", "payment.closed", True),
        ("REVOKED", "payment.closed", True),
        ("PAYERROR", "payment.failed", False),
    ],
)
def test_an_order_that_is_not_paid_says_whether_that_is_over(state: str, kind: str, final: bool) -> None:
    [event] = meant(order={**US, "out_trade_no": "int_1", "trade_state": state}, refunds=[], at=TOLD_AT)
    assert (event.kind, event.final, event.reference, event.object_id) == (kind, final, "int_1", "int_1")
    assert (event.amount, event.currency, event.occurred_at, event.account) == (0, "CNY", AT, US)


def test_an_order_brings_its_refunds_along() -> None:
    under_way = {**ANSWERED_REFUND, "refund_id": "5000000002", "out_refund_no": "rfd_2", "status": "PROCESSING"}
    events = meant(order={**TRANSACTION, "trade_state": "REFUND"}, refunds=[ANSWERED_REFUND, under_way])
    assert [(e.kind, e.object_id, e.parent_object_id, e.amount, e.reference, e.final) for e in events] == [
        ("payment.succeeded", "4200000001", "", 200, "int_1", True),
        ("refund.succeeded", "5000000001", "4200000001", 80, "rfd_1", True),
        ("refund.pending", "5000000002", "4200000001", 80, "rfd_2", False),
    ]


def test_a_success_overtakes_an_answer_that_told_of_a_failure() -> None:
    [failed] = meant(refund={**ANSWERED_REFUND, "status": "ABNORMAL"})
    [succeeded] = meant(refund=ANSWERED_REFUND)
    assert (failed.kind, failed.final, succeeded.kind) == ("refund.failed", False, "refund.succeeded")
    assert failed.occurred_at < succeeded.occurred_at


def test_what_we_made_of_an_empty_answer_is_read_again() -> None:
    terms = {"reference": "int_1", "amount": 200, "currency": "CNY", "at": TOLD_AT}
    [closed] = meant(closed=terms)
    assert (closed.kind, closed.reference, closed.amount, closed.final) == ("payment.closed", "int_1", 200, True)
    [refused] = meant(refused={**terms, "reference": "rfd_1", "code": "INVALID_REQUEST", "payment": "4200000001"})
    assert (refused.kind, refused.object_id, refused.parent_object_id) == ("refund.failed", "", "4200000001")
    assert (refused.reference, refused.amount, refused.final, refused.decision) == ("rfd_1", 200, True, "apply")
    assert (meant(never_heard_of="int_1"), meant(keys=["A"])) == ([], [])


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"order": {}},
        {"order": TRANSACTION},
        {"order": {**TRANSACTION, "trade_state": "?"}, "refunds": []},
        {"refund": 7},
    ],
)
def test_an_answer_of_another_form_is_not_guessed_at(message: dict[str, Any]) -> None:
    with pytest.raises(UnableToRead):
        meant(**message)


# --- Keys of another time --------------------------------------------------------------------------------------------


@pytest.fixture
def network(db: None) -> Iterator[WeChatPay]:
    with WeChatPay().set() as running:
        yield running


@pytest.fixture
def account(network: WeChatPay) -> ProviderAccount:
    return network.account()


def test_what_an_old_key_sealed_is_read_after_the_key_was_replaced_twice(
    network: WeChatPay, account: ProviderAccount
) -> None:
    held = {**TRANSACTION, "out_trade_no": "int_old"}
    old = Verified("EV-1", network.notice("EV-1", "TRANSACTION.SUCCESS", "transaction", held, TOLD_AT), "signed")
    for days in (9, 5):
        OldCredentials.objects.create(
            provider_account=account,
            sealed_credentials=bytes(account.sealed_credentials),
            replaced_at=timezone.now() - timedelta(days=days),
            accepted_until=None,
        )
        network.apiv3_key = secrets.token_hex(16)
        account.sealed_credentials = credentials.sealed(network.credentials())
        account.save()
    new = Verified("EV-2", network.notice("EV-2", "TRANSACTION.SUCCESS", "transaction", TRANSACTION, TOLD_AT), "signed")
    assert [wechatpay.normalise(account, one)[0].reference for one in (old, new)] == ["int_old", "int_1"]
    account.old_credentials.all().delete()
    with pytest.raises(UnableToRead, match="no APIv3 key of ours opens it"):
        wechatpay.normalise(account, old)


# --- Whatever else comes ---------------------------------------------------------------------------------------------

anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=12),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = some.sampled_from([*TRANSACTION, *REFUND, "create_time", "status", "id", "event_type", "resource"])
bodies = some.binary(max_size=60) | some.builds(lambda value: json.dumps(value).encode(), anything)


def fuzzed(draw: Callable[..., Any], network: WeChatPay) -> bytes:
    """A body that nearly is one: anything at all, or a genuine one with something else in one of its places."""
    if draw(some.booleans()):
        return bytes(draw(bodies))
    event, kind, held = draw(
        some.sampled_from(
            [
                ("TRANSACTION.SUCCESS", "transaction", TRANSACTION),
                ("REFUND.SUCCESS", "refund", REFUND),
                ("REFUND.X", "refund", REFUND),
            ]
        )
    )
    held = {**held, **draw(some.dictionaries(names, anything, max_size=2))}
    body = json.loads(network.notice("EV-1", event, kind, held, TOLD_AT))
    body |= draw(some.dictionaries(names, anything, max_size=1))
    if isinstance(body.get("resource"), dict):
        places = some.sampled_from(["algorithm", "nonce", "ciphertext", "associated_data", "original_type"])
        body["resource"] |= draw(some.dictionaries(places, anything, max_size=1))
    return json.dumps(body).encode()


@examples(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "300")),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=some.data())
def test_nothing_comes_out_but_what_is_declared(
    network: WeChatPay, account: ProviderAccount, data: some.DataObject
) -> None:
    now = timezone.now()
    raw = fuzzed(data.draw, network)
    header = some.text(max_size=30) | some.sampled_from([network.current.serial, str(int(now.timestamp())), "A" * 344])
    heads = ["wechatpay-timestamp", "wechatpay-nonce", "wechatpay-serial", "wechatpay-signature"]
    named = {name: data.draw(header) for name in heads} | {"wechatpay-timestamp": str(int(now.timestamp()))}
    unsigned = Delivery(raw, {**named, **data.draw(some.dictionaries(some.sampled_from(heads), header, max_size=1))})
    with pytest.raises(UnableToVerify):
        wechatpay.verify(account, unsigned, now=now)
    for authority in ("signed", "queried"):
        try:
            events = wechatpay.normalise(account, Verified("EV-1", raw, authority))
        except UnableToRead:
            continue
        assert all(isinstance(event, Event) and event.occurred_at.tzinfo for event in events)
        assert all(event.amount > 0 for event in events if event.kind in ("payment.succeeded", "refund.succeeded"))
