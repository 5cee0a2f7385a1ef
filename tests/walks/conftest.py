"""Fixtures: the running product, an account at its wallet, and the ends of the logs when a walk fails."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from io import StringIO
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from payments.models import ProviderAccount
from tests.sandbox.pretend_shop import CONTROL_KEY
from tests.walks.running import Product


@pytest.fixture(scope="package")
def running(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Product]:
    """One product for all walks: starting it takes longer than any of them."""
    started = Product()
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture
def product(running: Product, real_db: None, settings: LazySettings) -> Iterator[Product]:
    """The running product on an empty database; what is done in the test's own process speaks to it too."""
    settings.PUBLIC_URL, settings.SANDBOX_URL, settings.SANDBOX_CONTROL_KEY = (
        running.url,
        running.wallet.url,
        CONTROL_KEY,
    )
    running.told()
    yield running
    running.heal()


@pytest.fixture
def account(product: Product) -> ProviderAccount:
    """The platform's account at the wallet. Each test has its own, for the wallet's books are never emptied."""
    name = f"walk-{secrets.token_hex(4)}"
    call_command("enable_sandbox", name=name, stdout=StringIO())
    return ProviderAccount.objects.get(name=name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """A walk that failed shows what the processes wrote meanwhile."""
    report = yield
    used = getattr(item, "funcargs", {}).get("running")
    if report.when == "call" and report.failed and isinstance(used, Product):
        report.sections.append(("the processes' logs", used.told()))
    return report
