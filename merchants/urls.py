"""The addresses of this app: `urlpatterns` stand below /api/v1/, the other two lists at the root."""

from __future__ import annotations

from django.urls import URLPattern, path, register_converter
from django.urls.converters import StringConverter

from merchants import views


class CodeId(StringConverter):
    """An id of a code, so that other words below `codes/` ("codes/read") are addresses of their own, in any order."""

    regex = "cod_[^/]+"


register_converter(CodeId, "code_id")

urlpatterns: list[URLPattern] = [
    path("auth/code", views.CodeView.as_view(), name="auth-code"),
    path("auth/token", views.TokenView.as_view(), name="auth-token"),
    path("auth/step-up", views.StepUpView.as_view(), name="auth-step-up"),
    path("devices", views.DevicesView.as_view(), name="devices"),
    path("devices/<str:id>", views.OneDeviceView.as_view(), name="device"),
    path("shop", views.ShopView.as_view(), name="shop"),
    path("items", views.ItemsView.as_view(), name="items"),
    path("items/<str:id>", views.ItemView.as_view(), name="item"),
    path("codes", views.CodesView.as_view(), name="codes"),
    path("codes/mine", views.MineView.as_view(), name="code-mine"),
    path("codes/bind", views.BindView.as_view(), name="code-bind"),
    path("codes/<code_id:id>", views.OneCodeView.as_view(), name="code"),
    path("codes/<code_id:id>/replace", views.ReplaceView.as_view(), name="code-replace"),
    path("push", views.PushView.as_view(), name="push"),
    path("push/heard", views.PushHeardView.as_view(), name="push-heard"),
    path("push/renew", views.PushRenewalView.as_view(), name="push-renew"),
    path("push/<str:id>/test", views.PushTestView.as_view(), name="push-test"),
    path("push/<str:id>", views.OnePushView.as_view(), name="one-push"),
    path("payment-texts", views.PaymentTextsView.as_view(), name="payment-texts"),
    path("notices", views.NoticesView.as_view(), name="notices"),
    path("notices/heard", views.HeardView.as_view(), name="notices-heard"),
]

media: list[URLPattern] = [path("media/<path:name>", views.photo, name="photo")]

dev_urlpatterns: list[URLPattern] = [path("dev/outbox", views.dev_outbox, name="dev-outbox")]
