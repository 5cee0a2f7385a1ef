"""What operators do to provider accounts, each with its line in their trail: open, replace, revoke, check, cancel.

No secret stands in the trail. A shop is told when an operator enters credentials of an account of its own.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from merchants import audit, ids
from merchants.audit import UnableToAct
from merchants.models import Shop, User
from payments import accounts, credentials, entered, providers
from payments.models import CredentialChange, OldCredentials, PaymentIntent, ProviderAccount
from payments.owners import UnableToChange
from payments.providers.base import ProviderError, Ref, Unauthorised


def open_account(
    *,
    provider: str,
    name: str,
    shop: Shop | None,
    funds: str,
    given: dict[str, str],
    operator: User,
    reason: str,
    now: datetime,
) -> ProviderAccount:
    """Opens an account with these credentials (as `entered.read` gives them), of the platform or of one shop.

    Raises UnableToAct `name_taken`, `direct_without_shop`.
    """
    if funds == ProviderAccount.Funds.DIRECT and shop is None:
        raise UnableToAct("direct_without_shop", _("Direct money belongs to one shop: say which."))
    with transaction.atomic():
        if ProviderAccount.objects.filter(provider=provider, name=name).exists():
            raise UnableToAct(
                "name_taken",
                _("There is an account %(provider)s/%(name)s already.") % {"provider": provider, "name": name},
            )
        account = accounts.open_account(
            provider=provider,
            name=name,
            shop=shop,
            funds=funds,
            identity=credentials.identity(provider, given),
            sealed=credentials.sealed(given),
            now=now,
        )
        after = {"funds": funds, "shop": ids.public("shp", shop.id) if shop else "", "identity": account.identity}
        _record("open_account", account, operator, reason, {}, after, now)
        accounts.tell_of_operator(account, now=now)
    return account


def replace_credentials(
    *, account_id: UUID, given: dict[str, str], keep_old: bool, operator: User, reason: str, now: datetime
) -> ProviderAccount:
    """Replaces the account's credentials at once. With `keep_old` the old ones prove notifications for a week.

    Raises UnableToAct `another_account` for credentials of another account at the provider: what was begun under this
    one could not be ended under that one.
    """
    with transaction.atomic():
        account = _locked(account_id)
        identity = credentials.identity(account.provider, given)
        if not accounts.same_there(account, identity):
            raise UnableToAct("another_account", _("These are of another account there: open one for them."))
        before = {"identity": account.identity, "old": "in use"}
        old = "accepted for a while" if keep_old else "revoked"
        replaced = accounts.replace(
            account, identity=identity, sealed=credentials.sealed(given), keep_old=keep_old, now=now
        )
        if not keep_old:
            accounts.revoke_old(account)
        _record("replace_credentials", account, operator, reason, before, {"identity": identity, "old": old}, now)
        accounts.tell_of_operator(replaced, now=now)
    return replaced


def revoke_old(*, account_id: UUID, operator: User, reason: str, now: datetime) -> int:
    """From now on nothing is proved by credentials that were replaced; answers how many still did that.

    Raises UnableToAct `nothing_to_revoke`.
    """
    with transaction.atomic():
        account = _locked(account_id)
        count = accounts.revoke_old(account)
        if not count:
            raise UnableToAct(
                "nothing_to_revoke",
                _("Nothing but the newest credentials of %(account)s is accepted.") % {"account": account},
            )
        _record("revoke_old", account, operator, reason, {"accepted": count}, {"accepted": 0}, now)
    return count


def check(*, account_id: UUID, operator: User, now: datetime) -> str:
    """Asks the provider about a payment that does not exist, and says in words whether it took our credentials."""
    account = ProviderAccount.objects.get(id=account_id)
    result = verdict(account, now=now)
    with transaction.atomic():
        _record("check", account, operator, "", {"result": ""}, {"result": result[:300]}, now)
    return result


def verdict(account: ProviderAccount, *, now: datetime) -> str:
    """ "accepted", "refused: …", "could not be reached: …", or what is wrong with the credentials before that."""
    try:
        entered.read(account.provider, credentials.of(account))
    except entered.Wrong as wrong:
        return f"not right: {wrong}"
    except ValueError:
        return "cannot be opened: CREDENTIAL_KEYS does not list the key that sealed them"
    if not providers.enabled(account.provider):
        return "not asked: this provider is switched off by the settings"
    nobodys = Ref(reference=ids.public(PaymentIntent.prefix, ids.new(now)), created_at=now)
    try:
        providers.named(account.provider).query(account, nobodys)
    except Unauthorised as refusal:
        return f"refused: {refusal}"
    except ProviderError as failure:
        return f"could not be reached: {failure}"
    return "accepted"


def cancel_change(*, change_id: UUID, operator: User, reason: str, now: datetime) -> CredentialChange:
    """Cancels what a shop entered before it takes effect, and tells it. Raises UnableToAct `change_not_waiting`."""
    change = CredentialChange.objects.select_related("shop").get(id=change_id)
    with transaction.atomic():
        try:
            canceled = accounts.cancel(shop=change.shop, change_id=change.id, now=now)
        except UnableToChange as refusal:
            raise UnableToAct(refusal.code, refusal.detail) from None
        _record("cancel", canceled, operator, reason, {"state": "waiting"}, {"state": "canceled"}, now)
    return canceled


def proving(account: ProviderAccount, *, now: datetime) -> list[OldCredentials]:
    """The replaced credentials that still prove notifications, newest first."""
    return list(account.old_credentials.filter(accepted_until__gt=now).order_by("-replaced_at", "-id"))


def _locked(account_id: UUID) -> ProviderAccount:
    rows = ProviderAccount.objects.select_for_update(of=("self",), no_key=True).select_related("shop")
    return rows.get(id=account_id)


def _record(
    act: str,
    subject: ProviderAccount | CredentialChange,
    operator: User,
    reason: str,
    before: dict[str, object],
    after: dict[str, object],
    now: datetime,
) -> None:
    audit.record(operator=operator, act=act, subject=subject, reason=reason, before=before, after=after, now=now)
