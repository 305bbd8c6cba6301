"""The loader: defaults, environment variables, and checks of values."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

import celeryconfig
from config.loader import load
from mbs.errors import ConfigurationError
from tests.config.conftest import KEY

#: Seconds after which Redis delivers the task of a local build again.
DELIVERED_AGAIN = celeryconfig.broker_transport_options["visibility_timeout"]


def test_without_anything_a_developer_can_start(load_with, tmp_path):
    loaded = load_with()
    options = loaded.options
    assert (loaded.section, loaded.path, loaded.warnings) == ("dev", None, ())
    assert (options.SYSTEM, options.MESSAGING, options.NO_AUTH) == ("local", "log", True)
    assert options.DATABASE_URL == f"sqlite:///{tmp_path}/mbs.sqlite3"
    assert options.CACHE_DIR == tmp_path / "cache"


def test_a_test_run_is_simulated_and_never_waits(load_with):
    options = load_with(argv=("/usr/bin/pytest",)).options
    assert (options.SYSTEM, options.MESSAGING) == ("simulated", "memory")
    waits = [value for name, value in options if name.endswith(("_INTERVAL", "_AFTER", "_LEASE", "_SECONDS"))]
    assert len(waits) == 10
    assert max(waits) <= 1


def test_production_does_not_start_without_what_has_no_safe_default():
    with pytest.raises(ConfigurationError) as caught:
        load({"MBS_CONFIG_SECTION": "prod"}, ["celery"], default_file="/nowhere")
    missing = {problem.key for problem in caught.value.problems if problem.code == "missing_option"}
    assert missing == {"SECRET_KEY", "DATABASE_URL", "BASE_URL"}
    for name in missing:
        assert f"{name} is not set" in str(caught.value)


def test_production_is_koji_the_bus_and_login(load_with):
    options = load_with("").options
    assert (options.SYSTEM, options.MESSAGING, options.NO_AUTH) == ("koji", "fedora-messaging", False)


def test_the_options_cannot_be_changed(load_with):
    options = load_with().options
    with pytest.raises(ValidationError):
        options.NO_AUTH = False
    with pytest.raises(AttributeError):
        options.NO_SUCH_OPTION  # noqa: B018  (reading it raises)


class TestEnvironment:
    def test_wins_over_the_file(self, load_with):
        loaded = load_with("NUM_CONCURRENT_BUILDS = 7", MBS_NUM_CONCURRENT_BUILDS="9")
        assert loaded.options.NUM_CONCURRENT_BUILDS == 9
        assert loaded.sources["NUM_CONCURRENT_BUILDS"] == "environment MBS_NUM_CONCURRENT_BUILDS"

    def test_scalars_are_plain_and_collections_are_json(self, load_with):
        options = load_with(
            MBS_RPMS_ALLOW_CACHE="no",
            MBS_SWEEP_INTERVAL="0.5",
            MBS_DEFAULT_BRANCH='"main"',
            MBS_SCMURLS='["https://a/", "file:///b"]',
            MBS_ALLOWED_GROUPS='["packager", "packager"]',
            MBS_LOOKASIDE_URLS='{"https://src": "https://cache"}',
        ).options
        assert options.RPMS_ALLOW_CACHE is False
        assert options.SWEEP_INTERVAL == 0.5
        assert options.DEFAULT_BRANCH == '"main"'
        assert options.SCMURLS == ("https://a/", "file:///b")
        assert options.ALLOWED_GROUPS == {"packager"}
        assert options.LOOKASIDE_URLS == {"https://src": "https://cache"}

    def test_gives_what_production_requires(self, load_with):
        loaded = load_with(
            argv=("mod_wsgi",),
            MBS_SECRET_KEY=KEY,
            MBS_DATABASE_URL="postgresql:///mbs",
            MBS_BASE_URL="https://x.example.com",
        )
        assert loaded.section == "prod"

    def test_typing_errors_stop_the_start(self, load_with):
        with pytest.raises(
            ConfigurationError, match=r"MBS_NUM_CONCURENT_BUILDS .* MBS_NUM_CONCURRENT_BUILDS"
        ):
            load_with(MBS_NUM_CONCURENT_BUILDS="3")
        with pytest.raises(ConfigurationError, match="did you mean MBS_POLLING_INTERVAL"):
            load_with(MBS_POLL_INTERVAL="3")

    def test_variables_of_others_are_left_alone(self, load_with):
        """Kubernetes gives every pod such variables for a service named mbs."""
        others = {
            "MBS_PORT": "tcp://10.0.0.1:80",
            "MBS_PORT_80_TCP_ADDR": "10.0.0.1",
            "MBS_SERVICE_HOST": "10.0.0.1",
            "MBS_DATABASE_SERVICE_HOST": "10.0.0.2",
            "MBS_TOKEN": "x",
            "NUM_CONCURENT_BUILDS": "3",
        }
        assert load_with(**others).warnings == ()


class TestFaults:
    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("NUM_CONCURRENT_BUILDS = 'many'", "NUM_CONCURRENT_BUILDS = 'many'|it must be a valid integer"),
            ("NUM_CONCURRENT_BUILDS = -1", "NUM_CONCURRENT_BUILDS = -1|greater than or equal to 0"),
            ("SYSTEM = 'brew'", "SYSTEM = 'brew'|'koji', 'local' or 'simulated'"),
            ("SCMURLS = 'https://src/'", "SCMURLS = 'https://src/'|it must be a valid tuple"),
            ("SCMURLS = ['a', 5]", "SCMURLS[1] = 5|it must be a valid string"),
            ("POLLING_INTERVAL = 0", "POLLING_INTERVAL = 0|greater than 0"),
            (f"LOCAL_BUILD_TIMEOUT = {DELIVERED_AGAIN}", f"less than {DELIVERED_AGAIN}"),
            ("SWEEP_INTERVAL = float('inf')", "SWEEP_INTERVAL = inf|finite"),
            ("BASE_MODULE_ARCHES = {'platform': ['x']}", "BASE_MODULE_ARCHES['platform']|pattern"),
            ("BR_STREAM_OVERRIDE_REGEXES = ['(']", "BR_STREAM_OVERRIDE_REGEXES[0]|not a regular expression"),
            ("REBUILD_STRATEGIES_ALLOWED = []", "REBUILD_STRATEGIES_ALLOWED = []|at least 1"),
            ("LDAP_URI = 'http://x'", "LDAP_URI = 'http://x'|ldap:// or ldaps://"),
            ("BASE_URL = 'mbs.example.com'", "BASE_URL = 'mbs.example.com'|http:// or https://"),
            ("TRUSTED_FRONTS = ['*']", "TRUSTED_FRONTS[0] = '*'|IP address"),
            ("TRUSTED_FRONTS = ['10.0.0.1/8']", "TRUSTED_FRONTS[0] = '10.0.0.1/8'|host bits"),
            ("BROKER_URL = 'amqp://x'", "BROKER_URL = 'amqp://x'|Redis"),
            ("DATABASE_URL = 'mysql://h/mbs'", "DATABASE_URL = 'mysql://h/mbs'|postgresql://"),
            ("DATABASE_URL = 'postgresql://h'", "DATABASE_URL = 'postgresql://h'|postgresql://"),
            ("DATABASE_URL = 'sqlite://'", "DATABASE_URL = 'sqlite://'|sqlite:////"),
            ("NO_AUTH = 'perhaps'", "NO_AUTH = 'perhaps'|it must be a valid boolean"),
            ("SECRET_KEY = ''", "SECRET_KEY|it must not be empty"),
            ("SECRET_KEY = 'hunter2hunter2'", "SECRET_KEY|at least 50 characters"),
            ("SECRET_KEY = 'ab' * 30", "SECRET_KEY|random text"),
            (
                f"SECRET_KEY = 'a long random text: {KEY}'",
                "SECRET_KEY|without blanks",
            ),
            ("SECRET_KEY = b'short'", "SECRET_KEY|at least 16 bytes"),
        ],
    )
    def test_a_wrong_value_is_named_with_what_is_expected(self, load_with, tmp_path, line, said):
        with pytest.raises(ConfigurationError) as caught:
            load_with(line)
        for part in (*said.split("|"), f"{tmp_path}/config.py ProdConfiguration"):
            assert part in str(caught.value)
        assert [problem.code for problem in caught.value.problems] == ["wrong_value"]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (
                "OIDC_ISSUER = 'https://id.example.com'",
                "OIDC_AUDIENCE = '' (default): it must be set with OIDC_ISSUER",
            ),
            (
                "REMOTE_USER_FROM = 'header'",
                "FRONT_SECRET = '' (default): it must have at least 16 characters",
            ),
        ],
    )
    def test_a_default_that_another_option_makes_wrong_is_named(self, load_with, line, said):
        with pytest.raises(ConfigurationError) as caught:
            load_with(line)
        assert said in str(caught.value)

    def test_a_secret_of_the_front_is_not_shown(self, load_with):
        with pytest.raises(ConfigurationError) as caught:
            load_with("REMOTE_USER_FROM = 'header'\nFRONT_SECRET = 'too short'")
        assert "at least 16" in str(caught.value)
        assert "too short" not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "near"),
        [
            ("NUM_CONCURENT_BUILDS", "NUM_CONCURRENT_BUILDS"),
            ("SCM_URLS", "SCMURLS"),
            ("SQLALCHMY_DATABASE_URI", "DATABASE_URL"),
            ("REBUILD_STRATEGIES", "REBUILD_STRATEGY"),
        ],
    )
    def test_an_unknown_option_is_named_with_the_nearest(self, load_with, name, near):
        with pytest.raises(ConfigurationError, match=f"{name} .* is not an option; did you mean {near}"):
            load_with(f"{name} = 1")

    def test_nothing_far_is_proposed(self, load_with):
        with pytest.raises(ConfigurationError, match=r"XYZZY .* is not an option; `mbs-manager config`"):
            load_with("XYZZY = 1")

    def test_all_of_them_are_reported_together(self, load_with):
        with pytest.raises(ConfigurationError, match="has 4 errors") as caught:
            load_with("XYZZY = 1\nSYSTEM = 'brew'", MBS_SCMURLS="a,b", MBS_POLL_INTERVAL="1")
        assert [problem.key for problem in caught.value.problems] == [
            "XYZZY",
            "POLL_INTERVAL",
            "SCMURLS",
            "SYSTEM",
        ]

    @pytest.mark.parametrize(
        "variables",
        [
            {"MBS_DATABASE_URL": "mysql://mbs:hunter2@h/mbs"},
            {"MBS_DATABASE_URL": "mbs:hunter2@h"},
            {"MBS_DATABASE_URL": "mysql://h/mbs?user=x&password=hunter2"},
            {"MBS_DATABASE_URL": "mysql://mbs:hunter2/@h/mbs"},
            {"MBS_BROKER_URL": "amqp://:hunter2@h"},
        ],
    )
    def test_no_secret_is_in_a_message(self, load_with, variables):
        with pytest.raises(ConfigurationError) as caught:
            load_with(**variables)
        assert "hunter2" not in str(caught.value)
        assert next(iter(variables)).removeprefix("MBS_") in str(caught.value)

    def test_a_key_of_the_wrong_type_is_not_shown(self, load_with):
        with pytest.raises(ConfigurationError, match="SECRET_KEY") as caught:
            load_with("SECRET_KEY = ['hunter2']")
        assert "hunter2" not in str(caught.value)

    def test_a_long_value_is_cut(self, load_with):
        with pytest.raises(ConfigurationError) as caught:
            load_with(f"SYSTEM = 'x' * {10**6}")
        assert len(str(caught.value)) < 1000


class TestValues:
    def test_none_is_as_if_it_were_not_there(self, load_with):
        loaded = load_with("SYSTEM = None\nARCHES = None")
        assert loaded.options.SYSTEM == "koji"
        assert loaded.sources["ARCHES"] == "default"

    def test_lower_case_options_count_and_other_names_are_the_files_own(self, load_with):
        prod = (
            "system = 'local'\nhelper = 1\n_PRIVATE = 2\nimport os\ndef METHOD(self): pass\nclass Inner: pass"
        )
        assert load_with(prod).options.SYSTEM == "local"

    def test_a_database_file_lies_in_the_data_folder_wherever_a_process_starts(self, load_with, tmp_path):
        def url(text):
            return load_with(MBS_DATABASE_URL=text).options.DATABASE_URL

        assert url("sqlite:///my.db") == f"sqlite:///{tmp_path}/my.db"
        assert url("sqlite:////srv/my.db") == "sqlite:////srv/my.db"
        assert url("sqlite:///:memory:") == "sqlite:///:memory:"

    def test_the_home_folder_is_expanded(self, load_with, monkeypatch):
        monkeypatch.setenv("HOME", "/home/me")
        assert str(load_with("KOJI_CONFIG = '~/koji.conf'").options.KOJI_CONFIG) == "/home/me/koji.conf"
        assert str(load_with(MBS_CACHE_DIR="~/cache").options.CACHE_DIR) == "/home/me/cache"

    def test_an_empty_path_is_not_the_folder_a_process_starts_in(self, load_with, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("MBS_DATA_DIR", "MBS_CACHE_DIR", "MBS_KOJI_CONFIG"):
            with pytest.raises(ConfigurationError, match=f"{name}.: it must be a path"):
                load_with(**{"MBS_SECRET_KEY": KEY, name: " "})
        with pytest.raises(ConfigurationError, match="it must be a path"):
            load_with(MBS_DATA_DIR="")
        assert "secret-key" not in [path.name for path in tmp_path.iterdir()]

    def test_hosts_are_those_of_the_address_unless_given(self, load_with):
        assert load_with("BASE_URL = 'https://[::1]:80/x/'").options.ALLOWED_HOSTS == ("[::1]",)
        assert load_with("ALLOWED_HOSTS = ['a', 'b']").options.ALLOWED_HOSTS == ("a", "b")

    def test_prefixes_end_in_one_slash_and_the_address_in_none(self, load_with):
        options = load_with("RPMS_DEFAULT_REPOSITORY = 'https://a/rpms//'\nBASE_URL = 'https://a/'").options
        assert (options.RPMS_DEFAULT_REPOSITORY, options.BASE_URL) == ("https://a/rpms/", "https://a")

    def test_a_set_has_the_same_order_in_every_process(self, load_with):
        names = [f"m{number:02}" for number in range(30)]
        assert load_with(f"BASE_MODULE_NAMES = {set(names)}").options.BASE_MODULE_NAMES == tuple(names)
