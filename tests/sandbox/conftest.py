"""Fixtures: a running pretend wallet, the server it tells its merchants at, and shops that have accounts there."""

import base64
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox.pretend_shop import Listener, Shop, Wallet


@pytest.fixture(scope="session")
def listener() -> Iterator[Listener]:
    server = Listener()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def wallet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wallet]:
    running = Wallet(tmp_path_factory.mktemp("wallet") / "wallet.sqlite3")
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_wallet(tmp_path: Path) -> Iterator[Wallet]:
    """A wallet of the test's own, to be stopped, killed and started again."""
    running = Wallet(tmp_path / "wallet.sqlite3")
    running.start()
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def new_shop(listener: Listener) -> Callable[[Wallet], Shop]:
    """Makes a shop that has an account at a wallet."""

    def make(wallet: Wallet) -> Shop:
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        shop = Shop(wallet, listener, f"shop-{secrets.token_hex(6)}", secrets.token_hex(16), secret)
        assert shop.register().status_code == 200
        return shop

    return make


@pytest.fixture
def shop(wallet: Wallet, new_shop: Callable[[Wallet], Shop]) -> Shop:
    return new_shop(wallet)
