"""DuckDuckGo: ddgs itself runs for real; its HTTP client speaks to a local server instead of the services."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from ddgs.http_client import HttpClient
from hypothesis import given
from hypothesis import strategies as st

from pipeline.search.candidates import Candidate, Page, Query, SearchFailed
from pipeline.search.duckduckgo import OPEN_CLAIM, DuckDuckGo
from tests.support.api_server import LOGIN_PAGE, Answer, ApiServer, Asked, sent

QUERY = Query("black bear")
ANY = replace(QUERY, safesearch=False)
START = Answer(b'<script>vqd="4-42"</script>', headers={"Content-Type": "text/html"})
NOTHING = Answer(b"<html></html>", headers={"Content-Type": "text/html"})


class ToThisMachine:
    """The HTTP client of ddgs, sent to the local server with the service's host at the front of the path."""

    def __init__(self, server: ApiServer, seconds: int) -> None:
        self.server, self.client = server, HttpClient(timeout=seconds)

    def request(self, method: str, url: str, **options: Any) -> Any:
        parts = urlsplit(url)
        return self.client.request(method, f"{self.server.url}/{parts.netloc}{parts.path}", **options)


class Web:
    """DuckDuckGo's two pages and Bing's, as they are shaped."""

    def __init__(self, images: Answer | Callable[[int], Answer], start: Answer = START, bing: Answer = NOTHING) -> None:
        self.images, self.start, self.bing = images, start, bing

    def __call__(self, asked: Asked) -> Answer:
        if "bing.com" in asked.path:
            return self.bing
        if not asked.path.endswith("/i.js"):
            return self.start
        return self.images if isinstance(self.images, Answer) else self.images(int(asked.parameters.get("s", 0)))


def page(*urls: str, **more: Any) -> Answer:
    row = {
        "title": "A <b>bear</b>",
        "url": "https://page.example/a%20page",
        "width": 640,
        "height": 480,
        "source": "Bing",
        "thumbnail": "https://tse1.example/th?id=OIP.x&pid=Api",
        "image_token": "0",
    }
    text = json.dumps({"next": "i.js?q=x", "results": [{**row, **more, "image": url} for url in urls]})
    return Answer(text.replace("/", "\\/").encode(), headers={"Content-Type": "application/x-javascript"})


def bing_page(*urls: str) -> Answer:
    tiles = ""
    for url in urls:
        details = json.dumps(
            {"t": "A bear", "murl": url, "purl": "https://page.example/", "turl": "https://t.example/1"}
        )
        tiles += f"<div><div class='imgpt'><a class='iusc' m=\"{html.escape(details)}\"></a></div>"
        tiles += "<div class='infopt'></div></div>"
    return Answer(tiles.encode(), headers={"Content-Type": "text/html"})


def asked(web: Web, query: Query = QUERY, seconds: int = 10) -> tuple[Page, list[Asked]]:
    with ApiServer(web) as server:
        return DuckDuckGo(ToThisMachine(server, seconds), seconds)(query), server.asked


def paths(questions: list[Asked]) -> list[str]:
    return [question.path for question in questions]


def test_results_become_candidates_with_the_urls_as_they_were_given() -> None:
    url = "https://a.example/my%20bear%2Fcub.jpg?a=1&b=%C3%BC"
    found, questions = asked(Web(page(url, "https://a.example/plain.jpg")))
    assert found.more
    first, second = found.candidates
    assert first == Candidate(
        url,
        "",
        "duckduckgo",
        "https://page.example/a%20page",
        None,
        "black bear",
        "A bear",
        640,
        480,
        "https://tse1.example/th?id=OIP.x&pid=Api",
    )
    assert second.url == "https://a.example/plain.jpg"
    assert paths(questions) == ["/duckduckgo.com", "/duckduckgo.com/i.js"]
    assert questions[1].parameters["q"] == "black bear" and questions[1].parameters["vqd"] == "4-42"


@pytest.mark.parametrize(
    ("query", "safe", "filters"),
    [
        (QUERY, "1", None),
        (replace(QUERY, open_licence=True), "1", ",,,,,license:ModifyCommercially"),
        (replace(ANY, open_licence=True), "-1", ",,,,,license:ModifyCommercially"),
        (replace(ANY, size="large"), "-1", ",size:Large,,,,"),
        (replace(ANY, size="small", kind="photo"), "-1", ",size:Small,,type:photo,,"),
        (replace(ANY, kind="drawing"), "-1", ",,,type:clipart,,"),
    ],
)
def test_an_engine_that_ignores_filters_is_not_asked_where_one_is_wanted(
    query: Query, safe: str, filters: str | None
) -> None:
    _, questions = asked(Web(page("https://a.example/1.jpg"), bing=bing_page("https://adults.example/1.jpg")), query)
    assert not any("bing" in path for path in paths(questions))
    assert (questions[1].parameters["p"], questions[1].parameters.get("f")) == (safe, filters)
    found, questions = asked(Web(page(), bing=bing_page("https://adults.example/1.jpg")), query)
    assert found == Page() and not any("bing" in path for path in paths(questions))


def test_without_any_filter_bing_answers_where_duckduckgo_does_not() -> None:
    found, _ = asked(Web(page(), bing=bing_page("https://a.example/a%20b.jpg")), ANY)
    assert [candidate.url for candidate in found.candidates] == ["https://a.example/a%20b.jpg"]


def test_an_open_licence_is_searched_for_but_not_known() -> None:
    found, _ = asked(Web(page("https://a.example/1.jpg")), replace(QUERY, open_licence=True))
    assert found.candidates[0].licence == OPEN_CLAIM
    assert asked(Web(page("https://a.example/1.jpg")))[0].candidates[0].licence is None


def test_the_next_page_is_asked_for_until_the_tenth() -> None:
    web = Web(lambda start: page(f"https://a.example/{start}.jpg"))
    third, _ = asked(web, replace(QUERY, page=3))
    assert third.candidates[0].url == "https://a.example/200.jpg" and third.more
    assert not asked(web, replace(QUERY, page=10))[0].more


def test_no_more_results_is_no_failure() -> None:
    assert asked(Web(page()), replace(QUERY, page=2))[0] == asked(Web(page()))[0] == Page()


def test_a_result_without_a_title_does_not_cost_the_others() -> None:
    rows = [{"image": "https://a.example/1.jpg", "title": None}, {"image": "https://a.example/2.jpg"}, {"image": None}]
    found, _ = asked(Web(sent({"results": rows})))
    assert [candidate.url[-5:] for candidate in found.candidates] == ["1.jpg", "2.jpg"]


def test_what_is_no_url_or_no_size_is_left_out() -> None:
    found, _ = asked(Web(page("https://a.example/1.jpg", "javascript:alert(1)", width="9" * 99, height=-1)))
    assert [(one.url[-5:], one.width, one.height) for one in found.candidates] == [("1.jpg", None, None)]


@pytest.mark.parametrize(
    ("web", "kind"),
    [
        (Web(Answer(b"", 403)), "blocked"),
        (Web(Answer(b"slow down", 429)), "rate_limited"),
        (Web(page(), start=Answer(b"<html>Are you a robot?</html>", 202)), "rate_limited"),
        (Web(Answer(b"", 503)), "unreadable"),
        (Web(Answer(LOGIN_PAGE)), "unreadable"),
        (Web(page(), start=Answer(b"<html>no token</html>")), "unreadable"),
        (Web(Answer(b'{"results": [{"image"')), "unreadable"),
        (Web(sent({"results": [5]})), "unreadable"),
        (Web(Answer(b"", 404)), "unreadable"),
    ],
    ids=["403", "429", "a-question-for-robots", "503", "a-page", "no-token", "cut-off", "odd-rows", "404"],
)
@pytest.mark.parametrize("query", [QUERY, ANY], ids=["filtered", "any"])
def test_silence_is_told_apart(web: Web, kind: str, query: Query) -> None:
    with pytest.raises(SearchFailed, match=r"^DuckDuckGo ") as raised:
        asked(web, query)
    assert raised.value.kind == kind
    assert ("pip install -U ddgs" in str(raised.value)) == (kind == "unreadable" and "503" not in str(raised.value))


def test_a_service_that_keeps_silent_is_given_up() -> None:
    with pytest.raises(SearchFailed, match="did not answer in time") as raised:
        asked(Web(Answer(silent=True)), seconds=1)
    assert raised.value.kind == "no_network"


def test_a_missing_network_is_not_called_no_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDGS_PROXY", "http://127.0.0.1:9")  # the real client, with nobody at the other end
    with pytest.raises(SearchFailed, match="online") as raised:
        DuckDuckGo()(QUERY)
    assert raised.value.kind == "no_network"


class Saying:
    """Stands in for the web: the token, then ``text``."""

    def __init__(self, text: str) -> None:
        self.answers: Iterator[str] = iter(['vqd="4-42"', text])

    def request(self, method: str, url: str, **options: Any) -> Any:
        text = next(self.answers)

        class Response:
            status_code, content = 200, text.encode("utf-8", "replace")

        Response.text = text  # type: ignore[attr-defined]
        return Response


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ROW = st.fixed_dictionaries(
    {"image": JSON | st.just("https://a.example/1.jpg")}, optional={"title": JSON, "url": JSON, "width": JSON}
)


@given(st.text() | JSON.map(json.dumps) | st.lists(ROW | JSON, max_size=3).map(lambda r: json.dumps({"results": r})))
def test_whatever_is_said_it_is_a_page_or_a_failure_in_words(text: str) -> None:
    try:
        found = DuckDuckGo(Saying(text))(QUERY)
    except SearchFailed as failure:
        assert failure.kind == "unreadable"
    else:
        assert all(one.url.lower().startswith("http") for one in found.candidates)
