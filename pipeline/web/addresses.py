"""Which addresses may be asked: the address rule, and connections pinned to the address that was checked.

A URL comes from a stranger (a search result, a CSV file, a redirect), so it may point back into this computer or its
network. ``parse`` reads it strictly, ``resolve`` asks the name service once and refuses if any answer is not public,
and ``PinnedNetwork`` connects to one of those very answers: there is no second look-up that could say something else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote, unquote, urlsplit

import httpcore2 as httpcore
import idna

from pipeline.errors import BlockedAddress, NetworkError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver: TypeAlias = Callable[..., Iterable[tuple[Any, ...]]]

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL_CHARACTERS = 8_000
RESOLVER_THREADS = 8
ADDRESSES_TRIED = 4
HERE, LOCAL, PRIVATE, MANY = (
    "it is this computer itself",
    "it belongs to the local network",
    "it belongs to a private network",
    "it is a multicast address",
)
SPECIAL = "it is not a public address"
# What is never asked: IANA's registries of special-purpose addresses whole (also what they call reachable from
# everywhere: relays and sinks, where no picture lies), multicast, and what was given back (site-local).
SPECIAL_PURPOSE: tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str], ...] = tuple(
    (ipaddress.ip_network(network), reason)
    for reason, networks in (
        (HERE, ("0.0.0.0/8", "127.0.0.0/8", "::/128", "::1/128")),
        (LOCAL, ("169.254.0.0/16", "fe80::/10", "fec0::/10")),
        (PRIVATE, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")),
        (MANY, ("224.0.0.0/4", "ff00::/8")),
        (
            SPECIAL,
            (
                *("100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24"),
                *("192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
                *("240.0.0.0/4", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32"),
                *("2620:4f:8000::/48", "3fff::/20", "5f00::/16"),
            ),
        ),
    )
    for network in networks
)
# Every public IPv6 address there is lies here; the rest was never given to anybody.
GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
# Where an IPv4 address stands in an IPv6 one, and how many bits follow it.
EMBEDDED = tuple(
    (ipaddress.IPv6Network(network), bits_after)
    for network, bits_after in (
        ("::ffff:0:0/96", 0),  # mapped
        ("::ffff:0:0:0/96", 0),  # translated
        ("::/96", 0),  # compatible
        ("64:ff9b::/96", 0),  # NAT64
        ("2002::/16", 80),  # 6to4
    )
)
# The half of an ISATAP address that says what it is; an IPv4 address follows.
ISATAP = (0x00005EFE, 0x02005EFE)
URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.*)", re.S)
REST = re.compile(r"//(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?", re.S)
AUTHORITY = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<name>[^:\[\]@]+))(?::(?P<port>[0-9]{0,5}))?")
NAME_CHARACTERS = re.compile(r"[^\x00-\x20\x7f#%/:<>?@\[\\\]^|]+")
NUMBER = re.compile(r"(?P<hex>0[xX][0-9A-Fa-f]*)|(?P<octal>0[0-7]*)|(?P<decimal>[1-9][0-9]*)")

WEB_LINK = re.compile(r"https?://[^\x00-\x20/?#][^\x00-\x1f\x7f\ud800-\udfff]*", re.I)


class BlockedScheme(BlockedAddress):
    """The URL is not http or https."""


class UnknownHost(NetworkError):
    """The name service knows no address for this name, or cannot be asked."""


@dataclass(frozen=True)
class Target:
    """A URL, read strictly. ``host`` is a lower-case ASCII name or a canonical address; ``path`` is what is sent."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header: no port where it is the scheme's own."""
        return self._bracketed if self.port == DEFAULT_PORTS[self.scheme] else f"{self._bracketed}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in canonical form."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def host(url: str) -> str:
    """The site of a URL; empty where it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def check_address(ip: Address | str) -> str | None:
    """Why this address must not be asked, in words; None for a public one.

    An IPv4 address embedded in an IPv6 one (mapped, 6to4, ISATAP; translated, compatible and NAT64 ones are never
    public) must be public too.
    """
    address = ipaddress.ip_address(ip) if isinstance(ip, str) else ip
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return LOCAL
    for network, reason in SPECIAL_PURPOSE:
        if address.version == network.version and address in network:
            return reason
    if isinstance(address, ipaddress.IPv4Address):
        return None
    for trouble in filter(None, map(check_address, _embedded(address))):
        return trouble
    return None if address in GIVEN_OUT or address.ipv4_mapped else SPECIAL


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    number = int(address)
    found = [number >> bits_after for network, bits_after in EMBEDDED if address in network]
    if number >> 32 & 0xFFFFFFFF in ISATAP:
        found.append(number)
    return [ipaddress.IPv4Address(one & 0xFFFFFFFF) for one in found]


def parse(url: str) -> Target:
    """Read a URL strictly, so that nobody after us can read it differently.

    Raises BlockedScheme for anything but http and https, and BlockedAddress for a URL that is malformed or hides
    where it leads (user name, backslash, control characters).
    """
    text = url.strip(" \t\r\n")
    if len(text) > MAX_URL_CHARACTERS:
        raise BlockedAddress(f"The URL is longer than {MAX_URL_CHARACTERS:,} characters.")
    whole = URL.fullmatch(text)
    if not whole or whole["scheme"].lower() not in DEFAULT_PORTS:
        raise BlockedScheme("It does not begin with http:// or https://, and nothing else is fetched.")
    rest = REST.fullmatch(whole["rest"])
    if not rest or "\\" in rest["authority"] + rest["path"] or re.search(r"[\x00-\x1f\x7f]", text):
        raise BlockedAddress("The URL is malformed: it has characters that hide where it leads.")
    if "@" in rest["authority"]:
        raise BlockedAddress("The URL carries a user name or password; such URLs are not fetched.")
    scheme = whole["scheme"].lower()
    host, port = _host_and_port(rest["authority"], DEFAULT_PORTS[scheme])
    path = _quoted(rest["path"] or "/", "/:;=@&+$,!*'()~%") + _quoted(rest["query"] or "", "/?:;=@&+$,!*'()~%[]")
    return Target(scheme, host, port, path)


def _quoted(text: str, safe: str) -> str:
    return quote(text, safe=safe, errors="replace")


def _host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    match = AUTHORITY.fullmatch(authority)
    port = int((match and match["port"]) or default_port)
    if not match or not 0 < port < 65536:
        raise BlockedAddress(f"The URL is malformed: {authority[:80]!r} is not a server's name.")
    return (_ipv6(match["v6"]) if match["v6"] is not None else _name(match["name"])), port


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise BlockedAddress(f"The URL is malformed: [{text[:60]}] is not an IPv6 address.") from error
    if address.scope_id is not None:
        raise BlockedAddress("The URL leads into the local network, and only public addresses are fetched.")
    return str(address)


def _name(text: str) -> str:
    """The name in lower-case ASCII; what is a number in disguise (0x7f000001, 0177.1, １２７。1) as a plain address."""
    name = unquote(text)
    try:
        name = name if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise BlockedAddress(f"The URL is malformed: {text[:80]!r} is not a server's name.") from error
    name = name.lower().removesuffix(".")
    if not NAME_CHARACTERS.fullmatch(name) or any(not label for label in name.split(".")):
        raise BlockedAddress(f"The URL is malformed: {text[:80]!r} is not a server's name.")
    return _ipv4(name) if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]) else name


def _ipv4(text: str) -> str:
    """An IPv4 address in any of the forms of inet_aton: one to four numbers, decimal, octal or hexadecimal."""
    numbers = [_number(part) for part in text.split(".")]
    last = 256 ** (5 - len(numbers))
    if len(numbers) > 4 or None in numbers or any(n > 255 for n in numbers[:-1] if n) or (numbers[-1] or 0) >= last:
        raise BlockedAddress(f"The URL is malformed: {text[:80]!r} is not an address.")
    value = numbers[-1] or 0
    for place, number in enumerate(numbers[:-1]):
        value += (number or 0) << (24 - 8 * place)
    return str(ipaddress.IPv4Address(value))


def _number(text: str) -> int | None:
    match = NUMBER.fullmatch(text)
    if not match or len(text) > 40:
        return None
    return int(text[2:] or "0", 16) if match["hex"] else int(text, 8 if match["octal"] else 10)


def resolve(
    host: str, port: int, resolver: Resolver | None = None, allow_hosts: Collection[str] = ()
) -> tuple[str, ...]:
    """The addresses of ``host``, all of them public, in the resolver's order. Asks ``resolver`` (``getaddrinfo``)
    at most once.

    ``allow_hosts`` are exact ``host:port`` strings that are exempt (one's own server). Raises BlockedAddress if any
    address is not public, UnknownHost if there is none.
    """
    allowed = is_allowed(host, port, allow_hosts)
    if not allowed and (host == "localhost" or host.endswith(".localhost")):
        raise BlockedAddress(f"{host} is this computer itself, and only public addresses are fetched.")
    addresses = _literal(host) or _looked_up(host, port, resolver or socket.getaddrinfo)
    for address in () if allowed else addresses:
        if reason := check_address(address):
            leads = host if host == address else f"{host} leads to {address}"
            raise BlockedAddress(f"{leads}: {reason}. Only public addresses are fetched.")
    return addresses


def is_allowed(host: str, port: int, allow_hosts: Collection[str]) -> bool:
    """Whether exactly this host and port were exempted."""
    own = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return own in {entry.strip().lower() for entry in allow_hosts}


def _literal(host: str) -> tuple[str, ...]:
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return ()


def _looked_up(host: str, port: int, resolver: Resolver) -> tuple[str, ...]:
    try:
        answers = resolver(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        addresses = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
    except (OSError, UnicodeError) as error:
        raise UnknownHost(f"No address can be found for {host}: {error}.") from error
    if not addresses:
        raise UnknownHost(f"No address can be found for {host}.")
    return addresses


class PinnedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the address that was checked and to no other; the host's name stays for TLS and the Host header.

    ``network`` makes the connection itself; it only ever sees addresses that passed.
    """

    def __init__(
        self,
        allow_hosts: Collection[str] = (),
        resolver: Resolver | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allow_hosts = tuple(allow_hosts)
        self._resolver = resolver
        self._network = network or httpcore.AnyIOBackend()
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="winnow-resolve")

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, connect, all within ``timeout`` seconds. Raises what :func:`resolve` does."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                addresses = await loop.run_in_executor(
                    self._threads, resolve, host, port, self._resolver, self._allow_hosts
                )
                return await self._first_of(addresses[:ADDRESSES_TRIED], port, timeout, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} did not answer within {timeout} seconds") from error

    async def _first_of(
        self, addresses: tuple[str, ...], port: int, timeout: float | None, socket_options: Iterable[Any] | None
    ) -> httpcore.AsyncNetworkStream:
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, share, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # the next address of the same name may answer
        return await self._network.connect_tcp(addresses[-1], port, timeout, None, socket_options)

    def close(self) -> None:
        """Let go of the resolver's threads; one that hangs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def link(value: Any) -> str | None:
    """``value`` if it is an http or https WEB_LINK."""
    text = value.strip() if isinstance(value, str) else ""
    return text if len(text) <= MAX_URL_CHARACTERS and WEB_LINK.fullmatch(text) else None
