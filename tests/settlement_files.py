"""Settlement files for tests: fetched from a provider as the product does it, and read row by row."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from datetime import date

from payments import providers
from payments.models import ProviderAccount
from payments.providers.base import StatementRow


def rows_of_day(account: ProviderAccount, day: date) -> Iterator[StatementRow]:
    """What a provider's file of a day says, in our words; nothing where it says that nothing happened."""
    module = providers.named(account.provider)
    with tempfile.TemporaryFile() as file:
        form = module.statement(account, day, file)
        assert form in ("", next(iter(module.FORMATS)))
        if form:
            for line in module.lines(account, form, file):
                if (row := module.meaning(account, form, line.raw)) is not None:
                    yield row


def rows_in(provider: str, content: bytes, form: str = "") -> list[StatementRow]:
    """What a file says, in our words."""
    module, account = providers.named(provider), ProviderAccount(provider=provider)
    form = form or next(iter(module.FORMATS))
    read = [module.meaning(account, form, line.raw) for line in module.lines(account, form, io.BytesIO(content))]
    return [row for row in read if row is not None]
