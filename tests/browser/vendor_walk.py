"""A vendor's way through every page and sheet of her phone, in whichever language it speaks."""

from __future__ import annotations

from pathlib import Path

import requests
from babel.dates import format_date
from django.utils.translation import override
from playwright.sync_api import Dialog, Locator, Page, Route, expect

from merchants import languages
from qr import draw
from tests.browser.inspecting import NAMES, Inspection
from tests.browser.past import Past
from tests.browser.scene import ALARM, NEW, OWN, Scene, ends, proof_of

# What the server says only in the answers that these tests write themselves.
WRITTEN = [str(said) for card in (ALARM, OWN, NEW) for said in card.values() if " " in str(said)]


class Walk:
    """Her phone, and what is seen on the way. Sentences are named in English."""

    def __init__(self, page: Page, inspection: Inspection) -> None:
        self.page, self.inspection, self.words = page, inspection, inspection.words

    @property
    def front(self) -> Locator:
        """The sheet that is open in front of all else, or the page."""
        return self.page.locator("dialog" if self.page.locator("dialog").count() else "body").last

    def tap(self, english: str, **values: str) -> None:
        name = self.words(english, **values)
        self.front.get_by_role("button", name=name, exact=english not in NAMES).first.click()

    def sees(self, english: str, **values: str) -> None:
        expect(self.front.get_by_text(self.words(english, **values)).first).to_be_visible()

    def look(self, name: str) -> None:
        self.inspection.look(self.page, name, names=WRITTEN)

    def sheet(self, english: str, sentence: str, **values: str) -> None:
        """Opens what that button opens, and looks once it says that sentence."""
        self.tap(english)
        self.sees(sentence, **values)
        self.look(english)

    def close(self, sheets: int = 1) -> None:
        for _ in range(sheets):
            open_now = self.page.locator("dialog").count()
            self.front.locator("button.close").click()
            expect(self.page.locator("dialog")).to_have_count(open_now - 1)

    def unfold(self, english: str) -> None:
        self.front.locator("summary", has_text=self.words(english)).click()


def home(walk: Walk) -> None:
    """With every card, and with something that was not sent yet."""
    page, words = walk.page, walk.words
    page.on("dialog", Dialog.accept)

    def lost(route: Route) -> None:
        if route.request.method == "POST":
            route.abort()
        else:
            route.continue_()

    page.route("**/api/v1/items", lost)
    walk.tap("+ Add an item")
    walk.look("add an item")
    page.get_by_label(words("What do you sell?")).fill("Red apples")
    price = page.get_by_label(words("Price in {currency}", currency="CNY"))
    price.fill("two")
    go = walk.front.locator("form .go")
    go.click()
    expect(page.get_by_role("alert").first).to_be_visible()
    walk.look("add an item, wrong")
    price.fill("2")
    go.click()
    expect(page.locator("dialog")).to_have_count(0)
    walk.sees("Not sent yet")
    walk.look("home")
    page.locator("#waiting button").click()
    expect(page.locator("#waiting")).to_have_count(0)
    page.unroute("**/api/v1/items")


def an_item_and_its_code(walk: Walk) -> None:
    walk.sheet("Red apples", "Your customer scans this with the phone's camera")
    walk.tap("Share")
    walk.sees("This browser cannot share. Save the picture, or copy the link.")
    walk.look("a code, shared by hand")
    walk.sheet("About this code", "The last 30 days")
    walk.sheet("Replace this code", "It was stolen or copied")
    walk.close()
    walk.sheet("Retire this code", "Retire it for good")
    walk.close(2)
    walk.sheet("Change the item", "It took today")
    walk.close()
    walk.sheet("Code for any amount", "Your customer types the amount")
    walk.close()


def for_one_customer(walk: Walk, scene: Scene) -> None:
    walk.tap("For one customer")
    walk.page.keyboard.type("8.40")
    walk.look("keypad")
    walk.sheet("Show the code", "Waiting for your customer")
    walk.close()
    walk.sheet("All my codes", "On your cart")
    mine = {"Authorization": f"Bearer {scene.vendor.token}"}
    codes = requests.get(f"{scene.vendor.api}/codes?kind=one_time", headers=mine, timeout=10).json()["results"]
    walk.front.locator(".all button").first.click()
    walk.sees("Waiting for your customer")
    ends(codes[0]["url"], decision="approve")
    expect(walk.page.locator(".answer.good")).to_be_visible()
    walk.look("paid")
    expect(walk.page.locator("dialog")).to_have_count(1)  # It closes by itself.
    walk.close()


def money(walk: Walk) -> None:
    walk.tap("All payments")
    expect(walk.front.locator("li").first).to_be_visible()
    walk.unfold("More filters")
    walk.look("payments")
    walk.front.locator("li", has_text="Red apples").first.get_by_role("button").click()
    walk.sees("Number at the wallet")
    walk.look("a payment")
    walk.front.locator("button.plain").last.click()  # Give it back.
    walk.unfold("Only a part of it, or say why")
    walk.look("give money back")
    walk.close(3)
    walk.sheet("Today's takings", "The day closes by itself at midnight. You can read it again later.")
    walk.close()


def archived(walk: Walk, past: Past) -> None:
    """The takings of a day that is in an archive: she is told so, and one touch leads to the first day that is not."""
    walk.tap("Today's takings")
    walk.sees("The day closes by itself at midnight. You can read it again later.")
    date = walk.page.get_by_label(walk.words("Day"), exact=True)
    date.fill(f"{past.day.year - 1}-06-01")
    expect(walk.front.locator("nav b")).to_contain_text(str(past.day.year - 1))  # A day of another year says of which.
    date.fill(str(past.day))
    with override(walk.words.language):
        since = format_date(past.since, "long", locale=languages.cldr())
    said = walk.words("Only what was booked from %(day)s on can be read here. Ask us for what is older.")
    walk.sees(said.replace("%(day)s", since))
    earlier = walk.front.get_by_role("button", name=walk.words("Day before"), exact=True)
    expect(earlier).to_be_disabled()
    walk.look("a day in an archive")
    walk.front.locator("[role=status] + button").click()
    expect(date).to_have_value(str(past.since))
    walk.sees("The day closes by itself at midnight. You can read it again later.")
    expect(earlier).to_be_disabled()
    walk.look("the first day that is in none")
    walk.close()


def settings(walk: Walk) -> None:
    walk.tap("Settings")
    expect(walk.front.locator("#account li").first).to_be_visible()
    expect(walk.front.locator(".push [role=status]")).not_to_have_text(walk.words("One moment…"))
    walk.unfold("Colour and logo of your codes")
    walk.look("settings")
    walk.close()


def check(walk: Walk, scene: Scene, folder: Path) -> None:
    """What the camera is held before: a blank code, a receipt, and the same receipt again."""
    walk.sheet("Check a receipt or a code", "The camera cannot be used here. Choose a photo.")
    receipt = proof_of(scene.receipts["paid"])
    for name, read, heading in (
        ("yours", scene.item, "Yours"),
        ("blank", scene.codes["blank"], "A blank code"),
        ("real", receipt, "Real"),
        ("shown", receipt, "Do not take it again."),
    ):
        (folder / f"{name}.png").write_bytes(draw.png(read))
        walk.page.get_by_label(walk.words("Or choose a photo")).set_input_files(folder / f"{name}.png")
        expect(walk.page.locator("dialog.answer")).to_be_visible()
        walk.sees(heading)
        walk.look(f"answer, {name}")
        walk.tap("Check another")
    walk.close()
