"""Options for the use of a hub."""

from __future__ import annotations

from dataclasses import dataclass, field

from buildsys.koji.importing import ImportOptions
from buildsys.koji.session import Access
from buildsys.koji.tags import TagOptions


@dataclass(frozen=True)
class KojiOptions:
    """Options for the use of a hub; ``config.schema.Koji`` describes each."""

    access: Access
    priority: int = 0
    macros_target: str = ""
    repository_url: str = ""
    tag_prefixes: tuple[str, ...] = ("module", "scrmod")
    tags: TagOptions = field(default_factory=TagOptions)
    imports: ImportOptions = field(default_factory=ImportOptions)
    limits_arches: bool = False
    base_modules: tuple[str, ...] = ("platform",)
    disttag_prefixes: tuple[str, ...] = ("module+",)
