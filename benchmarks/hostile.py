"""Measure the cost of hostile connections: the server's memory and the delay of other requests.

    python -m benchmarks.hostile                      1,000 connections of each kind
    python -m benchmarks.hostile --only bodies        one kind
    python -m benchmarks.hostile --connections 100    fewer

The benchmark starts PostgreSQL and a web server with two workers, and fills the database. For each kind, it
opens the connections, requests the default list repeatedly from another process, and closes the connections.
``MiB`` is the memory (RSS) of the server's processes: before, the maximum while the connections are open,
and per connection. ``ms`` are the median and maximum times of the other requests.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from benchmarks.server import ASGI, ROOT, Server, service

#: A file of more than one MiB.
STATIC = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
PAGE = f"{ROOT}/module-builds/?verbose=1&per_page=100"
MOST_NUMBERS = "s0+1-19000.c0+1-19000.l0+1-19000.b0"


def _get(path: str, port: int, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def _post(port: int, size: int, sent: int) -> bytes:
    head = f"POST {ROOT}/module-builds/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + bytes(sent)


#: Data that a connection of each kind sends. It reads nothing and stays open.
KINDS: dict[str, Callable[[int], bytes]] = {
    "idle": lambda port: b"",
    "half-sent heads": lambda port: _get("/", port)[:-2] + b"X-Filler: " + b"x" * 20_000,
    "bodies": lambda port: _post(port, 1 << 18, (1 << 18) - 1),
    "bodies of 8 KiB": lambda port: _post(port, 1 << 13, (1 << 13) - 1),
    "readers of files": lambda port: _get(STATIC, port),
    "readers of pages": lambda port: _get(PAGE, port),
    "requests ahead": lambda port: _get("/health/live", port) * 4000,
    "watchers": lambda port: _get(
        f"{ROOT}/module-builds/7/events", port, f"Last-Event-ID: {MOST_NUMBERS}", "Connection: close"
    ),
}


async def attack(port: int, data: bytes) -> socket.socket | None:
    """Open a connection that sends data and reads nothing; return None if the server closed it."""
    loop = asyncio.get_running_loop()
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        await loop.sock_connect(connection, ("127.0.0.1", port))
        async with asyncio.timeout(30):
            await loop.sock_sendall(connection, data)
    # The server reads no more, and the connection stays open.
    except TimeoutError:
        return connection
    except OSError:
        connection.close()
        return None
    return connection


def processes(server: Server) -> Iterator[psutil.Process]:
    """Yield the server's processes."""
    first = psutil.Process(server.pid)
    yield first
    yield from first.children(recursive=True)


def memory(server: Server) -> float:
    """Return the MiB of all processes of the server."""
    return sum(int(process.memory_info().rss) for process in processes(server)) / 2**20


def ask(port: int, seconds: float) -> None:
    """Request the default list for some seconds; print the milliseconds of each request."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(_get(f"{ROOT}/module-builds/", port, "Connection: close"))
            answer = b"".join(iter(lambda: connection.recv(1 << 18), b""))
        if b" 200 " not in answer[:20]:
            raise SystemExit(f"An ordinary request got: {answer[:200]!r}")
        print((time.perf_counter() - started) * 1e3)
        time.sleep(0.02)


async def _open(port: int, data: bytes, arguments: argparse.Namespace) -> list[socket.socket | None]:
    """Open the connections at a limited rate, since a flood would measure the machine's bandwidth."""
    attacks = []
    for _ in range(arguments.connections):
        attacks.append(asyncio.create_task(attack(port, data)))
        await asyncio.sleep(1 / arguments.rate)
    return list(await asyncio.gather(*attacks))


async def measure(kind: str, server: Server, arguments: argparse.Namespace) -> None:
    """Print one row of the table."""
    data = KINDS[kind](server.port)
    before = most = memory(server)
    command = [sys.executable, "-m", "benchmarks.hostile", f"--ask={server.port}"]
    honest = await asyncio.create_subprocess_exec(
        *command, f"--seconds={arguments.seconds}", stdout=subprocess.PIPE
    )
    await asyncio.sleep(0.5)
    opening = asyncio.create_task(_open(server.port, data, arguments))
    output = asyncio.create_task(honest.communicate())
    while not (output.done() and opening.done()):
        await asyncio.sleep(0.1)
        most = max(most, memory(server))
    connections = [each for each in await opening if each]
    times = sorted(map(float, (await output)[0].split()))
    for connection in connections:
        connection.close()
    await asyncio.sleep(arguments.pause)
    cost = (most - before) * 1024 / arguments.connections
    print(
        f"{kind:20} {before:8.0f} {most:8.0f} {cost:14.1f} {memory(server):8.0f}"
        f" {len(times):7} {statistics.median(times):8.1f} {times[-1]:8.1f}",
        flush=True,
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=100, help="connections opened in a second")
    parser.add_argument("--seconds", type=float, default=20, help="for each kind")
    parser.add_argument("--pause", type=float, default=3, help="seconds between two kinds")
    parser.add_argument("--only", default="", help="kinds that match this regular expression")
    parser.add_argument("--keep", type=Path, help="folder for a database that stays")
    parser.add_argument("--ask", type=int, metavar="PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        return ask(arguments.ask, arguments.seconds)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("$ python -m benchmarks.hostile", *sys.argv[1:], flush=True)
    with service(arguments.keep, 500, 10, ASGI) as server:
        for _ in range(20):
            server.get("/module-builds/")
        print(f"{'MiB and ms':20} {'before':>8} {'most':>8} {'KiB each':>14} {'after':>8}", end="")
        print(f" {'asked':>7} {'median':>8} {'longest':>8}", flush=True)
        for kind in KINDS:
            if re.search(arguments.only, kind):
                asyncio.run(measure(kind, server, arguments))


if __name__ == "__main__":
    main()
