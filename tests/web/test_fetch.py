"""The client: bodies, limits, retries, redirects and hosts, tried with a server that does what it is told."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import struct
import time
from typing import Any

import httpcore2 as httpcore
import pytest

from pipeline.web.fetch import Client, FetchLimits
from pipeline.web.hosts import REFUSALS, Host
from pipeline.web.responses import NotFetched
from tests.support.site import Answer, Site, reply


def drip(connection: socket.socket, count: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.02)


def endless(connection: socket.socket, count: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(2_000):
        connection.sendall(b"x" * 4096)


def silent(connection: socket.socket, count: int) -> None:
    connection.recv(1)


def reset(connection: socket.socket, count: int) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def cut_off(connection: socket.socket, count: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    connection.shutdown(socket.SHUT_RDWR)


def only_the_second_time(first: bytes, second: bytes) -> Answer:
    return lambda connection, count: connection.sendall(first if count == 1 else second)


def test_a_body_comes_back_as_it_is_plain_chunked_or_packed(site: Site) -> None:
    data = bytes(range(256)) * 4
    chunked = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (data[:100], data[100:], b""))
    site.pages = {
        "/plain": reply(data),
        "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
        "/gzip": reply(gzip.compress(data), "Content-Encoding: gzip"),
        "/near": reply(b"", "Location: /plain", status="302 Found"),
    }
    assert site.fetch_all(list(site.pages)) == [data] * 4


def test_nothing_personal_is_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    site.pages = {
        "/a": reply(b"", "Location: /b", "Set-Cookie: sid=1", status="302 Found"),
        "/b": reply(b"x", "Set-Cookie: sid=2"),
    }
    site.fetch_all(["/a", "/b"])
    assert len(site.heads) == 3
    assert not [head for head in site.heads if re.search("(?i)cookie|authorization|referer", head)]


def test_a_body_that_is_too_large_is_refused_early(site: Site) -> None:
    site.pages = {
        "/claimed": b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000000\r\n\r\n",
        "/endless": endless,
        "/packed": reply(gzip.compress(b"\0" * 5_000_000), "Content-Encoding: gzip"),
    }
    for path in site.pages:
        assert site.refusal(path, max_bytes=1 << 20).code == "too_large"


def test_a_url_gets_so_much_time_and_no_more(site: Site) -> None:
    site.pages = {"/drip": drip, "/silent": silent}
    for path, limits in (("/drip", {"total_seconds": 0.5}), ("/silent", {"idle_seconds": 0.3})):
        began = time.monotonic()
        trouble = site.refusal(path, **limits)
        assert (trouble.code, trouble.again) == ("timeout", True) and time.monotonic() - began < 2
        assert len(site.hits[path]) == 1


def test_an_answer_that_breaks_off_is_tried_again_three_times_in_all(site: Site) -> None:
    site.pages = {"/cut": cut_off, "/reset": reset}
    for path, code in (("/cut", "truncated"), ("/reset", "reset")):
        trouble = site.refusal(path)
        assert (trouble.code, trouble.again, len(site.hits[path])) == (code, True, 3)


def test_an_answer_that_is_not_http_is_refused(site: Site) -> None:
    site.pages = {
        "/garbage": b"\x00\xff\x13 not http at all\r\n\r\n",
        "/length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        "/lines": reply(b"x", f"X-Long: {'x' * 20_000}"),
        "/flood": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: x\r\n" % n for n in range(20_000)),
        "/packing": reply(b"x", "Content-Encoding: br"),
        "/gzip": reply(b"not packed", "Content-Encoding: gzip"),
    }
    for path in site.pages:
        assert site.refusal(path).code == "bad_response"


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 418, 451])
def test_a_refusal_is_final(site: Site, status: int) -> None:
    site.pages = {"/": f"HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n".encode()}
    trouble = site.refusal("/")
    assert (trouble.code, trouble.again, len(site.hits["/"])) == ("http_error", False, 1)
    assert str(status) in str(trouble)


def test_a_server_in_trouble_is_asked_three_times(site: Site) -> None:
    site.pages = {
        "/always": reply(b"", status="503 No"),
        "/once": only_the_second_time(reply(b"", status="500 No"), reply(b"x")),
    }
    trouble = site.refusal("/always")
    assert (trouble.code, trouble.again, len(site.hits["/always"])) == ("http_error", True, 3)
    assert site.fetch("/once") == b"x"


def test_retry_after_is_obeyed_up_to_a_limit(site: Site) -> None:
    busy = [reply(b"", f"Retry-After: {wait}", status="429 Slow down") for wait in (1, 3600, "tomorrow")]
    site.pages = {"/soon": only_the_second_time(busy[0], reply(b"x")), "/late": busy[1]}
    site.pages["/senseless"] = only_the_second_time(busy[2], reply(b"x"))
    assert site.fetch_all(["/soon", "/senseless"]) == [b"x", b"x"]
    assert site.hits["/soon"][1] - site.hits["/soon"][0] >= 1
    trouble = site.refusal("/late")
    assert (trouble.code, trouble.again, len(site.hits["/late"])) == ("rate_limited", True, 1)


def test_redirects_have_an_end(site: Site) -> None:
    site.pages = {f"/{n}": reply(b"", f"Location: /{n + 1}", status="302 Found") for n in range(6)}
    site.pages |= {"/6": reply(b"x"), "/loop": reply(b"", "Location: /loop", status="307 Again")}
    site.pages |= {"/nowhere": reply(b"", status="302 Found"), "/no": reply(b"", "Location: http://[", status="301 X")}
    assert site.fetch("/1") == b"x"
    assert site.refusal("/0").code == "redirect_limit"
    assert site.refusal("/loop").code == "redirect_limit" and len(site.hits["/loop"]) == 6
    assert site.refusal("/nowhere").code == "http_error"
    assert site.refusal("/no").code == "bad_response"


@pytest.mark.parametrize(
    ("tag", "fetched"),
    [
        (["noai"], False),
        (["noindex, NoImageAI"], False),
        (["all", "noai"], False),
        (["winnow: noai"], False),
        (["max-snippet: 5, noai"], False),
        (["otherbot: noai"], True),
        (["noindex"], True),
        ([], True),
    ],
)
def test_a_site_that_does_not_want_its_pictures_trained_on_is_heard(site: Site, tag: list[str], fetched: bool) -> None:
    site.pages = {"/": reply(b"x", *(f"X-Robots-Tag: {value}" for value in tag))}
    if fetched:
        assert site.fetch("/") == b"x"
    else:
        assert site.refusal("/").code == "noai"


class To(httpcore.AnyIOBackend):
    """Connects to the test's own server, whichever public address it is told."""

    def __init__(self, site: Site) -> None:
        self.port = site.server_address[1]

    async def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return await super().connect_tcp("127.0.0.1", self.port, *arguments, **options)


def slow(connection: socket.socket, count: int) -> None:
    time.sleep(0.05)
    connection.sendall(reply(b"x"))


def test_a_host_gets_so_many_connections_at_once(site: Site) -> None:
    site.pages = {f"/{n}": slow for n in range(24)}

    def resolver(*arguments: Any, **options: Any) -> list[Any]:
        return [(2, 1, 6, "", ("93.184.216.34", 80))]

    async def go() -> list[bytes]:
        async with Client(FetchLimits(per_host=3), resolver=resolver, network=To(site)) as client:
            return list(await asyncio.gather(*(client(f"http://pictures.example{path}") for path in site.pages)))

    assert asyncio.run(go()) == [b"x"] * 24
    assert site.peak == 3


def test_a_server_of_ones_own_may_be_asked_more(site: Site) -> None:
    site.pages = {f"/{n}": slow for n in range(48)}
    assert site.fetch_all(list(site.pages), per_host=3) == [b"x"] * 48
    assert 3 < site.peak <= 14


def test_a_connection_is_kept_for_the_next_request(site: Site) -> None:
    site.pages = {"/a": reply(b"a"), "/b": reply(b"moved", "Location: /a", status="302 Found")}

    async def go() -> None:
        async with Client(FetchLimits(), (site.host,)) as client:
            for path in ("/a", "/b", "/missing", "/a"):
                try:
                    await client(f"http://{site.host}{path}")
                except NotFetched as trouble:
                    assert trouble.status == 404

    asyncio.run(go())
    assert len(site.heads) == 5 and site.connections == 1


def test_a_host_that_asks_for_a_pause_is_left_alone_by_all(site: Site) -> None:
    busy = reply(b"", "Retry-After: 1", status="429 Too Many Requests")
    site.pages = {"/busy": only_the_second_time(busy, reply(b"now"))} | {f"/{n}": reply(b"x") for n in range(5)}

    async def go() -> None:
        async with Client(FetchLimits(per_host=1), (site.host,)) as client:
            first = asyncio.create_task(client(f"http://{site.host}/busy"))
            await asyncio.sleep(0.3)
            await asyncio.gather(first, *(client(f"http://{site.host}/{n}") for n in range(5)))

    asyncio.run(go())
    refused, *later = sorted(moment for moments in site.hits.values() for moment in moments)
    assert len(later) == 6 and min(later) - refused >= 1.0


def test_a_host_that_refuses_again_and_again_is_given_up_for_this_time() -> None:
    async def go() -> None:
        host = Host("example.org:443", 2, 0.0, httpcore.AsyncMockBackend([]))
        for _ in range(REFUSALS - 1):
            host.refused(0.0)
        host.answered()
        for _ in range(REFUSALS):
            host.refused(0.0)
        async with host.place():
            raise AssertionError("it has a place")

    with pytest.raises(NotFetched, match="asks for fewer requests") as raised:
        asyncio.run(go())
    assert raised.value.code == "rate_limited" and raised.value.again


def test_a_host_known_to_be_quick_gets_less_patience_than_a_stranger() -> None:
    host = Host("example.org:443", 2, 0.0, httpcore.AsyncMockBackend([]))
    assert host.patience(15.0) == 15.0
    for seconds in (0.1, 0.2, 0.1, 0.1):
        host.began(seconds)
    assert host.patience(15.0) == 4.0 and host.patience(2.0) == 2.0
    host.began(0.9)
    assert host.patience(15.0) == 9.0
    host.began(3.0)
    assert host.patience(15.0) == 15.0


def test_the_wish_not_to_be_trained_on_can_be_passed_over_by_the_person(site: Site) -> None:
    site.pages = {"/a": reply(b"picture", "X-Robots-Tag: noai")}
    assert site.refusal("/a").code == "noai"

    async def go() -> bytes:
        async with Client(FetchLimits(), (site.host,), honour_noai=False) as client:
            return await client(f"http://{site.host}/a")

    assert asyncio.run(go()) == b"picture"
