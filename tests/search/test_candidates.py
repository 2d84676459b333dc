"""What strangers say about a picture is checked; every failure says what happened and what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.search.candidates import (
    FAILURE_KINDS,
    Candidate,
    Query,
    SearchFailed,
    blocked,
    candidate,
    in_trouble,
    no_network,
    nothing_found,
    rate_limited,
    together,
    too_slow,
    unreadable,
    whole,
    words,
)
from pipeline.web.addresses import link

QUERY = Query("grizzly bear")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_what_makes_sense_is_kept() -> None:
    found = candidate(
        "openverse",
        QUERY,
        " https://a.example/b c.jpg ",
        title="A <b>bear</b>",
        width="640",
        height=480,
        licence="CC BY 4.0",
        licence_url="https://cc.example/by",
        creator="Ann",
        page_url="https://a.example/",
        thumbnail="https://a.example/t.jpg",
    )
    assert found == Candidate(
        "https://a.example/b c.jpg",
        "",
        "openverse",
        "https://a.example/",
        "CC BY 4.0",
        "grizzly bear",
        "A <b>bear</b>",
        640,
        480,
        "https://a.example/t.jpg",
        "Ann",
        "https://cc.example/by",
    )


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "",
        "a.jpg",
        "javascript:alert(1)",
        "data:image/png;base64,AA",
        "ftp://a.example/a.jpg",
        "//a.example/a",
        "https://",
        "https:///a.jpg",
        "https://a.example/\nHost: evil",
        "https://a.example/\x00",
        " ",
        "https://a.example/\ud800",
        "https://a.example/" + "a" * 9_000,
        ["https://a.example/a.jpg"],
    ],
)
def test_what_is_no_url_of_the_web_is_no_candidate(url: object) -> None:
    assert link(url) is None
    assert candidate("openverse", QUERY, url) is None


def test_text_is_one_readable_line() -> None:
    assert words(" A\tbear\r\n in\x00 the\u2028wild ") == "A bear in the wild"
    assert words("gpj.\u202eraeb") == "gpj. raeb"
    assert words("half \ud83d") == "half ?"
    assert words("\x00 \n") is words(5) is words(None) is None
    assert len(words("a" * 10_000) or "") == 500


@pytest.mark.parametrize(
    ("value", "pixels"),
    [(640, 640), ("640", 640), (0, None), (-3, None), (True, None), (1.5, None), ("1e3", None), (10**30, None)],
)
def test_a_size_is_a_sane_number_of_pixels(value: object, pixels: int | None) -> None:
    assert whole(value) == pixels


@given(url=ANYTHING, claims=st.dictionaries(st.sampled_from(["title", "width", "licence", "creator"]), ANYTHING))
def test_nothing_that_is_said_can_break_a_candidate(url: object, claims: dict[str, object]) -> None:
    for address in (url, "https://a.example/1.jpg"):
        found = candidate("openverse", QUERY, address, **claims)
        assert found is None or found.url.lower().startswith("http")
        if found:
            text = f"{found.url}{found.title}{found.licence}{found.creator}"
            assert "\n" not in text and text.encode()
            assert found.width is None or 0 < found.width < 10**8


FAILURES = {
    "no_network": no_network("It"),
    "slow": too_slow("It"),
    "blocked": blocked("It"),
    "rate_limited": rate_limited("It"),
    "trouble": in_trouble("It", 503),
    "unreadable": unreadable("It", "ddgs"),
    "nothing_found": nothing_found("It", "a bear"),
}


def test_every_failure_has_a_message_of_its_own_that_offers_another_way() -> None:
    messages = {str(failure) for failure in FAILURES.values()}
    assert len(messages) == len(FAILURES)
    assert all("starter set" in message and "folder" in message for message in messages)
    assert all(message.startswith("It ") and "\n" not in message for message in messages)
    assert {failure.kind for failure in FAILURES.values()} == set(FAILURE_KINDS)


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        ("no_network", "online"),
        ("slow", "in some minutes"),
        ("blocked", "another provider"),
        ("rate_limited", "Wait some minutes"),
        ("trouble", "status 503"),
        ("unreadable", "pip install -U ddgs"),
        ("nothing_found", "spelling"),
    ],
)
def test_each_failure_says_what_to_do(failure: str, advice: str) -> None:
    assert advice in str(FAILURES[failure])


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "some minutes"),
        (0.0, "some minutes"),
        (7.2, "8 seconds"),
        (600, "10 minutes"),
        (14_400, "4 hours"),
        (1e12, "some days"),
    ],
)
def test_how_long_to_wait_is_said_in_words(seconds: float | None, said: str) -> None:
    assert f"Wait {said}," in str(rate_limited("It", seconds))


def test_several_failures_are_told_in_one_sentence_the_gravest_first() -> None:
    failure = together(
        [nothing_found("Openverse", "bear"), rate_limited("DuckDuckGo", 600), no_network("Wikimedia Commons")]
    )
    assert failure.kind == "no_network"
    assert str(failure).startswith(
        "Wikimedia Commons cannot be reached; DuckDuckGo asked for fewer searches; Openverse found no pictures of "
        "'bear'. Check that this computer is online, then search again. Wait 10 minutes, then search again"
    )
    assert str(failure).count("starter set") == 1


def test_the_same_failure_of_several_is_told_once() -> None:
    failure = together([no_network("A"), no_network("B"), no_network("C"), no_network("A")])
    assert str(failure).startswith("A, B and C cannot be reached. Check that") and str(failure).count("online") == 1
    empty = together([nothing_found(who, phrase) for phrase in ("w", "x", "y", "z") for who in ("A", "B")])
    assert empty.kind == "nothing_found"
    assert str(empty).startswith("A and B found no pictures of 'w', 'x', 'y' and others. Check the spelling")


def test_one_failure_alone_stays_as_it_is() -> None:
    for failure in FAILURES.values():
        assert str(together([failure])) == str(failure) and together([failure]).kind == failure.kind
    assert isinstance(together([blocked("It")]), SearchFailed)
