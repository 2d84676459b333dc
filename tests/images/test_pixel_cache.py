"""The training cache gives back what was put in, by any process, whole rows only, for one geometry at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.images.pixel_cache import PixelCache
from pipeline.predict import Preprocessing, pixels

GEOMETRY = Preprocessing(size=(10, 12), resize="squish")


def noise(number: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    values = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def written(folder: Path, numbers: range) -> PixelCache:
    cache = PixelCache.of(folder, GEOMETRY)
    for number in numbers:
        cache.add(f"{number:064x}", noise(number))
    cache.close()
    return cache


def names(*numbers: int) -> list[str]:
    return [f"{number:064x}" for number in numbers]


def test_rows_of_several_files_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    written(tmp_path, range(3))
    cache = written(tmp_path, range(3, 6))
    exact = cache.rows(names(*range(6))).column("exact", names(5, 0, 3, 1))
    assert len(exact) == 4
    for place, number in enumerate((5, 0, 3, 1)):
        assert np.array_equal(exact[place], pixels(noise(number), GEOMETRY))
    assert np.array_equal(exact[np.array([3, 0])], np.stack([exact[3], exact[0]]))
    assert np.asarray(exact).shape == (4, 10, 12, 3)
    aspect = cache.rows(names(2)).column("aspect", names(2))
    assert np.asarray(aspect) == pytest.approx(40 / 30)


def test_what_is_not_there_is_not_promised(tmp_path: Path) -> None:
    assert PixelCache.of(tmp_path, GEOMETRY).rows(names(1)).places == {}
    assert set(written(tmp_path, range(2)).rows(names(1, 7)).places) == set(names(1))
    nothing = PixelCache.of(tmp_path, GEOMETRY).rows([]).column("exact", [])
    assert len(nothing) == 0 and len(np.asarray(nothing)) == 0


@given(cut=st.integers(min_value=0, max_value=10_000))
def test_a_file_cut_off_anywhere_gives_its_whole_rows(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    cache = written(folder, range(4))
    (file,) = cache.folder.glob("*.rows")
    data = file.read_bytes()[: cut % (4 * cache.row.itemsize + 1)]
    file.write_bytes(data)
    whole = len(data) // cache.row.itemsize
    rows = PixelCache.of(folder, GEOMETRY).rows(names(*range(4)))
    assert set(rows.places) == set(names(*range(whole)))
    for number in range(whole):
        assert np.array_equal(rows.column("exact", names(number))[0], pixels(noise(number), GEOMETRY))


def test_the_cache_of_the_last_training_is_the_one_in_use(tmp_path: Path) -> None:
    assert PixelCache.in_use(tmp_path).geometry == Preprocessing()
    cache = written(tmp_path, range(1))
    assert PixelCache.in_use(tmp_path) == cache
    other = PixelCache.of(tmp_path, Preprocessing(size=(8, 8)))
    other.drop_others()
    assert not cache.folder.exists()


def test_it_is_filled_only_where_there_is_room(tmp_path: Path) -> None:
    cache = PixelCache.of(tmp_path, GEOMETRY)
    assert cache.fits(10) and not cache.fits(10**13)
