"""Make the Koji build system from the service's configuration."""

from __future__ import annotations

from buildsys.koji.importing import ImportOptions
from buildsys.koji.options import KojiOptions
from buildsys.koji.session import Access
from buildsys.koji.system import KojiBuildSystem
from buildsys.koji.tags import TagOptions
from buildsys.options import SystemOptions


def koji_build_system(options: SystemOptions) -> KojiBuildSystem:
    """Return the Koji build system, without calling the hub.

    Raises:
        mbs.errors.ConfigurationError: The Koji profile does not exist.
    """
    return KojiBuildSystem(koji_options(options))


def koji_options(options: SystemOptions) -> KojiOptions:
    """Return the options about Koji from the service's configuration."""
    return KojiOptions(
        access=Access(
            config=options.KOJI_CONFIG,
            profile=options.KOJI_PROFILE,
            user=options.KOJI_USER,
            password=options.KOJI_PASSWORD,
            principal=options.KRB_PRINCIPAL,
            keytab=options.KRB_KEYTAB,
            ccache=options.KRB_CCACHE,
            timeout=options.NET_TIMEOUT,
            retry_interval=options.NET_RETRY_INTERVAL,
        ),
        priority=options.KOJI_BUILD_PRIORITY,
        macros_target=options.KOJI_BUILD_MACROS_TARGET,
        repository_url=options.KOJI_REPOSITORY_URL,
        tag_prefixes=options.KOJI_TAG_PREFIXES,
        tags=TagOptions(options.KOJI_TAG_PERMISSION, options.KOJI_TAG_EXTRA_OPTS),
        imports=ImportOptions(
            enabled=options.KOJI_ENABLE_CONTENT_GENERATOR,
            devel=options.KOJI_CG_DEVEL_MODULE,
            tag=options.KOJI_CG_TAG_BUILD,
            template=options.KOJI_CG_BUILD_TAG_TEMPLATE,
            default=options.KOJI_CG_DEFAULT_BUILD_TAG,
        ),
        limits_arches=options.ALLOW_ARCH_OVERRIDE,
        base_modules=options.BASE_MODULE_NAMES,
        disttag_prefixes=(options.DEFAULT_DIST_TAG_PREFIX,),
    )
