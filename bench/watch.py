"""One look at the codes of SHOPS shops that have all just sold: how long it takes, and what it costs to learn a shop.

Each shop has three codes and PAYMENTS payments of the last two days; one in a hundred has a code that is silent.
"""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from typing import Any

from bench import ground
from bench.rounds import Arm, Figures, compare, size

SHOPS = int(os.environ.get("SHOPS", size(10_000, 200)))
PAYMENTS = int(os.environ.get("PAYMENTS", "30"))
SALES = 5600  # Of one busy stall's eight weeks, for the cost of learning.


def main() -> None:
    with ground.stores():
        from django.conf import settings  # noqa: PLC0415  Django is set up only now.
        from django.db import connection  # noqa: PLC0415
        from django.utils import timezone  # noqa: PLC0415

        from bench import cast  # noqa: PLC0415
        from merchants import ids  # noqa: PLC0415
        from merchants.models import Code, CodeAlarm, CodeRhythm, Shop  # noqa: PLC0415
        from payments import code_rhythms, code_watch, swap_alarm  # noqa: PLC0415

        settings.DEBUG = False  # While it is on, Django keeps every statement.
        first = cast.shops(SHOPS)
        more = Code.objects.bulk_create(Code(shop_id=code.shop_id, kind="shop") for code in first for _ in range(2))
        now = timezone.now()
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            account = cast.account().id
            cursor.execute(_PLANT_SQL, {"now": now, "account": account, "count": PAYMENTS, "shops": SHOPS})
            cursor.execute("ANALYZE")
        past = [
            swap_alarm.Chance(day, block, 1, int(number % 3 == 0))
            for day in range(56)
            for block in (4, 5, 6, 7, 8, 9)
            for number in range(12)
        ]
        while not past[-1].paid:
            past.pop()
        rhythm = swap_alarm.learn(past)
        assert rhythm is not None
        long_ago = now - timedelta(days=9)
        CodeRhythm.objects.bulk_create(
            (
                CodeRhythm(
                    shop_id=code.shop_id, code=code, kind="silent", learnt_at=now, least=rhythm.least,
                    rhythm=code_rhythms.stored(rhythm), last_paid=ids.first_of(long_ago),
                    quiet_since=long_ago,
                )
                for code in [*first, *more]
            ),
            batch_size=2000,
        )  # fmt: skip
        with connection.cursor() as cursor:  # As learning leaves it.
            cursor.execute(code_watch._PAID_SQL, {"sold": ids.first_of(long_ago)})
        compare(
            "watch",
            [Arm("Pushcart", "product", lambda: _look(code_watch, timezone.now()))],
            title=f"A look at the codes of {SHOPS:,} shops that have all just sold",
            figure="look_s",
            notes=[
                f"{3 * SHOPS:,} codes, one in three hundred silent.",
                "The processor's time is the program's, without the database's.",
            ],
        )
        print(f"        alarms open: {CodeAlarm.objects.filter(ended_at=None).count()}")
        _learn_one(Shop.objects.earliest("id"), account, now)


def _look(code_watch: Any, now: datetime) -> Figures:
    began, cpu = time.perf_counter(), time.process_time()
    raised = code_watch.look(now=now)
    return {"look_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu, "raised_alarms": raised}


def _learn_one(shop: object, account: object, now: object) -> None:
    from django.db import connection  # noqa: PLC0415

    from payments import code_rhythms  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute(_PLANT_SQL, {"now": now, "account": account, "count": SALES, "shops": 1})
    began = time.perf_counter()
    code_rhythms.learn(shop=shop, now=now)  # type: ignore[arg-type]
    print(f"learnt  a shop of {SALES} sales and three codes in {1000 * (time.perf_counter() - began):.0f} ms")


# Ids as `merchants.ids` makes them: the time first. Each payment is by one of the shop's codes in turn; of one shop in
# a hundred never by the last.
_PLANT_SQL = """
WITH shop AS (
    SELECT shop_id, array_agg(id ORDER BY id) AS codes, row_number() OVER (ORDER BY shop_id) AS place
      FROM merchants_code GROUP BY shop_id ORDER BY shop_id LIMIT %(shops)s
), sale AS (
    SELECT shop_id, codes[1 + CASE WHEN place %% 100 = 0 THEN number %% 2 ELSE number %% 3 END] AS code_id,
           %(now)s::timestamptz - (%(count)s - number) * interval '2 days' / %(count)s - interval '1 minute' AS at,
           md5(random()::text) AS noise
      FROM shop, generate_series(1, %(count)s) AS number
), made AS (
    SELECT sale.*,
           (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || '7' || substr(noise, 1, 3) || '8' || substr(noise, 4, 15))::uuid AS id
      FROM sale
), intent AS (
    INSERT INTO payments_paymentintent (id, shop_id, code_id, provider_account_id, amount, currency, quantity,
        description, state, closing, single_use, page, payer, receipt, provider_object_id, redirect_url, handover,
        start_failure, created_at, expires_at)
    SELECT id, shop_id, code_id, %(account)s, 200, 'CNY', 1, 'Apples', 'paid', '', false, gen_random_uuid(), 'x',
           noise, '', '', '{}', '', at, at FROM made
)
INSERT INTO payments_payment (id, provider_account_id, object_id, shop_id, intent_id, amount, currency, match, placed,
    occurred_at, recorded_at)
SELECT id, %(account)s, id::text, shop_id, id, 200, 'CNY', 'exact', true, at, at FROM made
"""


if __name__ == "__main__":
    main()
