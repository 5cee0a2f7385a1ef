"""Shops, an account and intents for the benches; imported only after Django is set up."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from bench.ground import SECRET
from merchants import ids
from merchants.models import Code, Shop, Staff, Token, User
from payments import credentials
from payments.models import IntentTimer, PaymentIntent, ProviderAccount

AMOUNT = 200


def account() -> ProviderAccount:
    made, _ = ProviderAccount.objects.update_or_create(
        provider="sandbox",
        name="bench",
        defaults={
            "funds": "held",
            "sealed_credentials": credentials.sealed({"api_key": "a-key-of-the-bench", "webhook_secrets": SECRET}),
        },
    )
    return made


def shops(count: int) -> list[Code]:
    """So many shops, each with its code."""
    first = Shop.objects.count()
    common = {"country": "CN", "currency": "CNY", "time_zone": "Asia/Shanghai"}
    made = [Shop(name=f"Stall {n}", check_word=f"stall {n}", **common) for n in range(first, first + count)]
    Shop.objects.bulk_create(made)
    return Code.objects.bulk_create(Code(shop=shop, kind="shop") for shop in made)


def tokens(codes: list[Code]) -> list[str]:
    """A phone that is signed in to each of these shops, as its owner's."""
    now, made = timezone.now(), []
    for number, code in enumerate(codes, User.objects.count()):
        user = User.objects.create_user(f"+86139{number:08d}")
        Staff.objects.create(user=user, shop=code.shop, role="owner")
        made.append(Token.objects.create(user, shop=code.shop, device=ids.new(now), used_at=now)[1])
    return made


def intents(codes: list[Code], count: int) -> list[PaymentIntent]:
    """So many open intents, spread over the shops; they fall silent long after the bench."""
    now, later = timezone.now(), timezone.now() + timedelta(hours=2)
    of = account()
    made = PaymentIntent.objects.bulk_create(
        (
            PaymentIntent(
                id=ids.new(now),
                shop_id=codes[n % len(codes)].shop_id,
                code=codes[n % len(codes)],
                provider_account=of,
                amount=AMOUNT,
                currency="CNY",
                description="Apples",
                page=ids.new(now),
                payer="bench",
                receipt=ids.secret(22),
                created_at=now,
                expires_at=later,
            )
            for n in range(count)
        ),
        batch_size=2000,
    )
    IntentTimer.objects.bulk_create(
        (IntentTimer(intent=one, provider_account=of, next_query_at=later, next_close_at=later) for one in made),
        batch_size=2000,
    )
    return made
