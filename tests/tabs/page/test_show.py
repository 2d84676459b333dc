from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta

import gradio as gr
import pytest

from pipeline.errors import NotEnoughData
from pipeline.tabs.page.show import ago, bars, count, duration, empty, error_rate, escape, facts, table, translate

HARM = "<script>alert('x')</script>"


def test_a_failed_step_is_raised_as_a_message_on_the_screen() -> None:
    @translate
    def fail() -> None:
        raise NotEnoughData("There are 2 pictures <b>only</b>. Add more.")

    with pytest.raises(gr.Error) as raised:
        fail()
    assert raised.value.message == "There are 2 pictures &lt;b&gt;only&lt;/b&gt;. Add more."
    assert isinstance(raised.value.__cause__, NotEnoughData)


def test_a_full_disk_is_told_with_what_to_do() -> None:
    @translate
    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(gr.Error, match=r"No space left on device.*Free some space"):
        fail()


def test_a_fault_of_ours_is_not_dressed_up_as_a_message() -> None:
    @translate
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_gradio_still_sees_the_parameters_of_a_translated_handler() -> None:
    @translate
    def handler(name: str, event: gr.EventData) -> str:
        return name

    assert list(inspect.signature(handler).parameters) == ["name", "event"]


@pytest.mark.parametrize(
    "html",
    [
        table([HARM], [[HARM]], caption=HARM),
        bars({HARM: 1}, HARM),
        empty(HARM, HARM),
        facts([(HARM, HARM)]),
        escape(HARM),
    ],
)
def test_foreign_text_never_becomes_markup(html: str) -> None:
    assert "<script" not in html and "&lt;script" in html


def test_quotes_cannot_end_an_attribute() -> None:
    assert 'title="&quot; onload=&quot;1"' in bars({'" onload="1': 3})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_are_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "just now"), (60, "1 minute ago"), (7300, "2 hours ago"), (86400 * 3, "3 days ago")],
)
def test_a_moment_is_told_as_how_long_ago(seconds: int, words: str) -> None:
    then = datetime.now(UTC) - timedelta(seconds=seconds)
    assert ago(then) == ago(then.isoformat()) == ago(then.timestamp()) == words


def test_an_unknown_moment_is_told_as_nothing() -> None:
    assert (ago(None), ago("yesterday-ish")) == ("", "")


def test_counts_agree_with_their_noun() -> None:
    assert (count(1, "picture"), count(1204, "picture"), count(2, "class", "classes")) == (
        "1 picture",
        "1,204 pictures",
        "2 classes",
    )


def test_an_error_rate_comes_with_its_interval() -> None:
    assert error_rate({"error_rate": 0.042, "low": 0.02, "high": 0.086, "n": 90}) == "4.2% (2.0 to 8.6%)"
    assert error_rate({"error_rate": 0.0, "low": 0, "high": 1, "n": 0}) == error_rate(None) == "–"
