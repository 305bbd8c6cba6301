"""Operators' configuration files."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from config.loader import load
from mbs.errors import ConfigurationError
from tests.config.conftest import KEY

REFERENCE = str(Path(__file__).parent / "data" / "reference_config.py")


def _load(path, **environ):
    return load({"MBS_CONFIG_FILE": str(path), **environ}, ["celery"])


def test_a_configuration_of_the_reference_keeps_working():
    loaded = _load(REFERENCE)
    options = loaded.options
    assert (loaded.section, loaded.path) == ("prod", REFERENCE)
    assert options.DATABASE_URL == "postgresql://mbs:hunter2@db.example.com/mbs"
    assert options.BROKER_URL == "redis://:hunter2@redis.example.com:6379/1"
    assert options.MESSAGING == "fedora-messaging"
    assert options.NUM_CONCURRENT_BUILDS == 20
    assert options.BASE_MODULE_NAMES == ("bootstrap", "platform")
    assert options.BASE_MODULE_ARCHES == {"platform:el8": ("x86_64", "s390x")}
    assert options.RPMS_DEFAULT_REPOSITORY == "https://src.example.com/rpms/"
    assert options.LOG_LEVEL == "debug"
    assert options.KRB_PRINCIPAL == ""
    assert options.ALLOWED_HOSTS == ("mbs.example.com",)
    assert options.OIDC_CLIENT_SECRETS == Path(REFERENCE).with_name("client_secrets.json")
    assert loaded.sources["NUM_CONCURRENT_BUILDS"] == f"{REFERENCE} ProdConfiguration"
    assert loaded.sources["ARCHES"] == f"{REFERENCE} BaseConfiguration"
    assert loaded.sources["REBUILD_STRATEGY"] == "default"
    said = "\n".join(loaded.warnings)
    for old, new in {
        "SQLALCHEMY_DATABASE_URI": "DATABASE_URL",
        "CELERY_BROKER_URL": "BROKER_URL",
        "SQLALCHEMY_TRACK_MODIFICATIONS": "DATABASE_URL",
        "CELERY_TASK_ALWAYS_EAGER": "celeryconfig.py",
        "HOST": "mbs-manager web",
        "'fedmsg'": "'fedora-messaging'",
        "LOG_BACKEND": "LOG_LEVEL",
        "PDC_URL": "none",
    }.items():
        assert any(old in line and new in line for line in loaded.warnings), old
    assert "hunter2" not in said


def test_a_section_of_any_name_inherits_as_python_does():
    loaded = _load(REFERENCE, MBS_CONFIG_SECTION="StagingConfiguration")
    assert loaded.section == "StagingConfiguration"
    assert loaded.options.MESSAGING_TOPIC_PREFIX == ("org.fedoraproject.stg",)
    assert loaded.options.NUM_CONCURRENT_BUILDS == 20
    assert loaded.options.SECRET_KEY == sha256(bytes(range(24))).hexdigest()


def test_a_file_may_build_on_a_built_in_section(tmp_path):
    path = tmp_path / "mine"
    path.write_text(
        "from config.sections import DevConfiguration\n"
        "class DevConfiguration(DevConfiguration):\n    SECRET_KEY = '" + KEY + "'\n    PER_PAGE_MAX = 7\n"
    )
    loaded = _load(path, MBS_CONFIG_SECTION="dev")
    assert (loaded.options.PER_PAGE_MAX, loaded.options.SYSTEM) == (7, "local")
    assert loaded.sources["SYSTEM"] == "built-in StandaloneConfiguration"
    assert loaded.sources["PER_PAGE_MAX"] == f"{path} DevConfiguration"


def test_a_section_of_a_file_never_inherits_the_open_doors_of_a_built_in_one(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(
        "class DevConfiguration:\n    SECRET_KEY = '" + KEY + "'\n    BASE_URL = 'http://dev.example.com'\n"
        "    DATABASE_URL = 'postgresql://db/mbs'\n"
    )
    options = _load(path, MBS_CONFIG_SECTION="dev").options
    assert options.NO_AUTH is False
    assert options.ALLOW_CUSTOM_SCMURLS is False


def test_executing_a_file_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "config.py"
    path.write_bytes(Path(REFERENCE).read_bytes())
    _load(path)
    assert os.listdir(tmp_path) == ["config.py"]


def test_a_file_that_everybody_may_write_is_warned_of(tmp_path):
    path = tmp_path / "config.py"
    path.write_bytes(Path(REFERENCE).read_bytes())
    path.chmod(0o646)
    assert any("Every user may write " in line for line in _load(path).warnings)
    path.chmod(0o640)
    assert not any("Every user may write " in line for line in _load(path).warnings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class ProdConfiguration:\n    DEBUG = nonsense\n", "line 2: NameError: name 'nonsense'"),
        ("x = 1\nclass ProdConfiguration\n", "line 2: SyntaxError: expected ':'"),
        ("import json\n\njson.loads('{')\n", "line 3: JSONDecodeError: "),
        ("open('/nowhere/else')\n", "line 1: FileNotFoundError: "),
        ("import no_such_module\n", "line 1: ModuleNotFoundError: "),
        ("x = 1\0\n", "source code string cannot contain null bytes"),
        ("DEBUG = True\n", "has no section ProdConfiguration"),
        ("class Production: pass\n", "has no section ProdConfiguration"),
    ],
)
def test_a_file_that_does_not_run_is_named_with_the_line(tmp_path, text, message):
    path = tmp_path / "config.py"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        _load(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_the_sections_that_there_are_are_named(tmp_path):
    path = tmp_path / "config.py"
    path.write_text("class Production: pass\nclass Staging: pass\n")
    with pytest.raises(ConfigurationError) as caught:
        _load(path)
    assert "Production, Staging" in caught.value.hint


def test_a_file_that_is_named_must_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match=r"missing\.py cannot be read: No such file"):
        _load(tmp_path / "missing.py")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        _load(tmp_path)


def test_an_unknown_built_in_section_is_refused_with_those_that_exist():
    with pytest.raises(ConfigurationError, match="no built-in section 'production'") as caught:
        load({"MBS_CONFIG_SECTION": "production"}, ["celery"], default_file="/nowhere")
    assert "dev, test, prod, standalone" in caught.value.hint


def test_groups_without_a_source_are_a_warning(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(
        "class ProdConfiguration:\n"
        "    SECRET_KEY = '0123456789abcdef' * 4\n"
        "    BASE_URL = 'https://mbs.example.com'\n"
        "    DATABASE_URL = 'sqlite:///x'\n"
        "    AUTH_METHOD = 'kerberos'\n"
    )
    assert any("LDAP_URI and LDAP_GROUPS_DN are not both set" in line for line in _load(path).warnings)
    path.write_text(path.read_text() + "    LDAP_URI = 'ldap://x'\n    LDAP_GROUPS_DN = 'ou=groups'\n")
    assert not any("LDAP_URI" in line for line in _load(path).warnings)
