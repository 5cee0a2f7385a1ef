"""The product's own processes on the tests' database: web, worker, beat and stream as `make up` starts them.

The pretend wallet runs beside them at a fast pace, and Valkey is one of the product's own: a test may kill it.
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4

import redis
import requests
from django.conf import settings
from django.db import connection
from django.utils import timezone

from config import embedded, product
from config.data_folder import DataFolder, claim
from config.processes import Process, end_group
from merchants import ids
from merchants.models import Code
from payments import providers
from payments.models import IntentTimer, LedgerEntry, Payment, PaymentIntent, ProviderAccount, QueuedEvent, Refund
from payments.providers.base import Visit
from qr.management.commands.demo import Api
from tests.networks.every import EVERY
from tests.sandbox.pretend_shop import CONTROL_KEY, Wallet, eventually
from tests.services import PREFIX
from tests.test_stream import Ear, Server, database_url
from tests.test_up import free_ports
from tests.till import assert_books_hold, expect, total

PACE = 0.02  # The wallet's second is 20 ms: the ten seconds of `delay` are 200 ms.
START_LIMIT_S = 60.0
TIMEOUT_S = 15
VALKEY = "valkey"


class Product:
    """Everything that serves, works and tells; every process can be paused, killed and started again."""

    def __init__(self) -> None:
        self.folder: DataFolder = claim(Path(tempfile.mkdtemp(prefix=f"{PREFIX}walks-")))
        self.folder.path.chmod(0o711)  # An unprivileged server passes through to its own folder.
        (self.folder.path / "metrics").mkdir()
        self.port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.stream_url = f"http://127.0.0.1:{self.port + product.PORTS['event stream']}/api/v1/notices/stream"
        self.wallet = Wallet(self.folder.path / "wallet.sqlite3")
        self.programs: dict[str, product.Program] = {}
        self.networks = {provider: network() for provider, network in EVERY.items()}
        self._read: dict[Path, int] = {}

    def start(self) -> None:
        """Starts everything and returns when all of it is ready."""
        self.wallet.start(PACE)
        for network in self.networks.values():
            network.__enter__()
        stores = embedded.start(self.folder, environment={"DATABASE_URL": database_url()})
        [self.valkey] = stores.servers
        self._home = stores.home
        variables = self._variables(stores.redis_url)
        environment = {**os.environ, **variables, "PYTHONUNBUFFERED": "1"}
        made = product.programs(self.folder, variables, environment)
        self.programs = {program.name: program for program in made if program.name != "wallet"}
        for program in self.programs.values():
            program.start()
        for name in self.programs:
            self._await(name)

    def stop(self) -> None:
        """Ends every process at once (how they stop in order is another test's) and deletes what they wrote."""
        for program in self.programs.values():
            if program.process is not None:
                end_group(program.process.pid)
                program.process.wait(10)
        if self.wallet.process.poll() is None:
            self.wallet.stop()
        for network in self.networks.values():
            network.__exit__()
        self.valkey.stop()
        for place in {self.folder.path, self._home or self.folder.path}:
            shutil.rmtree(place, ignore_errors=True)
        self.folder.release()

    def pause(self, name: str) -> None:
        """Makes the process and its children stand still: they hold what they hold and answer nobody."""
        os.killpg(self._process(name).pid, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Lets it go on."""
        if self._process(name).poll() is None:
            os.killpg(self._process(name).pid, signal.SIGCONT)

    def kill(self, name: str) -> None:
        """`kill -9` of the process and of all its children; nothing of it lives when this returns."""
        os.killpg(self._process(name).pid, signal.SIGKILL)
        self._process(name).wait(10)

    def revive(self, name: str) -> None:
        """Starts a process again, on the same ports and with the same data; returns when it is ready."""
        if name == VALKEY:
            self.valkey.start()
        else:
            self.programs[name].start()
            self._await(name)

    def heal(self) -> None:
        """Whatever a test did: everything runs again."""
        for name in (VALKEY, *self.programs):
            self.resume(name)
            if self._process(name).poll() is not None:
                self.revive(name)

    @contextmanager
    def second_worker(self) -> Iterator[None]:
        """Another process that posts, as an installation that has grown may have it."""
        first = self.programs["worker"]
        command = [*first.command, "--hostname=second@%h"]  # The last of an option counts.
        second = replace(first, command=command, log=first.log.with_name("second.log"), process=None)
        second.start()
        try:
            with redis.Redis.from_url(self.valkey.url) as broker:

                def all_wait() -> bool:
                    return bool(sum(client["cmd"] == "brpop" for client in broker.client_list()) == 3)

                eventually(all_wait, "the second worker to wait for work", within_s=START_LIMIT_S)
            yield
        finally:
            assert second.process is not None
            end_group(second.process.pid)
            second.process.wait(10)

    def text_to(self, phone: str) -> str:
        """The newest code that was sent to this phone (E.164), as the outbox shows it."""
        found: list[str] = []

        def sent() -> bool:
            messages = requests.get(f"{self.url}/dev/outbox", timeout=TIMEOUT_S).json()["results"]
            found[:] = [message["code"] for message in messages if message["phone"] == phone]
            return bool(found)

        eventually(sent, f"a text message to {phone}", within_s=20)
        return found[0]

    def api(self, token: str = "") -> Api:
        """The public API, spoken with this token."""
        client = Api(f"{self.url}/api/v1")
        client.token = token
        return client

    def listen(self, token: str, after: int = 0) -> Ear:
        """A phone that hears the live stream from the notice after this number on."""
        process = self.programs["stream"].process
        assert process is not None
        return Ear(Server(self.stream_url, process), token, Last_Event_ID=str(after))

    def told(self) -> str:
        """What the logs have said since this was asked last, the end of each."""
        pieces = []
        for log in sorted((self.folder.path / "logs").glob("*.log")):
            text = log.read_text(errors="replace")
            news = text[self._read.get(log, 0) :]
            self._read[log] = len(text)
            pieces.append(f"--- {log.name}\n" + "\n".join(news.splitlines()[-40:]))
        return "\n".join(pieces)

    def _variables(self, redis_url: str) -> dict[str, str]:
        path = self.folder.path
        return {
            "PORT": str(self.port),
            "INTERNAL_PORT": str(self.port + product.PORTS["internal figures"]),
            "DATA_DIR": str(path),
            "MEDIA_ROOT": str(path / "media"),
            "PUBLIC_URL": self.url,
            "STREAM_URL": self.stream_url.removesuffix("/api/v1/notices/stream"),
            "SANDBOX_URL": self.wallet.url,
            "SANDBOX_CONTROL_KEY": CONTROL_KEY,
            "PROMETHEUS_MULTIPROC_DIR": str(path / "metrics"),
            "DATABASE_URL": database_url(),
            "REDIS_URL": redis_url,
            # Walks come from this machine: here it is its own proxy.
            "TRUSTED_PROXIES": "127.0.0.1",
            **{
                name: _written(value)
                for network in self.networks.values()
                for name, value in network.settings().items()
            },
        }

    def _process(self, name: str) -> Process:
        process = self.valkey.process if name == VALKEY else self.programs[name].process
        assert process is not None
        return process

    def _await(self, name: str) -> None:
        program = self.programs[name]
        eventually(program.ready, f"{name} to be ready:\n{embedded.end_of(program.log)}", within_s=START_LIMIT_S)


def _written(value: object) -> str:
    """A setting as the environment holds it."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@dataclass
class Customer:
    """Somebody with a phone, who scans and pays: a cookie jar and nothing else of ours."""

    session: requests.Session = field(default_factory=requests.Session)

    def scan(self, url: str) -> str:
        """Opens the address on the sticker; answers the id that the page carries."""
        page = self.session.get(url, timeout=TIMEOUT_S)
        assert page.status_code == 200, page.text
        assert len(page.content) <= 10_000
        found = re.search(r'name="page" value="([^"]+)"', page.text)
        assert found, page.text
        return found[1]

    def pay(self, url: str, quantity: int = 1) -> str:
        """Scans and taps Pay; answers where in the wallet the payer is sent."""
        body = {"page": self.scan(url), "quantity": quantity}
        sent = self.session.post(f"{url}/pay", body, allow_redirects=False, timeout=TIMEOUT_S)
        assert sent.status_code == 303, sent.text
        return sent.headers["Location"]

    def approve(self, address: str, behaviour: str = "") -> str:
        """Approves in the wallet; answers the address of the receipt."""
        body = {"decision": "approve", "behaviour": behaviour}
        sent = self.session.post(address, body, allow_redirects=False, timeout=TIMEOUT_S)
        assert sent.status_code == 303, sent.text
        return sent.headers["Location"]

    def reads(self, receipt: str) -> str:
        """What the receipt says: its kind."""
        page = self.session.get(receipt, timeout=TIMEOUT_S)
        assert page.status_code == 200, page.text
        found = re.search(r'data-kind="(\w+)"', page.text)
        assert found, page.text
        return found[1]


def customers(code: Code, count: int, *, at_the_wallet: bool = True) -> list[PaymentIntent]:
    """So many customers who are about to pay 100, 101, 102 …: the first came all the way, the others are its copies.

    None falls silent while a test prepares: the wallet is not asked about them of our own accord.
    """
    first = expect(code, 100)
    copies = []
    for number in range(1, count):
        row = copy.copy(first)
        row.id, row.page, row.receipt = ids.new(timezone.now()), uuid4(), ids.secret(22)
        row.amount += number
        copies.append(row)
    PaymentIntent.objects.bulk_create(copies)
    IntentTimer.objects.bulk_create(
        IntentTimer(intent=row, provider_account=row.provider_account, next_close_at=row.expires_at) for row in copies
    )
    IntentTimer.objects.update(next_query_at=None)
    for row in copies if at_the_wallet else ():
        providers.named("sandbox").start(row.provider_account, row, Visit(f"{settings.PUBLIC_URL}/r/{row.receipt}"))
    return [first, *copies]


def approve(product: Product, account: ProviderAccount, intents: Iterable[PaymentIntent], behaviour: str = "") -> None:
    """All these payers approve at the same moment."""
    asked = {
        "references": [intent.reference for intent in intents],
        "account": account.name,
        "behaviour": behaviour,
    }
    answer = product.wallet.control("POST", "/approve", asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["refused"] == []


def attempts(product: Product, account: ProviderAccount) -> list[int | None]:
    """What every attempt of the wallet to tell us was answered; None where nothing answered."""
    events = product.wallet.control("GET", f"/deliveries?account={account.name}").json()["events"]
    return [attempt["status"] for event in events for attempt in event["attempts"]]


def undelivered(product: Product, account: ProviderAccount) -> int:
    """How many notifications the wallet still wants to deliver."""
    events = product.wallet.control("GET", f"/deliveries?account={account.name}").json()["events"]
    return sum(delivery["state"] == "waiting" for event in events for delivery in event["deliveries"])


def settle(product: Product, account: ProviderAccount, *, within_s: float = 30) -> None:
    """Waits until the wallet has told everything and all of it was applied; what waits for its time need not."""

    def done() -> bool:
        now = timezone.now()
        QueuedEvent.objects.filter(state="parked", due_at__gt=now).update(due_at=now)
        under_way = Refund.objects.filter(state="requested")
        under_way.filter(next_call_at__gt=now).update(next_call_at=now)
        if QueuedEvent.objects.exists() or under_way.exists() or undelivered(product, account):
            time.sleep(0.05)
            return False
        return not QueuedEvent.objects.exists()

    eventually(done, "everything to be told and applied", within_s=within_s)


def blocked_statements() -> list[str]:
    """The statements of this database that wait for somebody's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return [query for (query,) in cursor.fetchall()]


def assert_the_wallet_agrees(product: Product, account: ProviderAccount) -> None:
    """Our books are the wallet's: every payment, every refund, every sum; and every law of the book holds."""
    assert_books_hold()
    theirs = product.wallet.books()
    name = account.name
    payments = {row["id"]: (row["amount"], row["currency"]) for row in theirs["payments"] if row["account"] == name}
    ours = Payment.objects.filter(provider_account=account)
    assert {row.object_id: (row.amount, row.currency) for row in ours} == payments
    refunds = {row["id"]: (row["amount"], row["state"]) for row in theirs["refunds"] if row["account"] == name}
    back = Refund.objects.filter(payment__provider_account=account)
    assert {row.object_id: (row.amount, row.state) for row in back} == refunds
    nets = {currency: row["net"] for currency, row in theirs["accounts"][name].items()}
    assert {code: -total("provider_receivable", code, account=account) for code in nets} == nets
    assert LedgerEntry.objects.filter(kind="paid").count() == len(payments)
