"""One printed code for every wallet (聚合码): the page offers what the shop takes, the scanning app's own first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from merchants import codes
from merchants.models import Code, Item
from payments import checkout, providers
from payments.models import PaymentIntent, ProviderAccount
from payments.providers.base import Started
from tests import jadepay
from tests.cast import Person
from tests.jadepay import Desk
from tests.networks.alipay import Alipay
from tests.networks.wechatpay import WeChatPay
from tests.test_handover import COMPUTER, PHONE, policy, read_code, seen
from tests.test_scan import hidden, pay, text
from tests.till import platform

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
ANDROID = "Mozilla/5.0 (Linux; Android 13; V2241A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/86.0 Safari/537.36 "
AGENTS = {
    "WeChat on an iPhone": (IPHONE + "Mobile/15E148 MicroMessenger/8.0.49(0x18003137)", "wechatpay", "phone"),
    "WeChat on Android": (ANDROID + "Mobile XWEB/1 MicroMessenger/8.0.49.2600 WeChat/arm64", "wechatpay", "phone"),
    "WeCom on an iPhone": (IPHONE + "Mobile/15E148 wxwork/4.1.22 MicroMessenger/7.0.1 Language/zh", "", "phone"),
    "WeCom at a computer": (WINDOWS + "wxwork/4.1.22 (MicroMessenger/6.2) WindowsWechat", "", "computer"),
    "Alipay on an iPhone": (IPHONE + "Mobile/15E148 AliApp(AP/10.5.96) AlipayClient/10.5.96", "alipay", "phone"),
    "Alipay on Android": (ANDROID + "Mobile AliApp(AP/10.5.96) AlipayClient/10.5.96.8000", "alipay", "phone"),
    "DingTalk": (IPHONE + "Mobile/15E148 AliApp(DingTalk/7.5.10) com.laiwang.DingTalk/39118614", "", "phone"),
    "Taobao": (ANDROID + "Mobile Safari/537.36 AliApp(TB/10.36.10) WindVane/8.5.0", "", "phone"),
    "UC with an advertiser's part": (IPHONE + "Mobile/15E148 UCBrowser/16.5 AliApp(TUnionSDK/0.1)", "", "phone"),
    "UnionPay": (ANDROID + "Mobile Safari/537.36 (com.unionpay.mobilepay) UnionPay/1.0 CloudPay", "", "phone"),
    "Chrome on a phone": (PHONE, "", "phone"),
    "Safari on an iPhone": (IPHONE + "Version/17.4 Mobile/15E148 Safari/604.1", "", "phone"),
    "Chrome at a computer": (COMPUTER, "", "computer"),
    "a browser that says nothing": ("", "", "computer"),
}


@pytest.fixture
def apple(apples: Item) -> Code:
    return apples.codes.get()


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    """Jade Pay beside the pretend wallet."""
    platform()
    with jadepay.taken(lambda visit: Started("jade_7", redirect_url="https://pay.jade.example/7")) as desk:
        yield desk


def buttons(answer: Any) -> list[tuple[str, str, str]]:
    """Class, wallet and words of every button, in the page's order."""
    found = re.findall(r'<button class="([^"]+)" name="wallet" value="([^"]+)">(.*?)</button>', answer.content.decode())
    return [(style, wallet, re.sub(r"<[^>]+>", " ", words).strip()) for style, wallet, words in found]


@pytest.mark.parametrize("name", AGENTS)
def test_a_browser_is_known_by_its_own_words(name: str) -> None:
    agent, wallet, device = AGENTS[name]
    assert providers.opened_in(agent) == wallet
    assert checkout.on_phone(agent) is (device == "phone")


# --- The page --------------------------------------------------------------------------------------------------------


def test_each_wallet_has_a_button_and_the_scanning_apps_own_is_the_first(
    client: Client, apple: Code, desk: Desk
) -> None:
    jade, pretend = "Pay with Jade Pay", "Pay with Pretend wallet No real money moves."
    page = client.get(f"/s/{apple.slug}", headers={"User-Agent": PHONE})
    assert buttons(page) == [("go", "sandbox", pretend), ("go plain", "jadepay", jade)]
    page = client.get(f"/s/{apple.slug}", headers={"User-Agent": jadepay.IN_APP})
    assert buttons(page) == [("go", "jadepay", jade), ("go plain", "sandbox", pretend)]
    assert "Pretend wallet: no real money moves." not in text(page)
    assert len(page.content) <= 10_000
    assert b"<script" not in page.content


def test_where_no_wallet_is_pretended_nothing_is_said_of_it(client: Client, apple: Code, desk: Desk) -> None:
    ProviderAccount.objects.filter(provider="sandbox").update(active=False)
    page = client.get(f"/s/{apple.slug}")
    assert buttons(page) == [("go", "jadepay", "Pay")]
    assert "retend" not in text(page)


def test_the_policy_lists_where_these_wallets_lead_and_nothing_else(
    client: Client, apple: Code, desk: Desk, settings: LazySettings
) -> None:
    listed = policy(client.get(f"/s/{apple.slug}"))["form-action"]
    assert set(listed.split()) == {
        "'self'", settings.SANDBOX_URL, "https://api.jade.example", "https://pay.jade.example",
    }  # fmt: skip
    desk.account.active = False
    desk.account.save()
    assert policy(client.get(f"/s/{apple.slug}"))["form-action"] == f"'self' {settings.SANDBOX_URL}"


# --- The choice ------------------------------------------------------------------------------------------------------


def test_the_chosen_wallet_is_started(client: Client, apple: Code, desk: Desk) -> None:
    answer = pay(client, apple, wallet="jadepay")
    assert (answer.status_code, answer.headers["Location"]) == (303, "https://pay.jade.example/7")
    assert PaymentIntent.objects.get().provider_account == desk.account


@pytest.mark.parametrize("wallet", ["mastercoin", "<b>", "JADEPAY", "x" * 5000, "\0"])
def test_a_wallet_that_is_not_taken_brings_the_page_again(client: Client, apple: Code, desk: Desk, wallet: str) -> None:
    answer = pay(client, apple, wallet=wallet, quantity="3")
    assert answer.status_code in (400, 409)
    if answer.status_code == 409:
        assert "This shop does not take that wallet." in text(answer)
        assert [name for _style, name, _words in buttons(answer)] == ["sandbox", "jadepay"]
        assert '<option value="3" selected>' in answer.content.decode()
        assert wallet not in text(answer)
    assert not PaymentIntent.objects.exists()
    assert desk.visits == []


def test_a_wallet_that_went_away_under_an_open_page_starts_nothing(client: Client, apple: Code, desk: Desk) -> None:
    page = hidden(client.get(f"/s/{apple.slug}"))
    ProviderAccount.objects.filter(id=desk.account.id).update(active=False)
    assert pay(client, apple, page, wallet="jadepay").status_code == 409
    assert not PaymentIntent.objects.exists()


def test_whoever_began_with_another_wallet_is_told_so_and_may_choose_again(
    client: Client, apple: Code, desk: Desk
) -> None:
    page = hidden(client.get(f"/s/{apple.slug}"))
    pay(client, apple, page, wallet="jadepay")
    intent = PaymentIntent.objects.get()
    answer = pay(client, apple, page, wallet="sandbox")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/r/{intent.receipt}")
    receipt = seen(client, intent)
    assert f'<a href="/s/{apple.slug}">Pay in another way</a>' in receipt.content.decode()
    ProviderAccount.objects.filter(provider="sandbox").update(active=False)
    assert b"Pay in another way" not in seen(client, intent).content
    assert PaymentIntent.objects.count() == 1


def test_a_one_time_code_stays_with_the_wallet_it_was_begun_with(client: Client, mei: Person, desk: Desk) -> None:
    code = codes.create(shop=mei.shop, kind="one_time", amount=990, label="Shoe repair", now=timezone.now())
    pay(client, code, wallet="jadepay")
    intent = PaymentIntent.objects.get()
    assert pay(client, code, wallet="sandbox").headers["Location"] == f"/r/{intent.receipt}"
    assert pay(client, code, wallet="jadepay").headers["Location"] == "https://pay.jade.example/7"
    assert b"Pay in another way" not in seen(client, intent).content
    assert PaymentIntent.objects.count() == 1


# --- Real adapters ---------------------------------------------------------------------------------------------------


@pytest.fixture
def alipay(db: None) -> Iterator[Alipay]:
    with Alipay().set() as network:
        platform()
        network.account()
        yield network


@pytest.fixture
def wechat(db: None) -> Iterator[WeChatPay]:
    with WeChatPay().set() as network:
        platform()
        network.account()
        yield network


def started_by(agent: str, client: Client, code: Code, wallet: str = "alipay") -> tuple[Any, PaymentIntent]:
    page = client.get(f"/s/{code.slug}", headers={"User-Agent": agent})
    form = {"page": hidden(page), "wallet": wallet}
    answer = client.post(f"/s/{code.slug}/pay", form, headers={"User-Agent": agent})
    return answer, PaymentIntent.objects.latest("id")


def test_at_a_computer_alipays_code_is_shown_and_scanned(client: Client, apple: Code, alipay: Alipay) -> None:
    answer, intent = started_by(COMPUTER, client, apple)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/r/{intent.receipt}")
    assert "Scan with Alipay CN¥2.00" in text(seen(client, intent))
    picture = client.get(f"/r/{intent.receipt}/code.svg")
    assert read_code(picture.content) == intent.handover["qr"]


@pytest.mark.parametrize("name", ["Chrome on a phone", "Alipay on Android", "Alipay on an iPhone"])
def test_on_a_phone_and_in_its_own_app_alipays_page_opens(
    client: Client, apple: Code, alipay: Alipay, name: str
) -> None:
    agent = AGENTS[name][0]
    page = client.get(f"/s/{apple.slug}", headers={"User-Agent": agent})
    assert buttons(page)[0] == ("go", "alipay", "Pay with Alipay")
    answer, intent = started_by(agent, client, apple)
    assert (answer.status_code, answer.headers["Location"]) == (303, intent.redirect_url)
    assert checkout.origin(intent.redirect_url) in policy(page)["form-action"].split()


@pytest.mark.parametrize("name", ["WeChat on Android", "WeChat on an iPhone"])
def test_in_wechat_the_payer_is_identified_and_wechats_own_browser_is_called(
    client: Client, apple: Code, wechat: WeChatPay, name: str
) -> None:
    agent = {"User-Agent": AGENTS[name][0]}
    page = client.get(f"/s/{apple.slug}", headers=agent)
    assert buttons(page)[0] == ("go", "wechatpay", "Pay with WeChat Pay")
    answer, intent = started_by(agent["User-Agent"], client, apple, "wechatpay")
    asked = urlsplit(answer.headers["Location"])
    assert (answer.status_code, f"{asked.scheme}://{asked.netloc}") == (303, wechat.url)
    back = urlsplit(parse_qs(asked.query)["redirect_uri"][0])
    assert back.path == f"/r/{intent.receipt}/payer"

    wechat.grants["011aBcD"] = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
    answer = client.get(back.path, {"code": "011aBcD", "state": "1"}, headers=agent)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/r/{intent.receipt}")
    receipt = seen(client, intent, agent["User-Agent"]).content.decode()
    found = re.search(r'<script id="bridge" type="application/json">([^<]*)</script>', receipt)
    assert found
    assert json.loads(found[1])["arguments"]["appId"] == wechat.appid
    before = len(wechat.requests)
    assert client.get(back.path, {"code": "011aBcD"}, headers=agent).headers["Location"] == f"/r/{intent.receipt}"
    assert len(wechat.requests) == before


def test_outside_wechat_its_page_opens_on_a_phone_and_its_code_is_scanned_at_a_computer(
    client: Client, apple: Code, wechat: WeChatPay
) -> None:
    for name in ("Chrome on a phone", "WeCom on an iPhone"):
        answer, intent = started_by(AGENTS[name][0], client, apple, "wechatpay")
        assert answer.headers["Location"] == intent.redirect_url
        assert intent.redirect_url.startswith("https://wx.tenpay.com/")
    answer, intent = started_by(COMPUTER, client, apple, "wechatpay")
    assert answer.headers["Location"] == f"/r/{intent.receipt}"
    picture = client.get(f"/r/{intent.receipt}/code.svg")
    assert read_code(picture.content).startswith("weixin://wxpay/bizpayurl")
