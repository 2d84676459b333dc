"""A picture's file is called as its source called it, where every file system takes that and keeps it apart."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.data_card import ATTRIBUTIONS
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.dataset.layouts import LABELS
from pipeline.dataset.names import alike, file_name, places, source_folders
from pipeline.safe_text import defused, restored
from pipeline.stage import run
from pipeline.workspace.records import NewImage
from pipeline.workspace.workspace import Workspace
from tests.dataset.test_export import PAPERS, exported, files, picture

SOURCES = (
    *("IMG_0001.png", "img_0001.PNG", "Bär 1.png", unicodedata.normalize("NFD", "Bär 1.png"), "熊.png", "a;=b.png"),
    *("=1+1.png", "-x.png", "con.png", "AlbumArtSmall.jpg", "a\u202eb.png", "dot..png", " x .png", "x" * 300 + ".png"),
    *("urlaub/ann.png", "urlaub/sub/ann.png", "Urlaub/ann.png", "no ending", "a%20b.png", "a#b?.png", "train.png"),
    *(
        "https://site.example/p/grizzly%20bear.jpg?w=3",
        "https://site.example/",
        "C:\\pics\\x.png",
        "test_1.png",
        "1.png",
    ),
)
NAMES = st.text(max_size=300) | st.text(st.sampled_from("aAäÄß=;-+./\\: \u200d\u202e\0\n"), max_size=8)


@pytest.mark.parametrize(
    ("source", "extension", "name"),
    [
        ("cat/IMG_1.JPEG", "jpg", "IMG_1.JPEG"),
        ("cat/IMG_1.heic", "jpg", "IMG_1.jpg"),
        ("scan.v2", "png", "scan.v2.png"),
        ("photo.png", "jpg", "photo.jpg"),
        ("https://a.example/x/b%C3%A4r.jpg?size=3", "jpg", "bär.jpg"),
        ("https://a.example/", "jpg", ""),
        ("=1+1.png", "png", "_=1+1.png"),
        ("a;=b.png", "png", "a_=b.png"),
        ("nul.png", "png", "_nul.png"),
        ("x" * 300 + ".png", "png", "x" * 251 + ".png"),
    ],
)
def test_a_name_stays_where_it_is_fit(source: str, extension: str, name: str) -> None:
    assert file_name(source, extension) == name


@given(st.lists(st.tuples(NAMES, st.sampled_from(["jpg", "png"])), max_size=12))
def test_no_two_files_ever_meet_and_every_file_system_takes_them(sources: list[tuple[str, str]]) -> None:
    wanted = [
        (PurePosixPath("train", *source_folders(source)), file_name(source, ending) or f"x.{ending}")
        for source, ending in sources
    ]
    found = places(wanted)
    assert len({tuple(map(alike, place.parts)) for place in found}) == len(wanted)
    assert places(wanted) == found
    for place, (_, ending) in zip(found, sources, strict=True):
        assert place.suffix.lower() in (f".{ending}", ".jpeg", ".jpe", ".jfif")
        for part in place.parts:
            assert 0 < len(part.encode()) <= 255 and part == unicodedata.normalize("NFC", part)
            assert PureWindowsPath(part).name == part and not part.endswith((".", " ")) and not part.startswith(".")
            assert defused(part) == part
    folders = {place.parent for place in found}
    assert not {tuple(map(alike, folder.parts)) for folder in folders} & {
        tuple(map(alike, place.parts)) for place in found
    }


def test_the_first_that_wants_a_name_has_it() -> None:
    folder = PurePosixPath("train")
    wanted = [(folder, name) for name in ("a.jpg", "A.jpg", "a-2.jpg", "a.jpg")]
    assert [str(place) for place in places(wanted)] == [
        "train/a.jpg",
        "train/A-3.jpg",
        "train/a-2.jpg",
        "train/a-4.jpg",
    ]
    assert places([(folder, "b.jpg")], [folder / "B.JPG"]) == [folder / "b-2.jpg"]


@pytest.fixture
def named(workspace: Workspace) -> Workspace:
    """A picture of each of the names above, in two classes and two splits."""
    for number, name in enumerate(SOURCES):
        image_id, file = workspace.keep(picture(number), "png")
        label, split = ("cat", "dog")[number % 2], ("train", "test")[number // 2 % 2]
        workspace.store.add_images([NewImage(image_id, file, 1, label, "file", name, split=split)])
    return workspace


@pytest.mark.parametrize("layout", ["folders", "csv", "metadata", "parquet"])
def test_pictures_of_any_name_are_read_back(layout: str, named: Workspace, tmp_path: Path) -> None:
    exported(named, tmp_path / "out", layout, keep_folders=layout != "folders")
    again = Workspace.create(tmp_path / "again")
    run(import_images(again, ImportConfig(str(tmp_path / "out"))))
    columns = ["id", "label", "given_split"]
    before, after = (store.images()[columns].set_index("id").sort_index() for store in (named.store, again.store))
    assert before.equals(after)


def test_names_and_folders_stay_and_are_told(named: Workspace, tmp_path: Path) -> None:
    exported(named, tmp_path / "out", "csv", keep_folders=True)
    with (tmp_path / "out" / LABELS).open(encoding="utf-8", newline="") as lines:
        rows = [{key: restored(cell) for key, cell in row.items()} for row in csv.DictReader(lines)]
    assert [row["original_name"] for row in rows] == [restored(name) for name in SOURCES]
    assert [row["id"] for row in rows] == list(named.store.images()["id"])
    paths = [row["path"] for row in rows]
    assert {"images/IMG_0001.png", "images/urlaub/ann.png", "images/urlaub/sub/ann.png", "images/熊.png"} <= set(paths)
    assert "images/urlaub/ann-2.png" in paths, "a folder in other letters is the same on some disks"
    assert set(paths) == files(tmp_path / "out") - PAPERS


def test_names_that_tell_about_people_are_left_out_on_request(workspace: Workspace, tmp_path: Path) -> None:
    for number, name in enumerate(["ann_smith/ann_smith.png", "https://site.example/bear.png"]):
        image_id, file = workspace.keep(picture(number), "png")
        workspace.store.add_images([NewImage(image_id, file, 1, "cat", "file", name)])
    for layout in ("folders", "csv", "metadata"):
        out = tmp_path / layout
        exported(workspace, out, layout, anonymous_names=True, keep_folders=True)
        assert not any("ann" in name for name in files(out))
        assert not any(b"ann_smith" in (out / name).read_bytes() for name in files(out))
        assert b"https://site.example/bear.png" in (out / ATTRIBUTIONS).read_bytes()
