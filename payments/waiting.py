"""What may be due, by one question about everything that waits for its moment: the sweep asks it every two seconds.

The answer may name too much (a provider that rests, an intent that is paid meanwhile) and never too little: whoever is
named is asked by itself, which costs ten times as much. So each line here says no more than the `has_due` of its kind.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from merchants import payment_texts, pushing, texts
from payments import asking, inbox, refunds
from payments.payouts import sending
from payments.settlement import fetching, matching

# The order leads to the index of what is due, also where the planner knows a table as empty.
_FIRST_DUE = {
    refunds.SEND: ["payments_refund WHERE next_call_at <= %(now)s ORDER BY next_call_at"],
    asking.ASK: [
        "payments_intenttimer WHERE next_query_at <= %(now)s ORDER BY next_query_at",
        "payments_intenttimer WHERE next_close_at <= %(now)s ORDER BY next_close_at",
        "payments_inquiry WHERE due_at <= %(now)s ORDER BY due_at",
    ],
    sending.SEND: ["payments_payout WHERE next_call_at <= %(now)s ORDER BY next_call_at"],
    texts.SEND_TASK: ["merchants_textmessage WHERE state = 'queued' AND due_at <= %(now)s ORDER BY due_at"],
    pushing.SEND_TASK: [
        """merchants_pushsubscription AS held WHERE ended_at IS NULL AND due_at <= %(now)s AND (test_asked OR EXISTS (
            SELECT FROM merchants_noticecounter AS told WHERE told.shop_id = held.shop_id AND told.last > held.told))"""
    ],
    payment_texts.TELL_TASK: [
        """merchants_paymenttexts AS held JOIN merchants_staff AS staff ON staff.id = held.staff_id
           JOIN merchants_noticecounter AS told ON told.shop_id = staff.shop_id AND told.last > held.judged"""
    ],
    matching.MATCH: [
        """payments_statementline WHERE look_at <= %(now)s AND provider_account_id IS NOT NULL AND match_id IS NULL
            ORDER BY look_at, id"""
    ],
    fetching.FETCH: ["payments_statement WHERE due_at <= %(now)s ORDER BY due_at"],
    inbox.DRAIN: ["payments_queuedevent WHERE state IN ('queued', 'parked') AND due_at <= %(now)s"],
}
_SQL = "SELECT " + ", ".join(  # noqa: S608  The words are our own.
    " OR ".join(f"(SELECT 1 FROM {rows} LIMIT 1) IS NOT NULL" for rows in kind)  # noqa: S608
    for kind in _FIRST_DUE.values()
)


def possible(*, now: datetime) -> set[str]:
    """The tasks for which something may be due: all for which something is, and perhaps others."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, {"now": now})
        return {task for task, waits in zip(_FIRST_DUE, cursor.fetchone(), strict=True) if waits}
