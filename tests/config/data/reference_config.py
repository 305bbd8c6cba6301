"""A production configuration of MBS 3.9.2."""

from os import path

confdir = path.abspath(path.dirname(__file__))
DOMAIN = "example.com"


class BaseConfiguration:
    DEBUG = False
    SECRET_KEY = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    SQLALCHEMY_DATABASE_URI = "sqlite:///mbs.db"
    SQLALCHEMY_TRACK_MODIFICATIONS = True
    HOST = "0.0.0.0"
    PORT = 5000

    NET_TIMEOUT = 120
    NET_RETRY_INTERVAL = 30
    SYSTEM = "koji"
    MESSAGING = "fedmsg"
    MESSAGING_TOPIC_PREFIX = ["org.fedoraproject.prod"]
    KOJI_CONFIG = path.join(confdir, "koji.conf")
    KOJI_PROFILE = "koji"
    ARCHES = ["i686", "x86_64"]
    POLLING_INTERVAL = 600
    PDC_URL = f"https://pdc.{DOMAIN}/rest_api/v1"
    SCMURLS = [f"https://src.{DOMAIN}/modules/"]
    NUM_CONCURRENT_BUILDS = 5
    RPMS_DEFAULT_REPOSITORY = f"https://src.{DOMAIN}/rpms"
    ALLOWED_GROUPS = {"packager"}
    KRB_PRINCIPAL = None
    LOG_BACKEND = "console"
    LOG_LEVEL = "DEBUG"
    CELERY_TASK_ALWAYS_EAGER = False


class ProdConfiguration(BaseConfiguration):
    SQLALCHEMY_DATABASE_URI = f"postgresql+psycopg2://mbs:hunter2@db.{DOMAIN}/mbs"
    CELERY_BROKER_URL = f"redis://:hunter2@redis.{DOMAIN}:6379/1"
    BASE_URL = f"https://mbs.{DOMAIN}/"
    NUM_CONCURRENT_BUILDS = 20
    BASE_MODULE_NAMES = {"platform", "bootstrap"}
    BASE_MODULE_ARCHES = {"platform:el8": ["x86_64", "s390x"]}
    STREAM_SUFFIXES = {r"^el\d+\.\d+\.\d+\.z$": 0.1}
    OIDC_CLIENT_SECRETS = path.join(confdir, "client_secrets.json")
    OIDC_REQUIRED_SCOPE = "https://mbs.example.com/oidc/submit-build"

    @classmethod
    def helper(cls):
        return cls.DEBUG


class StagingConfiguration(ProdConfiguration):
    MESSAGING_TOPIC_PREFIX = ["org.fedoraproject.stg"]
    SECRET_KEY = bytes(range(24))
