"""Our accounts at providers: whose they are, what opens them, and what is still to be asked there."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from merchants import ids
from merchants.models import Shop, Staff


class ProviderAccount(models.Model):
    """Our account at a provider: of the platform (`shop` empty) or of one shop.

    `held`: the money reaches us and we owe it to the shop. `direct`: the network pays the shop itself and we only keep
    the book; such money is never paid out by us.
    """

    class Funds(models.TextChoices):
        HELD = "held", _("Held")
        DIRECT = "direct", _("Direct")

    prefix = "pac"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    provider = models.CharField(max_length=20)
    name = models.SlugField(max_length=40, help_text="the last part of the webhook address")
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, null=True, blank=True, related_name="provider_accounts")
    funds = models.CharField(max_length=6, choices=Funds.choices)
    identity = models.JSONField(default=dict, help_text="what is no secret of its credentials: ids, public keys")
    sealed_credentials = models.BinaryField(editable=False)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "name"], name="provider_account_named_once"),
            models.CheckConstraint(
                name="provider_account_direct_has_shop",
                condition=Q(funds="held") | Q(funds="direct", shop__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}"


class OldCredentials(models.Model):
    """Credentials that were replaced: kept sealed, because what was encrypted for them may have to be read again.

    Until `accepted_until` they still prove notifications: a provider signs the retries of old ones with the old secret.
    """

    provider_account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="old_credentials")
    sealed_credentials = models.BinaryField(editable=False)
    replaced_at = models.DateTimeField()
    accepted_until = models.DateTimeField(null=True, help_text="empty: revoked, proves nothing any more")

    class Meta:
        verbose_name_plural = "old credentials"


class ProviderKey(models.Model):
    """A public key or certificate (PEM) that the provider itself gave us, by the name under which it signs."""

    provider_account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="keys")
    key_id = models.CharField(max_length=80)
    pem = models.TextField()
    fetched_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider_account", "key_id"], name="provider_key_once")]


class CredentialChange(models.Model):
    """New credentials of a shop's own account. They divert its sales: so they wait, and the old phone is told."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        APPLIED = "applied", _("Applied")
        CANCELED = "canceled", _("Canceled")

    prefix = "chg"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="credential_changes")
    provider = models.CharField(max_length=20)
    identity = models.JSONField(default=dict)
    sealed_credentials = models.BinaryField(editable=False)
    requested_by = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    requested_at = models.DateTimeField()
    effective_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "provider"], condition=Q(state="waiting"), name="credential_change_one_waits"
            )
        ]
        indexes = [
            models.Index(fields=["effective_at"], name="credential_change_due", condition=Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return ids.public(self.prefix, self.id)


class Inquiry(models.Model):
    """What an unproved notification makes us ask of a provider: one row until it is answered."""

    provider_account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="inquiries")
    object_id = models.CharField(max_length=120, help_text="what is asked about, as the provider's module names it")
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, help_text="empty: given up")
    failure = models.CharField(max_length=200, blank=True)
    asked_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "inquiries"
        constraints = [models.UniqueConstraint(fields=["provider_account", "object_id"], name="inquiry_once")]
        indexes = [models.Index(fields=["due_at"], name="inquiry_due", condition=Q(due_at__isnull=False))]
