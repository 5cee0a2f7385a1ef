"""Which address of the wallet does what: one table of routes, and one place where refusals become answers."""

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime

from . import bank, control, merchant, payer
from .exchange import Answer, Refusal, Request, error_answer, json_answer
from .office import Office

REFERENCE = r"([A-Za-z0-9._:-]{1,100})"
ACCOUNT = r"([A-Za-z0-9_-]{1,64})"

log = logging.getLogger(__name__)


def healthy(office: Office, request: Request, now: datetime) -> Answer:
    """`GET /healthz` → 200 while the database can be read."""
    with office.store.reading() as db:
        db.execute("SELECT 1 FROM plan").fetchone()
    return json_answer(200, {"status": "ok"})


Handler = Callable[..., Answer]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = [
    (method, re.compile(pattern), handler)
    for method, pattern, handler in (
        ("POST", r"/v1/orders", merchant.create_order),
        ("GET", rf"/v1/orders/{REFERENCE}", merchant.get_order),
        ("POST", rf"/v1/orders/{REFERENCE}/close", merchant.close_order),
        ("POST", r"/v1/payments/(wpy_[0-9a-f]{1,60})/refunds", merchant.create_refund),
        ("GET", rf"/v1/refunds/{REFERENCE}", merchant.get_refund),
        ("GET", r"/v1/settlements/(\d{4}-\d{2}-\d{2})\.csv", merchant.get_settlement),
        ("POST", r"/v1/payouts", bank.create_payout),
        ("GET", rf"/v1/payouts/{REFERENCE}", bank.get_payout),
        ("POST", r"/v1/payees/check", bank.check_payee),
        ("PUT", r"/control/payees", bank.put_payee),
        ("GET", r"/control/payouts", bank.get_payouts),
        ("GET", r"/v1/bank/(\d{4}-\d{2}-\d{2})\.(xml|csv)", merchant.get_bank_statement),
        ("GET", r"/pay/(wor_[0-9a-f]{1,60})", payer.show_order),
        ("POST", r"/pay/(wor_[0-9a-f]{1,60})", payer.decide_order),
        ("PUT", rf"/control/accounts/{ACCOUNT}", control.put_account),
        ("PUT", rf"/control/accounts/{ACCOUNT}/terms", control.put_terms),
        ("PUT", r"/control/plan", control.put_misbehaviour),
        ("DELETE", r"/control/plan", control.end_misbehaviour),
        ("GET", r"/control/books", control.get_books),
        ("GET", r"/control/deliveries", control.get_deliveries),
        ("POST", r"/control/approve", control.approve_orders),
        ("POST", r"/control/forge", control.forge),
        ("GET", r"/healthz", healthy),
        ("GET", r"/", payer.show_welcome),
    )
]


def answer(office: Office, request: Request) -> Answer:
    """Answer any request; what goes wrong inside is logged and answered as 500 `internal` without a word of why."""
    try:
        return _routed(office, request, datetime.now(UTC))
    except Refusal as refusal:
        return error_answer(refusal)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return error_answer(Refusal(500, "internal", "The wallet made a mistake."))


def _routed(office: Office, request: Request, now: datetime) -> Answer:
    method = "GET" if request.method == "HEAD" else request.method
    allowed = []
    for route_method, pattern, handler in ROUTES:
        found = pattern.fullmatch(request.path)
        if found and route_method == method:
            return handler(office, request, now, *found.groups())
        if found:
            allowed.append(route_method)
    if allowed:
        raise Refusal(405, "method_not_allowed", f"Here only {', '.join(allowed)} can be used.")
    raise Refusal(404, "not_found", "There is nothing at this address.")
