"""Who can be asked, and the list of URLs."""

from __future__ import annotations

from pipeline.search.candidates import Page, Query
from pipeline.search.search import listed, providers


def test_everybody_has_a_name_for_programs_and_one_for_people() -> None:
    known = providers()
    assert set(known) == {"duckduckgo", "openverse", "wikimedia", "urls"}
    assert all(provider.name == name and provider.who for name, provider in known.items())


def test_services_are_left_a_second_at_least_between_two_questions() -> None:
    assert all(provider.seconds_between >= 1 for name, provider in providers().items() if name != "urls")


def test_a_list_of_urls_becomes_candidates() -> None:
    page = listed(
        Query(" https://a.example/1.jpg\nHTTP://B.example/2\thttps://c.example/3?a=1&b=2#x javascript:x a.jpg")
    )
    assert [one.url for one in page.candidates] == [
        "https://a.example/1.jpg",
        "HTTP://B.example/2",
        "https://c.example/3?a=1&b=2#x",
    ]
    assert {(one.provider, one.query) for one in page.candidates} == {("urls", "")} and not page.more
    assert listed(Query(" ")) == Page()
