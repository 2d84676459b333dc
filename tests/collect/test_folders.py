"""Every file of a folder is told: taken, refused, or left out as what a system left; links are followed with care."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect import folders
from pipeline.collect.archives import archived
from pipeline.collect.entries import Empty, File, LeftOut, Refused, Walked
from pipeline.collect.folders import BROKEN, CIRCLE, LINK, OUTSIDE, SPECIAL, STORED, walked
from pipeline.collect.noise import noise, noise_of
from pipeline.errors import SourceError
from tests.support.sources import lay, placed, refused, tarred, zipped

links_work = pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")


def files(found: list[Walked]) -> list[str]:
    return sorted(str(one.path) for one in found if isinstance(one, File))


def kinds(found: list[Walked]) -> Counter[str]:
    return Counter(one.kind for one in found if isinstance(one, LeftOut))


def empty(found: list[Walked]) -> list[str]:
    return [one.path for one in found if isinstance(one, Empty)]


def reasons(found: list[Walked]) -> dict[str, str]:
    return {one.path: one.reason for one in found if isinstance(one, Refused)}


def link(place: Path, target: str | Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


# --- what systems leave behind

NOISE = """@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg|#recycle/x.jpg|#snapshot/x.jpg|$RECYCLE.BIN/S-1-5-18/x.jpg
System Volume Information/x.jpg|lost+found/x.jpg|__MACOSX/cat/._1.jpg|cat/.DS_Store|cat/._1.jpg|cat/Thumbs.db
cat/THUMBS.DB|desktop.ini|cat/Desktop.ini|.Trash-1000/files/z.jpg|cat/.ipynb_checkpoints/1-checkpoint.jpg
cat/.thumbnails/1.jpg|.git/objects/ab/1.jpg|.cache/x.jpg|.dvc/cache/ab/x|ehthumbs.db|.picasa.ini|dog/.nomedia
.Spotlight-V100/x|.fseventsd/x|.TemporaryItems/x.jpg|Network Trash Folder/x.jpg|.AppleDouble/x.jpg|.Trashes/501/x.jpg
@tmp/x.jpg|.@__thumb/default1.jpg|@Recycle/x.jpg|@Recently-Snapshot/x.jpg|.zfs/snapshot/x.jpg|LOST.DIR/1.jpg
cat/~$list.xlsx|cat/1.jpg:Zone.Identifier|FOUND.000/x.jpg|.nfs00000001|.hidden.jpg|cat/.2.jpg
RECYCLER/S-1-5-21-1-2-3-500/Dc1.jpg|RECYCLED/INFO2|RECYCLED/Dc12.jpg""".replace("\n", "|")


def test_what_systems_leave_behind_is_left_out_and_counted_everywhere_alike(tmp_path: Path) -> None:
    left = NOISE.split("|")
    every = ["cat/1.jpg", "dog/2.jpg", *left]
    sources = [walked(lay(tmp_path / "folder", *every))]
    sources += [archived(zipped(tmp_path / "a.zip", *every)), archived(tarred(tmp_path / "a.tar", *every))]
    expected = Counter(noise(PurePosixPath(name)) for name in left)
    for source in map(list, sources):
        assert files(source) == ["cat/1.jpg", "dog/2.jpg"] and reasons(source) == {}
        assert kinds(source) == expected and len(expected) > 8
        assert empty(source) in ([], ["RECYCLED"])


CLASSES = "recycled|Recycled|trash|Recycle Bin|windows|cvs|cache|thumbs|git|snapshot|#1|@home|$5|a~b|DS_Store|S-1-5"


@pytest.mark.parametrize("name", CLASSES.split("|"))
def test_what_may_be_a_class_is_no_noise(name: str) -> None:
    assert noise_of(name) is None


def test_a_folder_of_a_system_that_cannot_be_looked_into_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = lay(tmp_path, "cat/1.jpg", "lost+found/x.jpg", "dog/2.jpg")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith(("lost+found", "dog")):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(SourceError, match=r"folder .*dog cannot be read: Permission denied"):
        list(walked(source))
    (source / "dog").rename(tmp_path / "dogs")
    assert kinds(list(walked(source))) == {"files of Linux": 1}


def test_folders_without_a_file_are_told(tmp_path: Path) -> None:
    source = lay(tmp_path / "folder", "train/cat/1.jpg", "train/dog/.DS_Store", "@eaDir/x.jpg")
    for folder in ("train/owl", "test/cat/more", ".git/refs"):
        (source / folder).mkdir(parents=True)
    expected = ["test/cat/more", "train/dog", "train/owl"]
    assert empty(list(walked(source))) == expected
    names = ("train/cat/1.jpg", "train/dog/.DS_Store", "train/dog/", "train/owl/", "test/cat/more/", ".git/refs/")
    assert empty(list(archived(zipped(tmp_path / "a.zip", *names)) or ())) == expected


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_ENTRIES", 3)
    source = lay(tmp_path, "cat/1.jpg", "cat/2.jpg")
    assert len(files(list(walked(source)))) == 2
    with pytest.raises(SourceError, match=r"more than 3 files"):
        list(walked(lay(source, "cat/3.jpg")))


# --- links


def cache_of_the_hub(root: Path) -> Path:
    lay(root, *(f"blobs/{number}" for number in range(4)), "refs/main")
    for number, label in enumerate("abab"):
        link(root / f"snapshots/1f/{label}/{number}.jpg", f"../../../blobs/{number}")
    return root


@links_work
def test_a_tree_of_links_gives_the_classes_of_the_links(tmp_path: Path) -> None:
    source = cache_of_the_hub(tmp_path / "set")
    found = list(walked(source))
    assert files(found) == ["refs/main", *(f"snapshots/1f/{name}.jpg" for name in ("a/0", "a/2", "b/1", "b/3"))]
    assert kinds(found) == {STORED: 4} and reasons(found) == {}
    contents = {str(one.path): one.open().read() for one in found if isinstance(one, File)}
    assert contents["snapshots/1f/a/2.jpg"] == b"content of blobs/2"


@links_work
def test_what_a_visitor_sent_is_never_followed(tmp_path: Path) -> None:
    found = list(walked(cache_of_the_hub(tmp_path), local=False, follow_links=True))
    assert files(found) == [*(f"blobs/{number}" for number in range(4)), "refs/main"]
    assert set(reasons(found).values()) == {LINK} and len(reasons(found)) == 4


@links_work
@pytest.mark.parametrize(
    ("store", "linked"),
    [
        (".dvc/cache/files/md5/{0:02x}/{0:030x}", "{1}/{0}.jpg"),
        (".git/annex/objects/{0}/{0}.jpg", "{1}/{0}.jpg"),
        ("objects/{0:064x}.jpg", "train/{1}/{0}.jpg"),
        ("all/{0}.jpg", "{1}/{0}.jpg"),
    ],
)
def test_stores_of_other_programs_count_where_their_links_are(tmp_path: Path, store: str, linked: str) -> None:
    for number, label in enumerate(("cat", "dog", "cat", "dog")):
        lay(tmp_path, store.format(number))
        link(tmp_path / linked.format(number, label), tmp_path / store.format(number))
    found = list(walked(tmp_path))
    assert len(files(found)) == 4 and all("cat" in name or "dog" in name for name in files(found))
    assert sum(kinds(found).values()) == 4 and reasons(found) == {}


@links_work
def test_a_picture_that_is_more_than_a_store_keeps_its_own_place(tmp_path: Path) -> None:
    lay(tmp_path, "cat/1.jpg", "cat/2.jpg", "dog/3.jpg")
    link(tmp_path / "best" / "1.jpg", "../cat/1.jpg")
    assert files(list(walked(tmp_path))) == ["best/1.jpg", "cat/1.jpg", "cat/2.jpg", "dog/3.jpg"]


@links_work
def test_linked_folders_are_looked_into_and_circles_end(tmp_path: Path) -> None:
    source = lay(tmp_path / "set", "raw/2024/1.jpg", "raw/2024/2.jpg", "dog/3.jpg")
    link(source / "cat", "raw/2024")
    link(source / "dog" / "up", source)
    link(source / "dog" / "self", "self")
    link(source / "raw" / "there", "../dog")
    link(source / "dog" / "back", "../raw")
    found = list(walked(source))
    assert {"cat/1.jpg", "cat/2.jpg"} <= set(files(found))
    assert reasons(found)["dog/up"] == reasons(found)["dog/self"] == CIRCLE
    assert set(reasons(found).values()) == {CIRCLE}


@links_work
def test_links_that_lead_out_are_followed_on_request_only(tmp_path: Path) -> None:
    outside = lay(tmp_path / "outside", "secret/1.jpg", "secret/2.jpg")
    source = lay(tmp_path / "set", "cat/1.jpg")
    link(source / "cat" / "file.jpg", outside / "secret" / "1.jpg")
    link(source / "dog", outside / "secret")
    link(source / "cat" / "loop", tmp_path)
    link(source / "cat" / "broken.jpg", "nowhere")
    link(source / "cat" / "null.jpg", "/dev/null")
    os.link(source / "cat" / "1.jpg", source / "cat" / "hard.jpg")
    found = list(walked(source))
    assert files(found) == ["cat/1.jpg", "cat/hard.jpg"]
    told = {"cat/file.jpg": OUTSIDE, "dog": OUTSIDE, "cat/loop": OUTSIDE, "cat/broken.jpg": BROKEN}
    assert reasons(found) == {**told, "cat/null.jpg": OUTSIDE}
    assert set(placed(source)) == set(files(found)) and set(refused(source)) == set(reasons(found))
    found = list(walked(source, follow_links=True))
    assert files(found) == ["cat/1.jpg", "cat/file.jpg", "cat/hard.jpg", "dog/1.jpg", "dog/2.jpg"]
    assert reasons(found) == {"cat/loop": CIRCLE, "cat/broken.jpg": BROKEN, "cat/null.jpg": SPECIAL}
    link(tmp_path / "itself", source)
    assert files(list(walked(tmp_path / "itself"))) == ["cat/1.jpg", "cat/hard.jpg"]


@links_work
@pytest.mark.parametrize("replaced", ["file", "folder"])
def test_what_became_a_link_after_it_was_found_is_not_opened(tmp_path: Path, replaced: str) -> None:
    secret = lay(tmp_path / "outside", "1.jpg")
    source = lay(tmp_path / "set", "cat/1.jpg")
    (file,) = (one for one in walked(source) if isinstance(one, File))
    assert file.open().read() == b"content of cat/1.jpg"
    if replaced == "file":
        (source / "cat" / "1.jpg").unlink()
        link(source / "cat" / "1.jpg", secret / "1.jpg")
    else:
        (source / "cat").rename(tmp_path / "gone")
        link(source / "cat", secret)
    with pytest.raises(OSError):
        file.open()


@links_work
def test_folders_linked_over_and_over_come_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_ENTRIES", 300)
    for number in range(12):  # 2 to the 12th ways to the last one
        (tmp_path / f"{number}").mkdir()
        for name in ("x", "y"):
            link(tmp_path / f"{number}" / name, f"../{number + 1}")
    (tmp_path / "12").mkdir()
    with pytest.raises(SourceError, match="more than 300"):
        list(walked(tmp_path))


# --- the account

PARTS = "a b 1.jpg 2.png .DS_Store @eaDir #recycle .git lost+found ä blob deadbeef labels.csv"
PATHS = st.lists(st.sampled_from(PARTS.split()), min_size=1, max_size=4).map("/".join)


def every_file(root: Path) -> int:
    return sum(
        len(names) + sum(Path(folder, name).is_symlink() for name in inside) for folder, inside, names in os.walk(root)
    )


def put(place: Path, make: Callable[[Path], object]) -> None:
    """Makes a file, where no file or folder is in its way."""
    if not any(above.is_file() or above.is_symlink() for above in (place, *place.parents)) and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        make(place)


@given(here=st.lists(PATHS, max_size=12), ties=st.lists(st.tuples(PATHS, PATHS), max_size=5), local=st.booleans())
@settings(max_examples=40)
def test_every_file_of_any_tree_is_accounted_for(
    here: list[str], ties: list[tuple[str, str]], local: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for name in here:
        put(root / name, lambda place: place.write_bytes(b"x"))
    for name, target in ties if os.name != "nt" else ():
        put(root / name, lambda place, to=root / target: place.symlink_to(to))  # type: ignore[misc]
    found = list(walked(root, local))
    told = [one for one in found if isinstance(one, File | Refused | LeftOut)]
    through = any(place.is_dir() and place.is_symlink() for place in root.rglob("*"))
    assert len(told) == every_file(root) or (local and through)
    places = [str(one.path) for one in found if isinstance(one, File | Refused)]
    assert len(places) == len(set(places))
    for file in found:
        if isinstance(file, File):
            with file.open() as opened:
                assert opened.read() == b"x"
