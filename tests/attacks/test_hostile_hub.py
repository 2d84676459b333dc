"""A hub that answers anything at all: a Space is published whole, or one sentence says that it was not."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.utils import _http, close_session

from pipeline.deploy.hub import DeployConfig, deploy
from pipeline.errors import BackboneError, DeployError
from pipeline.model.backbones import check_known, create
from pipeline.stage import run
from tests.support.hub_stand_in import TOKEN, HubStandIn, Said

JSON = (("Content-Type", "application/json"),)
HTML = Said(b"<!doctype html><title>Sign in to this network</title>", headers=(("Content-Type", "text/html"),))
DEEP = b"[" * 50_000 + b"]" * 50_000
ECHO = f"\x1b[31mno\0\n\n{TOKEN}\nTraceback".encode()
OID = "0" * 40


def told(value: object, status: int = 200, after_all: bool = False) -> Said:
    return Said(json.dumps(value).encode(), status, JSON, after_all=after_all)


def to(address: str, status: int = 302) -> Said:
    return Said(b"", status, (("Location", address),))


def lfs(**entry: object) -> Said:
    return told({"transfer": "basic", "objects": [entry]})


CREATE, PREUPLOAD, BATCH, BLOB, VERIFY, COMMIT, RUNTIME = (
    ("POST", "/repos/create"),
    ("POST", "/preupload/"),
    ("POST", "/objects/batch"),
    ("PUT", "/blobs/"),
    ("POST", "/verify$"),
    ("POST", "/commit/"),
    ("GET", "/runtime"),
)
CASES = (
    (CREATE, HTML),
    (CREATE, told([])),
    (CREATE, told({"url": 7})),
    (CREATE, told({"url": "https://evil.example/spaces/x/y/z/../.."}, after_all=True)),
    (CREATE, Said(DEEP, headers=JSON)),
    (CREATE, Said(b"{", length=5_000)),
    (CREATE, to("http://127.0.0.1:1/")),
    (CREATE, to("/api/repos/create", 307)),
    (CREATE, Said(ECHO, 401)),
    (CREATE, told({"error": "x" * 1_000_000}, 403)),
    (CREATE, Said(b"", 200, (("Content-Encoding", "gzip"),), length=0)),
    (PREUPLOAD, HTML),
    (PREUPLOAD, told({})),
    (PREUPLOAD, told({"files": None})),
    (PREUPLOAD, told({"files": [{"path": "../../etc/passwd", "uploadMode": "lfs", "shouldIgnore": False}]})),
    (PREUPLOAD, told({"files": [{"path": "app.py", "uploadMode": "other", "shouldIgnore": False}]})),
    (PREUPLOAD, Said(b"not gzip", headers=(("Content-Encoding", "gzip"),))),
    (PREUPLOAD, Said(ECHO, 429, (("Retry-After", "-1e9"),))),
    (BATCH, told({"objects": 1})),
    (BATCH, told({"objects": [None]})),
    (BATCH, lfs(oid="0" * 64, size=1, actions={"upload": {"href": "http://127.0.0.1:1/x"}})),
    (BATCH, lfs(oid="0" * 64, size=-1, error={"code": 507, "message": TOKEN + "\n" * 50})),
    (BATCH, lfs(oid=7, size="large")),
    (BATCH, HTML),
    (BATCH, Said(ECHO, 403)),
    (BLOB, told({"error": TOKEN}, 403)),
    (BLOB, Said(b"", 200, length=900)),
    (BLOB, Said(ECHO, 503)),
    (VERIFY, told({"error": "size mismatch"}, 422)),
    (VERIFY, Said(b"", 404, (("X-Error-Message", TOKEN), ("X-Error-Code", "RepoNotFound")))),
    (COMMIT, HTML),
    (COMMIT, told({})),
    (COMMIT, told({"commitUrl": "https://evil.example/", "commitOid": 7})),
    (COMMIT, told({"commitUrl": None, "commitOid": None}, after_all=True)),
    (COMMIT, told({"commitUrl": "https://evil.example/a/b/commit/" + OID, "commitOid": OID}, after_all=True)),
    (COMMIT, Said(b'{"commitUrl": "', length=5_000, after_all=True)),
    (COMMIT, Said(b"\xff" * 3_000_000, 500)),
    (COMMIT, Said(ECHO, 409)),
    (COMMIT, to("http://127.0.0.1:1/")),
    (RUNTIME, told({"stage": ["RUNNING"]})),
    (RUNTIME, HTML),
    (RUNTIME, Said(ECHO, 401)),
)
WEIGHTS = (
    HTML,
    Said(ECHO, 401),
    Said(b"", 503),
    to("http://127.0.0.1:1/"),
    Said(b"garbage", 200, (("ETag", '"abc"'), ("X-Repo-Commit", OID))),
    Said(b"cut", 200, (("ETag", '"abc"'), ("X-Repo-Commit", OID)), length=5_000),
    Said(b"x", 200, (("ETag", '"../../x"'), ("X-Repo-Commit", "../../../x"), ("X-Linked-Size", "-5"))),
)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's client waits for nothing before it asks again."""
    clock = SimpleNamespace(**{**vars(_http.time), "sleep": lambda seconds: None})
    monkeypatch.setattr(_http, "time", clock)


@pytest.fixture
def space(tmp_path: Path) -> Path:
    folder = tmp_path / "bears"
    folder.mkdir()
    (folder / "README.md").write_text("---\nsdk: static\n---\n")
    (folder / "index.html").write_text("<p>bears")
    (folder / "model.onnx").write_bytes(bytes(range(256)) * 9)
    return folder


def one_sentence(said: str) -> None:
    assert said and len(said) < 900 and TOKEN not in said
    assert said.isprintable(), said


@pytest.mark.parametrize(
    ("step", "answer"), CASES, ids=[f"{number}{step[1]}" for number, (step, _) in enumerate(CASES)]
)
def test_a_space_is_published_whole_or_one_sentence_says_why_not(
    step: tuple[str, str], answer: Said, hub: HubStandIn, space: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)  # below, the client's transport writes down what it is sent, word for word
    hub.say(*step, answer)
    stage = deploy(
        DeployConfig(str(space), "ann/bears", wait=20), TOKEN, partial(HfApi, endpoint=hub.url), lambda seconds: None
    )
    try:
        published = run(stage)
    except DeployError as refused:
        one_sentence(str(refused))
        whole = hub.spaces.get("ann/bears") is not None and bool(hub.spaces["ann/bears"].commits)
        assert not (whole and "left as it was" in str(refused))
    else:
        assert published.url == f"{hub.url}/spaces/ann/bears"
        assert hub.spaces["ann/bears"].files == {file.name: file.read_bytes() for file in space.iterdir()}
    assert TOKEN not in caplog.text


def test_a_hub_that_is_never_done_with_another_operation_is_given_up(
    hub: HubStandIn, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's client asks again for ever then."""
    monkeypatch.setattr("pipeline.deploy.publishing.CREATE_SECONDS", 1.0)
    busy = {"error": "Cannot create repo: another conflicting operation is in progress"}
    hub.say(*CREATE, told(busy, 409))
    notes: list[str] = []
    stage = deploy(DeployConfig(str(space), "ann/bears"), TOKEN, partial(HfApi, endpoint=hub.url), lambda seconds: None)
    with pytest.raises(DeployError, match="did not say within 1 seconds whether it made ann/bears") as refused:
        run(stage, lambda progress: notes.append(progress.note))
    one_sentence(str(refused.value))
    assert "Making the Space" in notes and "ann/bears" not in hub.spaces


@pytest.mark.parametrize("answer", WEIGHTS, ids=[str(number) for number, _ in enumerate(WEIGHTS)])
def test_weights_are_those_of_the_network_or_one_sentence_says_why_not(
    answer: Said, hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_known("resnet10t")
    cache = tmp_path / "a" / "cache"
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    for method in ("HEAD", "GET"):
        hub.say(method, "/", answer)
    close_session()
    with pytest.raises(BackboneError) as refused:
        create("resnet10t", 3)
    one_sentence(str(refused.value))
    assert {path.name for path in tmp_path.iterdir()} <= {"a"}
    assert {path.name for path in (tmp_path / "a").glob("*")} <= {"cache"}
