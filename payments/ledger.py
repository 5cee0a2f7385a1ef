"""The book itself: the only writer of entries and balances, and the answers to "how much" now and at any moment.

An entry is one movement and is never changed; a mistake is corrected by another entry. Each batch posts with set-based
SQL: keys `ON CONFLICT DO NOTHING` and the entries of those that were new, and only what came back changes the balances,
whose rows are locked in id order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count

from merchants import columns, ids
from merchants.models import Shop
from payments import boundary, replica
from payments.chart import Movement, Place
from payments.models import Account, AccountBalance, LedgerEntry

Kind = Account.Kind

# What a shop owns grows with credits; the provider's and the bank's side with debits.
_SHOP_KINDS = (Kind.SHOP_PENDING, Kind.SHOP_AVAILABLE)

BUSY = 250  # Entries of a shop in an hour; what "the balance at" adds up then stays some thousands of them.


@dataclass(frozen=True, slots=True)
class Balance:
    """What stands in a shop's name, in minor units: `pending` (T+n), `available`, and both together.

    `direct` is the part of `available` that has already reached the shop by itself and is never paid out by us.
    """

    currency: str
    available: int
    pending: int
    direct: int

    @property
    def total(self) -> int:
        return self.available + self.pending


def post(movements: Sequence[Movement], *, now: datetime) -> None:
    """Posts movements that are not posted yet and moves the balances with them.

    Must run in the transaction of the facts it books. Raises IntegrityError for what the database refuses.
    """
    assert transaction.get_connection().in_atomic_block, "money is booked in the transaction of its facts"
    if not movements:
        return
    now = boundary.lifted(now)
    once = {movement.key: movement for movement in reversed(movements)}
    ordered = sorted(once.values(), key=lambda movement: movement.key)  # One order for every writer: no deadlock.
    sides = [(m.debit.key(m.currency), m.credit.key(m.currency)) for m in ordered]
    accounts = _accounts(ordered, sides)
    between = [(accounts[debit], accounts[credit]) for debit, credit in sides]
    _insert(ordered, between, now)


def balance(*, shop: Shop, at: datetime | None = None) -> Balance:
    """The shop's balance in its currency, now or as it stood in our book at the end of that millisecond.

    Raises Refused (`archived`) for a moment whose entries are not all here.
    """
    if at is not None:
        boundary.require(_end_of(at), shop=shop)
    parts = _parts_now(shop) if at is None else _parts_at(shop, _end_of(at))
    direct = parts[Kind.SHOP_AVAILABLE, "direct"]
    return Balance(
        currency=shop.currency,
        available=parts[Kind.SHOP_AVAILABLE, "held"] + direct,
        pending=parts[Kind.SHOP_PENDING, "held"],
        direct=direct,
    )


def take_snapshots(*, moment: datetime) -> int:
    """Keeps the totals of every account over all entries before `moment`; asked again for it, adds nothing.

    The caller lets some minutes pass after `moment`, longer than any transaction of ours may live, so that no entry of
    before can still become visible. Answers how many snapshots were added: one for each account that has moved.
    """
    watermark = _watermark(moment)
    return 0 if watermark == moment else _keep_totals(moment, watermark)


def take_snapshots_of_busy(*, moment: datetime) -> int:
    """The same at the end of an hour, of the accounts of shops that had BUSY entries in it: their days are long sums.

    A shop without so many has at most 24 times as many since its last snapshot. Answers how many were added.
    """
    hour = ids.first_of(moment - timedelta(hours=1)), ids.first_of(moment)
    entries = LedgerEntry.objects.filter(id__gte=hour[0], id__lt=hour[1], shop__isnull=False)
    counted = entries.order_by().values("shop").annotate(n=Count("id")).filter(n__gte=BUSY)
    added = 0
    for shop_id in counted.values_list("shop", flat=True):
        watermark = _watermark(moment, shop_id)
        added += 0 if watermark == moment else _keep_totals(moment, watermark, shop_id)
    return added


def total_of(place: Place, currency: str) -> int:
    """Credits less debits of one account, 0 when it does not exist yet."""
    row = AccountBalance.objects.filter(account__key=place.key(currency)).first()
    return row.credits - row.debits if row else 0


# --- Posting ---------------------------------------------------------------------------------------------------------


def _accounts(movements: Sequence[Movement], sides: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The row of each account by its key, made when it is new; `sides` are the movements' own keys."""
    keys = {key for pair in sides for key in pair}
    found = _find_accounts(keys)
    if len(found) < len(keys):
        places = {
            key: (place, m.currency)
            for m, pair in zip(movements, sides, strict=True)
            for key, place in zip(pair, (m.debit, m.credit), strict=True)
        }
        Account.objects.bulk_create(
            (
                Account(
                    key=key,
                    kind=places[key][0].kind,
                    currency=places[key][1],
                    funds=places[key][0].funds,
                    shop_id=places[key][0].shop_id,
                    provider_account_id=places[key][0].provider_account_id,
                )
                for key in sorted(keys - found.keys())
            ),
            ignore_conflicts=True,  # Another worker may have made it in the meantime.
        )
        found = _find_accounts(keys)
    return found


def _find_accounts(keys: Iterable[str]) -> dict[str, int]:
    with columns.cursor() as cursor:
        cursor.execute("SELECT key, id FROM payments_account WHERE key = ANY(%s::text[])", [columns.literal(keys)])
        return dict(cursor.fetchall())


def _insert(ordered: Sequence[Movement], between: Sequence[tuple[int, int]], now: datetime) -> None:
    """Adds the entries that are not there yet, each between its two accounts, and moves those."""
    rows = [
        (
            entry_id,
            m.key,
            m.kind,
            debit,
            credit,
            m.amount,
            m.currency,
            m.shop_id,
            m.payment_id,
            m.refund_id,
            m.dispute_id,
            m.event_id,
            m.cause_id,
            m.occurred_at,
        )
        for entry_id, m, (debit, credit) in zip(ids.texts(len(ordered), now), ordered, between, strict=True)
    ]
    with columns.cursor() as cursor:
        cursor.execute(
            _INSERT_SQL,
            [*columns.literals(rows), now],
        )


# A key is claimed by whoever writes its entry, in the same statement: neither is ever there without the other. Entries
# go in by id, so that their numbers ascend with their ids. `IS TRUE` keeps the question from becoming a join: the drain
# allows no join but a loop, and the answers of a batch are better kept in a hash. Running totals are moved once for
# each account of a batch, and locked in id order by the order of insertion.
_INSERT_SQL = """
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[],
                         %s::text[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
                         %s::timestamptz[])
        AS one(id, key, kind, debit_id, credit_id, amount, currency, shop_id, payment_id, refund_id, dispute_id,
               event_id, cause_id, occurred_at)
), claimed AS (
    INSERT INTO payments_entrykey (key, entry_id) SELECT key, id FROM wanted ON CONFLICT (key) DO NOTHING
    RETURNING entry_id
), posted AS (
    INSERT INTO payments_ledgerentry (id, key, kind, debit_id, credit_id, amount, currency, shop_id, payment_id,
                                      refund_id, dispute_id, event_id, cause_id, occurred_at, recorded_at)
    SELECT wanted.*, %s FROM wanted WHERE (wanted.id IN (SELECT entry_id FROM claimed)) IS TRUE ORDER BY wanted.id
    RETURNING debit_id, credit_id, amount
)
INSERT INTO payments_accountbalance AS held (account_id, debits, credits)
SELECT account_id, sum(debits)::bigint, sum(credits)::bigint
  FROM (SELECT debit_id AS account_id, amount AS debits, 0 AS credits FROM posted
        UNION ALL
        SELECT credit_id, 0, amount FROM posted) AS sides
 GROUP BY account_id ORDER BY account_id
ON CONFLICT (account_id) DO UPDATE
   SET debits = held.debits + EXCLUDED.debits, credits = held.credits + EXCLUDED.credits
"""


# --- Reading ---------------------------------------------------------------------------------------------------------


# One statement reads both sides of every movement: between two, money on its way from pending to available would be
# shown in both places, or in none.


def _parts_now(shop: Shop) -> dict[tuple[str, str], int]:
    """Credits less debits of the shop's own accounts by (kind, funds); 0 for one that it does not have."""
    keys = [place.key(shop.currency) for place in _own_places(shop.id)]
    with connection.cursor() as cursor:
        cursor.execute(_PARTS_NOW_SQL, [keys])
        return defaultdict(int, {(kind, funds): net for kind, funds, net in cursor.fetchall()})


def _own_places(shop_id: UUID) -> Iterator[Place]:
    return (Place(kind, funds, shop_id) for kind in _SHOP_KINDS for funds in ("held", "direct"))


def _end_of(moment: datetime) -> datetime:
    """The end of a moment's millisecond, as ids and snapshots know it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000) + timedelta(milliseconds=1)


def _parts_at(shop: Shop, end: datetime) -> dict[tuple[str, str], int]:
    """The same from each account's newest snapshot, and the entries since the moment up to which they were taken."""
    watermark = _watermark(end, shop.id)
    with replica.connection().cursor() as cursor:
        cursor.execute(
            _PARTS_AT_SQL,
            {
                "shop": shop.id,
                "currency": shop.currency,
                "kinds": [str(kind) for kind in _SHOP_KINDS],
                "watermark": watermark,
                "since": ids.first_of(watermark) if watermark else UUID(int=0),
                "until": ids.first_of(end),
            },
        )
        return defaultdict(int, {(kind, funds): int(net) for kind, funds, net in cursor.fetchall()})


def _watermark(at: datetime, shop_id: UUID | None = None) -> datetime | None:
    """The latest moment, not after `at`, up to which snapshots were taken, of the whole book or of that shop too.

    Accounts (of that shop) without one of this moment had not moved since theirs.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WATERMARK_SQL, {"at": at, "shop": shop_id})
        moment: datetime | None = cursor.fetchone()[0]
        return moment


def _keep_totals(moment: datetime, watermark: datetime | None, shop_id: UUID | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            _SNAPSHOT_SQL,
            {
                "moment": moment,
                "watermark": watermark,
                "since": ids.first_of(watermark) if watermark else UUID(int=0),
                "until": ids.first_of(moment),
                "shop": shop_id,
            },
        )
        return int(cursor.rowcount)


# By names, each a look into one index, however many accounts a shop has had.
_PARTS_NOW_SQL = """
SELECT account.kind, account.funds, balance.credits - balance.debits
  FROM payments_account account JOIN payments_accountbalance balance ON balance.account_id = account.id
 WHERE account.key = ANY(%s)
"""

_WATERMARK_SQL = """
SELECT greatest(
    (SELECT moment FROM payments_balancesnapshot WHERE whole AND moment <= %(at)s ORDER BY moment DESC LIMIT 1),
    (SELECT max(kept.moment) FROM payments_account CROSS JOIN LATERAL (
         SELECT moment FROM payments_balancesnapshot
          WHERE account_id = payments_account.id AND moment <= %(at)s ORDER BY moment DESC LIMIT 1
     ) AS kept WHERE payments_account.shop_id = %(shop)s::uuid))
"""

_PARTS_AT_SQL = """
WITH own AS (
    SELECT id, kind, funds FROM payments_account
     WHERE shop_id = %(shop)s AND currency = %(currency)s AND kind = ANY(%(kinds)s)
), entry AS (
    SELECT debit_id, credit_id, amount FROM payments_ledgerentry
     WHERE shop_id = %(shop)s AND id >= %(since)s AND id < %(until)s
), side AS (
    SELECT credit_id AS account_id, amount FROM entry
    UNION ALL
    SELECT debit_id, -amount FROM entry
    UNION ALL
    SELECT own.id, kept.credits - kept.debits FROM own CROSS JOIN LATERAL (
        SELECT debits, credits FROM payments_balancesnapshot
         WHERE account_id = own.id AND moment <= %(watermark)s::timestamptz ORDER BY moment DESC LIMIT 1
    ) AS kept
)
SELECT own.kind, own.funds, sum(side.amount) FROM own JOIN side ON side.account_id = own.id GROUP BY own.kind, own.funds
"""

# Of the whole book, or of the accounts of one shop: then its whole is told by what it has, and no other's is.
_SNAPSHOT_SQL = """
WITH entry AS (
    SELECT debit_id, credit_id, amount FROM payments_ledgerentry
     WHERE id >= %(since)s AND id < %(until)s AND (%(shop)s::uuid IS NULL OR shop_id = %(shop)s::uuid)
), moved AS (
    SELECT account_id, sum(debits) AS debits, sum(credits) AS credits
      FROM (SELECT debit_id AS account_id, amount AS debits, 0 AS credits FROM entry
            UNION ALL
            SELECT credit_id, 0, amount FROM entry) AS sides
     GROUP BY account_id
)
INSERT INTO payments_balancesnapshot (account_id, moment, debits, credits, whole)
SELECT moved.account_id, %(moment)s,
       moved.debits + coalesce(before.debits, 0), moved.credits + coalesce(before.credits, 0), %(shop)s::uuid IS NULL
  FROM moved
  LEFT JOIN LATERAL (
      SELECT debits, credits FROM payments_balancesnapshot
       WHERE account_id = moved.account_id AND moment <= %(watermark)s::timestamptz ORDER BY moment DESC LIMIT 1
  ) AS before ON true
 WHERE %(shop)s::uuid IS NULL
    OR EXISTS (SELECT FROM payments_account WHERE id = moved.account_id AND shop_id = %(shop)s::uuid)
    ON CONFLICT DO NOTHING
"""
