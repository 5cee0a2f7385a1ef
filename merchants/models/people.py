"""People and shops: a person known by a verified phone, the shop that is paid, and the role that joins them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from knox.models import AbstractAuthToken, AuthTokenManager

from merchants import check_words, ids


class UserManager(BaseUserManager["User"]):
    def create_user(self, phone: str, password: str | None = None, **fields: Any) -> User:
        """A person by phone (E.164); without a password she can only sign in by a code sent to that phone."""
        user = self.model(phone=phone, **fields)
        if password:
            user.set_password(password)
        else:
            user.set_unusable_password()
        user.save(using=self._db)
        return user

    def create_superuser(self, phone: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(phone, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):  # type: ignore[django-manager-missing]  # knox has no types.
    """A person known by one verified phone number. Operators have a password and a TOTP device too."""

    prefix = "usr"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    phone = models.CharField(max_length=16, unique=True, help_text="E.164, for example +8613800138000")
    name = models.CharField(max_length=80, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("operator", default=False)
    language = models.CharField(max_length=10, blank=True, default="", help_text="in which she is written to")
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "phone"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.name or self.phone


class Shop(models.Model):  # type: ignore[django-manager-missing]  # As above.
    """The merchant: who is paid. Its currency can be changed until the first customer starts to pay."""

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        RESTRICTED = "restricted", _("Restricted")
        FROZEN = "frozen", _("Frozen")
        CLOSED = "closed", _("Closed")

    prefix = "shp"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    name = models.CharField(max_length=80)
    country = models.CharField(max_length=2)
    currency = models.CharField(max_length=3)
    time_zone = models.CharField(max_length=64)
    photo = models.ImageField(upload_to="shops/", blank=True)
    logo = models.ImageField(upload_to="logos/", blank=True, help_text="stands in the middle of printed codes")
    colour = models.CharField(max_length=7, blank=True, help_text="of the dark modules of its codes: #rrggbb")
    check_word = models.CharField(
        max_length=check_words.LENGTH,
        unique=True,
        default=check_words.of_no_language,
        editable=False,
        help_text=_("on her sign and on every pay page of hers, and nobody else's"),
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE)
    state_reason = models.CharField(max_length=200, blank=True)
    currency_locked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="shop_state_known",
                condition=models.Q(state__in=["active", "restricted", "frozen", "closed"]),
            ),
            models.CheckConstraint(name="shop_currency_code", condition=models.Q(currency__regex="^[A-Z]{3}$")),
        ]

    def __str__(self) -> str:
        return self.name


class Staff(models.Model):
    """A User's role in a Shop. An assistant sells and is never paid: no table of ours can name a payee but a Shop."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        MANAGER = "manager", _("Manager")
        ASSISTANT = "assistant", _("Assistant")

    prefix = "stf"
    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="roles")
    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="staff")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "staff"
        constraints = [
            models.UniqueConstraint(fields=["user", "shop"], name="staff_once_per_shop"),
            models.CheckConstraint(
                name="staff_role_known", condition=models.Q(role__in=["owner", "manager", "assistant"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class Token(AbstractAuthToken):
    """A signed-in phone: bound to one User in one Shop, kept only as a hash, revocable."""

    prefix = "dev"
    device = models.UUIDField(
        unique=True, default=ids.new, editable=False, help_text="what others call it: its key is the token's hash"
    )
    browser = models.CharField(max_length=20, blank=True, help_text="as its User-Agent said when it signed in")
    system = models.CharField(max_length=20, blank=True, help_text="so, too")
    used_at = models.DateTimeField(default=timezone.now, help_text="right to the hour")
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE, related_name="tokens")

    staff: Staff | None = None  # Whoever is let in with it: set for the time of the request.
    objects: ClassVar[AuthTokenManager] = AuthTokenManager()


class OneTimeCode(models.Model):
    """A code sent by SMS to prove a phone: only its hash is kept, it lives minutes, and it is redeemed once."""

    class Purpose(models.TextChoices):
        SIGN_IN = "sign_in", _("Sign In")
        REFUND = "refund", _("Refund")
        ACCOUNT = "account", _("Account")
        PAYOUT = "payout", _("Payout")

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    phone = models.CharField(max_length=16)
    purpose = models.CharField(max_length=10, choices=Purpose.choices)
    digest = models.BinaryField(max_length=32)
    attempts = models.PositiveSmallIntegerField(default=0)
    expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["phone", "purpose", "-id"], name="one_time_code_latest")]
