"""What a provider's contract says that it may keep of a payment: the newest version in force, in whole minor units."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from payments.models import FeeContract, ProviderAccount


@dataclass(frozen=True, slots=True)
class Terms:
    """The cost contracts of some accounts, by (account, currency), the newest first."""

    contracts: dict[tuple[UUID, str], list[FeeContract]]

    def expected(self, account_id: UUID, currency: str, amount: int, at: datetime) -> tuple[int, int] | None:
        """What is kept of an amount, and how much more or less is taken as it comes; None without a contract."""
        for contract in self.contracts.get((account_id, currency), ()):
            if contract.valid_from <= at:
                share = (amount * contract.parts_per_million + 500_000) // 1_000_000
                fee = max(share + contract.fixed_amount, contract.floor_amount)
                cap = contract.cap_amount
                return (fee if cap is None else min(fee, cap)), contract.tolerance_amount
        return None


def cost_terms(*, account_ids: Collection[UUID]) -> Terms:
    """What providers charge these accounts: an account's own contract before that of all at its provider."""
    found: dict[tuple[UUID, str], list[FeeContract]] = {}
    rows = list(FeeContract.objects.filter(side=FeeContract.Side.COST).order_by("-valid_from", "-version"))
    for account in ProviderAccount.objects.filter(id__in=account_ids):
        own = [row for row in rows if row.provider == account.provider and row.provider_account_id == account.id]
        common = [row for row in rows if row.provider == account.provider and row.provider_account_id is None]
        for row in own or common:
            found.setdefault((account.id, row.currency), []).append(row)
    return Terms(found)
