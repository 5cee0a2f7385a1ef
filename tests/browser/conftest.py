"""Fixtures: the whole product as `make up` starts it, and Chromium on a phone's screen."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import psutil  # type: ignore[import-untyped]
import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.past import Past, retired
from tests.push_service import Service, push_service

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ROOT = Path(__file__).parents[2]
READY_LIMIT_S = 120
expect.set_options(timeout=20_000)  # Of what must come: beside busy neighbours Playwright's own 5 s are not enough.
PHONE = {"width": 360, "height": 740}


@dataclass
class Product:
    """The running product, and the vendor's side of it over the API."""

    url: str
    wallet_url: str
    data: Path
    supervisor: int
    past: Past | None = None

    def lose_streams(self) -> None:
        """Kills the process of the event stream: every open line is cut at once. The supervisor starts it again."""
        for child in psutil.Process(self.supervisor).children():
            if "uvicorn" in child.cmdline():
                child.kill()

    def manage(self, *words: str) -> str:
        """A command of ours beside the running product: what it printed."""
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(self.data)}
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def code_sent_to(self, phone: str) -> str:
        """The newest code in the outbox for that phone (E.164)."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            messages = requests.get(f"{self.url}/dev/outbox", timeout=10).json()["results"]
            for message in messages:
                if message["phone"] == phone:
                    return str(message["code"])
            time.sleep(0.1)
        raise AssertionError(f"no text message to {phone}")

    def vendor(self) -> Vendor:
        phone = new_phone()
        api = f"{self.url}/api/v1"
        assert requests.post(f"{api}/auth/code", json={"phone": phone}, timeout=10).status_code == 202
        asked = {"phone": phone, "code": self.code_sent_to(phone), "shop_name": "Mei's fruit"}
        answer = requests.post(f"{api}/auth/token", json=asked, timeout=10)
        assert answer.status_code == 201, answer.text
        vendor = Vendor(api, answer.json()["token"])
        vendor.lives_by_day()
        return vendor


@dataclass
class Vendor:
    """A shop's owner who has signed in."""

    api: str
    token: str
    session: requests.Session = field(default_factory=requests.Session)

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": secrets.token_hex(8)}
        answer = self.session.post(self.api + path, json=body, headers=headers, timeout=10)
        assert answer.status_code == 201, answer.text
        made: dict[str, object] = answer.json()
        return made

    def lives_by_day(self) -> None:
        """At whatever hour tests run, the shop's day is hours from its end: what is sold today stays today's."""
        here = 1 <= datetime.now(ZoneInfo("Asia/Shanghai")).hour < 20
        asked = {"time_zone": "Asia/Shanghai" if here else "Europe/London"}
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.session.patch(f"{self.api}/shop", json=asked, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text


def until_paid(receipt: str) -> str:
    """Waits until the receipt says so, for the wallet may tell us of a later payment first; answers its address."""
    end = time.monotonic() + 20
    while 'data-kind="paid"' not in (page := requests.get(receipt, timeout=10).text):
        assert time.monotonic() < end, page
        time.sleep(0.02)
    return receipt


def new_phone() -> str:
    return f"+86138{secrets.randbelow(10**8):08d}"


@pytest.fixture(autouse=True)
def no_day_ends() -> None:
    """No test begins in the last two minutes of a day: Shanghai's, where a shop is that is opened in a browser, or
    UTC's, by which the wallet settles. It waits for the next."""
    for zone in ("Asia/Shanghai", "UTC"):
        while datetime.now(ZoneInfo(zone)).time().isoformat() > "23:58":
            time.sleep(1)


@pytest.fixture(scope="session")
def push_services() -> Iterator[Service]:
    """Where the browsers of these tests are pushed to: Chromium's own service is not reached from here."""
    with push_service() as service:
        yield service


@pytest.fixture(scope="session")
def product(push_services: Service) -> Iterator[Product]:
    """Started with nothing in its environment but a port, a folder and that service, as on a fresh machine."""
    with running(push_services.outside.url) as started:
        yield started


@pytest.fixture(scope="session")
def archived(product: Product) -> Past:
    """The shop of which a month has retired."""
    assert product.past is not None
    return product.past


@contextmanager
def running(push_origin: str = "") -> Iterator[Product]:
    """The product from its start to its end; `push_origin` is a push service that it may send to."""
    folder = Path(tempfile.mkdtemp(prefix="pushcart-browser-"))
    folder.chmod(0o711)  # The database's own user passes through to its folder.
    port = _free_ports(4)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    log = folder / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.up"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                **kept,
                "PORT": str(port),
                "DATA_DIR": str(folder / "data"),
                "PUSH_EXTRA_ORIGINS": push_origin,
            },
            cwd=ROOT,
        )
    try:
        _wait_until_ready(process, log)
        started = Product(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 2}", folder / "data", process.pid)
        started.past = retired(started)
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        home = folder / "data" / "servers.home"
        for place in ([Path(home.read_text().strip())] if home.exists() else []) + [folder]:
            shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Closed with its module: while Playwright's event loop runs, Django refuses its database to the same thread."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM} (apt install chromium, or set CHROMIUM)")
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What broke a policy or failed in a page. A test that provokes one reads it and clears the list."""
    return []


@pytest.fixture
def phone(chromium: Browser, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens a page on a new phone: its own cookies and storage. A complaint that is left fails the test."""
    contexts: list[BrowserContext] = []

    def new(**options: object) -> Page:
        given = {"viewport": PHONE, "device_scale_factor": 2, "has_touch": True, "locale": "en", **options}
        context = chromium.new_context(**given)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None,
        )
        return page

    yield new
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def screenshot(tmp_path: Path) -> Callable[[Page, str], Path]:
    """Keeps a picture of a page: in SCREENSHOTS when that is set, else in the test's own folder."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))

    def keep(page: Page, name: str) -> Path:
        path = folder / f"{name}.png"
        page.screenshot(path=path)
        return path

    return keep


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_LIMIT_S
    while "Pushcart is ready" not in log.read_text():
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"the product did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.1)


def _free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    for first in range(21_000 + secrets.randbelow(5_000), 60_000, count):
        probes = [socket.socket() for _ in range(count)]
        try:
            for offset, probe in enumerate(probes):
                probe.bind(("127.0.0.1", first + offset))
        except OSError:
            continue
        else:
            return first
        finally:
            for probe in probes:
                probe.close()
    raise AssertionError("no free ports")
