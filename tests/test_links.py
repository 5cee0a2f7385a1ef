"""Which texts are our own links: ours in every way of writing that browsers read alike, and nothing that resembles."""

from __future__ import annotations

import pytest
from django.conf import LazySettings

from merchants import ids, links

SLUG = "7kQm2xWp9RtB"


@pytest.fixture(autouse=True)
def site(settings: LazySettings) -> None:
    settings.PUBLIC_URL = "https://pay.example"


@pytest.mark.parametrize(
    "text",
    [
        f"https://pay.example/s/{SLUG}",
        f"HTTPS://PAY.EXAMPLE/s/{SLUG}",
        f"https://Pay.Example/s/{SLUG}/",
        f"https://pay.example/s/{SLUG}?from=wallet",
        f"https://pay.example/s/{SLUG}/?a=1#b",
        f" https://pay.example/s/{SLUG}\r\n",
        SLUG,
        f"\t{SLUG} ",
    ],
)
def test_our_own_link_is_known_however_it_is_written(text: str) -> None:
    assert links.slug_of(text) == SLUG


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        f"http://pay.example/s/{SLUG}",
        f"https://pay.example.evil.example/s/{SLUG}",
        f"https://evil.example/https://pay.example/s/{SLUG}",
        f"https://pay.example@evil.example/s/{SLUG}",
        f"https://mei@pay.example/s/{SLUG}",
        f"https://pay.example:8443/s/{SLUG}",
        f"https://pay.example./s/{SLUG}",
        f"https://pаy.example/s/{SLUG}",  # A Cyrillic а.
        f"https:/pay.example/s/{SLUG}",
        f"https:\\\\pay.example/s/{SLUG}",
        f"https://pay.example//s/{SLUG}",
        f"https://pay.example/S/{SLUG}",
        f"https://pay.example/s//{SLUG}",
        f"https://pay.example/s/{SLUG}/pay",
        f"https://pay.example/s/../s/{SLUG}",
        f"https://pay.example/s/%37{SLUG[1:]}",
        f"https://pay.example/s/{SLUG}\nhttps://evil.example/",
        f"https://pay.example/s/{SLUG}?a b",
        f"https://pay.example/s/{SLUG[:-1]}",
        f"https://pay.example/s/{SLUG}A",
        f"https://pay.example/s/{SLUG}?{'x' * 2000}",
        f"{SLUG[:-1]}l",  # A letter that no slug has.
        f"{SLUG[:-1]}Ｂ",  # A full-width one.
        f"{SLUG}\x00",
    ],
)
def test_what_only_resembles_our_link_is_none(text: str) -> None:
    assert links.slug_of(text) is None


def test_a_site_below_a_path_has_its_links_there(settings: LazySettings) -> None:
    settings.PUBLIC_URL = "https://market.example/pay"
    assert links.slug_of(f"https://MARKET.example/pay/s/{SLUG}") == SLUG
    assert links.slug_of(f"https://market.example/s/{SLUG}") is None
    assert links.slug_of(f"https://market.example/Pay/s/{SLUG}") is None


def test_every_slug_that_we_make_is_one() -> None:
    assert all(links.slug_of(slug) == slug for slug in (ids.secret(12) for _ in range(500)))
