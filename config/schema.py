"""Every option of the service: its name, type, default and meaning.

A name is the same in a ``config.py``, in the environment (``MBS_`` before it), and in the code. Options
that the reference service has bear its names. The defaults are those of production; what other sections
change stands in ``config.sections``. Options without a default must be set. The first sentence under an
option is what ``mbs-manager config`` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from config.types import (
    BrokerUrl,
    Bytes,
    Count,
    DatabaseUrl,
    File,
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
)

Strategy = Literal["changed-and-after", "only-changed", "all"]


class Group(BaseModel):
    """A group of options; the docstring of a subclass is its title."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,
    )


class Server(Group):
    """Server"""

    DEBUG: bool = False
    """Show details of errors to whoever asks; never in production."""
    SECRET_KEY: SecretKey
    """Signs sessions and forms: a long random text that only this service knows."""
    BASE_URL: WebUrl
    """The address under which people and programs reach the service; links in messages begin with it."""
    ALLOWED_HOSTS: Names = ()
    """Host names under which requests are answered; empty: the one of BASE_URL."""
    BODY_LIMIT: Bytes = 10 * 1024 * 1024
    """Largest body of a request, in bytes."""
    BODIES_LIMIT: Bytes = 256 * 1024 * 1024
    """Disk space for all large bodies of requests and answers under way in a web process, in bytes."""
    CLIENT_TIMEOUT: Seconds = 20
    """Time that a client has for the headers of a request and each part of an answer; thrice for a body."""
    WEB_THREADS: Positive = 8
    """Threads of a web process for reading and changing each; each may hold a database connection."""
    TRUSTED_FRONTS: Names = ("127.0.0.1", "::1")
    """Addresses or networks of front servers that are believed about the addresses of their clients."""
    PER_PAGE_MAX: Positive = 100
    """Most items on one page of a list."""
    LOG_LEVEL: Annotated[Literal["debug", "info", "warning", "error"], LowerCase] = "info"
    """The least important messages that are logged."""
    LOG_FORMAT: Literal["plain", "json"] = "json"
    """How a line of the log looks: for people or for programs."""
    FLOWER_URL: WebUrl | None = None
    """Where Flower shows the workers and their tasks; the admin links to it."""

    @field_validator("SECRET_KEY")
    @classmethod
    def _own_key(cls, key: str) -> str:
        if key.startswith("a long random text"):
            raise ValueError("it is the text of the example, which everybody knows")
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
    """Database, broker and folders"""

    DATA_DIR: File = Path("/var/lib/module-build-service")
    """Folder for everything the service writes: local builds, repositories, logs, an SQLite database."""
    CACHE_DIR: File = Path("cache")
    """Folder for what can be fetched again; relative to DATA_DIR."""
    DATABASE_URL: DatabaseUrl
    """The database: `postgresql://user:password@host/name`, or `sqlite:///file`, relative to DATA_DIR."""
    DATABASE_TIMEOUT: Seconds = 10
    """Seconds within which PostgreSQL must answer; a connection that does not is given up."""
    BROKER_URL: BrokerUrl = "redis://127.0.0.1:6379/0"
    """The Redis server that carries tasks between processes; it may be emptied at any time."""

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
        """Processes are started in different folders, so a path must not depend on where."""
        path = url.removeprefix("sqlite:///")
        if path == url or path.startswith((":memory:", "/")) or "DATA_DIR" not in info.data:
            return url
        return f"sqlite:///{quote(str(info.data['DATA_DIR']))}/{path}"


class Workflow(Group):
    """Workflow"""

    SYSTEM: Literal["koji", "local", "simulated"] = "koji"
    """The build system: Koji, rpmbuild on this machine, or one that only pretends."""
    NUM_CONCURRENT_BUILDS: Count = 5
    """Components that build at once, over all modules; 0: no limit."""
    REBUILD_STRATEGY: Strategy = "changed-and-after"
    """Which components of a module are built anew rather than reused, unless a submission says otherwise."""
    REBUILD_STRATEGY_ALLOW_OVERRIDE: bool = False
    """Let a submission choose its rebuild strategy."""
    REBUILD_STRATEGIES_ALLOWED: Annotated[tuple[Strategy, ...], Field(min_length=1)] = (
        "changed-and-after",
        "only-changed",
        "all",
    )
    """The rebuild strategies that a submission may choose from."""
    REBUILD_STRATEGY_OF_REBUILDS: Strategy = "all"
    """The rebuild strategy of a rebuild whose request names none; rebuilds may always use it."""
    MAX_ATTEMPTS: Positive = 3
    """Times that one component is tried when its build is lost, before it counts as failed."""
    INFRASTRUCTURE_RETRIES: Count = 2
    """Times that a component is built again by itself when plainly the build system's machines failed it."""
    MAX_TASK_TRIES: Positive = 10
    """Times in a row that a step of a build may fail unexpectedly, hang, or lose its worker."""
    CLEANUP_FAILED_BUILDS_TIME: Positive = 180
    """Days after which a failed module build becomes garbage."""
    CLEANUP_STUCK_BUILDS_TIME: Positive = 7
    """Days without progress after which a module build fails."""
    CLEANUP_STUCK_BUILDS_STATES: tuple[Literal["init", "wait", "build"], ...] = ("init", "build")
    """States in which a module build can count as stuck."""


class Intervals(Group):
    """Intervals and patience, in seconds"""

    SWEEP_INTERVAL: Seconds = 30
    """Time between two searches for lost work and stuck waits."""
    POLLING_INTERVAL: Seconds = 60
    """Time between two questions to the build system about what is open there."""
    OUTBOX_INTERVAL: Seconds = 10
    """Time between two tries to publish messages that the bus has not confirmed."""
    OUTBOX_LEASE: Seconds = 60
    """How long one process may publish the messages of a build alone; one that takes longer was killed."""
    LOST_AFTER: Seconds = 60
    """A module build without progress and without a wait for this long is lost, and advanced."""
    WAKE_AGAIN_AFTER: Seconds = 60
    """A wait that was woken this long ago and is still there is woken again."""
    SUBMIT_LEASE: Seconds = 300
    """Time for which a worker that submits components keeps others from submitting them."""
    RETRY_BACKOFF_MAX: Seconds = 60
    """Longest pause before a task that met an outage tries again."""
    NET_TIMEOUT: Seconds = 120
    """Time after which a failing call to another service is given up."""
    NET_RETRY_INTERVAL: Seconds = 30
    """Pause between tries of such a call."""


class Api(Group):
    """Requests and permissions"""

    NO_AUTH: bool = False
    """Everybody may do everything; only where nobody else can connect."""
    AUTH_METHOD: Annotated[Literal["oidc", "kerberos"], LowerCase] = "oidc"
    """How users prove who they are."""
    OIDC_CLIENT_SECRETS: File | None = None
    """JSON file with the client id, the secret and the addresses of the OpenID provider."""
    OIDC_REQUIRED_SCOPE: str = ""
    """Scope that a token must have; it must be set where the provider is asked about tokens."""
    OIDC_SCOPES: Names = ("openid", "https://id.fedoraproject.org/scope/groups")
    """Further scopes that a token must have."""
    OIDC_ISSUER: WebUrl | None = None
    """The OpenID provider whose signed tokens are verified by its keys, without asking it about each."""
    OIDC_AUDIENCE: str = ""
    """The audience of signed tokens that are meant for this service."""
    OIDC_USERNAME_CLAIM: str = "preferred_username"
    """The claim of a signed token that names the user."""
    REMOTE_USER_FROM: Literal["nowhere", "environment", "header"] = "nowhere"
    """Where a front server names Kerberos users: the WSGI variable REMOTE_USER, or a header X-Remote-User."""
    FRONT_SECRET: Secret = ""
    """What the front server writes before `user@REALM` in that header, to show that it was the front."""
    KERBEROS_REALM: str = ""
    """The realm whose users are meant; empty: any that the front server lets in."""
    LDAP_URI: LdapUrl = ""
    """The LDAP server that knows the groups of Kerberos users."""
    LDAP_GROUPS_DN: str = ""
    """The LDAP entry below which groups lie."""
    IDENTITY_CACHE_TIME: Seconds = 900
    """Longest time for which a token of the provider, or the groups of a user, are believed unasked."""
    LOGIN_FAILURES: Positive = 5
    """Failed logins to the admin after which a user or an address must wait."""
    LOGIN_PAUSE: Seconds = 300
    """How long they must wait, counted from the last failure."""
    TOKEN_REFUSALS: Positive = 30
    """Refused tokens in a minute after which further unknown ones of the same address are not looked at."""
    API_TOKEN_DAYS_MAX: Positive = 365
    """Longest time for which an API token can be valid, in days."""
    ALLOWED_GROUPS: frozenset[str] = frozenset({"packager"})
    """Groups whose members may submit module builds."""
    ALLOWED_USERS: frozenset[str] = frozenset()
    """Users who may submit module builds without being in such a group."""
    ADMIN_GROUPS: frozenset[str] = frozenset()
    """Groups whose members may change the module builds of others."""
    ALLOWED_GROUPS_TO_IMPORT_MODULE: frozenset[str] = frozenset()
    """Groups whose members may import modules."""
    YAML_SUBMIT_ALLOWED: bool = False
    """Let a submission carry the modulemd itself instead of an address in git."""
    MODULES_ALLOW_SCRATCH: bool = False
    """Let users submit scratch builds."""
    SCRATCH_BUILD_ONLY_BRANCHES: tuple[Pattern, ...] = ()
    """Regular expressions of branches from which only scratch builds are made."""

    @field_validator("OIDC_AUDIENCE")
    @classmethod
    def _audience_of_issuer(cls, audience: str, info: ValidationInfo) -> str:
        if info.data.get("OIDC_ISSUER") and not audience:
            raise ValueError("it must be set with OIDC_ISSUER: tokens for other services would be good here")
        return audience

    @field_validator("FRONT_SECRET")
    @classmethod
    def _secret_of_front(cls, secret: str, info: ValidationInfo) -> str:
        if info.data.get("REMOTE_USER_FROM") == "header" and len(secret) < 16:
            raise ValueError("it must be at least 16 characters long with REMOTE_USER_FROM header")
        if " " in secret:
            raise ValueError("it must not hold a space")
        return secret


class Scm(Group):
    """Git and sources"""

    SCMURLS: Names = ("https://src.fedoraproject.org/modules/",)
    """Addresses below which submitted modules must lie."""
    ALLOW_CUSTOM_SCMURLS: bool = False
    """Accept modules from any address."""
    ALLOW_PRIVATE_SCM_HOSTS: bool = False
    """Let custom addresses lead to this machine and to private networks, as configured ones may."""
    DEFAULT_BRANCH: str = "master"
    """The branch that is meant when a module or a component names none."""
    RPMS_DEFAULT_REPOSITORY: Prefix = "https://src.fedoraproject.org/rpms/"
    """Where the git repositories of components lie."""
    RPMS_ALLOW_REPOSITORY: bool = False
    """Let components name a repository of their own."""
    RPMS_DEFAULT_CACHE: Prefix = "http://pkgs.fedoraproject.org/repo/pkgs/"
    """Where the lookaside cache of components lies."""
    RPMS_ALLOW_CACHE: bool = False
    """Let components name a lookaside cache of their own."""
    MODULES_DEFAULT_REPOSITORY: Prefix = "https://src.fedoraproject.org/modules/"
    """Where the git repositories of included modules lie."""
    MODULES_ALLOW_REPOSITORY: bool = False
    """Let included modules name a repository of their own."""
    ALLOW_NAME_OVERRIDE_FROM_SCM: bool = False
    """Let a modulemd name its module otherwise than its repository."""
    ALLOW_STREAM_OVERRIDE_FROM_SCM: bool = False
    """Let a modulemd name its stream otherwise than its branch."""
    LOOKASIDE_URLS: Mapping[str, str] = {}
    """Prefix of a dist-git's address -> its lookaside cache, asked whether a source is there."""
    SCM_NET_TIMEOUT: Seconds = 60
    """Seconds after which a git command is given up."""
    SCM_NET_RETRY_INTERVAL: Seconds = 15
    """Seconds between tries of a git command."""
    SCM_PARALLEL: Positive = 8
    """Git commands that run at once for one submission."""
    SCM_SUBMIT_TIMEOUT: Seconds = 10
    """Seconds that a submission waits for git about its components; the rest is checked in `init`."""
    SCM_CHECKS_PER_OWNER: Positive = 2
    """Builds of one owner in `init` whose components are looked at in git at the same time."""
    SCM_SIZE_LIMIT: Bytes = 256 * 1024 * 1024
    """Largest amount that is fetched from one repository, in bytes."""
    SPEC_CPU_LIMIT: Positive = 5
    """Seconds of CPU time for reading one spec file."""
    SPEC_MEMORY_LIMIT: Bytes = 512 * 1024 * 1024
    """Memory for reading one spec file, in bytes."""


class Expansion(Group):
    """Modules and stream expansion"""

    RESOLVER: Literal["db", "mbs", "local", "koji"] = "db"
    """Where modules that others depend on are looked up; `mbs` and `local` stand behind the service's own."""
    MBS_URL: WebUrl = "https://mbs.fedoraproject.org/module-build-service/1/module-builds/"
    """The service that is asked when RESOLVER is `mbs`."""
    MODULE_REPOSITORIES: tuple[File, ...] = (Path("/var/cache/dnf"), Path("/var/cache/libdnf5"))
    """Folders with modulemd documents, or with metadata of repositories, when RESOLVER is `local`."""
    BASE_MODULE_NAMES: Names = ("platform",)
    """Modules that stand for a distribution; the first one wins where it matters."""
    BASE_MODULE_ARCHES: Mapping[NameStream, tuple[str, ...]] = {}
    """`name:stream` of a base module -> architectures of modules built on it."""
    BASE_MODULE_STREAM_EXCLUSIONS: Names = ()
    """Streams of base modules that stream expansion passes over."""
    ALLOW_ONLY_COMPATIBLE_BASE_MODULES: bool = True
    """Use only modules built on base modules of the same major version and no later stream."""
    ALLOWED_PRIVILEGED_MODULE_NAMES: Names = ()
    """Modules that may set dist tags and architectures of those that need them; earlier ones win."""
    BR_STREAM_OVERRIDE_MODULE: str = "platform"
    """The module whose stream a branch name may choose."""
    BR_STREAM_OVERRIDE_REGEXES: tuple[Pattern, ...] = ()
    """Regular expressions for branch names; the groups of the first that matches make the stream."""
    STREAM_SUFFIXES: Mapping[Pattern, float] = {}
    """Regular expression of a base module's stream -> what is added to its stream version."""
    DEFAULT_DIST_TAG_PREFIX: str = "module+"
    """What the dist tags of modular packages begin with."""
    ALLOW_DASHES_IN_SVC: bool = False
    """Accept dashes in stream, version and context."""
    ARCHES: Names = ("x86_64",)
    """Architectures that modules are built for when nothing else names them."""
    ALLOW_ARCH_OVERRIDE: bool = False
    """Build a component only for the architectures that it names; else they limit only what is shipped."""


class Messaging(Group):
    """Messages"""

    MESSAGING: Literal["fedora-messaging", "log", "memory"] = "fedora-messaging"
    """Where messages go: to the bus, to the log, or to a list that tests read."""
    MESSAGING_TOPIC_PREFIX: Names = ("org.fedoraproject.prod",)
    """Beginnings of the topics of messages that are heeded."""
    MESSAGING_TIMEOUT: Seconds = 5
    """Time within which the bus must confirm a message; after that it counts as away."""


class Koji(Group):
    """Koji"""

    KOJI_CONFIG: File = Path("/etc/module-build-service/koji.conf")
    """Configuration file of the Koji client."""
    KOJI_PROFILE: str = "koji"
    """The profile in that file."""
    KOJI_INSTANCE: str = "primary"
    """What Koji calls itself in its messages; those of other instances are passed over."""
    KOJI_USER: str = ""
    """User to log in with when the profile's authtype is `password`."""
    KOJI_PASSWORD: Secret = ""
    """Password of that user."""
    KRB_PRINCIPAL: str = ""
    """Kerberos principal to log in with; empty: whoever the credential cache holds."""
    KRB_KEYTAB: str = ""
    """File with the key of that principal."""
    KRB_CCACHE: str = "KEYRING:thread:mbs"
    """Kerberos credential cache."""
    KOJI_BUILD_PRIORITY: int = 10
    """Priority of the builds; lower ones start earlier."""
    KOJI_BUILD_MACROS_TARGET: str = ""
    """Target to build module-build-macros in; empty: the module's own."""
    KOJI_REPOSITORY_URL: str = "https://kojipkgs.fedoraproject.org/repos"
    """Where repositories of Koji's tags are found."""
    KOJI_TAG_PREFIXES: Names = ("module", "scrmod")
    """Beginnings of the names of tags that belong to this service."""
    KOJI_TAG_PERMISSION: str = "module-tags"
    """Permission that the tags of modules require."""
    KOJI_TAG_EXTRA_OPTS: Mapping[str, Any] = {
        "mock.package_manager": "dnf",
        "repo_include_all": True,
        "mock.new_chroot": 0,
        "mock.yum.module_hotfixes": 1,
    }
    """Extra options of the tags of modules."""
    KOJI_TARGET_DELETE_TIME: Count = 24 * 3600
    """Seconds after the end of a module build when its target is deleted."""
    KOJI_ENABLE_CONTENT_GENERATOR: bool = True
    """Import finished modules into Koji."""
    KOJI_CG_TAG_BUILD: bool = True
    """Tag the imported module."""
    KOJI_CG_DEVEL_MODULE: bool = True
    """Import the -devel module, made of what the filter removes, too."""
    KOJI_CG_BUILD_TAG_TEMPLATE: str = "{}-modular-updates-candidate"
    """Tag of the imported module; `{}` is the stream of its base module."""
    KOJI_CG_DEFAULT_BUILD_TAG: str = "modular-updates-candidate"
    """Tag of the imported module when that one does not exist."""


class Builders(Group):
    """Build systems on this machine"""

    LOCAL_BUILD_JOBS: Count = 0
    """Local builds that run at once on one machine; 0: one for each core."""
    LOCAL_BUILD_PROTECTION: Literal["full", "possible"] = "full"
    """What a worker that runs local builds does where protections are missing: refuse to start, or say so."""
    LOCAL_BUILD_FIRST_USER: Positive = 99_000
    """First of the user and group ids, used by nobody else, that a worker of root gives to builds."""
    LOCAL_BUILD_USERS: Positive = 1000
    """How many such ids there are."""
    LOCAL_BUILD_SHOWS: Names = ()
    """More files and folders of the machine that builds see, read-only: `/opt`, `/etc/php.d`."""
    LOCAL_BUILD_TIMEOUT: Positive = 6 * 3600
    """Seconds that a local build may take."""
    LOCAL_BUILD_LOG_BYTES: Bytes = 32 << 20
    """Bytes of the log of a build that are kept, beside the last 64 KiB."""
    LOCAL_BUILD_MEMORY: Count = 0
    """Bytes of memory of all processes of a build; 0: an equal share for each of the builds at once."""
    LOCAL_BUILD_PROCESSES: Positive = 4096
    """Processes and threads that a build may have at once."""
    LOCAL_BUILD_OPEN_FILES: Positive = 4096
    """Files that one process of a build may have open."""
    LOCAL_BUILD_FILE_BYTES: Bytes = 16 << 30
    """Bytes that one file of a build may have."""
    LOCAL_BUILD_DISK: Bytes = 50 << 30
    """Bytes of disk of a build, which also gets no more than its share of what is free when it starts."""
    LOCAL_BUILD_FILES: Positive = 1_000_000
    """Files and folders that a build may make; the share holds for them too."""
    LOCAL_BUILD_FREE_DISK: Bytes = 1 << 30
    """Bytes of free disk below which no build starts; at half of that the running ones are stopped."""
    LOCAL_BUILD_FREE_FILES: Count = 20_000
    """The same for the number of files (inodes) that the disk has room for."""
    SIMULATED_BUILD_SECONDS: SecondsOrNone = 2
    """How long the simulated build system pretends to build a component."""
    SIMULATED_REPO_SECONDS: SecondsOrNone = 1
    """How long the simulated build system pretends to regenerate a repository."""


GROUPS: tuple[type[Group], ...] = (
    Server,
    Storage,
    Workflow,
    Intervals,
    Api,
    Scm,
    Expansion,
    Messaging,
    Builders,
    Koji,
)


class Options(Server, Storage, Workflow, Intervals, Api, Scm, Expansion, Messaging, Builders, Koji):
    """The configuration of the service: read only, and the same in all its processes."""
