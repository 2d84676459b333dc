"""What the gate lets through, before any of Gradio sees it: asked in process, by whatever address is wanted."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from pipeline.web import gate
from pipeline.web.gate import (
    EVERY_SITE,
    FOUND,
    LOOPBACK,
    THIS_MACHINE,
    Gate,
    Room,
    Rules,
    believe,
    is_link,
    picture_in,
    proxies,
)

META = {"_type": "gradio.FileData"}
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG" * 30).decode()
LINKS = (
    *("http://pictures.example/x", "https://pictures.example/x", "HTTP://pictures.example/x", " http://a.example/x"),
    *("\thttp://a.example/x", "http%3A//a.example/x", "http%253A%252F%252Fa.example%252Fx", "ftp://a.example/x"),
    *("file:///etc/passwd", "//a.example/x", "\\\\a.example\\x", "http:a.example", "gopher://a", "jar:http://a!/x"),
)


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what reached it."""
    body = await Request(scope, receive).body()
    found = scope.get(FOUND)
    told = {"bytes": len(body), "sessions": sorted(found.sessions), "files": found.files}
    await JSONResponse(told)(scope, receive, send)


def ask(rules: Rules, method: str, path: str, address: str = "203.0.113.1", **sent: Any) -> httpx.Response:
    return asyncio.run(asking(Gate(behind, rules), method, path, address, **sent))


async def asking(app: Any, method: str, path: str, address: str = "203.0.113.1", **sent: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://winnow.test") as client:
        return await client.request(method, path, **sent)


def join(value: Any, **rest: Any) -> dict[str, Any]:
    return {"json": {"fn_index": 0, "data": [value], "session_hash": "s", **rest}}


def nests(file: dict[str, Any]) -> Iterator[Any]:
    """A file's data where components have it: alone, in a gallery, in an editor's layers, in a chat, deep down."""
    yield file
    yield [file]
    yield [{"image": file, "caption": None}]
    yield {"background": None, "layers": [file], "composite": None}
    yield {"text": "x", "files": [file]}
    yield {"value": {"a": [{"b": (file,)}]}}


# --- links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", LINKS)
def test_a_link_in_file_data_is_refused_wherever_it_stands(link: str) -> None:
    forms = [{"path": link, "meta": META}, {"path": "/tmp/a.jpg", "url": link, "meta": META}]
    forms += [{"url": link, "meta": META}, {"path": link}, {"path": link, "url": PIXEL, "meta": META}]
    for file in forms:
        for value in nests(file):
            for path in ("queue/join", "run/predict", "api/predict/", "call/predict", "call/v2/predict", "cancel"):
                refused = ask(Rules(), "POST", f"/gradio_api/{path}", **join(value))
                assert refused.status_code == 400 and "data: URL" in refused.json()["detail"], (path, value)
    sent = {"data": {"a": [forms[0]]}, "component_id": 1, "fn_name": "x", "session_hash": "s"}
    assert ask(Rules(), "POST", "/gradio_api/component_server", json=sent).status_code == 400
    assert ask(Rules(), "POST", "/gradio_api/queue/join", **join(None, event_data=forms[0])).status_code == 400


def test_what_the_page_itself_sends_is_let_in() -> None:
    path = "/tmp/gradio/0a/a picture 100%.jpg"
    served = f"http://host/winnow/gradio_api/file={quote(path)}"
    for file in (
        {"path": path, "meta": META},
        {"path": path, "url": served, "meta": META},
        {"path": path, "url": None},
    ):
        answer = ask(Rules(), "POST", "/gradio_api/queue/join", **join([file]))
        assert answer.status_code == 200 and answer.json() == {**answer.json(), "files": [path], "sessions": ["s"]}
    found = {"url": "https://pictures.example/1.jpg", "title": "a link that is shown, and no file"}
    assert ask(Rules(), "POST", "/gradio_api/queue/join", **join("http://a.example/x", event_data=found)).is_success
    assert not is_link("C:\\pictures\\a.jpg") and not is_link("a/b:c.jpg") and not is_link("")


def test_a_picture_as_a_data_url_is_welcome_within_the_limit() -> None:
    rules = Rules(body=1 << 20, picture=10_000)
    for file in ({"url": PIXEL, "meta": META}, {"path": "", "url": PIXEL, "meta": META}):
        assert ask(rules, "POST", "/gradio_api/call/predict", **join(file)).is_success
    large = {"url": "data:image/png;base64," + "A" * 20_000, "meta": META}
    assert ask(rules, "POST", "/gradio_api/call/predict", **join(large)).status_code == 413
    assert picture_in(PIXEL) == b"\x89PNG" * 30 and picture_in("data:,a%20b") == b"a b"
    assert picture_in("http://a.example/x") is picture_in(None) is picture_in(7) is None
    for url in ("data:image/png;base64,=!", "data:image/png;base64," + "A" * 80_000):
        with pytest.raises(ValueError, match=r"damaged|larger"):
            picture_in(url, 1 << 15)


@pytest.mark.parametrize("wrap", [lambda call: call, lambda call: [call]])
def test_a_link_in_the_call_of_a_tool_is_refused_in_its_protocol(wrap: Any) -> None:
    for arguments in ({"picture": LINKS[0]}, {"picture": {"path": LINKS[0], "meta": META}}, {"a": [{"b": LINKS[5]}]}):
        call = {
            "jsonrpc": "2.0",
            "id": 7,
            "method": "tools/call",
            "params": {"name": "predict", "arguments": arguments},
        }
        for path in ("mcp", "mcp/", "mcp/messages/"):
            answer = ask(Rules(), "POST", f"/gradio_api/{path}", json=wrap(call))
            assert answer.json()["error"]["code"] == -32602 and answer.json()["id"] == 7
    call["params"]["arguments"] = {"picture": PIXEL}  # type: ignore[index]
    assert ask(Rules(), "POST", "/gradio_api/mcp/", json=wrap(call)).json()["bytes"] > 100


@pytest.mark.parametrize(
    "route",
    [
        *(
            "file=http://a.example/x",
            "file=https%3A//a.example/x",
            "file/http://a.example/x",
            "proxy=http://a.example/",
        ),
        *("deep_link?session_hash=s", "process_recording", "vibe-code/", "dev/reload", "stream/s/1/2/playlist.m3u8"),
        *("run-history/records", "runs", "profiling/traces", "custom_component/a/client/b/c"),
    ],
)
def test_what_of_gradio_is_not_used_is_not_there(route: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        assert ask(Rules(), method, f"/gradio_api/{route}").status_code in (403, 400), (method, route)


# --- bodies ----------------------------------------------------------------------------------------------------------


async def pieces(size: int, number: int, pause: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(number):
        await asyncio.sleep(pause)
        yield b"[" + b" " * size


@pytest.mark.parametrize("path", ["queue/join", "run/predict", "component_server", "cancel", "mcp/", "reset", "call/x"])
def test_a_body_has_a_limit_with_and_without_its_length(path: str) -> None:
    rules = Rules(body=50_000)
    assert ask(rules, "POST", f"/gradio_api/{path}", content=b" " * 60_000).status_code == 413
    assert ask(rules, "POST", f"/gradio_api/{path}", content=pieces(9_000, 9)).status_code == 413
    assert ask(rules, "POST", "/login", content=b"x" * 60_000).status_code == 413
    assert ask(rules, "GET", "/", content=pieces(9_000, 9)).status_code == 413


def test_an_upload_has_a_limit_and_a_room(tmp_path: Path) -> None:
    rules = Rules(upload=50_000, room=Room(tmp_path, 80_000))
    assert ask(rules, "POST", "/gradio_api/upload", content=b" " * 60_000).status_code == 413
    assert ask(rules, "POST", "/gradio_api/upload", content=pieces(9_000, 9)).status_code == 413
    assert ask(rules, "POST", "/gradio_api/upload", content=b" " * 40_000).is_success
    assert ask(rules, "POST", "/gradio_api/upload", content=b" " * 45_000).status_code == 507
    cut_off = tmp_path / "tmpabc"
    cut_off.write_bytes(b" " * 79_000)
    room = Room(tmp_path, 80_000, keep_seconds=-1.0)
    room.check(70_000)
    assert not cut_off.exists()


@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/upload", "/login"])
def test_what_arrives_too_slowly_is_given_up(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(gate, "SLOWEST", 1_000_000)
    assert ask(Rules(upload=1 << 20), "POST", path, content=pieces(1, 50, 0.05)).status_code == 408


def test_all_together_hold_no_more_than_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MOST_HELD", 100_000)
    app = Gate(behind, Rules(body=90_000, strangers=False))

    async def crowd() -> list[int]:
        asked = (asking(app, "POST", "/login", content=pieces(9_000, 4, 0.01)) for _ in range(6))
        return [answer.status_code for answer in await asyncio.gather(*asked)]

    codes = asyncio.run(crowd())
    assert 503 in codes and set(codes) <= {200, 503}
    assert asyncio.run(asking(app, "POST", "/login", content=b"x" * 80_000)).is_success


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[" * 100_000, b"[" + b"{}," * 500_000 + b"{}]", b"\xff\xfe\x00", b'{"data": 1' + b"0" * 5_000),
        *(b"null,", b'{"data": [], "data": [1]}', b'{"session_hash": "a", "session_hash": "b", "data": []}'),
        *(b"[" * 80 + b"]" * 80, b'{"session_hash": 7, "data": []}', b'{"session_hash": ["a"], "data": []}'),
        b'{"session_hash": "' + b"a" * 500 + b'", "data": []}',
    ],
)
def test_odd_bodies_end_in_one_sentence(body: bytes) -> None:
    answer = ask(Rules(body=1 << 22), "POST", "/gradio_api/component_server", content=body)
    assert answer.status_code in (400, 413, 422) and len(answer.json()["detail"]) < 100


# --- pages of others -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "sessions"),
    [
        ("queue/data?session_hash=a&session_hash=b", None, ["a", "b"]),
        ("queue/data?session_hash=&session_hash=b&x=1", None, ["", "b"]),
        ("queue/data?session%5Fhash=a&session_hash=%62", None, ["a", "b"]),
        ("heartbeat/a?session_hash=b", None, ["a", "b"]),
        ("call/predict/a", None, ["a"]),
        ("call/v2/predict/a/?session_hash=b", None, ["a", "b"]),
        ("queue/join?session_hash=a", {"session_hash": "b", "data": [{"session_hash": "c"}]}, ["a", "b", "c"]),
        ("cancel", {"session_hash": "b", "fn_index": 0, "event_id": "x"}, ["b"]),
        ("component_server", {"session_hash": "b", "data": None, "component_id": 0, "fn_name": "x"}, ["b"]),
    ],
)
def test_every_page_that_is_named_counts(path: str, body: Any, sessions: list[str]) -> None:
    answer = ask(Rules(), "GET" if body is None else "POST", f"/gradio_api/{path}", json=body)
    assert answer.json()["sessions"] == sessions


# --- other sites -----------------------------------------------------------------------------------------------------

OWN = {"host": "winnow.test"}
FOREIGN = (
    *({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}),
    *({"origin": "null"}, {"origin": "http://winnow.test:81"}, {"origin": "http://winnow.test.evil.example"}),
    {"origin": "http://winnow.test", "sec-fetch-site": "cross-site"},
)


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_another_site_can_change_nothing(headers: dict[str, str]) -> None:
    for method, path in (
        *(("POST", "/gradio_api/upload"), ("POST", "/gradio_api/queue/join"), ("POST", "/login"), ("GET", "/logout")),
        *(("GET", "/gradio_api/heartbeat/s"), ("GET", "/gradio_api/file=/tmp/x"), ("DELETE", "/gradio_api/mcp/")),
    ):
        sent = {"json": {"data": []}} if path.endswith("join") else {}
        assert ask(Rules(), method, path, headers=headers, **sent).status_code == 403, (method, path)
        if method == "POST":
            assert ask(Rules(sites=EVERY_SITE), method, path, headers=headers, **sent).is_success
    assert ask(Rules(), "GET", "/", headers=headers).is_success, "a link that leads here"


def test_the_apps_own_pages_may_also_behind_a_proxy() -> None:
    for headers in (
        *({}, {"origin": "http://winnow.test"}, {"sec-fetch-site": "same-origin", "origin": "https://far.example"}),
        {"origin": "https://far.example", "x-forwarded-host": "far.example"},
    ):
        assert ask(Rules(), "POST", "/gradio_api/upload", headers=headers).is_success
    local = Rules(sites=THIS_MACHINE)
    assert ask(local, "POST", "/gradio_api/upload", headers={"origin": "http://localhost:3000"}).is_success
    assert ask(local, "POST", "/gradio_api/upload", headers=FOREIGN[0]).status_code == 403


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "", "localhost:7860@evil.example", "[::2]"])
def test_another_name_is_told_what_to_do_on_the_page_and_in_the_terminal(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app = Gate(behind, Rules(hosts=LOOPBACK, advice="Start it with --proxy."))
    for headers in ({"host": name, "accept": "text/html"}, {"host": name}):
        answer = asyncio.run(asking(app, "GET", "/", headers=headers))
        assert answer.status_code == 400 and "Invalid host header" in answer.text and "--proxy" in answer.text
    said = capsys.readouterr().err
    assert said.count("Invalid host header") == 1 and "--proxy" in said
    for own in ("localhost", "127.0.0.1:7860", "LOCALHOST:1", "[::1]:7860"):
        assert ask(Rules(hosts=LOOPBACK), "GET", "/", headers={"host": own}).is_success


def test_a_name_is_shown_as_text() -> None:
    headers = {"host": "<script>alert(1)</script>", "accept": "text/html"}
    answer = ask(Rules(hosts=LOOPBACK), "GET", "/", headers=headers)
    assert "<script>" not in answer.text and "&lt;script&gt;" in answer.text


# --- one address -----------------------------------------------------------------------------------------------------


def test_one_address_cannot_take_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MOST_BRINGING", 3)
    app = Gate(behind, Rules())

    async def crowd(*addresses: str) -> list[int]:
        asked = [asking(app, "POST", "/login", address, content=pieces(1, 3, 0.02)) for address in addresses]
        return [answer.status_code for answer in await asyncio.gather(*asked)]

    codes = asyncio.run(crowd(*["203.0.113.7"] * 8, "203.0.113.8"))
    assert codes.count(429) == 5 and codes[-1] == 200
    near = asyncio.run(crowd(*[f"2a00:1:2:3::{number}" for number in range(8)], "2a00:1:2:4::1"))
    assert near.count(429) == 5 and near[-1] == 200, "one household's network is one address"
    assert asyncio.run(crowd("203.0.113.7")) == [200], "what ended counts no more"


def test_one_address_cannot_fill_the_queue() -> None:
    def event(address: str) -> SimpleNamespace:
        return SimpleNamespace(request=SimpleNamespace(scope={"client": (address, 1)}))

    line = SimpleNamespace(queue=[event("203.0.113.7")] * 4)
    queue = SimpleNamespace(max_size=16, event_queue_per_concurrency_id={"a": line})
    blocks = SimpleNamespace(_queue=queue)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = SimpleNamespace(get_blocks=lambda: blocks)
        await Gate(behind, Rules())(scope, receive, send)

    for path in ("queue/join", "call/predict", "call/v2/predict"):
        asked = [asking(app, "POST", f"/gradio_api/{path}", address, **join(1)) for address in ("203.0.113.7", "::9")]
        assert [asyncio.run(one).status_code for one in asked] == [429, 200]


def test_only_a_proxy_that_was_named_is_believed() -> None:
    environment: dict[str, str] = {}
    believe(environment, ())
    assert environment == {"FORWARDED_ALLOW_IPS": ""}
    believe(environment, ("10.0.0.1",))
    assert environment == {"FORWARDED_ALLOW_IPS": ""}, "what was said before stays"
    space = {"SPACE_ID": "me/fruit"}
    believe(space, ())
    assert "10.0.0.0/8" in space["FORWARDED_ALLOW_IPS"] and "*" not in space["FORWARDED_ALLOW_IPS"]
    assert proxies(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]) == "127.0.0.1/32,10.0.0.0/8,fd00::/8"
    for word in ("*", "proxy.example", "", "10.0.0.0/99"):
        with pytest.raises(ValueError, match="--proxy"):
            proxies([word])


# --- what goes wrong behind it ---------------------------------------------------------------------------------------


def test_what_goes_wrong_behind_it_is_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise AttributeError("'NoneType' object has no attribute 'secret'")

    caplog.set_level("INFO", "winnow")
    answer = asyncio.run(asking(Gate(broken, Rules()), "POST", "/gradio_api/queue/join", **join(1)))
    assert answer.status_code == 500 and "NoneType" not in json.dumps(answer.json())
    (record,) = caplog.records
    assert record.getMessage().startswith("unexpected: AttributeError in") and "secret" not in caplog.text
