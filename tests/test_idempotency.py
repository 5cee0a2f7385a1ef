"""A repeated request, over the API."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from merchants.idempotency import once
from merchants.models import IdempotentReply, Item, Shop, Token
from tests.cast import Person, problem

APPLES = {"name": "Apples", "price": {"amount": 200, "currency": "CNY"}}


def post(
    api: APIClient, key: str, body: Any = None, path: str = "/api/v1/items", language: str = "en", **options: Any
) -> Any:
    headers = {"Idempotency-Key": key, "Accept-Language": language}
    return api.post(path, APPLES if body is None else body, headers=headers, **options)


def test_the_same_request_gets_the_same_reply_and_takes_effect_once(api: APIClient) -> None:
    first, again = post(api, "a"), post(api, "a")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Item.objects.count() == IdempotentReply.objects.count() == 1


def test_a_reply_is_given_again_in_the_language_it_was_first_given_in_and_says_so(api: APIClient) -> None:
    said = [post(api, "a", language=language).headers for language in ("hi", "vi")]
    assert [headers["Content-Language"] for headers in said] == ["hi", "hi"]
    assert "Accept-Language" in said[1]["Vary"]


def test_without_a_key_every_request_takes_effect(api: APIClient) -> None:
    for _ in range(2):
        assert api.post("/api/v1/items", APPLES).status_code == 201
    assert Item.objects.count() == 2
    assert not IdempotentReply.objects.exists()


def test_the_order_of_the_fields_does_not_matter(api: APIClient) -> None:
    post(api, "a")
    assert post(api, "a", dict(reversed(APPLES.items()))).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({**APPLES, "name": "Pears"}, "/api/v1/items"),
        ({"kind": "shop"}, "/api/v1/codes"),
    ],
)
def test_the_key_of_another_request_is_refused_and_nothing_is_made(
    api: APIClient, body: dict[str, Any], path: str
) -> None:
    post(api, "a")
    assert problem(post(api, "a", body, path)) == (422, "idempotency_key_reused")
    assert Item.objects.count() == IdempotentReply.objects.count() == 1


def test_a_key_belongs_to_one_person_in_one_shop(mei: Person, arjun: Person) -> None:
    post(mei.api(), "a")
    rupees = {**APPLES, "price": {"amount": 200, "currency": "INR"}}
    his = post(arjun.api(), "a", rupees)
    assert (his.status_code, "Idempotent-Replayed" in his.headers) == (201, False)
    assert Item.objects.filter(shop=arjun.shop).count() == 1


def test_a_refusal_is_not_kept(api: APIClient, mei: Person) -> None:
    rupees = {**APPLES, "price": {"amount": 200, "currency": "INR"}}
    assert problem(post(api, "a", rupees)) == (400, "currency_mismatch")
    assert not IdempotentReply.objects.exists()
    Shop.objects.update(currency="INR")
    assert post(api, "a", rupees).status_code == 201


@pytest.mark.parametrize("key", ["x" * 256, "with space", "ключ", "tab\there"])
def test_a_key_that_is_none_is_refused(api: APIClient, key: str) -> None:
    refused = api.post("/api/v1/items", APPLES, HTTP_IDEMPOTENCY_KEY=key)
    assert problem(refused) == (400, "idempotency_key_invalid")
    assert not Item.objects.exists()


def test_the_longest_key_is_taken(api: APIClient) -> None:
    assert post(api, "~" * 255).status_code == 201


def picture(colour: str) -> SimpleUploadedFile:
    out = io.BytesIO()
    Image.new("RGB", (30, 30), colour).save(out, "PNG")
    return SimpleUploadedFile("photo.png", out.getvalue(), "image/png")


def test_a_form_is_the_same_when_its_fields_and_its_photo_are(api: APIClient) -> None:
    def form(colour: str) -> dict[str, Any]:
        return {"name": "Apples", "price.amount": "200", "price.currency": "CNY", "photo": picture(colour)}

    first = post(api, "a", form("red"), format="multipart")
    assert first.json()["photo"]
    again = post(api, "a", form("red"), format="multipart")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    other = post(api, "a", form("blue"), format="multipart")
    assert problem(other) == (422, "idempotency_key_reused")
    assert Item.objects.count() == 1


class Effect(APIView):
    """A view for the cases that no view of the product has: replies without a body, failures, a required key."""

    authentication_classes = []
    permission_classes = []
    answer = Response(status=204)
    required = False

    def post(self, request: Request) -> Response:
        def effect() -> Response:
            Shop.objects.update(name="changed")
            if self.answer.status_code == 500:
                raise RuntimeError("we are wrong")
            return self.answer

        return once(request, effect, required=self.required)


def ask(mei: Person, answer: Response, key: str | None = "a", *, required: bool = False) -> Response:
    request = APIRequestFactory().post("/x", {}, headers={"Idempotency-Key": key} if key else None)
    force_authenticate(request, mei.user, Token.objects.get(user=mei.user))
    response: Response = Effect.as_view(answer=answer, required=required)(request)
    return response


def test_a_reply_without_a_body_is_kept_too(mei: Person) -> None:
    assert ask(mei, Response(status=204)).status_code == 204
    again = ask(mei, Response({"other": 1}, status=200))
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (204, None, "true")


@pytest.mark.parametrize("status", [400, 409, 500])
@pytest.mark.parametrize("key", ["a", None])
def test_an_answer_that_is_not_2xx_undoes_what_was_done(mei: Person, status: int, key: str | None) -> None:
    assert ask(mei, Response({"code": "no"}, status=status), key).status_code == status
    assert Shop.objects.get().name == "Mei's fruit"
    assert not IdempotentReply.objects.exists()
    assert ask(mei, Response({"ok": True}), key).status_code == 200
    assert Shop.objects.get().name == "changed"


def test_a_view_can_require_a_key(mei: Person) -> None:
    refused = ask(mei, Response(status=200), None, required=True)
    assert (refused.status_code, refused.data["code"]) == (400, "idempotency_key_missing")
    assert Shop.objects.get().name == "Mei's fruit"
    assert ask(mei, Response(status=200), "a", required=True).status_code == 200
