"""The back office's pages of matches and lines: what they show and find, what they do, and whom they refuse."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission

from payments.models import Match, Payment, Statement, StatementLine
from tests.cast import Person
from tests.evening import balances, look, outcomes, sale, stated, told
from tests.operators import CHIEF_PHONE, Operator, acts, quick_passwords, signed_in  # noqa: F401
from tests.till import assert_books_hold, platform

pytestmark = pytest.mark.django_db
MATCH, LINE = "payments/match", "payments/statementline"


@pytest.fixture
def wei() -> Operator:
    """An operator."""
    return signed_in()


@pytest.fixture
def payment(mei: Person) -> Payment:
    return sale(mei)


def only_sees(operator: Operator) -> None:
    operator.user.groups.clear()
    seen = Permission.objects.filter(content_type__app_label__in=["merchants", "payments"], codename__startswith="view")
    operator.user.user_permissions.set(seen)


def missing_line(mei: Person) -> StatementLine:
    """A line of a file that a person brought, of which our book knows nothing."""
    platform()
    (line,) = stated(told(object_id="wpy_lost", reference="", amount=77), fetched=False, operator=mei.user)
    for hours in (0, 1, 2, 4):
        look(timedelta(hours=hours))
    line.refresh_from_db()
    assert line.outcome == "missing_in_books"
    return line


def test_a_match_shows_both_sides_beside_each_other(wei: Operator, payment: Payment) -> None:
    stated(told(payment, amount=180, fee=2, settlement_id="<b>set</b>"))
    look()
    match = Match.objects.get()
    page = wei.client.get(f"/admin/{MATCH}/{match.pk}/change/").text
    assert "<tr><th>amount</th><td>180</td><td>200</td></tr>" in page
    assert f"<tr><th>payment</th><td>–</td><td>{payment}</td></tr>" in page
    assert "by the provider&#x27;s own id" in page
    assert "&lt;b&gt;set&lt;/b&gt;" in page
    assert "provider_fees CNY" in page


@pytest.mark.parametrize("term", ["{match}", "{payment}", "{object}"])
def test_a_match_is_found_by_its_id_its_payment_and_the_wallets_name(
    wei: Operator, mei: Person, payment: Payment, term: str
) -> None:
    stated(told(payment), told(sale(mei)))
    look()
    match, other = Match.objects.get(payment=payment), Match.objects.exclude(payment=payment).get()
    asked = term.format(match=match, payment=payment, object=payment.object_id)
    page = wei.client.get(f"/admin/{MATCH}/", {"q": asked}).text
    assert str(match) in page
    assert str(other) not in page


def test_an_operator_undoes_a_match_and_has_its_line_looked_at_again(wei: Operator, payment: Payment) -> None:
    before = balances()
    (line,) = stated(told(payment, fee=2))
    look()
    match = Match.objects.get()
    assert wei.act(MATCH, match, "undo", "the wrong day").status_code == 302
    assert (balances(), outcomes([line])) == (before, ["undone"])

    assert wei.act(LINE, line, "look-again", "right after all").status_code == 302
    look()
    assert outcomes([line]) == ["matched"]
    assert acts() == [("undo", "the wrong day"), ("look_again", "right after all")]
    assert_books_hold()


def test_an_undone_match_offers_no_second_undo(wei: Operator, payment: Payment) -> None:
    stated(told(payment, fee=2))
    look()
    match = Match.objects.get()
    wei.act(MATCH, match, "undo", "wrong")
    before = balances()
    assert "act/undo" not in wei.client.get(f"/admin/{MATCH}/{match.pk}/change/").text
    wei.act(MATCH, match, "undo", "again")
    assert (balances(), acts()) == (before, [("undo", "wrong")])


@pytest.mark.parametrize("term", ["wpy_lost", "{statement}", "2026-11-02", "platform"])
def test_a_line_is_found_by_what_its_file_calls_it(wei: Operator, mei: Person, term: str) -> None:
    line = missing_line(mei)
    Statement.objects.update(day="2026-11-02")
    page = wei.client.get(f"/admin/{LINE}/", {"q": term.format(statement=line.statement)}).text
    assert "wpy_lost" in page
    page = wei.client.get(f"/admin/{LINE}/", {"outcome__exact": "missing_in_books"}).text
    assert "wpy_lost" in page
    assert "wpy_lost" not in wei.client.get(f"/admin/{LINE}/", {"outcome__exact": "matched"}).text


def test_an_operator_matches_a_line_by_hand(wei: Operator, mei: Person, payment: Payment) -> None:
    line = missing_line(mei)
    address = f"/admin/{LINE}/{line.pk}/match/"
    assert address in wei.client.get(f"/admin/{LINE}/{line.pk}/change/").text
    assert "Payment or refund" in wei.client.get(address).text

    for about, said in (("pay_nonsense", "Neither a payment"), (str(payment)[:-1] + "0", "There is no such payment")):
        page = wei.client.post(address, {"about": about, "reason": "x"}).text
        assert said in page
    assert Match.objects.count() == 0

    answer = wei.client.post(address, {"about": str(payment), "more": "", "reason": "the till says so"})
    match = Match.objects.get()
    assert answer.headers["Location"] == f"/admin/{MATCH}/{match.pk}/change/"
    assert (match.payment, match.rule, match.made_by) == (payment, "by_hand", wei.user)
    assert acts() == [("match_by_hand", "the till says so")]
    assert_books_hold()


def test_who_only_sees_does_nothing(wei: Operator, mei: Person, payment: Payment) -> None:
    line = missing_line(mei)
    stated(told(payment, fee=2))
    look()
    match, before = Match.objects.get(), balances()
    only_sees(wei)
    assert wei.client.get(f"/admin/{MATCH}/{match.pk}/change/").status_code == 200
    assert wei.act(MATCH, match, "undo", "x").status_code == 403
    assert wei.act(LINE, line, "look-again", "x").status_code == 403
    assert wei.client.post(f"/admin/{LINE}/{line.pk}/match/", {"about": str(payment), "reason": "x"}).status_code == 403
    assert f"{line.pk}/match/" not in wei.client.get(f"/admin/{LINE}/{line.pk}/change/").text
    assert (balances(), acts(), outcomes([line])) == (before, [], ["missing_in_books"])


def test_not_even_a_superuser_changes_what_is_only_read(payment: Payment) -> None:
    chief = signed_in(CHIEF_PHONE, superuser=True)
    stated(told(payment))
    look()
    for table, row in ((MATCH, Match.objects.get()), (LINE, StatementLine.objects.get())):
        for end in ("add/", f"{row.pk}/change/", f"{row.pk}/delete/"):
            assert chief.client.post(f"/admin/{table}/{end}", {"post": "yes", "rule": "sum"}).status_code == 403
