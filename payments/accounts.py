"""The life of a provider account: what a shop enters for itself waits and is told, then it takes effect, once.

New credentials divert a shop's sales. So they want a fresh code, wait settings.CREDENTIAL_CHANGE_DELAY, and every owner
is told by text on the phone that she had before. Credentials that are replaced are kept: what was encrypted for them
can still be read, and for settings.OLD_SECRETS_ACCEPTED they prove notifications. Credentials of another account at
the provider are no replacement: they open an account of their own here, and the one before takes no new payments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from merchants import ids, languages, step_up
from merchants.journal import journal
from merchants.models import Shop, Staff
from merchants.step_up import Confirmation
from payments import credentials, owners, providers
from payments.models import CredentialChange, OldCredentials, ProviderAccount
from payments.owners import UnableToChange

APPLY = "payments.apply_credential_changes"
NOTICE = "account_change"

_log = journal(__name__)
_State = CredentialChange.State
_NAME_TAIL = 13  # Letters of the shop's id that are its own; those before them are a time.

_TEXTS = {
    "requested": gettext_noop(
        "Pushcart: new %(title)s credentials of %(shop)s take effect %(when)s: "
        "they decide where its sales are paid to. "
        "Not you? Stop %(change)s before then at %(app)s, or tell us its number."
    ),
    "canceled": gettext_noop(
        "Pushcart: the new %(title)s credentials of %(shop)s (%(change)s) were canceled. Nothing has changed."
    ),
    "applied": gettext_noop(
        "Pushcart: the new %(title)s credentials of %(shop)s (%(change)s) took effect. Not you? Tell us at once."
    ),
    "entered_by_operator": gettext_noop(
        "Pushcart: an operator entered %(title)s credentials of %(shop)s. Not what you wanted? Tell us."
    ),
}


@dataclass(frozen=True, slots=True)
class Own:
    """A shop's own account as its owner sees it; `id` is empty while its first credentials wait in `change`."""

    id: UUID | None
    provider: str
    title: str
    funds: str
    active: bool
    identity: dict[str, str]
    webhook_url: str
    created_at: datetime | None
    change: CredentialChange | None


def offered(shop: Shop) -> list[str]:
    """The providers at which this shop can have an account of its own: those that know its currency."""
    known = {name: providers.named(name).CURRENCIES for name in providers.all_enabled()}
    return [name for name, currencies in known.items() if currencies is None or shop.currency in currencies]


def own(shop: Shop) -> list[Own]:
    """The shop's own accounts, oldest first, then those that will be opened when their credentials take effect."""
    rows = ProviderAccount.objects.filter(shop=shop, provider__in=providers.MODULES).order_by("id")
    waiting = CredentialChange.objects.filter(shop=shop, state=_State.WAITING).order_by("id")
    by_account = {getattr(replaced_by(change), "id", None) or change.id: change for change in waiting}
    known = [_shown(row, by_account.pop(row.id, None)) for row in rows]
    return [*known, *(_announced(change) for change in by_account.values())]


def replaced_by(change: CredentialChange) -> ProviderAccount | None:
    """The account whose credentials the change replaces; None when it opens one."""
    of_shop = ProviderAccount.objects.filter(
        shop_id=change.shop_id, provider=change.provider, funds=ProviderAccount.Funds.DIRECT
    )
    for account in of_shop.order_by("-id"):
        if same_there(account, change.identity):
            return account
    return None


def same_there(account: ProviderAccount, identity: dict[str, str]) -> bool:
    """Whether credentials with this identity are of the same account at the provider, as far as they name it."""
    names = [field.name for field in providers.named(account.provider).FIELDS if field.names_us]
    named = [(account.identity.get(name, ""), identity.get(name, "")) for name in names]
    return all(ours == theirs for ours, theirs in named if ours and theirs)


def webhook_url(provider: str, name: str) -> str:
    return f"{settings.PUBLIC_URL}/webhooks/{provider}/{name}"


def request_change(
    *, staff: Staff, provider: str, given: dict[str, str], confirmation: Confirmation, now: datetime
) -> Own:
    """Keeps new credentials (as `entered.read` gives them) until they take effect, uses the code up, and tells.

    Raises UnableToChange `change_waiting`, `shop_<state>`; Refused 403 `step_up_invalid`. Nothing has changed then.
    """
    with transaction.atomic():
        step_up.redeem(confirmation, purpose=step_up.Purpose.ACCOUNT, now=now)
        shop = Shop.objects.select_for_update(no_key=True).get(id=staff.shop_id)
        if shop.state != Shop.State.ACTIVE:
            raise UnableToChange(f"shop_{shop.state}", _("This shop cannot change its accounts at the moment."))
        if CredentialChange.objects.filter(shop=shop, provider=provider, state=_State.WAITING).exists():
            raise UnableToChange("change_waiting", _("Other credentials are waiting already. Cancel them first."))
        change = CredentialChange.objects.create(
            id=ids.new(now),
            shop=shop,
            provider=provider,
            identity=credentials.identity(provider, given),
            sealed_credentials=credentials.sealed(given),
            requested_by=staff,
            requested_at=now,
            effective_at=now + settings.CREDENTIAL_CHANGE_DELAY,
        )
        _tell(shop, "requested", change, now)
        replaced = replaced_by(change)
        return _shown(replaced, change) if replaced is not None else _announced(change)


def cancel(*, shop: Shop, change_id: UUID, now: datetime) -> CredentialChange:
    """Ends a waiting change, wipes what it held, and tells.

    Raises CredentialChange.DoesNotExist for another shop's, UnableToChange `change_not_waiting`.
    """
    with transaction.atomic():
        locked = Shop.objects.select_for_update(no_key=True).get(id=shop.id)
        change = CredentialChange.objects.select_for_update(no_key=True).get(id=change_id, shop=locked)
        if change.state != _State.WAITING:
            raise UnableToChange(
                "change_not_waiting",
                _("This change is %(state)s already.") % {"state": change.get_state_display().lower()},
            )
        _end(change, _State.CANCELED, now)
        _tell(locked, "canceled", change, now)
    return change


def apply_due(*, now: datetime, limit: int = 100) -> int:
    """Lets changes take effect whose time has come, each once; answers how many. A frozen shop's waits."""
    due = CredentialChange.objects.filter(
        state=_State.WAITING, effective_at__lte=now, shop__state=Shop.State.ACTIVE, provider__in=providers.MODULES
    )
    waiting = list(due.order_by("effective_at").values_list("id", "shop_id")[:limit])
    return sum(_apply(change_id, shop_id, now) for change_id, shop_id in waiting)


def open_account(
    *, provider: str, name: str, shop: Shop | None, funds: str, identity: dict[str, str], sealed: bytes, now: datetime
) -> ProviderAccount:
    return ProviderAccount.objects.create(
        id=ids.new(now),
        provider=provider,
        name=name,
        shop=shop,
        funds=funds,
        identity=identity,
        sealed_credentials=sealed,
    )


def replace(
    account: ProviderAccount, *, identity: dict[str, str], sealed: bytes, keep_old: bool, now: datetime
) -> ProviderAccount:
    """Replaces the account's credentials; call it in a transaction. Old ones prove nothing more unless they are kept.

    They stay readable in any case: a stored event may have been encrypted for them.
    """
    row = ProviderAccount.objects.select_for_update(no_key=True).get(id=account.id)
    OldCredentials.objects.create(
        provider_account=row,
        sealed_credentials=bytes(row.sealed_credentials),
        replaced_at=now,
        accepted_until=now + settings.OLD_SECRETS_ACCEPTED if keep_old else None,
    )
    row.identity, row.sealed_credentials = identity, sealed
    row.save(update_fields=["identity", "sealed_credentials"])
    return row


def revoke_old(account: ProviderAccount) -> int:
    """From now on only the newest credentials prove anything; answers how many older ones did until now."""
    proving = OldCredentials.objects.filter(provider_account=account, accepted_until__isnull=False)
    return proving.update(accepted_until=None)


def tell_of_operator(account: ProviderAccount, *, now: datetime) -> None:
    """Tells a shop that an operator entered credentials of its own account; in the transaction of that."""
    if account.shop is not None:
        _say(
            account.shop, "entered_by_operator", account.provider, {"account": ids.public("pac", account.id)}, dict, now
        )


# --- Taking effect ---------------------------------------------------------------------------------------------------


def _apply(change_id: UUID, shop_id: UUID, now: datetime) -> bool:
    """Whether it was we who did it: the shop's lock lets one worker through, who finds the change still waiting."""
    with transaction.atomic():
        shop = Shop.objects.select_for_update(no_key=True).get(id=shop_id)
        change = _still_waiting(change_id)
        if change is None or shop.state != Shop.State.ACTIVE:
            return False
        replaced = replaced_by(change)
        sealed = bytes(change.sealed_credentials)
        if replaced is not None:
            account = replace(replaced, identity=change.identity, sealed=sealed, keep_old=True, now=now)
        else:
            account = _open_for(shop, change, sealed, now)
        _take_over(account, opened=replaced is None)
        _end(change, _State.APPLIED, now)
        _tell(shop, "applied", change, now)
    _log.info("credentials_changed", account=str(account), change=str(change))
    return True


def _take_over(account: ProviderAccount, *, opened: bool) -> None:
    """New payments go to this account of the shop's own alone; where operators had switched all off, all stay off."""
    of_shop = ProviderAccount.objects.filter(shop=account.shop, provider=account.provider, funds=account.funds)
    others, own = of_shop.exclude(id=account.id), of_shop.filter(id=account.id)
    if others.filter(active=True).update(active=False):
        own.update(active=True)
    elif opened and others.exists():
        own.update(active=False)


def _still_waiting(change_id: UUID) -> CredentialChange | None:
    waiting = CredentialChange.objects.select_for_update(no_key=True).filter(id=change_id, state=_State.WAITING)
    return waiting.first()


def _open_for(shop: Shop, change: CredentialChange, sealed: bytes, now: datetime) -> ProviderAccount:
    return open_account(
        provider=change.provider,
        name=_free_name(shop.id, change.provider),
        shop=shop,
        funds=ProviderAccount.Funds.DIRECT,
        identity=change.identity,
        sealed=sealed,
        now=now,
    )


def _end(change: CredentialChange, state: str, now: datetime) -> None:
    change.state, change.ended_at, change.sealed_credentials = state, now, b""
    change.save(update_fields=["state", "ended_at", "sealed_credentials"])


def _free_name(shop_id: UUID, provider: str) -> str:
    """`stripe-` and the shop's own letters; a number behind them when the shop had another account there before."""
    first = f"{provider}-{ids.public(Shop.prefix, shop_id)[-_NAME_TAIL:]}"
    taken = set(
        ProviderAccount.objects.filter(provider=provider, name__startswith=first).values_list("name", flat=True)
    )
    names = [first, *(f"{first}-{number}" for number in range(2, len(taken) + 2))]
    return next(name for name in names if name not in taken)


# --- Showing and telling ---------------------------------------------------------------------------------------------


def _shown(account: ProviderAccount, change: CredentialChange | None) -> Own:
    return Own(
        id=account.id,
        provider=account.provider,
        title=providers.named(account.provider).TITLE,
        funds=account.funds,
        active=account.active,
        identity=account.identity,
        webhook_url=webhook_url(account.provider, account.name),
        created_at=account.created_at,
        change=change,
    )


def _announced(change: CredentialChange) -> Own:
    return Own(
        id=None,
        provider=change.provider,
        title=providers.named(change.provider).TITLE,
        funds=ProviderAccount.Funds.DIRECT,
        active=False,
        identity=change.identity,
        webhook_url=webhook_url(change.provider, _free_name(change.shop_id, change.provider)),
        created_at=None,
        change=change,
    )


def _tell(shop: Shop, step: str, change: CredentialChange, now: datetime) -> None:
    data = {"change": str(change), "effective_at": change.effective_at.isoformat()}

    def words() -> dict[str, str]:
        return {"change": str(change), "when": languages.moment(change.effective_at, shop.time_zone)}

    _say(shop, step, change.provider, data, words, now)


def _say(
    shop: Shop, step: str, provider: str, data: dict[str, str], words: Callable[[], dict[str, str]], now: datetime
) -> None:
    title = providers.named(provider).TITLE
    owners.tell(
        shop,
        kind=NOTICE,
        data={"step": step, "provider": provider, "title": title, **data},
        text=_TEXTS[step],
        words=lambda: {"title": title, **words()},
        of_use_for=settings.CREDENTIAL_CHANGE_DELAY,
        now=now,
    )
