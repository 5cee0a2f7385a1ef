"""The addresses of this app: `urlpatterns` stand below /api/v1/, the others at the root."""

from __future__ import annotations

from django.urls import URLPattern, path

from payments import (
    account_views,
    activity_views,
    alarm_views,
    book_views,
    fee_views,
    health,
    receipt_key_views,
    reported_views,
    views,
)
from payments.payouts import views as payout_views

urlpatterns: list[URLPattern] = [
    path("payments", views.PaymentsView.as_view(), name="payments"),
    path("payments/<str:id>", views.PaymentView.as_view(), name="payment"),
    path("payments/<str:id>/refunds", views.RefundsView.as_view(), name="refunds"),
    path("codes/<code_id:id>/activity", activity_views.ActivityView.as_view(), name="code-activity"),
    path("disputes", views.DisputesView.as_view(), name="disputes"),
    path("providers", account_views.ProvidersView.as_view(), name="providers"),
    path("provider-accounts", account_views.AccountsView.as_view(), name="provider-accounts"),
    path(
        "provider-accounts/changes/<str:id>", account_views.AccountChangeView.as_view(), name="provider-account-change"
    ),
    path("code-alarms", alarm_views.AlarmsView.as_view(), name="code-alarms"),
    path("code-alarms/<str:id>/answer", alarm_views.AlarmAnswerView.as_view(), name="code-alarm-answer"),
    path("shop/fees", fee_views.FeesView.as_view(), name="shop-fees"),
    path("receipt-keys", receipt_key_views.ReceiptKeysView.as_view(), name="receipt-keys"),
    path("payout-account", payout_views.AccountView.as_view(), name="payout-account"),
    path("payout-account/<str:id>", payout_views.WaitingAccountView.as_view(), name="payout-account-waiting"),
    path("payouts", payout_views.PayoutsView.as_view(), name="payouts"),
    path("payouts/next", payout_views.NextPayoutView.as_view(), name="payout-next"),
    path("payouts/<str:id>", payout_views.PayoutView.as_view(), name="payout"),
    path("reported-sales", reported_views.ReportedSalesView.as_view(), name="reported-sales"),
    path("reported-sales/<str:id>", reported_views.ReportedSaleView.as_view(), name="reported-sale"),
    path("ledger/balance", book_views.BalanceView.as_view(), name="ledger-balance"),
    path("ledger/entries", book_views.EntriesView.as_view(), name="ledger-entries"),
    path("ledger/day", book_views.TakingsView.as_view(), name="ledger-day"),
    path("ledger/statement", book_views.StatementView.as_view(), name="ledger-statement"),
    path("ledger/statement.csv", book_views.StatementCsvView.as_view(), name="ledger-statement-csv"),
    path("ledger/statement.pdf", book_views.StatementPdfView.as_view(), name="ledger-statement-pdf"),
    path("ledger/statement.html", book_views.StatementHtmlView.as_view(), name="ledger-statement-html"),
    path("ledger/statement.xml", book_views.StatementCamt053View.as_view(), name="ledger-statement-camt053"),
]

webhooks: list[URLPattern] = [
    path("webhooks/<str:provider>/<str:account>", views.webhook, name="webhook"),
    path("webhooks/<str:provider>/<str:account>/<slug:ending>", views.webhook),
]

watching: list[URLPattern] = [
    path("healthz/live", health.live, name="live"),
    path("healthz/ready", health.ready, name="ready"),
    path("healthz/books", health.books, name="books"),
    path("healthz/chain", health.chain_head, name="chain"),
    path("metrics", health.metrics, name="metrics"),
]
