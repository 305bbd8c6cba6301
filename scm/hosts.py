"""Allow git to connect only to public hosts, unless an operator trusts the address.

Otherwise a user could have the service connect to its own machine, to private networks, and to the metadata
services of clouds. A host name is resolved once, here. git connects to the addresses that were checked, so a
different answer to a second lookup (DNS rebinding) has no effect.
"""

from __future__ import annotations

import shlex
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from mbs.errors import ConfigurationError
from scm.errors import TOO_SLOW, ScmError
from scm.options import ScmOptions
from scm.urls import DEFAULT_PORTS, Address, has_prefix, parse_prefix

#: Global unicast (RFC 4291, section 2.4), and the prefix by which IPv6-only hosts reach IPv4 (RFC 6052).
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Pin:
    """The checked addresses that git connects to, instead of resolving the host again.

    Attributes:
        address: Address of the repository.
        found: Public IP addresses of its host, as text.
    """

    address: Address
    found: Sequence[str]

    def config(self) -> str:
        """Return lines of git's configuration.

        A proxy would resolve the name itself, so none is used. ``http.curloptResolve`` needs git 2.37.
        """
        host, port = self.address.host, self.address.port or DEFAULT_PORTS[self.address.transport]
        if self.address.transport in ("http", "https"):
            return f"[http]\n\tproxy =\n\tcurloptResolve = {host}:{port}:{','.join(self.found)}\n"
        if self.address.transport == "git":
            base = "git://" + host + (f":{self.address.port}" if self.address.port else "") + "/"
            return f'[url "git://{_bracketed(self.found[0])}:{port}/"]\n\tinsteadOf = {base}\n'
        return ""

    def environment(self) -> dict[str, str]:
        """Return environment variables for git: the host name to send in the git protocol."""
        return {"GIT_OVERRIDE_VIRTUAL_HOST": self.address.host} if self.address.transport == "git" else {}

    def ssh_options(self) -> str:
        """Return options for ssh, quoted for a shell: the address, and whose key to expect."""
        host, port = self.address.host, self.address.port
        alias = f"[{host}]:{port}" if port else host
        options = (f"-oHostName={self.found[0]}", f"-oHostKeyAlias={alias}", "-oProxyCommand=none")
        return " ".join(map(shlex.quote, options))


def pin(address: Address, options: ScmOptions) -> Pin | None:
    """Resolve a repository's host and check that all its addresses are public.

    Returns:
        The addresses to connect to. None if the operator trusts the address by a prefix or allows private
            hosts.

    Raises:
        ScmError: ``address_not_public``: the host is this machine or in a private network.
            ``repository_unreachable``: the host cannot be resolved. ``network_not_allowed``.
    """
    if address.transport != "file" and not options.network:
        raise ScmError(
            f"The repository {address.url} is not on this machine, and the network is not used.",
            code="network_not_allowed",
            hint="Name a repository on this machine (file:///...), or with `mbs local` a source RPM: "
            "--srpm PACKAGE=FILE.",
        )
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
    """Return whether an IP address belongs to the public internet."""
    ip = ip_address(text.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast and not ip.is_reserved
    inner = _embedded(ip)
    if inner is not None:
        return is_public(str(inner))
    return ip in _UNICAST and ip.is_global


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address contains."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def _trusted(address: Address, prefixes: Sequence[str]) -> bool:
    """Return whether an operator's prefix names the host or path. A prefix without a host does not count."""
    return has_prefix(address, [prefix for prefix in prefixes if _names_place(prefix)])


def _names_place(prefix: str) -> bool:
    try:
        parsed = parse_prefix(prefix)
    except ConfigurationError:
        # The check of the allow-list reports the invalid prefix.
        return False
    return bool(parsed.host) or parsed.transport == "file"


def _resolved(address: Address, host: str, seconds: float) -> list[str]:
    """Return the addresses of a host, as git would resolve them, within some seconds."""
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
    said = faults[0].strerror or str(faults[0]) if faults else f"no answer within {seconds:.3g} seconds"
    raise ScmError(
        f"The repository {address.url} cannot be read: its host cannot be resolved: {said}.",
        code="repository_unreachable" if faults else TOO_SLOW,
        tried=f"the address of {host}",
        hint="Check the address; or try again later.",
    )


def _not_public(address: Address) -> ScmError:
    return ScmError(
        f"The repository {address.url} is not on a public host.",
        code="address_not_public",
        hint="Use a repository on the internet, or one under an address that the service's operator allows "
        "(ALLOW_PRIVATE_SCM_HOSTS allows all).",
    )


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
