"""Options for reading from git, which the caller passes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

MIB = 1024 * 1024


class Configured(Protocol):
    """The options of the service's configuration about git and spec files; see ``config.schema``."""

    SCMURLS: tuple[str, ...]
    ALLOW_CUSTOM_SCMURLS: bool
    ALLOW_PRIVATE_SCM_HOSTS: bool
    RPMS_DEFAULT_REPOSITORY: str
    MODULES_DEFAULT_REPOSITORY: str
    DEFAULT_BRANCH: str
    LOOKASIDE_URLS: Mapping[str, str]
    SCM_PARALLEL: int
    SCM_NETWORK: bool
    SCM_NET_TIMEOUT: float
    SCM_SIZE_LIMIT: int
    SPEC_CPU_LIMIT: int
    SPEC_MEMORY_LIMIT: int


@dataclass(frozen=True)
class ScmOptions:
    """Limits and permissions. Sizes are in bytes, times in seconds.

    Attributes:
        allowed_prefixes: Prefixes of scm urls that may be submitted.
        allow_custom: Allow any scm url to be submitted.
        allow_private: Allow repositories on this machine and in private networks.
        trusted_prefixes: Prefixes of repositories that may be there in any case.
        network: Allow repositories that are not on this machine.
        component_prefixes: Prefixes of repositories of components; empty for any.
        default_branch: Ref of components without one.
        commit_on_branch: Require that the submitted revision is on the submitted branch. Forges serve
            commits of every fork under the address of the original, so without this check the allow-list
            does not restrict who wrote the commit.
        lookaside: Dist-git prefix -> address of its lookaside cache.
            ``/{package}/{file}/{hashtype}/{hash}/{file}`` is appended to an address without ``{``.
        safe_directories: Repositories of other local users that ``file://`` urls may read (git's
            ``safe.directory``; ``*`` for all).
        workers: Components to check concurrently.
        timeout: For all git commands on one repository.
        deadline: For reading the repositories of all components of one module.
        attempts: Attempts before a network fault is reported.
        http_timeout: For one request to a lookaside cache.
        max_pack: Size of one repository on disk.
        max_memory: Address space of one git process.
        max_listing: git's list of refs, or of the files of one commit.
        max_modulemd: A modulemd file (docs/contract/modulemd.md, "Reading").
        max_spec: A spec file.
        max_sources: A ``sources`` file.
        spec_cpu: Processor time for one spec file.
        spec_memory: Address space of the process that reads spec files.
        spec_timeout: Wall-clock time for one spec file.
        spec_deadline: Wall-clock time for all spec files of one module.
        needs_dist: Treat a release without ``%dist`` as a fault instead of a warning.
        macros: Name -> value of macros for spec files besides the built-in ones.
    """

    allowed_prefixes: tuple[str, ...] = ()
    allow_custom: bool = False
    allow_private: bool = False
    trusted_prefixes: tuple[str, ...] = ()
    network: bool = True
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
        """Read the options from the service's configuration."""
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
            network=options.SCM_NETWORK,
            lookaside=options.LOOKASIDE_URLS if options.SCM_NETWORK else {},
            workers=options.SCM_PARALLEL,
            timeout=options.SCM_NET_TIMEOUT,
            max_pack=options.SCM_SIZE_LIMIT,
            spec_cpu=options.SPEC_CPU_LIMIT,
            spec_memory=options.SPEC_MEMORY_LIMIT,
        )
