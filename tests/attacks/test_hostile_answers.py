"""Search services that answer anything at all: a page of candidates or a failure in words, and never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.search.api import WebApi
from pipeline.search.candidates import Page, Query, SearchFailed
from pipeline.search.openverse import Openverse
from pipeline.search.wikimedia import Wikimedia
from tests.support.api_server import Answer, ApiServer

ROW = {"url": "https://x.example/1.jpg", "foreign_landing_url": "https://x.example/1", "license": "by", "title": "x"}
DEEP = "[" * 50_000 + "]" * 50_000
BODIES: tuple[bytes, ...] = (
    b"",
    b"null",
    b"true",
    b"0",
    b'""',
    b"[]",
    b"{}",
    b"[[[]]]",
    b"{",
    b"\xff\xfe\x00",
    b"\0" * 5_000,
    DEEP.encode(),
    b'{"results": ' + DEEP.encode() + b"}",
    b'{"results": NaN, "page_count": Infinity}',
    b'{"results": 1e999}',
    b"<!doctype html><script>alert(1)</script>",
    b"HTTP/1.1 200 OK\r\n\r\n{}",
    b'{"results": [' + b"1," * 100_000 + b"1]}",
    json.dumps({"results": [ROW | {"url": 7}]}).encode(),
    json.dumps({"results": [ROW | {"url": "file:///etc/passwd"}]}).encode(),
    json.dumps({"results": [ROW | {"url": "javascript:alert(1)"}]}).encode(),
    json.dumps({"results": [ROW | {"url": "http://[::1]:x/"}]}).encode(),
    json.dumps({"results": [ROW | {"url": "https://x.example/" + "a" * 100_000}]}).encode(),
    json.dumps({"results": [ROW | {"url": "https://x.example/\u202egpj.exe"}]}).encode(),
    json.dumps({"results": [ROW | {"title": "\ud800", "creator": "\0"}]}).encode(),
    json.dumps({"results": [ROW | {"title": ["<img src=x onerror=alert(1)>"]}]}).encode(),
    json.dumps({"results": [ROW | {"width": -1, "height": 10**400}]}).encode(),
    json.dumps({"results": [ROW | {"width": "wide", "license": {}}]}).encode(),
    json.dumps({"results": {"0": ROW}, "page_count": "many"}).encode(),
    json.dumps({"results": [None, ROW, []], "page_count": -5}).encode(),
    json.dumps({"query": {"pages": ROW}}).encode(),
    json.dumps({"query": {"pages": [{"imageinfo": "no"}]}}).encode(),
    json.dumps({"query": {"pages": {"1": {"imageinfo": [ROW]}}}, "continue": 7}).encode(),
    json.dumps({"query": {"pages": {"1": {"imageinfo": [{"extmetadata": []}], "index": "x"}}}}).encode(),
    json.dumps({"error": {"info": "<b>\0" * 1000}}).encode(),
)
HEADERS: tuple[dict[str, str], ...] = (
    {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    {"Content-Type": "application/json", "Retry-After": "-1e9"},
    {"Content-Type": "text/html; charset=utf-99"},
    {"Location": "http://169.254.169.254/latest/meta-data"},
    {"Content-Type": "application/json", "Set-Cookie": "a=" + "b" * 4_000},
)
CASES = [
    *((number, Answer(body, 200, {"Content-Type": "application/json"})) for number, body in enumerate(BODIES)),
    *(
        (len(BODIES) + number, Answer(b"{}", (200, 429, 500, 302, 200)[number], headers))
        for number, headers in enumerate(HEADERS)
    ),
]


@pytest.mark.parametrize("provider", [Openverse, Wikimedia], ids=["openverse", "wikimedia"])
@pytest.mark.parametrize("answer", [answer for _, answer in CASES], ids=[str(number) for number, _ in CASES])
def test_whatever_a_search_service_sends_is_candidates_or_a_failure_in_words(
    provider: Any, answer: Answer, only_this_machine: list[str]
) -> None:
    with ApiServer(answer) as server:
        try:
            page = provider(WebApi("A service", f"{server.url}/v1/", (server.host,)))(Query("bear"))
        except SearchFailed as failure:
            assert str(failure) and len(str(failure)) < 600 and "\0" not in str(failure)
            return
    assert isinstance(page, Page) and only_this_machine == []
    for one in page.candidates:
        assert one.url.startswith(("http://", "https://")) and len(one.url) < 10_000
