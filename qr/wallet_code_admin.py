"""Own wallet codes of shops as operators see them: whose they say they are, and *retire* with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from merchants import audit
from merchants.acts import Act, ActingAdmin
from merchants.desk import desk
from merchants.lists import Recorded, by_id, by_phone, public_id
from merchants.models import User, WalletCode
from qr import payloads, wallet_codes


def _retire(rows: Sequence[WalletCode], *, operator: User, reason: str, now: datetime) -> str:
    for code in sorted(rows, key=lambda code: code.id):
        wallet_codes.retire_by_operator(code_id=code.id, operator=operator, reason=reason, now=now)
    return _("Retired: %(rows)s. The owners are told by text.") % {"rows": ", ".join(map(public_id, rows))}


@admin.register(WalletCode, site=desk)
class WalletCodeAdmin(ActingAdmin):
    """Codes that no server confirms. What they pay to is the vendor's own affair, unless it is not hers."""

    heading = gettext_lazy("Own wallet codes: unconfirmed")
    list_display = ["public", "created_at", "shop", "title", "payee", "account", "state"]
    list_filter = ["state", "profile", Recorded]
    list_select_related = ["shop"]
    fields = ["public", "shop", "staff", "title", "payee", "account", "label", "payload", "confirmation", "state",
              "created_at", "retired_at", "trail"]  # fmt: skip
    search_help_text = gettext_lazy("wco_…, shp_…, a phone, or the account as the code names it")
    acts = [
        Act("retire", gettext_lazy("Retire"), "merchants.change_walletcode", _retire,
            lambda code: code.state == "active",
            gettext_lazy("Why is it retired? Its owners are told; what hangs on the cart stays there until "
                         "they take it off.")),
    ]  # fmt: skip

    def readings(self, term: str) -> Iterator[Q]:
        yield from by_id(term, wco="id", shp="shop")
        yield from by_phone(term, "shop")
        yield Q(account=term)

    @admin.display(description=gettext_lazy("id"))
    def public(self, row: WalletCode) -> str:
        return public_id(row)

    @admin.display(description=gettext_lazy("kind"))
    def title(self, row: WalletCode) -> str:
        return payloads.read(row.payload).title

    @admin.display(description=gettext_lazy("confirmation"))
    def confirmation(self, row: WalletCode) -> str:
        return wallet_codes.STATE

    @admin.display(description=gettext_lazy("what operators did"))
    def trail(self, row: WalletCode) -> str:
        acts = audit.trail(row)[:20]
        return "; ".join(f"{act.at:%d %b %Y %H:%M} {act.operator}: {act.act} ({act.reason})" for act in acts) or "–"
