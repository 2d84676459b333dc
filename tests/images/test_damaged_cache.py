"""A cache that was damaged in any way is made again; nothing of it is believed that is not as it was written."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.images.pixel_cache import PixelCache
from pipeline.predict import Opening, pixels
from tests.images.test_pixel_cache import GEOMETRY, names, noise, written


def only(folder: Path) -> Path:
    (file,) = folder.glob("*/*.rows")
    return file


@settings(max_examples=25)
@given(places=st.lists(st.integers(min_value=0), min_size=1, max_size=8), value=st.integers(0, 255))
def test_a_row_that_was_changed_anywhere_is_no_row(
    tmp_path_factory: pytest.TempPathFactory, places: list[int], value: int
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    cache = written(folder, range(3))
    data = bytearray(only(folder).read_bytes())
    before = bytes(data)
    for place in places:
        data[place % len(data)] ^= value or 1
    only(folder).write_bytes(data)
    size = cache.row.itemsize
    sound = [n for n in range(3) if data[n * size : (n + 1) * size] == before[n * size : (n + 1) * size]]
    rows = PixelCache.of(folder, GEOMETRY).rows(names(0, 1, 2))
    assert set(rows.places) == set(names(*sound))
    for number in sound:
        assert np.array_equal(rows.column("exact", names(number))[0], pixels(noise(number), GEOMETRY))


def zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def garbage(file: Path) -> None:
    file.write_bytes(np.random.default_rng(0).bytes(file.stat().st_size + 7))


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def elsewhere(file: Path) -> None:
    file.unlink()
    file.symlink_to(file / "nowhere")


@pytest.mark.parametrize("harm", [zeros, garbage, a_folder, elsewhere])
def test_what_is_lost_is_written_again(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    written(tmp_path, range(2))
    harm(only(tmp_path))
    assert PixelCache.of(tmp_path, GEOMETRY).rows(names(0, 1)).places == {}
    again = written(tmp_path, range(2)).rows(names(0, 1))
    assert np.array_equal(again.column("exact", names(1))[0], pixels(noise(1), GEOMETRY))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"size": "x"}', json.dumps({"presize": "big"}), "\0" * 40])
def test_settings_that_say_nothing_are_passed_over(tmp_path: Path, text: str) -> None:
    cache = written(tmp_path, range(1))
    (cache.folder / "geometry.json").write_text(text, encoding="utf-8")
    assert PixelCache.in_use(tmp_path, Opening()).fits(1)


def test_a_file_in_its_place_gives_way(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder", encoding="utf-8")
    assert PixelCache.of(tmp_path / "cache", GEOMETRY).fits(1)
    assert len(written(tmp_path / "cache", range(2)).rows(names(0, 1)).places) == 2


def test_a_disk_that_takes_no_more_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: PixelCache) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(PixelCache, "_new_file", full)
    cache = written(tmp_path, range(2))
    assert cache.rows(names(0, 1)).places == {}
