"""Every address of the product, in the order of the public contract."""

from __future__ import annotations

urlpatterns: list[object] = []
