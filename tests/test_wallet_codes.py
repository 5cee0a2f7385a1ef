"""Codes of a shop's own wallet: added with a fresh code and told to every owner, drawn, retired, never confirmed."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from rest_framework.test import APIClient

from merchants import ids
from merchants.models import IdempotentReply, Notice, OneTimeCode, Shop, Staff, TextMessage, WalletCode
from qr import wallet_codes
from qr.payloads import pix
from tests.cast import Person, field_problems, hire, problem
from tests.operators import quick_passwords, signed_in  # noqa: F401
from tests.test_accounts import fresh_code, texts_to

pytestmark = pytest.mark.django_db
CODES = "/api/v1/wallet-codes"
UPI = "upi://pay?pa=arjun@okbank&pn=Arjun%20Rao&cu=INR"
SENTENCE = "No server tells us when this code is paid. Look into your own wallet before you hand over the goods."


def add(person: Person, *, code: str | None = None, key: str = "k", **body: Any) -> Any:
    body = {"code": fresh_code(person) if code is None else code, **(body or {"text": UPI})}
    return person.api().post(CODES, body, headers={"Idempotency-Key": key})


def added(person: Person, **body: Any) -> WalletCode:
    answer = add(person, key=secrets.token_hex(8), **body)
    assert answer.status_code == 201, answer.content
    return WalletCode.objects.get(id=ids.parse("wco", answer.json()["id"]))


def at(code: WalletCode, ending: str = "") -> str:
    return f"{CODES}/{ids.public('wco', code.id)}{ending}"


def unchanged(act: Callable[[], Any]) -> Any:
    """The answer to a request that keeps nothing, uses no code up and tells nobody."""

    def everything() -> list[object]:
        tables: list[Any] = [WalletCode, IdempotentReply, Notice, TextMessage]
        rows = [list(table.objects.order_by("pk").values()) for table in tables]
        return [*rows, list(OneTimeCode.objects.order_by("id").values("id", "redeemed_at"))]

    before = everything()
    answer = act()
    assert everything() == before
    return answer


def steps(shop: Shop) -> list[str]:
    rows = Notice.objects.filter(shop=shop, kind=wallet_codes.NOTICE).order_by("number")
    return [row.data["step"] for row in rows]


# --- Adding ----------------------------------------------------------------------------------------------------------


def test_a_scanned_code_is_kept_as_it_is_and_every_owner_is_told(arjun: Person) -> None:
    partner = hire(arjun.shop, "+8613700137000", Staff.Role.OWNER)
    hire(arjun.shop, "+8613600136000", Staff.Role.MANAGER)
    answer = add(arjun, text=UPI, label=" on the cart ")
    assert answer.status_code == 201
    row = WalletCode.objects.get()
    assert answer.json() == {
        "id": ids.public("wco", row.id),
        "profile": "upi",
        "title": "UPI",
        "payee": "Arjun Rao",
        "account": "arjun@okbank",
        "label": "on the cart",
        "price": None,
        "state": "active",
        "confirmation": "unconfirmed",
        "sentence": SENTENCE,
        "payload": UPI,
        "violations": [],
        "staff": ids.public("stf", arjun.staff.id),
        "created_at": answer.json()["created_at"],
        "retired_at": None,
    }
    assert (row.payload, row.shop, row.staff) == (UPI, arjun.shop, arjun.staff)
    assert arjun.api().get(CODES).json()["results"] == [answer.json()]
    assert arjun.api().get(at(row)).json() == answer.json()
    notice = Notice.objects.get(kind="wallet_code_change")
    assert notice.data == {
        "step": "added",
        "wallet_code": ids.public("wco", row.id),
        "title": "UPI",
        "payee": "Arjun Rao",
        "tail": "arjun@okbank",
    }
    for phone in (arjun.phone, partner.phone):
        (text,) = texts_to(phone)
        assert text == (
            f'Pushcart: a code of an own wallet was added to "Arjun\'s tea": UPI of "Arjun Rao", ending arjun@okbank '
            f"({ids.public('wco', row.id)}). Who scans it pays there. Not you? Retire it at "
            "http://127.0.0.1:8000/app/, and change the lock of your phone."
        )
    assert texts_to("+8613600136000") == []


def test_a_code_is_composed_of_its_fields_and_a_price(arjun: Person) -> None:
    code = added(
        arjun,
        profile="upi",
        fields={"name": "Arjun Rao", "address": "arjun@okbank"},
        price={"amount": 2000, "currency": "INR"},
    )
    assert code.payload == "upi://pay?pa=arjun@okbank&pn=Arjun%20Rao&am=20.00&cu=INR"
    assert arjun.api().get(at(code)).json()["price"] == {"amount": 2000, "currency": "INR"}


def test_a_khqr_is_unconfirmed_as_well_because_we_do_not_ask_its_network(arjun: Person) -> None:
    Shop.objects.filter(id=arjun.shop.id).update(currency="USD", country="KH")
    code = added(arjun, profile="khqr", fields={"name": "Chan Dara", "account": "dara@aclb"})
    row = arjun.api().get(at(code)).json()
    assert (row["confirmation"], row["title"]) == ("unconfirmed", "KHQR")
    assert row["sentence"] == f"{SENTENCE} Its network could be asked whether it was paid; we do not ask it."


def test_a_dynamic_pix_is_its_banks_and_a_static_one_is_hers(arjun: Person) -> None:
    Shop.objects.filter(id=arjun.shop.id).update(currency="BRL")
    charge = pix.write(name="Joana Melo", city="Recife", url="pix.example.com/qr/v2/abc123")
    refused = unchanged(lambda: add(arjun, code="1", text=charge))
    assert problem(refused) == (400, "payload_of_a_provider")
    typed = {"name": "Joana Melo", "city": "Recife", "key": "joana@example.com"}
    code = added(arjun, profile="pix", fields=typed, price={"amount": 500, "currency": "BRL"})
    assert (code.payload, code.account) == (
        pix.write(name="Joana Melo", city="Recife", key="joana@example.com", amount=500),
        "joana@example.com",
    )
    broken = code.payload[:-1] + "X"
    assert problem(unchanged(lambda: add(arjun, code="1", text=broken))) == (400, "payload_unsound")


def test_fields_that_do_not_fit_are_named_and_nothing_is_kept(arjun: Person) -> None:
    def refused(**body: Any) -> dict[str, str]:
        return field_problems(unchanged(lambda: add(arjun, code="1", **body)))

    name = {"name": "Arjun"}
    assert refused(profile="upi", fields={**name, "iban": "x"}) == {
        "fields.address": "required",
        "fields.iban": "field_unknown",
    }
    assert refused(profile="upi", fields={**name, "address": "no address"}) == {"fields": "address_malformed"}
    fine = {**name, "address": "arjun@okbank"}
    assert refused(profile="upi", fields=fine, price={"amount": 1, "currency": "EUR"}) == {"price": "currency_mismatch"}
    assert refused(profile="cash", fields=fine) == {"profile": "invalid_choice"}
    assert refused(profile="upi", fields={str(number): "" for number in range(21)}) == {"fields": "too_many_fields"}
    assert refused(text=UPI, fields=fine) == {"text": "field_not_allowed"}
    assert refused(text="x\x00") == {"text": "null_characters_not_allowed"}
    for neither in ({"text": UPI, "profile": "upi"}, {"label": "x"}):
        answer = unchanged(lambda: add(arjun, code="1", **neither))  # noqa: B023
        assert problem(answer) == (400, "text_or_profile")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello", "payload_unknown"),
        ("https://example.com/pay", "payload_unknown"),
        ("http://127.0.0.1:8000/s/abcdefghjkmn", "payload_ours"),
        ("weixin://wxpay/bizpayurl?pr=ab12CD3", "payload_of_a_provider"),
        ("https://qr.alipay.com/bax01234567890", "payload_of_a_provider"),
        ("upi://pay?pa=arjun@okbank&pn=A&tr=X1&mode=22", "payload_of_one_payment"),
        ("upi://pay?pa=arjun@okbank&pn=A&qrexpire=2099-01-01T00:00:00%2B05:30", "payload_of_one_payment"),
        ("upi://pay?pn=A", "payload_unsound"),
        ("upi://mandate?pa=arjun@okbank&pn=A", "payload_unsound"),
        ("wxp://f2f0abcdefghijk", "currency_mismatch"),
        ("upi://pay?pa=arjun@okbank&pn=" + "é" * 500, "payload_too_long"),
    ],
)
def test_a_code_that_is_not_the_shops_to_keep_is_refused_and_spends_nothing(
    arjun: Person, text: str, code: str
) -> None:
    sent = fresh_code(arjun)
    assert problem(unchanged(lambda: add(arjun, code=sent, text=text))) == (400, code)
    assert add(arjun, code=sent).status_code == 201


def test_adding_wants_the_owner_and_her_fresh_code(arjun: Person, stranger: APIClient) -> None:
    manager = hire(arjun.shop, "+8613700137000", Staff.Role.MANAGER)
    helper = hire(arjun.shop, "+8613600136000")
    for person in (manager, helper):
        assert problem(unchanged(lambda: add(person, code="123456"))) == (403, "role_too_low")  # noqa: B023
    assert problem(unchanged(lambda: add(arjun, code=""))) == (403, "step_up_required")
    sent = fresh_code(arjun)
    wrong = f"{(int(sent) + 1) % 1_000_000:06d}"
    assert problem(unchanged(lambda: add(arjun, code=wrong))) == (403, "step_up_invalid")
    assert problem(arjun.api().post(CODES, {"text": UPI, "code": sent})) == (400, "idempotency_key_missing")
    assert add(arjun, code=sent).status_code == 201
    assert problem(unchanged(lambda: add(arjun, code=sent, key="2", text=UPI + "&tn=x"))) == (403, "step_up_invalid")
    assert problem(stranger.get(CODES)) == (401, "not_authenticated")


def test_the_same_request_again_is_the_same_code(arjun: Person) -> None:
    first, again = add(arjun), add(arjun, code="another guess")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    assert steps(arjun.shop) == ["added"]


def test_what_is_among_hers_already_too_many_or_of_a_frozen_shop_is_refused(
    arjun: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(arjun)
    sent = fresh_code(arjun)
    assert problem(unchanged(lambda: add(arjun, code=sent))) == (409, "wallet_code_known")
    monkeypatch.setattr(wallet_codes, "ACTIVE_MAX", 1)
    assert problem(unchanged(lambda: add(arjun, code=sent, text=UPI + "&tn=x"))) == (409, "wallet_codes_too_many")
    Shop.objects.filter(id=arjun.shop.id).update(state="frozen")
    assert problem(unchanged(lambda: add(arjun, code=sent, text=UPI + "&tn=x"))) == (409, "shop_frozen")


# --- Reading, drawing, renaming, retiring ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_its_picture_holds_the_payload_to_the_letter(arjun: Person, ending: str) -> None:
    code = added(arjun)
    answer = arjun.api().get(at(code, f"/image.{ending}"), {"size": 500})
    assert (answer.status_code, answer["Cache-Control"]) == (200, "private, no-cache")
    if ending == "png":
        (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(answer.content)))
        assert (found.text, found.format) == (UPI, zxingcpp.BarcodeFormat.QRCode)
    else:
        assert answer.content.startswith(b"<svg ")
    again = arjun.api().get(at(code, f"/image.{ending}"), {"size": 500}, headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    for size in ("119", "x", "99999"):
        refused = arjun.api().get(at(code, f"/image.{ending}"), {"size": size})
        assert field_problems(refused) == {"size": "invalid"}


def test_a_code_that_does_not_fit_its_size_is_refused(arjun: Person) -> None:
    code = added(arjun, text=UPI + "&tn=" + "x" * 900)
    assert field_problems(arjun.api().get(at(code, "/image.png"), {"size": 120})) == {"size": "invalid"}


def test_everybody_of_the_shop_shows_it_and_nobody_else_finds_it(arjun: Person, mei: Person) -> None:
    code = added(arjun)
    helper = hire(arjun.shop, "+8613600136000")
    assert [row["payee"] for row in helper.api().get(CODES, {"state": "active"}).json()["results"]] == ["Arjun Rao"]
    assert helper.api().get(at(code, "/image.png")).status_code == 200
    assert mei.api().get(CODES).json()["results"] == []
    for path in (at(code), at(code, "/image.png"), f"{CODES}/wco_x", f"{CODES}/cod_{'0' * 26}"):
        assert problem(mei.api().get(path)) == (404, "not_found")
    assert problem(unchanged(lambda: mei.api().patch(at(code), {"label": "x"}))) == (404, "not_found")
    assert problem(unchanged(lambda: mei.api().delete(at(code)))) == (404, "not_found")


def test_only_its_label_can_be_changed(arjun: Person) -> None:
    code = added(arjun)
    helper = hire(arjun.shop, "+8613600136000")
    assert problem(unchanged(lambda: helper.api().patch(at(code), {"label": "x"}))) == (403, "role_too_low")
    changed = arjun.api().patch(at(code), {"label": " tea cart ", "payload": "upi://pay?pa=thief@bank"}).json()
    assert (changed["label"], changed["payload"], changed["account"]) == ("tea cart", UPI, "arjun@okbank")
    assert steps(arjun.shop) == ["added"]


def test_retiring_needs_no_code_is_told_once_and_stays(arjun: Person) -> None:
    code = added(arjun)
    helper = hire(arjun.shop, "+8613600136000")
    manager = hire(arjun.shop, "+8613700137000", Staff.Role.MANAGER)
    assert problem(unchanged(lambda: helper.api().delete(at(code)))) == (403, "role_too_low")
    assert manager.api().delete(at(code)).status_code == 204
    assert unchanged(lambda: arjun.api().delete(at(code))).status_code == 204
    row = arjun.api().get(at(code)).json()
    assert (row["state"], row["retired_at"] is None) == ("retired", False)
    assert arjun.api().get(CODES, {"state": "active"}).json()["results"] == []
    assert problem(arjun.api().get(at(code, "/image.png"))) == (409, "wallet_code_retired")
    assert steps(arjun.shop) == ["added", "retired"]
    assert texts_to(arjun.phone)[-1] == (
        f'Pushcart: the own wallet code UPI of "Arjun Rao" ({ids.public("wco", code.id)}) was retired by '
        '"Arjun\'s tea". Take it off the cart.'
    )
    assert added(arjun, text=UPI, label="again").state == "active"


def test_no_page_of_ours_offers_it_to_a_customer(arjun: Person, stranger: APIClient) -> None:
    added(arjun)
    page = stranger.get(f"/s/{arjun.shop.codes.get().slug}").content.decode()
    assert "Arjun&#x27;s tea" in page
    assert "okbank" not in page
    assert "upi" not in page


def test_operators_see_it_and_retire_it_with_a_reason(arjun: Person) -> None:
    code = added(arjun)
    wei = signed_in()
    listed = wei.client.get("/admin/merchants/walletcode/", {"q": "arjun@okbank"}).content.decode()
    assert "Own wallet codes: unconfirmed" in listed
    assert ids.public("wco", code.id) in listed
    assert wei.act("merchants/walletcode", code, "retire", "it is a stranger's account").status_code == 302
    code.refresh_from_db()
    assert (code.state, steps(arjun.shop)) == ("retired", ["added", "retired_by_operator"])
    page = wei.client.get(f"/admin/merchants/walletcode/{code.pk}/change/").content.decode()
    assert "it is a stranger&#x27;s account" in page
    assert UPI.replace("&", "&amp;") in page
    wei.act("merchants/walletcode", code, "retire", "twice")
    assert steps(arjun.shop) == ["added", "retired_by_operator"]
