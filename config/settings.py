"""Foyer's settings: one file, everything that differs between machines from the environment."""

from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config import environment as env

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY is shorter than 32 characters.")
# Earlier ones: sessions, links and keys of before they are replaced still work; nothing is signed with them.
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
if any(len(key) < 32 for key in SECRET_KEY_FALLBACKS):
    raise ImproperlyConfigured("SECRET_KEY_FALLBACKS holds one that is shorter than 32 characters.")
FIELD_KEYS = env.words("FIELD_KEYS")
if not FIELD_KEYS:
    raise ImproperlyConfigured("FIELD_KEYS is not set: the keys that encrypt merchants' API keys, newest first.")

SITE_URL = env.web_address("SITE_URL", "http://localhost:8000" if DEBUG else None)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", urlsplit(SITE_URL).hostname or "")
CSRF_TRUSTED_ORIGINS = [SITE_URL]
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))

# SumUp. The simulator is reached by setting its address: play money, for a demo and for tests only.
SUMUP_API_URL = env.web_address("SUMUP_API_URL", "https://api.sumup.com")
SUMUP_HOSTED_ORIGINS = ["https://checkout.sumup.com"]
if SUMUP_API_URL != "https://api.sumup.com":
    if not DEBUG:
        raise ImproperlyConfigured("SUMUP_API_URL is not https://api.sumup.com: a simulator is for DEBUG only.")
    SUMUP_HOSTED_ORIGINS = [SUMUP_API_URL]
SUMUP_MERCHANT_CODE = env.text("SUMUP_MERCHANT_CODE", "")
SUMUP_API_KEY = env.text("SUMUP_API_KEY", "")
if bool(SUMUP_MERCHANT_CODE) != bool(SUMUP_API_KEY):
    raise ImproperlyConfigured("SUMUP_MERCHANT_CODE and SUMUP_API_KEY belong together; only one is set.")
HOLD_MINUTES = env.number("HOLD_MINUTES", 30, least=8, most=24 * 60)

# /readyz is red beyond these: hours since the books were compared with SumUp's, days that money waits for a person,
# days that money is owed to buyers and not sent, minutes that a mail waits.
READY_RECONCILE_HOURS = env.number("READY_RECONCILE_HOURS", 6, least=1, most=24 * 30)
READY_UNDECIDED_DAYS = env.number("READY_UNDECIDED_DAYS", 7, least=1, most=365)
READY_OWED_DAYS = env.number("READY_OWED_DAYS", 3, least=1, most=365)
READY_MAIL_MINUTES = env.number("READY_MAIL_MINUTES", 60, least=1, most=24 * 60)
# Who shows it is told what is red; strangers are told only that something is.
STATUS_TOKEN = env.text("STATUS_TOKEN", "").strip()
if STATUS_TOKEN and len(STATUS_TOKEN) < 16:
    raise ImproperlyConfigured("STATUS_TOKEN is shorter than 16 characters.")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "django_htmx",
    "template_partials",
    "csp",
    "pgtrigger",
    "procrastinate.contrib.django",
    "config",
    *(["dev"] if DEBUG else []),  # production imports nothing of it
    "ledger",
    "accounts",
    "events",
    "market",
    "cart",
    "orders",
    "payments",
]

MIDDLEWARE = [
    "ledger.tracing.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.headers.HeadersMiddleware",
    "config.readable.ReadableMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.limits.BodyLimitMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "config.readable.ReadableFormMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "accounts.watching.StaffSessionMiddleware",
    "cart.middleware.AdoptionMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "dev.urls" if DEBUG else "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context.site",
                "cart.context_processors.cart",
                *(["dev.demo.accounts.demo_accounts"] if DEBUG else []),
            ],
        },
    }
]

DATABASES = {"default": env.database("DATABASE_URL")}
DATABASES["default"]["ENGINE"] = "ledger.postgresql"  # Django's own, but for what its pool hands out
DATABASE_POOL = env.number("DATABASE_POOL", 8, least=0, most=64)
# A web process (config/wsgi.py) gives up what takes longer; the worker and commands have no such limit.
STATEMENT_SECONDS = env.number("STATEMENT_SECONDS", 10, least=1, most=600)
DATABASES["default"]["OPTIONS"] = {
    **DATABASES["default"].get("OPTIONS", {}),
    # A lock that is not had in 10 s, or a transaction left open for 30 s, ends: an honest page beats a hung one.
    "options": "-c lock_timeout=10s -c idle_in_transaction_session_timeout=30s",
    # The same few statements again and again: prepared, PostgreSQL parses and plans each once a connection.
    "server_side_binding": True,
    "prepare_threshold": 3,
}
if DATABASE_POOL:
    # Longer tries to connect again would, after an outage, still pause while visitors wait for their five seconds.
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": DATABASE_POOL,
        "timeout": 5,
        "reconnect_timeout": 5,
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "ledger.cache.ExactCache",
        "LOCATION": "foyer_cache",
        # Django's 300 would let a flood of addresses push out the counters of the rate limits.
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

AUTH_USER_MODEL = "accounts.User"
SILENCED_SYSTEM_CHECKS = ["auth.W004"]  # the address is unique whatever its case: constraint user_email_unique
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.Adapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # a code proves the address; a password is set after that, or by the admin
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = 15 * 60
ACCOUNT_LOGIN_BY_CODE_MAX_ATTEMPTS = 5
ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = 3
ACCOUNT_LOGIN_BY_CODE_FORMAT = {"numeric": True, "length": 8}
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",  # each POST of the sign-in form
    "request_login_code": "20/m/ip,3/m/key,20/h/key",  # key: the address; also what keeps us from flooding a mailbox
    "login_code_attempt": "20/m/ip,100/h/key",  # 100 guesses of a hundred million
    "login_failed": "10/m/ip,5/5m/key",  # passwords
    "change_password": "5/m/user",
    "new_cart": "30/m/ip",  # signed out, and none there yet: each may hold a session and CART_ROWS rows
}
# How many proxies of ours add to X-Forwarded-For: without it all visitors would share the proxy's limits.
ALLAUTH_TRUSTED_PROXY_COUNT = env.number("PROXY_COUNT", 1 if SITE_URL.startswith("https://") else 0, least=0, most=5)
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_PRESERVE_USERNAME_CASING = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(SITE_URL).scheme

SESSION_COOKIE_AGE = 60 * 60 * 24 * 30
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if SITE_URL.startswith("https://"):
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 60 * 60 * 24 * 30
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# What a request may send (config.limits): the fields of a form, and where staff may send a picture, that as well. It is
# read into memory: nothing that anybody sends ever lies in a temporary file.
BODY_MOST = DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
PICTURE_BODY_MOST = FILE_UPLOAD_MAX_MEMORY_SIZE = 13 * 1024 * 1024
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
DATA_UPLOAD_MAX_NUMBER_FILES = 5

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        # Paying is a form whose answer redirects to SumUp's page; Chromium blocks that without this.
        "form-action": [SELF, *SUMUP_HOSTED_ORIGINS],
    }
}

PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "jobs"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

DATA_DIR = Path(env.text("DATA_DIR", str(BASE_DIR / ".foyer")))
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_URL = "/media/"
MEDIA_ROOT = DATA_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

EMAIL = env.mail("EMAIL_URL", "console:" if DEBUG else "smtp://localhost:25", host=urlsplit(SITE_URL).hostname or "")
globals().update(EMAIL)
MAIL_HOST = str(EMAIL["MAIL_HOST"])  # in words, for types

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "ledger.tracing.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain" if DEBUG else "json"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL},  # Django's own handler would say everything twice
        "fontTools": {"level": "WARNING"},  # a page of what it drops for each ticket's PDF
        "procrastinate": {"level": "WARNING"},  # a line for each job and at each start of each command
    },
}
