"""dj-stripe's own addresses, where its guide puts them."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("stripe/", include("djstripe.urls", namespace="djstripe"))]
