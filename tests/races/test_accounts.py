"""Changes of a shop's credentials when two workers, or an owner and a worker, come at the same moment."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from merchants import one_time_codes, step_up
from merchants.models import Notice, TextMessage
from merchants.step_up import Confirmation
from payments import accounts
from payments.models import CredentialChange, OldCredentials, ProviderAccount
from payments.owners import UnableToChange
from tests.cast import ARJUN_PHONE, Person, code_sent_to, open_shop
from tests.races.together import slow_after, together, without_row_locks

pytestmark = pytest.mark.usefixtures("real_db")
GIVEN = {"key_id": "rzp_live_1", "key_secret": "s3cret", "webhook_secrets": "whsec"}


@pytest.fixture
def arjun(real_db: None) -> Person:
    return open_shop(ARJUN_PHONE, "Arjun's tea")


def confirmation(person: Person) -> Confirmation:
    now = timezone.now()
    step_up.send_code(staff=person.staff, purpose="account", address="127.0.0.1", now=now)
    return step_up.confirm(user=person.user, purpose="account", code=code_sent_to(person.phone), now=now)


def request(person: Person, confirmed: Confirmation) -> accounts.Own:
    return accounts.request_change(
        staff=person.staff, provider="razorpay", given=GIVEN, confirmation=confirmed, now=timezone.now()
    )


def an_account_and_a_change(person: Person) -> None:
    """An account whose credentials are due to be replaced."""
    for _ in range(2):
        accounts.apply_due(now=timezone.now())
        request(person, confirmation(person))
        CredentialChange.objects.filter(state="waiting").update(effective_at=timezone.now())


def apply_together() -> list[object]:
    return together([lambda: accounts.apply_due(now=timezone.now())] * 4)


def test_without_the_locks_a_change_takes_effect_several_times(arjun: Person) -> None:
    an_account_and_a_change(arjun)
    with without_row_locks(), slow_after("payments.accounts._still_waiting", callers=4):
        apply_together()
    assert OldCredentials.objects.count() > 1


def test_with_them_it_takes_effect_once_and_is_told_once(arjun: Person) -> None:
    an_account_and_a_change(arjun)
    texts = TextMessage.objects.count()
    assert sorted(apply_together()) == [0, 0, 0, 1]  # type: ignore[type-var]
    assert (ProviderAccount.objects.count(), OldCredentials.objects.count()) == (1, 1)
    assert TextMessage.objects.count() == texts + 1
    assert Notice.objects.latest("number").data["step"] == "applied"


def test_it_is_either_canceled_or_takes_effect(arjun: Person) -> None:
    request(arjun, confirmation(arjun))
    change = CredentialChange.objects.get()
    later = timezone.now() + timedelta(hours=24)
    canceled, applied = together(
        [
            lambda: accounts.cancel(shop=arjun.shop, change_id=change.id, now=later),
            lambda: accounts.apply_due(now=later),
        ]
    )
    change.refresh_from_db()
    if change.state == "canceled":
        assert (applied, ProviderAccount.objects.count()) == (0, 0)
    else:
        assert (change.state, applied, ProviderAccount.objects.count()) == ("applied", 1, 1)
        assert isinstance(canceled, UnableToChange)


def test_of_two_changes_at_once_one_waits_and_the_other_spends_no_code(arjun: Person) -> None:
    first, second = confirmation(arjun), confirmation(arjun)
    answers = together([lambda: request(arjun, first), lambda: request(arjun, second)])
    refused = [answer.code for answer in answers if isinstance(answer, UnableToChange)]
    assert refused == ["change_waiting"]
    assert CredentialChange.objects.count() == 1
    unspent = [one_time_codes.redeem(each.code_id, now=timezone.now()) for each in (first, second)]
    assert sorted(unspent) == [False, True]
