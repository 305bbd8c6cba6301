"""Options of MBS 3.9.2 that were renamed or removed."""

from __future__ import annotations

from typing import Any

#: Old name -> new name.
RENAMED = {
    "SQLALCHEMY_DATABASE_URI": "DATABASE_URL",
    "CELERY_BROKER_URL": "BROKER_URL",
    "KOJI_ARCHES": "ARCHES",
}

#: (option, old value) -> new value.
VALUES = {
    ("MESSAGING", "fedmsg"): "fedora-messaging",
    ("MESSAGING", "in_memory"): "memory",
    ("MESSAGING", "drop"): "log",
}

_CELERY = "celeryconfig.py"
_MOCK = 'SYSTEM = "local" (there is no mock build system)'
_PRODUCT_PAGES = "BR_STREAM_OVERRIDE_REGEXES (the service does not query Product Pages)"
_RAWHIDE = "DEFAULT_BRANCH (default modules are not added)"
_LOG = "LOG_FORMAT and LOG_LEVEL (the log is written to standard error)"
_BUILD_LOG = "none (the log messages of a module build are in the database)"
_EOL = "none (PDC, which had the end-of-life dates of streams, no longer exists)"
_BUILDROOT = "the profiles buildroot and srpm-buildroot of the base module"
_SERVER = "the options of the command mbs-manager web"

#: Removed option -> its replacement.
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
    "DEBUG": "LOG_LEVEL (clients never see details of errors)",
    "DEFAULT_BUILDROOT_PACKAGES": _BUILDROOT,
    "DEFAULT_MODULES_SCM_URL": "none (default modules are not added)",
    "DEFAULT_SRPM_BUILDROOT_PACKAGES": _BUILDROOT,
    "DISTGITS": "LOOKASIDE_URLS",
    "DNF_MINRATE": "NET_TIMEOUT",
    "DNF_TIMEOUT": "NET_TIMEOUT",
    "HOST": _SERVER,
    "JSONIFY_PRETTYPRINT_REGULAR": "none (programs get compact JSON, browsers a page)",
    "KOJI_EXTERNAL_REPO_URL_PREFIX": "none (external repositories are read at the URLs that Koji returns)",
    "KOJI_PROXYUSER": "KRB_PRINCIPAL",
    "LOG_BACKEND": _LOG,
    "LOG_FILE": _LOG,
    "MOCK_BUILD_SRPM_CMD": _MOCK,
    "MOCK_CONFIG": _MOCK,
    "MOCK_CONFIG_FILE": _MOCK,
    "MOCK_PURGE_USELESS_LOGS": _MOCK,
    "MOCK_RESULTSDIR": _MOCK,
    "NUM_THREADS_FOR_BUILD_SUBMISSIONS": "none (components are submitted in one call)",
    "NUM_WORKERS": "the option --concurrency of the Celery workers",
    "PDC_DEVELOP": _EOL,
    "PDC_INSECURE": _EOL,
    "PDC_URL": _EOL,
    "PORT": _SERVER,
    "PRODUCT_PAGES_MODULE_STREAMS": _PRODUCT_PAGES,
    "PRODUCT_PAGES_SCHEDULE_TASK_NAME": _PRODUCT_PAGES,
    "PRODUCT_PAGES_SCHEDULE_TASK_NAMES": _PRODUCT_PAGES,
    "PRODUCT_PAGES_URL": _PRODUCT_PAGES,
    "RAWHIDE_BRANCH": _RAWHIDE,
    "RPMS_DEFAULT_CACHE": "LOOKASIDE_URLS",
    "SCM_NET_RETRY_INTERVAL": "none (a git command is repeated after a second)",
    "SERVER_NAME": "BASE_URL",
    "STRICT_MODULE_STATE_TRANSITIONS": "none (transitions are always checked)",
    "USES_RAWHIDE": _RAWHIDE,
    "YUM_CONFIG_FILE": _MOCK,
}

#: Prefixes of options that MBS 3.9.2 passes on to a library.
_FAMILIES = {
    "CELERY_": _CELERY,
    "SQLALCHEMY_": "DATABASE_URL, whose query can contain options of the driver",
}


def replacement(name: str) -> str | None:
    """Return the replacement of a removed option, or None if MBS 3.9.2 does not know the name either."""
    if name in RETIRED:
        return RETIRED[name]
    return next((instead for prefix, instead in _FAMILIES.items() if name.startswith(prefix)), None)


def modern_value(name: str, value: Any) -> Any:
    """Return the new value for one that only MBS 3.9.2 knows, and any other value unchanged."""
    return VALUES.get((name, value), value) if isinstance(value, str) else value
