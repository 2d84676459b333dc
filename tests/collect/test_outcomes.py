from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.outcomes import WORDS, outcomes
from pipeline.search.wanted import leave_out
from pipeline.web.addresses import host
from pipeline.web.responses import AGAIN, CODES
from pipeline.workspace.workspace import Workspace


def ended(workspace: Workspace, url: str, status: str, code: str | None = None, reason: str = "", **more: Any) -> None:
    workspace.store.add_candidates([{"url": url, "label": "bear", "provider": "x"}])
    row = {"url": url, "label": "bear", "status": status, "code": code, "reason": reason, "sha256": None, "again": 0}
    workspace.store.record_downloads([row | more])


def test_every_code_of_a_download_has_words_of_its_own() -> None:
    assert set(WORDS) == set(CODES)
    assert len({title for title, _ in WORDS.values()}) == len(CODES)
    assert all(meaning.endswith(".") for _, meaning in WORDS.values())


def test_a_workspace_without_downloads_has_no_outcomes(workspace: Workspace) -> None:
    workspace.store.add_candidates([{"url": "https://a.example/1.jpg", "label": "bear", "provider": "x"}])
    assert outcomes(workspace) == []


def test_outcomes_are_counted_by_status_and_code_the_most_frequent_first(workspace: Workspace) -> None:
    for number in range(3):
        ended(workspace, f"https://a.example/{number}.jpg", "failed", "http_error", "It is not there (status 404).")
    for number in range(2):
        ended(workspace, f"https://b.example/{number}.jpg", "stored")
    ended(workspace, "https://b.example/9.jpg", "duplicate")
    found = outcomes(workspace)
    assert [(o.status, o.code, o.number) for o in found] == [
        ("failed", "http_error", 3),
        ("stored", "", 2),
        ("duplicate", "", 1),
    ]
    assert found[0].title == "The site said no"


def test_an_outcome_names_the_sites_that_did_it_and_how_often(workspace: Workspace) -> None:
    for number in range(4):
        ended(workspace, f"https://much.example/{number}.jpg", "failed", "timeout")
    for number in range(6):
        ended(workspace, f"https://site{number}.example/1.jpg", "failed", "timeout")
    (outcome,) = outcomes(workspace)
    assert outcome.hosts[0] == ("much.example", 4)
    assert (len(outcome.hosts), outcome.more_hosts) == (5, 2)
    assert outcome.number == 10 and len(outcome.examples) == 5


def test_an_outcome_says_how_many_are_tried_again_and_why_each_failed(workspace: Workspace) -> None:
    ended(workspace, "https://a.example/1.jpg", "failed", "http_error", f"It is in trouble. {AGAIN}", again=1)
    ended(workspace, "https://a.example/2.jpg", "failed", "http_error", "It is not there (status 404).")
    (outcome,) = outcomes(workspace)
    assert outcome.again == 1
    assert set(outcome.reasons) == {("It is in trouble.", 1), ("It is not there (status 404).", 1)}
    assert outcome.examples[0] == ("https://a.example/1.jpg", "It is in trouble.")


def test_what_a_person_unticked_is_told_from_what_a_site_forbids(workspace: Workspace) -> None:
    workspace.store.add_candidates([{"url": "https://a.example/1.jpg", "label": "bear", "provider": "x"}])
    leave_out(workspace, [("https://a.example/1.jpg", "bear")])
    ended(workspace, "https://a.example/2.jpg", "skipped", "noai", "Its site asks not to use it for training.")
    titles = {outcome.code: outcome.title for outcome in outcomes(workspace)}
    assert titles == {"": "Unticked by you", "noai": "The site asks not to be used for training"}


@pytest.mark.parametrize("url", ["not a url", "http://[broken/1.jpg", "", "javascript:alert(1)"])
def test_a_link_without_a_site_is_counted_all_the_same(workspace: Workspace, url: str) -> None:
    ended(workspace, url, "failed", "blocked_scheme")
    (outcome,) = outcomes(workspace)
    assert outcome.hosts == (("no site", 1),)


@given(st.text())
def test_no_text_is_too_strange_to_ask_for_its_site(url: str) -> None:
    assert isinstance(host(url), str)
