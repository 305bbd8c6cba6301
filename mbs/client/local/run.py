"""A local build from beginning to end."""

from __future__ import annotations

import getpass
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from mbs.client.demo.command import while_it_runs
from mbs.client.demo.service import LOG_FILE, service
from mbs.client.display import follow
from mbs.client.local import earlier
from mbs.client.local.plan import PLATFORM, Plan, Wish, host_platform, make_plan
from mbs.client.rest import Client
from mbs.client.snapshot import Build
from mbs.client.watching import watch

#: Where results lie, as with the reference service.
ROOT = Path("~/modulebuild/builds")
#: seconds between two looks
INTERVAL = 0.5
#: What a service for one build is, whatever the configuration says that the user has for others.
OWN = {
    "MBS_DATABASE_URL": "sqlite:///mbs.sqlite3",
    "MBS_MESSAGING": "log",
    "MBS_NO_AUTH": "true",
    "MBS_YAML_SUBMIT_ALLOWED": "true",
}
_BASE_MODULE = """\
document: modulemd
version: 2
data:
  name: {name}
  stream: {stream}
  version: 1
  context: "00000000"
  summary: The packages of this machine
  description: Stands for what a local build finds installed.
  license: {{module: [MIT]}}
  profiles:
    buildroot: {{rpms: [bash, coreutils, gcc, make, rpm-build]}}
    srpm-buildroot: {{rpms: [bash, rpm-build]}}
  xmd: {{mbs: {{mse: "true"}}}}
"""

Say = Callable[[str], None]


def build_locally(wish: Wish, *, say: Say, progress: TextIO, root: Path = ROOT) -> bool:
    """Build a module; answers whether all its builds became ready.

    Args:
        say: Is told, as lines, where things lie.
        progress: Shows what is going on.

    Raises:
        MBSError: It cannot be built.
    """
    root = root.expanduser()
    plan = make_plan(wish, host=host_platform())
    former = [earlier.find(root, wanted) for wanted in wish.add]
    root.mkdir(parents=True, exist_ok=True)
    stream = re.sub(r"[^\w.+-]", "_", plan.stream)
    data = Path(tempfile.mkdtemp(prefix=f"{plan.name}-{stream}-", dir=root))
    os.environ.update({**OWN, "MBS_DATA_DIR": str(data), "MBS_SYSTEM": os.environ.get("MBS_SYSTEM", "local")})
    say(f"Everything about this build is in {data}; the log of the service is {LOG_FILE}.")
    known = list(_known(data, plan, former))
    with (
        service(data, keep=False, modules=known) as mine,
        Client(mine.ready().base_url, owner=getpass.getuser()) as client,
    ):
        ids = [int(build["id"]) for build in client.submit(plan.body)]
        last = follow(while_it_runs(data, watch(client, ids, interval=INTERVAL)), progress)
        for build in last.builds:
            _tell(client, build, data, say)
    return last.succeeded


def _known(data: Path, plan: Plan, former: Sequence[earlier.Earlier]) -> Iterator[Path]:
    """The documents of what the module is built on: base modules, and former builds with their RPMs."""
    for number, stream in enumerate(plan.platforms):
        path = data / f"{PLATFORM}{number}.yaml"
        path.write_text(_BASE_MODULE.format(name=PLATFORM, stream=json.dumps(stream)))
        yield path
    for each in former:
        earlier.take_up(each, data)
        yield each.document


def _tell(client: Client, build: Build, data: Path, say: Say) -> None:
    say(f"{build.nsvc} is {build.state.word}{f': {build.reason}' if build.reason else ''}")
    if not build.succeeded:
        return
    document = str(client.build(build.id, verbose=True)["modulemd"])
    say(f"  document    {earlier.keep(data, build.nsvc, document, build.tag)}")
    repository = earlier.repository(data, build.tag)
    if repository.is_dir():
        say(f"  repository  {repository}")
