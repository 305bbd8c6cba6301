"""Every option of MBS 3.9.2 is known, has a new name, or is accepted with a warning."""

from __future__ import annotations

import pytest

from config import legacy
from config.schema import Options
from tests.config.conftest import KEY

#: What its schema, its sections and its web application read.
KEPT = """
    SYSTEM DEFAULT_DIST_TAG_PREFIX POLLING_INTERVAL CACHE_DIR MBS_URL KOJI_CONFIG KOJI_PROFILE ARCHES
    ALLOW_ARCH_OVERRIDE KOJI_BUILD_PRIORITY KOJI_REPOSITORY_URL KOJI_BUILD_MACROS_TARGET KOJI_TAG_PREFIXES
    KOJI_TAG_PERMISSION KOJI_TAG_EXTRA_OPTS KOJI_TARGET_DELETE_TIME KOJI_ENABLE_CONTENT_GENERATOR
    ALLOW_NAME_OVERRIDE_FROM_SCM ALLOW_STREAM_OVERRIDE_FROM_SCM ALLOW_CUSTOM_SCMURLS RPMS_DEFAULT_REPOSITORY
    RPMS_ALLOW_REPOSITORY RPMS_ALLOW_CACHE MODULES_DEFAULT_REPOSITORY
    MODULES_ALLOW_REPOSITORY ALLOWED_GROUPS ALLOWED_GROUPS_TO_IMPORT_MODULE LOG_LEVEL KRB_KEYTAB
    KRB_PRINCIPAL KRB_CCACHE MESSAGING MESSAGING_TOPIC_PREFIX SCMURLS YAML_SUBMIT_ALLOWED
    NUM_CONCURRENT_BUILDS NET_TIMEOUT NET_RETRY_INTERVAL SCM_NET_TIMEOUT NO_AUTH
    ADMIN_GROUPS AUTH_METHOD LDAP_URI LDAP_GROUPS_DN BASE_MODULE_NAMES BASE_MODULE_ARCHES
    ALLOW_ONLY_COMPATIBLE_BASE_MODULES BASE_MODULE_STREAM_EXCLUSIONS KOJI_CG_TAG_BUILD KOJI_CG_DEVEL_MODULE
    KOJI_CG_BUILD_TAG_TEMPLATE KOJI_CG_DEFAULT_BUILD_TAG REBUILD_STRATEGY REBUILD_STRATEGY_ALLOW_OVERRIDE
    REBUILD_STRATEGIES_ALLOWED CLEANUP_FAILED_BUILDS_TIME CLEANUP_STUCK_BUILDS_TIME
    CLEANUP_STUCK_BUILDS_STATES RESOLVER ALLOWED_USERS BR_STREAM_OVERRIDE_MODULE BR_STREAM_OVERRIDE_REGEXES
    ALLOWED_PRIVILEGED_MODULE_NAMES STREAM_SUFFIXES MODULES_ALLOW_SCRATCH SCRATCH_BUILD_ONLY_BRANCHES
    DEFAULT_BRANCH ALLOW_DASHES_IN_SVC SECRET_KEY OIDC_CLIENT_SECRETS OIDC_REQUIRED_SCOPE
""".split()  # noqa: SIM905  (columns can be read)
RENAMED = {
    "SQLALCHEMY_DATABASE_URI": ("DATABASE_URL", "'postgresql://h/other'"),
    "CELERY_BROKER_URL": ("BROKER_URL", "'redis://other/'"),
    "KOJI_ARCHES": ("ARCHES", "['s390x']"),
}
WITHOUT_EFFECT = """
    DEBUG RPMS_DEFAULT_CACHE SCM_NET_RETRY_INTERVAL
    DB CHECK_FOR_EOL PDC_URL LOG_BACKEND LOG_FILE BUILD_LOGS_DIR BUILD_LOGS_NAME_FORMAT DISTGITS MOCK_CONFIG
    MOCK_CONFIG_FILE MOCK_BUILD_SRPM_CMD MOCK_RESULTSDIR MOCK_PURGE_USELESS_LOGS ARCH_AUTODETECT ARCH_FALLBACK
    YUM_CONFIG_FILE KOJI_EXTERNAL_REPO_URL_PREFIX DEFAULT_BUILDROOT_PACKAGES DEFAULT_SRPM_BUILDROOT_PACKAGES
    PRODUCT_PAGES_URL PRODUCT_PAGES_MODULE_STREAMS PRODUCT_PAGES_SCHEDULE_TASK_NAME
    PRODUCT_PAGES_SCHEDULE_TASK_NAMES NUM_THREADS_FOR_BUILD_SUBMISSIONS DEFAULT_MODULES_SCM_URL USES_RAWHIDE
    RAWHIDE_BRANCH DNF_MINRATE DNF_TIMEOUT NUM_WORKERS CELERY_TASK_ALWAYS_EAGER CELERY_TASK_ROUTES
    CELERY_WORKER_PREFETCH_MULTIPLIER CELERY_IMPORTS STRICT_MODULE_STATE_TRANSITIONS
    SQLALCHEMY_TRACK_MODIFICATIONS HOST PORT SERVER_NAME JSONIFY_PRETTYPRINT_REGULAR BASE_MODULE_REPOFILES
    CELERY_WORKER_MAX_TASKS_PER_CHILD SQLALCHEMY_ECHO
""".split()  # noqa: SIM905  (columns can be read)


@pytest.mark.parametrize("name", KEPT)
def test_kept_under_its_name(name):
    assert name in Options.model_fields


@pytest.mark.parametrize("name", RENAMED)
def test_renamed_and_mapped_with_a_warning(load_with, tmp_path, name):
    new, value = RENAMED[name]
    path = tmp_path / "config.py"
    required = {"SECRET_KEY": repr(KEY), "BASE_URL": "'https://x'", "DATABASE_URL": "'postgresql://h/mbs'"}
    required.pop(new, None)
    lines = [f"    {key} = {text}\n" for key, text in {**required, name: value}.items()]
    path.write_text("class ProdConfiguration:\n" + "".join(lines))
    loaded = load_with()
    expected = getattr(loaded.options, new)
    assert (list(expected) if isinstance(expected, tuple) else expected) == eval(value)
    assert [line for line in loaded.warnings if name in line and f"is now called {new}" in line] == [
        *loaded.warnings
    ]


def test_the_new_name_wins_over_the_old_one(load_with):
    loaded = load_with("SQLALCHEMY_DATABASE_URI = 'postgresql://h/other'")
    assert loaded.options.DATABASE_URL.endswith("db.example.com/mbs")
    assert "ignored" in loaded.warnings[0]


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_accepted_with_a_warning_that_names_what_to_use(load_with, name):
    (warning,) = load_with(f"{name} = 1").warnings
    assert warning.startswith(f"{name} (")
    assert "Replacement: " in warning


@pytest.mark.parametrize(
    ("old", "new"), [("fedmsg", "fedora-messaging"), ("in_memory", "memory"), ("drop", "log")]
)
def test_values_are_translated(load_with, old, new):
    loaded = load_with(f"MESSAGING = {old!r}")
    assert loaded.options.MESSAGING == new
    assert repr(old) in loaded.warnings[0]
    assert repr(new) in loaded.warnings[0]


def test_nothing_is_both_known_and_old():
    assert not (legacy.RENAMED.keys() | legacy.RETIRED.keys()) & Options.model_fields.keys()
    assert set(legacy.RENAMED.values()) <= Options.model_fields.keys()
