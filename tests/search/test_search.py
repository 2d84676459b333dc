"""Search: the stage with small fakes for providers; merging; and the whole chain against a local server."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import main
from pipeline.errors import NetworkError, SourceError, UsageError
from pipeline.jobs import job as jobs
from pipeline.search.api import WebApi
from pipeline.search.candidates import (
    Candidate,
    Page,
    Query,
    SearchFailed,
    address,
    blocked,
    merged,
    no_network,
    rate_limited,
    unreadable,
)
from pipeline.search.openverse import Openverse
from pipeline.search.search import Found, Provider, SearchConfig, providers, search
from pipeline.stage import Progress, run
from pipeline.workspace.workspace import Workspace
from tests.support.api_server import Answer, ApiServer, Asked, sent

BEARS = SearchConfig((("grizzly", "grizzly bear"), ("black", "black bear")), maximum=3, providers=("openverse",))
BEAR = replace(BEARS, classes=(("bear", "bear"),))


class Fake:
    """Answers a phrase with its pages, each a list of URLs or candidates, or with an exception."""

    def __init__(self, **answers: Sequence[Any] | Exception) -> None:
        self.answers, self.asked = answers, []

    def __call__(self, query: Query) -> Page:
        self.asked.append(query)
        pages = self.answers.get(query.phrase.split()[0], [])
        answer = pages if isinstance(pages, Exception) else pages[query.page - 1] if pages else []
        if isinstance(answer, Exception):
            raise answer
        found = [Candidate(f"https://{one}") if isinstance(one, str) else one for one in answer]
        named = [replace(one, provider="openverse", query=query.phrase) for one in found]
        return Page(tuple(named), not isinstance(pages, Exception) and query.page < len(pages))

    @property
    def phrases(self) -> list[tuple[str, int]]:
        return [(query.phrase, query.page) for query in self.asked]


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.naps = 100.0, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


def known(**asks: Callable[[Query], Page]) -> dict[str, Provider]:
    return {name: Provider(name, name.title(), ask, kept=False) for name, ask in asks.items()}


def found_by(
    workspace: Workspace, config: SearchConfig, show: Callable[[Progress], None] | None = None, **asks: Any
) -> Found:
    clock = Clock()
    return run(search(workspace, config, known(**asks), clock, clock.sleep), show)


def urls(found: Found) -> list[str]:
    return [one.url.removeprefix("https://") for one in found.candidates]


def test_candidates_are_found_with_their_class_and_where_they_are_from(workspace: Workspace) -> None:
    fake = Fake(grizzly=[["a.example/1", "a.example/2"]], black=[["b.example/1"]])
    shown: list[Progress] = []
    found = found_by(workspace, BEARS, shown.append, openverse=fake)
    assert [(one.url[8:], one.label, one.query, one.provider) for one in found.candidates] == [
        ("a.example/1", "grizzly", "grizzly bear", "openverse"),
        ("a.example/2", "grizzly", "grizzly bear", "openverse"),
        ("b.example/1", "black", "black bear", "openverse"),
    ]
    assert found.added == 3 and found.problems == ()
    notes = list(dict.fromkeys((progress.done, progress.total, progress.note) for progress in shown))
    assert notes == [
        (0, 2, "Asking Openverse: grizzly bear"),
        (1, 2, "Asking Openverse: black bear"),
        (2, 2, "Searched"),
    ]
    rows = workspace.store.candidates("new")
    assert list(rows["label"]) == ["grizzly", "grizzly", "black"]


def test_everything_that_was_said_is_on_record(workspace: Workspace) -> None:
    said = {
        "page_url": "https://p.example/",
        "licence": "CC BY 4.0",
        "title": "A bear",
        "width": 640,
        "height": 480,
        "thumbnail": "https://t.example/",
        "creator": "Ann",
        "licence_url": "https://cc.example/by",
    }
    found = found_by(workspace, BEAR, openverse=Fake(bear=[[Candidate("https://a.example/1", **said)]]))
    row = workspace.store.candidates().to_dict("records")[0]
    assert {key: row[key] for key in said} == said and row["query"] == "bear" and row["provider"] == "openverse"
    assert {"url", "label", "provider", "page_url", "licence"} <= asdict(found)["candidates"][0].keys()
    json.dumps(asdict(found))


def test_a_url_is_taken_once_and_goes_to_the_first_class(workspace: Workspace) -> None:
    fake = Fake(grizzly=[["a.example/1", "A.example/1#top"]], black=[["a.example/1", "a.example/2"]])
    found = found_by(workspace, BEARS, openverse=fake)
    assert [(one.url[8:], one.label) for one in found.candidates] == [
        ("a.example/1", "grizzly"),
        ("a.example/2", "black"),
    ]
    again = found_by(workspace, BEARS, openverse=fake)
    assert again.added == 0 and len(again.candidates) == 2


def test_every_provider_and_every_phrase_gets_its_turn(workspace: Workspace) -> None:
    config = replace(BEAR, maximum=5, providers=("openverse", "wikimedia"), extras=("sun", " ", "shade", "sun"))
    one = Fake(bear=[[f"one.example/{n}" for n in range(9)]])
    two = Fake(bear=[[f"two.example/{n}" for n in range(9)]])
    found = found_by(workspace, config, openverse=one, wikimedia=two)
    assert one.phrases == two.phrases == [("bear", 1), ("bear sun", 1), ("bear shade", 1)]
    assert urls(found) == ["one.example/0", "two.example/0", "one.example/1", "two.example/1", "one.example/2"]


def test_a_class_with_two_rows_is_one_class(workspace: Workspace) -> None:
    config = replace(BEARS, classes=(("bear", "grizzly"), (" bear ", "black"), ("bear", "grizzly")))
    fake = Fake(grizzly=[["a.example/1", "a.example/2"]], black=[["b.example/1", "b.example/2"]])
    found = found_by(workspace, config, openverse=fake)
    assert urls(found) == ["a.example/1", "b.example/1", "a.example/2"]
    assert fake.phrases == [("grizzly", 1), ("black", 1)]


def test_filters_reach_the_provider(workspace: Workspace) -> None:
    fake = Fake(bear=[["a.example/1"]])
    found_by(workspace, replace(BEAR, size="large", kind="photo", open_licence=True, safesearch=False), openverse=fake)
    assert fake.asked == [Query("bear", 1, "large", "photo", open_licence=True, safesearch=False)]


def test_more_pages_are_asked_for_until_there_are_enough(workspace: Workspace) -> None:
    few = Fake(bear=[["few.example/1"]])
    many = Fake(bear=[[f"many.example/{page}{n}" for n in range(3)] for page in range(9)])
    config = replace(BEAR, maximum=8, providers=("openverse", "wikimedia"))
    found = found_by(workspace, config, openverse=few, wikimedia=many)
    assert len(found.candidates) == 8 and urls(found)[:2] == ["few.example/1", "many.example/00"]
    assert few.phrases == [("bear", 1)] and many.phrases == [("bear", 1), ("bear", 2), ("bear", 3)]


def test_a_provider_that_repeats_itself_is_not_asked_for_ever(workspace: Workspace) -> None:
    fake = Fake(bear=[["a.example/1", "a.example/2"]] * 50)
    assert len(found_by(workspace, BEAR, openverse=fake).candidates) == 2
    assert fake.phrases == [("bear", 1), ("bear", 2)]


def test_one_provider_that_fails_does_not_stop_the_others(workspace: Workspace) -> None:
    config = replace(BEARS, providers=("wikimedia", "openverse"))
    broken, fake = Fake(grizzly=unreadable("Broken"), black=[["b.example/1"]]), Fake(grizzly=[["a.example/1"]])
    found = found_by(workspace, config, wikimedia=broken, openverse=fake)
    assert urls(found) == ["a.example/1", "b.example/1"]
    assert [(p.label, p.query, p.kind, p.provider) for p in found.problems] == [
        ("grizzly", "grizzly bear", "unreadable", "wikimedia"),
        ("black", "black bear", "nothing_found", "openverse"),
    ]
    assert found.problems[0].reason.startswith("Broken answered with") and "'black bear'" in found.problems[1].reason


@pytest.mark.parametrize("failure", [no_network("It"), blocked("It"), rate_limited("It", 600)])
def test_who_refuses_is_not_asked_again(workspace: Workspace, failure: SearchFailed) -> None:
    config = replace(BEARS, providers=("wikimedia", "openverse"), extras=("sun",))
    silent, fake = Fake(grizzly=failure, black=failure), Fake(grizzly=[["a.example/1"]], black=[["b.example/1"]])
    found = found_by(workspace, config, wikimedia=silent, openverse=fake)
    assert silent.phrases == [("grizzly bear", 1)] and len(fake.phrases) == 4
    assert [(p.query, p.kind, p.reason) for p in found.problems] == [
        (phrase, failure.kind, str(failure))
        for phrase in ("grizzly bear", "grizzly bear sun", "black bear", "black bear sun")
    ]


def test_a_refusal_later_on_keeps_what_was_found(workspace: Workspace) -> None:
    found = found_by(workspace, BEAR, openverse=Fake(bear=[["a.example/1"], rate_limited("Fake", 30)]))
    assert urls(found) == ["a.example/1"]
    assert [p.kind for p in found.problems] == ["rate_limited"] and "Wait 30 seconds" in found.problems[0].reason


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        (no_network("It"), "online"),
        (blocked("It"), "another provider"),
        (rate_limited("It", 600), "Wait 10 minutes"),
        (unreadable("It", "ddgs"), "pip install"),
        ([], "spelling"),
    ],
)
def test_a_search_that_brings_nothing_says_why_and_what_to_do(workspace: Workspace, failure: Any, advice: str) -> None:
    with pytest.raises(NetworkError, match=advice) as raised:
        found_by(workspace, BEARS, openverse=Fake(grizzly=failure, black=failure))
    assert isinstance(raised.value, SearchFailed)
    assert raised.value.kind == getattr(failure, "kind", "nothing_found")
    assert workspace.store.candidates().empty


def test_several_reasons_are_all_said(workspace: Workspace) -> None:
    with pytest.raises(SearchFailed) as raised:
        found_by(
            workspace,
            replace(BEARS, providers=("openverse", "wikimedia")),
            openverse=Fake(),
            wikimedia=Fake(grizzly=blocked("It")),
        )
    assert raised.value.kind == "blocked"
    assert str(raised.value).startswith(
        "It refused to answer; Openverse found no pictures of 'grizzly bear' or 'black bear'."
    )


# --- manners -------------------------------------------------------------------------------------------------------


def test_questions_to_one_provider_are_paced_and_each_has_a_pace_of_its_own(workspace: Workspace) -> None:
    clock, asked_at = Clock(), []

    def ask(name: str) -> Callable[[Query], Page]:
        def noted(query: Query) -> Page:
            asked_at.append((name, clock.now))
            return Page((Candidate(f"https://{name}.example/{query.phrase}"),))

        return noted

    slow, quick = (
        Provider("slow", "Slow", ask("slow"), 3.0, False),
        Provider("quick", "Quick", ask("quick"), 1.0, False),
    )
    config = replace(BEAR, providers=("openverse", "wikimedia"), extras=("sun", "shade"))
    run(search(workspace, config, {"openverse": slow, "wikimedia": quick}, clock, clock.sleep))
    assert asked_at == [
        ("slow", 100),
        ("quick", 100),
        ("slow", 103),
        ("quick", 103),
        ("slow", 106),
        ("quick", 106),
    ]
    assert max(clock.naps) <= 0.5, "a search that waits can be cancelled"


def test_a_cancelled_search_stops_while_it_waits(workspace: Workspace) -> None:
    clock, fake = Clock(), Fake(grizzly=[["a.example/1"]], black=[["b.example/1"]])
    stage = search(workspace, BEARS, known(openverse=fake), clock, clock.sleep)
    while not clock.naps:
        next(stage)
    stage.close()
    assert fake.phrases == [("grizzly bear", 1)]
    assert list(workspace.store.candidates()["url"]) == ["https://a.example/1"]


def test_an_answer_is_kept_and_used_again(workspace: Workspace) -> None:
    fake = Fake(bear=[[f"a.example/{page}{n}" for n in range(3)] for page in range(4)])
    kept = {"openverse": Provider("openverse", "Openverse", fake, 0.0)}
    shown: list[Progress] = []
    first = run(search(workspace, BEAR, kept), shown.append)
    again = run(search(workspace, BEAR, kept), shown.append)
    assert again.candidates == first.candidates and fake.phrases == [("bear", 1)]
    assert [progress.note for progress in shown] == [
        "Asking Openverse: bear",
        "Searched",
        "Openverse answered this within the last hour: bear",
        "Searched",
    ]
    more = run(search(workspace, replace(BEAR, maximum=6), kept))
    assert len(more.candidates) == 6 and fake.phrases == [("bear", 1), ("bear", 2)]
    run(search(workspace, replace(BEAR, keep_hours=0), kept))
    run(search(workspace, replace(BEAR, size="large"), kept))
    assert fake.phrases[2:] == [("bear", 1), ("bear", 1)]


def test_what_was_kept_is_used_of_who_refuses_now(workspace: Workspace) -> None:
    kept = Provider("openverse", "Openverse", Fake(black=[["b.example/1"]]), 0.0)
    run(search(workspace, replace(BEARS, classes=BEARS.classes[1:]), {"openverse": kept}))
    found = run(search(workspace, BEARS, {"openverse": replace(kept, ask=Fake(grizzly=blocked("Openverse")))}))
    assert urls(found) == ["b.example/1"] and [p.label for p in found.problems] == ["grizzly"]


def test_a_failure_is_not_kept(workspace: Workspace) -> None:
    for answer in (rate_limited("Fake"), [[]], [["a.example/1"]]):
        try:
            found = run(
                search(workspace, BEAR, {"openverse": Provider("openverse", "Openverse", Fake(bear=answer), 0.0)})
            )
        except SearchFailed:
            continue
        assert urls(found) == ["a.example/1"]
    assert not workspace.store.candidates().empty


# --- what can be asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"classes": ()}, "at least one class"),
        ({"classes": (("a", " "),)}, "nothing to search for"),
        ({"classes": (("a", "\x00\u202e"),)}, "nothing to search for"),
        ({"maximum": 0}, "1 to 1,000"),
        ({"maximum": 1_001}, "1 to 1,000"),
        ({"providers": ("altavista",)}, "altavista"),
        ({"providers": ()}, "There is: duckduckgo"),
        ({"size": "huge"}, "small, medium or large"),
        ({"kind": "film"}, "photo or drawing"),
        ({"keep_hours": -1}, "negative"),
        ({"classes": (("a", "b " * 200),)}, "shorter"),
        ({"extras": ("x" * 300,)}, "shorter"),
        ({"providers": ("urls", "openverse")}, "cannot be mixed"),
        ({"providers": ("urls",), "extras": ("sun",)}, "cannot be mixed"),
        ({"providers": ("urls",)}, "'b' is no URL"),
        ({"providers": ("urls",), "classes": (("a", "https://a.example/1 javascript:x"),)}, "'javascript:x' is no URL"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_before_anybody_is_asked(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SearchConfig(**{"classes": (("a", "b"),), **wrong})


def test_a_class_name_that_cannot_be_kept_is_refused_before_anybody_is_asked(workspace: Workspace) -> None:
    fake = Fake()
    with pytest.raises(SourceError):
        found_by(workspace, replace(BEARS, classes=(("grizzly", "grizzly"), (" ", "x"))), openverse=fake)
    assert fake.asked == []


def test_the_default_is_everybody_who_can_be_searched() -> None:
    assert set(SearchConfig((("a", "b"),)).providers) == set(providers()) - {"urls"}


def test_a_list_of_urls_is_taken_whole_without_asking_anybody(workspace: Workspace) -> None:
    listed = "\n".join(f"https://a.example/{n}.jpg" for n in range(250)) + " HTTPS://A.example/7.jpg"
    found = run(search(workspace, SearchConfig((("bear", listed),), providers=("urls",))))
    assert len(found.candidates) == found.added == 250
    assert {(one.provider, one.label, one.query) for one in found.candidates} == {("urls", "bear", "")}
    assert not list((workspace.cache / "search").glob("*"))


def test_a_search_runs_as_a_job(workspace: Workspace) -> None:
    config = SearchConfig((("bear", "https://a.example/1.jpg"),), providers=("urls",))
    job = jobs.wait_for(workspace, jobs.start(workspace, search, config).id, 60)
    assert job.status == "done" and list(workspace.store.candidates()["url"]) == ["https://a.example/1.jpg"]


def test_the_command_line_searches_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bears = "https://a.example/1.jpg?a=1 https://a.example/2.jpg"
    command = ["search", str(tmp_path / "bears"), "--class", f"bear={bears}", "--provider", "urls", "--json"]
    assert main(command) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [one["url"] for one in printed["candidates"]] == bears.split()
    assert printed["added"] == 2 and printed["problems"] == []
    for wrong, said in (
        (["--provider", "openverse"], "mixed"),
        (["--extra", "sun"], "mixed"),
        (["--max", "0"], "1 to 1,000"),
    ):
        assert main([*command, *wrong]) == 2
        assert said in capsys.readouterr().err


# --- merging -------------------------------------------------------------------------------------------------------


def test_what_one_provider_does_not_say_another_one_does() -> None:
    first = Candidate("https://A.example:443/1.jpg#x", provider="duckduckgo", title="A bear", licence="not stated")
    second = Candidate(
        "https://a.example/1.jpg",
        provider="openverse",
        title="Bear",
        licence="CC BY 4.0",
        creator="Ann",
        width=9,
        licence_url="https://cc.example/by",
    )
    (one,) = merged([[first], [second]], 10).values()
    assert one == replace(first, licence="CC BY 4.0", creator="Ann", licence_url="https://cc.example/by", width=9)
    (other,) = merged([[second], [first]], 10).values()
    assert other == second


def test_addresses_are_compared_by_where_they_lead() -> None:
    assert address("HTTPS://Bücher.example:443/a?b=1#c") == address("https://xn--bcher-kva.example/a?b=1")
    assert len({address(url) for url in ("https://a.example/A", "https://a.example/a", "http://a.example/a")}) == 3
    assert address("https://user@a.example/") == "https://user@a.example/"


LISTS = st.lists(
    st.lists(st.sampled_from("abcdefgh").map(lambda name: Candidate(f"https://{name}.example/")), max_size=9),
    max_size=4,
)


@given(LISTS, st.integers(1, 9), st.frozensets(st.sampled_from("abcdefgh")))
def test_merging_takes_each_url_once_and_as_many_as_are_wanted(
    lists: list[list[Candidate]], maximum: int, taken: frozenset[str]
) -> None:
    gone = {f"https://{name}.example/" for name in taken}
    found = merged(lists, maximum, gone)
    there = {one.url for each in lists for one in each} - gone
    assert len(found) == min(maximum, len(there)) and {one.url for one in found.values()} <= there


# --- the whole chain -----------------------------------------------------------------------------------------------


def test_the_whole_chain_against_a_server(workspace: Workspace) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.parameters["q"] == "teddy":
            return sent({"detail": "Request was throttled."}, 429, Retry_After="120")
        page = int(asked.parameters["page"])
        rows = [
            {"url": f"https://live.example/{page}-{n}.jpg", "license": "by", "license_version": "4.0"}
            for n in range(20)
        ]
        return sent({"result_count": 40, "page_count": 2, "page_size": 20, "page": page, "results": rows})

    with ApiServer(answer) as server:
        openverse = Openverse(WebApi("Openverse", f"{server.url}/v1/images/", (server.host,)))
        config = SearchConfig((("grizzly", "grizzly bear"), ("teddy", "teddy")), 30, ("openverse",))
        found = run(search(workspace, config, {"openverse": Provider("openverse", "Openverse", openverse, 0.0)}))
    assert found.added == 30 and {one.licence for one in found.candidates} == {"CC BY 4.0"}
    assert [(p.label, p.kind) for p in found.problems] == [("teddy", "rate_limited")]
    assert "Wait 2 minutes" in found.problems[0].reason
