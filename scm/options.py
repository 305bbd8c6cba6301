"""What the operator decides about reading from git: handed in by the caller, never looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

MIB = 1024 * 1024


class Configured(Protocol):
    """The part of the configuration that is about git and spec files: see ``config.schema``."""

    SCMURLS: tuple[str, ...]
    ALLOW_CUSTOM_SCMURLS: bool
    ALLOW_PRIVATE_SCM_HOSTS: bool
    RPMS_DEFAULT_REPOSITORY: str
    MODULES_DEFAULT_REPOSITORY: str
    DEFAULT_BRANCH: str
    LOOKASIDE_URLS: Mapping[str, str]
    SCM_PARALLEL: int
    SCM_NET_TIMEOUT: float
    SCM_SIZE_LIMIT: int
    SPEC_CPU_LIMIT: int
    SPEC_MEMORY_LIMIT: int


@dataclass(frozen=True)
class ScmOptions:
    """Bounds and permissions. Sizes are bytes, times are seconds.

    Attributes:
        allowed_prefixes: Scm urls that may be submitted begin with one of them.
        allow_custom: Any scm url may be submitted, whatever it begins with.
        allow_private: Repositories may lie on this machine and on private networks, whoever names
            them.
        trusted_prefixes: Repositories that begin with one of them may lie there in any case.
        component_prefixes: Repositories of components begin with one of them; empty: any may be
            read.
        default_branch: Ref of a component that names none.
        commit_on_branch: The revision submitted must be part of the branch submitted. Forges serve
            the commits of anybody's fork under the address of the original, so without this the
            allow-list says nothing about who wrote the commit.
        lookaside: Dist-git prefix -> address of its lookaside cache. An address without ``{`` gets
            ``/{package}/{file}/{hashtype}/{hash}/{file}`` appended.
        safe_directories: Repositories of other users of this machine that ``file://`` urls may read
            (git's ``safe.directory``; ``*`` means all).
        workers: Components that are looked at at the same time.
        timeout: For all that git does about one repository.
        deadline: For reading the repositories of all components of one module.
        attempts: Times that a network fault is met before it counts.
        http_timeout: For one request to a lookaside cache.
        max_pack: What one repository may take on disk.
        max_memory: Address space of one git process.
        max_listing: Git's list of refs, or of the files of one commit.
        max_modulemd: A modulemd file (``modulemd.md``, "Reading").
        max_spec: A spec file.
        max_sources: A ``sources`` file.
        spec_cpu: Processor time for one spec file.
        spec_memory: Address space of the process that reads spec files.
        spec_timeout: For one spec file, by the clock.
        spec_deadline: For all spec files of one module, by the clock.
        needs_dist: A spec file whose release lacks ``%dist`` is a fault; otherwise a warning.
        macros: Name -> value, known to spec files besides the built-in ones.
    """

    allowed_prefixes: tuple[str, ...] = ()
    allow_custom: bool = False
    allow_private: bool = False
    trusted_prefixes: tuple[str, ...] = ()
    component_prefixes: tuple[str, ...] = ()
    default_branch: str = "master"
    commit_on_branch: bool = True
    lookaside: Mapping[str, str] = field(default_factory=dict)
    safe_directories: tuple[str, ...] = ()
    workers: int = 8
    timeout: float = 60.0
    deadline: float = 300.0
    attempts: int = 2
    http_timeout: float = 10.0
    max_pack: int = 512 * MIB
    max_memory: int = 2048 * MIB
    max_listing: int = 32 * MIB
    max_modulemd: int = MIB
    max_spec: int = 4 * MIB
    max_sources: int = MIB
    spec_cpu: int = 5
    spec_memory: int = 512 * MIB
    spec_timeout: float = 15.0
    spec_deadline: float = 60.0
    needs_dist: bool = False
    macros: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_options(cls, options: Configured) -> Self:
        """What the configuration says about reading from git."""
        return cls(
            allowed_prefixes=options.SCMURLS,
            allow_custom=options.ALLOW_CUSTOM_SCMURLS,
            allow_private=options.ALLOW_PRIVATE_SCM_HOSTS,
            trusted_prefixes=(
                *options.SCMURLS,
                options.RPMS_DEFAULT_REPOSITORY,
                options.MODULES_DEFAULT_REPOSITORY,
            ),
            default_branch=options.DEFAULT_BRANCH,
            lookaside=options.LOOKASIDE_URLS,
            workers=options.SCM_PARALLEL,
            timeout=options.SCM_NET_TIMEOUT,
            max_pack=options.SCM_SIZE_LIMIT,
            spec_cpu=options.SPEC_CPU_LIMIT,
            spec_memory=options.SPEC_MEMORY_LIMIT,
        )
