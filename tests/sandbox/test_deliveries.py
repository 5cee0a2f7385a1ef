"""Notifications are sent until a 2xx comes back: through refusals, silence, restarts and new secrets."""

import base64
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import requests

from tests.sandbox.pretend_shop import CONTROL_KEY, PACE, Shop, Wallet, eventually


def test_a_notification_is_retried_under_its_id_until_it_is_accepted(shop: Shop) -> None:
    shop.answer_with(500, 404, 307, 200)
    shop.paid("retried")
    notices = shop.wait_for(4)
    assert len({notice.headers["webhook-id"] for notice in notices}) == 1
    assert len({notice.body for notice in notices}) == 1
    assert all(notice.verifies(shop.secret) for notice in notices)
    gaps = [later.at - earlier.at for earlier, later in pairwise(notices)]
    assert all(gap >= wait_s * PACE * 0.9 for gap, wait_s in zip(gaps, (1, 2, 5), strict=True))
    eventually(lambda: shop.events()[0]["deliveries"][0]["state"] == "delivered", "the delivery to end")
    (event,) = shop.events()
    assert [attempt["status"] for attempt in event["attempts"]] == [500, 404, 307, 200]
    assert event["deliveries"][0]["tries"] == 4
    assert all(datetime.fromisoformat(attempt["time"]).tzinfo for attempt in event["attempts"])
    assert shop.listener.notices["/elsewhere"] == []


def test_what_was_not_accepted_is_sent_after_a_kill_and_a_restart(
    own_wallet: Wallet, new_shop: Callable[[Wallet], Shop]
) -> None:
    shop = new_shop(own_wallet)
    shop.answer_with(*[503] * 100)
    for reference in ("kept-1", "kept-2", "kept-3"):
        shop.paid(reference)
    shop.wait_for(3)
    own_wallet.stop(signal.SIGKILL)
    shop.listener.answers[f"/{shop.account}"].clear()
    before = len(shop.notices)
    own_wallet.start()
    eventually(
        lambda: {event["deliveries"][0]["state"] for event in shop.events()} == {"delivered"}, "all to be delivered"
    )
    told = {notice.json["data"]["order"]["reference"] for notice in shop.notices[before:]}
    assert told == {"kept-1", "kept-2", "kept-3"}
    assert own_wallet.books()["accounts"][shop.account]["CNY"] == {"received": 600, "refunded": 0, "net": 600}


def test_an_endpoint_that_is_not_there_is_an_attempt_without_a_status(shop: Shop) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        shop.register(notify_url=f"http://127.0.0.1:{unused.getsockname()[1]}/")
        shop.paid("nobody-home")
        eventually(lambda: shop.events()[0]["attempts"], "an attempt")
        attempt = shop.events()[0]["attempts"][0]
        assert (attempt["status"], attempt["error"]) == (None, "ConnectionError")
        shop.register()
        assert shop.wait_for(1)[0].verifies(shop.secret)


def test_a_rotated_secret_signs_what_is_sent_from_then_on(shop: Shop) -> None:
    shop.answer_with(500, 500)
    shop.paid("rotated")
    shop.wait_for(1)
    new = "whsec_" + base64.b64encode(b"n" * 24).decode()
    assert shop.register(webhook_secret=new).status_code == 200
    last = shop.wait_for(3)[2]
    assert last.verifies(new)
    assert not last.verifies(shop.secret)


def test_one_account_that_hangs_does_not_silence_the_others(wallet: Wallet, new_shop: Callable[[Wallet], Shop]) -> None:
    hanging, prompt = new_shop(wallet), new_shop(wallet)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as deaf:
        hanging.register(notify_url=f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        for number in range(20):
            hanging.order(f"hang-{number}")
        hanging.approve(*(f"hang-{number}" for number in range(20)))
        time.sleep(0.1)
        begun = time.monotonic()
        prompt.paid("prompt")
        prompt.wait_for(1)
        assert time.monotonic() - begun < 2
    hanging.register()
    hanging.wait_for(20)


def test_deliveries_are_read_in_pages(shop: Shop, wallet: Wallet) -> None:
    for number in range(3):
        shop.paid(f"page-{number}")
    first = wallet.control("GET", f"/deliveries?account={shop.account}&limit=2").json()
    assert [event["reference"] for event in first["events"]] == ["page-0", "page-1"]
    rest = wallet.control("GET", f"/deliveries?account={shop.account}&limit=2&after={first['next']}").json()
    assert ([event["reference"] for event in rest["events"]], rest["next"]) == (["page-2"], None)


def test_a_refund_that_was_pending_at_a_restart_settles_after_it(
    tmp_path: Path, new_shop: Callable[[Wallet], Shop]
) -> None:
    wallet = Wallet(tmp_path / "slow.sqlite3")
    wallet.start(pace=2)
    shop = new_shop(wallet)
    payment = shop.paid("pending")["payments"][0]
    shop.call("POST", f"/payments/{payment['id']}/refunds", {"reference": "waits", "amount": 10})
    wallet.stop(signal.SIGKILL)
    wallet.start()
    try:
        eventually(lambda: shop.call("GET", "/refunds/waits").json()["state"] == "succeeded", "the refund to settle")
    finally:
        assert wallet.stop() == 0


def test_a_second_wallet_on_the_same_file_does_not_start(own_wallet: Wallet) -> None:
    command = [sys.executable, "-m", "payments.sandbox", "--port", "0", "--database", str(own_wallet.database)]
    second = subprocess.run(
        [*command, "--control-key", CONTROL_KEY],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (second.returncode, second.stdout) == (1, "")
    assert "is in use by another wallet" in second.stderr


def test_it_ends_at_once_on_sigterm_with_connections_open(own_wallet: Wallet) -> None:
    with requests.Session() as session:
        assert session.get(f"{own_wallet.url}/healthz", timeout=5).json() == {"status": "ok"}
        begun = time.monotonic()
        assert own_wallet.stop() == 0
        assert time.monotonic() - begun < 3
    assert own_wallet.database.stat().st_mode & 0o077 == 0


def test_a_notification_that_nobody_accepts_for_a_day_is_given_up(
    tmp_path: Path, new_shop: Callable[[Wallet], Shop]
) -> None:
    wallet = Wallet(tmp_path / "hasty.sqlite3")
    wallet.start(pace=5e-6)  # A day is less than half a second.
    try:
        shop = new_shop(wallet)
        shop.answer_with(*[500] * 2000)
        shop.paid("unwanted")
        eventually(lambda: shop.events()[0]["deliveries"][0]["state"] == "given_up", "the wallet to give up")
        tried = len(shop.notices)
        assert tried > 7
        time.sleep(0.05)
        assert len(shop.notices) == tried
    finally:
        assert wallet.stop() == 0
