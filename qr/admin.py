"""The back office's pages of codes."""

from __future__ import annotations

from qr import wallet_code_admin

__all__ = ["wallet_code_admin"]
