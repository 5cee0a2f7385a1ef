"""Web links in codes: what only looks like ours is told apart, with where it really leads."""

from __future__ import annotations

import pytest
from django.conf import LazySettings

from qr.payloads import web
from qr.payloads.base import Reading, Unwritable

SLUG = "7kQm2xWp9RtB"


@pytest.fixture(autouse=True)
def site(settings: LazySettings) -> None:
    settings.PUBLIC_URL = "https://pay.example"


def read(text: str) -> Reading:
    reading = web.reads(text)
    assert reading is not None
    return reading


def test_our_own_link_is_written_and_read() -> None:
    assert web.write(SLUG) == f"https://pay.example/s/{SLUG}"
    reading = read(web.write(SLUG))
    assert (reading.profile, reading.fields["slug"], reading.confirmation) == ("pushcart", SLUG, "provider")
    assert reading.violations == ()
    assert read(f"HTTPS://Pay.Example/s/{SLUG}/?x=1").profile == "pushcart"


@pytest.mark.parametrize("slug", ["", SLUG[:-1], f"{SLUG}B", f"{SLUG[:-1]}l", f"{SLUG[:-1]}/", f"{SLUG}\n"])
def test_nothing_else_is_written(slug: str) -> None:
    with pytest.raises(Unwritable):
        web.write(slug)


@pytest.mark.parametrize(
    ("text", "code", "host"),
    [
        (f"https://pay.example@evil.test/s/{SLUG}", "our_name_before_at", "evil.test"),
        (f"https://pay.example:x@evil.test/s/{SLUG}", "our_name_before_at", "evil.test"),
        (f"https://pay.example.evil.test/s/{SLUG}", "our_name_extended", "pay.example.evil.test"),
        (f"https://www.pay.example.evil.test/s/{SLUG}", "our_name_extended", "www.pay.example.evil.test"),
        (f"https://pаy.example/s/{SLUG}", "our_name_imitated", "pаy.example"),  # A Cyrillic а.
        (f"https://xn--py-7kc.example/s/{SLUG}", "our_name_imitated", "pаy.example"),  # The same, encoded.
        (f"https://pay.examp1e/s/{SLUG}", "our_name_imitated", "pay.examp1e"),
        (f"https://pay.exarnple/s/{SLUG}", "our_name_imitated", "pay.exarnple"),
        (f"https://pày.example/s/{SLUG}", "our_name_imitated", "pày.example"),
        (f"https://pay-example/s/{SLUG}", "our_name_imitated", "pay-example"),
        (f"https://pay.exmaple/s/{SLUG}", "our_name_imitated", "pay.exmaple"),
        (f"https://payy.example/s/{SLUG}", "our_name_imitated", "payy.example"),
        (f"https://pay.example./s/{SLUG}", "not_our_address", "pay.example."),
        (f"http://pay.example/s/{SLUG}", "not_our_address", "pay.example"),
        (f"https://pay.example:8443/s/{SLUG}", "not_our_address", "pay.example"),
        (f"https://mei@pay.example/s/{SLUG}", "not_our_address", "pay.example"),
        (f"https:\\\\pay.example/s/{SLUG}", "not_our_address", "pay.example"),
        ("https://pay.example/", "other_page", "pay.example"),
        (f"https://pay.example/x/s/{SLUG}", "other_page", "pay.example"),
        (f"https://pay.example/s/{SLUG[:-1]}0", "slug_altered", "pay.example"),
        (f"https://pay.example/s/{SLUG}x", "slug_altered", "pay.example"),
        (f"https://pay.example/s/%37{SLUG[1:]}", "slug_altered", "pay.example"),
        (f"https://pay.example/s/{SLUG}/pay", "slug_altered", "pay.example"),
    ],
)
def test_what_looks_like_our_link_is_never_called_ours(text: str, code: str, host: str) -> None:
    reading = read(text)
    assert (reading.profile, reading.account) == ("look_alike", host)
    assert [(one.code, one.fatal) for one in reading.violations] == [(code, True)]


@pytest.mark.parametrize(
    ("text", "host", "faults"),
    [
        ("https://shop.test/menu", "shop.test", []),
        ("HTTPS://SHOP.TEST", "shop.test", []),
        ("http://shop.test/", "shop.test", ["not_encrypted"]),
        ("https://bank.test@evil.test/", "evil.test", ["user_in_address"]),
        ("https:\\\\evil.test\\@pay.example/s/x", "evil.test", []),
        ("https://evil.test/pay.example/s/x", "evil.test", []),
        ("https://evil.test#@pay.example/", "evil.test", []),
        ("https://ev\til.te\nst/", "evil.test", []),
        ("https://[::1]:8000/x", "[::1]", []),
        ("https://xn--999999999/", "xn--999999999", []),
        (f"https://other-market.test/s/{SLUG}", "other-market.test", []),
    ],
)
def test_any_other_link_is_a_link_to_where_a_browser_goes(text: str, host: str, faults: list[str]) -> None:
    reading = read(text)
    assert (reading.profile, reading.account) == ("link", host)
    assert [one.code for one in reading.violations] == faults


def test_the_code_of_a_receipt_leads_to_us_and_is_no_look_alike() -> None:
    reading = read("https://pay.example/p/" + "A" * 168)
    assert (reading.profile, reading.violations) == ("link", ())


@pytest.mark.parametrize("text", ["", "https:", "https://", "ftp://pay.example/", SLUG, "javascript:alert(1)", "see"])
def test_other_texts_are_no_links(text: str) -> None:
    assert web.reads(text) is None


def test_a_site_below_a_path_and_one_on_a_port_have_look_alikes_too(settings: LazySettings) -> None:
    settings.PUBLIC_URL = "https://market.example:8443/pay"
    assert read(f"https://market.example:8443/pay/s/{SLUG}").profile == "pushcart"
    assert [one.code for one in read(f"https://market.example/pay/s/{SLUG}").violations] == ["not_our_address"]
    assert [one.code for one in read(f"https://market.example:8443/s/{SLUG}").violations] == ["other_page"]
