"""Search: providers are small fakes; ddgs itself runs for real, asking a stand-in of the web."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from pipeline.errors import NetworkError, SourceError, UsageError
from pipeline.search import (
    Candidate,
    SearchConfig,
    SearchFailed,
    duckduckgo,
    no_network,
    nothing_found,
    providers,
    refused,
    search,
)
from pipeline.stage import Progress, run
from pipeline.workspace import Workspace

BEARS = SearchConfig((("grizzly", "grizzly bear"), ("black", "black bear")), maximum=3)


class Provider:
    """Answers phrases from a table; a value may be an exception."""

    def __init__(self, **answers: list[str] | Exception) -> None:
        self.answers, self.asked = answers, []

    def __call__(self, phrase: str, maximum: int) -> list[Candidate]:
        self.asked.append((phrase, maximum))
        answer = self.answers[phrase.split()[0]]
        if isinstance(answer, Exception):
            raise answer
        return [Candidate(url, provider="fake", page_url="https://example.com/page", title=phrase) for url in answer]


def test_candidates_are_found_with_their_class_and_where_they_are_from(workspace: Workspace) -> None:
    provider = Provider(
        grizzly=["https://a.example/1.jpg", "https://a.example/2.jpg"], black=["https://b.example/1.jpg"]
    )
    shown: list[Progress] = []
    found = run(search(workspace, BEARS, provider), shown.append)
    assert provider.asked == [("grizzly bear", 3), ("black bear", 3)]
    assert [(c.url[8:], c.label, c.query, c.provider) for c in found.candidates] == [
        ("a.example/1.jpg", "grizzly", "grizzly bear", "fake"),
        ("a.example/2.jpg", "grizzly", "grizzly bear", "fake"),
        ("b.example/1.jpg", "black", "black bear", "fake"),
    ]
    assert found.added == 3 and found.problems == ()
    assert [(p.done, p.total, p.note) for p in shown] == [
        (0, 2, "Searching for grizzly bear"),
        (1, 2, "Searching for black bear"),
        (2, 2, "Searched"),
    ]
    rows = workspace.store.candidates("new")
    assert list(rows["label"]) == ["grizzly", "grizzly", "black"]
    assert set(rows["page_url"]) == {"https://example.com/page"}


def test_the_result_has_the_keys_that_programs_rely_on(workspace: Workspace) -> None:
    found = run(search(workspace, BEARS, Provider(grizzly=["https://a.example/1.jpg"], black=["https://b.example/1"])))
    assert {"url", "label", "provider", "page_url", "licence"} <= asdict(found)["candidates"][0].keys()
    json.dumps(asdict(found))


def test_a_url_is_taken_once_and_only_http_counts(workspace: Workspace) -> None:
    provider = Provider(
        grizzly=["https://a.example/1.jpg", "https://a.example/1.jpg", "data:image/png;base64,AA"],
        black=["https://a.example/1.jpg", "https://a.example/2.jpg"],
    )
    found = run(search(workspace, BEARS, provider))
    assert [(c.url[-5:], c.label) for c in found.candidates] == [("1.jpg", "grizzly"), ("2.jpg", "black")]
    again = run(search(workspace, BEARS, provider))
    assert again.added == 0 and len(again.candidates) == 2


def test_one_class_that_fails_does_not_stop_the_others(workspace: Workspace) -> None:
    found = run(search(workspace, BEARS, Provider(grizzly=refused("It"), black=["https://b.example/1.jpg"])))
    assert [c.label for c in found.candidates] == ["black"]
    assert [(p.label, p.kind) for p in found.problems] == [("grizzly", "refused")]
    assert "Wait some minutes" in found.problems[0].reason


@pytest.mark.parametrize(
    ("trouble", "kind", "advice"),
    [
        (no_network("It"), "no_network", "online"),
        (refused("It"), "refused", "Wait some minutes"),
        (nothing_found("grizzly bear"), "nothing_found", "spelling"),
        (NetworkError("a provider's own words"), "no_network", "own words"),
    ],
)
def test_a_search_that_brings_nothing_says_why_and_what_to_do(
    workspace: Workspace, trouble: Exception, kind: str, advice: str
) -> None:
    with pytest.raises(NetworkError, match=advice) as raised:
        run(search(workspace, BEARS, Provider(grizzly=trouble, black=trouble)))
    assert isinstance(raised.value, SearchFailed) and raised.value.kind == kind
    assert "\n" not in str(raised.value)
    assert workspace.store.candidates().empty


def test_the_three_messages_differ_and_each_offers_another_way() -> None:
    messages = {str(no_network("It")), str(refused("It")), str(nothing_found("x"))}
    assert len(messages) == 3
    assert all("starter set" in message and "folder" in message for message in messages)


def test_being_refused_is_not_hidden_behind_finding_nothing(workspace: Workspace) -> None:
    with pytest.raises(SearchFailed) as raised:
        run(search(workspace, BEARS, Provider(grizzly=[], black=refused("It"))))
    assert raised.value.kind == "refused"


def test_a_search_that_makes_no_sense_is_refused_before_anybody_is_asked(workspace: Workspace) -> None:
    for bad in (
        {"classes": ()},
        {"classes": (("a", " "),)},
        {"classes": (("a", "b"),), "maximum": 0},
        {"classes": (("a", "b"),), "provider": "altavista"},
    ):
        with pytest.raises(UsageError):
            SearchConfig(**bad)
    provider = Provider(grizzly=[])
    with pytest.raises(SourceError):
        run(search(workspace, SearchConfig((("grizzly", "grizzly"), ("a|b", "x"))), provider))
    assert provider.asked == []


def test_the_default_provider_is_one_that_can_be_named() -> None:
    assert SearchConfig((("a", "b"),)).provider in providers()


# --- ddgs ----------------------------------------------------------------------------------------------------------


class Answer:
    def __init__(self, status_code: int, text: str) -> None:
        self.status_code, self.text, self.content = status_code, text, text.encode()


class Web:
    """Stands in for the web that ddgs asks: DuckDuckGo's two pages and Bing's, as they are shaped."""

    def __init__(
        self, images: Callable[[int], Answer], start: Answer | None = None, bing: str = "<html></html>"
    ) -> None:
        self.images, self.start = images, start or Answer(200, '<script>vqd="4-42"</script>')
        self.bing, self.asked = bing, []

    def request(self, method: str, url: str, **options: Any) -> Answer:
        self.asked.append(url)
        if "bing.com" in url:
            return Answer(200, self.bing)
        return self.images(int(options["params"].get("s", 0))) if url.endswith("/i.js") else self.start


def page(*urls: str, **more: Any) -> Answer:
    row = {"title": "A <b>bear</b>", "url": "https://page.example/", "width": 640, "height": 480, "source": "Bing"}
    text = json.dumps({"results": [{**row, **more, "image": url} for url in urls]}).replace("/", "\\/")
    return Answer(200, text)


EMPTY = page()


def test_ddgs_results_become_candidates_with_the_url_as_it_was_given() -> None:
    url = "https://a.example/my%20bear%2Fcub.jpg?a=1&b=%C3%BC"
    web = Web(lambda start: page(url, "https://a.example/plain.jpg") if start == 0 else EMPTY)
    first, second = duckduckgo("black bear", 2, web)
    assert first == Candidate(
        url, "", "duckduckgo", "https://page.example/", None, "black bear", "A bear", width=640, height=480
    )
    assert second.url == "https://a.example/plain.jpg"


def test_bing_answers_where_duckduckgo_does_not() -> None:
    details = html.escape(
        json.dumps({"t": "A bear", "murl": "https://a.example/a%20b.jpg", "purl": "https://page.example/"}), quote=True
    )
    bing = f"<div><div class='imgpt'><a class='iusc' m=\"{details}\"></a></div><div class='infopt'></div></div>"
    found = duckduckgo("bear", 5, Web(lambda start: EMPTY, bing=bing))
    assert [candidate.url for candidate in found] == ["https://a.example/a%20b.jpg"]


def test_more_pages_are_asked_for_until_there_are_enough() -> None:
    web = Web(lambda start: page(*(f"https://a.example/{start + n}.jpg" for n in range(100))))
    assert len(duckduckgo("bear", 250, web)) == 250
    assert web.asked.count("https://duckduckgo.com/i.js") == 3


def test_a_page_that_fails_later_does_not_cost_the_first() -> None:
    web = Web(lambda start: page("https://a.example/1.jpg") if start == 0 else Answer(403, "no"))
    assert len(duckduckgo("bear", 250, web)) == 1


@pytest.mark.parametrize(
    ("web", "kind"),
    [
        (Web(lambda start: EMPTY), "nothing_found"),
        (Web(lambda start: Answer(403, "")), "refused"),
        (Web(lambda start: Answer(429, "slow down")), "refused"),
        (Web(lambda start: Answer(503, "")), "refused"),
        (Web(lambda start: Answer(200, "<html>Are you a robot?</html>")), "refused"),
        (Web(lambda start: EMPTY, start=Answer(202, "<html>Are you a robot?</html>")), "refused"),
        (Web(lambda start: EMPTY, start=Answer(200, "<html>no token</html>")), "refused"),
        (Web(lambda start: page("https://a.example/1.jpg", title=None)), "refused"),
    ],
)
def test_ddgs_silence_is_told_apart(web: Web, kind: str) -> None:
    with pytest.raises(SearchFailed) as raised:
        duckduckgo("bear", 5, web)
    assert raised.value.kind == kind


def test_a_missing_network_is_not_called_no_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDGS_PROXY", "http://127.0.0.1:9")  # the real client, with nobody at the other end
    with pytest.raises(SearchFailed, match="online") as raised:
        duckduckgo("bear", 5)
    assert raised.value.kind == "no_network"
