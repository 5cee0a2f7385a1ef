"""The cast of the tests: people who sign in by the product's own steps, and how a refusal is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from merchants import bell, seals, sign_in
from merchants.models import Shop, Staff, TextMessage, Token, User


@dataclass(frozen=True)
class Person:
    """Somebody of the cast, with her role in a shop and a token for it."""

    phone: str
    user: User
    shop: Shop
    staff: Staff
    token: str

    def api(self) -> APIClient:
        """A client that sends her token."""
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.token}")
        return client


MEI_PHONE = "+8613800138000"
ARJUN_PHONE = "+919876543210"
LAN_PHONE = "+8613900139000"


def empty_tables() -> None:
    """Deletes every row but Django's own of the migrations, in a session that runs no triggers."""
    assert str(connection.settings_dict["NAME"]).startswith("test_"), "only a database of the tests is emptied"
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table in connection.introspection.table_names(cursor):
            if table not in {"django_migrations", "django_content_type", "auth_permission"}:
                cursor.execute(f'DELETE FROM "{table}"')
        cursor.execute("SET session_replication_role = origin")


def open_shop(phone: str, name: str) -> Person:
    """Signs somebody in for the first time, by the product's own steps but the text message."""
    now = timezone.now()
    sign_in.send_code(phone=phone, address="127.0.0.1", now=now)
    signed_in = sign_in.redeem(phone=phone, code=code_sent_to(phone), shop_name=name, now=now)
    staff = Staff.objects.get(user=signed_in.user, shop=signed_in.shop)
    bell.store().flushdb()  # What this cost is not part of the test's own budgets.
    return Person(phone, signed_in.user, signed_in.shop, staff, signed_in.token)


def hire(shop: Shop, phone: str, role: str = Staff.Role.ASSISTANT) -> Person:
    """Somebody who works in the shop already."""
    user = User.objects.create_user(phone)
    staff = Staff.objects.create(user=user, shop=shop, role=role)
    _row, token = Token.objects.create(user, shop=shop)
    return Person(phone, user, shop, staff, token)


def code_sent_to(phone: str) -> str:
    """The code in the newest unsent text to that phone, read as the sender will read it."""
    message = TextMessage.objects.filter(phone=phone).latest("id")
    return unsealed(message)["code"]


def unsealed(message: TextMessage) -> dict[str, str]:
    body: dict[str, str] = json.loads(seals.unseal(bytes(message.sealed_body)))
    return body


def problem(response: Any) -> tuple[int, str]:
    """Status and code of a refusal, which must be a problem document."""
    assert response.headers["Content-Type"] == "application/problem+json", response.content
    body = response.json()
    assert body["status"] == response.status_code
    return response.status_code, body["code"]


def field_problems(response: Any) -> dict[str, str]:
    """The code of every field that was refused."""
    assert problem(response) == (400, "invalid")
    return {error["field"]: error["code"] for error in response.json()["errors"]}
