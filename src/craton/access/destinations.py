"""Where Craton may call out to: the operator's allow-list, and which addresses a name may lead to."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from craton.core.errors import InvalidRequest, OutgoingRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address as seen from an IPv6-only network
METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)")  # 2130706433, 0x7f.1, 127.1: resolvers read addresses
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")


class _Rule(Struct, frozen=True):
    """scheme None: any; port None: the scheme's own. private: the name may lead to a private or loopback address."""

    host: str
    port: int | None
    scheme: str | None
    private: bool

    def allows(self, scheme: str, host: str, port: int) -> bool:
        named = host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host
        return named and self.scheme in {None, scheme} and port == (self.port or DEFAULT_PORTS[scheme])


class Destinations:
    """The allow-list. Empty: nothing may be called.

    Entries: "host" (ports 80 and 443), "host:port", "*.example.com" (its subdomains): these must lead to public
    addresses. "http://host:port" is that one place, which may also be private or on this machine; "10.0.0.0/8" is
    every address in it, on any port.
    """

    def __init__(self, allow: Sequence[str]) -> None:
        """Raises InvalidRequest for an entry that cannot be read."""
        self._networks: list[Network] = []
        self._rules: list[_Rule] = []
        for entry in allow:
            network = _network(entry)
            if network is not None:
                self._networks.append(network)
            else:
                self._rules.append(_rule(entry))

    def check(self, scheme: str, host: str, port: int | None) -> None:
        """Raises OutgoingRefused unless the list has this place. Looks at the name only."""
        plain = _plain(host)
        if scheme not in DEFAULT_PORTS:
            raise OutgoingRefused(host, "Only http and https are spoken.")
        if self._find(scheme, plain, port or DEFAULT_PORTS[scheme]) is None and not self._in_networks(literal(plain)):
            raise OutgoingRefused(host, "The operator can add it to the list of allowed outgoing hosts.")

    def check_address(self, host: str, port: int, address: Address) -> None:
        """Raises OutgoingRefused unless this place may be at this address."""
        plain = _plain(host)
        if is_public(address) or self._in_networks(address) or literal(plain) == address:
            return
        rules = (self._find(scheme, plain, port) for scheme in DEFAULT_PORTS)
        named = any(rule is not None and rule.private for rule in rules)
        if named and not _never(address):
            return
        raise OutgoingRefused(host, 'It leads to an address that is not public; allow it as "http://host:port".')

    def _find(self, scheme: str, host: str, port: int) -> _Rule | None:
        matching = [rule for rule in self._rules if rule.allows(scheme, host, port)]
        return max(matching, key=lambda rule: rule.private, default=None)

    def _in_networks(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def literal(host: str) -> Address | None:
    """The address that host spells in the usual way, or None."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether the address is an ordinary one of the public internet; addresses that wrap another one are not."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if _wraps(address) or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or _never(address))


def _wraps(address: ipaddress.IPv6Address) -> bool:
    return bool(address.ipv4_mapped or address.sixtofour or address.teredo)


def _never(address: Address) -> bool:
    """Addresses that a name never leads to on purpose; the cloud's metadata services first of all."""
    if isinstance(address, ipaddress.IPv6Address) and _wraps(address):
        return True
    return address in METADATA or address.is_link_local or address.is_multicast or address.is_unspecified


def _plain(host: str) -> str:
    """Lower case, without brackets and the root's dot. Refuses numbers that only some resolvers read as addresses."""
    plain = host.lower().removeprefix("[").removesuffix("]").removesuffix(".")
    if literal(plain) is None and (not _NAME.fullmatch(plain) or _NUMERIC.fullmatch(plain)):
        raise OutgoingRefused(host, "It is not a host name.")
    return plain


def _network(entry: str) -> Network | None:
    if not re.fullmatch(r"[0-9a-fA-F:.]+/[0-9]{1,3}", entry):
        return None
    try:
        return ipaddress.ip_network(entry)
    except ValueError as error:
        raise InvalidRequest(f"{entry!r} is not a network", "allow") from error


def _rule(entry: str) -> _Rule:
    scheme, separator, rest = entry.rpartition("://")
    try:
        if re.search(r"[^!-~]", entry):  # urlsplit would drop line ends and tabs without a word
            raise ValueError("not plain ASCII")
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
        plain = "*." + _plain(host[2:]) if host.startswith("*.") else _plain(host)
    except (ValueError, OutgoingRefused) as error:
        raise InvalidRequest(f"{entry!r} is not a host", "allow") from error
    whole = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    if not whole or (separator and (scheme not in DEFAULT_PORTS or plain.startswith("*."))):
        raise InvalidRequest(f"{entry!r} is not a host, host:port, *.domain, network or http(s)://host:port", "allow")
    return _Rule(plain, port, scheme or None, private=bool(separator))
