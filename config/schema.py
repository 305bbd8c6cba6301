"""All options of the service, with type, default and meaning.

An option has the same name in a ``config.py``, in the environment (with the prefix ``MBS_``), in the code,
and in MBS 3.9.2, if it exists there. The defaults are for production; ``config.sections`` has those of
other sections. The text below an option is its meaning in ``mbs-manager config`` and in the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import quote, urlsplit

from pydantic import Field, ValidationInfo, field_validator

from config.types import (
    Audience,
    BrokerUrl,
    Bytes,
    Count,
    DatabaseUrl,
    File,
    Fronts,
    Group,
    LdapUrl,
    LowerCase,
    Names,
    NameStream,
    Pattern,
    Positive,
    Prefix,
    Seconds,
    SecondsOrNone,
    Secret,
    SecretKey,
    WebUrl,
    needs,
)

Strategy = Literal["changed-and-after", "only-changed", "all"]
Strategies = Annotated[tuple[Strategy, ...], Field(min_length=1)]


class Server(Group):
    """Server."""

    SECRET_KEY: SecretKey
    """Signs sessions and forms: a long random text, unique to this service."""
    BASE_URL: WebUrl
    """The URL of the service for users and programs; links in messages begin with it."""
    ALLOWED_HOSTS: Names = ()
    """Host names that requests may use; empty: the host of BASE_URL."""
    BODY_LIMIT: Bytes = 10 * 1024 * 1024
    """Maximum size of a request body, in bytes."""
    BODIES_LIMIT: Bytes = 256 * 1024 * 1024
    """Disk space for large bodies of concurrent requests and answers in a web process, in bytes."""
    CLIENT_TIMEOUT: Seconds = 20
    """Seconds for a client to send headers or to receive a part of an answer; three times that for a body."""
    WEB_THREADS: Positive = 8
    """Threads of a web process for reads, and as many for changes; see docs/production.md."""
    TRUSTED_FRONTS: Fronts = ("127.0.0.1", "::1", "unix:")
    """Proxies whose headers are trusted (docs/fronts.md): addresses, networks, unix: for Unix sockets."""
    PER_PAGE_MAX: Positive = 100
    """Maximum number of items on a page of a list."""
    LOG_LEVEL: Annotated[Literal["debug", "info", "warning", "error"], LowerCase] = "info"
    """Minimum level of messages that are logged."""
    LOG_FORMAT: Literal["plain", "json"] = "json"
    """Format of the log: `plain` for people, `json` for programs."""
    FLOWER_URL: WebUrl | None = None
    """URL of Flower, which shows workers and tasks; the admin links to it."""

    @field_validator("SECRET_KEY")
    @classmethod
    def _own_key(cls, key: str) -> str:
        if key.startswith("a long random text"):
            raise ValueError("it is the example from the documentation, which is public")
        return key

    @field_validator("BASE_URL")
    @classmethod
    def _bare(cls, url: str) -> str:
        return url.rstrip("/")

    @field_validator("ALLOWED_HOSTS")
    @classmethod
    def _host_of_base_url(cls, hosts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        host = urlsplit(info.data.get("BASE_URL", "")).hostname
        if hosts or not host:
            return hosts
        return (f"[{host}]" if ":" in host else host,)


class Storage(Group):
    """Database, broker and folders."""

    DATA_DIR: File = Path("/var/lib/module-build-service")
    """Folder for all files of the service: local builds, repositories, logs, an SQLite database."""
    CACHE_DIR: File = Path("cache")
    """Folder for files that can be fetched again; relative to DATA_DIR."""
    DATABASE_URL: DatabaseUrl
    """The database: `postgresql://user:password@host/name`, or `sqlite:///file`, relative to DATA_DIR."""
    DATABASE_TIMEOUT: Seconds = 10
    """Seconds within which PostgreSQL must answer; after that, the connection is closed."""
    BROKER_URL: BrokerUrl = "redis://127.0.0.1:6379/0"
    """The Redis server that carries tasks between processes; its content may be lost at any time."""

    @field_validator("CACHE_DIR", mode="before")
    @classmethod
    def _below_data_dir(cls, path: Any, info: ValidationInfo) -> Any:
        is_own = not isinstance(path, str | Path) or str(path).startswith("~") or not str(path).strip()
        if is_own or "DATA_DIR" not in info.data:
            return path
        return info.data["DATA_DIR"] / path

    @field_validator("DATABASE_URL")
    @classmethod
    def _file_below_data_dir(cls, url: str, info: ValidationInfo) -> str:
        """Make a path absolute, since processes start in different folders."""
        path = url.removeprefix("sqlite:///")
        if path == url or path.startswith((":memory:", "/")) or "DATA_DIR" not in info.data:
            return url
        return f"sqlite:///{quote(str(info.data['DATA_DIR']))}/{path}"


class Workflow(Group):
    """Workflow."""

    SYSTEM: Literal["koji", "local", "simulated"] = "koji"
    """The build system: Koji, rpmbuild on this machine, or a simulation."""
    NUM_CONCURRENT_BUILDS: Count = 5
    """Components that build at the same time, over all modules; 0: no limit."""
    REBUILD_STRATEGY: Strategy = "changed-and-after"
    """Which components are built again instead of reused, unless the submission says otherwise."""
    REBUILD_STRATEGY_ALLOW_OVERRIDE: bool = False
    """Let submissions choose a rebuild strategy."""
    REBUILD_STRATEGIES_ALLOWED: Strategies = ("changed-and-after", "only-changed", "all")
    """The rebuild strategies that submissions may choose."""
    REBUILD_STRATEGY_OF_REBUILDS: Strategy = "all"
    """The rebuild strategy of a rebuild whose request names none; rebuilds may always use it."""
    MAX_ATTEMPTS: Positive = 3
    """How often a component is submitted if its build is lost, before it counts as failed."""
    INFRASTRUCTURE_RETRIES: Count = 2
    """How often a component is built again if its build failed because of the build system's machines."""
    MAX_TASK_TRIES: Positive = 10
    """How often in a row a task may fail unexpectedly, hang, or lose its worker."""
    CLEANUP_FAILED_BUILDS_TIME: Positive = 180
    """Days after which a failed module build becomes garbage."""
    CLEANUP_STUCK_BUILDS_TIME: Positive = 7
    """Days without progress after which a module build fails."""
    AUDIT_DAYS: Positive = 400
    """Days for which the admin shows who did what."""
    CLEANUP_STUCK_BUILDS_STATES: tuple[Literal["init", "wait", "build"], ...] = ("init", "build")
    """States in which a module build without progress fails."""


class Intervals(Group):
    """Intervals and time limits, in seconds."""

    SWEEP_INTERVAL: Seconds = 30
    """Time between two searches for lost builds and stuck waits."""
    POLLING_INTERVAL: Seconds = 60
    """Time between two polls of the build system for open builds."""
    OUTBOX_INTERVAL: Seconds = 10
    """Time between two attempts to publish unconfirmed messages, and to send those of subscriptions."""
    OUTBOX_LEASE: Seconds = 60
    """Lease of the process that publishes the messages of a build; on expiry another one takes over."""
    LOST_AFTER: Seconds = 60
    """Time without progress and without a wait after which a module build is lost, and dispatched again."""
    WAKE_AGAIN_AFTER: Seconds = 60
    """Time after which a wait that was woken but still exists is woken again."""
    SUBMIT_LEASE: Seconds = 300
    """Lease of the worker that submits components; when it expires, another one may submit them."""
    RETRY_BACKOFF_MAX: Seconds = 60
    """Maximum delay before a task retries after an outage."""
    NET_TIMEOUT: Seconds = 120
    """Time limit of a call to the Koji hub, which is repeated once if it fails."""
    NET_RETRY_INTERVAL: Seconds = 30
    """Time between the two attempts of such a call."""


class Api(Group):
    """Requests and permissions."""

    NO_AUTH: bool = False
    """Let all clients do everything without a login; only if no one else can connect."""
    AUTH_METHOD: Annotated[Literal["oidc", "kerberos"], LowerCase] = "oidc"
    """How users log in."""
    OIDC_CLIENT_SECRETS: File | None = None
    """JSON file with the client id, the secret and the URLs of the OpenID provider."""
    OIDC_REQUIRED_SCOPE: str = ""
    """Scope that tokens need; required if tokens are verified by asking the provider."""
    OIDC_SCOPES: Names = ("openid", "https://id.fedoraproject.org/scope/groups")
    """Further scopes that tokens need."""
    OIDC_ISSUER: WebUrl | None = None
    """The OpenID provider whose signed tokens are verified with its public keys, without asking it."""
    OIDC_AUDIENCE: Audience = ""
    """The audience of signed tokens for this service."""
    OIDC_USERNAME_CLAIM: str = "preferred_username"
    """The claim of a signed token that contains the user name."""
    OIDC_WEB_LOGIN: Annotated[bool, needs("OIDC_ISSUER", "OIDC_CLIENT_SECRETS")] = False
    """Let users of the pages log in at OIDC_ISSUER, with the client of OIDC_CLIENT_SECRETS."""
    OIDC_DEVICE_CLIENT: Annotated[str, needs("OIDC_ISSUER")] = ""
    """The client at OIDC_ISSUER with which `mbs login` gets tokens (OAuth device flow, without a secret)."""
    REMOTE_USER_FROM: Literal["nowhere", "environment", "header"] = "nowhere"
    """Where a proxy names Kerberos users: the WSGI variable REMOTE_USER, or the header X-Remote-User."""
    FRONT_SECRET: Secret = ""
    """Text that the proxy puts before `user@REALM` in that header, to prove that the proxy set it."""
    KERBEROS_REALM: str = ""
    """The realm of users; empty: all realms that the proxy accepts."""
    LDAP_URI: LdapUrl = ""
    """The LDAP server with the groups of Kerberos users."""
    LDAP_GROUPS_DN: str = ""
    """The LDAP entry below which the groups are."""
    IDENTITY_CACHE_TIME: Seconds = 900
    """Seconds for which verified tokens and groups of users are cached."""
    LOGIN_FAILURES: Positive = 5
    """Failed logins with a password after which a user or an address must wait."""
    LOGIN_PAUSE: Seconds = 300
    """Seconds to wait after the last failure."""
    TOKEN_REFUSALS: Positive = 30
    """Refused tokens per minute after which unknown tokens of the same address are refused unchecked."""
    API_TOKEN_DAYS_MAX: Positive = 365
    """Maximum validity of an API token, in days."""
    ALLOWED_GROUPS: frozenset[str] = frozenset({"packager"})
    """Groups whose members may submit module builds; empty: all users may."""
    ALLOWED_USERS: frozenset[str] = frozenset()
    """Users who may submit module builds without being in such a group."""
    ADMIN_GROUPS: frozenset[str] = frozenset()
    """Groups whose members may change module builds of other users."""
    ALLOWED_GROUPS_TO_IMPORT_MODULE: frozenset[str] = frozenset()
    """Groups whose members may import modules; empty: no user may."""
    YAML_SUBMIT_ALLOWED: bool = False
    """Let submissions contain the modulemd file instead of its address in git."""
    MODULES_ALLOW_SCRATCH: bool = False
    """Allow scratch builds."""
    SCRATCH_BUILD_ONLY_BRANCHES: tuple[Pattern, ...] = ()
    """Regular expressions of branches from which only scratch builds are allowed."""

    @field_validator("FRONT_SECRET")
    @classmethod
    def _secret_of_front(cls, secret: str, info: ValidationInfo) -> str:
        if info.data.get("REMOTE_USER_FROM") == "header" and len(secret) < 16:
            raise ValueError("it must have at least 16 characters if REMOTE_USER_FROM is 'header'")
        if " " in secret:
            raise ValueError("it must not contain a space")
        return secret


class Scm(Group):
    """Git and sources."""

    SCMURLS: Names = ("https://src.fedoraproject.org/modules/",)
    """Prefixes of the addresses of modules that may be submitted."""
    ALLOW_CUSTOM_SCMURLS: bool = False
    """Accept modules from any address."""
    ALLOW_PRIVATE_SCM_HOSTS: bool = False
    """Let custom addresses use this machine and private networks, as configured ones may."""
    DEFAULT_BRANCH: str = "master"
    """The branch of modules and components that name none."""
    RPMS_DEFAULT_REPOSITORY: Prefix = "https://src.fedoraproject.org/rpms/"
    """Prefix of the git repositories of components."""
    RPMS_ALLOW_REPOSITORY: bool = False
    """Let components name their own repository."""
    RPMS_ALLOW_CACHE: bool = False
    """Let components name their own lookaside cache."""
    MODULES_DEFAULT_REPOSITORY: Prefix = "https://src.fedoraproject.org/modules/"
    """Prefix of the git repositories of included modules."""
    MODULES_ALLOW_REPOSITORY: bool = False
    """Let included modules name their own repository."""
    ALLOW_NAME_OVERRIDE_FROM_SCM: bool = False
    """Let the module name in a modulemd differ from the name of its repository."""
    ALLOW_STREAM_OVERRIDE_FROM_SCM: bool = False
    """Let the stream in a modulemd differ from the name of its branch."""
    LOOKASIDE_URLS: Mapping[str, str] = {}
    """Address prefix of a dist-git -> its lookaside cache, in which sources are looked up."""
    SCM_NET_TIMEOUT: Seconds = 60
    """Seconds after which a git command is stopped."""
    SCM_PARALLEL: Positive = 8
    """Concurrent git commands for one submission."""
    SCM_SUBMIT_TIMEOUT: Seconds = 10
    """Seconds that a request may wait for git in total; components left are checked in `init`."""
    SCM_CHECKS_PER_OWNER: Positive = 2
    """Builds of one owner in `init` whose components are checked in git at the same time."""
    SCM_NETWORK: bool = True
    """Read git repositories and lookaside caches over the network, not only on this machine."""
    SCM_SIZE_LIMIT: Bytes = 256 * 1024 * 1024
    """Maximum size of a fetch from one repository, in bytes."""
    SPEC_CPU_LIMIT: Positive = 5
    """CPU seconds for reading a spec file."""
    SPEC_MEMORY_LIMIT: Bytes = 512 * 1024 * 1024
    """Memory for reading a spec file, in bytes."""


class Expansion(Group):
    """Modules and stream expansion."""

    RESOLVER: Literal["db", "mbs", "local", "koji"] = "db"
    """Where required modules are looked up after the database (`db`: nowhere); `koji` is not supported."""
    MBS_URL: WebUrl = "https://mbs.fedoraproject.org/module-build-service/1/module-builds/"
    """The service that is asked if RESOLVER is `mbs`."""
    MODULE_REPOSITORIES: tuple[File, ...] = (Path("/var/cache/dnf"), Path("/var/cache/libdnf5"))
    """Folders with modulemd documents, or with repository metadata, for the RESOLVER `local`."""
    BASE_MODULE_NAMES: Names = ("platform",)
    """Modules that represent a distribution; the first one has precedence."""
    BASE_MODULE_ARCHES: Mapping[NameStream, tuple[str, ...]] = {}
    """`name:stream` of a base module -> architectures of modules built on it."""
    BASE_MODULE_STREAM_EXCLUSIONS: Names = ()
    """Streams of base modules that stream expansion ignores."""
    ALLOW_ONLY_COMPATIBLE_BASE_MODULES: bool = True
    """Use only modules built on base modules of the same major version and no later stream."""
    ALLOWED_PRIVILEGED_MODULE_NAMES: Names = ()
    """Modules that may set dist tags and architectures of modules that require them; earlier ones win."""
    BR_STREAM_OVERRIDE_MODULE: str = "platform"
    """The module whose stream a branch name can determine."""
    BR_STREAM_OVERRIDE_REGEXES: tuple[Pattern, ...] = ()
    """Regular expressions for branch names; the groups of the first match form the stream."""
    STREAM_SUFFIXES: Mapping[Pattern, float] = {}
    """Regular expression of a base module's stream -> number added to its stream version."""
    DEFAULT_DIST_TAG_PREFIX: str = "module+"
    """Prefix of the dist tags of modular packages."""
    ALLOW_DASHES_IN_SVC: bool = False
    """Accept dashes in stream, version and context."""
    ARCHES: Names = ("x86_64",)
    """Architectures that modules are built for, unless a base module or Koji names them."""
    ALLOW_ARCH_OVERRIDE: bool = False
    """Build a component only for the architectures that it names; otherwise they limit what is shipped."""


class Messaging(Group):
    """Messages."""

    MESSAGING: Literal["fedora-messaging", "log", "memory"] = "fedora-messaging"
    """Where messages are sent: to the bus, to the log, or to a list for tests."""
    MESSAGING_TOPIC_PREFIX: Names = ("org.fedoraproject.prod",)
    """Topic prefixes of the messages that are processed; empty: all."""
    MESSAGING_TIMEOUT: Seconds = 5
    """Seconds within which the bus must confirm a message; after that it counts as unavailable."""
    WEBHOOK_PRIVATE_HOSTS: bool = False
    """Allow webhooks to this machine and to private networks, and over plain http."""
    MAIL_SERVER: str = ""
    """Host, or host:port, of the mail server for subscriptions by mail; empty: no mail is sent."""
    MAIL_FROM: str = "mbs@localhost"
    """Sender of mail."""


class Koji(Group):
    """Koji."""

    KOJI_CONFIG: File = Path("/etc/module-build-service/koji.conf")
    """Configuration file of the Koji client."""
    KOJI_PROFILE: str = "koji"
    """The profile in that file."""
    KOJI_INSTANCE: str = "primary"
    """Koji's instance name in its messages; messages of other instances are ignored."""
    KOJI_USER: str = ""
    """User for a login if the profile's authtype is `password`."""
    KOJI_PASSWORD: Secret = ""
    """Password of that user."""
    KRB_PRINCIPAL: str = ""
    """Kerberos principal for a login; empty: that of the credential cache."""
    KRB_KEYTAB: str = ""
    """Keytab file of that principal."""
    KRB_CCACHE: str = "KEYRING:thread:mbs"
    """Kerberos credential cache."""
    KOJI_BUILD_PRIORITY: int = 10
    """Priority of builds; lower numbers start earlier."""
    KOJI_BUILD_MACROS_TARGET: str = ""
    """Target for building module-build-macros; empty: the target of the module."""
    KOJI_REPOSITORY_URL: str = "https://kojipkgs.fedoraproject.org/repos"
    """URL of the repositories of Koji's tags."""
    KOJI_TAG_PREFIXES: Names = ("module", "scrmod")
    """Prefixes of tags that belong to this service."""
    KOJI_TAG_PERMISSION: str = "module-tags"
    """Permission that is needed to use the tags of modules."""
    KOJI_TAG_EXTRA_OPTS: Mapping[str, Any] = {
        "mock.package_manager": "dnf",
        "repo_include_all": True,
        "mock.new_chroot": 0,
        "mock.yum.module_hotfixes": 1,
    }
    """Extra options of the tags of modules."""
    KOJI_TARGET_DELETE_TIME: Count = 24 * 3600
    """Seconds after the end of a module build after which its target is deleted."""
    KOJI_ENABLE_CONTENT_GENERATOR: bool = True
    """Import finished modules into Koji."""
    KOJI_CG_TAG_BUILD: bool = True
    """Tag the imported module."""
    KOJI_CG_DEVEL_MODULE: bool = True
    """Also import the -devel module, which has the packages that the filter removes."""
    KOJI_CG_BUILD_TAG_TEMPLATE: str = "{}-modular-updates-candidate"
    """Tag of the imported module; `{}` is replaced by the stream of its base module."""
    KOJI_CG_DEFAULT_BUILD_TAG: str = "modular-updates-candidate"
    """Tag of the imported module if that tag does not exist."""


class Builders(Group):
    """Build systems on this machine."""

    LOCAL_BUILD_JOBS: Count = 0
    """Local builds that share a machine: the `--concurrency` of their worker; 0: one per core."""
    LOCAL_BUILD_PROTECTION: Literal["full", "possible"] = "full"
    """If protections of local builds are missing: `full` refuses to start the worker, `possible` warns."""
    LOCAL_BUILD_FIRST_USER: Positive = 99_000
    """First of the unused user and group ids that a worker running as root gives to builds."""
    LOCAL_BUILD_USERS: Positive = 1000
    """Number of these ids."""
    LOCAL_BUILD_SHOWS: Names = ()
    """Further files and folders of the machine that builds can read: `/opt`, `/etc/php.d`."""
    LOCAL_BUILD_TIMEOUT: Annotated[int, Field(ge=1, lt=24 * 3600)] = 6 * 3600
    """Maximum duration of a local build, in seconds; below a day, when Redis delivers its task again."""
    LOCAL_BUILD_LOG_BYTES: Bytes = 32 << 20
    """Bytes of a build's log that are kept, in addition to its last 64 KiB."""
    LOCAL_BUILD_MEMORY: Count = 0
    """Memory of all processes of a build, in bytes; 0: an equal share for each concurrent build."""
    LOCAL_BUILD_PROCESSES: Positive = 4096
    """Maximum number of processes and threads of a build."""
    LOCAL_BUILD_OPEN_FILES: Positive = 4096
    """Maximum number of open files of one process of a build."""
    LOCAL_BUILD_FILE_BYTES: Bytes = 16 << 30
    """Maximum size of one file of a build, in bytes."""
    LOCAL_BUILD_DISK: Bytes = 50 << 30
    """Maximum disk space of a build, in bytes; also limited to its share of the free space at its start."""
    LOCAL_BUILD_FILES: Positive = 1_000_000
    """Maximum number of files and folders of a build; also limited to its share."""
    LOCAL_BUILD_FREE_DISK: Bytes = 1 << 30
    """Free disk space in bytes below which no build starts; at half of it, running builds are stopped."""
    LOCAL_BUILD_FREE_FILES: Count = 20_000
    """Free inodes below which no build starts; at half of them, running builds are stopped."""
    LOCAL_RESULTS: Literal["web", "files"] = "web"
    """Addresses of local builds' logs and repositories: on the web server, or of files on this machine."""
    SIMULATED_BUILD_SECONDS: SecondsOrNone = 2
    """Duration of a component build in the simulated build system."""
    SIMULATED_REPO_SECONDS: SecondsOrNone = 1
    """Duration of a repository regeneration in the simulated build system."""


class Options(Server, Storage, Workflow, Intervals, Api, Scm, Expansion, Messaging, Builders, Koji):
    """The configuration of the service: read-only, and the same in all processes."""


GROUPS = cast(tuple[type[Group], ...], Options.__bases__)
