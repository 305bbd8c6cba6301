"""Which hosts git may reach: an address that a stranger chose must lie on the public internet.

Otherwise a user who may name a repository could have the service talk to its own machine, to the network
behind it, and to the metadata services of clouds. A name is resolved once, here; git gets the addresses that
were checked, so that a second answer of the same name server (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import shlex
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from mbs.errors import ConfigurationError
from scm.errors import ScmError
from scm.options import ScmOptions
from scm.urls import DEFAULT_PORTS, Address, has_prefix, parse_prefix

#: Global unicast (RFC 4291, 2.4), and the prefix by which IPv6-only hosts reach IPv4 (RFC 6052).
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Pin:
    """The addresses that git is to connect to, whatever a name server says by then.

    Attributes:
        address: Of the repository.
        found: Textual IP addresses of its host, all of them public.
    """

    address: Address
    found: Sequence[str]

    def config(self) -> str:
        """Lines of git's configuration.

        A proxy would resolve the name by itself, so none is used. ``http.curloptResolve`` needs git 2.37.
        """
        host, port = self.address.host, self.address.port or DEFAULT_PORTS[self.address.transport]
        if self.address.transport in ("http", "https"):
            return f"[http]\n\tproxy =\n\tcurloptResolve = {host}:{port}:{','.join(self.found)}\n"
        if self.address.transport == "git":
            base = "git://" + host + (f":{self.address.port}" if self.address.port else "") + "/"
            return f'[url "git://{_bracketed(self.found[0])}:{port}/"]\n\tinsteadOf = {base}\n'
        return ""

    def environment(self) -> dict[str, str]:
        """Variables for git: the name that a server of the git protocol is to be asked for."""
        return {"GIT_OVERRIDE_VIRTUAL_HOST": self.address.host} if self.address.transport == "git" else {}

    def ssh_options(self) -> str:
        """Options for ssh, quoted for a shell: connect to the address, and check the key of the name."""
        host, port = self.address.host, self.address.port
        alias = f"[{host}]:{port}" if port else host
        options = (f"-oHostName={self.found[0]}", f"-oHostKeyAlias={alias}", "-oProxyCommand=none")
        return " ".join(map(shlex.quote, options))


def pin(address: Address, options: ScmOptions) -> Pin | None:
    """Check where a repository lies.

    Returns:
        The addresses to connect to; None where the operator trusts the place, by a prefix or
        because private hosts are allowed.

    Raises:
        ScmError: ``address_not_public`` when it is this machine or one of a private network,
            ``repository_unreachable`` when its host has no address.
    """
    if options.allow_private or _trusted(address, options.trusted_prefixes):
        return None
    if address.transport == "file":
        raise _not_public(address)
    host = address.host.strip("[]")
    found = _resolved(address, host, options.timeout)
    if not found or not all(map(is_public, found)):
        raise _not_public(address)
    return Pin(address, found)


def is_public(text: str) -> bool:
    """Return whether an IP address is one of the public internet."""
    ip = ip_address(text.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast and not ip.is_reserved
    inner = _embedded(ip)
    if inner is not None:
        return is_public(str(inner))
    return ip in _UNICAST and ip.is_global


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def _trusted(address: Address, prefixes: Sequence[str]) -> bool:
    """Whether an operator named the place. A prefix without a host names none."""
    return has_prefix(address, [prefix for prefix in prefixes if _names_place(prefix)])


def _names_place(prefix: str) -> bool:
    try:
        parsed = parse_prefix(prefix)
    except ConfigurationError:
        # The allow-list complains about it where it counts.
        return False
    return bool(parsed.host) or parsed.transport == "file"


def _resolved(address: Address, host: str, seconds: float) -> list[str]:
    """The addresses of a host, as git would find them. A name server may take longer than git has."""
    port = address.port or DEFAULT_PORTS[address.transport]
    answers: list[list[str]] = []
    faults: list[OSError] = []

    def resolve() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.append(list(dict.fromkeys(str(info[4][0]) for info in infos)))
        except (OSError, UnicodeError) as error:
            faults.append(error if isinstance(error, OSError) else OSError(str(error)))

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(seconds)
    if answers:
        return answers[0]
    said = faults[0].strerror or str(faults[0]) if faults else f"no answer within {seconds:g} seconds"
    raise ScmError(
        f"The repository {address.url} cannot be read: its host cannot be resolved: {said}.",
        code="repository_unreachable",
        tried=f"the address of {host}",
        hint="Check the address; or try again later.",
    )


def _not_public(address: Address) -> ScmError:
    return ScmError(
        f"The repository {address.url} does not lie on a public host.",
        code="address_not_public",
        hint="Use a repository on the internet, or one under an address that the service's operator allows "
        "(ALLOW_PRIVATE_SCM_HOSTS allows all).",
    )


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
