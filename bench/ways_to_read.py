"""One shop's book as it is read: as the API does, and as is usual; imported only after Django is set up."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

from django.db import connection
from rest_framework.pagination import PageNumberPagination
from rest_framework.test import APIClient, APIRequestFactory

from bench import cast
from merchants.models import Shop
from payments import ledger
from payments.book_views import ENTRY, EntriesView
from payments.models import LedgerEntry, Payment

PAGE = 50
ENTRIES = "/api/v1/ledger/entries"


class _Numbers(PageNumberPagination):
    page_size = PAGE


class _Numbered(EntriesView):
    pagination_class = _Numbers

    def get_queryset(self) -> Any:
        return super().get_queryset().order_by("-id")


class Book:
    """A shop of so many entries, half as many payments, and a token of its owner."""

    def __init__(self, shop: Shop, token: str, entries: int) -> None:
        self.shop, self.entries = shop, entries
        self.total = entries // 2 * cast.AMOUNT
        self._own = LedgerEntry.objects.filter(shop=shop)
        self._ids = {
            "middle": self._id(self._own, entries // 2),
            "last": self._id(self._own, entries - PAGE - 1),
            "payment": self._id(Payment.objects.filter(shop=shop), entries // 4),
        }
        self._account = ledger._find_accounts([next(iter(ledger._own_places(shop.id))).key(shop.currency)])
        self._client = APIClient()
        self._client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        self._factory, self._header = APIRequestFactory(), {"Authorization": f"Bearer {token}"}
        self._numbered = _Numbered.as_view()

    # --- A balance ---

    def balance(self) -> None:
        assert ledger.balance(shop=self.shop).total == self.total

    def one_row(self) -> None:
        [account] = self._account.values()
        assert self._asked("SELECT debits, credits FROM payments_accountbalance WHERE account_id = %s", [account])

    def added_up(self) -> None:
        [(held,)] = self._asked(
            "SELECT sum(CASE WHEN credit.shop_id = %(shop)s THEN amount ELSE 0 END"
            " - CASE WHEN debit.shop_id = %(shop)s THEN amount ELSE 0 END)"
            " FROM payments_ledgerentry entry"
            " JOIN payments_account debit ON debit.id = debit_id JOIN payments_account credit ON credit.id = credit_id"
            " WHERE entry.shop_id = %(shop)s",
            {"shop": self.shop.id},
        )
        assert held == self.total

    # --- A page ---

    def first(self) -> None:
        self._page(self._own)

    def middle(self) -> None:
        self._page(self._own.filter(id__lt=self._ids["middle"]))

    def last(self) -> None:
        self._page(self._own.filter(id__lt=self._ids["last"]))

    def by_offset(self) -> None:
        self._page(self._own, self.entries // 2)

    def counted(self) -> None:
        assert self._own.count() == self.entries

    # --- An answer ---

    def request(self) -> None:
        self._get(ENTRIES, self._ids["middle"])

    def payments(self) -> None:
        self._get("/api/v1/payments", self._ids["payment"])

    def balance_request(self) -> None:
        assert self._client.get("/api/v1/ledger/balance").json()["total"]["amount"] == self.total

    def numbered(self) -> None:
        request = self._factory.get(ENTRIES, {"page": self.entries // PAGE // 2}, headers=self._header)
        answer: Any = self._numbered(request)
        answer.render()
        assert len(answer.data["results"]) == PAGE

    # --- Helpers ---

    def _page(self, rows: Any, first: int = 0) -> None:
        assert len(rows.order_by("-id").values(*ENTRY)[first : first + PAGE]) == PAGE

    def _get(self, path: str, before: Any) -> None:
        cursor = b64encode(urlencode({"p": str(before)}).encode()).decode()
        answer = self._client.get(path, {"cursor": cursor})
        assert len(answer.json()["results"]) == PAGE, answer.content

    def _id(self, rows: Any, place: int) -> Any:
        return rows.order_by("-id").values_list("id", flat=True)[place]

    def _asked(self, statement: str, values: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()
