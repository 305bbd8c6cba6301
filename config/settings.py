"""Django's settings, derived from the service's configuration (``config.loader``).

Operators edit a ``config.py``, not this file.
"""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from urllib.parse import urlsplit

from builds.observability.logs import configuration
from config.databases import database
from config.loader import load
from mbs import __version__

_loaded = load()
#: The typed configuration.
MBS = _loaded.options
MBS_LOADED = _loaded

for _warning in _loaded.warnings:
    logging.getLogger("mbs.config").warning(_warning)

SECRET_KEY = MBS.SECRET_KEY
DEBUG = False
ALLOWED_HOSTS = MBS.ALLOWED_HOSTS
TESTING = "pytest" in sys.modules

# ``SimpleAdminConfig`` does not import the admin. ``config.urls`` does, since only web processes need it.
INSTALLED_APPS = [
    "builds",  # before the admin, whose templates it extends
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
]
MIDDLEWARE = [
    "builds.observability.requests.RequestMiddleware",
    "builds.policy.PolicyMiddleware",
    "builds.web.people.PrivacyMiddleware",
    "builds.web.probes.ProbeMiddleware",
    "builds.web.errors.RefusalMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
# A redirect would lose the body of a POST, so URLs are routed with and without a trailing slash.
APPEND_SLASH = False
CSRF_FAILURE_VIEW = "builds.web.errors.csrf_failure"
# A proxy terminates TLS, so BASE_URL tells whether clients use it (see ``config.wsgi``).
_TLS = MBS.BASE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _TLS
# Below a path, other services of the same host do not get the cookies.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = urlsplit(MBS.BASE_URL).path.rstrip("/") or "/"
# Cookies of messages, which may contain secrets, would have the path / (Django's default storage).
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _TLS else 0
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(MBS.BASE_URL))]
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains, which other services may use
    "security.W008",  # the proxy redirects to https
    "security.W021",  # HSTS preloading, which concerns the whole domain
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "builds.web.context.page",
            ]
        },
    }
]
STATIC_URL = "/static/"
STORAGES = {"staticfiles": {"BACKEND": "builds.web.static_files.Storage"}}
WHITENOISE_USE_FINDERS = True

DATABASES = {"default": database(MBS.DATABASE_URL, MBS.DATABASE_TIMEOUT)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
# Times in the admin.
DATE_FORMAT, DATETIME_FORMAT, TIME_FORMAT = "Y-m-d", "Y-m-d H:i:s", "H:i:s"

# Results of credential checks, in the memory of each process. Refused credentials are cached separately, so
# that many invalid tokens cannot evict valid ones.
CACHES = {
    name: {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": name,
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
    for name in ("default", "refusals")
}

# django-axes counts failed logins to the admin in the database.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = MBS.LOGIN_FAILURES
AXES_COOLOFF_TIME = timedelta(seconds=MBS.LOGIN_PAUSE)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_PARAMETERS = "builds.admin.logins.lockout_parameters"
AXES_LOCKOUT_CALLABLE = "builds.admin.logins.lockout_response"
AXES_VERBOSE = False
AXES_USERNAME_CALLABLE = "builds.admin.logins.client_username"
# The web server sets REMOTE_ADDR to the client's address if a trusted proxy sends it (TRUSTED_FRONTS).
AXES_CLIENT_IP_CALLABLE = "builds.admin.logins.client_address"

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": [
        "builds.api.renderers.JSONRenderer",
        "builds.api.browsable.PageRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["builds.api.parsers.JSONParser", "builds.api.parsers.MultiPartParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "builds.api.parsers.ClientNegotiation",
    "DEFAULT_AUTHENTICATION_CLASSES": ["builds.api.authentication.CredentialAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.URLPathVersioning",
    "ALLOWED_VERSIONS": ["1", "2"],
    "EXCEPTION_HANDLER": "builds.api.errors.handle",
    "DEFAULT_SCHEMA_CLASS": "builds.api.openapi.generator.ViewSchema",
    "DEFAULT_METADATA_CLASS": "builds.api.metadata.Metadata",
    # "format" is a filter of component builds.
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Module Build Service",
    "DESCRIPTION": "Coordinates builds of modules of RPM packages.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": "/"}],
    "TAGS": [
        {"name": name}
        for name in ("module builds", "component builds", "API tokens", "subscriptions", "service")
    ],
    "PREPROCESSING_HOOKS": ["builds.api.openapi.generator.endpoints"],
    "POSTPROCESSING_HOOKS": ["builds.api.openapi.generator.complete"],
}

DATA_UPLOAD_MAX_MEMORY_SIZE = MBS.BODY_LIMIT

LOGGING = configuration(MBS.LOG_LEVEL, MBS.LOG_FORMAT)

# Mail to subscribers (``builds.messaging.subscriptions``); no administrators are told of errors by mail.
EMAIL_HOST, _, _mail_port = MBS.MAIL_SERVER.partition(":")
EMAIL_PORT = int(_mail_port or 25)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = MBS.MAIL_FROM
