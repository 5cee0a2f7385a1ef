"""How often somebody may ask: moving-window budgets in Redis, so that all processes count together and exactly.

A code costs us a text and may earn somebody money (pumping fraud), so with the store down nothing is sent: 503.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.utils.translation import gettext as _
from limits import RateLimitItem, parse_many
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from merchants import phones
from merchants.addresses import neighbourhood
from merchants.journal import journal
from merchants.phones import Phone
from merchants.refusals import Refused

_log = journal(__name__)


class Budget(NamedTuple):
    """A rule ("3/minute;10/day") for one holder of it, told apart from other budgets by its name."""

    name: str
    rule: str
    holder: str
    cost: int = 1


def spend_on_code(phone: Phone, address: str) -> None:
    """Pays for one text with a code. Raises Refused: 429 `too_many_codes` with Retry-After, 503 `codes_unavailable`.

    The address pays first: a flood from one place must not use up the budget of the phones it names, and the budget
    of everybody is only touched by what would really be sent.
    """
    _spend(
        [
            Budget("code-address", settings.CODE_BUDGET_ADDRESS, neighbourhood(address)),
            Budget("code-phone", settings.CODE_BUDGET_PHONE, phone.e164),
            Budget("code-prefix", settings.CODE_BUDGET_PREFIX, phone.prefix),
            Budget("code-all", settings.CODE_BUDGET_ALL, "all"),
        ],
        code="too_many_codes",
    )


def spend_on_guess(address: str) -> None:
    """Pays for one attempt to sign in. Raises Refused: 429 `too_many_attempts`, 503 `codes_unavailable`."""
    _spend([Budget("token-address", settings.TOKEN_BUDGET_ADDRESS, neighbourhood(address))], code="too_many_attempts")


def may_text(phone: str) -> bool:
    """Pays for one text about payments to this phone (E.164); False when its block of numbers, or all, had enough.

    As with codes, whoever owns a block may earn on each text; with the store down nothing is sent.
    """
    try:
        _spend(
            [
                Budget("payment-text-prefix", settings.CODE_BUDGET_PREFIX, phones.mobile(phone).prefix),
                Budget("payment-text-all", settings.CODE_BUDGET_ALL, "all"),
            ],
            code="too_many_texts",
        )
    except Refused as refusal:
        _log.warning("payment_text_not_sent", reason=refusal.code)
        return False
    return True


def spend_on_start(payer: str, address: str) -> None:
    """Pays for one start of a payment. Raises Refused: 429 `too_many_starts`.

    With the store down everybody may pay: a start costs us a call, a refused customer costs the vendor her sale.
    """
    _spend_or_let(
        [
            Budget("start-payer", settings.START_BUDGET_PAYER, payer),
            Budget("start-address", settings.START_BUDGET_ADDRESS, neighbourhood(address)),
        ],
        code="too_many_starts",
    )


def spend_on_hint(account: str) -> None:
    """Pays for one notification to this account that nobody signed. Raises Refused: 429 `too_many_hints`.

    With the store down it is kept: whatever real one is among them must not be lost.
    """
    _spend_or_let([Budget("hint-account", settings.HINT_BUDGET, account)], code="too_many_hints")


def spend_on_statement(shop: str) -> None:
    """Pays for one statement of this shop. Raises Refused: 429 `too_many_statements`.

    With the store down it is made: the book is hers.
    """
    _spend_or_let([Budget("statement-shop", settings.STATEMENT_BUDGET, shop)], code="too_many_statements")


def spend_on_reading(shop: str) -> None:
    """Pays for the reading of one scanned text or photo. Raises Refused: 429 `too_many_readings`.

    With the store down it is read: what lies before her may be a stranger's sticker.
    """
    _spend_or_let([Budget("reading-shop", settings.READING_BUDGET, shop)], code="too_many_readings")


def may_question(provider: str, *, hinted: bool = False) -> bool:
    """Pays for one question to this provider; False when it has had enough of them for now.

    Questions that anybody can cause (`hinted`) get half of the budget at most: the other half is for payers who wait.
    """
    half = [Budget("question-hinted", settings.QUERY_BUDGET, provider, cost=2)] if hinted else []
    try:
        _spend_or_let([*half, Budget("question-provider", settings.QUERY_BUDGET, provider)], code="too_many_questions")
    except Refused:
        return False
    return True


def _spend_or_let(budgets: Sequence[Budget], *, code: str) -> None:
    """Spends, where a budget that cannot be read must not stop anything."""
    try:
        _spend(budgets, code=code)
    except Refused as refusal:
        if refusal.status_code != 503:
            raise
        _log.warning("budget_unknown", budget=budgets[0].name)


def _spend(budgets: Sequence[Budget], *, code: str) -> None:
    limiter = _limiter(settings.REDIS_URL)
    try:
        for budget in budgets:
            for rule in _rules(budget.rule):
                if not limiter.hit(rule, budget.name, budget.holder, cost=min(budget.cost, rule.amount)):
                    free_at, _left = limiter.get_window_stats(rule, budget.name, budget.holder)
                    wait = max(1, math.ceil(free_at - time.time()))
                    raise Refused(
                        429,
                        code,
                        _("Too many in a short time. Try again in %(wait)s s.") % {"wait": wait},
                        retry_after_s=wait,
                    )
    except RedisError as down:
        raise Refused(
            503, "codes_unavailable", _("Signing in is not possible at this moment."), retry_after_s=5
        ) from down


@cache
def _rules(rule: str) -> list[RateLimitItem]:
    return parse_many(rule)


@cache
def _limiter(url: str) -> MovingWindowRateLimiter:
    storage = RedisStorage(
        url,
        socket_timeout=settings.REDIS_TIMEOUT_S,
        socket_connect_timeout=settings.REDIS_TIMEOUT_S,
        # One more try at once: after a restart of the server every connection in the pool is a dead one.
        retry=Retry(NoBackoff(), 1),  # type: ignore[arg-type]  # The library hands it to redis.from_url as it is.
    )
    return MovingWindowRateLimiter(storage)
