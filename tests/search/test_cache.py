"""Answers kept on disk: found again for a while, and a file that was tampered with counts as not there."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.search.cache import SearchCache
from pipeline.search.candidates import Candidate, Page, Query

QUERY = Query("grizzly bear")
PAGE = Page(
    (
        Candidate(
            "https://a.example/1.jpg",
            "",
            "fake",
            "https://a.example/",
            "CC BY 4.0",
            "grizzly bear",
            "Ein Bär",
            640,
            480,
            "https://a.example/t.jpg",
            "Ann",
            "https://cc.example/by",
        ),
        Candidate("https://a.example/2.jpg", provider="fake", query="grizzly bear"),
    ),
    more=True,
)


@pytest.fixture
def cache(tmp_path: Path) -> SearchCache:
    return SearchCache(tmp_path / "search")


def only_file(cache: SearchCache) -> Path:
    (file,) = cache.folder.iterdir()
    return file


def grow_old(cache: SearchCache, hours: float) -> None:
    file = only_file(cache)
    kept = json.loads(file.read_text()) | {"at": time.time() - hours * 3600}
    file.write_text(json.dumps(kept))
    os.utime(file, (kept["at"], kept["at"]))


def test_an_answer_is_found_again_as_it_was(cache: SearchCache) -> None:
    assert cache.get("fake", QUERY) is None
    assert cache.keep("fake", QUERY, PAGE)
    page, _ = cache.get("fake", QUERY) or (None, 0)
    assert page == PAGE


@pytest.mark.parametrize(
    "other",
    [{"phrase": "x"}, {"page": 2}, {"size": "large"}, {"kind": "photo"}, {"open_licence": True}, {"safesearch": False}],
)
def test_another_question_has_another_answer(cache: SearchCache, other: dict[str, Any]) -> None:
    cache.keep("fake", QUERY, PAGE)
    assert cache.get("fake", replace(QUERY, **other)) is None
    assert cache.get("another", QUERY) is None


def test_nothing_is_kept_of_an_answer_that_found_nothing(cache: SearchCache) -> None:
    assert not cache.keep("fake", QUERY, Page())
    assert not cache.folder.exists()


def test_an_old_answer_does_not_count_and_is_cleared_away(cache: SearchCache) -> None:
    cache.keep("fake", QUERY, PAGE)
    grow_old(cache, 23)
    cache.forget_old()
    assert cache.get("fake", QUERY)
    assert SearchCache(cache.folder, 12).get("fake", QUERY) is None
    assert SearchCache(cache.folder, 0).get("fake", QUERY) is None
    grow_old(cache, 25)
    assert cache.get("fake", QUERY) is None
    assert SearchCache(cache.folder, 48).get("fake", QUERY)
    cache.forget_old()
    assert list(cache.folder.iterdir()) == []


def test_an_answer_from_the_future_does_not_count(cache: SearchCache) -> None:
    cache.keep("fake", QUERY, PAGE)
    grow_old(cache, -5)
    assert cache.get("fake", QUERY) is None


def test_asking_anew_takes_no_answer_of_today_away(cache: SearchCache) -> None:
    cache.keep("fake", QUERY, PAGE)
    SearchCache(cache.folder, 0).forget_old()
    assert cache.get("fake", QUERY)


def test_a_disk_that_refuses_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "search").write_text("a file where the folder should be")
    cache = SearchCache(tmp_path / "search")
    assert not cache.keep("fake", QUERY, PAGE)
    assert cache.get("fake", QUERY) is None


@given(
    st.binary()
    | st.recursive(
        st.none() | st.floats() | st.text() | st.just({"at": 4e9, "more": True, "candidates": [{"url": 5}, None]}),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.fixed_dictionaries({"at": st.just(time.time()) | inner, "more": inner, "candidates": inner})
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_a_file_that_was_tampered_with_counts_as_not_there(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        cache = SearchCache(Path(folder) / "search")
        cache.keep("fake", QUERY, PAGE)
        only_file(cache).write_bytes(data)
        assert cache.get("fake", QUERY) is None


def test_what_was_slipped_into_a_file_is_checked_like_any_answer(cache: SearchCache) -> None:
    cache.keep("fake", QUERY, PAGE)
    kept = json.loads(only_file(cache).read_text())
    kept["candidates"] = [{"url": "javascript:x"}, {"url": "https://a.example/1", "width": "x", "title": 5, "odd": 1}]
    only_file(cache).write_text(json.dumps(kept))
    page, _ = cache.get("fake", QUERY) or (None, 0)
    assert page == Page((Candidate("https://a.example/1", provider="fake", query="grizzly bear"),), True)
