"""Wikimedia Commons: a local server speaks its format; whatever else comes is a failure in words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.predict import MAX_PIXELS
from pipeline.search.api import WebApi
from pipeline.search.candidates import Candidate, Page, Query, SearchFailed
from pipeline.search.wikimedia import MOST_BYTES, MOST_PIXELS, WIKIMEDIA, Wikimedia, plain
from pipeline.web.fetch import FetchLimits
from tests.support.api_server import LOGIN_PAGE, Answer, ApiServer, Asked, sent

QUERY = Query("grizzly bear")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
FILES = "https://upload.example/wikipedia/commons"
ARTIST = '<a href="//commons.example/wiki/User:Ann" title="User:Ann">Ann &amp; <b>Bob</b></a>'


def metadata(**values: Any) -> dict[str, Any]:
    said = {
        "LicenseShortName": "CC BY-SA 4.0",
        "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0",
        "Artist": ARTIST,
    }
    return {key: {"value": value, "source": "commons-desc-page"} for key, value in (said | values).items()}


def info(**more: Any) -> dict[str, Any]:
    """One ``imageinfo``, in the shape of the API."""
    return {
        "size": 3_210_000,
        "width": 4000,
        "height": 3000,
        "thumburl": f"{FILES}/thumb/1/12/Bear.jpg/500px-Bear.jpg",
        "thumbwidth": 500,
        "thumbheight": 375,
        "responsiveUrls": {
            "1.5": f"{FILES}/thumb/1/12/Bear.jpg/960px-Bear.jpg",
            "2": f"{FILES}/thumb/1/12/Bear.jpg/1280px-Bear.jpg",
        },
        "url": f"{FILES}/1/12/Bear.jpg",
        "descriptionurl": "https://commons.example/wiki/File:Bear.jpg",
        "descriptionshorturl": "https://commons.example/w/index.php?curid=1",
        "mime": "image/jpeg",
        "extmetadata": metadata(),
    } | more


def file(index: int = 1, title: str = "File:Bear.jpg", **more: Any) -> dict[str, Any]:
    return {
        "pageid": 1000 + index,
        "ns": 6,
        "title": title,
        "index": index,
        "imagerepository": "local",
        "imageinfo": [info(**more)],
    }


def results(*pages: Any, **more: Any) -> dict[str, Any]:
    return {"batchcomplete": True, "query": {"pages": list(pages)}} | more


def asked(answer: Answer, query: Query = QUERY) -> tuple[Page, Asked]:
    with ApiServer(answer) as server:
        page = Wikimedia(WebApi("Wikimedia Commons", f"{server.url}/w/api.php", (server.host,)))(query)
    return page, server.asked[0]


def found(*pages: Any) -> tuple[Candidate, ...]:
    return asked(sent(results(*pages)))[0].candidates


def test_a_picture_comes_with_everything_that_is_said_about_it() -> None:
    page, question = asked(sent(results(file())))
    assert page == Page(
        (
            Candidate(
                url=f"{FILES}/1/12/Bear.jpg",
                provider="wikimedia",
                page_url="https://commons.example/wiki/File:Bear.jpg",
                licence="CC BY-SA 4.0",
                query="grizzly bear",
                title="Bear",
                width=4000,
                height=3000,
                thumbnail=f"{FILES}/thumb/1/12/Bear.jpg/500px-Bear.jpg",
                creator="Ann & Bob",
                licence_url="https://creativecommons.org/licenses/by-sa/4.0",
            ),
        )
    )
    asked_for = question.parameters
    assert (question.path, asked_for["action"], asked_for["format"]) == ("/w/api.php", "query", "json")
    assert asked_for["generator"] == "search" and asked_for["gsrnamespace"] == "6"
    assert asked_for["gsrsearch"] == "filetype:bitmap grizzly bear"
    assert (asked_for["gsrlimit"], asked_for["gsroffset"]) == ("50", "0")
    assert set(asked_for["iiprop"].split("|")) == {"url", "size", "mime", "extmetadata"}


def test_the_real_service_is_asked_over_https() -> None:
    assert WIKIMEDIA.address == "https://commons.wikimedia.org/w/api.php" and WIKIMEDIA.allow_hosts == ()


def test_the_limits_are_those_of_the_downloader_and_the_decoder() -> None:
    assert (FetchLimits().max_bytes, MAX_PIXELS) == (MOST_BYTES, MOST_PIXELS)


@pytest.mark.parametrize(
    ("wanted", "search"),
    [
        ({"size": "small"}, "filetype:bitmap fileres:<554 grizzly bear"),
        ({"size": "medium", "kind": "photo"}, "filetype:bitmap fileres:554,1386 filemime:jpeg grizzly bear"),
        ({"size": "large", "kind": "drawing"}, "filetype:bitmap fileres:>1386 filemime:png grizzly bear"),
        ({"open_licence": True, "safesearch": False}, "filetype:bitmap grizzly bear"),
    ],
)
def test_filters_are_asked_for(wanted: dict[str, Any], search: str) -> None:
    _, question = asked(sent(results()), replace(QUERY, **wanted))
    assert question.parameters["gsrsearch"] == search


def test_pages_go_on_while_the_service_says_so() -> None:
    more = {"continue": {"gsroffset": 100, "continue": "gsroffset||"}}
    page, question = asked(sent(results(file(), **more)), replace(QUERY, page=2))
    assert page.more and question.parameters["gsroffset"] == "50"
    assert not asked(sent(results(file())))[0].more
    assert not asked(sent(results(file(), **more)), replace(QUERY, page=20))[0].more


def test_nothing_found_is_an_answer_without_a_query() -> None:
    assert asked(sent({"batchcomplete": True}))[0] == Page()
    assert asked(sent(results()))[0] == Page()


def test_the_best_come_first() -> None:
    files = file(3, "File:C.jpg"), file(1, "File:A.jpg"), file(2, "File:B.jpg"), file(0, "File:Z.jpg") | {"index": "x"}
    assert [one.title for one in found(*files)] == ["A", "B", "C", "Z"]


@pytest.mark.parametrize("large", [{"size": MOST_BYTES + 1}, {"width": 10_000, "height": 5_001}])
def test_of_an_original_that_is_too_large_a_rendition_is_taken(large: dict[str, Any]) -> None:
    one = found(file(**large))[0]
    assert one.url.endswith("/1280px-Bear.jpg") and one.width is one.height is None
    assert one.thumbnail and one.thumbnail.endswith("/500px-Bear.jpg")
    assert found(file(**large, responsiveUrls=None))[0].url.endswith("/500px-Bear.jpg")
    assert found(file(**large, responsiveUrls=None, thumburl=None))[0].url.endswith("/1/12/Bear.jpg")


def test_an_original_at_the_limit_is_taken_itself() -> None:
    assert found(file(size=MOST_BYTES, width=10_000, height=5_000))[0].url.endswith("/1/12/Bear.jpg")


def test_what_cannot_be_a_candidate_is_left_out() -> None:
    pages = (
        file(mime="image/svg+xml"),
        file(mime="image/vnd.djvu"),
        file(mime=None),
        file(url="javascript:alert(1)"),
        {"title": "File:Without.jpg"},
        file() | {"imageinfo": []},
        file() | {"imageinfo": ["x"]},
        None,
        "x",
    )
    assert found(*pages) == ()


def test_what_is_not_said_stays_open() -> None:
    one = found(file(extmetadata=[], width="wide", height=None, thumburl=7, descriptionurl=None) | {"title": 5})[0]
    assert one == Candidate(f"{FILES}/1/12/Bear.jpg", provider="wikimedia", query="grizzly bear")


def test_a_licence_text_without_a_scheme_is_read_over_https() -> None:
    one = found(file(extmetadata=metadata(LicenseUrl="//licence.example/by", LicenseShortName="Public domain")))[0]
    assert (one.licence, one.licence_url) == ("Public domain", "https://licence.example/by")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (ARTIST, "Ann & Bob"),
        ("Ann<br/>Bob", "Ann Bob"),
        ("<style>.a{color:red}</style><div>Ann</div><script>alert(1)</script>", "Ann"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
        ("Ann <3 bears", "Ann <3 bears"),
        ("<a href='x", "<a href='x"),
        ("<![x[ Ann", "<![x[ Ann"),
        ("", ""),
    ],
)
def test_an_author_is_text(markup: str, text: str) -> None:
    assert plain(markup) == text


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (sent({"error": {"code": "ratelimited", "info": "You've exceeded your rate limit."}}), "rate_limited"),
        (sent({"error": {"code": "maxlag", "info": "Waiting for a host: 6 seconds lagged"}}), "rate_limited"),
        (sent({"error": {"code": "cirrussearch-too-busy-error", "info": "busy"}}), "rate_limited"),
        (sent({"error": {"code": "blocked", "info": "You have been blocked."}}), "blocked"),
        (sent({"error": {"code": "badvalue", "info": "Unrecognized value"}}), "unreadable"),
        (sent({"error": ["?"]}), "unreadable"),
        (sent({"error": {"code": {}}}), "unreadable"),
        (Answer(b"Please set a user-agent", 403), "blocked"),
        (Answer(b"<html>Too many requests", 429, {"Retry-After": "5"}), "rate_limited"),
        (Answer(LOGIN_PAGE), "unreadable"),
        (sent({}), "unreadable"),
        (sent({"query": {"pages": {"12": file()}}}), "unreadable"),
        (sent({"query": []}), "unreadable"),
    ],
)
def test_each_way_to_fail_is_told_apart(answer: Answer, kind: str) -> None:
    with pytest.raises(SearchFailed, match=r"^Wikimedia Commons ") as raised:
        asked(answer)
    assert raised.value.kind == kind


INFO = st.fixed_dictionaries({}, optional={key: JSON | st.just(value) for key, value in info().items()})
PAGES = st.fixed_dictionaries({"index": JSON, "title": JSON, "imageinfo": st.lists(INFO | JSON, max_size=2) | JSON})


@given(
    JSON
    | st.fixed_dictionaries({"query": st.fixed_dictionaries({"pages": st.lists(PAGES | JSON, max_size=3) | JSON})})
    | st.fixed_dictionaries({"error": JSON, "continue": JSON})
)
def test_whatever_json_comes_it_is_a_page_or_a_failure_in_words(value: Any) -> None:
    async def fetch(url: str) -> bytes:
        return json.dumps(value).encode()

    try:
        page = Wikimedia(WebApi("Wikimedia Commons", "https://api.example/", fetch=fetch))(QUERY)
    except SearchFailed as failure:
        assert failure.kind in ("unreadable", "rate_limited", "blocked")
    else:
        assert all(one.url.lower().startswith("http") for one in page.candidates)


@given(st.text(st.sampled_from("<>/!-[]&;'\"= absctyleripr\n")))
def test_no_markup_is_too_odd(markup: str) -> None:
    assert isinstance(plain(markup), str)
