"""Ready-made sets come whole, checked, once, unpacked by our own rules; a break, a lie or a cancel leaves nothing."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from PIL import Image

from pipeline.collect.apart import ArchiveLimits
from pipeline.collect.importing import ImportConfig, Imported, import_images
from pipeline.collect.ready_made import (
    READY_MADE,
    ReadyMade,
    fetch_ready_made,
    ready_made_name,
)
from pipeline.errors import NetworkError, SourceError
from pipeline.stage import Progress, run
from pipeline.workspace.workspace import Workspace
from tests.support.paths import ROOT

FAST = ArchiveLimits(seconds=20)


def picture(number: int) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256, 99)).save(target, "PNG")
    return target.getvalue()


def archive(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, place in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, place
            tar.addfile(member)
    return target.getvalue()


def numbered(*names: str) -> dict[str, bytes]:
    return {name: picture(number) for number, name in enumerate(names)}


@dataclass
class ArchiveServer:
    """Serves archives by path, well or badly: ``ways`` says how."""

    files: dict[str, bytes] = field(default_factory=dict)
    ways: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    going_on: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    def put(self, name: str, data: bytes, way: str = "") -> ReadyMade:
        """The list with one set, whose archive is served ``way``."""
        path = f"/{name.lower()}.tgz"
        self.files[path], self.ways[path] = data, way
        entry = (f"{self.address}{path}", len(data), hashlib.md5(data[: 1 << 20]).hexdigest())
        return ReadyMade({name: entry}, folders=(), limits=FAST)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        data, way = self.files[request.path], self.ways[request.path]
        if way.isdigit():
            request.send_error(int(way))
            return
        request.send_response(200)
        if way not in ("endless", "unsaid"):
            request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if way in ("short", "halting", "unsaid"):
            data = data[: len(data) // 2]
        request.wfile.write(data)
        request.wfile.flush()
        while way in ("halting", "endless") and not self.going_on.is_set():
            if way == "endless":
                request.wfile.write(bytes(1 << 16))
            self.going_on.wait(0.01)


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    state = ArchiveServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                state.answer(self)
            except ConnectionError:
                return

        def log_message(self, *_arguments: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        state.address = f"http://127.0.0.1:{serving.server_address[1]}"
        thread = threading.Thread(target=serving.serve_forever, args=(0.05,))
        thread.start()
        yield state
        state.going_on.set()
        serving.shutdown()
        thread.join()


def bring_in(workspace: Workspace, name: str, sets: ReadyMade, **config: str) -> Imported:
    return run(import_images(workspace, ImportConfig(name, **config), sets))  # type: ignore[arg-type]


def labels(workspace: Workspace) -> dict[str, tuple[str | None, str | None]]:
    rows = workspace.store.images()
    return dict(zip(rows["source_name"], zip(rows["label"], rows["given_split"], strict=True), strict=True))


def left(workspace: Workspace) -> list[str]:
    folder = workspace.cache / "archives"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# --- each set's labels, from archives laid out as fast.ai's are

PASCAL = {
    **numbered(*(f"pascal_2007/{name}" for name in ("train/1.png", "train/2.png", "test/3.png", "masks/1.png"))),
    "pascal_2007/train.csv": b"fname,labels,is_valid\n1.png,chair dog,True\n2.png,car,False\n",
    "pascal_2007/test.csv": b"fname,labels\n3.png,horse\n",
}
FLOWERS = {
    **numbered(*(f"flowers/jpg/{split}.png" for split in ("train", "valid", "test"))),
    **{f"flowers/{split}.txt": f"jpg/{split}.png 7\n".encode() for split in ("train", "valid", "test")},
}
DOGS = ("d/train/cats/1.jpg", "d/valid/dogs/2.jpg", "d/sample/train/cats/3.jpg", "d/test1/4.jpg")
SETS = {
    "PETS": (
        numbered("p/images/great_pyrenees_17.jpg", "p/annotations/trimaps/pug_1.png"),
        {"p/images/great_pyrenees_17.jpg": ("great_pyrenees", None)},
    ),
    "MNIST_SAMPLE": (
        {**numbered("m/train/3/1.png", "m/valid/7/2.png"), "m/labels.csv": b"name,label"},
        {"m/train/3/1.png": ("3", "train"), "m/valid/7/2.png": ("7", "valid")},
    ),
    "MNIST_TINY": (
        numbered("m/train/3/1.png", "m/valid/7/2.png", "m/test/3.png"),
        {"m/train/3/1.png": ("3", "train"), "m/valid/7/2.png": ("7", "valid")},
    ),
    "MNIST": (
        numbered("mnist_png/training/0/1.png", "mnist_png/testing/1/2.png"),
        {"mnist_png/training/0/1.png": ("0", "train"), "mnist_png/testing/1/2.png": ("1", "test")},
    ),
    "IMAGENETTE_160": (
        numbered("i/train/n01440764/1.JPEG", "i/val/n03888257/2.JPEG"),
        {"i/train/n01440764/1.JPEG": ("tench", "train"), "i/val/n03888257/2.JPEG": ("parachute", "valid")},
    ),
    "CIFAR_100": (
        numbered("c/train/fruit/apple/1.png", "c/test/people/baby/2.png"),
        {"c/train/fruit/apple/1.png": ("apple", "train"), "c/test/people/baby/2.png": ("baby", "test")},
    ),
    "FOOD": (
        {**numbered("f/images/pho/1.jpg", "f/images/ramen/2.jpg"), "f/train.txt": b"pho/1\n"},
        {"f/images/pho/1.jpg": ("pho", None), "f/images/ramen/2.jpg": ("ramen", None)},
    ),
    "DOGS": (numbered(*DOGS), {DOGS[0]: ("cats", "train"), DOGS[1]: ("dogs", "valid")}),
    "FLOWERS": (FLOWERS, {f"flowers/jpg/{split}.png": ("7", split) for split in ("train", "valid", "test")}),
    "PLANET_SAMPLE": (
        {**numbered("s/train/train_1.jpg"), "s/labels.csv": b"image_name,tags\ntrain_1,haze primary\n"},
        {"s/train/train_1.jpg": ("haze|primary", None)},
    ),
    "PASCAL_2007": (
        PASCAL,
        {
            "pascal_2007/train/1.png": ("chair|dog", "valid"),
            "pascal_2007/train/2.png": ("car", "train"),
            "pascal_2007/test/3.png": ("horse", "test"),
        },
    ),
    "CUB_200_2011": (
        numbered("C/images/001.Albatross/1.jpg", "C/images/002.Crow/2.jpg", "C/x/3.jpg"),
        {"C/images/001.Albatross/1.jpg": ("001.Albatross", None), "C/images/002.Crow/2.jpg": ("002.Crow", None)},
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_labelled_as_its_archive_is_laid_out(workspace: Workspace, tmp_path: Path, name: str) -> None:
    files, expected = SETS[name]
    data = archive(files)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "set.tgz").write_bytes(data)
    entry = ("https://archives.invalid/set.tgz", len(data), hashlib.md5(data).hexdigest())
    result = bring_in(workspace, name.lower(), ReadyMade({name: entry}, folders=(str(tmp_path / "own"),)))
    assert labels(workspace) == expected
    assert (result.added, result.failed, result.notes) == (len(expected), (), ())
    sources = workspace.store.sources()
    assert set(sources["provider"]) == {name} and set(sources["page_url"]) == {"https://archives.invalid/set.tgz"}
    assert left(workspace) == []  # the copy that was there already was used where it lay


def test_every_set_on_offer_is_on_the_list_of_fastdownload() -> None:
    for name in READY_MADE:
        url, size, md5 = ReadyMade().archive(name)
        assert url.startswith("https://") and url.endswith(".tgz") and size > 0 and len(md5) == 32


@pytest.mark.parametrize(
    ("source", "name"), [("pets", "PETS"), (" Mnist_Tiny ", "MNIST_TINY"), ("CARS", None), ("", None)]
)
def test_a_set_is_named_in_any_case(source: str, name: str | None) -> None:
    assert ready_made_name(source) == name


def test_a_folder_of_that_name_goes_before_the_set(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "here" / "pets" / "cat" / "1.png").write_bytes(picture(1))
    monkeypatch.chdir(tmp_path / "here")
    assert bring_in(workspace, "pets", ReadyMade({})).classes == {"cat": 1}


def test_a_label_and_an_expression_of_ones_own_go_before_the_sets(workspace: Workspace, server: ArchiveServer) -> None:
    sets = server.put("PETS", archive(numbered("p/images/Bombay_1.jpg", "p/images/pug_2.jpg")))
    config = ImportConfig("PETS", label_regex=r"^([A-Z])?\w+_\d")
    result = run(import_images(workspace, config, sets))
    assert result.classes == {"B": 1} and [bad.path for bad in result.failed] == ["p/images/pug_2.jpg"]
    run(import_images(workspace, ImportConfig("PETS", label="dog"), sets))
    assert server.asked == ["/pets.tgz"]


# --- fetched, checked, once


def test_an_archive_is_fetched_once_and_said_how_large_it_is(
    workspace: Workspace, server: ArchiveServer, capfd: pytest.CaptureFixture[str]
) -> None:
    sets = server.put("MNIST_SAMPLE", archive(numbered("m/train/3/1.png", "m/valid/7/2.png")))
    told: list[Progress] = []
    result = run(import_images(workspace, ImportConfig("MNIST_SAMPLE"), sets), told.append)
    assert (result.added, result.classes) == (2, {"3": 1, "7": 1})
    assert any(step.note.startswith("Fetching MNIST_SAMPLE (1 KiB)") for step in told)
    assert bring_in(workspace, "MNIST_SAMPLE", sets).duplicates == 2
    assert server.asked == ["/mnist_sample.tgz"] and left(workspace) == ["mnist_sample.tgz"]
    assert capfd.readouterr().out == ""


def test_an_archive_that_was_changed_is_fetched_anew(workspace: Workspace, server: ArchiveServer) -> None:
    sets = server.put("MNIST_SAMPLE", archive(numbered("m/train/3/1.png", "m/valid/7/2.png")))
    bring_in(workspace, "MNIST_SAMPLE", sets)
    file = workspace.cache / "archives" / "mnist_sample.tgz"
    file.write_bytes(bytes(file.stat().st_size))
    assert bring_in(workspace, "MNIST_SAMPLE", sets).duplicates == 2
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("404", "the server answers 404"),
        ("503", "the server answers 503"),
        ("short", "ended before all of it had come"),
        ("unsaid", "is not the archive of PETS"),
        ("endless", "sends more than the "),
        ("halting", "next to nothing|timed out"),
    ],
)
def test_what_goes_wrong_is_told_and_leaves_nothing(
    workspace: Workspace, server: ArchiveServer, way: str, words: str
) -> None:
    sets = server.put("PETS", archive(numbered("p/images/pug_1.jpg")), way)
    if way == "halting":
        sets = replace(sets, limits=ArchiveLimits(seconds=2.0))
    with pytest.raises(NetworkError, match=words):
        bring_in(workspace, "PETS", sets)
    assert left(workspace) == [] and workspace.store.images().empty
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("wrong", ["size", "hash"])
def test_another_archive_than_the_one_on_the_list_is_refused(
    workspace: Workspace, server: ArchiveServer, wrong: str
) -> None:
    sets = server.put("PETS", archive(numbered("p/images/pug_1.jpg")))
    url, size, md5 = sets.archive("PETS")
    lies = (url, size + 1, md5) if wrong == "size" else (url, size, "0" * 32)
    with pytest.raises(NetworkError, match=r"is not the archive of PETS.*Try again later"):
        bring_in(workspace, "PETS", replace(sets, archives={"PETS": lies}))
    assert left(workspace) == [] and workspace.store.images().empty


def test_without_a_network_it_says_what_works_without_one(workspace: Workspace, server: ArchiveServer) -> None:
    sets = server.put("PETS", b"x")
    url, size, md5 = sets.archive("PETS")
    closed = url.replace(server.address, "http://127.0.0.1:9")
    with pytest.raises(NetworkError, match=r"PETS cannot be fetched .*refused.*'starter', which need no network"):
        bring_in(workspace, "PETS", replace(sets, archives={"PETS": (closed, size, md5)}))


def test_a_cancel_in_the_middle_ends_the_process_and_leaves_nothing(
    workspace: Workspace, server: ArchiveServer
) -> None:
    data = archive({"p/images/pug_1.jpg": os.urandom(200_000)})
    sets = server.put("PETS", data, "halting")
    stage = import_images(workspace, ImportConfig("PETS"), sets)
    while next(stage).done == 0:
        assert len(multiprocessing.active_children()) <= 1
    assert len(multiprocessing.active_children()) == 1 and any(name.endswith(".part") for name in left(workspace))
    stage.close()
    assert multiprocessing.active_children() == [] and left(workspace) == []
    server.ways["/pets.tgz"] = ""
    assert bring_in(workspace, "PETS", sets).classes == {"pug": 1}


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_an_import_that_is_killed_takes_the_fetching_process_with_it(
    workspace: Workspace, server: ArchiveServer
) -> None:
    sets = server.put("PETS", archive({"p/images/pug_1.jpg": os.urandom(200_000)}), "halting")
    script = (
        "import sys; from pipeline.collect.importing import ImportConfig, import_images\n"
        "from pipeline.stage import run\n"
        "from pipeline.collect.ready_made import ReadyMade; from pipeline.workspace.workspace import Workspace\n"
        "def show(progress):\n    if progress.done: print(progress.done, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    sets = ReadyMade({'PETS': (sys.argv[2], int(sys.argv[3]), '')}, folders=())\n"
        "    run(import_images(Workspace.open(sys.argv[1]), ImportConfig('PETS'), sets), show)"
    )
    url, size, _ = sets.archive("PETS")
    command = [sys.executable, "-c", script, str(workspace.root), url, str(size)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as importing:
        assert importing.stdout is not None and importing.stdout.readline().strip().isdigit()
        fetching = psutil.Process(importing.pid).children(recursive=True)
        importing.kill()
    gone, alive = psutil.wait_procs(fetching, timeout=20)
    assert gone and not alive
    assert left(workspace)
    server.ways["/pets.tgz"] = ""
    assert bring_in(workspace, "PETS", sets).classes == {"pug": 1}
    assert left(workspace) == ["pets.tgz"]


def test_what_a_killed_process_left_is_swept_away(workspace: Workspace, server: ArchiveServer) -> None:
    sets = server.put("PETS", archive(numbered("p/images/pug_1.jpg")))
    folder = workspace.cache / "archives"
    folder.mkdir(parents=True)
    (folder / "pets.tgz.999999999.part").write_bytes(b"half")
    bring_in(workspace, "PETS", sets)
    assert left(workspace) == ["pets.tgz"]


def test_a_disk_without_room_is_told_before_anything_is_fetched(workspace: Workspace, server: ArchiveServer) -> None:
    huge = ReadyMade({"PETS": (f"{server.address}/pets.tgz", 1 << 60, "0" * 32)}, folders=())
    with pytest.raises(SourceError, match=r"The archive has .* GiB.*Free some space"):
        run(fetch_ready_made("PETS", workspace.cache / "archives", huge))
    assert server.asked == []


def test_a_set_that_left_the_list_is_explained(workspace: Workspace) -> None:
    with pytest.raises(SourceError, match="no archive of PETS any more"):
        bring_in(workspace, "PETS", ReadyMade({}))


# --- unpacked by our own rules


def test_what_climbs_out_of_an_archive_is_refused_and_the_rest_is_taken(
    workspace: Workspace, server: ArchiveServer, tmp_path: Path
) -> None:
    files = numbered("m/train/3/1.png", "m/valid/7/2.png", "../../../../evil.png", "/tmp/winnow-evil.png")
    sets = server.put("MNIST_SAMPLE", archive(files, {"m/train/3/link.png": "/etc/passwd"}))
    before = {path for path in tmp_path.rglob("*") if workspace.root not in path.parents}
    result = bring_in(workspace, "MNIST_SAMPLE", sets)
    assert result.added == 2
    assert {bad.path for bad in result.failed} == {"../../../../evil.png", "/tmp/winnow-evil.png", "m/train/3/link.png"}
    assert {path for path in tmp_path.rglob("*") if workspace.root not in path.parents} == before
    assert not Path("/tmp/winnow-evil.png").exists()
