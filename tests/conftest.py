"""What tests begin with: the cast, clients signed in with real tokens, and stores that are left clean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connections
from django.test.utils import setup_databases, teardown_databases
from django.utils import timezone, translation
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from merchants import bell, items
from merchants.models import Item
from payments import boundary, senders
from tests.cast import ARJUN_PHONE, LAN_PHONE, MEI_PHONE, Person, empty_tables, hire, open_shop

HALF_AN_HOUR_S = 1800

# Time is measured in bench/ and never asserted: beside a busy neighbour any example may take long.
hypothesis_settings.register_profile("pushcart", deadline=None)
hypothesis_settings.load_profile("pushcart")


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: DjangoDbBlocker, django_db_modify_db_settings: None
) -> Iterator[None]:
    """The test database, always: pytest-django's own makes none when only tests with `real_db` are run."""
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture(autouse=True)
def stores(settings: LazySettings, tmp_path: Path) -> Iterator[None]:
    """Redis is empty, no month is closed, and photos have a folder of their own in every test."""
    boundary.remember(None)
    settings.MEDIA_ROOT = tmp_path / "media"
    bell.store().flushdb()
    yield
    bell.store().flushdb()


@pytest.fixture(autouse=True)
def no_hour_ends() -> None:
    """No test begins in the last seconds of an hour, nor of a half, at which India's hours end: what it does now and
    what it asks for now would lie in two hours, days or months."""
    while time.time() % HALF_AN_HOUR_S > HALF_AN_HOUR_S - 5:
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def no_account() -> None:
    """A notification leaves its account remembered in its process; every test begins without one."""
    senders._remembered.clear()


@pytest.fixture(autouse=True)
def no_language() -> Iterator[None]:
    """A request leaves its language behind in its thread; every test begins without one."""
    yield
    translation.deactivate()


@pytest.fixture
def now() -> datetime:
    """One moment for the whole test."""
    return timezone.now()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> None:
    """The database the test asked for: committed rows with `real_db`, else a transaction that is rolled back."""
    request.getfixturevalue("real_db" if "real_db" in request.fixturenames else "db")


@pytest.fixture
def mei(database: None) -> Person:
    """Mei sells fruit from a cart in Guangzhou."""
    return open_shop(MEI_PHONE, "Mei's fruit")


@pytest.fixture
def arjun(database: None) -> Person:
    """Arjun sells tea in Mumbai; nothing of Mei's is his."""
    return open_shop(ARJUN_PHONE, "Arjun's tea")


@pytest.fixture
def lan(mei: Person) -> Person:
    """Lan helps Mei: an assistant, who sells and is never paid."""
    return hire(mei.shop, LAN_PHONE)


@pytest.fixture
def apples(mei: Person) -> Item:
    """A pile of apples for 2 yuan."""
    return items.create(shop=mei.shop, name="Apples", amount=200, unit="pile", photo=None, now=timezone.now())


@pytest.fixture
def api(mei: Person) -> APIClient:
    """Mei's client."""
    return mei.api()


@pytest.fixture
def stranger() -> APIClient:
    """A client without a token."""
    return APIClient()


@pytest.fixture
def real_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Committed rows, seen by other threads and processes; every table is empty again afterwards.

    The ledger's triggers refuse TRUNCATE and DELETE, so the rows go in a session that runs no triggers.
    """
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            empty_tables()
            connections.close_all()
