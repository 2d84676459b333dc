"""Archives are read as they are: nothing climbs out, links and bombs are refused, damage is told in words."""

from __future__ import annotations

import gzip
import random
import stat
import tarfile
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SourceError
from tests.support.sources import found, placed, refused, tarred, zipped


@pytest.mark.parametrize("make", [zipped, tarred])
def test_names_that_climb_out_are_refused(tmp_path: Path, make: object) -> None:
    bad = ("../up.jpg", "/abs/cat/1.jpg", "cat/../../up.jpg", "C:/windows/1.jpg", "../.hidden.jpg")
    source = make(tmp_path / "a.zip" if make is zipped else tmp_path / "a.tar", "cat/1.jpg", "dog/2.jpg", *bad)  # type: ignore[operator]
    assert set(placed(source)) == {"cat/1.jpg", "dog/2.jpg"}
    assert len(refused(source)) == len(bad)
    assert set(refused(source).values()) == {"Its name points outside the archive."}


NAMES = st.lists(
    st.lists(st.sampled_from(["..", ".", "", "/", "\\", "C:", "cat", "~", "1.jpg", "\u202e", "‥"]), min_size=1).map(
        lambda parts: "/".join(parts) + ".jpg"
    ),
    min_size=1,
    max_size=6,
    unique=True,
)


@given(names=NAMES)
@settings(max_examples=60)
def test_no_name_whatever_it_is_leads_out_of_the_archive(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("names")
    for source in (zipped(folder / "a.zip", *names), tarred(folder / "a.tar", *names)):
        for name in placed(source):
            assert (folder / "in" / name).resolve().is_relative_to(folder / "in") and not name.startswith("/")


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
    monkeypatch.setattr("pipeline.collect.archives.MAX_ENTRIES", 10)
    names = [f"cat/{number}.jpg" for number in range(11)]
    for source in (zipped(tmp_path / "a.zip", *names), tarred(tmp_path / "a.tar", *names)):
        with pytest.raises(SourceError, match=r"more than 10 files"):
            found(source)


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


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_a_name_of_gigabytes_is_not_read_into_memory(tmp_path: Path, kind: bytes) -> None:
    name = tarfile.TarInfo("long")
    name.type, name.size = kind, 40 << 20
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("cat/1.jpg"))
    source = tmp_path / "bomb.tar.gz"
    with gzip.open(source, "wb") as packed:
        packed.write((tmp_path / "a.tar").read_bytes()[:512] + name.tobuf(tarfile.GNU_FORMAT) + bytes(name.size))
    tracemalloc.start()
    assert "a name of 41,943,040 bytes" in refused(source)["bomb.tar.gz"]
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


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
