"""Run a local build."""

from __future__ import annotations

import getpass
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from mbs.client.demo.command import while_service_runs
from mbs.client.demo.service import LOG_FILE, service
from mbs.client.display import follow
from mbs.client.local import earlier_builds
from mbs.client.local.plan import PLATFORM, LocalBuildRequest, Plan, host_platform, make_plan
from mbs.client.rest import Client
from mbs.client.snapshot import Build
from mbs.client.watching import watch

#: Folder of the results, as in MBS 3.9.2.
ROOT = Path("~/modulebuild/builds")
#: Seconds between two requests.
INTERVAL = 0.5
#: Options of the service for this build, which override the user's configuration.
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
  description: Represents the packages installed on the machine of a local build.
  license: {{module: [MIT]}}
  profiles:
    buildroot: {{rpms: [bash, coreutils, gcc, make, rpm-build]}}
    srpm-buildroot: {{rpms: [bash, rpm-build]}}
  xmd: {{mbs: {{mse: "true"}}}}
"""

Say = Callable[[str], None]


def build_locally(request: LocalBuildRequest, *, say: Say, progress: TextIO, root: Path = ROOT) -> bool:
    """Build a module, and return whether all its builds became ready.

    Args:
        say: Called with lines that tell where results are.
        progress: Stream for the progress display.

    Raises:
        MBSError: The module cannot be built.
    """
    root = root.expanduser()
    plan = make_plan(request, host=host_platform())
    former = [earlier_builds.find(root, wanted) for wanted in request.add]
    root.mkdir(parents=True, exist_ok=True)
    stream = re.sub(r"[^\w.+-]", "_", plan.stream)
    data = Path(tempfile.mkdtemp(prefix=f"{plan.name}-{stream}-", dir=root))
    os.environ.update({**OWN, "MBS_DATA_DIR": str(data), "MBS_SYSTEM": os.environ.get("MBS_SYSTEM", "local")})
    say(f"All files of this build are in {data}; the service's log is {LOG_FILE}.")
    known = list(_imported_documents(data, plan, former))
    with (
        service(data, keep=False, modules=known) as mine,
        Client(mine.ready().base_url, owner=getpass.getuser()) as client,
    ):
        ids = [int(build["id"]) for build in client.submit(plan.body)]
        last = follow(while_service_runs(data, watch(client, ids, interval=INTERVAL)), progress)
        for build in last.builds:
            _tell(client, build, data, say)
    return last.succeeded


def _imported_documents(
    data: Path, plan: Plan, former: Sequence[earlier_builds.EarlierBuild]
) -> Iterator[Path]:
    """Yield the documents to import: base modules, and earlier builds, whose RPMs are copied."""
    for number, stream in enumerate(plan.platforms):
        path = data / f"{PLATFORM}{number}.yaml"
        path.write_text(_BASE_MODULE.format(name=PLATFORM, stream=json.dumps(stream)))
        yield path
    for each in former:
        earlier_builds.copy_repository(each, data)
        yield each.document


def _tell(client: Client, build: Build, data: Path, say: Say) -> None:
    say(f"{build.nsvc} is {build.state.word}{f': {build.reason}' if build.reason else ''}")
    if not build.succeeded:
        return
    document = str(client.build(build.id, verbose=True)["modulemd"])
    say(f"  document    {earlier_builds.save(data, build.nsvc, document, build.tag)}")
    repository = earlier_builds.repository(data, build.tag)
    if repository.is_dir():
        say(f"  repository  {repository}")
