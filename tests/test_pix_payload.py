"""Pix codes: keys and addresses, written as Brazil's central bank has them and read as wallets find them."""

from __future__ import annotations

from typing import Any

import pytest

from qr.payloads import emvco, pix, tlv
from qr.payloads.base import Reading, Unwritable

SHOP: dict[str, Any] = {"name": "Barraca da Ana", "city": "Salvador"}
RANDOM_KEY = "71d6c6e1-64ea-4a11-9560-a10870c40ca2"
CHARGE = "pix.example.com/v2/cobv/9d36b84fc70b478fb95c12729b90ca25"


def read(text: str) -> Reading:
    reading = pix.reads(emvco.read(text))
    assert reading is not None
    return reading


def faults(text: str) -> list[tuple[str, str, bool]]:
    return [(one.code, one.where, one.fatal) for one in read(text).violations]


def changed(text: str, before: str, after: str) -> str:
    """The text with a part changed, its lengths as they are, and the check sum that fits."""
    assert before in text
    body = text.replace(before, after)[:-4]
    return body + emvco.check_sum(body)


def test_a_static_code_names_a_key_an_amount_and_a_reference() -> None:
    text = pix.write(**SHOP, key=RANDOM_KEY, amount=1230, txid="Pedido7", info="Manga e caju")
    assert text == (
        "00020126740014br.gov.bcb.pix013671d6c6e1-64ea-4a11-9560-a10870c40ca20212Manga e caju52040000530398654"
        "0512.305802BR5914Barraca da Ana6008Salvador62110507Pedido763042867"
    )
    reading = read(text)
    assert (reading.profile, reading.title, reading.payee, reading.city) == (
        "pix", "Pix", "Barraca da Ana", "Salvador",
    )  # fmt: skip
    assert (reading.account, reading.amount, reading.currency) == (RANDOM_KEY, 1230, "BRL")
    assert (reading.reference, reading.once, reading.violations) == ("Pedido7", None, ())
    assert reading.fields == {
        "kind": "static", "key": RANDOM_KEY, "key_kind": "random", "info": "Manga e caju", "txid": "Pedido7",
    }  # fmt: skip


def test_who_is_told_of_a_payment() -> None:
    """Nobody, of a static code without a txid; the bank answers for one with; a charge is the bank's own."""
    assert read(pix.write(**SHOP, key=RANDOM_KEY)).confirmation == "unconfirmed"
    assert read(pix.write(**SHOP, key=RANDOM_KEY, txid="Pedido7")).confirmation == "lookup"
    assert read(pix.write(**SHOP, url=CHARGE)).confirmation == "provider"


def test_a_dynamic_code_names_the_address_of_a_charge_and_nothing_of_it() -> None:
    reading = read(pix.write(**SHOP, url=f"https://{CHARGE}", once=True))
    assert (reading.account, reading.amount, reading.reference, reading.once) == (CHARGE, None, "", True)
    assert reading.fields == {"kind": "dynamic", "url": CHARGE, "txid": "***"}
    assert reading.violations == ()


def test_a_recurring_authorisation_stands_beside_a_code_or_alone() -> None:
    address = "pix.example.com/rec/3d29b94249c54b3f8c533d729f59b5e5"
    beside = read(pix.write(**SHOP, url=CHARGE, recurrence_url=address))
    assert (beside.fields["kind"], beside.fields["recurrence_url"], beside.account) == ("dynamic", address, CHARGE)
    alone = read(pix.write(**SHOP, recurrence_url=address))
    assert (alone.fields["kind"], alone.account, alone.violations) == ("recurrence", address, ())


def test_accents_are_stripped_from_what_wallets_show() -> None:
    reading = read(pix.write(name="Pão de Açúcar & Cia", city="São João d’El Rei"[:15], key=RANDOM_KEY, info="Limão"))
    assert (reading.payee, reading.city, reading.fields["info"]) == ("Pao de Acucar & Cia", "Sao Joao d'El R", "Limao")


@pytest.mark.parametrize(
    ("typed", "kept", "kind"),
    [
        ("529.982.247-25", "52998224725", "cpf"),
        ("11144477735", "11144477735", "cpf"),
        ("11.222.333/0001-81", "11222333000181", "cnpj"),
        ("60701190000104", "60701190000104", "cnpj"),
        ("12.ABC.345/01DE-35", "12ABC34501DE35", "cnpj"),
        ("12abc34501de35", "12ABC34501DE35", "cnpj"),
        ("Ana.Banca@Example.com.br", "ana.banca@example.com.br", "email"),
        ("+55 (71) 98765-4321", "+5571987654321", "phone"),
        (RANDOM_KEY.upper(), RANDOM_KEY, "random"),
    ],
)
def test_a_key_is_kept_in_its_own_form(typed: str, kept: str, kind: str) -> None:
    assert (pix.normal_key(typed), pix.key_kind(kept)) == (kept, kind)
    assert read(pix.write(**SHOP, key=typed)).account == kept


@pytest.mark.parametrize(
    "typed",
    [
        "52998224724", "11111111111", "71987654321", "11222333000182", "00000000000000", "12ABC34501DE36", "", "ana@",
        "ana@example", "+5", "+05571987654321", "71d6c6e1-64ea-4a11-9560", "x" * 74 + "@e.br", "ana@exa mple.com", "１",
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(typed: str) -> None:
    with pytest.raises(Unwritable) as refused:
        pix.normal_key(typed)
    assert refused.value.code == "key_malformed"


def test_a_telephone_number_without_its_country_is_told_from_a_wrong_cpf() -> None:
    with pytest.raises(Unwritable, match=r"\+55"):
        pix.write(**SHOP, key="71987654321")


@pytest.mark.parametrize(
    ("asked", "code", "where"),
    [
        ({}, "account_missing", "key"),
        ({"key": RANDOM_KEY, "url": CHARGE}, "account_missing", "key"),
        ({"url": CHARGE, "amount": 100}, "unused", "amount"),
        ({"url": CHARGE, "txid": "Pedido7"}, "unused", "amount"),
        ({"url": "pix.example.com"}, "malformed", "url"),
        ({"url": "http://pix.example.com/1"}, "malformed", "url"),
        ({"key": RANDOM_KEY, "txid": "Pedido 7"}, "malformed", "txid"),
        ({"key": RANDOM_KEY, "txid": "x" * 26}, "malformed", "txid"),
        ({"key": RANDOM_KEY, "cash_facilitator": "123"}, "malformed", "cash_facilitator"),
        ({"key": RANDOM_KEY, "amount": 0}, "amount_zero", "54"),
        ({"key": RANDOM_KEY, "amount": 10**12}, "too_long", "54"),
        ({"key": RANDOM_KEY, "info": "x" * 38}, "too_long", "26"),
        ({"key": RANDOM_KEY, "name": "x" * 26}, "too_long", "59"),
        ({"key": RANDOM_KEY, "city": "x" * 16}, "too_long", "60"),
        ({"key": RANDOM_KEY, "name": ""}, "empty", "59"),
        ({"key": RANDOM_KEY, "name": "安娜"}, "character", "59"),
        ({"key": RANDOM_KEY, "category": "12"}, "malformed", "52"),
    ],
)
def test_what_no_pix_code_says_is_not_written(asked: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(Unwritable) as refused:
        pix.write(**{**SHOP, **asked})
    assert (refused.value.code, refused.value.where) == (code, where)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("br.gov.bcb.pix", "BR.GOV.BCB.PIX", ("guid_case", "26.00", False)),
        (RANDOM_KEY, RANDOM_KEY.replace("-", "_"), ("key_malformed", "26.01", True)),
        (f"0136{RANDOM_KEY}", f"2536{RANDOM_KEY}", ("url_malformed", "26.25", False)),
        ("540512.30", "540512.3 ", ("amount_malformed", "54", True)),
        ("540512.30", "540512.30"[:-3] + "30.", ("malformed", "54", False)),
        ("5303986", "5303840", ("currency_foreign", "53", True)),
        ("5802BR", "5802AR", ("country_foreign", "58", False)),
        ("62110507Pedido7", "62110507Ped-do7", ("malformed", "62.05", False)),
        ("62110507Pedido7", "62110307Pedido7", ("missing", "62.05", False)),
        ("6008Salvador", "", ("missing", "60", False)),
    ],
)
def test_what_is_wrong_with_a_code_is_reported(before: str, after: str, expected: tuple[str, str, bool]) -> None:
    text = pix.write(**SHOP, key=RANDOM_KEY, amount=1230, txid="Pedido7")
    assert faults(changed(text, before, after)) == [expected]


def test_two_targets_or_none_are_fatal() -> None:
    base: dict[str, tlv.Value] = {
        "00": "01",
        "52": "0000",
        "53": "986",
        "58": "BR",
        "59": "Ana",
        "60": "Salvador",
        "62": {"05": "***"},
    }
    both = emvco.write({**base, "26": {"00": "br.gov.bcb.pix", "01": RANDOM_KEY, "25": CHARGE[:20]}})
    none = emvco.write({**base, "26": {"00": "br.gov.bcb.pix"}})
    assert ("account_twice", "26", True) in faults(both)
    assert faults(none) == [("account_missing", "26", True)]


def test_what_other_software_writes_is_read() -> None:
    """By pix-utils 2.8.2: a static code with an amount, a dynamic one, and one of a recurring authorisation."""
    static = read(
        "00020101021226280014br.gov.bcb.pix0106a@b.co52040000530398654041.505802BR5904JOSE6009SAO PAULO"
        "62070503***63045CE2"
    )
    assert (static.account, static.amount, static.payee, static.violations) == ("a@b.co", 150, "JOSE", ())
    dynamic = read(
        "00020101021226740014br.gov.bcb.pix2552payload.psp.com/3ec9d2f9-5f03-4e0e-820d-63a81e769e875204000053039865802BR"
        "5914THALES OGLIARI6015SAO MIGUEL DO O62070503***63042895"
    )
    assert (dynamic.confirmation, dynamic.once, dynamic.violations) == ("provider", True, ())
    recurring = read(
        "00020126180014br.gov.bcb.pix5204000053039865802BR5914THALES OGLIARI6015SAO MIGUEL DO O62070503***80780014"
        "br.gov.bcb.pix2556payload.psp.com/rec/3ec9d2f9-5f03-4e0e-820d-63a81e769e876304A8B8"
    )
    assert (recurring.fields["kind"], recurring.violations) == ("recurrence", ())


def test_another_networks_code_is_none_of_ours() -> None:
    assert pix.reads(emvco.read("00020101021129370016A000000677010111011300668012345675802TH530376463046197")) is None
    assert pix.reads(emvco.read("https://example.com")) is None
