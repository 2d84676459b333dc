"""What lies where says what it is: class folders, split folders, archives and tables, and what is refused of them."""

from __future__ import annotations

import csv
import io
import os
import random
import stat
import tarfile
import time
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.sources import Entry, Found, Link, Refused, clean_label, entries

JUNK_BYTES = 500 << 20


def lay(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(f"content of {name}".encode())
    return root


def zipped(target: Path, *names: str) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, f"content of {name}")
    return target


def tarred(target: Path, *names: str) -> Path:
    with tarfile.open(target, "w:gz" if target.suffix in (".gz", ".tgz") else "w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(f"content of {name}".encode())
            archive.addfile(member, io.BytesIO(f"content of {name}".encode()))
    return target


def table(target: Path, *rows: list[str], encoding: str = "utf-8") -> Path:
    with target.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    return target


def found(source: Path, label: str | None = None, split_from: str | None = None) -> list[Found]:
    return list(entries(source, label, split_from))


def placed(source: Path, label: str | None = None, split_from: str | None = None) -> dict[str, tuple[str, str]]:
    """name -> (label, split) of the files that are taken."""
    return {e.name: (e.label, e.split) for e in found(source, label, split_from) if isinstance(e, Entry)}


def refused(source: Path) -> dict[str, str]:
    return {e.path: e.reason for e in found(source) if isinstance(e, Refused)}


# --- class names


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" cat ", "cat"),
        ("polar\n bear", "polar bear"),
        ("Bär", "Bär"),
        (unicodedata.normalize("NFD", "Bär"), "Bär"),
        ("熊", "熊"),
        ("🐻", "🐻"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("=1+1", "=1+1"),
        ("nan", "nan"),
        ("../etc", "../etc"),
    ],
)
def test_a_class_name_is_kept_as_text(text: str, label: str) -> None:
    assert clean_label(text) == label


@pytest.mark.parametrize("text", ["", "  ", "\n", "a|b", "x" * 101, "a\u202eb", "a\0b", "\ud800", "zero\u200bwidth"])
def test_a_class_name_that_cannot_be_kept_is_refused_in_words(text: str) -> None:
    with pytest.raises(SourceError, match="class"):
        clean_label(text)


# --- where a file lies


LAYOUTS = {
    "class folders": (
        ("cat/1.jpg", "cat/sub/2.jpg", "dog/3.png"),
        {"cat/1.jpg": ("cat", None), "cat/sub/2.jpg": ("cat", None), "dog/3.png": ("dog", None)},
    ),
    "one class": (("cat/1.jpg", "cat/2.jpg"), {"cat/1.jpg": ("cat", None), "cat/2.jpg": ("cat", None)}),
    "loose files": (("1.jpg", "2.jpg"), {"1.jpg": (None, None), "2.jpg": (None, None)}),
    "split folders": (
        ("train/cat/1.jpg", "val/cat/2.jpg", "Test/dog/3.jpg"),
        {
            "train/cat/1.jpg": ("cat", "train"),
            "val/cat/2.jpg": ("cat", "valid"),
            "Test/dog/3.jpg": ("dog", "test"),
        },
    ),
    "an outer folder": (
        ("pets/cat/1.jpg", "pets/dog/2.jpg"),
        {"pets/cat/1.jpg": ("cat", None), "pets/dog/2.jpg": ("dog", None)},
    ),
    "an outer folder with a README beside the classes": (
        ("pets/README.txt", "pets/cat/1.jpg", "pets/dog/2.jpg", "pets/labels.csv"),
        {"pets/cat/1.jpg": ("cat", None), "pets/dog/2.jpg": ("dog", None)},
    ),
    "a README above the outer folder": (
        ("LICENSE", "pets/cat/1.jpg", "pets/dog/2.jpg"),
        {"pets/cat/1.jpg": ("cat", None), "pets/dog/2.jpg": ("dog", None)},
    ),
    "two outer folders around split folders": (
        ("a/b/train/cat/1.jpg", "a/b/valid/dog/2.jpg", "a/b/list.csv"),
        {"a/b/train/cat/1.jpg": ("cat", "train"), "a/b/valid/dog/2.jpg": ("dog", "valid")},
    ),
    "split folders beside a folder of papers": (
        ("train/cat/1.jpg", "valid/cat/2.jpg", "docs/how.txt"),
        {"train/cat/1.jpg": ("cat", "train"), "valid/cat/2.jpg": ("cat", "valid")},
    ),
    "classes that are called like splits, beside others": (
        ("test/1.jpg", "cat/2.jpg"),
        {"test/1.jpg": ("test", None), "cat/2.jpg": ("cat", None)},
    ),
    "split folders without classes": (
        ("train/1.jpg", "test/2.jpg"),
        {"train/1.jpg": (None, "train"), "test/2.jpg": (None, "test")},
    ),
    "files without an ending": (("cat/1", "dog/2"), {"cat/1": ("cat", None), "dog/2": ("dog", None)}),
}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz", "tgz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_and_splits_come_from_the_folders(tmp_path: Path, layout: str, kind: str) -> None:
    names, expected = LAYOUTS[layout]
    if kind == "folder":
        source = lay(tmp_path / "source", *names)
    else:
        source = (zipped if kind == "zip" else tarred)(tmp_path / f"source.{kind}", *names)
    pictures = {name: what for name, what in placed(source).items() if name in expected}
    assert pictures == expected
    for entry in found(source):
        assert isinstance(entry, Entry)
        with entry.open() as file:
            assert file.read() == f"content of {entry.name}".encode()


def test_a_label_for_all_goes_before_the_folders(tmp_path: Path) -> None:
    source = lay(tmp_path, "train/cat/1.jpg", "test/2.jpg")
    assert placed(source, label="bear") == {"train/cat/1.jpg": ("bear", "train"), "test/2.jpg": ("bear", "test")}


def test_a_single_split_folder_is_one_where_that_is_asked_for(tmp_path: Path) -> None:
    source = lay(tmp_path, "test/cat/1.jpg", "test/dog/2.jpg")
    assert placed(source, split_from="folders") == {
        "test/cat/1.jpg": ("cat", "test"),
        "test/dog/2.jpg": ("dog", "test"),
    }


def test_asking_for_split_folders_where_there_are_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no train, valid or test folders"):
        found(lay(tmp_path, "cat/1.jpg"), split_from="folders")


def test_a_folder_name_that_cannot_be_a_class_costs_its_files_only(tmp_path: Path) -> None:
    source = lay(tmp_path, "cat/1.jpg", "a|b/2.jpg", f"{'x' * 120}/3.jpg")
    assert placed(source) == {"cat/1.jpg": ("cat", None)}
    assert set(refused(source)) == {"a|b/2.jpg", f"{'x' * 120}/3.jpg"}


def test_names_in_two_unicode_forms_are_one_class(tmp_path: Path) -> None:
    source = lay(
        tmp_path, f"{unicodedata.normalize('NFC', 'Bär')}/1.jpg", f"{unicodedata.normalize('NFD', 'Bär')}/2.jpg"
    )
    assert {label for label, _ in placed(source).values()} == {"Bär"}


# --- folders


def test_hidden_files_and_what_systems_leave_behind_are_passed_over(tmp_path: Path) -> None:
    noise = (".hidden.jpg", "cat/.DS_Store", ".git/1.jpg", "__MACOSX/cat/._1.jpg", "cat/Thumbs.db", "desktop.ini")
    source = lay(tmp_path / "folder", "cat/1.jpg", "dog/2.jpg", *noise)
    assert set(placed(source)) == {"cat/1.jpg", "dog/2.jpg"} and refused(source) == {}
    archive = zipped(tmp_path / "a.zip", "cat/1.jpg", "dog/2.jpg", *noise)
    assert set(placed(archive)) == {"cat/1.jpg", "dog/2.jpg"} and refused(archive) == {}


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_are_listed_and_never_followed(tmp_path: Path) -> None:
    outside = lay(tmp_path / "outside", "secret/1.jpg")
    source = lay(tmp_path / "source", "cat/1.jpg")
    (source / "cat" / "file.jpg").symlink_to(outside / "secret" / "1.jpg")
    (source / "dog").symlink_to(outside / "secret")
    (source / "cat" / "loop").symlink_to(source)
    (source / "cat" / "broken.jpg").symlink_to("nowhere")
    assert set(placed(source)) == {"cat/1.jpg"}
    assert set(refused(source)) == {"cat/file.jpg", "dog", "cat/loop", "cat/broken.jpg"}
    assert all("link" in reason for reason in refused(source).values())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    source = lay(tmp_path, "cat/1.jpg")
    os.mkfifo(source / "cat" / "pipe.jpg")
    assert refused(source) == {"cat/pipe.jpg": "It is not an ordinary file."}


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="file names are bytes on Linux only")
def test_a_file_name_that_is_no_utf8_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "cat") + b"/caf\xe9.jpg")).write_bytes(b"x")
    (entry,) = found(tmp_path)
    assert isinstance(entry, Entry)
    entry.name.encode("utf-8")
    with entry.open() as file:
        assert file.read() == b"x"


@pytest.mark.parametrize("name", ["nothing", "x" * 300, "no/such/folder"])
def test_a_source_that_is_not_there_is_explained(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"nothing at .*Give a folder"):
        found(tmp_path / name)


def test_a_file_of_another_kind_is_explained(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("notes.txt", "empty"):
        with pytest.raises(SourceError, match="neither a folder, nor a"):
            found(tmp_path / name)


@pytest.mark.parametrize("name", ["junk", "junk.csv", "junk.zip", "junk.tar", "junk.tar.gz", "junk.jpg"])
def test_half_a_gigabyte_of_junk_is_refused_at_once_and_not_read_into_memory(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(JUNK_BYTES)
    began = time.monotonic()
    tracemalloc.start()
    try:
        assert found(tmp_path / name) == []  # an empty tar archive is all noughts
    except SourceError as error:
        assert name in str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 << 20 and time.monotonic() - began < 5


# --- archives


@pytest.mark.parametrize("make", [zipped, tarred])
def test_names_that_climb_out_are_refused(tmp_path: Path, make: object) -> None:
    bad = ("../up.jpg", "/abs/cat/1.jpg", "cat/../../up.jpg", "C:/windows/1.jpg", "../.hidden.jpg")
    source = make(tmp_path / "a.zip" if make is zipped else tmp_path / "a.tar", "cat/1.jpg", "dog/2.jpg", *bad)  # type: ignore[operator]
    assert set(placed(source)) == {"cat/1.jpg", "dog/2.jpg"}
    assert len(refused(source)) == len(bad)
    assert set(refused(source).values()) == {"Its name points outside the archive."}


def test_backslashes_are_folders(tmp_path: Path) -> None:
    source = zipped(tmp_path / "a.zip", "cat\\1.jpg", "dog\\2.jpg", "..\\..\\up.jpg")
    assert placed(source) == {"cat/1.jpg": ("cat", None), "dog/2.jpg": ("dog", None)}
    assert len(refused(source)) == 1


def test_links_in_archives_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("cat/link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("cat/1.jpg", "x")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, kind in (
            ("s", tarfile.SYMTYPE),
            ("h", tarfile.LNKTYPE),
            ("d", tarfile.CHRTYPE),
            ("p", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(f"cat/{name}.jpg")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        tar.addfile(tarfile.TarInfo("cat/1.jpg"))
    assert set(placed(tmp_path / "a.zip")) == set(placed(tmp_path / "a.tar")) == {"cat/1.jpg"}
    assert len(refused(tmp_path / "a.zip")) == 1 and len(refused(tmp_path / "a.tar")) == 4


def test_an_entry_that_unpacks_to_far_too_much_is_refused_and_the_rest_is_taken(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/bomb.jpg", bytes(40 << 20))
        archive.writestr("cat/1.jpg", "x")
    assert set(placed(tmp_path / "a.zip")) == {"cat/1.jpg"}
    assert "suspiciously" in refused(tmp_path / "a.zip")["cat/bomb.jpg"]


def test_an_archive_that_claims_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("cat/1.jpg")
        member.size = 1 << 40
        tar.addfile(member)  # a header without its content
    began = time.monotonic()
    with pytest.raises(SourceError, match="more than 10 GiB"):
        found(tmp_path / "a.tar")
    assert time.monotonic() - began < 2


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.MAX_ENTRIES", 10)
    names = [f"cat/{number}.jpg" for number in range(11)]
    for source in (lay(tmp_path / "f", *names), zipped(tmp_path / "a.zip", *names), tarred(tmp_path / "a.tar", *names)):
        with pytest.raises(SourceError, match=r"more than 10 files"):
            found(source)
    with pytest.raises(SourceError, match=r"more than 10 rows"):
        found(table(tmp_path / "t.csv", ["path", "label"], *([name, "cat"] for name in names)))


def test_an_encrypted_entry_is_refused_and_the_rest_is_taken(tmp_path: Path) -> None:
    source = zipped(tmp_path / "a.zip", "cat/1.jpg", "cat/2.jpg")
    data = bytearray(source.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    source.write_bytes(data)
    assert refused(source) == {"cat/1.jpg": "It is encrypted."}
    assert set(placed(source)) == {"cat/2.jpg"}


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9])
def test_a_truncated_archive_is_an_error_in_words_or_gives_what_is_whole(tmp_path: Path, cut: float) -> None:
    names = [f"cat/{number}.jpg" for number in range(50)]
    for whole in (
        zipped(tmp_path / "a.zip", *names),
        tarred(tmp_path / "a.tar", *names),
        tarred(tmp_path / "b.tgz", *names),
    ):
        data = whole.read_bytes()
        whole.write_bytes(data[: int(len(data) * cut)])
        try:
            assert set(placed(whole)) <= set(names)
        except SourceError as error:
            assert whole.name in str(error)


def test_a_tar_archive_that_breaks_off_gives_what_came_before_and_says_so(tmp_path: Path) -> None:
    source = tarred(tmp_path / "a.tar", *(f"cat/{number}.jpg" for number in range(50)))
    source.write_bytes(source.read_bytes()[: 512 * 2 * 20 + 512 + 100])
    assert len(placed(source)) >= 20
    assert "damaged from here on" in refused(source)["a.tar"]


@pytest.mark.parametrize("flips", [1, 20])
def test_archives_with_flipped_bytes_raise_only_errors_in_words(tmp_path: Path, flips: int) -> None:
    draw = random.Random(0)
    names = [f"cat/{number}.jpg" for number in range(5)]
    for whole in (
        zipped(tmp_path / "a.zip", *names),
        tarred(tmp_path / "a.tar", *names),
        tarred(tmp_path / "b.tgz", *names),
    ):
        data = whole.read_bytes()
        for _ in range(60):
            broken = bytearray(data)
            for _ in range(flips):
                broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
            whole.write_bytes(broken)
            try:
                found(whole)
            except SourceError as error:
                assert str(error).endswith(".")


# --- tables


def test_a_table_names_files_labels_and_splits(tmp_path: Path) -> None:
    lay(tmp_path, "pictures/1.jpg", "pictures/2.jpg", "3.jpg")
    rows = [["pictures/1.jpg", "cat", "train"], ["pictures/2.jpg", "dog", "Validation"], ["3.jpg", "cat", ""]]
    source = table(tmp_path / "t.csv", ["path", "label", "split"], *rows)
    assert placed(source) == {
        "pictures/1.jpg": ("cat", "train"),
        "pictures/2.jpg": ("dog", "valid"),
        "3.jpg": ("cat", None),
    }
    assert placed(source, split_from="column") == placed(source)


def test_a_table_of_urls_gives_links(tmp_path: Path) -> None:
    url = "https://example.org/a.jpg"
    source = table(tmp_path / "t.csv", ["URL", " Label ", "split"], [url, "cat", "test"], [url, " dog ", ""])
    assert found(source) == [Link(url, "cat", "test"), Link(url, "dog", None)]


def test_a_table_may_name_both(tmp_path: Path) -> None:
    lay(tmp_path, "1.jpg")
    rows = [["1.jpg", "", "cat"], ["", "https://example.org/a.jpg", "cat"]]
    kinds = [type(one) for one in found(table(tmp_path / "t.csv", ["path", "url", "label"], *rows))]
    assert kinds == [Entry, Link]


def test_a_byte_order_mark_and_quotes_are_read(tmp_path: Path) -> None:
    lay(tmp_path, 'a "b", c.jpg')
    source = table(tmp_path / "t.csv", ["path", "label"], ['a "b", c.jpg', "cät"], encoding="utf-8-sig")
    assert placed(source) == {'a "b", c.jpg': ("cät", None)}


def test_bad_rows_are_listed_with_their_line_and_the_rest_is_taken(tmp_path: Path) -> None:
    lay(tmp_path, "1.jpg")
    rows = [
        *(["1.jpg", "cat", ""], ["missing.jpg", "cat", ""], ["1.jpg", "", ""], ["1.jpg", "a|b", ""]),
        *(["1.jpg", "cat", "exam"], ["", "cat", ""], ["x" * 5000, "cat", ""], ["nul\0.jpg", "cat", ""], ["1.jpg"]),
    ]
    source = table(tmp_path / "t.csv", ["path", "label", "split"], *rows)
    assert set(placed(source)) == {"1.jpg"}
    assert set(refused(source)) == {f"line {number}" for number in range(3, 11)}
    assert "missing.jpg" in refused(source)["line 3"] and "exam" in refused(source)["line 6"]


def test_a_label_for_all_makes_the_label_column_needless(tmp_path: Path) -> None:
    lay(tmp_path, "1.jpg")
    source = table(tmp_path / "t.csv", ["path"], ["1.jpg"])
    assert placed(source, label="cat") == {"1.jpg": ("cat", None)}
    with pytest.raises(SourceError, match=r"needs a column 'label', or .*--label"):
        found(source)


@pytest.mark.parametrize(
    ("header", "words"),
    [(["file", "label"], "'path' or 'url'"), (["label"], "'path' or 'url'"), ([], "'path' or 'url'")],
)
def test_a_table_without_its_columns_is_explained(tmp_path: Path, header: list[str], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        found(table(tmp_path / "t.csv", header))


def test_asking_for_a_split_column_where_there_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no column 'split'"):
        found(table(tmp_path / "t.csv", ["path", "label"]), split_from="column")


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_a_table_in_another_encoding_is_explained(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(SourceError, match="UTF-8"):
        found(table(tmp_path / "t.csv", ["path", "label"], ["1.jpg", "Bär"], encoding=encoding))


def test_links_in_a_table_are_not_followed(tmp_path: Path) -> None:
    lay(tmp_path, "1.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "1.jpg")
    assert placed(table(tmp_path / "t.csv", ["path", "label"], ["link.jpg", "cat"])) == {}
