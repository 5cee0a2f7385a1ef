"""The operator's evening in Chromium: files brought, lines matched, differences ended, and shops paid out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Product, Vendor, new_phone

pytestmark = pytest.mark.xdist_group("browser")


@dataclass
class Desk:
    """An operator in the back office, in a browser of her own."""

    product: Product
    page: Page
    recovery: list[str] = field(default_factory=list)

    def come_in(self, *options: str) -> None:
        phone = new_phone()
        printed = self.product.manage("add_operator", phone, "--generate", *options)
        password = re.search(r"Password: (\S+)", printed)
        assert password is not None
        [code, *_rest] = re.findall(r"^  ([a-z2-7]{8})$", printed, re.MULTILINE)
        self.page.goto(f"{self.product.url}/admin/")
        self.page.get_by_label("Phone").fill(phone)
        self.page.get_by_label("Password").fill(password[1])
        self.page.get_by_label("Code").fill(code)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Back office")).to_be_visible()

    def open(self, table: str) -> None:
        self.page.goto(f"{self.product.url}/admin/payments/{table}/")

    def bring(self, source: str, file: Path, day: str = "") -> None:
        self.open("statement")
        self.page.get_by_role("link", name="Bring a file").click()
        self.page.get_by_label("Source").select_option(label=source)
        if day:
            self.page.get_by_label("Day").fill(day)
        self.page.get_by_label("File").set_input_files(file)
        self.page.get_by_role("button", name="Take it in").click()


@pytest.fixture
def desk(chromium: Browser, product: Product) -> Iterator[Callable[..., Desk]]:
    contexts = []

    def new(*options: str) -> Desk:
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        made = Desk(product, page)
        made.come_in(*options)
        return made

    yield new
    for context in contexts:
        context.close()


def sold(product: Product, vendor: Vendor, amount: int, fault: str = "") -> None:
    """Somebody pays in the wallet, which settles it as it is told to."""
    item = vendor.post("/items", {"name": f"Pile of {amount}", "price": {"amount": amount, "currency": "CNY"}})
    code = item["code"]
    assert isinstance(code, dict)
    payer = requests.Session()
    page = re.search(r'name="page" value="([^"]+)"', payer.get(code["url"], timeout=10).text)
    assert page is not None
    sent = payer.post(f"{code['url']}/pay", data={"page": page[1]}, allow_redirects=False, timeout=10)
    chosen = {"decision": "approve", **({"behaviour": fault} if fault else {})}
    answer = payer.post(sent.headers["Location"], data=chosen, allow_redirects=False, timeout=10)
    assert answer.status_code == 303, answer.text


def in_the_product(product: Product, code: str) -> str:
    """Python beside the running product: what no page is for, such as being the wallet's own customer."""
    return product.manage("shell", "--no-imports", "-c", code)


def the_wallets_files(product: Product, folder: Path) -> tuple[Path, Path]:
    """What the wallet settles today, and what its bank says of that: as an operator gets them from their desks."""
    settled, bank = folder / "settled.csv", folder / "bank.xml"
    in_the_product(
        product,
        f"""
from datetime import UTC, datetime
import requests
from django.conf import settings
from payments import credentials, providers
from payments.models import ProviderAccount
account = ProviderAccount.objects.get(provider="sandbox", name="platform")
today = datetime.now(UTC).date()
with open({str(settled)!r}, "wb") as file:
    providers.named("sandbox").statement(account, today, file)
key = {{"Authorization": "Bearer " + credentials.of(account)["api_key"]}}
answer = requests.get(f"{{settings.SANDBOX_URL}}/v1/bank/{{today}}.xml?currency=CNY", headers=key, timeout=10)
assert answer.status_code == 200, answer.text
open({str(bank)!r}, "wb").write(answer.content)
""",
    )
    return settled, bank


def agreed(product: Product) -> None:
    """The wallet keeps 0.6 %, as it was agreed, and pays into an account of ours."""
    told = json.loads((product.data / "environment.json").read_text())
    terms = {"fee_ppm": 6000, "bank_account": "OURS-1"}
    key = {"Authorization": f"Bearer {told['SANDBOX_CONTROL_KEY']}"}
    address = f"{product.wallet_url}/control/accounts/platform/terms"
    assert requests.put(address, json=terms, headers=key, timeout=10).status_code == 200
    in_the_product(
        product,
        """
from datetime import UTC, datetime
from merchants.models import User
from payments import fee_desk
from payments.fees import Rates
from payments.models import FeeContract
if not FeeContract.objects.filter(side="cost").exists():
    operator = User.objects.filter(is_staff=True).first() or User.objects.create_user("+8613700137000", is_staff=True)
    fee_desk.add_version(
        side="cost", provider="sandbox", currency="CNY", shop=None, provider_account=None, rates=Rates(6000),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC), operator=operator, note="as signed",
        now=datetime.now(UTC),
    )
""",
    )


def eventually(page: Page, text: str) -> None:
    """Looks at a page again and again until it says that."""
    for _ in range(60):
        if text in page.content():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError(f"the page never said {text!r}")


def write_off_by_two(chief: Desk, second: Desk, screenshot: Callable[[Page, str], Path]) -> None:
    """What was settled twice is above the limit: another operator has to agree."""
    page = chief.page
    page.goto(f"{chief.product.url}/admin/payments/discrepancy/?reason__exact=stated_twice&state__exact=open")
    page.locator("#result_list a").first.click()
    page.get_by_role("link", name="Write it off").click()
    page.get_by_label("What was found, and why is this right?").fill("they do not want it back")
    page.get_by_role("button", name="Write it off").click()
    screenshot(page, "desk-waiting")
    second.open("adjustment")
    second.page.locator("#result_list a").first.click()
    second.page.get_by_role("button", name="Agree and book").click()
    second.page.get_by_label("What did you look at yourself? It is booked at once.").fill("I asked them too")
    second.page.get_by_role("button", name="Agree and book").click()
    expect(second.page.get_by_text("posted").first).to_be_visible()
    screenshot(second.page, "desk-agreed")


def enter_our_bank(chief: Desk, file: Path) -> None:
    """The account into which the wallet pays, and what the bank says of it: less than the wallet does."""
    chief.open("bankaccount")
    chief.page.get_by_role("link", name="Enter an account").click()
    for name, value in (("Name:", "main"), ("Holder:", "Pushcart"), ("Number:", "OURS-1"), ("Currency:", "CNY")):
        chief.page.get_by_label(name).fill(value)
    chief.page.get_by_label("Why?").fill("opened today")
    chief.page.get_by_role("button", name="Enter it").click()
    chief.bring("main: camt.053 (ISO 20022, version 02 or 08)", file)
    expect(chief.page.get_by_text("Taken in, with 1 lines.")).to_be_visible()
    in_the_product(
        chief.product,
        "from django.utils import timezone; from payments.settlement import banking;"
        " banking.look(now=timezone.now(), limit=100)",
    )


def look_at_today_and_at_a_shop(chief: Desk, shop: str, screenshot: Callable[[Page, str], Path]) -> None:
    """Each is one click, or a search, from the front page; the policy forbids nothing in them."""
    page, complaints = chief.page, []
    page.on("console", lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None)
    page.goto(f"{chief.product.url}/admin/")
    page.get_by_role("link", name="Today").click()
    expect(page.get_by_role("img", name=re.compile("^Paid today in CNY, by hour: CN¥"))).to_be_visible()
    screenshot(page, "desk-today")
    page.goto(f"{chief.product.url}/admin/")
    page.get_by_label("Find").fill(shop)
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name="Money in CNY")).to_be_visible()
    screenshot(page, "desk-shop")
    assert complaints == []


def test_the_evening_from_the_files_to_the_end_of_its_differences(
    desk: Callable[..., Desk], product: Product, tmp_path: Path, screenshot: Callable[[Page, str], Path]
) -> None:
    chief = desk("--superuser")
    page = chief.page
    agreed(product)
    vendor = product.vendor()
    mine = {"Authorization": f"Bearer {vendor.token}"}
    shop = requests.get(f"{vendor.api}/shop", headers=mine, timeout=10).json()["id"]
    for amount, fault in (
        (10_000, ""),
        (20_000, "fee_wrong"),
        (60_000, "settled_twice"),
        (5_000, "short_payout"),
    ):
        sold(product, vendor, amount, fault)
    settled, bank = the_wallets_files(product, tmp_path)

    chief.bring("sandbox/platform: settlement file (CSV)", settled, day=f"{datetime.now(UTC):%Y-%m-%d}")
    expect(page.get_by_text("Taken in, with")).to_be_visible()
    eventually(page, "To be looked at: 0.")
    screenshot(page, "desk-statement")
    chief.open("statementline")
    screenshot(page, "desk-lines")
    chief.open("match")
    screenshot(page, "desk-matches")
    page.locator("#result_list a").first.click()
    expect(page.get_by_text("by the provider's own id").first).to_be_visible()
    screenshot(page, "desk-match")

    # The fee that was kept too much is accepted by one operator.
    page.goto(f"{product.url}/admin/payments/discrepancy/?reason__exact=fee_differs&state__exact=open")
    screenshot(page, "desk-discrepancies")
    page.locator("#result_list a").first.click()
    screenshot(page, "desk-fee-differs")
    page.get_by_role("link", name="Accept the fee").click()
    page.get_by_label("What was found, and why is this right?").fill("their new price list")
    screenshot(page, "desk-remedy")
    page.get_by_role("button", name="Accept the fee").click()
    expect(page.get_by_text("Closed with: Accept the fee: their new price list")).to_be_visible()

    second = desk()
    write_off_by_two(chief, second, screenshot)
    enter_our_bank(chief, bank)
    chief.open("settlement")
    expect(page.get_by_text("differs").first).to_be_visible()
    screenshot(page, "desk-settlements")
    page.locator("#result_list a").first.click()
    screenshot(page, "desk-settlement")
    look_at_today_and_at_a_shop(chief, shop, screenshot)
    assert "BROKEN" not in product.manage("check_books")
