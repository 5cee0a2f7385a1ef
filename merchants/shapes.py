"""How the things of this app look in the API, read and written: one serializer per thing, and the fields they share."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from merchants import codes, colours, countries, ids, links, mine, money, notice_words, step_up, user_agents
from merchants.models import Code, Item, Notice, Shop, Staff, Token, User

NAME_LENGTH = 80


@extend_schema_field(OpenApiTypes.STR)
class PublicId(serializers.Field[UUID, str, str, Any]):
    """A prefixed id. Written, it must be one of that prefix: `unknown_id` otherwise."""

    default_error_messages = {"unknown_id": gettext_lazy("There is no such id.")}

    def __init__(self, prefix: str, **options: Any) -> None:
        super().__init__(**options)
        self.prefix = prefix

    def to_representation(self, value: UUID) -> str:
        return ids.public(self.prefix, value)

    def to_internal_value(self, data: Any) -> UUID:
        try:
            return ids.parse(self.prefix, str(data))
        except ValueError:
            self.fail("unknown_id")


class Flag(serializers.BooleanField):
    """A form that leaves a flag out says nothing about it; DRF alone would read that as "no"."""

    default_empty_html = empty


class Photo(serializers.FileField):
    """Written as a file in a form (or null, to remove it); read as an absolute address, or null."""

    def to_representation(self, value: Any) -> str | None:
        return f"{settings.PUBLIC_URL}{value.url}" if value else None


class Amount(serializers.Serializer[Any]):
    """Money: `amount` in minor units of `currency` (ISO 4217): {"amount": 200, "currency": "CNY"} is 2 yuan."""

    amount = serializers.IntegerField(min_value=1, max_value=settings.AMOUNT_MAX)
    currency = serializers.CharField(min_length=3, max_length=3)

    def validate_currency(self, value: str) -> str:
        if not money.is_currency(value):
            raise serializers.ValidationError(_("This is not a currency code of ISO 4217."), code="currency_unknown")
        return value


class ShopShape(serializers.ModelSerializer[Shop]):
    """The caller's shop. Give `context["role"]`: what she is in it is part of the answer."""

    id = PublicId(Shop.prefix, read_only=True)
    name = serializers.CharField(max_length=NAME_LENGTH)
    country = serializers.CharField(max_length=2, help_text="ISO 3166")
    currency = serializers.CharField(max_length=3, help_text="ISO 4217; fixed once a customer has begun to pay")
    currency_exponent = serializers.SerializerMethodField(help_text="decimal places of the currency")
    currency_locked = serializers.SerializerMethodField()
    time_zone = serializers.CharField(max_length=64, help_text="IANA, for example Asia/Shanghai")
    photo = Photo(allow_null=True)
    colour = serializers.CharField(allow_blank=True, max_length=7, help_text="of its codes: #rrggbb; empty is black")
    logo = Photo(allow_null=True, help_text="stands in the middle of its branded codes")
    check_word = serializers.CharField(read_only=True, help_text="on her sign and her pay pages, and nobody else's")
    role = serializers.SerializerMethodField(help_text="the caller's: owner, manager or assistant")
    stream_url = serializers.SerializerMethodField(help_text="where notices are told live (Server-Sent Events)")

    class Meta:
        model = Shop
        fields = [
            "id",
            "name",
            "country",
            "currency",
            "currency_exponent",
            "currency_locked",
            "time_zone",
            "photo",
            "colour",
            "logo",
            "check_word",
            "state",
            "role",
            "stream_url",
            "created_at",
        ]
        read_only_fields = ["state", "created_at"]

    def get_currency_exponent(self, shop: Shop) -> int:
        return money.exponent(shop.currency)

    def get_currency_locked(self, shop: Shop) -> bool:
        return shop.currency_locked_at is not None

    def get_role(self, shop: Shop) -> str:
        return str(self.context["role"])

    def get_stream_url(self, shop: Shop) -> str:
        return f"{settings.STREAM_URL}/api/v1/notices/stream"

    def validate_country(self, value: str) -> str:
        if not countries.is_country(value):
            raise serializers.ValidationError(_("This is not a country code of ISO 3166."), code="country_unknown")
        return value

    def validate_currency(self, value: str) -> str:
        if not money.is_currency(value):
            raise serializers.ValidationError(_("This is not a currency code of ISO 4217."), code="currency_unknown")
        return value

    def validate_colour(self, value: str) -> str:
        if value and not colours.is_colour(value):
            raise serializers.ValidationError(_("Write a colour as #rrggbb."), code="colour_unknown")
        if value and (sentence := colours.objection(value)):
            raise serializers.ValidationError(sentence, code="colour_unreadable")
        return value.lower()

    def validate_time_zone(self, value: str) -> str:
        if not countries.is_time_zone(value):
            raise serializers.ValidationError(
                _("This is not a time zone of the IANA database."), code="time_zone_unknown"
            )
        return value


class NewCode(serializers.Serializer[Any]):
    """A code to be made. `item` belongs to kind `item`; `price` and `expires_at` belong to kind `one_time`."""

    kind = serializers.ChoiceField(choices=Code.Kind.choices)
    item = PublicId(Item.prefix, required=False, allow_null=True)
    price = Amount(required=False, allow_null=True)
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="15 minutes from now when left out, 30 days at most"
    )
    label = serializers.CharField(  # type: ignore[assignment]  # DRF's metaclass keeps fields apart from attributes.
        max_length=NAME_LENGTH, required=False, allow_blank=True, default=""
    )
    attribute_to_me = Flag(default=False, help_text="sales by this code are counted as the caller's")


class CodeChange(serializers.Serializer[Any]):
    """What may be changed of a code. A retired code stays retired."""

    state = serializers.ChoiceField(choices=Code.State.choices, required=False)
    label = serializers.CharField(  # type: ignore[assignment]
        max_length=NAME_LENGTH, required=False, allow_blank=True
    )


class Replacing(serializers.Serializer[Any]):
    """How a code is replaced: `forward` leads whoever scans the old one on to the new one's page."""

    forward = Flag(help_text="false when the old one was stolen or copied: its page then says to ask for the new")


class Scanned(serializers.Serializer[Any]):
    """What a camera read: our link in a code, or the slug alone."""

    text = serializers.CharField(max_length=links.TEXT_MAX)


class Binding(Scanned):
    """A blank that becomes a code of the shop. `item` belongs to kind `item`."""

    kind = serializers.ChoiceField(choices=[Code.Kind.SHOP, Code.Kind.ITEM])
    item = PublicId(Item.prefix, required=False, allow_null=True)
    label = serializers.CharField(  # type: ignore[assignment]
        max_length=NAME_LENGTH, required=False, allow_blank=True, default=""
    )
    attribute_to_me = Flag(default=False, help_text="sales by this code are counted as the caller's")


class CodeShape(serializers.ModelSerializer[Code]):
    """A code: `url` is what is printed, `payload` what is drawn in its picture."""

    id = PublicId(Code.prefix, read_only=True)
    url = serializers.URLField(read_only=True)
    payload = serializers.CharField(source="url", read_only=True)
    item = PublicId(Item.prefix, source="item_id", read_only=True, allow_null=True)
    staff = PublicId(Staff.prefix, source="staff_id", read_only=True, allow_null=True)
    price = serializers.SerializerMethodField()
    replaced_by = PublicId(Code.prefix, source="replaced_by_id", read_only=True, allow_null=True)

    class Meta:
        model = Code
        fields = [
            "id",
            "kind",
            "slug",
            "url",
            "payload",
            "state",
            "label",
            "item",
            "price",
            "expires_at",
            "staff",
            "created_at",
            "replaced_by",
            "forwards",
        ]
        read_only_fields = fields

    @extend_schema_field(Amount(allow_null=True))
    def get_price(self, code: Code) -> dict[str, Any] | None:
        price = codes.price(code)
        return {"amount": price[0], "currency": price[1]} if price else None


class MineShape(serializers.Serializer[Any]):
    """What a scanned sticker is to the caller's shop. A code is told only to the shop that it belongs to."""

    answer = serializers.ChoiceField(choices=mine.ANSWERS)
    sentence = serializers.CharField(help_text="the same for people")
    code = CodeShape(allow_null=True)
    replaced_by = CodeShape(allow_null=True, help_text="what stands in its place today")


class ItemShape(serializers.ModelSerializer[Item]):
    """What is sold. In a form the price is written as `price.amount` and `price.currency`."""

    id = PublicId(Item.prefix, read_only=True)
    name = serializers.CharField(max_length=NAME_LENGTH)
    price = Amount(source="*")
    unit = serializers.CharField(max_length=20, required=False, allow_blank=True, help_text='"pile", "kg", "cup"')
    photo = Photo(required=False, allow_null=True)
    active = Flag(required=False)
    code = serializers.SerializerMethodField(help_text="the item's first code that is not retired")

    class Meta:
        model = Item
        fields = ["id", "name", "price", "unit", "photo", "active", "code", "created_at"]
        read_only_fields = ["created_at"]

    @extend_schema_field(CodeShape(allow_null=True))
    def get_code(self, item: Item) -> Any:
        # Sorted here, so that a list of items asks for its codes once (they are prefetched).
        usable = sorted((code for code in item.codes.all() if code.state != Code.State.RETIRED), key=lambda c: c.id)
        if not usable:
            return None
        usable[0].item = item
        return CodeShape(usable[0]).data


class NoticeShape(serializers.ModelSerializer[Notice]):
    """Something the shop was told. `number` counts up by one within the shop; ask for what comes after the last."""

    data = serializers.SerializerMethodField()  # type: ignore[assignment]  # DRF has a property of this name.

    class Meta:
        model = Notice
        fields = ["number", "kind", "data", "created_at"]

    @extend_schema_field(serializers.DictField())
    def get_data(self, notice: Notice) -> dict[str, Any]:
        return notice_words.worded(notice.kind, notice.data)


class NoticePage(serializers.Serializer[Any]):
    """Notices in ascending order; `next` is where the following ones are, null when these are all."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = NoticeShape(many=True)


class CodeAsked(serializers.Serializer[Any]):
    phone = serializers.CharField(max_length=40, help_text="international: +86 138 0013 8000")


class CodeSent(serializers.Serializer[Any]):
    expires_in_s = serializers.IntegerField(help_text="seconds until the code is of no use")


class StepUpAsked(serializers.Serializer[Any]):
    purpose = serializers.ChoiceField(
        choices=step_up.PURPOSES,
        help_text="refund: one above the limit; account: new credentials, or a wallet code, of the shop's own",
    )


class TokenAsked(serializers.Serializer[Any]):
    phone = serializers.CharField(max_length=40)
    code = serializers.CharField(max_length=20)
    shop_name = serializers.CharField(max_length=NAME_LENGTH, required=False, allow_blank=True, default="")


class TokenGiven(serializers.Serializer[Any]):
    token = serializers.CharField(help_text="send it as `Authorization: Bearer …`; it is told only this once")
    shop = ShopShape()


class PersonShape(serializers.ModelSerializer[User]):
    """Somebody who works in the shop, to whoever may know her number."""

    id = PublicId(User.prefix, read_only=True)

    class Meta:
        model = User
        fields = ["id", "name", "phone"]
        read_only_fields = fields


class DeviceShape(serializers.ModelSerializer[Token]):
    """A signed-in phone. Give `context["token"]`, the caller's."""

    id = PublicId(Token.prefix, source="device", read_only=True)
    name = serializers.SerializerMethodField(help_text="browser and system, as they said themselves, in your language")
    person = PersonShape(source="user", read_only=True)
    signed_in_at = serializers.DateTimeField(source="created", read_only=True)
    last_used_at = serializers.DateTimeField(source="used_at", read_only=True, help_text="right to the hour")
    this_one = serializers.SerializerMethodField(help_text="whether it is the phone that asks")

    class Meta:
        model = Token
        fields = ["id", "name", "person", "signed_in_at", "last_used_at", "this_one"]

    def get_name(self, row: Token) -> str:
        return user_agents.named(row.browser, row.system)

    def get_this_one(self, row: Token) -> bool:
        return bool(row.pk == self.context["token"].pk)


class SignedOut(serializers.Serializer[Any]):
    signed_out = serializers.IntegerField(help_text="how many devices were signed out by this")
