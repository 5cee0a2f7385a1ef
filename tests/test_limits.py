"""Budgets: exact over threads, fair between neighbours, and closed when they cannot be counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from django.conf import LazySettings

from merchants import limits, phones
from merchants.refusals import Refused

MEI, ARJUN, LAN = (phones.mobile(text) for text in ("+8613800138000", "+919876543210", "+8613800138001"))


def refusal(phone: phones.Phone, address: str) -> tuple[int, str, int | None] | None:
    try:
        limits.spend_on_code(phone, address)
    except Refused as refused:
        return refused.status_code, refused.code, getattr(refused, "wait", None)
    return None


def test_of_forty_at_once_exactly_three_are_sent() -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: refusal(MEI, "203.0.113.9"), range(40)))
    assert answers.count(None) == 3
    assert {answer[:2] for answer in answers if answer} == {(429, "too_many_codes")}


def test_the_day_has_a_budget_of_its_own_and_says_how_long_it_lasts(settings: LazySettings) -> None:
    settings.CODE_BUDGET_PHONE = "30/minute;4/day"
    assert [refusal(MEI, "203.0.113.9") for _ in range(4)] == [None] * 4
    status, code, wait = refusal(MEI, "203.0.113.9") or (0, "", 0)
    assert (status, code) == (429, "too_many_codes")
    assert wait is not None
    assert 86_000 < wait <= 86_400


def test_a_flood_from_one_address_leaves_the_phones_it_names_their_budget(settings: LazySettings) -> None:
    settings.CODE_BUDGET_ADDRESS = "1/minute"
    assert refusal(ARJUN, "203.0.113.9") is None
    for _ in range(5):
        assert refusal(MEI, "203.0.113.9") is not None
    assert [refusal(MEI, f"198.51.100.{host}") for host in range(3)] == [None] * 3


def test_one_ipv6_home_is_one_address(settings: LazySettings) -> None:
    settings.CODE_BUDGET_ADDRESS = "1/minute"
    assert refusal(MEI, "2001:db8:1:2::1") is None
    assert refusal(ARJUN, "2001:db8:1:2::2") is not None
    assert refusal(ARJUN, "2001:db8:1:3::2") is None


def test_a_block_of_numbers_has_a_budget_against_pumping(settings: LazySettings) -> None:
    settings.CODE_BUDGET_PREFIX = "1/hour"
    assert refusal(MEI, "203.0.113.9") is None
    assert refusal(LAN, "198.51.100.7") is not None
    assert refusal(ARJUN, "198.51.100.7") is None


def test_all_phones_together_have_a_budget(settings: LazySettings) -> None:
    settings.CODE_BUDGET_ALL = "2/minute"
    assert [refusal(phone, "203.0.113.9") is None for phone in (MEI, ARJUN, LAN)] == [True, True, False]


def test_what_cannot_be_counted_is_refused_and_quickly(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert refusal(MEI, "203.0.113.9") == (503, "codes_unavailable", 5)
