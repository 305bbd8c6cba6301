"""Options of the reference service (3.9.2) that have another name here, or no meaning."""

from __future__ import annotations

from typing import Any

#: Old name -> the option that takes its value.
RENAMED = {
    "SQLALCHEMY_DATABASE_URI": "DATABASE_URL",
    "CELERY_BROKER_URL": "BROKER_URL",
    "KOJI_ARCHES": "ARCHES",
}

#: (option, old value) -> the value that is meant.
VALUES = {
    ("MESSAGING", "fedmsg"): "fedora-messaging",
    ("MESSAGING", "in_memory"): "memory",
    ("MESSAGING", "drop"): "log",
}

_CELERY = "celeryconfig.py, where each setting has its reason"
_MOCK = 'SYSTEM = "local": there is no mock build system'
_PRODUCT_PAGES = "BR_STREAM_OVERRIDE_REGEXES: no release calendar is asked"
_RAWHIDE = "DEFAULT_BRANCH: default modules are not added"
_LOG = "LOG_FORMAT and LOG_LEVEL: the log goes to standard error"
_BUILD_LOG = "the service's database, which keeps the log messages of a module build"
_EOL = "nothing: PDC, which knew the end of life of streams, is gone"
_BUILDROOT = "the profiles buildroot and srpm-buildroot of the base module"
_SERVER = "the command line of the web server"

#: Name -> what does its work now.
RETIRED = {
    "ARCH_AUTODETECT": _MOCK,
    "ARCH_FALLBACK": _MOCK,
    "BASE_MODULE_REPOFILES": _MOCK,
    "BUILD_LOGS_DIR": _BUILD_LOG,
    "BUILD_LOGS_NAME_FORMAT": _BUILD_LOG,
    "CELERY_IMPORTS": _CELERY,
    "CELERY_TASK_ALWAYS_EAGER": _CELERY,
    "CELERY_TASK_ROUTES": _CELERY,
    "CELERY_WORKER_PREFETCH_MULTIPLIER": _CELERY,
    "CHECK_FOR_EOL": _EOL,
    "DB": "DATABASE_URL",
    "DEFAULT_BUILDROOT_PACKAGES": _BUILDROOT,
    "DEFAULT_MODULES_SCM_URL": "nothing: default modules are not added",
    "DEFAULT_SRPM_BUILDROOT_PACKAGES": _BUILDROOT,
    "DISTGITS": "LOOKASIDE_URLS",
    "DNF_MINRATE": "NET_TIMEOUT",
    "DNF_TIMEOUT": "NET_TIMEOUT",
    "HOST": _SERVER,
    "JSONIFY_PRETTYPRINT_REGULAR": "nothing: programs get compact JSON, browsers a page",
    "KOJI_EXTERNAL_REPO_URL_PREFIX": "nothing: external repositories of base modules are not read",
    "KOJI_PROXYUSER": "KRB_PRINCIPAL",
    "LOG_BACKEND": _LOG,
    "LOG_FILE": _LOG,
    "MOCK_BUILD_SRPM_CMD": _MOCK,
    "MOCK_CONFIG": _MOCK,
    "MOCK_CONFIG_FILE": _MOCK,
    "MOCK_PURGE_USELESS_LOGS": _MOCK,
    "MOCK_RESULTSDIR": _MOCK,
    "NUM_THREADS_FOR_BUILD_SUBMISSIONS": "nothing: components are submitted in one call",
    "NUM_WORKERS": "the command line of the Celery workers (--concurrency)",
    "PDC_DEVELOP": _EOL,
    "PDC_INSECURE": _EOL,
    "PDC_URL": _EOL,
    "PORT": _SERVER,
    "PRODUCT_PAGES_MODULE_STREAMS": _PRODUCT_PAGES,
    "PRODUCT_PAGES_SCHEDULE_TASK_NAME": _PRODUCT_PAGES,
    "PRODUCT_PAGES_SCHEDULE_TASK_NAMES": _PRODUCT_PAGES,
    "PRODUCT_PAGES_URL": _PRODUCT_PAGES,
    "RAWHIDE_BRANCH": _RAWHIDE,
    "SERVER_NAME": "BASE_URL",
    "STRICT_MODULE_STATE_TRANSITIONS": "nothing: transitions are always checked",
    "USES_RAWHIDE": _RAWHIDE,
    "YUM_CONFIG_FILE": _MOCK,
}

#: The reference hands every option that begins so to a library that configures itself by it.
_FAMILIES = {
    "CELERY_": _CELERY,
    "SQLALCHEMY_": "DATABASE_URL, whose query may carry options of the driver",
}


def replacement(name: str) -> str | None:
    """What does the work of a retired option; None when the reference does not know the name either."""
    if name in RETIRED:
        return RETIRED[name]
    return next((instead for prefix, instead in _FAMILIES.items() if name.startswith(prefix)), None)


def modern_value(name: str, value: Any) -> Any:
    """The value that is meant by one which only the reference knows; others are returned as they are."""
    return VALUES.get((name, value), value) if isinstance(value, str) else value
