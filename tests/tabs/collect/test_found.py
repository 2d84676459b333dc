from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.download import waiting
from pipeline.search.wanted import previewed, remember_safesearch
from pipeline.tabs.collect.found import (
    PAGE,
    OpenClass,
    candidates_view,
    mark,
    public_https,
)
from pipeline.workspace.workspace import Workspace


def found(workspace: Workspace, label: str, number: int, **more: Any) -> list[str]:
    urls = [f"https://pictures.example/{label}/{i}.jpg" for i in range(number)]
    workspace.store.add_candidates({"url": url, "label": label, "provider": "x", **more} for url in urls)
    return urls


def statuses(workspace: Workspace) -> dict[str, str]:
    return {row["url"]: row["status"] for row in workspace.store.candidates().to_dict("records")}


def test_nothing_is_shown_where_nothing_was_found(workspace: Workspace) -> None:
    view = candidates_view(workspace, OpenClass("grizzly"))
    assert (view["classes"], view["open"], view["rows"], view["pages"]) == ([], "", [], 0)


def test_classes_are_counted_and_no_picture_is_named_before_a_class_is_opened(workspace: Workspace) -> None:
    found(workspace, "teddy", 2)
    found(workspace, "grizzly", 3)
    view = candidates_view(workspace, OpenClass())
    assert view["classes"] == [
        {"label": "grizzly", "found": 3, "left_out": 0},
        {"label": "teddy", "found": 2, "left_out": 0},
    ]
    assert view["rows"] == [] and "pictures.example" not in json.dumps(view)


def test_an_open_class_is_shown_a_page_at_a_time(workspace: Workspace) -> None:
    urls = found(workspace, "grizzly", PAGE + 3)
    view = candidates_view(workspace, OpenClass("grizzly", 1))
    assert (view["open"], view["page"], view["pages"]) == ("grizzly", 1, 2)
    assert [row["url"] for row in view["rows"]] == urls[PAGE:]
    assert candidates_view(workspace, OpenClass("grizzly", 99))["page"] == 1
    assert candidates_view(workspace, OpenClass("grizzly", -5))["page"] == 0
    assert candidates_view(workspace, OpenClass("no such class"))["open"] == ""


def test_a_row_says_who_made_it_where_it_lies_and_under_which_licence(workspace: Workspace) -> None:
    more = {"title": "A <b>bear", "creator": "Ann", "licence": "CC BY 4.0", "thumbnail": "https://small.example/1.jpg"}
    found(workspace, "grizzly", 1, **more)
    found(workspace, "teddy", 1)
    (row,) = candidates_view(workspace, OpenClass("grizzly"))["rows"]
    assert (row["title"], row["host"], row["licence"]) == ("A <b>bear, by Ann", "pictures.example", "CC BY 4.0")
    assert row["shown"] == "https://small.example/1.jpg"
    (bare,) = candidates_view(workspace, OpenClass("teddy"))["rows"]
    assert (bare["title"], bare["licence"]) == ("", "licence not stated")
    assert bare["shown"] == bare["url"]


def test_unticked_candidates_are_left_out_and_stay_so_until_they_are_ticked(workspace: Workspace) -> None:
    urls = found(workspace, "grizzly", 3)
    assert mark(workspace, "grizzly", urls[:2], wanted=False) == 2
    assert waiting(workspace) == 1
    view = candidates_view(Workspace.open(workspace.root), OpenClass("grizzly"))
    assert [row["wanted"] for row in view["rows"]] == [False, False, True]
    assert view["classes"][0]["left_out"] == 2
    assert mark(workspace, "grizzly", urls[:1], wanted=True) == 1
    assert waiting(workspace) == 2


def test_a_whole_class_is_unticked_and_ticked_and_no_other(workspace: Workspace) -> None:
    found(workspace, "grizzly", PAGE + 5)
    found(workspace, "teddy", 2)
    assert mark(workspace, "grizzly", None, wanted=False) == PAGE + 5
    assert waiting(workspace) == 2
    assert mark(workspace, "grizzly", None, wanted=True) == PAGE + 5


def test_a_tick_touches_nothing_but_candidates_that_wait(workspace: Workspace) -> None:
    (url,) = found(workspace, "grizzly", 1)
    row = {"url": url, "label": "grizzly", "status": "skipped", "code": "noai", "reason": "noai", "sha256": None}
    workspace.store.record_downloads([row | {"again": 0}])
    assert mark(workspace, "grizzly", [url], wanted=True) == 0
    assert mark(workspace, "grizzly", ["https://elsewhere.example/1.jpg"], wanted=False) == 0
    assert mark(workspace, "no such class", [url], wanted=False) == 0
    assert statuses(workspace) == {url: "skipped"}
    assert previewed(workspace).empty


def test_the_answer_to_a_page_carries_its_number(workspace: Workspace) -> None:
    assert candidates_view(workspace, OpenClass(), {"page": "p", "number": 7})["answer"] == {"page": "p", "number": 7}
    assert candidates_view(workspace, OpenClass())["answer"] == {"page": "", "number": 0}


def test_the_preview_is_blurred_from_an_unsafe_search_on_until_its_candidates_are_gone(workspace: Workspace) -> None:
    def blurred() -> bool:
        return bool(candidates_view(workspace, OpenClass())["blur"])

    assert not blurred()
    remember_safesearch(workspace, safesearch=False)
    assert blurred()
    (url,) = found(workspace, "grizzly", 1)
    remember_safesearch(workspace, safesearch=True)
    assert blurred()
    row = {"url": url, "label": "grizzly", "status": "stored", "code": None, "reason": "", "sha256": None, "again": 0}
    workspace.store.record_downloads([row])
    remember_safesearch(workspace, safesearch=True)
    assert not blurred()


@pytest.mark.parametrize(
    "url",
    [
        "http://pictures.example/c.jpg",
        "https://192.168.0.1/b.jpg",
        "https://router.local/d.jpg",
        "https://nas/e.jpg",
        "https://127.0.0.1/f.jpg",
        "https://[::1]/g.jpg",
        "https://2130706433/h.jpg",
        "https://0x7f.1/i.jpg",
        "https://a.localhost/j.jpg",
        "https://db.internal/k.jpg",
        "javascript:alert(1)",
        "data:image/png;base64,x",
        "https://[broken/l.jpg",
        "",
        None,
        "https://fritz.box.lan/m.jpg",
        "//pictures.example/n.jpg",
    ],
)
def test_a_browser_is_not_sent_to_addresses_of_its_own_network(workspace: Workspace, url: str | None) -> None:
    assert not public_https(url)
    if url:
        workspace.store.add_candidates([{"url": url, "label": "x", "provider": "x"}])
        (row,) = candidates_view(workspace, OpenClass("x"))["rows"]
        assert row["shown"] == ""


@given(st.text() | st.from_regex(r"https?://\S{0,40}"))
def test_whatever_is_shown_is_https(url: str) -> None:
    if public_https(url):
        assert url.strip().lower().startswith("https:")
