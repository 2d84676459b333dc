"""Asking a JSON API: a local server answers, refuses, says nonsense or keeps silent."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from pipeline.search.api import MAX_BYTES, WebApi
from pipeline.search.candidates import SearchFailed
from pipeline.web.responses import NotFetched
from tests.support.api_server import LOGIN_PAGE, Answer, ApiServer, sent


def api(server: ApiServer, seconds: float = 10.0) -> WebApi:
    return WebApi("It", f"{server.url}/v1/images/", (server.host,), seconds)


def failure_of(answer: Answer, seconds: float = 10.0) -> SearchFailed:
    with ApiServer(answer) as server, pytest.raises(SearchFailed) as raised:
        api(server, seconds).ask(q="bear")
    assert len(server.asked) == 1, "one question is asked once"
    return raised.value


def test_the_question_says_who_asks_and_wants_json() -> None:
    with ApiServer(sent({"a": [1]})) as server:
        assert api(server).ask(q="bär & co", page="2") == {"a": [1]}
    asked = server.asked[0]
    assert (asked.path, asked.parameters) == ("/v1/images/", {"q": "bär & co", "page": "2"})
    assert asked.headers["user-agent"].startswith("Winnow/") and asked.headers["accept"] == "application/json"
    assert "cookie" not in asked.headers and "referer" not in asked.headers


def test_a_packed_answer_is_unpacked() -> None:
    with ApiServer(Answer(gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})) as server:
        assert api(server).ask() == {"a": 1}


def test_it_can_be_asked_where_an_event_loop_is_running_already() -> None:
    async def notebook() -> dict[str, object]:
        return api(server).ask(q="x")

    with ApiServer(sent({})) as server:
        assert asyncio.run(notebook()) == {}


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (Answer(b"no", 403), "blocked", "refused to answer"),
        (Answer(b"no", 401), "blocked", "another provider"),
        (Answer(b"", 429), "rate_limited", "Wait some minutes"),
        (
            sent({"detail": "Request was throttled. Expected available in 3000 seconds."}, 429, Retry_After="3000"),
            "rate_limited",
            "Wait 50 minutes",
        ),
        (Answer(b"", 503, {"Retry-After": "30"}), "rate_limited", "Wait 30 seconds"),
        (Answer(b"oops", 500), "unreadable", "status 500"),
        (Answer(b"", 503), "unreadable", "status 503"),
        (Answer(LOGIN_PAGE, headers={"Content-Type": "text/html"}), "unreadable", "log-in page"),
        (Answer(b'{"results": [', headers={"Content-Type": "application/json"}), "unreadable", "no list of pictures"),
        (Answer(b""), "unreadable", "no list of pictures"),
        (Answer(b"[" * 100_000), "unreadable", "no list of pictures"),
        (Answer(b"\xff\xfe\x00"), "unreadable", "no list of pictures"),
        (Answer(b'{"n": ' + b"9" * 10_000 + b"}"), "unreadable", "no list of pictures"),
        (sent(["a", "list"]), "unreadable", "no list of pictures"),
        (Answer(b" " * (MAX_BYTES + 1)), "unreadable", "no list of pictures"),
        (Answer(b"", 404), "unreadable", "newer version"),
        (Answer(b"", 302, {"Location": "http://127.0.0.1:9/internal"}), "no_network", "cannot be reached"),
    ],
    ids=[
        "403",
        "401",
        "429",
        "429-with-a-time",
        "503-with-a-time",
        "500",
        "503",
        "a-page-instead",
        "cut-off",
        "nothing",
        "too-deep",
        "no-text",
        "a-huge-number",
        "a-list",
        "too-large",
        "404",
        "sent-to-an-internal-address",
    ],
)
def test_each_way_to_fail_is_told_apart(answer: Answer, kind: str, said: str) -> None:
    failure = failure_of(answer)
    assert failure.kind == kind and said in str(failure) and str(failure).startswith("It ")


def test_a_server_that_keeps_silent_is_given_up() -> None:
    failure = failure_of(Answer(silent=True), seconds=0.3)
    assert failure.kind == "no_network" and "did not answer in time" in str(failure)


def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    with ApiServer(sent({})) as server:
        gone = api(server)
    with pytest.raises(SearchFailed, match="cannot be reached"):
        gone.ask(q="bear")


def test_an_address_that_is_not_public_is_not_asked(only_this_machine: list[str]) -> None:
    with ApiServer(sent({})) as server, pytest.raises(SearchFailed, match="cannot be reached"):
        WebApi("It", server.url).ask(q="bear")
    assert server.asked == [] and only_this_machine == []


def test_a_name_that_nobody_knows_cannot_be_reached() -> None:
    async def unknown(url: str) -> bytes:
        raise NotFetched("dns", "Nobody knows the name api.example.")

    with pytest.raises(SearchFailed, match="online"):
        WebApi("It", "https://api.example/", fetch=unknown).ask(q="bear")
