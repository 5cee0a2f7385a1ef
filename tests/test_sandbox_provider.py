"""The client of the pretend wallet against the real program, and against servers that fail in every way."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from merchants import ids
from merchants.models import Item
from payments import credentials, inbox, reconcile, refunds
from payments.models import Payment, PaymentIntent, ProviderAccount, Refund
from payments.providers import enabled, named, sandbox
from payments.providers.base import Delivery, Event, ProviderError, Ref, UnableToRead, UnableToVerify, Verified, Visit
from tests.cast import Person
from tests.running_wallet import UNDECIDED, approve, known_at, running_wallet, start
from tests.sandbox.pretend_shop import Listener, Notice, Wallet, eventually
from tests.settlement_files import rows_of_day
from tests.till import platform


@pytest.fixture(scope="module")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wallet]:
    with running_wallet(tmp_path_factory.mktemp("wallet")) as running:
        yield running


@pytest.fixture
def told() -> Iterator[Listener]:
    """Where the wallet's notifications arrive."""
    server = Listener()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def account(wallet: Wallet, told: Listener, db: None) -> Iterator[ProviderAccount]:
    """The platform's account, known to the wallet and told at `told`."""
    with known_at(wallet, told.url("")) as known:
        yield known


@pytest.fixture
def intent(account: ProviderAccount, apples: Item) -> PaymentIntent:
    return start(apples.codes.get())


def notices(told: Listener, reference: str) -> list[Notice]:
    """What arrived about that order."""
    with told.lock:
        arrived = list(told.notices["/webhooks/sandbox/platform"])
    return [notice for notice in arrived if notice.json["data"]["order"]["reference"] == reference]


def arrived(told: Listener, reference: str, count: int = 1) -> list[Notice]:
    eventually(lambda: len(notices(told, reference)) >= count, f"{count} notices")
    return notices(told, reference)


def paid_intent(wallet: Wallet, intent: PaymentIntent, behaviour: str = "lose") -> Payment:
    """Paid at the wallet, and booked here by asking."""
    approve(wallet, intent, behaviour)
    take(intent, sandbox.query(intent.provider_account, Ref(intent.reference)))
    return Payment.objects.select_related("intent", "provider_account").get(intent=intent)


def proved(account: ProviderAccount, notice: Notice) -> Verified:
    return sandbox.verify(account, Delivery(notice.body, notice.headers), now=timezone.now())


def meaning_of(verified: Verified) -> Sequence[Event]:
    return sandbox.normalise(ProviderAccount(), verified)


def take(intent: PaymentIntent, verified: Verified) -> None:
    inbox.keep(account=intent.provider_account, verified=verified, now=timezone.now())
    reconcile.drain(clock=timezone.now)


def asked_back(mei: Person, payment: Payment, amount: int) -> Refund:
    return refunds.request(staff=mei.staff, payment=payment, amount=amount, reason="", now=timezone.now())


# --- Against the wallet ----------------------------------------------------------------------------------------------


def test_the_module_answers_by_its_name() -> None:
    assert named("sandbox").__dict__["__name__"] == "payments.providers.sandbox"
    assert (enabled("sandbox"), enabled("nobody")) == (True, False)
    with pytest.raises(KeyError):
        named("nobody")


def test_an_order_is_started_once_however_often_it_is_asked_for(
    account: ProviderAccount, intent: PaymentIntent
) -> None:
    back = Visit(f"http://127.0.0.1/r/{intent.receipt}")
    fresh = PaymentIntent(
        id=ids.new(), amount=50, currency="CNY", description="Pears", expires_at=intent.expires_at, receipt="x"
    )
    first, again = sandbox.start(account, fresh, back), sandbox.start(account, fresh, back)
    assert first == again
    assert first.object_id.startswith("wor_")
    assert first.redirect_url.endswith(f"/pay/{first.object_id}")


def test_an_order_is_asked_about_in_every_state(
    account: ProviderAccount, wallet: Wallet, intent: PaymentIntent
) -> None:
    def events() -> list[tuple[str, str, int, bool]]:
        answer = sandbox.query(account, Ref(intent.reference))
        assert answer.authority == "queried"
        return [(e.kind, e.reference, e.amount, e.final) for e in meaning_of(answer)]

    assert events() == [("payment.pending", intent.reference, 200, False)]
    approve(wallet, intent, "double,lose")
    assert events() == [("payment.succeeded", intent.reference, 200, True)] * 2


def test_a_closed_order_says_so_again_and_again(account: ProviderAccount, intent: PaymentIntent) -> None:
    first, again = sandbox.close(account, intent), sandbox.close(account, intent)
    assert [(e.kind, e.reference, e.final) for e in meaning_of(first)] == [("payment.closed", intent.reference, True)]
    assert first.delivery_id == again.delivery_id


def test_closing_an_order_that_was_paid_tells_of_the_payment(
    account: ProviderAccount, wallet: Wallet, intent: PaymentIntent
) -> None:
    approve(wallet, intent, "lose")
    assert [e.kind for e in meaning_of(sandbox.close(account, intent))] == ["payment.succeeded"]


def test_a_notification_of_the_wallet_is_proved_and_read(
    account: ProviderAccount, wallet: Wallet, told: Listener, intent: PaymentIntent
) -> None:
    approve(wallet, intent)
    notice = arrived(told, intent.reference)[0]
    verified = proved(account, notice)
    assert (verified.delivery_id, verified.raw, verified.authority) == (notice.json["id"], notice.body, "signed")
    assert set(verified.headers) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    event = meaning_of(verified)[0]
    payment = notice.json["data"]["payment"]
    assert (event.kind, event.object_id, event.amount, event.currency, event.reference) == (
        "payment.succeeded",
        payment["id"],
        200,
        "CNY",
        intent.reference,
    )
    assert event.occurred_at == datetime.fromisoformat(payment["occurred_at"])


def test_a_forged_notification_is_refused_and_the_good_one_beside_it_is_not(
    account: ProviderAccount, wallet: Wallet, told: Listener, intent: PaymentIntent
) -> None:
    approve(wallet, intent, "forge")
    verdicts: list[str] = []
    for notice in arrived(told, intent.reference, 2):
        try:
            verdicts.append(proved(account, notice).authority)
        except UnableToVerify as refusal:
            verdicts.append(refusal.code)
    assert sorted(verdicts) == ["signature_wrong", "signed"]


def test_a_refusing_payers_notification_is_final(
    account: ProviderAccount, wallet: Wallet, told: Listener, intent: PaymentIntent
) -> None:
    wallet.session.post(intent.redirect_url, data={"decision": "refuse"}, allow_redirects=False, timeout=5)
    notice = arrived(told, intent.reference)[0]
    event = meaning_of(proved(account, notice))[0]
    assert (event.kind, event.reference, event.final) == ("payment.failed", intent.reference, True)


def test_a_secret_is_rotated_while_the_wallet_goes_on(
    account: ProviderAccount, wallet: Wallet, told: Listener, intent: PaymentIntent
) -> None:
    old = credentials.of(account)["webhook_secrets"]
    new = "whsec_" + "bmV3IHNlY3JldCBvZiB0aGlydHktdHdvIGJ5dGVz"
    account.sealed_credentials = credentials.sealed(
        {"api_key": credentials.of(account)["api_key"], "webhook_secrets": f"{new} {old}"}
    )
    account.save()
    sandbox.register(account)
    approve(wallet, intent)
    notice = arrived(told, intent.reference)[0]
    assert notice.verifies(new)
    assert proved(account, notice).authority == "signed"


def test_a_refund_is_asked_for_once_under_its_reference(mei: Person, apples: Item, tmp_path: Path) -> None:
    with running_wallet(tmp_path, pace=UNDECIDED) as wallet, known_at(wallet) as account:
        payment = paid_intent(wallet, start(apples.codes.get()))
        refund = asked_back(mei, payment, 80)
        answers = [sandbox.refund(account, refund, payment.object_id) for _ in range(2)]
        mine = [row for row in wallet.books()["refunds"] if row["payment_id"] == payment.object_id]
    event = meaning_of(answers[0])[0]
    assert (event.kind, event.amount, event.currency) == ("refund.pending", 80, "CNY")
    assert (event.reference, event.parent_object_id, event.final) == (refund.reference, payment.object_id, False)
    assert [(row["reference"], row["amount"]) for row in mine] == [(refund.reference, 80)]


@pytest.mark.parametrize(("behaviour", "kind"), [("", "refund.succeeded"), ("refund_fail", "refund.failed")])
def test_the_wallets_word_on_a_refund_is_proved_and_read(
    account: ProviderAccount,
    wallet: Wallet,
    told: Listener,
    mei: Person,
    intent: PaymentIntent,
    behaviour: str,
    kind: str,
) -> None:
    payment = paid_intent(wallet, intent, behaviour)
    refund = asked_back(mei, payment, 80)
    sandbox.refund(account, refund, payment.object_id)
    notice = arrived(told, intent.reference, 2)[-1]
    event = meaning_of(proved(account, notice))[0]
    assert (event.kind, event.reference, event.parent_object_id, event.amount) == (
        kind,
        refund.reference,
        payment.object_id,
        80,
    )


def test_a_refund_that_the_wallet_refuses_has_failed(
    account: ProviderAccount, wallet: Wallet, mei: Person, intent: PaymentIntent
) -> None:
    payment = paid_intent(wallet, intent)
    elsewhere = Refund(id=ids.new(), amount=150, currency="CNY")
    sandbox.refund(account, elsewhere, payment.object_id)  # Somebody refunded at the wallet's own desk.
    refund = asked_back(mei, payment, 80)

    answer = sandbox.refund(account, refund, payment.object_id)

    event = meaning_of(answer)[0]
    assert (event.kind, event.object_id, event.reference, event.amount) == ("refund.failed", "", refund.reference, 80)
    assert b"refund_too_large" in answer.raw
    take(intent, answer)
    refund.refresh_from_db()
    assert refund.state == "failed"


def test_a_settlement_file_lists_payments_and_refunds_of_the_day(
    account: ProviderAccount, wallet: Wallet, mei: Person, intent: PaymentIntent
) -> None:
    payment = paid_intent(wallet, intent)
    refund = asked_back(mei, payment, 80)
    sandbox.refund(account, refund, payment.object_id)
    today = datetime.now(UTC).date()

    def mine() -> list[tuple[str, int, int, str]]:
        rows = rows_of_day(account, today)
        return [
            (row.kind, row.amount, row.fee, row.currency)
            for row in rows
            if row.reference in (intent.reference, refund.reference)
        ]

    eventually(lambda: len(mine()) == 2, "the refund in the settlement")
    assert mine() == [("payment", 200, 0, "CNY"), ("refund", -80, 0, "CNY")]


def test_a_day_without_money_has_an_empty_settlement(account: ProviderAccount) -> None:
    assert list(rows_of_day(account, date(2020, 1, 1))) == []


@pytest.mark.parametrize(
    ("ask", "told_by"),
    [
        (lambda account: list(rows_of_day(account, date(2999, 1, 1))), "404"),
        (lambda account: sandbox.refund(account, Refund(id=ids.new(), amount=5, currency="CNY"), "wpy_none"), "404"),
    ],
)
def test_what_the_wallet_does_not_know_is_a_failure_that_will_not_pass(
    account: ProviderAccount, ask: Callable[[ProviderAccount], object], told_by: str
) -> None:
    with pytest.raises(ProviderError, match=told_by) as failure:
        ask(account)
    assert failure.value.permanent is True


def test_an_order_that_the_wallet_never_heard_of_is_an_answer_that_says_nothing(account: ProviderAccount) -> None:
    answer = sandbox.query(account, Ref("int_unknown"))
    assert (answer.authority, list(meaning_of(answer))) == ("queried", [])


def test_a_wrong_api_key_is_a_failure_that_will_not_pass(account: ProviderAccount, intent: PaymentIntent) -> None:
    account.sealed_credentials = credentials.sealed({"api_key": "not the key", "webhook_secrets": "whsec_YQ=="})
    with pytest.raises(ProviderError, match="401") as failure:
        sandbox.query(account, Ref(intent.reference))
    assert failure.value.permanent is True
    assert "not the key" not in str(failure.value)


def test_the_wallet_can_refuse_an_account(account: ProviderAccount, settings: LazySettings) -> None:
    settings.SANDBOX_CONTROL_KEY = "the wrong control key"
    with pytest.raises(ProviderError, match="refused with 401"):
        sandbox.register(account)


# --- Against servers that fail ---------------------------------------------------------------------------------------


@contextmanager
def answering(status: int, body: bytes, *, delay_s: float = 0.0) -> Iterator[str]:
    """A server that answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(delay_s)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  http.server names it so.

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # A client that hangs up is expected here.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def failure_of(settings: LazySettings, url: str) -> ProviderError:
    settings.SANDBOX_URL = url
    with pytest.raises(ProviderError) as failure:
        sandbox.query(platform(), Ref("int_x"))
    return failure.value


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(400, True), (401, True), (404, True), (409, True), (422, True), (429, False), (500, False), (503, False)],
)
def test_a_refusal_will_not_pass_and_a_breakdown_may(
    db: None, settings: LazySettings, status: int, permanent: bool
) -> None:
    with answering(status, b'{"error": {"code": "so"}}') as url:
        assert failure_of(settings, url).permanent is permanent


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"\xff\xfe", b'{"cut": '])
def test_an_answer_that_is_no_json_may_pass(db: None, settings: LazySettings, body: bytes) -> None:
    with answering(200, body) as url:
        failure = failure_of(settings, url)
    assert (str(failure), failure.permanent) == ("the answer is no JSON", False)


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b"{}", b'{"id": 7}'])
def test_an_answer_of_another_form_is_a_failure_of_the_wallet_and_not_ours(
    db: None, settings: LazySettings, apples: Item, body: bytes
) -> None:
    account = platform()
    fresh = PaymentIntent(id=ids.new(), amount=5, currency="CNY", expires_at=timezone.now(), receipt="x")
    with answering(200, body) as url:
        settings.SANDBOX_URL = url
        with pytest.raises(ProviderError):
            sandbox.start(account, fresh, Visit("http://127.0.0.1/r/x"))


def test_a_server_that_does_not_answer_is_left_in_time(db: None, settings: LazySettings) -> None:
    settings.OUTWARD_TIMEOUT_S = (0.2, 0.2)
    with answering(200, b"{}", delay_s=0.6) as url:
        began = time.monotonic()
        failure = failure_of(settings, url)
        assert time.monotonic() - began < 0.6
    assert (str(failure), failure.permanent) == ("cannot be reached: ReadTimeout", False)


def test_a_server_that_hangs_up_may_come_back(db: None, settings: LazySettings) -> None:
    settings.OUTWARD_TIMEOUT_S = (0.2, 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def hang_up() -> None:
            listening.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert failure_of(settings, address).permanent is False
        thread.join()


HEAD = "kind,id,order_reference,refund_reference,amount,fee,net,currency,occurred_at\r\n"
ROW = "payment,wpy_1,int_1,,200,0,200,CNY,2026-11-22T12:00:00Z\r\n"
ROW_2 = "refund,wrf_1,int_1,rfd_1,-50,0,-50,CNY,2026-11-22T13:00:00Z\r\n"
FOOT = "total,2,,,150,0,150,CNY,\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        HEAD + ROW + ROW_2,
        HEAD + ROW + FOOT,
        HEAD + ROW_2 + FOOT,
        HEAD + ROW + ROW_2 + ROW_2 + FOOT,
        HEAD + ROW + ROW_2.replace("-50,0,-50", "-60,0,-60") + FOOT,
        HEAD + ROW + ROW_2.replace("CNY", "USD") + FOOT,
        HEAD + ROW + ROW_2 + FOOT.replace("2", "3", 1),
        HEAD + FOOT,
    ],
)
def test_a_settlement_file_that_was_cut_or_does_not_add_up_gives_no_row(
    db: None, settings: LazySettings, text: str
) -> None:
    with answering(200, text.encode()) as url:
        settings.SANDBOX_URL = url
        rows = rows_of_day(platform(), date(2026, 11, 22))
        with pytest.raises(ProviderError, match="does not add up") as failure:
            next(rows)
    assert failure.value.permanent is False


def test_a_settlement_file_that_adds_up_is_read(db: None, settings: LazySettings) -> None:
    with answering(200, (HEAD + ROW + ROW_2 + FOOT).encode()) as url:
        settings.SANDBOX_URL = url
        rows = list(rows_of_day(platform(), date(2026, 11, 22)))
    assert [(row.object_id, row.reference, row.amount) for row in rows] == [
        ("wpy_1", "int_1", 200),
        ("wrf_1", "rfd_1", -50),
    ]


@pytest.mark.parametrize(
    "text", [HEAD + "payment,wpy_1\r\n" + FOOT, HEAD + ROW.replace("200", "two") + FOOT, "a,b\n1,2"]
)
def test_a_settlement_file_of_another_form_is_a_failure_of_the_wallet(
    db: None, settings: LazySettings, text: str
) -> None:
    with answering(200, text.encode()) as url:
        settings.SANDBOX_URL = url
        with pytest.raises(ProviderError):
            list(rows_of_day(platform(), date(2026, 11, 22)))


# --- Pure ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        {"refund": {"state": "upside down"}},
        {"refund": {"state": "succeeded", "id": "r", "payment_id": "p", "amount": "5", "currency": "CNY"}},
        {"state": "open"},
        {"state": "paid", "payments": [{}], "refunds": []},
        {"refused": "no"},
        ["a list"],
    ],
)
def test_an_answer_that_makes_no_sense_cannot_be_read(message: object) -> None:
    with pytest.raises(UnableToRead):
        sandbox.normalise(ProviderAccount(), Verified("queried:1", json.dumps(message).encode(), "queried"))


def test_the_wallet_is_answered_as_it_demands() -> None:
    assert (sandbox.acknowledge().status, sandbox.acknowledge().body) == (204, b"")
    assert sandbox.acknowledge("signature_wrong").status == 400


def test_an_answer_is_named_by_its_content(account: ProviderAccount, intent: PaymentIntent) -> None:
    first = sandbox.query(account, Ref(intent.reference))
    assert first.delivery_id == sandbox.query(account, Ref(intent.reference)).delivery_id
    assert first.delivery_id.startswith("queried:")
    assert first.delivery_id != sandbox.close(account, intent).delivery_id
    assert intent.expires_at - intent.created_at == timedelta(minutes=15)
