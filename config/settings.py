"""Every setting in one file: what the environment may change, and every limit beside the reason for it.

Nothing here opens a connection or reads a file: `config.up` (one machine) or `compose.yaml` (production) set the
environment, and this module only reads it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.databases import databases


def env(name: str, default: str | None = None) -> str:
    """The variable's text; without a default it must be set. `NAME_FILE` names a file that holds it (a secret)."""
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"the environment variable {name} is not set (see README, Configuration)")
    return value


def env_bool(name: str, default: bool) -> bool:
    return env(name, "1" if default else "0").strip().lower() in {"1", "true", "yes", "on"}


def env_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in env(name, default).split(",") if part.strip()]


BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env("DATA_DIR", str(BASE_DIR / ".data" / env("PORT", "8000"))))

# --- Where we are --------------------------------------------------------------------------------------------------

DEBUG = env_bool("DEBUG", False)
SECRET_KEY = env("SECRET_KEY")
# Fernet keys, newest first: provider credentials and unsent text messages are sealed with the first, opened with any.
CREDENTIAL_KEYS = env_list("CREDENTIAL_KEYS")
PUBLIC_URL = env("PUBLIC_URL", f"http://127.0.0.1:{env('PORT', '8000')}").rstrip("/")
STREAM_URL = env("STREAM_URL", PUBLIC_URL).rstrip("/")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", urlsplit(PUBLIC_URL).hostname or "localhost")
# Addresses (or networks) of our own proxies: only what they add to X-Forwarded-For is believed.
TRUSTED_PROXIES = env_list("TRUSTED_PROXIES")
# Metrics and the live books answer on this port only; 0 switches them off.
INTERNAL_PORT = int(env("INTERNAL_PORT", "0"))
INTERNAL_HOST = env("INTERNAL_HOST", "127.0.0.1")

_https = PUBLIC_URL.startswith("https://")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
LOGIN_REDIRECT_URL = "/admin/"
SESSION_COOKIE_HTTPONLY = True
# An operator's language is her own; customers and vendors read theirs from their browser's and their phone's.
LANGUAGE_COOKIE_PATH = "/admin/"
LANGUAGE_COOKIE_SECURE = _https
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 86_400
SESSION_COOKIE_AGE = 12 * 3600  # An operator's working day.
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- The application -----------------------------------------------------------------------------------------------

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "merchants.User"
# Only operators have passwords.
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "merchants",
    "payments",
    "qr",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.RequestMiddleware",
    "config.middleware.SessionMiddleware",
    "merchants.languages.Answers",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "config.middleware.AuthenticationMiddleware",
    "config.middleware.OTPMiddleware",
    "config.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.middleware.CSPMiddleware",
    "config.api.refuse_nul",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", "English"),
    ("zh-hans", "简体中文"),
    ("hi", "हिन्दी"),
    ("pt", "Português"),
    ("vi", "Tiếng Việt"),
    ("ar", "العربية"),
]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = Path(env("STATIC_ROOT", str(DATA_DIR / "static")))
MEDIA_URL = "/media/"
MEDIA_ROOT = Path(env("MEDIA_ROOT", str(DATA_DIR / "media")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "merchants.page_files.PageStorage"
    },
}

# One photo at 12 MB is what phones make; nothing else needs to be large. Webhooks have their own, smaller limit.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
PHOTO_BYTES_MAX = 12_582_912
PHOTO_PIXELS_MAX = 25_000_000  # A decompression bomb is refused before it is decoded.
WEBHOOK_BYTES_MAX = 262_144  # The largest notification documented by any provider we know is far below.

# --- Stores --------------------------------------------------------------------------------------------------------

DB_POOL_MAX = int(env("DB_POOL_MAX", "8"))
# A streaming replica that reads whatever may be some seconds old (payments.replica); none: the primary does.
DATABASES = databases(env("DATABASE_URL"), env("REPLICA_URL", ""), connections_max=DB_POOL_MAX)
DATABASE_ROUTERS = ["payments.replica.Router"]
REPLICA_LAG_MAX = timedelta(seconds=5)  # A replica further behind answers nobody.
REDIS_URL = env("REDIS_URL")
REDIS_TIMEOUT_S = 1.0

# --- Celery: the bell, never the queue -----------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SOFT_TIME_LIMIT = 60
CELERY_TASK_TIME_LIMIT = 90
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_PUBLISH_RETRY = False  # The row waits and the sweep finds it: a bell is never worth waiting for.
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Two queues, so that a provider that does not answer can never hold up the posting: `celery` applies events, `errands`
# does whatever calls outward or may wait. A worker without -Q takes both.
CELERY_TASK_QUEUES: dict[str, dict[str, str]] = {"celery": {}, "errands": {}}
CELERY_TASK_ROUTES = {
    "payments.drain_inbox": {"queue": "celery"},
    "payments.sweep": {"queue": "celery"},
    "payments.*": {"queue": "errands"},
    "merchants.*": {"queue": "errands"},
}
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 10,
    "socket_connect_timeout": 2,
}
SWEEP_EVERY_S = 2.0
_IN_AN_HOUR = {"expires": 3600}
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # Whatever lost its bell is found here; this interval bounds the delay of a lost bell.
    # `expires` keeps a stopped worker's return from finding an hour of sweeps waiting.
    # A schedule in words is a crontab's line (config.clock reads it): most who read this have no use for Celery.
    "sweep": {"task": "payments.sweep", "schedule": SWEEP_EVERY_S, "options": {"expires": 10}},
    "match-statements": {"task": "payments.match_statements", "schedule": 300.0, "options": {"expires": 300}},
    "release-pending": {"task": "payments.release_pending", "schedule": 60.0, "options": {"expires": 60}},
    "credential-changes": {"task": "payments.apply_credential_changes", "schedule": 60.0, "options": {"expires": 60}},
    "look-at-bank": {"task": "payments.look_at_bank", "schedule": 60.0, "options": {"expires": 60}},
    "prepare-payouts": {"task": "payments.prepare_payouts", "schedule": 300.0, "options": {"expires": 300}},
    "payout-accounts": {"task": "payments.apply_payout_accounts", "schedule": 60.0, "options": {"expires": 60}},
    "payout-lines": {"task": "payments.look_at_payout_lines", "schedule": 60.0, "options": {"expires": 60}},
    "want-statements": {"task": "payments.want_statements", "schedule": 600.0, "options": {"expires": 600}},
    "flush-scans": {"task": "merchants.flush_scans", "schedule": 60.0, "options": {"expires": 60}},
    "seal-entries": {"task": "payments.seal_entries", "schedule": 60.0, "options": {"expires": 60}},
    "watch-codes": {"task": "payments.watch_codes", "schedule": 300.0, "options": {"expires": 300}},
    "dispute-dates": {"task": "payments.remind_of_disputes", "schedule": "10 * * * *", "options": _IN_AN_HOUR},
    "snapshot-balances": {"task": "payments.snapshot_balances", "schedule": "20 * * * *", "options": _IN_AN_HOUR},
    "close-hours": {"task": "payments.close_hours", "schedule": "31 * * * *", "options": _IN_AN_HOUR},
    "receipt-keys": {"task": "payments.renew_receipt_keys", "schedule": "30 * * * *", "options": _IN_AN_HOUR},
    "partitions": {"task": "payments.make_partitions", "schedule": "50 2 * * *", "options": _IN_AN_HOUR},
    "retire-months": {"task": "payments.retire_months", "schedule": "5 3 * * *", "options": _IN_AN_HOUR},
    "forget-expired": {"task": "merchants.forget_expired", "schedule": "40 * * * *", "options": _IN_AN_HOUR},
}

# --- Signing in by phone -------------------------------------------------------------------------------------------

SMS_BACKEND = env("SMS_BACKEND", "console")  # console, twilio or aliyun
DEV_OUTBOX = env_bool("DEV_OUTBOX", False)
SMS_COUNTRIES = env_list("SMS_COUNTRIES", "CN,IN,BR,VN,TH,KH,ID,MY,SG,HK,PH,KE,TZ,GH,NG,ZA,KW,AE,JP,US,GB,DE,MX")
TWILIO_URL = env("TWILIO_URL", "https://api.twilio.com")
TWILIO_ACCOUNT_SID = env("TWILIO_ACCOUNT_SID", "")
TWILIO_AUTH_TOKEN = env("TWILIO_AUTH_TOKEN", "")
TWILIO_FROM = env("TWILIO_FROM", "")
ALIYUN_SMS_URL = env("ALIYUN_SMS_URL", "https://dysmsapi.aliyuncs.com")
ALIYUN_ACCESS_KEY_ID = env("ALIYUN_ACCESS_KEY_ID", "")
ALIYUN_ACCESS_KEY_SECRET = env("ALIYUN_ACCESS_KEY_SECRET", "")
ALIYUN_SMS_SIGN_NAME = env("ALIYUN_SMS_SIGN_NAME", "")
ALIYUN_SMS_TEMPLATE = env("ALIYUN_SMS_TEMPLATE", "")
ALIYUN_SMS_NOTICE_TEMPLATE = env("ALIYUN_SMS_NOTICE_TEMPLATE", "")
ALIYUN_SMS_PAYMENT_TEMPLATE = env("ALIYUN_SMS_PAYMENT_TEMPLATE", "")
# Texts to one person who asked to be told of payments that no phone of hers has heard of; each costs the operator.
PAYMENT_TEXTS_A_DAY_MAX = int(env("PAYMENT_TEXTS_A_DAY_MAX", "20"))

# Web push (RFC 8292): one P-256 key, base64url of its 32 bytes; without it nothing is pushed.
VAPID_PRIVATE_KEY = env("VAPID_PRIVATE_KEY", "")
VAPID_SUBJECT = env("VAPID_SUBJECT", PUBLIC_URL)  # Whom a push service may write to: https://… or mailto:…
# Push services beyond the known ones, as origins; they may be local and without TLS, so this is for tests.
PUSH_EXTRA_ORIGINS = env_list("PUSH_EXTRA_ORIGINS")

ONE_TIME_CODE_LIFE = timedelta(minutes=5)
ONE_TIME_CODE_ATTEMPTS_MAX = 5
# A person mistypes; a pump does not stop. An hour of one prefix beyond this is somebody earning on our texts.
CODE_BUDGET_PHONE = env("CODE_BUDGET_PHONE", "3/minute;10/day")
CODE_BUDGET_ADDRESS = env("CODE_BUDGET_ADDRESS", "60/minute")
CODE_BUDGET_PREFIX = env("CODE_BUDGET_PREFIX", "300/hour")
CODE_BUDGET_ALL = env("CODE_BUDGET_ALL", "600/minute")
TOKEN_BUDGET_ADDRESS = env("TOKEN_BUDGET_ADDRESS", "120/minute")
# A market behind one address pays often, one payer does not; each start costs a call to a provider.
START_BUDGET_PAYER = env("START_BUDGET_PAYER", "20/minute")
START_BUDGET_ADDRESS = env("START_BUDGET_ADDRESS", "600/minute")
# A statement may read a shop's whole book and keep a thread of the web while it is sent; nobody reads so many.
STATEMENT_BUDGET = env("STATEMENT_BUDGET", "30/minute")
# A photo may keep a core for seconds; a person looks at codes one after the other.
READING_BUDGET = env("READING_BUDGET", "30/minute")
STATEMENT_PDF_LINES_MAX = 10_000  # 190 pages, made in seconds; nobody reads more on paper, and spreadsheets hold it.

# --- Money ---------------------------------------------------------------------------------------------------------

# The pretend wallet is a provider only where its address is set.
SANDBOX_URL = env("SANDBOX_URL", "").rstrip("/")
SANDBOX_CONTROL_KEY = env("SANDBOX_CONTROL_KEY", "")
# The networks' own addresses, unless another (a test gateway) is set; an empty one switches a provider off. An account
# with its credentials decides which of them a shop really takes.
ALIPAY_URL = env("ALIPAY_URL", "https://openapi.alipay.com").rstrip("/")
WECHATPAY_URL = env("WECHATPAY_URL", "https://api.mch.weixin.qq.com").rstrip("/")
WECHATPAY_IDENTIFY_URL = env("WECHATPAY_IDENTIFY_URL", "https://open.weixin.qq.com").rstrip("/")
WECHATPAY_GRANT_URL = env("WECHATPAY_GRANT_URL", "https://api.weixin.qq.com").rstrip("/")
STRIPE_URL = env("STRIPE_URL", "https://api.stripe.com").rstrip("/")
RAZORPAY_URL = env("RAZORPAY_URL", "https://api.razorpay.com").rstrip("/")
MERCADOPAGO_URL = env("MERCADOPAGO_URL", "https://api.mercadopago.com").rstrip("/")
# Every bank has a Pix address of its own: an account may only name one of these, or we would call whatever it says.
PIX_URL = [address.rstrip("/") for address in env_list("PIX_URL")]
# The header in which a trusted proxy passes on a peer's certificate (PEM, URL-encoded) after it has verified it.
CLIENT_CERTIFICATE_HEADER = env("CLIENT_CERTIFICATE_HEADER", "X-Client-Certificate").lower()
# A refund above this (minor units; of other currencies 100 whole units) wants a code sent to the phone of who asks for
# it, and so does what a shop refunds in a day beyond some times that: a stolen phone must not empty a shop.
_REFUND_CODE_ABOVE = env_list(
    "REFUND_CODE_ABOVE",
    "CNY=50000,INR=500000,BRL=50000,VND=2000000,THB=300000,KHR=40000000,IDR=150000000,MYR=40000,PHP=500000,HKD=80000,"
    "KES=1000000,TZS=25000000,GHS=100000,NGN=15000000,ZAR=200000,KWD=30000,AED=30000,JPY=10000,MXN=200000",
)
REFUND_CODE_ABOVE = {pair[:3]: int(pair[4:]) for pair in _REFUND_CODE_ABOVE}
REFUND_CODE_ABOVE_A_DAY = 5
# A refund above this (minor units; of other currencies 1,000 whole units), alone or with what was asked for of the same
# payment, waits until an operator has looked at it; and so does what a shop refunds in a day beyond some times that.
_REFUND_REVIEW_ABOVE = env_list(
    "REFUND_REVIEW_ABOVE",
    "CNY=500000,INR=5000000,BRL=500000,VND=20000000,THB=3000000,KHR=400000000,IDR=1500000000,MYR=400000,PHP=5000000,"
    "HKD=800000,KES=10000000,TZS=250000000,GHS=1000000,NGN=150000000,ZAR=2000000,KWD=300000,AED=300000,JPY=100000,"
    "MXN=2000000",
)
REFUND_REVIEW_ABOVE = {pair[:3]: int(pair[4:]) for pair in _REFUND_REVIEW_ABOVE}
REFUND_REVIEW_ABOVE_A_DAY = 5
CREDENTIAL_CHANGE_DELAY = timedelta(hours=24)  # They divert a shop's sales: its owner is told, and can stop them.
PAYOUT_ACCOUNT_DELAY = timedelta(hours=24)  # As long, for the same reason: it diverts what a shop is paid out.
# A batch of payouts above this (minor units; of other currencies 10,000 whole units) is approved by one operator and
# released by another.
_FOUR_EYES_PAYOUT_ABOVE = env_list(
    "FOUR_EYES_PAYOUT_ABOVE",
    "CNY=5000000,INR=50000000,BRL=5000000,VND=200000000,THB=30000000,KHR=4000000000,IDR=15000000000,MYR=4000000,"
    "PHP=50000000,HKD=8000000,KES=100000000,TZS=2500000000,GHS=10000000,NGN=1500000000,ZAR=20000000,JPY=1000000,"
    "MXN=20000000",
)
FOUR_EYES_PAYOUT_ABOVE = {pair[:3]: int(pair[4:]) for pair in _FOUR_EYES_PAYOUT_ABOVE}
# A payout that was paid may come back: SEPA's banks have three days for it, others take weeks.
PAYOUT_WATCHED_AFTER = [timedelta(hours=h) for h in (1, 24, 72, 168, 336)]
OLD_SECRETS_ACCEPTED = timedelta(days=7)  # The retries of old notifications are signed with them, for up to four days.
# What an operator books to end a discrepancy wants a second one above this (minor units; of other currencies 100 whole
# units): about 70 dollars, which one person may lose in good faith, and with which nobody is worth bribing.
_FOUR_EYES_ABOVE = env_list(
    "FOUR_EYES_ABOVE",
    "CNY=50000,INR=500000,BRL=50000,VND=2000000,THB=300000,KHR=40000000,IDR=150000000,MYR=40000,PHP=500000,HKD=80000,"
    "KES=1000000,TZS=25000000,GHS=100000,NGN=15000000,ZAR=200000,KWD=30000,AED=30000,JPY=10000,MXN=200000",
)
FOUR_EYES_ABOVE = {pair[:3]: int(pair[4:]) for pair in _FOUR_EYES_ABOVE}
# A provider pays by the next working day, and a long weekend has three free ones.
SETTLEMENT_OVERDUE = timedelta(days=4)
# A credit and a settlement of the same amount that lie further apart than this have nothing to do with each other.
SETTLEMENT_APART = timedelta(days=10)
# So many settlements may make one credit: a provider that pays weekly brings seven, and one more is a holiday's.
SETTLEMENTS_TOGETHER_MAX = 10
# A credit that fits nothing is looked at again this often, for so long: the file that explains it may come later.
CREDIT_LOOKED_AT_AGAIN = timedelta(hours=1)
CREDIT_LOOKED_AT_FOR = timedelta(days=10)
# A statement's line that our book does not know is looked at again this long after each look; in between its provider
# is asked, and what it answers is booked. After the last look the line itself is the proof, or a question.
LOOK_AGAIN_AFTER = [timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1)]
# A refund that is stated before it has succeeded with us: some files date refunds by the day they were asked for.
LOOK_AGAIN_IN_TIME = [timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=1), timedelta(days=1)]
# A line without any name is a payment's when the amounts are the same and this near; twice that and there are rivals.
MATCH_BY_AMOUNT_WITHIN = timedelta(days=1)
LOOK_BATCH_MAX = 5000
LOOK_AFTER_FAILURE = timedelta(
    minutes=5
)  # A line that could not be judged is our fault, and keeps nobody else waiting.
LOOK_FOR = timedelta(seconds=20)  # One round ends, so that other errands have their turn; it rings for the next.
QUANTITY_MAX = 99
PAGE_LIFE = timedelta(minutes=30)  # How long a pay page may lie open before it must be loaded again.
INTENT_LIFE = timedelta(minutes=15)
AMOUNT_MAX = 10_000_000_000  # Minor units; far above a cart's day, far below the bigint's end.
# When a payment turns from pending to available: T+n days after it was received.
SETTLEMENT_DAYS = int(env("SETTLEMENT_DAYS", "1"))
# How many full months of ledger entries stay in the database beside this one; 0: all. See docs/operating.md, Archives.
LEDGER_MONTHS_KEPT = int(env("LEDGER_MONTHS_KEPT", "0"))
LEDGER_MONTHS_KEPT_MIN = 3  # A payout's turn, a day's takings and what is heard of late look back by weeks.
if 0 < LEDGER_MONTHS_KEPT < LEDGER_MONTHS_KEPT_MIN:
    raise ImproperlyConfigured(f"LEDGER_MONTHS_KEPT is 0 (all months) or at least {LEDGER_MONTHS_KEPT_MIN}")
# We ask the provider about an intent that fell silent this long after it was started.
QUERY_AFTER = [timedelta(seconds=s) for s in (10, 30, 120, 600, 3600, 21_600, 86_400)]
# An event that cannot be applied is tried again this long after each failure; after the last it is dead.
RETRY_AFTER = [timedelta(seconds=s) for s in (5, 30, 300, 3600, 21_600, 86_400)]
OUTWARD_TIMEOUT_S = (3.05, 10)  # Connect, read: every call to a provider ends.
OUTWARD_AGAIN_S = (0.2, 0.8)  # Pauses before a safe call is made again in the same breath; a customer waits for it.
OUTWARD_BYTES_MAX = 4_194_304  # Of one answer.
STATEMENT_BYTES_MAX = 536_870_912  # A million rows of the widest settlement file we know.
STATEMENT_FOR = timedelta(minutes=10)
STATEMENT_UNREADABLE_MAX = 1000  # Rows of one file: with more of them it is no file of the format it is said to be.
STATEMENT_DAYS_BACK = 35  # How many days that were never fetched are: most providers keep them for three months.
# A settlement file that could not be fetched is asked for again this long after each failure; then it is refused.
STATEMENT_RETRY_AFTER = [timedelta(minutes=m) for m in (10, 60, 180, 360, 720, 1440)]
STATEMENT_TASK_S = 1800  # A million rows are read twice and written in a few minutes; other errands have 60 s.
RETIRE_TASK_S = 14_400  # Some ten million entries are written, read back, proved and, a day later, taken out.
STATEMENT_LEASE = timedelta(minutes=40)  # Longer than that task may take, or two would fetch the same.
# A provider that fails this often in a row is left alone for a while, each time twice as long: nobody waits in vain.
CIRCUIT_FAILURES_MAX = 5
CIRCUIT_OPEN_S = (15, 30, 60, 120, 300)
EVIDENCE_REMINDER = timedelta(days=2)  # Before the date until which a shop may answer a dispute.
# Questions to one provider: a storm of them would get our account blocked, and its answers for payers with it.
QUERY_BUDGET = env("QUERY_BUDGET", "300/minute")
# Notifications to one account that nobody signed, or whose keys a shop has chosen: each costs a row, or a question.
HINT_BUDGET = env("HINT_BUDGET", "300/minute")
OUTWARD_FOR = timedelta(seconds=15)  # One round of calls ends, so that other errands have their turn.

DRAIN_BATCH_MAX = 1000
DRAIN_FOR = timedelta(seconds=20)  # One drain task ends well before Celery's limits; it rings for the next.
DRAIN_AGAIN = timedelta(seconds=5)  # After trouble of our own (a database that cannot keep up), not the event's.
DRAIN_LEASE = timedelta(seconds=30)  # A batch takes well under a second; a lease this old belonged to the dead.

# --- API -----------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["merchants.tokens.ShopTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["merchants.bodies.Json", "merchants.bodies.Form"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "config.api.Pages",
    "DEFAULT_FILTER_BACKENDS": ["config.api.Filters"],
    "EXCEPTION_HANDLER": "config.api.problem_handler",
    "PAGE_SIZE": 50,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNICODE_JSON": True,
}
DRF_STANDARDIZED_ERRORS = {
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
    "EXCEPTION_FORMATTER_CLASS": "config.api.ProblemFormatter",
}
REST_KNOX = {
    "TOKEN_TTL": timedelta(days=180),  # A vendor signs in once; she can sign out everywhere.
    "TOKEN_LIMIT_PER_USER": None,
    "AUTO_REFRESH": True,
    "AUTO_REFRESH_MAX_TTL": timedelta(days=365),
    "MIN_REFRESH_INTERVAL": 86_400,
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_MODEL": "merchants.Token",
}
KNOX_TOKEN_MODEL = "merchants.Token"  # noqa: S105  The name of a model, not a secret.
SPECTACULAR_SETTINGS = {
    "TITLE": "Pushcart",
    "DESCRIPTION": "QR-code payments for street vendors and small shops.",
    "VERSION": "1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "CodeKind": "merchants.models.Code.Kind",
        "CodeState": "merchants.models.Code.State",
        "ShopState": "merchants.models.Shop.State",
        "WhoseCode": "merchants.mine.ANSWERS",
        "RefundState": "payments.models.Refund.State",
        "EntryKind": "payments.models.LedgerEntry.Kind",
        "PayoutState": "payments.models.Payout.State",
        "PayoutAccountState": "payments.models.PayoutAccount.State",
    },
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "config.api.document_problems"],
}

# --- Pages ---------------------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF, STREAM_URL],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- What we say of ourselves --------------------------------------------------------------------------------------

DJANGO_STRUCTLOG_CELERY_ENABLED = False
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False  # It believes X-Forwarded-For from anybody.
LOG_LEVEL = env("LOG_LEVEL", "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "merchants.journal.json_formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django_structlog": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "celery": {"level": "WARNING"},
        "kombu": {"level": "ERROR"},
        "urllib3": {"level": "WARNING"},  # Below that it writes the addresses of calls, in which secrets may stand.
    },
}
