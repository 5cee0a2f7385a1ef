"""Own wallet codes when two owners add the same one, or two people retire one, at the same moment."""

from __future__ import annotations

from functools import partial

import pytest
from django.utils import timezone

from merchants import step_up
from merchants.models import Notice, OneTimeCode, Staff, WalletCode
from merchants.refusals import Refused
from merchants.step_up import Confirmation
from qr import wallet_codes
from tests.cast import ARJUN_PHONE, LAN_PHONE, Person, code_sent_to, hire, open_shop
from tests.races.together import slow_after, together, without_row_locks

pytestmark = pytest.mark.usefixtures("real_db")
UPI = "upi://pay?pa=arjun@okbank&pn=Arjun%20Rao&cu=INR"


@pytest.fixture
def owners(real_db: None) -> list[Person]:
    arjun = open_shop(ARJUN_PHONE, "Arjun's tea")
    return [arjun, hire(arjun.shop, LAN_PHONE, Staff.Role.OWNER)]


def confirmation(person: Person) -> Confirmation:
    now = timezone.now()
    step_up.send_code(staff=person.staff, purpose="account", address="127.0.0.1", now=now)
    return step_up.confirm(user=person.user, purpose="account", code=code_sent_to(person.phone), now=now)


def add(person: Person, confirmed: Confirmation) -> WalletCode:
    return wallet_codes.add(staff=person.staff, text=UPI, confirmation=confirmed, now=timezone.now())


def add_together(owners: list[Person]) -> list[object]:
    return together([partial(add, who, confirmation(who)) for who in owners])


def retire_together(owners: list[Person]) -> list[object]:
    code = add(owners[0], confirmation(owners[0]))
    return together([lambda: wallet_codes.retire(code=code, now=timezone.now())] * 4)


def test_without_the_shops_lock_the_same_code_is_kept_twice(owners: list[Person]) -> None:
    with without_row_locks(), slow_after("qr.wallet_codes._active_payloads", callers=2):
        add_together(owners)
    assert WalletCode.objects.count() == 2


def test_with_it_one_is_kept_and_the_other_owners_code_is_not_used_up(owners: list[Person]) -> None:
    with slow_after("qr.wallet_codes._active_payloads", callers=2):
        answers = add_together(owners)
    assert sorted(type(answer).__name__ for answer in answers) == ["Refused", "WalletCode"]
    assert [answer.code for answer in answers if isinstance(answer, Refused)] == ["wallet_code_known"]
    assert WalletCode.objects.count() == 1
    unused = OneTimeCode.objects.filter(purpose="account", redeemed_at=None)
    assert unused.count() == 1


def test_without_its_lock_a_code_is_retired_and_told_several_times(owners: list[Person]) -> None:
    with without_row_locks(), slow_after("qr.wallet_codes._locked", callers=4):
        retire_together(owners)
    assert Notice.objects.filter(data__step="retired").count() > 1


def test_with_it_it_is_retired_and_told_once(owners: list[Person]) -> None:
    with slow_after("qr.wallet_codes._locked", callers=4):
        answers = retire_together(owners)
    assert {getattr(answer, "state", answer) for answer in answers} == {"retired"}
    assert Notice.objects.filter(data__step="retired").count() == 1
