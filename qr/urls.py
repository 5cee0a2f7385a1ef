"""The addresses of what customers see, of a code's pictures, and of the vendor's phone page."""

from __future__ import annotations

from django.urls import path

from merchants.phone_page import phone_page, phone_words, phone_worker
from qr.home_screen import icon, manifest
from qr.live import receipt_state
from qr.pictures import PngPicture, SvgPicture
from qr.printing import PosterPdf, PrintPage, SheetPdf, TentPdf
from qr.proof_views import proof, proof_picture
from qr.reading import ReadView
from qr.views import code_picture, identified, pay, receipt, scan
from qr.wallet_code_pictures import PngPicture as WalletCodePng
from qr.wallet_code_pictures import SvgPicture as WalletCodeSvg
from qr.wallet_code_sticker import StickerPdf
from qr.wallet_code_views import WalletCodesView, WalletCodeView

urlpatterns = [
    path("s/<str:slug>", scan, name="scan"),
    path("s/<str:slug>/pay", pay, name="pay"),
    path("s/<str:slug>/app.webmanifest", manifest, name="home-screen"),
    path("s/<str:slug>/icon.png", icon, name="home-icon"),
    path("r/<str:secret>", receipt, name="receipt"),
    path("r/<str:secret>/code.svg", code_picture, name="receipt-code"),
    path("r/<str:secret>/proof.png", proof_picture, name="receipt-proof"),
    path("r/<str:secret>/state", receipt_state, name="receipt-state"),
    path("p/<str:token>", proof, name="proof"),
    path("r/<str:secret>/payer", identified, name="payer"),
    path("app/", phone_page, name="phone_page"),
    path("app/worker.js", phone_worker, name="phone_worker"),
    path("app/words/<str:language>.json", phone_words, name="phone_words"),
    path("api/v1/codes/read", ReadView.as_view(), name="code-read"),
    path("api/v1/codes/<str:code_id>/image.png", PngPicture.as_view(), name="code-png"),
    path("api/v1/codes/<str:code_id>/image.svg", SvgPicture.as_view(), name="code-svg"),
    path("api/v1/wallet-codes", WalletCodesView.as_view(), name="wallet-codes"),
    path("api/v1/wallet-codes/<str:id>", WalletCodeView.as_view(), name="wallet-code"),
    path("api/v1/wallet-codes/<str:id>/image.png", WalletCodePng.as_view(), name="wallet-code-png"),
    path("api/v1/wallet-codes/<str:id>/image.svg", WalletCodeSvg.as_view(), name="wallet-code-svg"),
    path("api/v1/wallet-codes/<str:id>/sticker.pdf", StickerPdf.as_view(), name="wallet-code-sticker"),
    path("api/v1/codes/sheet.pdf", SheetPdf.as_view(), name="codes-sheet"),
    path("api/v1/codes/print.html", PrintPage.as_view(), name="codes-print"),
    path("api/v1/codes/<str:code_id>/poster.pdf", PosterPdf.as_view(), name="code-poster"),
    path("api/v1/codes/<str:code_id>/tent.pdf", TentPdf.as_view(), name="code-tent"),
]
