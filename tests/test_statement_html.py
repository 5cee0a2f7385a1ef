"""The statement as a page: it shows any script, runs nothing that anybody wrote, and needs nothing but itself."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import LazySettings
from django.utils import timezone

from merchants.models import Shop
from payments import statement, statement_html
from payments.models import Payment, PaymentIntent
from payments.statement import Asked
from tests.cast import Person
from tests.test_ledger import NOON, movement, post
from tests.test_statement import LATER, ask
from tests.test_statement_csv import sale, today  # noqa: F401  A fixture.
from tests.till import platform
from tests.translations import speak


def page(asked: Asked) -> str:
    return b"".join(statement_html.pieces(asked, LATER)).decode()


def test_a_shop_of_any_script_reads_its_own_name(mei: Person, sale: Payment) -> None:  # noqa: F811
    Shop.objects.filter(id=mei.shop.id).update(name="ហាងសំណាង")
    mei.shop.refresh_from_db()
    PaymentIntent.objects.update(description="ፖም 🍎 × 2")
    found = page(ask(mei.shop, today(mei.shop), at=timezone.now()))
    assert '<h1 dir="auto">ហាងសំណាង</h1>' in found
    assert "<bdi>ፖም 🍎 × 2</bdi>" in found
    assert "<bdi>one bad pile</bdi>" in found


def test_each_line_leads_to_its_receipt(mei: Person, sale: Payment, settings: LazySettings) -> None:  # noqa: F811
    found = page(ask(mei.shop, today(mei.shop), at=timezone.now()))
    receipt = PaymentIntent.objects.get().receipt
    assert re.findall(r'(?:href|src|url)[=(]"?([^">)]+)', found) == [f"{settings.PUBLIC_URL}/r/{receipt}"] * 2


def test_nothing_that_people_wrote_is_run(mei: Person, sale: Payment) -> None:  # noqa: F811
    wicked = '</style><script>alert(1)</script>"{}{x}'
    Shop.objects.filter(id=mei.shop.id).update(name=wicked)
    mei.shop.refresh_from_db()
    PaymentIntent.objects.update(description=wicked)
    found = page(ask(mei.shop, today(mei.shop), at=timezone.now()))
    assert "<script" not in found
    assert found.count("&lt;script&gt;alert(1)") == 4  # The title, the heading, two lines.
    assert "default-src 'none'; style-src 'unsafe-inline'" in found


def test_it_tells_its_sums_and_that_it_is_whole(mei: Person) -> None:
    platform()
    post(movement(mei.shop, 1000), now=NOON - timedelta(days=1))
    post(movement(mei.shop, 250), now=NOON)
    found = page(ask(mei.shop, "2026-11-22"))
    assert found.endswith("</html>\n")
    assert '<td>Closing balance<td><td class="n">12.50' in found
    assert '<td>Money in<td><td class="n">+2.50' in found
    assert '<td>Payment<td class="n">1<td class="n">+2.50' in found
    assert "Final: the same question has this answer for ever." in found
    assert "1 movement of 2026-11-22, recorded" in found


def test_a_long_page_comes_in_pieces(mei: Person) -> None:
    platform()
    post(*(movement(mei.shop, 1) for _ in range(1001)))
    asked = ask(mei.shop, "2026-11-22")
    assert len(list(statement_html.pieces(asked, LATER))) == 2 + 3
    assert page(asked).count("<td>Payment") == statement.count(asked) + 1


def test_it_is_in_the_language_of_the_request_and_runs_in_its_direction(
    mei: Person, settings: LazySettings, tmp_path: Path
) -> None:
    words = {"Opening balance": "الرصيد الافتتاحي", "Payment": "دفعة", "Statement of %(period)s": "كشف %(period)s"}
    speak(settings, tmp_path, "ar", words)
    platform()
    post(movement(mei.shop, 250), now=NOON)
    address = "/api/v1/ledger/statement.html?day=2026-11-22"
    answer: Any = mei.api().get(address, headers={"Accept-Language": "ar"})
    found = b"".join(answer.streaming_content).decode()
    assert '<html lang="ar" dir="rtl">' in found
    assert "<h2>كشف الأحد، 22 نوفمبر 2026</h2>" in found
    assert all(f"<td>{word}<" in found for word in ("الرصيد الافتتاحي", "دفعة"))
    assert (answer.headers["Content-Language"], "<td>Payment<" in found) == ("ar", False)
    answer = mei.api().get(address)
    english = b"".join(answer.streaming_content).decode()
    assert '<html lang="en" dir="ltr">' in english
    assert "<td>Payment<" in english
