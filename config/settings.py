"""Django's settings, made from the service's own configuration (``config.loader``).

Operators write a ``config.py`` of MBS; nothing here is meant to be edited.
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
#: the typed configuration, for everything in the service
MBS = _loaded.options
MBS_LOADED = _loaded

for _warning in _loaded.warnings:
    logging.getLogger("mbs.config").warning(_warning)

SECRET_KEY = MBS.SECRET_KEY
DEBUG = False
ALLOWED_HOSTS = MBS.ALLOWED_HOSTS
TESTING = "pytest" in sys.modules

# The admin is imported where the web site is (``config.urls``): nobody else needs it.
INSTALLED_APPS = [
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
    "builds",
]
MIDDLEWARE = [
    "builds.observability.requests.RequestMiddleware",
    "builds.policy.PolicyMiddleware",
    "builds.web.probes.ProbeMiddleware",
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
# A redirect to the url with a slash would lose the body of a POST: both spellings are routed instead.
APPEND_SLASH = False
CSRF_FAILURE_VIEW = "builds.web.errors.foreign_form"
# The address of the service says whether its users come over TLS: the front ends TLS, and this process sees
# plain requests only (``config.wsgi`` gives them the scheme of the address).
_TLS = MBS.BASE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _TLS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _TLS else 0
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(MBS.BASE_URL))]
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains, which may be of others
    "security.W008",  # a redirect to https, which is the front's to make
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
            ]
        },
    }
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

DATABASES = {"default": database(MBS.DATABASE_URL, MBS.DATABASE_TIMEOUT)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

# What was learned about credentials, in the memory of each process. Refusals apart: who sends many tokens
# must not push out those that are good.
CACHES = {
    name: {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": name,
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
    for name in ("default", "refusals")
}

# Failed logins to the admin are counted in the database, by django-axes.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = MBS.LOGIN_FAILURES
AXES_COOLOFF_TIME = timedelta(seconds=MBS.LOGIN_PAUSE)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_PARAMETERS = "builds.admin.logins.counted_by"
AXES_LOCKOUT_CALLABLE = "builds.admin.logins.locked_out"
AXES_VERBOSE = False
# The web server knows the address of the client behind a trusted front (TRUSTED_FRONTS).
AXES_CLIENT_IP_CALLABLE = "builds.admin.logins.address"

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": [
        "builds.api.renderers.JSONRenderer",
        "builds.api.browsable.PageRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["builds.api.parsers.JSONParser", "builds.api.parsers.MultiPartParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "builds.api.parsers.Negotiation",
    "DEFAULT_AUTHENTICATION_CLASSES": ["builds.api.authentication.Login"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.URLPathVersioning",
    "ALLOWED_VERSIONS": ["1", "2"],
    "EXCEPTION_HANDLER": "builds.api.errors.handle",
    "DEFAULT_SCHEMA_CLASS": "builds.api.schema.Schema",
    "DEFAULT_METADATA_CLASS": "builds.api.metadata.Metadata",
    # "format" is a column of component builds, and filters them.
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Module Build Service",
    "DESCRIPTION": "Coordinates builds of modules of RPM packages.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.0",
    "PREPROCESSING_HOOKS": ["builds.api.schema.endpoints"],
    "POSTPROCESSING_HOOKS": ["builds.api.schema.complete"],
}

DATA_UPLOAD_MAX_MEMORY_SIZE = MBS.BODY_LIMIT

LOGGING = configuration(MBS.LOG_LEVEL, MBS.LOG_FORMAT)
