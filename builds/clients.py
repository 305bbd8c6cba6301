"""Recognize a client by its address."""

from __future__ import annotations

import ipaddress

#: Bits of an IPv6 address that a provider assigns to one customer (RFC 6177).
_IPV6_PREFIX = 64


def client_at(text: str) -> str:
    """Return the client with an address: the address, or the network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if address.version == 6 and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    if address.version == 6 and not address.is_loopback:
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)
