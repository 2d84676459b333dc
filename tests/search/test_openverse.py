"""Openverse: a local server speaks its format; whatever else comes is a failure in words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.search.api import WebApi
from pipeline.search.candidates import Candidate, Page, Query, SearchFailed
from pipeline.search.openverse import OPENVERSE, Openverse
from tests.support.api_server import LOGIN_PAGE, Answer, ApiServer, Asked, sent

QUERY = Query("grizzly bear")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


def picture(number: int = 1, **more: Any) -> dict[str, Any]:
    """One result, in the shape of the API."""
    name = f"00000000-0000-4000-8000-{number:012}"
    return {
        "id": name,
        "title": f"Bear {number}",
        "indexed_on": "2026-01-02T03:04:05.678901Z",
        "foreign_landing_url": f"https://photos.example/bears/{number}",
        "url": f"https://live.example/{number}_b.jpg",
        "creator": "Ann O'Nymous",
        "creator_url": "https://photos.example/ann",
        "license": "by-sa",
        "license_version": "2.0",
        "license_url": "https://creativecommons.org/licenses/by-sa/2.0/",
        "provider": "flickr",
        "source": "flickr",
        "category": None,
        "filesize": None,
        "filetype": "jpg",
        "tags": [{"accuracy": None, "name": "bear", "unstable__provider": "flickr"}],
        "attribution": f'"Bear {number}" by Ann O\'Nymous is licensed under CC BY-SA 2.0.',
        "fields_matched": ["title"],
        "mature": False,
        "height": 683,
        "width": 1024,
        "thumbnail": f"https://api.example/v1/images/{name}/thumb/",
        "detail_url": f"https://api.example/v1/images/{name}/",
        "related_url": f"https://api.example/v1/images/{name}/related/",
        "unstable__sensitivity": [],
    } | more


def results(*rows: Any, page: int = 1, pages: Any = 1) -> dict[str, Any]:
    return {"result_count": len(rows), "page_count": pages, "page_size": 20, "page": page, "results": list(rows)}


def asked(answer: Answer, query: Query = QUERY) -> tuple[Page, Asked]:
    with ApiServer(answer) as server:
        page = Openverse(WebApi("Openverse", f"{server.url}/v1/images/", (server.host,)))(query)
    return page, server.asked[0]


def found(*rows: Any, query: Query = QUERY) -> tuple[Candidate, ...]:
    return asked(sent(results(*rows)), query)[0].candidates


def test_a_picture_comes_with_everything_that_is_said_about_it() -> None:
    page, question = asked(sent(results(picture())))
    assert page == Page(
        (
            Candidate(
                url="https://live.example/1_b.jpg",
                provider="openverse",
                page_url="https://photos.example/bears/1",
                licence="CC BY-SA 2.0",
                query="grizzly bear",
                title="Bear 1",
                width=1024,
                height=683,
                thumbnail="https://api.example/v1/images/00000000-0000-4000-8000-000000000001/thumb/",
                creator="Ann O'Nymous",
                licence_url="https://creativecommons.org/licenses/by-sa/2.0/",
            ),
        )
    )
    assert question.path == "/v1/images/"
    assert question.parameters == {"q": "grizzly bear", "page": "1", "page_size": "20"}


def test_the_real_service_is_asked_over_https() -> None:
    assert OPENVERSE.address == "https://api.openverse.org/v1/images/" and OPENVERSE.allow_hosts == ()


def test_filters_are_asked_for() -> None:
    query = Query("x" * 300, 3, "large", "photo", open_licence=True, safesearch=False)
    _, question = asked(sent(results()), query)
    assert question.parameters == {
        "q": "x" * 200,
        "page": "3",
        "page_size": "20",
        "size": "large",
        "category": "photograph",
        "license_type": "commercial,modification",
        "mature": "true",
    }
    _, question = asked(sent(results()), replace(QUERY, kind="drawing"))
    assert question.parameters["category"] == "illustration"


def test_there_is_more_until_the_last_page_that_a_stranger_may_see() -> None:
    for number, pages, more in ((1, 12, True), (2, 2, False), (12, 500, False), (1, None, True), (1, "x", True)):
        page, _ = asked(sent(results(picture(), page=number, pages=pages)), replace(QUERY, page=number))
        assert page.more is more
    assert asked(sent(results(pages=12)))[0] == Page()


@pytest.mark.parametrize(
    ("code", "version", "licence"),
    [
        ("by", "4.0", "CC BY 4.0"),
        ("by-nc-nd", "2.0", "CC BY-NC-ND 2.0"),
        ("cc0", "1.0", "CC0 1.0"),
        ("pdm", "1.0", "Public Domain Mark 1.0"),
        ("by", None, "CC BY"),
        (None, "1.0", None),
        (7, 8, None),
    ],
)
def test_the_licence_is_written_as_usual(code: Any, version: Any, licence: str | None) -> None:
    assert found(picture(license=code, license_version=version))[0].licence == licence


def test_what_is_for_adults_only_stays_out_whatever_the_server_sends() -> None:
    rows = picture(1, mature=True), picture(2)
    assert [one.title for one in found(*rows)] == ["Bear 2"]
    assert len(found(*rows, query=replace(QUERY, safesearch=False))) == 2


def test_what_cannot_be_a_candidate_is_left_out() -> None:
    rows = (
        picture(1, url="javascript:alert(1)"),
        picture(2, url=None),
        picture(3, filetype="svg"),
        "bear",
        None,
        {"url": "https://live.example/4.jpg"},
    )
    assert found(*rows) == (Candidate("https://live.example/4.jpg", provider="openverse", query="grizzly bear"),)


def test_hostile_text_stays_text() -> None:
    row = picture(title="<script>alert(1)</script>\r\n\x00=1+1", creator="\u202egnA", width=10**400, height="tall")
    one = found(row | {"foreign_landing_url": "javascript:alert(1)", "thumbnail": 5})[0]
    assert one.title == "<script>alert(1)</script> =1+1" and one.creator == "gnA"
    assert one.width is one.height is one.page_url is one.thumbnail is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(b"Forbidden", 403), "blocked"),
        (
            sent({"detail": "Request was throttled. Expected available in 86 seconds."}, 429, Retry_After="86"),
            "rate_limited",
        ),
        (sent({"detail": "page_size may not exceed 20 for anonymous requests"}, 401), "blocked"),
        (sent({"detail": {"q": ["Invalid"]}}, 400), "unreadable"),
        (Answer(LOGIN_PAGE), "unreadable"),
        (sent({"detail": "?"}), "unreadable"),
        (sent(results() | {"results": {}}), "unreadable"),
        (sent(results({"link": "https://a.example/1.jpg"})), "unreadable"),
    ],
)
def test_each_way_to_fail_is_told_apart(answer: Answer, kind: str) -> None:
    with pytest.raises(SearchFailed, match=r"^Openverse ") as raised:
        asked(answer)
    assert raised.value.kind == kind


ROWS = st.lists(st.dictionaries(st.sampled_from(sorted(picture())), JSON) | JSON, max_size=3)


@given(JSON | st.fixed_dictionaries({"results": ROWS | JSON, "page_count": JSON}))
def test_whatever_json_comes_it_is_a_page_or_a_failure_in_words(value: Any) -> None:
    async def fetch(url: str) -> bytes:
        return json.dumps(value).encode()

    try:
        page = Openverse(WebApi("Openverse", "https://api.example/", fetch=fetch))(QUERY)
    except SearchFailed as failure:
        assert failure.kind == "unreadable"
    else:
        assert all(one.url.lower().startswith("http") for one in page.candidates)
