"""The statement as camt.053: held against ISO 20022's own schema, with whatever people write in it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from django.conf import LazySettings
from django.utils import timezone

from merchants import ids
from merchants.models import Shop
from payments import statement_camt053
from payments.models import LedgerEntry, Payment, PaymentIntent
from payments.statement import Asked, Basis
from tests.cast import Person
from tests.test_ledger import NOON, movement, pending, post, receivable
from tests.test_statement import LATER, ask, month_of_trade
from tests.test_statement_csv import sale, today  # noqa: F401  A fixture.
from tests.till import platform

SPACE = {"c": "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"}


@cache
def schema() -> Any:
    return xmlschema.XMLSchema(Path(__file__).parent / "schemas" / "camt.053.001.08.xsd")


def valid(asked: Asked) -> ElementTree.Element:
    file = b"".join(statement_camt053.pieces(asked, LATER))
    schema().validate(file.decode())
    return ElementTree.fromstring(file)


def texts(tree: ElementTree.Element, path: str) -> list[str | None]:
    return [each.text for each in tree.iterfind(f".//{'/'.join(f'c:{part}' for part in path.split('/'))}", SPACE)]


def test_it_is_valid_by_the_schema_on_a_book_of_anything(mei: Person) -> None:
    platform()
    month_of_trade(mei.shop)
    for name in ("2026-11", "2026-11-24", "2026-10"):
        for basis in Basis:
            tree = valid(ask(mei.shop, name, basis))
            assert texts(tree, "Bal/Tp/CdOrPrtry/Cd") == ["OPBD", "CLBD"], (name, basis)
            references = texts(tree, "Ntry/NtryRef")
            assert texts(tree, "TtlNtries/NbOfNtries") == [str(len(references))], (name, basis)
            assert len(set(references)) == len(references), (name, basis)


@pytest.mark.parametrize("currency", ["JPY", "CNY", "KWD"])
def test_a_balance_below_nothing_is_a_debit(mei: Person, currency: str) -> None:
    platform()
    Shop.objects.filter(id=mei.shop.id).update(currency=currency)
    mei.shop.refresh_from_db()
    post(movement(mei.shop, 1500, currency=currency, debit=pending(mei.shop), credit=receivable()))
    tree = valid(ask(mei.shop, "2026-11-22"))
    amount = {"JPY": "1500", "CNY": "15.00", "KWD": "1.500"}[currency]
    assert texts(tree, "Ntry/Amt") == [amount]
    assert texts(tree, "Bal/CdtDbtInd") == ["CRDT", "DBIT"]
    assert texts(tree, "TtlNetNtry/CdtDbtInd") == ["DBIT"]
    assert {each.get("Ccy") for each in tree.iterfind(".//c:Amt[@Ccy]", SPACE)} == {currency}


def test_each_entry_is_traced_to_what_it_is_of(mei: Person, sale: Payment, settings: LazySettings) -> None:  # noqa: F811
    asked = ask(mei.shop, today(mei.shop), at=timezone.now())
    tree = valid(asked)
    refund = sale.refunds.get()
    entries = [
        ids.public("ent", row.id) for row in LedgerEntry.objects.order_by("id") if row.kind != "refund_confirmed"
    ]
    assert texts(tree, "Ntry/NtryRef") == texts(tree, "Ntry/AcctSvcrRef") == entries
    assert texts(tree, "Refs/EndToEndId") == [ids.public("pay", sale.id), ids.public("rfd", refund.id)]
    assert texts(tree, "BkTxCd/Prtry/Cd") == ["paid", "refund_asked"]
    assert texts(tree, "Ntry/CdtDbtInd") == ["CRDT", "DBIT"]
    assert texts(tree, "Acct/Id/Othr/Id") == [ids.public("shp", mei.shop.id)]
    address = f"{settings.PUBLIC_URL}/r/{PaymentIntent.objects.get().receipt}"
    assert texts(tree, "RmtInf/Ustrd") == ["红苹果, 大 × 2", address, "红苹果, 大 × 2", "one bad pile", address]
    assert texts(tree, "BookgDt/DtTm")[0] != texts(tree, "ValDt/DtTm")[0]


@pytest.mark.parametrize("name", ["<&>]]>\"'", "a\x01\x0b\x1f\ufffeb\ud800", "ហាង 🍎 水", "x" * 80])
def test_what_people_write_is_text_and_nothing_else(mei: Person, sale: Payment, name: str) -> None:  # noqa: F811
    mei.shop.name = name
    PaymentIntent.objects.update(description="&" * 118 + "<>")
    tree = valid(ask(mei.shop, today(mei.shop), at=timezone.now()))
    assert texts(tree, "Ownr/Nm") == [name.translate(dict.fromkeys([1, 0x0B, 0x1F, 0xFFFE, 0xD800]))]
    assert texts(tree, "RmtInf/Ustrd")[0] == "&" * 118 + "<>"


def test_entries_wait_on_disk_when_there_are_many(mei: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    platform()
    monkeypatch.setattr(statement_camt053, "_IN_MEMORY", 1000)
    monkeypatch.setattr(statement_camt053, "_PIECE", 4096)
    post(*(movement(mei.shop, amount) for amount in range(1, 101)))
    assert len(list(statement_camt053.pieces(ask(mei.shop, "2026-11-22"), LATER))) > 10
    tree = valid(ask(mei.shop, "2026-11-22"))
    assert texts(tree, "TtlCdtNtries/Sum") == ["50.50"]
    assert len(texts(tree, "Ntry/NtryRef")) == 100


def test_the_same_statement_has_the_same_message_id_and_another_has_not(mei: Person) -> None:
    platform()
    month_of_trade(mei.shop)
    found = {
        (name, basis): texts(valid(ask(mei.shop, name, basis, at=NOON)), "GrpHdr/MsgId")[0]
        for name in ("2026-11", "2026-11-22")
        for basis in Basis
    }
    assert len(set(found.values())) == 4
    again = texts(valid(ask(mei.shop, "2026-11", at=NOON)), "GrpHdr/MsgId")
    assert again == [found["2026-11", Basis.RECORDED]]
