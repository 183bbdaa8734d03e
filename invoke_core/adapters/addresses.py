"""Which network addresses no target may have.

A service that sends requests for others is a way into the network it runs in: to its own
loopback, to the metadata endpoints of the cloud. Names can be pointed anywhere by whoever owns
them, so what is judged here is the address a connection is about to be made to.

Source: HTTP contract, section 7 ("The address actually connected to is judged at every hop").
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFUSED_V4: Final = {
    IPv4Network("0.0.0.0/8"): "an address of this machine",
    IPv4Network("127.0.0.0/8"): "a loopback address",
    IPv4Network("169.254.0.0/16"): "a link-local address, where cloud metadata is served",
    IPv4Network("168.63.129.16/32"): "the address of the Azure platform",
    IPv4Network("192.0.0.0/24"): "an address of a protocol's own",
    IPv4Network("224.0.0.0/4"): "a multicast address",
    IPv4Network("240.0.0.0/4"): "a reserved address",
}

_REFUSED_V6: Final = {
    IPv6Network("::1/128"): "a loopback address",
    IPv6Network("fe80::/10"): "a link-local address",
    IPv6Network("ff00::/8"): "a multicast address",
    # Where in such an address the IPv4 address stands is for the network's operator to choose
    # (RFC 8215, RFC 6052 section 2.2): it cannot be judged, so none of them is connected to.
    IPv6Network("64:ff9b:1::/48"): "a translated address that cannot be judged",
}

_CARRIES_V4_LAST: Final = (
    IPv6Network("::/96"),  # IPv4-compatible, RFC 4291 section 2.5.5.1; `::` and `::1` too
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped, RFC 4291 section 2.5.5.2
    IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated, RFC 2765 section 2.1
    IPv6Network("64:ff9b::/96"),  # NAT64, RFC 6052 section 2.1
)
"""Networks whose addresses end in an IPv4 address that traffic goes on to."""


def refusal(address: str) -> str | None:
    """Tell why an address may not be connected to.

    Args:
        address: An IPv4 or IPv6 address in text form, with or without a zone (``%eth0``).

    Returns:
        What kind of address it is, as words for a sentence; None where it may be connected to.
        Private ranges may: reaching them is the administrator's choice.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an address"
    if isinstance(parsed, IPv4Address):
        return _among(parsed, _REFUSED_V4)
    for carried in _carried(parsed):
        why = _among(carried, _REFUSED_V4)
        if why is not None:
            return f"{why} ({carried}) in another form"
    return _among(parsed, _REFUSED_V6)


def _carried(address: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses an IPv6 address wraps."""
    if address in IPv6Network("::1/128"):
        return []  # It has a better name than 0.0.0.1.
    if any(address in network for network in _CARRIES_V4_LAST):
        return [IPv4Address(address.packed[-4:])]
    if address.sixtofour is not None:
        return [address.sixtofour]
    # Teredo names a server and a client; packets go by way of the one to the other.
    return list(address.teredo or ())


def _among(
    address: IPv4Address | IPv6Address,
    networks: Mapping[IPv4Network, str] | Mapping[IPv6Network, str],
) -> str | None:
    return next((kind for network, kind in networks.items() if address in network), None)
