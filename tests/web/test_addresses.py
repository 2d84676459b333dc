"""The address rule, tried with a resolver and a network that only take notes: nothing leaves this computer."""

from __future__ import annotations

import asyncio
import csv
import ipaddress
import socket
from typing import Any

import httpcore2 as httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BlockedAddress
from pipeline.web.addresses import BlockedScheme, PinnedNetwork, UnknownHost, check_address, parse, resolve
from pipeline.web.fetch import Client, FetchLimits
from pipeline.web.responses import NotFetched
from tests.support.paths import SHARED

HOSTILE_URLS = SHARED / "corpus" / "dev" / "strings" / "ssrf_urls.csv"
PUBLIC, OTHER_PUBLIC = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"
NOT_PUBLIC = (
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "100.127.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12::1", "ff02::1"),
    *("2001:db8::1", "2001::1", "2001:10::1", "100::1", "3fff::1", "64:ff9b:1::808:808"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
)


class Answers:
    """A resolver that gives prepared answers, one look-up after the other, and counts them."""

    def __init__(self, *lookups: list[str]) -> None:
        self.lookups, self.asked = list(lookups), []

    def __call__(self, host: str, port: int, **options: Any) -> list[Any]:
        self.asked.append(host)
        addresses = self.lookups.pop(0) if len(self.lookups) > 1 else self.lookups[0]
        return [(2, 1, 6, "", (address, port)) for address in addresses]


class SpyStream(httpcore.AsyncMockStream):
    def __init__(self, answer: bytes, spy: SpyNetwork) -> None:
        super().__init__([answer])
        self.spy = spy

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.spy.written += buffer

    async def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: Any = None) -> SpyStream:
        self.spy.names.append(server_hostname)
        return self


class SpyNetwork(httpcore.AsyncNetworkBackend):
    """Connects to nothing: notes where it was to connect, and plays a prepared answer."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", dead: str = "") -> None:
        self.answer, self.dead, self.connected, self.names, self.written = answer, dead, [], [], b""

    async def connect_tcp(self, host: str, port: int, *rest: Any) -> SpyStream:
        self.connected.append((host, port))
        if host == self.dead:
            raise httpcore.ConnectError("no route")
        return SpyStream(self.answer, self)


def fetched(url: str, resolver: Answers, network: SpyNetwork, allow_hosts: tuple[str, ...] = ()) -> bytes:
    async def fetch() -> bytes:
        async with Client(None, allow_hosts, resolver, network) as client:
            return await client(url)

    return asyncio.run(fetch())


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_with_a_reason(address: str) -> None:
    assert check_address(address)


@pytest.mark.parametrize("address", [PUBLIC, OTHER_PUBLIC, "1.1.1.1", "223.255.255.254", "::ffff:8.8.8.8", "2a00::1"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert check_address(address) is None


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7F.1", "0177.0.0.1", "017700000001", "127.0.0.1."),
        *(
            "0",
            "0x",
            "00000177.1",
            "１２７.0.0.1",
            "①②⑦。0.0.1",
            "%31%32%37.0.0.1",
            "%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1",
        ),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:0:0:1]", "[fe80::1%25eth0]"),
        *("localhost", "LOCALHOST", "localhost.", "foo.localhost", "ＬＯＣＡＬＨＯＳＴ"),
        *("256.0.0.1", "1.2.3.4.5", "0x1ffffffff", "1..2", ".", "", "127.0.0.1%00.com", "a b", "0000::1", "1.1.1.1:0"),
        *("example.com@127.0.0.1", "user:word@example.com", "127.0.0.1:80\\@example.com", "example.com:99999"),
    ],
)
def test_this_computer_is_refused_in_every_disguise_without_a_look_up(host: str) -> None:
    resolver = Answers([PUBLIC])
    with pytest.raises(BlockedAddress):
        target = parse(f"http://{host}/picture.jpg")
        resolve(target.host, target.port, resolver)
    assert resolver.asked == []


@given(
    value=st.one_of(*(st.integers(0, 255).map(lambda n, top=top: (top << 24) + n) for top in (10, 127))),
    kind=st.sampled_from(["{:d}", "0x{:x}", "0{:o}", "0x{:X}."]),
)
def test_a_private_address_written_as_one_number_is_refused(value: int, kind: str) -> None:
    with pytest.raises(BlockedAddress):
        target = parse(f"http://{kind.format(value)}/")
        assert target.host == str(ipaddress.IPv4Address(value))
        resolve(target.host, target.port, Answers([PUBLIC]))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ftp://example.com/a.jpg",
            "file:///etc/passwd",
            "data:image/png;base64,AA",
            "gopher://x/",
            "blob:http://x/y",
        ),
        *("example.com/a.jpg", "//example.com/a.jpg", "10.0.0.1", "", "://", "javascript:alert(1)"),
    ],
)
def test_only_http_and_https_are_read(url: str) -> None:
    with pytest.raises(BlockedScheme, match="http"):
        parse(url)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http:example.com",
            "http:///a",
            "http:\\\\127.0.0.1\\a",
            "http://a.com\\b",
            "http://a\n.com/",
            "https:// a.com",
        ),
        f"http://a.com/{'x' * 9_000}",
    ],
)
def test_a_url_that_hides_where_it_leads_is_refused(url: str) -> None:
    with pytest.raises(BlockedAddress):
        parse(url)


def test_a_url_is_read_as_it_is_sent() -> None:
    target = parse(" HTTPS://Bücher.Example:8443/a b/%2e%2e%2fü.jpg?q=[ü]&r=%20#part ")
    assert (target.scheme, target.host, target.port) == ("https", "xn--bcher-kva.example", 8443)
    assert target.path == "/a%20b/%2e%2e%2f%C3%BC.jpg?q=[%C3%BC]&r=%20"
    assert target.authority == "xn--bcher-kva.example:8443"
    assert parse("http://example.com").url == "http://example.com/"
    assert parse("http://[2606:2800::1]:80/").authority == "[2606:2800::1]"


def test_a_name_is_refused_if_any_of_its_addresses_is_not_public() -> None:
    with pytest.raises(BlockedAddress, match=r"example\.com leads to 10\.0\.0\.1"):
        resolve("example.com", 80, Answers([PUBLIC, "10.0.0.1"]))


def test_a_name_without_an_address_is_unknown() -> None:
    def fails(*arguments: Any, **options: Any) -> list[Any]:
        raise OSError("Name or service not known")

    for resolver in (fails, Answers([])):
        with pytest.raises(UnknownHost, match=r"example\.com"):
            resolve("example.com", 80, resolver)


def test_only_the_exact_host_and_port_can_be_exempted() -> None:
    assert resolve("127.0.0.1", 8000, Answers([]), ("127.0.0.1:8000",)) == ("127.0.0.1",)
    for host, port in (("127.0.0.1", 8001), ("127.0.0.2", 8000), ("localhost", 8000), ("::1", 8000)):
        with pytest.raises(BlockedAddress):
            resolve(host, port, Answers(["127.0.0.1"]), ("127.0.0.1:8000",))


def test_the_connection_goes_to_the_address_that_was_checked_and_the_name_is_kept() -> None:
    resolver, network = Answers([PUBLIC], ["127.0.0.1"]), SpyNetwork()  # the second answer is the rebinding
    assert fetched("https://example.com/a.jpg", resolver, network) == b"body"
    assert network.connected == [(PUBLIC, 443)] and resolver.asked == ["example.com"]
    assert network.names == ["example.com"]
    assert b"Host: example.com\r\n" in network.written


def test_a_name_that_leads_inside_is_refused_before_any_connection() -> None:
    network = SpyNetwork()
    with pytest.raises(NotFetched) as trouble:
        fetched("http://example.com/a.jpg", Answers(["127.0.0.1"]), network)
    assert trouble.value.code == "blocked_address" and network.connected == []


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://127.0.0.1:9/secret", "blocked_address"),
        ("//[::1]/secret", "blocked_address"),
        ("http:\\\\127.0.0.1\\secret", "blocked_address"),
        ("\\\\127.0.0.1\\share", "blocked_address"),
        ("http://inside.example/secret", "blocked_address"),
        ("file:///etc/passwd", "blocked_scheme"),
    ],
)
def test_every_redirect_is_checked_again(location: str, code: str) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    network = SpyNetwork(answer)
    with pytest.raises(NotFetched) as trouble:
        fetched("http://example.com/a.jpg", Answers([PUBLIC], ["192.168.0.1"]), network)
    assert trouble.value.code == code
    assert network.connected == [(PUBLIC, 80)]


def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    network = SpyNetwork(dead=OTHER_PUBLIC)
    assert fetched("http://example.com/", Answers([OTHER_PUBLIC, PUBLIC]), network) == b"body"
    assert network.connected == [(OTHER_PUBLIC, 80), (PUBLIC, 80)]


def test_a_resolver_that_hangs_is_given_up() -> None:
    async def connect() -> None:
        await PinnedNetwork((), slow).connect_tcp("example.com", 80, timeout=0.05)

    def slow(*arguments: Any, **options: Any) -> list[Any]:
        import time

        time.sleep(0.3)
        return []

    with pytest.raises(httpcore.ConnectTimeout):
        asyncio.run(connect())


# --- a collection of hostile URLs ----------------------------------------------------------------------------------


@pytest.mark.skipif(not HOSTILE_URLS.is_file(), reason=f"there is no {HOSTILE_URLS.name} beside the repository")
def test_every_hostile_url_is_refused_and_nobody_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name service answers with a public address, so it is the URL itself that has to be refused."""
    connections: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        connections.append(address)
        raise ConnectionRefusedError("a test connects to nobody")

    monkeypatch.setattr(socket, "getaddrinfo", Answers([PUBLIC]))
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect)

    async def codes(urls: list[str]) -> dict[str, str]:
        found = {}
        async with Client(FetchLimits(tries=1)) as fetch:
            for url in urls:
                with pytest.raises(NotFetched) as refused:
                    await fetch(url)
                found[url] = refused.value.code
        return found

    with HOSTILE_URLS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    blocked = [row["url"] for row in rows if row["expected"] == "block"]
    assert len(blocked) > 100
    refused = asyncio.run(codes(blocked))
    assert {url: code for url, code in refused.items() if code not in ("blocked_address", "blocked_scheme")} == {}
    assert connections == []
    allowed = [row["url"] for row in rows if row["expected"] == "allow" and ":" not in row["parsed_ip"]]
    assert set(asyncio.run(codes(allowed)).values()) == {"reset"} and len(connections) >= len(allowed)
