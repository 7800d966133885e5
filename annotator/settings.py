"""Settings of DermCoT Studio, all of them, by environment variable.

Without any variable: a working studio on this machine (SQLite, embedded Valkey, secrets made at first run).
With PRODUCTION=1: refuses to start until SECRET_KEY, ALLOWED_HOSTS and DATABASE_URL are set.
docs/operations.md lists all variables.
"""

import os
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.urls import reverse_lazy

from annotator.runtime import environment, secrets, valkey

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("DERMCOT_VAR") or BASE_DIR / "var").resolve()

PRODUCTION = environment.flag("PRODUCTION")
DEBUG = environment.flag("DEBUG")
if PRODUCTION:
    environment.require(
        {
            "SECRET_KEY": "the output of `openssl rand -base64 48`",
            "ALLOWED_HOSTS": "studio.example.org",
            "DATABASE_URL": "postgresql://user:password@host/dermcot",
        }
    )
    DEBUG = False

_local_secrets = secrets.load_or_create(VAR_DIR)
SECRET_KEY = os.environ.get("SECRET_KEY") or _local_secrets["secret_key"]
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "django_htmx",
    "csp",
    "annotator.accounts.apps.AccountsConfig",
    "scoring.apps.ScoringConfig",
    "modelhub.apps.ModelhubConfig",
    "annotator.apps.AnnotatorConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "annotator.runtime.compression.CompressPages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "annotator.accounts.middleware.LoginRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
]

ROOT_URLCONF = "annotator.urls"
WSGI_APPLICATION = "annotator.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "annotator.home.navigation.navigation",
            ],
        },
    },
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_sqlite_url = f"sqlite:///{VAR_DIR / 'db.sqlite3'}"
DATABASES = {"default": dj_database_url.parse(os.environ.get("DATABASE_URL") or _sqlite_url)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE takes the write lock at BEGIN: the default upgrades a read lock half-way and fails under concurrency.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    # A file, not memory: workers are processes of their own and must see the same test database.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # What scoring.prepared asks a second time on a connection is planned no more; Django itself prepares nothing.
    DATABASES["default"].setdefault("OPTIONS", {})["prepare_threshold"] = 1
DATABASES["default"]["CONN_MAX_AGE"] = 60  # SQLite too: its last reader to leave folds the journal into the file

_IN_PROCESS = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
CACHES = {
    "default": _IN_PROCESS,
    # What {% cache %} keeps: parts of pages that are the same for everybody, never anything about a case.
    "template_fragments": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    if DEBUG
    else _IN_PROCESS | {"LOCATION": "fragments", "OPTIONS": {"MAX_ENTRIES": 1_000}},
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["annotator.accounts.backend.PersonBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = reverse_lazy("accounts:login")
LOGIN_REDIRECT_URL = reverse_lazy("home")
LOGOUT_REDIRECT_URL = LOGIN_URL
LOGIN_FAILURES_ALLOWED = 8  # per user name and address
LOGIN_FAILURE_WINDOW_MINUTES = 15

SESSION_ENGINE = "annotator.accounts.sessions"
SESSION_COOKIE_AGE = 60 * 60 * 12  # one working day
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_HTTPONLY = True  # the token reaches htmx through hx-headers on <body>
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if environment.flag("BEHIND_TLS_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# Mail goes out for urgent notices only. Without a server nothing pretends to be sent: pages say so.
EMAIL_HOST = os.environ.get("EMAIL_HOST", "")
EMAIL_PORT = environment.whole_number("EMAIL_PORT", 587)
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = environment.flag("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("EMAIL_FROM") or "dermcot-studio@localhost"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "annotator.languages.formats"
LANGUAGE_COOKIE_AGE = 60 * 60 * 24 * 365
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = PRODUCTION
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = Path(os.environ.get("MEDIA_ROOT") or VAR_DIR / "media")
IMPORT_ROOT = Path(os.environ.get("IMPORT_ROOT") or VAR_DIR / "imports")  # folders that the import page offers
MODEL_ROOT = Path(os.environ.get("MODEL_ROOT") or VAR_DIR / "models")  # checkpoint folders that the models page offers
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
STORAGES = {
    "default": {"BACKEND": "annotator.runtime.private_storage.PrivateStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "annotator.runtime.styles.JoinedStyles"
    },
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}

# Celery is a doorbell: rows hold the truth, so no results, and a lost or repeated message does no harm.
REDIS_URL = os.environ.get("REDIS_URL") or valkey.broker_url(VAR_DIR, _local_secrets["valkey_password"])
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": environment.whole_number("VISIBILITY_TIMEOUT_S", 3600)}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = True
# What beat rings has a worker of its own: pages stay fresh and dead runs are found while a judge answers for hours.
CELERY_TASK_ROUTES = {
    "modelhub.tasks.run_on_gpu": {"queue": "gpu"},
    "modelhub.tasks.run_on_default": {"queue": "default"},
    "modelhub.tasks.*": {"queue": "clock"},
}
HIDDEN_STATES_GB = environment.whole_number("HIDDEN_STATES_GB", 20)  # kept in VAR_DIR/hidden between trainings
RUN_LEASE_S = environment.whole_number("RUN_LEASE_S", 60)  # a lost worker's run goes on after this long
REAPER_INTERVAL_S = environment.whole_number("REAPER_INTERVAL_S", 15)
STATISTICS_INTERVAL_S = environment.whole_number("STATISTICS_INTERVAL_S", 5)
AGREEMENT_INTERVAL_S = environment.whole_number("AGREEMENT_INTERVAL_S", 2)
# A message of beat that nobody took before the next one is worthless: it expires.
CELERY_BEAT_SCHEDULE = {
    "reap-runs": {
        "task": "modelhub.tasks.reap_runs",
        "schedule": float(REAPER_INTERVAL_S),
        "options": {"expires": float(REAPER_INTERVAL_S)},
    },
    "refresh-priorities": {
        "task": "modelhub.tasks.refresh_priorities",
        "schedule": float(REAPER_INTERVAL_S),
        "options": {"expires": float(REAPER_INTERVAL_S)},
    },
    "refresh-statistics": {
        "task": "modelhub.tasks.refresh_statistics",
        "schedule": float(STATISTICS_INTERVAL_S),
        "options": {"expires": float(STATISTICS_INTERVAL_S)},
    },
    "refresh-agreements": {
        "task": "modelhub.tasks.refresh_agreements",
        "schedule": float(AGREEMENT_INTERVAL_S),
        "options": {"expires": float(AGREEMENT_INTERVAL_S)},
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "INFO")},
}
