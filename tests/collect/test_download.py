"""Download: the stage with a fake client, the client against a small server that misbehaves on request."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import struct
import threading
import time
import zlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from pipeline.collect.data_card import CARD
from pipeline.collect.download import DownloadConfig, Downloaded, download, waiting
from pipeline.errors import PipelineError, SourceError, UsageError
from pipeline.stage import Progress, run
from pipeline.web.responses import NotFetched
from pipeline.workspace.store import NewImage
from pipeline.workspace.workspace import Workspace
from tests.support.site import Site, reply, running


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
    assert "1 picture of 1 class" in (workspace.root / CARD).read_text(encoding="utf-8")
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


def test_a_host_that_hangs_holds_up_nobody_but_itself(workspace: Workspace) -> None:
    put_in(workspace, *(f"slow{n}" for n in range(200)), host="slow.example")
    put_in(workspace, *(f"quick{n}" for n in range(30)), host="quick.example")
    left = {f"https://quick.example/quick{n}" for n in range(30)}
    done = asyncio.Event()

    async def fetch(url: str) -> bytes:
        left.discard(url)
        if not left:
            done.set()
        if "slow" in url:
            await done.wait()
        raise NotFetched("http_error", "No (status 404).")

    assert run(download(workspace, DownloadConfig(connections=1, per_host=2), fetch)).failed == 230


def test_a_picture_that_cannot_be_written_stops_the_download_with_advice(workspace: Workspace) -> None:
    put_in(workspace, "good")
    workspace.images.rmdir()
    workspace.images.write_bytes(b"in the way")
    with pytest.raises(PipelineError, match=r"cannot be written.*start again"):
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
    assert done.problems == (
        "urls.csv: 1 row repeats what another one says.",
        "Line 4: It has no URL.",
        "Line 5: A class needs a name.",
    )
    assert set(workspace.store.candidates()["provider"]) == {"test", "urls"}
    again = run(download(workspace, DownloadConfig(urls=str(file)), web))
    assert [r.status for r in again.results].count("duplicate") == 2 and again.downloaded == 0
    assert web.asked["https://a.example/one"] == 1 and web.asked["https://a.example/4,5"] == 2


def test_a_list_from_excel_with_splits_is_read(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "urls.csv"
    file.write_text("Link;Class;Split\nhttps://a.example/one;Bär;test\nhttps://a.example/two;Wolf;\n", "utf-16")
    web = Web(one=picture(1), two=picture(2))
    assert run(download(workspace, DownloadConfig(urls=str(file)), web)).downloaded == 2
    assert {row.label: row.given_split for row in workspace.store.images().itertuples()} == {
        "Bär": "test",
        "Wolf": None,
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"place,label\na.example/1,x\n", "no column 'url'"),
        (b"url,what\nhttp://a.example/1,x\n", "no column 'label'"),
        (b"", "no column 'url'"),
        (b"url,label\n" + b"x" * (2 << 20) + b",y\n", "cannot be read"),
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


def test_only_the_exempted_port_of_this_computer_is_asked(workspace: Workspace, site: Site) -> None:
    with running({"/secret": reply(picture())}) as inside:
        site.pages = {
            "/good": reply(picture(1)),
            "/away": reply(b"", f"Location: http://{inside.host}/secret", status="302 Found"),
        }
        urls = [f"http://{site.host}/good", f"http://{site.host}/away", f"http://{inside.host}/secret"]
        workspace.store.add_candidates({"url": url, "label": "x", "provider": "test"} for url in urls)
        done = run(download(workspace, DownloadConfig(allow_hosts=(site.host,))))
    assert {r.url: (r.status, r.code) for r in done.results} == {
        urls[0]: ("stored", None),
        urls[1]: ("failed", "blocked_address"),
        urls[2]: ("failed", "blocked_address"),
    }
    assert inside.hits == {}


def test_a_large_picture_is_reduced_and_its_original_is_remembered(workspace: Workspace) -> None:
    large, small, turned = picture(size=(300, 100)), picture(1, size=(64, 64)), picture(2, "PNG", (90, 180))
    put_in(workspace, "large", "small", "turned", "again")
    done = run(
        download(workspace, DownloadConfig(max_side=64), Web(large=large, small=small, turned=turned, again=large))
    )
    assert sorted(result.status for result in done.results) == ["duplicate", "stored", "stored", "stored"]
    sources = workspace.store.sources().set_index("name")
    kept = sources.loc[[f"https://a.example/{name}" for name in ("large", "again")]]
    assert len(sources) == 4 and set(kept["original_sha256"]) == {hashlib.sha256(large).hexdigest()}
    assert set(kept["original_bytes"]) == {len(large)}
    sizes = {}
    for row in workspace.store.images().itertuples():
        data = workspace.image_file(str(row.file)).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.id and len(data) == row.bytes
        with Image.open(io.BytesIO(data)) as image:
            sizes[image.format, image.size] = row.id
    assert set(sizes) == {("JPEG", (64, 21)), ("JPEG", (64, 64)), ("PNG", (32, 64))}
    assert sizes["JPEG", (64, 64)] == hashlib.sha256(small).hexdigest()


def test_an_original_that_is_here_in_another_size_is_a_duplicate_and_leaves_no_file(workspace: Workspace) -> None:
    large = picture(size=(300, 100))
    put_in(workspace, "whole")
    whole = run(download(workspace, fetch=Web(whole=large))).results[0]
    put_in(workspace, "reduced")
    again = run(download(workspace, DownloadConfig(max_side=64), Web(reduced=large))).results[0]
    assert (whole.status, again.status, again.sha256) == ("stored", "duplicate", whole.sha256)
    assert [file.stem for file in workspace.images.rglob("*.*")] == [whole.sha256]
    put_in(workspace, "once more")
    assert run(download(workspace, fetch=Web(**{"once more": large}))).results[0].sha256 == whole.sha256


def test_pictures_that_ask_not_to_be_trained_on_are_asked_for_again_where_that_is_passed_over(
    workspace: Workspace, site: Site
) -> None:
    site.pages = {"/a": reply(picture(), "X-Robots-Tag: noai")}
    workspace.store.add_candidates([{"url": f"http://{site.host}/a", "label": "x", "provider": "test"}])
    config = DownloadConfig(allow_hosts=(site.host,))
    assert run(download(workspace, config)).results[0].status == "skipped"
    assert run(download(workspace, config)).results == () and waiting(workspace) == 0
    config = DownloadConfig(allow_hosts=(site.host,), honour_noai=False)
    assert run(download(workspace, config)).results[0].status == "stored"
