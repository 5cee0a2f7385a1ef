"""Every address of the product, in the order of the public contract."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import api
from merchants import urls as merchants
from merchants.desk import desk
from payments import urls as payments
from qr import urls as qr

handler400 = "config.api.bad_request"
handler403 = "config.api.permission_denied"
handler404 = "config.api.not_found"
handler500 = "config.api.server_error"

admin.autodiscover()  # What operators see stands in the `admin` modules; only a process that serves pages needs it.

urlpatterns = [
    *payments.webhooks,  # First: a request tries one after the other, and these are the most.
    path("", RedirectView.as_view(url="/app/")),
    path("api/v1/", include(merchants.urlpatterns)),
    path("api/v1/", include(payments.urlpatterns)),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    # Split: its script is a request of its own, because the content security policy admits none in a page.
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="merchants/api_docs.html"),
        name="docs",
    ),
    *qr.urlpatterns,
    *payments.watching,
    *merchants.media,
    *merchants.dev_urlpatterns,
    path("admin/", desk.urls),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("app", RedirectView.as_view(url="/app/")),
    # With DEBUG on, Django would answer an unknown address with a page about our addresses instead of a problem.
    path("<path:address>", api.unknown_address),
]
