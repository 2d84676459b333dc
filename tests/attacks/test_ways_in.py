"""The app, a public demo, ``serve`` and a Space as hostile strangers meet them over HTTP."""

from __future__ import annotations

import base64
import contextvars
import http.client
import io
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from gradio.context import LocalContext
from PIL import Image

from pipeline.errors import LimitReached
from pipeline.tabs.door.visitors import SCOPE, Visitors
from pipeline.tabs.page.picker import Workspaces
from pipeline.workspace.limits import Limits
from pipeline.workspace.workspace import Workspace
from tests.attacks.conftest import SMALL, Ways
from tests.support.demo import Visitor

WAYS = ("app", "demo", "serve", "space")
META = {"_type": "gradio.FileData"}
INSIDE = re.compile(r"NoneType|has no attribute|not subscriptable|Traceback|site-packages|/tmp/|object at 0x|\bself\b")


def a_picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 30)).save(file, "JPEG")
    return file.getvalue()


def data_url() -> str:
    return "data:image/jpeg;base64," + base64.b64encode(a_picture()).decode()


def predict(browser: Visitor) -> int:
    return next(id for id, fn in browser.demo.fns.items() if fn.api_name == "predict")


def sessions_of(browser: Visitor) -> set[str]:
    return set(browser.demo.state_holder.session_data)


def home(ways: Ways, browser: Visitor) -> Path:
    return ways.visitors.home(str(ways.visitors.who(browser.client.cookies.get(ways.visitors.cookie))))


# --- links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAYS)
def test_a_link_is_fetched_by_nobody(ways: Ways, name: str, nothing_fetched: list[str]) -> None:
    browser = ways.browsers[name]
    number = predict(browser)
    inputs = [None] * (len(browser.demo.fns[number].inputs) - 1)
    before = sessions_of(browser)
    for link in ("http://93.184.216.34/x", "https://pictures.example/x", "http%3A//pictures.example/x"):
        for file in (
            {"path": link, "meta": META},
            {"path": "/a.jpg", "url": link, "meta": META},
            {"url": link, "meta": META},
        ):
            body = {"fn_index": number, "data": [file, *inputs], "session_hash": "a link", "event_data": file}
            for path in ("queue/join", "run/predict", "api/predict", "call/predict"):
                refused = browser.client.post(f"{browser.address}gradio_api/{path}", json=body)
                assert refused.status_code == 400 and "data: URL" in refused.text, (path, file)
        for path in (f"file={link}", f"proxy={link}"):
            assert browser.api(path).status_code == 403
    assert sessions_of(browser) == before


@pytest.mark.parametrize("name", ["serve", "space"])
def test_a_page_of_another_site_may_ask_a_space_with_a_data_url(ways: Ways, name: str) -> None:
    browser = ways.browsers[name]
    elsewhere = {"origin": "https://garden.example", "sec-fetch-site": "cross-site", "host": "me-fruit.hf.space"}
    headers = elsewhere if name == "space" else {}
    body = {"data": [{"url": data_url(), "meta": META}]}
    begun = browser.client.post(f"{browser.address}gradio_api/call/predict", json=body, headers=headers)
    assert begun.status_code == 200, begun.text
    assert name == "serve" or begun.headers["access-control-allow-origin"] == elsewhere["origin"]
    told = browser.client.get(f"{browser.address}gradio_api/call/predict/{begun.json()['event_id']}", headers=headers)
    assert "event: complete" in told.text and '"confidences"' in told.text, told.text
    for bad in ("data:image/jpeg;base64,AAAA", "data:image/jpeg;base64,=", "data:text/html,<script>"):
        begun = browser.client.post(
            f"{browser.address}gradio_api/call/predict", json={"data": [{"url": bad, "meta": META}]}
        )
        told = browser.api(f"call/predict/{begun.json()['event_id']}")
        assert "event: error" in told.text and "cannot be used" in told.text


@pytest.mark.parametrize("name", ["app", "demo"])
def test_the_studio_takes_a_picture_as_a_data_url(ways: Ways, name: str) -> None:
    browser = ways.browsers[name].opened()
    answer = browser.call(predict(browser), [{"url": data_url(), "meta": META}, None, None, False])
    assert answer is not None and answer["success"], answer


# --- bodies, sessions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "most"), [("app", 17), ("demo", 4), ("serve", 29), ("space", 29)])
def test_large_bodies_are_refused_before_they_are_read(ways: Ways, name: str, most: int) -> None:
    browser = ways.browsers[name]
    cookies = "; ".join(f"{key}={value}" for key, value in browser.client.cookies.items())
    for path in ("queue/join", "run/predict", "component_server", "cancel"):
        connection = http.client.HTTPConnection("127.0.0.1", httpx.URL(browser.address).port, timeout=60)
        connection.putrequest("POST", f"/gradio_api/{path}")
        for key, value in (("content-length", str(most << 20)), ("cookie", cookies)):
            connection.putheader(key, value)
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


def test_nobody_without_a_key_makes_a_session_or_costs_work(ways: Ways) -> None:
    nobody, before = ways.newcomer(), sessions_of(ways.browsers["demo"])
    number = nobody.number("first_choice")
    for place in range(10):
        body = {"fn_index": number, "data": [], "session_hash": f"nobody{place}", "component_id": 1, "fn_name": "x"}
        for path in ("queue/join", "run/x", "api/x", "call/predict", "component_server", "cancel", "reset"):
            refused = nobody.client.post(f"{nobody.address}gradio_api/{path}", json=body)
            assert refused.status_code == 403 and "cookie" in refused.json()["detail"], path
    for path in ("queue/data?session_hash=x", "heartbeat/x", "call/predict/x", "upload_progress?upload_id=x"):
        assert nobody.api(path).status_code == 403
    assert sessions_of(nobody) == before


def test_a_visitor_with_many_pages_forgets_their_own_and_nobody_elses(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.tabs.door.visitors.MOST_PAGES", 4)
    first, busy = ways.newcomer().opened(), ways.newcomer().opened()
    for place in range(9):
        body = {"fn_index": busy.number("first_choice"), "data": [], "session_hash": f"busy{place}"}
        assert busy.client.post(f"{busy.address}gradio_api/queue/join", json=body).status_code == 200
    kept = sessions_of(busy)
    assert first.session in kept and "busy8" in kept and "busy0" not in kept
    assert sum(name.startswith("busy") for name in kept) <= 4


def test_one_address_does_not_take_all_places(ways: Ways) -> None:
    crowd = [ways.newcomer() for _ in range(SMALL.visitors + 1)]
    said = []
    for one in crowd:
        one.get("")
        one.client.headers["x-forwarded-for"] = f"203.0.113.{len(said)}"  # nobody named this proxy
        answer = one.call(one.number("first_choice"), [])
        said.append(str(answer and answer["output"].get("error")))
    assert "from one address" in said[-1]
    assert len(list((ways.visitors.root / "visitors").iterdir())) == SMALL.of_one_address < SMALL.visitors


def test_the_page_of_another_is_out_of_reach_however_it_is_named(ways: Ways) -> None:
    victim, stranger = ways.newcomer().opened(), ways.newcomer().opened()
    his, mine = victim.session, stranger.session
    for path in (
        *(f"queue/data?session_hash={mine}&session_hash={his}", f"queue/data?session_hash={his}&session_hash={mine}"),
        *(f"heartbeat/{mine}?session_hash={his}", f"heartbeat/{his}?session_hash={mine}", f"call/predict/{his}"),
        *(f"call/v2/predict/{his}", f"heartbeat/{his}/", f"queue/data/?session_hash={his}"),
    ):
        assert stranger.api(path).status_code == 403, path
    number = stranger.number("first_choice")
    for body in (
        f'{{"fn_index": {number}, "data": [], "session_hash": "{his}"}}',
        f'{{"fn_index": {number}, "data": [], "session_hash": "{mine}", "session_hash": "{his}"}}',
        f'{{"fn_index": {number}, "data": [], "session_hash": "\\u00{ord(his[0]):02x}{his[1:]}"}}',
    ):
        for path in ("queue/join", "run/x", "cancel", f"queue/join?session_hash={mine}"):
            refused = stranger.client.post(f"{stranger.address}gradio_api/{path}", content=body)
            assert refused.status_code in (400, 403), (path, body)
    assert victim.call(number, []) is not None


# --- uploads ---------------------------------------------------------------------------------------------------------


def test_an_upload_is_its_visitors_alone(ways: Ways) -> None:
    victim, stranger = ways.newcomer().opened(), ways.newcomer().opened()
    (path,) = victim.upload("my cat.jpg", a_picture()).json()
    assert victim.api(f"file={path}").content == a_picture()
    nobody = ways.newcomer()
    own = ways.visitors.sent(home(ways, stranger).name)
    for named in (path, path.replace("/cache/", "/./cache/"), f"{own}/../{Path(path).relative_to(own.parent)}"):
        for who in (stranger, nobody):
            assert who.api(f"file={named}").status_code == 403
            assert who.api(f"file/{named}").status_code == 403
        file = {"path": named, "meta": META, "orig_name": "x.jpg"}
        for value in (file, [file]):
            body = {"fn_index": predict(stranger), "data": [value, None, None, False], "session_hash": stranger.session}
            refused = stranger.client.post(f"{stranger.address}gradio_api/queue/join", json=body)
            assert refused.status_code == 403
        sent = stranger.call(stranger.of("collect-folder", "sent"), [], {"files": [[named, "a/1.jpg"]]})
        assert sent is not None and "None of these files can be used" in sent["output"]["error"]
    answer = victim.call(predict(victim), [{"path": path, "meta": META}, None, None, False])
    assert answer is not None and answer["success"]
    link = own / "link.jpg"
    link.symlink_to(path)
    assert stranger.api(f"file={link}").status_code == 403
    link.unlink()


def test_uploads_count_and_go_with_their_visitor(ways: Ways) -> None:
    hoarder = ways.newcomer().opened()
    answers = [hoarder.upload("0.bin", b"0" * 1_000_000)]
    while answers[-1].status_code == 200 and len(answers) < SMALL.megabytes:
        answers.append(hoarder.upload(f"{len(answers)}.bin", bytes([len(answers)]) * 1_000_000))
    assert len(answers) > 1 and answers[-1].status_code == 507 and "24 MB" in answers[-1].text
    assert ways.newcomer().opened().upload("a.bin", b"a" * 900_000).status_code == 200, "others have their own room"
    (kept,) = answers[0].json()
    assert Path(kept).is_file()
    assert hoarder.do("demo-sure")["success"]
    assert not Path(kept).exists() and not Path(kept).parents[2].exists()
    assert hoarder.upload("again.bin", b"a" * 900_000).status_code == 200


def test_what_was_cut_off_or_is_no_upload_leaves_nothing(ways: Ways) -> None:
    visitor = ways.newcomer().opened()
    before = sorted(ways.visitors.cache.rglob("*"))
    for content, kind in ((b"--x\r\nbroken", "multipart/form-data; boundary=x"), (b"{}", "application/json")):
        sent = visitor.client.post(
            f"{visitor.address}gradio_api/upload", content=content, headers={"content-type": kind}
        )
        assert sent.status_code in (200, 400) and sent.json() in ([], {**dict(sent.json() or {})})
    assert sorted(ways.visitors.cache.rglob("*")) == before


# --- other sites, other names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["app", "demo", "serve"])
def test_a_page_of_another_site_can_neither_upload_nor_change(ways: Ways, name: str) -> None:
    browser = ways.browsers[name]
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        files = {"files": ("a.jpg", a_picture())}
        assert (
            browser.client.post(f"{browser.address}gradio_api/upload", files=files, headers=headers).status_code == 403
        )
        body = {"fn_index": predict(browser), "data": [None], "session_hash": "x"}
        for path in ("queue/join", "run/predict", "call/predict", "component_server", "cancel"):
            sent = browser.client.post(f"{browser.address}gradio_api/{path}", json=body, headers=headers)
            assert sent.status_code == 403, path
    own = {"origin": browser.address.rstrip("/"), "sec-fetch-site": "same-origin"}
    answer = browser.client.post(f"{browser.address}gradio_api/upload", files=files, headers=own)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", ["app", "serve"])
def test_another_name_leads_nowhere_and_says_what_to_do(ways: Ways, name: str) -> None:
    browser = ways.browsers[name]
    for path in ("", "config", "gradio_api/info"):
        answer = browser.client.get(browser.address + path, headers={"host": "rebound.example", "accept": "text/html"})
        assert answer.status_code == 400 and "Invalid host header" in answer.text and "--auth" in answer.text
    space = ways.browsers["space"]
    assert space.client.get(space.address, headers={"host": "me-fruit.hf.space"}).status_code == 200


# --- odd calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["demo", "space"])
def test_wrong_types_are_one_sentence_and_one_line(ways: Ways, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    browser = ways.newcomer(name).opened() if name == "demo" else ways.browsers[name]
    odd: list[Any] = [{"path": 7}, {"meta": "x", "path": "a"}, ["a", None], "\x00", 1e308, {"value": {}}, True]
    shown: list[str] = []
    for place, (number, fn) in enumerate(browser.demo.fns.items()):
        if fn.fn is None or (name == "demo" and place % 8):
            continue
        for value in odd[place % 3 :: 3]:
            body = {"fn_index": number, "data": [value] * len(fn.inputs), "event_data": value, "session_hash": "s" * 9}
            answer = browser.client.post(
                f"{browser.address}gradio_api/run/x", json=body | {"session_hash": browser.session}
            )
            shown.append(answer.text if answer.status_code >= 400 else "")
    for body in ({"fn_index": 10_000}, {"fn_index": "a"}, {"fn_index": None}, {}, {"trigger_id": "x"}):
        sent = {"data": [], "session_hash": browser.session, **body}
        shown.append(browser.client.post(f"{browser.address}gradio_api/run/nothing", json=sent).text)
    sent = {"data": 1, "component_id": "x", "fn_name": "__class__", "session_hash": browser.session}
    shown.append(browser.client.post(f"{browser.address}gradio_api/component_server", json=sent).text)
    assert [text for text in shown if INSIDE.search(text)] == []
    assert sum(map(bool, shown)) > 4
    assert "Traceback" not in capfd.readouterr().err
    assert "Traceback" not in ways.log.read_text(encoding="utf-8")


def test_workspaces_made_at_once_are_no_more_than_allowed(tmp_path: Path) -> None:
    template = Workspace.create(tmp_path / "template" / "starter")
    visitors = Visitors(tmp_path, Limits(workspaces=3), template)
    who, barrier = visitors.who(visitors.new_key()), threading.Barrier(16)
    scope = {SCOPE: who, "client": ("203.0.113.1", 1)}
    LocalContext.request.set(SimpleNamespace(request=SimpleNamespace(scope=scope), session_hash="s"))  # type: ignore[arg-type]
    mine = Workspaces(visitors)
    mine.names()

    def create(number: int) -> bool:
        barrier.wait()
        try:
            mine.create(f"w{number}")
        except LimitReached:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        made = [pool.submit(contextvars.copy_context().run, create, number) for number in range(16)]
        assert sum(one.result() for one in made) == 2
    LocalContext.request.set(None)
    assert json.dumps(sorted(path.name for path in visitors.home(str(who)).iterdir())).count('"w') == 2
