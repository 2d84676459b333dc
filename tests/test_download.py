"""Download: the stage with a fake client, the client against a small server that misbehaves on request."""

from __future__ import annotations

import asyncio
import csv
import gzip
import hashlib
import io
import json
import os
import re
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.download import DownloadConfig, Downloaded, download, waiting
from pipeline.errors import SourceError, UsageError, WorkspaceError
from pipeline.fetch import CODES, Client, FetchLimits, NotFetched
from pipeline.stage import Progress, run
from pipeline.store import NewImage
from pipeline.workspace import Workspace

HOSTILE_SERVER = Path(__file__).resolve().parents[2] / "shared" / "hostile_server.py"


def picture(shade: int = 0, kind: str = "JPEG", size: tuple[int, int] = (32, 24)) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).point(lambda v: (v + shade) % 256).convert("RGB").save(file, kind)
    return file.getvalue()


def bomb() -> bytes:
    """A PNG whose header claims 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 90)) + chunk(b"IEND", b"")
    )


class Web:
    """A client that answers from a table: bytes, or an exception."""

    def __init__(self, **pages: bytes | Exception) -> None:
        self.pages, self.asked = pages, Counter[str]()

    async def __call__(self, url: str) -> bytes:
        self.asked[url] += 1
        page = self.pages[url.rpartition("/")[2]]
        if isinstance(page, Exception):
            raise page
        return page


def put_in(workspace: Workspace, *names: str, label: str = "bear", host: str = "a.example") -> None:
    rows = [{"url": f"https://{host}/{n}", "label": label, "provider": "test", "licence": "CC0"} for n in names]
    workspace.store.add_candidates(rows)


def statuses(done: Downloaded) -> dict[str, tuple[str, str | None]]:
    return {result.url.rpartition("/")[2]: (result.status, result.code) for result in done.results}


# --- the stage -----------------------------------------------------------------------------------------------------


def test_every_candidate_ends_as_one_row_and_good_ones_as_images(workspace: Workspace) -> None:
    put_in(workspace, "good", "png", "same", "html", "bomb", "cut", "gone", "noai", "empty")
    good, png = picture(), picture(9, "PNG")
    web = Web(
        good=good,
        png=png,
        same=good,
        html=b"<!doctype html><html>soft 404</html>",
        bomb=bomb(),
        cut=picture(5, size=(640, 480))[:3_000],
        gone=NotFetched("http_error", "It is gone (status 410)."),
        noai=NotFetched("noai", "Its site asks not to."),
        empty=b"",
    )
    done = run(download(workspace, DownloadConfig(connections=1, per_host=1), web))
    found = statuses(done)
    assert {found.pop("good"), found.pop("same")} == {("stored", None), ("duplicate", None)}
    assert found == {
        "png": ("stored", None),
        "html": ("failed", "not_image"),
        "bomb": ("failed", "bomb"),
        "cut": ("failed", "truncated"),
        "gone": ("failed", "http_error"),
        "noai": ("skipped", "noai"),
        "empty": ("failed", "truncated"),
    }
    assert (done.downloaded, done.failed, len(done.results)) == (2, 5, 9)
    assert all(result.reason for result in done.results if result.status != "stored")
    images = workspace.store.images()
    assert sorted(images["id"]) == sorted(hashlib.sha256(data).hexdigest() for data in (good, png))
    for image in images.itertuples():
        assert re.fullmatch(rf"{image.id[:2]}/{image.id}\.(jpg|png)", image.file)
        assert hashlib.sha256(workspace.image_file(image.file).read_bytes()).hexdigest() == image.id
        assert (image.label, image.source_provider, image.source_licence) == ("bear", "test", "CC0")
        assert image.source_name.startswith("https://a.example/")
    assert {path.suffix for path in workspace.images.rglob("*") if path.is_file()} == {".jpg", ".png"}
    json.dumps(asdict(done))


def test_a_second_run_asks_only_for_what_is_missing(workspace: Workspace) -> None:
    put_in(workspace, "good", "slow", "gone")
    late = NotFetched("timeout", "It took too long.", again=True)
    web = Web(good=picture(), slow=late, gone=NotFetched("http_error", "It is not there (status 404)."))
    first = run(download(workspace, fetch=web))
    assert statuses(first)["slow"] == ("failed", "timeout") and waiting(workspace) == 1
    web.pages["slow"] = picture(7)
    put_in(workspace, "new")
    web.pages["new"] = picture(8)
    second = run(download(workspace, fetch=web))
    assert statuses(second) == {"slow": ("stored", None), "new": ("stored", None)}
    assert set(web.asked.values()) == {1, 2} and web.asked["https://a.example/slow"] == 2
    assert run(download(workspace, fetch=web)) == Downloaded() and waiting(workspace) == 0


def test_one_url_under_two_labels_is_asked_for_once(workspace: Workspace) -> None:
    put_in(workspace, "good", label="grizzly")
    put_in(workspace, "good", label="black bear")
    web = Web(good=picture())
    done = run(download(workspace, fetch=web))
    assert [(r.label, r.status) for r in done.results] == [("grizzly", "stored"), ("black bear", "duplicate")]
    assert web.asked.total() == 1
    put_in(workspace, "good", label="teddy")
    assert [(r.label, r.status) for r in run(download(workspace, fetch=web)).results] == [("teddy", "duplicate")]
    assert web.asked.total() == 1


def test_an_image_stored_just_before_a_crash_is_not_asked_for_again(workspace: Workspace) -> None:
    put_in(workspace, "good")
    image, file = workspace.keep(picture(), "jpg")
    workspace.store.add_images([NewImage(image, file, 1, "bear", "test", "https://a.example/good")])
    done = run(download(workspace, fetch=Web()))
    assert [(r.status, r.sha256) for r in done.results] == [("stored", image)]


class Endless(Web):
    """Answers what it knows; everything else never comes."""

    async def __call__(self, url: str) -> bytes:
        if url.rpartition("/")[2] not in self.pages:
            await asyncio.Event().wait()
        return await super().__call__(url)


def test_a_cancel_keeps_what_came_and_stops_at_once(workspace: Workspace) -> None:
    put_in(workspace, "never1", "good", "never2")
    stage = download(workspace, fetch=Endless(good=picture()))
    assert any(progress.metrics.get("stored") for progress in stage)
    began = time.monotonic()
    stage.close()
    assert time.monotonic() - began < 5
    assert len(workspace.store.images()) == 1 and waiting(workspace) == 2
    assert not [thread for thread in threading.enumerate() if thread.name == "winnow-download"]
    web = Web(never1=picture(3), never2=picture(4))
    assert run(download(workspace, fetch=web)).downloaded == 2


def test_progress_goes_on_while_nothing_comes(workspace: Workspace) -> None:
    put_in(workspace, "never")
    stage = download(workspace, fetch=Endless())
    began = time.monotonic()
    assert [next(stage) for _ in range(3)][-1] == Progress(0, 1, "Downloading pictures", {})
    stage.close()
    assert time.monotonic() - began < 5


def test_hosts_take_turns(workspace: Workspace) -> None:
    for host in ("a.example", "b.example"):
        put_in(workspace, *(f"{host}{n}" for n in range(3)), host=host)
    order: list[str] = []

    async def fetch(url: str) -> bytes:
        order.append(url[8])
        raise NotFetched("http_error", "No (status 404).")

    run(download(workspace, DownloadConfig(connections=1), fetch))
    assert "".join(order) == "ababab"


def test_a_picture_that_cannot_be_written_stops_the_download_with_advice(workspace: Workspace) -> None:
    put_in(workspace, "good")
    workspace.images.rmdir()
    workspace.images.write_bytes(b"in the way")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        run(download(workspace, fetch=Web(good=picture())))
    assert waiting(workspace) == 1


def test_a_mistake_in_the_client_is_not_swallowed(workspace: Workspace) -> None:
    put_in(workspace, "good")
    with pytest.raises(ZeroDivisionError):
        run(download(workspace, fetch=Web(good=ZeroDivisionError("ours"))))


def test_limits_that_make_no_sense_are_refused() -> None:
    for bad in ({"connections": 0}, {"seconds": -1.0}, {"allow_hosts": ("127.0.0.1",)}, {"allow_hosts": (":80",)}):
        with pytest.raises(UsageError):
            DownloadConfig(**bad)


# --- a file of URLs ------------------------------------------------------------------------------------------------


def test_a_file_of_urls_is_put_in_and_fetched(workspace: Workspace, tmp_path: Path) -> None:
    put_in(workspace, "other")
    file = tmp_path / "urls.csv"
    rows = ["URL,note,Label", "https://a.example/one,x,Grizzly", "https://a.example/two,,Bär", ",,bear"]
    rows += ["https://a.example/three,x,", "https://a.example/one,x,Grizzly", '"https://a.example/4,5",,bear']
    file.write_text("\n".join(rows), encoding="utf-8-sig")
    web = Web(**{"one": picture(1), "two": picture(2), "4,5": NotFetched("dns", "Unknown.", again=True)})
    done = run(download(workspace, DownloadConfig(urls=str(file)), web))
    assert [(r.url[18:], r.label, r.status) for r in sorted(done.results, key=lambda r: r.url)] == [
        ("4,5", "bear", "failed"),
        ("one", "Grizzly", "stored"),
        ("two", "Bär", "stored"),
    ]
    assert done.problems == ("Line 4: It has no URL.", "Line 5: A class needs a name.")
    assert set(workspace.store.candidates()["provider"]) == {"test", "urls"}
    again = run(download(workspace, DownloadConfig(urls=str(file)), web))
    assert [r.status for r in again.results].count("duplicate") == 2 and again.downloaded == 0
    assert web.asked["https://a.example/one"] == 1 and web.asked["https://a.example/4,5"] == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"link,label\nhttp://a.example/1,x\n", "no column 'url'"),
        (b"url,class\nhttp://a.example/1,x\n", "no column 'label'"),
        (b"", "no column 'url'"),
        ("url,label\nhttp://a.example/1,ü\n".encode("utf-16"), "UTF-8"),
        (b"url,label\n" + b"x" * 200_000 + b",y\n", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_list_of_urls_is_refused_in_words(
    workspace: Workspace, tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "urls.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SourceError, match=words):
        run(download(workspace, DownloadConfig(urls=str(file)), Web()))
    assert workspace.store.candidates().empty


# --- the client ----------------------------------------------------------------------------------------------------

Answer = Callable[[socket.socket, int], None] | bytes


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = "".join(f"{line}\r\n" for line in (f"Content-Length: {len(body)}", *headers))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


class Site(socketserver.ThreadingTCPServer):
    """A server on 127.0.0.1. A page is the bytes to send, or a function (connection, how often it was asked)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, pages: dict[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages, self.heads = pages, []
        self.hits: dict[str, list[float]] = {}
        self.busy = self.peak = 0
        self.lock = threading.Lock()
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.stopped = threading.Event()

    def fetch(self, path: str, **limits: Any) -> bytes:
        return self.fetch_all([path], **limits)[0]

    def fetch_all(self, paths: list[str], **limits: Any) -> list[bytes]:
        async def go() -> list[bytes]:
            async with Client(FetchLimits(**limits), (self.host,)) as client:
                return list(await asyncio.gather(*(client(f"http://{self.host}{path}") for path in paths)))

        return asyncio.run(go())

    def refusal(self, path: str, **limits: Any) -> NotFetched:
        with pytest.raises(NotFetched) as raised:
            self.fetch(path, **limits)
        assert raised.value.code in CODES and str(raised.value)
        return raised.value


class _Handler(socketserver.BaseRequestHandler):
    server: Site

    def handle(self) -> None:
        site = self.server
        while head := self._head():
            path = head.split(" ")[1]
            with site.lock:
                site.heads.append(head)
                site.hits.setdefault(path, []).append(time.monotonic())
                site.busy += 1
                site.peak = max(site.peak, site.busy)
            page = site.pages.get(path, reply(b"no", status="404 Not Found"))
            try:
                if isinstance(page, bytes):
                    self.request.sendall(page)
                else:
                    page(self.request, len(site.hits[path]))
            except OSError:
                return
            finally:
                with site.lock:
                    site.busy -= 1

    def _head(self) -> str:
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                more = self.request.recv(4096)
                if not more:
                    return ""
                data += more
        except OSError:
            return ""
        return data.decode("latin-1")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site({}) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.stopped.set()
        server.shutdown()


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
    data = picture()
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


def test_a_host_gets_so_many_connections_at_once(site: Site) -> None:
    def slow(connection: socket.socket, count: int) -> None:
        time.sleep(0.05)
        connection.sendall(reply(b"x"))

    site.pages = {f"/{n}": slow for n in range(24)}
    assert site.fetch_all(list(site.pages), per_host=3) == [b"x"] * 24
    assert site.peak == 3


def test_only_the_exempted_port_of_this_computer_is_asked(workspace: Workspace, site: Site) -> None:
    with Site({"/secret": reply(picture())}) as inside:
        threading.Thread(target=inside.serve_forever, args=(0.05,), daemon=True).start()
        site.pages = {
            "/good": reply(picture(1)),
            "/away": reply(b"", f"Location: http://{inside.host}/secret", status="302 Found"),
        }
        urls = [f"http://{site.host}/good", f"http://{site.host}/away", f"http://{inside.host}/secret"]
        workspace.store.add_candidates({"url": url, "label": "x", "provider": "test"} for url in urls)
        done = run(download(workspace, DownloadConfig(allow_hosts=(site.host,))))
        inside.shutdown()
    assert {r.url: (r.status, r.code) for r in done.results} == {
        urls[0]: ("stored", None),
        urls[1]: ("failed", "blocked_address"),
        urls[2]: ("failed", "blocked_address"),
    }
    assert inside.hits == {}


# --- a server that misbehaves in every way it can ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not HOSTILE_SERVER.is_file(), reason=f"there is no {HOSTILE_SERVER.name} beside the repository")
def test_the_hostile_server_is_survived_without_touching_its_canary(workspace: Workspace, tmp_path: Path) -> None:
    command = [sys.executable, str(HOSTILE_SERVER), "--seconds", "100", "--no-external"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as server:
        assert server.stdout
        try:
            base = json.loads(server.stdout.readline())["url"]
            entries = _json(f"{base}/manifest.json")["entries"]
            file = tmp_path / "urls.csv"
            with file.open("w", newline="") as lines:
                csv.writer(lines).writerows([("url", "label"), *((entry["url"], "thing") for entry in entries)])
            config = DownloadConfig(urls=str(file), allow_hosts=(base.removeprefix("http://"),), seconds=12.0)
            results = {result.url: result for result in run(download(workspace, config)).results}
            (tmp_path / "results.json").write_text(json.dumps(_for_the_grader(entries, results)))
            grading = [sys.executable, str(HOSTILE_SERVER), "--grade", str(tmp_path / "results.json"), "--url", base]
            graded = subprocess.run(grading, capture_output=True, text=True, check=False).stdout
            assert _json(f"{base}/log.json")["canary_hits"] == []
        finally:
            server.terminate()
    wrong = {line.split(" ")[1] for line in graded.splitlines() if line.startswith("FAIL")}
    assert wrong <= {"/bad/zip.jpg"}, graded


def _for_the_grader(entries: list[dict[str, Any]], results: dict[str, Any]) -> dict[str, Any]:
    words = {"stored": "ok", "duplicate": "ok", "failed": "fail", "skipped": "skip"}
    ended = {entry["id"]: results[entry["url"]] for entry in entries}
    return {
        name: {
            "status": words[result.status],
            "reason": result.code,
            "sha256": result.sha256,
            "duplicate_of": "another" if result.status == "duplicate" else None,
        }
        for name, result in ended.items()
    }


def _json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)
