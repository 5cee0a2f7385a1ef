"""Where every row would live if shops were spread over several databases: by its shop, or declared, with the reason.

`docs/scaling.md` says when that begins and what it takes. Here the tables, their unique keys and the statements of the
hot paths are held to it: whoever adds one that no shop owns says so, and why, before it is too late to change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from django.utils import timezone

from merchants import notify
from payments import reconcile, taking
from tests.cast import Person
from tests.till import assert_books_hold, expect, paid, platform, shop_code

# --- Tables ----------------------------------------------------------------------------------------------------------

# What is not spread by the shop: to which place it goes, and why it cannot go with a shop.
ELSEWHERE = {
    # Spread by what is looked up: it comes from outside, before anybody knows a shop.
    "merchants.User": "spread by person: somebody signs in by phone before she has a shop, and may have several",
    "merchants.Token": "spread by token: it says who asks, and for which shop",
    "merchants.OneTimeCode": "spread by phone: nobody is known yet",
    "merchants.TextMessage": "spread by phone: a text to a person, of no shop when it carries a code",
    "merchants.IdempotentReply": "spread by caller, whose first half is the shop",
    "merchants.BlankCode": "spread by slug: it belongs to nobody until it is bound",
    "payments.WebhookEvent": "spread by delivery id: only its meaning, read later, names an intent and so a shop",
    "payments.Delivery": "beside its event: spread by delivery id, which is all that is unique of it",
    "payments.QueuedEvent": "beside its event: a worker empties the queue of a place, whichever shops it is about",
    "payments.EntryKey": "spread by key, or given its shop: a key is of one payment, and so of one shop for ever",
    # Few rows that change seldom and are needed everywhere: copied to every place.
    "payments.ProviderAccount": "copied: one of the platform serves all shops; read by every notification",
    "payments.ProviderKey": "copied with the account",
    "payments.OldCredentials": "copied with the account",
    "payments.FeeContract": "copied: most are of the platform, for all shops",
    "payments.PayoutTerms": "copied: most are of a currency, for all shops",
    "payments.Holiday": "copied: a calendar",
    "payments.ReceiptKey": "copied: signs the receipts of all shops",
    # What is between us and a provider or our bank, not between us and a shop: spread by their account.
    "payments.Inquiry": "by provider account: what is asked has no shop yet",
    "payments.Statement": "by provider account or bank account: a file is of all its shops",
    "payments.StatementLine": "with its statement",
    "payments.Settlement": "by provider account: one sum for all shops",
    "payments.SettlementMatch": "with its settlement",
    "payments.Match": "with its lines; the payment it names is asked of its shop's place",
    "payments.Discrepancy": "by provider account: some have no shop, and operators read all of them by age",
    "payments.Adjustment": "with its discrepancy",
    "payments.HourRollup": "sums of the payments of each place, added up over the places by who reads them",
    "payments.StartRollup": "by provider account, and likewise",
    "payments.BankAccount": "copied: ours",
    "payments.PayoutBatch": "by bank account: one file pays many shops",
    # Operators' own, and what is about the whole: one place.
    "merchants.CodeBatch": "one place: an operator prints it",
    "merchants.OperatorAct": "one place: the operators' trail",
    "payments.Archive": "of the place whose partition it was: each place retires its own",
    "payments.Seal": "one chain in each place, of the entries there: what is published daily is one head for each",
}


def is_of(model: type[models.Model]) -> str:
    return f"{model._meta.app_label}.{model.__name__}"


def every_model() -> list[type[models.Model]]:
    return [model for name in ("merchants", "payments", "qr") for model in apps.get_app_config(name).get_models()]


def of_a_shop() -> set[type[models.Model]]:
    return {model for model in every_model() if is_of(model) not in ELSEWHERE}


def names_a_shop(model: type[models.Model], field: str) -> bool:
    """Whether the value of this column belongs to one shop for ever: the shop itself, or a row of one."""
    found = model._meta.get_field(field)
    return field == "shop" or (found.is_relation and found.related_model in of_a_shop())


def test_every_table_is_a_shops_or_says_where_it_goes() -> None:
    homeless = [
        is_of(model)
        for model in of_a_shop()
        if model.__name__ != "Shop" and not any(names_a_shop(model, field.name) for field in model._meta.local_fields)
    ]
    assert homeless == []
    assert {is_of(model) for model in every_model()} >= ELSEWHERE.keys()


# --- Unique keys -----------------------------------------------------------------------------------------------------

# Keys of a shop's tables in which no shop stands: what keeps them unique over all places.
GLOBAL_KEYS = {
    "merchants.Shop check_word": "a word of two shops would be worse than none: drawn until a directory takes it",
    "merchants.Code slug": "96 random bits, and what a scan knows: a directory from slug to shop",
    "merchants.PushSubscription token": "a token is of one shop and one person",
    "merchants.PushSubscription address_digest": "a phone may move to another shop: a directory from digest to shop",
    "payments.Account key": "names its shop where it has one; an account of the platform has one row in each place",
    "payments.PaymentIntent page": "drawn for one code, which is one shop's",
    "payments.PaymentIntent receipt": "128 random bits, and what a customer keeps: a directory from receipt to shop",
    "payments.Payment object_id provider_account": (
        "the provider's own id, unique by its account: a directory from it to the payment's shop; a payment without "
        "a shop waits in one place, and moves when it is placed"
    ),
}


def unique_keys(model: type[models.Model]) -> Iterator[tuple[str, ...]]:
    for field in model._meta.local_fields:
        if field.unique:
            yield (field.name,)
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            yield tuple(constraint.fields)


def is_made_unique(model: type[models.Model], key: tuple[str, ...]) -> bool:
    """A primary key that is drawn or counted: with the shop beside it, it is as unique as alone."""
    return key == (model._meta.pk.name,) and isinstance(model._meta.pk, models.UUIDField | models.AutoField)


def test_every_unique_key_of_a_shops_table_holds_its_shop_or_says_what_keeps_it_unique() -> None:
    loose = {
        f"{is_of(model)} {' '.join(key)}"
        for model in of_a_shop()
        for key in unique_keys(model)
        if not is_made_unique(model, key) and not any(names_a_shop(model, field) for field in key)
    }
    assert loose == GLOBAL_KEYS.keys()


# --- Statements ------------------------------------------------------------------------------------------------------

# Statements of the hot paths on a shop's tables that name no shop: they go to all places at once, or to one that is
# known otherwise. (How the statement begins after its select list, and why.)
TO_ALL = {
    "FROM merchants_code LEFT OUTER JOIN merchants_item": "the slug that was scanned has named the shop already",
    "UPDATE payments_paymentintent SET start_failure": "whoever starts it knows its shop",
    "FROM payments_paymentintent WHERE id IN": (
        "a notification names an intent, and only the intent its shop: once a batch, by primary key, of all at once"
    ),
    "FROM payments_payment p JOIN unnest": "by the provider's id: the directory above, once a batch",
    "UPDATE payments_paymentintent AS intent SET": "its shop is known by then, and becomes a column of the list",
    "INSERT INTO payments_intenttimer": "beside the intent that was made just now",
    "DELETE FROM payments_intenttimer WHERE intent_id": "beside their intents, in the same breath",
    "FROM payments_account WHERE key IN": "a key names its shop; once a batch",
    "FROM payments_account account JOIN payments_accountbalance": "by keys, each of which names the shop",
    "FROM payments_refund WHERE payment_id IN": "of one page of payments, all of the same shop",
    "FROM payments_dispute WHERE payment_id IN": "of one page of payments, all of the same shop",
}


@contextmanager
def recorded() -> Iterator[list[str]]:
    """The statements that really reach the database."""
    said: list[str] = []

    def record(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        said.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        yield said


def told(statement: str) -> str:
    """The statement without what it only shows: comments, quotes and select lists name columns, and ask for nothing."""
    text = re.sub(r"--[^\n]*", "", statement).replace('"', "")
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"= ANY ?\(", "IN (", re.sub(r"\b[A-Za-z_]\w*\.(?=[a-z])", "", text))  # However it is written.
    return re.sub(r"\bSELECT (?:(?!SELECT).)*? FROM\b", "FROM", re.sub(r" RETURNING .*", "", text))


def astray(statements: list[str]) -> set[str]:
    """What asks for rows of shops and says neither which shop nor why not."""
    tables = {model._meta.db_table for model in of_a_shop() if model.__name__ != "Shop"}
    found = set()
    for text in map(told, statements):
        named = set(re.findall(r"\b(?:merchants|payments)_[a-z]+", text)) & tables
        if named and "shop_id" not in text and not any(text.startswith(beginning) for beginning in TO_ALL):
            found.add(text)
    return found


@pytest.fixture
def hot(mei: Person) -> list[str]:
    """A payment from its start to the vendor's phone, and every page that is read often."""
    platform()
    with recorded() as said:
        intent = expect(shop_code(mei.shop), 200)
        paid(intent).deliver()
        notify.announce(reconcile.apply(taking.batch(clock=timezone.now), clock=timezone.now).shops)
        for address in (
            "ledger/balance", "ledger/entries", "ledger/day", f"ledger/statement?month={timezone.now():%Y-%m}",
            "payments", "notices",
        ):  # fmt: skip
            assert mei.api().get(f"/api/v1/{address}").status_code == 200
    assert_books_hold()
    return said


def test_every_hot_statement_names_its_shop_or_says_why_not(hot: list[str]) -> None:
    assert astray(hot) == set()
    texts = [told(statement) for statement in hot]
    unused = [beginning for beginning in TO_ALL if not any(text.startswith(beginning) for text in texts)]
    assert unused == [], "said of no statement any more"


def test_a_statement_that_names_no_shop_is_seen(mei: Person) -> None:
    with recorded() as said, connection.cursor() as cursor:
        cursor.execute("SELECT shop_id, amount FROM payments_payment WHERE amount > 100")
    assert astray(said) == {"FROM payments_payment WHERE amount > 100"}
