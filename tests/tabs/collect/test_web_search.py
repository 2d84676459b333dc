from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError, SourceError, UsageError
from pipeline.jobs import job as jobs
from pipeline.search.search import SearchConfig
from pipeline.search.wanted import BLUR
from pipeline.tabs.collect.tab import extra_words, search_job, wanted_classes
from pipeline.workspace.workspace import Workspace


@pytest.mark.parametrize(
    ("rows", "classes"),
    [
        (
            [["grizzly", "bear in the wild"], ["", ""], [" black bear ", " "]],
            (("grizzly", "bear in the wild"), ("black bear", "black bear")),
        ),
        ([["bär", "  brown \t bear "]], (("bär", "brown bear"),)),
        ([["a", "one"], ["a", "two"], ["a", "one"]], (("a", "one"), ("a", "two"))),
        ([["bear", "x"], "junk", None, ["one"], [1, 2], ["a", "b", "c"]], (("bear", "x"),)),
    ],
)
def test_a_row_is_a_class_and_what_to_search_for(rows: Any, classes: tuple[tuple[str, str], ...]) -> None:
    assert wanted_classes(rows) == classes


@pytest.mark.parametrize("rows", [None, [], [["", ""], [" ", "\t"]], "grizzly", 5, {"a": "b"}])
def test_a_search_for_nothing_is_refused_with_an_example(rows: Any) -> None:
    with pytest.raises(UsageError, match="grizzly bear"):
        wanted_classes(rows)


def test_words_without_a_class_are_refused_and_named() -> None:
    with pytest.raises(UsageError, match="'sun bear' shows"):
        wanted_classes([["", "sun bear"]])


def test_a_class_name_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(SourceError, match="longer than"):
        wanted_classes([["x" * 1_000, ""]])


def test_too_many_classes_at_once_are_refused() -> None:
    with pytest.raises(UsageError, match="at most 100"):
        wanted_classes([[str(number), ""] for number in range(101)])


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_whatever_a_page_sends_becomes_classes_or_a_message(rows: Any) -> None:
    try:
        classes = wanted_classes(rows)
    except PipelineError:
        return
    assert classes and all(label.strip() and query.strip() for label, query in classes)
    assert all(text.encode() for pair in classes for text in pair)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", ()), (" , ,", ()), ("photo, in  the sun ,shade,photo", ("photo", "in the sun", "shade"))],
)
def test_extra_words_stand_between_commas(text: str, words: tuple[str, ...]) -> None:
    assert extra_words(text) == words


def test_too_many_extra_words_are_refused() -> None:
    with pytest.raises(UsageError, match="at most 20"):
        extra_words(",".join(str(number) for number in range(21)))


def finished(workspace: Workspace, job: jobs.Job) -> jobs.Job:
    return jobs.wait_for(workspace, job.id, 120)


def test_an_offline_search_fails_with_what_to_do_instead(workspace: Workspace) -> None:
    config = SearchConfig((("grizzly", "grizzly"),), 10, providers=("duckduckgo",), safesearch=False)
    job = finished(workspace, search_job(workspace, config))
    assert job.status == "failed" and "cannot be reached" in job.note
    assert workspace.store.fact(BLUR) is True


def test_a_search_waits_for_another_collection(workspace: Workspace) -> None:
    config = SearchConfig((("grizzly", "https://127.0.0.1:9/a.jpg"),), 10, providers=("urls",))
    first = search_job(workspace, config)
    with pytest.raises(UsageError, match="being collected already"):
        search_job(workspace, config)
    assert finished(workspace, first).status == "done"
