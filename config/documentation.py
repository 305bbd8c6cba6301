"""The page of the documentation about the configuration, made from the schema."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from config import legacy
from config.describe import described, plain
from config.files import attributes, built_in
from config.sections import SECTIONS

_INTRODUCTION = """\
<!-- Made by `mbs-manager config --defaults`: edit config/schema.py or config/documentation.py instead. -->
# Configuration

`mbs-manager config` prints the value of every option in effect, its meaning, and where the value came
from. Without a configuration file the service runs for developers, on this machine alone.

## The file

`/etc/module-build-service/config.py` is a Python module. Its classes are sections, and their upper-case
attributes are options; a section inherits from another as Python classes do. The file is executed: only
who may change the service itself may be able to write it. An option set to `None` is as if it were not
there. Start no process from the file's own folder: Celery and Python look there first, and would take it
for the service's package of the same name.

```python
class ProdConfiguration:
    SECRET_KEY = "a long random text: python3 -c 'import secrets; print(secrets.token_hex(32))'"
    DATABASE_URL = "postgresql://mbs:password@db.example.com/mbs"
    BASE_URL = "https://mbs.example.com"
    SCMURLS = ["https://src.example.com/modules/"]
```

A section of a file stands on the defaults below and on nothing else. It may build on a built-in one:
`from config.sections import DevConfiguration`. A configuration written for the reference service works
here: what has another name or no meaning is accepted with a warning. An unknown option, a wrong value,
and an option that must be set and is not, stop the start; all of them are reported at once.

## Which section is used

| what is the case | file | section |
|---|---|---|
| a test run (`pytest`, `manage.py test`) | none | test |
| else, `MODULE_BUILD_SERVICE_DEVELOPER_ENV` is 1, on, true, y or yes | none | dev |
| else, `MBS_CONFIG_FILE` names a file | that file | prod |
| else, it is not set and `/etc/module-build-service/config.py` exists | that file | prod |
| else, the service runs under mod_wsgi | none | prod |
| else | none | dev |

`MBS_CONFIG_SECTION` replaces the section in every row: it is a name of the table of built-in sections, or
that of a class in the file. An empty `MBS_CONFIG_FILE` means no file. `mbs up` uses standalone.

Every option can also be given in the environment, which wins over the file:
`MBS_NUM_CONCURRENT_BUILDS=10`. Lists and mappings are written as JSON:
`MBS_SCMURLS='["https://src.example.com/modules/"]'`. A variable that is nearly the name of an option
stops the start too; others are left alone.
"""

_SECTIONS = """
## Built-in sections

What they change. `DATA_DIR` is `.data` in a checkout, else `mbs` in `$XDG_DATA_HOME` or `~/.local/share`; the
secret key of dev and standalone is made once and kept there. Tests have the folder `test` in it.

| section | classes in a file | options |
|---|---|---|
"""

_OLD = """
## Options of the reference service

| option | in its place |
|---|---|
"""


def page() -> str:
    """The whole page, as Markdown."""
    return "".join([_INTRODUCTION, *_options(), _SECTIONS, *_sections(), _OLD, *_old()])


def _code(value: object) -> str:
    return "`" + repr(value).replace("|", "\\|") + "`"


def _options() -> Iterator[str]:
    for title, options in groupby(described(), lambda option: option.group):
        yield f"\n## {title}\n\n| option | type | default | meaning |\n|---|---|---|---|\n"
        for option in options:
            default = "must be set" if option.required else _code(option.default)
            yield f"| `{option.name}` | {option.type} | {default} | {option.meaning} |\n"


def _sections() -> Iterator[str]:
    order = [option.name for option in described()]
    for section, classes in SECTIONS.items():
        given = dict(attributes(built_in(section), None))
        changes = [
            f"`{name}` = {_code(plain(given[name].value))}"
            for name in sorted(given, key=order.index)
            if name != "DATA_DIR"
        ]
        yield f"| {section} | {', '.join(classes)} | {', '.join(changes) or 'the defaults'} |\n"


def _old() -> Iterator[str]:
    for name, new in legacy.RENAMED.items():
        yield f"| `{name}` | {new}, which takes its value |\n"
    for (name, value), new in legacy.VALUES.items():
        yield f"| `{name}` = {_code(value)} | {_code(new)} |\n"
    for name, instead in legacy.RETIRED.items():
        yield f"| `{name}` | {instead} |\n"
