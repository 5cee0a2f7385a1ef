"""The phone page in the language of whoever reads it: found by the browser, or chosen before anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Product

pytestmark = pytest.mark.xdist_group("browser")
HOW = "() => [document.documentElement.lang, document.documentElement.dir]"
# The amount as the page's own module writes it, and as the browser writes it for that locale.
WRITTEN = r"""async (locale) => {
  const { shown } = await import("/static/app/money.js");
  return [shown({ amount: 1234567, currency: "AED" }).replace(/[\u2068\u2069]/g, ""),
    new Intl.NumberFormat(locale, { style: "currency", currency: "AED" }).format(12345.67)];
}"""
READ = """async (texts) => {
  const { typed } = await import("/static/app/money.js");
  return texts.map((text) => typed(text, "CNY"));
}"""
COUNTED = """async () => {
  const { count } = await import("/static/app/words.js");
  return [0, 1, 2].map((number) => count(number, "{number} payment", "{number} payments"));
}"""
FORMS = {"{number} payment": ["{number} pagamento", "{number} pagamentos"]}


def test_the_page_is_in_the_phones_language_or_in_the_one_that_was_chosen(
    phone: Callable[..., Page], product: Product, screenshot: Callable[[Page, str], Path]
) -> None:
    for tag, lang, turned in (("ar-AE", "ar", "rtl"), ("zh-CN", "zh-hans", "ltr"), ("fr-FR", "en", "ltr")):
        page = phone(locale=tag)
        page.goto(f"{product.url}/app/")
        expect(page.get_by_role("button", name="English")).to_be_visible()
        assert page.evaluate(HOW) == [lang, turned]
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        shown, expected = page.evaluate(WRITTEN, tag if lang != "en" else "en")
        assert shown == expected
        screenshot(page, f"language-{lang}")

    page.get_by_role("button", name="العربية").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    page.reload()
    expect(page.get_by_role("button", name="العربية")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate(HOW) == ["ar", "rtl"]
    shown, expected = page.evaluate(WRITTEN, "ar")
    assert shown == expected
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("dir", "ltr")
    expect(page.get_by_role("button", name="Send me a code")).to_be_visible()


def test_without_its_catalogue_the_page_is_english_and_says_so_and_a_chosen_language_stays_chosen(
    phone: Callable[..., Page], product: Product
) -> None:
    page = phone(locale="pt-BR", service_workers="block")
    page.route("**/app/words/*", lambda route: route.abort())
    page.goto(f"{product.url}/app/")
    expect(page.get_by_role("button", name="Send me a code")).to_be_visible()
    assert page.evaluate(HOW) == ["en", "ltr"]
    page.unroute("**/app/words/*")
    page.route("**/app/words/pt.json", lambda route: route.fulfill(json=FORMS))
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "pt")
    assert page.evaluate(COUNTED) == ["0 pagamentos", "1 pagamento", "2 pagamentos"]


def test_a_price_is_understood_in_the_digits_of_every_keyboard(phone: Callable[..., Page], product: Product) -> None:
    page = phone()
    page.goto(f"{product.url}/app/")
    given = {
        "2": 200,
        "2,5": 250,
        "٢٫٥٠": 250,
        "۱۲٫۵": 1250,
        "१२.५०": 1250,
        "１２．５": 1250,
        "٢٫٥٠١": None,
        "two": None,
    }
    assert page.evaluate(READ, list(given)) == list(given.values())
