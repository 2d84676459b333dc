"""The exported Space, as a stranger meets it: started by ``python app.py``, asked over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from pipeline.deploy.export import Exported
from pipeline.predict import load
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace
from tests.support.apps import Server
from tests.support.paths import SHARED
from tests.support.sharing import Sample

pytestmark = pytest.mark.slow
CORPUS = SHARED / "corpus"


@dataclass(frozen=True)
class Running:
    """A Space that answers."""

    url: str
    folder: Path
    client: Client

    def ask(self, picture: Path) -> tuple[dict[str, float], str]:
        answer, warning = self.client.predict(handle_file(picture), api_name="/predict")
        return {one["label"]: one["confidence"] for one in answer["confidences"]}, warning


@pytest.fixture(scope="module")
def space(exported_space: Exported, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = Path(shutil.copytree(exported_space.folder, tmp_path_factory.mktemp("space") / "space"))
    with Server(folder, log=folder.parent / "log") as server:
        yield Running(server.url.rstrip("/"), folder, Client(server.url, verbose=False))


def test_it_gives_the_probabilities_of_the_model_that_was_trained(space: Running, tiny_run: Run) -> None:
    workspace = Workspace.open(tiny_run.folder.parents[1])
    rows = tiny_run.predictions()
    rows = rows[rows["split"] == "test"].merge(workspace.store.images()[["id", "file"]], on="id").head(3)
    for row in rows.to_dict("records"):
        answer, _ = space.ask(workspace.image_file(row["file"]))
        assert answer == pytest.approx({name: row[f"p:{name}"] for name in tiny_run.classes}, abs=1e-4)


def test_an_odd_picture_is_read_by_the_rules_of_the_trainer(space: Running, tmp_path: Path) -> None:
    sideways = tmp_path / "sideways.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(space.folder / "examples" / "02.jpg") as example:
        example.convert("RGBA").save(sideways, exif=exif)
    expected = load(space.folder).predict([sideways])[0]
    answer, warning = space.ask(sideways)
    assert answer == pytest.approx(expected.probabilities, abs=1e-4)
    assert bool(warning) == expected.unfamiliar


def test_a_picture_that_cannot_be_read_says_why_and_no_path(space: Running, tmp_path: Path) -> None:
    whole = (space.folder / "examples" / "01.jpg").read_bytes()
    for name, data, reason in (
        ("half.jpg", whole[: len(whole) // 2], "The file ends before the picture does"),
        ("page.jpg", b"<html>not found</html>", "It is a web page, not a picture"),
        ("empty.png", b"", "The file is empty"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "save it as JPEG or PNG"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(AppError, match=reason) as caught:
            space.ask(tmp_path / name)
        assert "/" not in str(caught.value)
    assert space.ask(space.folder / "examples" / "01.jpg"), "and it goes on"


def test_it_hands_out_no_file_and_reads_none_that_was_not_sent(space: Running) -> None:
    for name in ("/etc/passwd", "model.safetensors", str(space.folder / "app.py")):
        assert httpx.get(f"{space.url}/gradio_api/file={name}", trust_env=False).status_code in (403, 404)
    assert "error" in asked_for(space, {"path": str(space.folder / "config.json")})
    link = {"path": "http://127.0.0.1:1/x.jpg", "meta": {"_type": "gradio.FileData"}}
    refused = httpx.post(f"{space.url}/gradio_api/call/predict", json={"data": [link]}, trust_env=False)
    assert refused.status_code == 400 and "not fetched" in refused.json()["detail"]
    assert "error" in asked_for(space, {"url": "data:image/png;base64,AAAA"})


def asked_for(space: Running, picture: dict[str, Any]) -> str:
    data = {"data": [{**picture, "meta": {"_type": "gradio.FileData"}}]}
    url = f"{space.url}/gradio_api/call/predict"
    event = httpx.post(url, json=data, trust_env=False).json()["event_id"]
    return httpx.get(f"{url}/{event}", trust_env=False, timeout=30).text


def test_too_much_is_refused_and_nothing_is_told_to_anybody(space: Running) -> None:
    big = {"files": ("big.jpg", b"\0" * (21 << 20))}
    assert httpx.post(f"{space.url}/gradio_api/upload", files=big, trust_env=False, timeout=60).status_code == 413
    config = httpx.get(f"{space.url}/config", trust_env=False).json()
    assert config["analytics_enabled"] is False and not config.get("run_history")
    assert list(space.client.view_api(return_format="dict")["named_endpoints"]) == ["/predict"]


# --- many at once, and what is sent to hurt ------------------------------------------------------------------------


def upload(client: httpx.Client, space: Running, name: str, data: bytes) -> httpx.Response:
    return client.post(f"{space.url}/gradio_api/upload", files={"files": (name, data)}, timeout=120)


def answer_to(client: httpx.Client, space: Running, path: str) -> tuple[list[int], str]:
    """The statuses on the way to an answer about an uploaded file, and the last event of the stream."""
    data = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}
    called = client.post(f"{space.url}/gradio_api/call/predict", json=data, timeout=120)
    if called.status_code != 200:
        return [called.status_code], called.text
    told = client.get(f"{space.url}/gradio_api/call/predict/{called.json()['event_id']}", timeout=120)
    return [called.status_code, told.status_code], told.text


def test_fifty_clients_at_once_all_get_the_right_answer(space: Running) -> None:
    examples = [path.read_bytes() for path in sorted((space.folder / "examples").glob("*.jpg"))]
    expected = [prediction.label for prediction in load(space.folder).predict(examples)]

    def visit(number: int) -> tuple[list[int], bool]:
        with httpx.Client(trust_env=False) as client:
            sent = upload(client, space, f"{number}.jpg", examples[number % len(examples)])
            statuses, text = answer_to(client, space, sent.json()[0])
        return [sent.status_code, *statuses], f'"label": "{expected[number % len(expected)]}"' in text

    with ThreadPoolExecutor(50) as pool:
        visits = list(pool.map(visit, range(50)))
    assert {status for statuses, _ in visits for status in statuses} == {200}
    assert all(right for _, right in visits)


def hostile_files() -> list[Path]:
    """Files of the corpus that no decoder likes; none where it is not there."""
    table = CORPUS / "truth_dev.csv"
    if not table.exists():
        return []
    rows = pd.read_csv(table, usecols=["file", "verdict"])
    files = (CORPUS / str(name) for name in rows[rows["verdict"] == "reject"]["file"])
    return [file for file in files if file.is_file()]


def test_what_is_sent_to_hurt_gets_a_sentence_and_the_next_visitor_an_answer(space: Running, sampled: Sample) -> None:
    files = hostile_files()
    if not files:
        pytest.skip("the corpus of hostile files is not here")
    with httpx.Client(trust_env=False) as client:
        for file in sampled.of(files, lambda file: file.name):
            sent = upload(client, space, file.name, file.read_bytes())
            assert sent.status_code < 500, file.name
            if sent.status_code == 200:
                statuses, text = answer_to(client, space, sent.json()[0])
                assert max(statuses) < 500, file.name
                assert "event: error" in text or "event: complete" in text, (file.name, text[:300])
                assert "Traceback" not in text and str(space.folder) not in text, file.name
    assert space.ask(space.folder / "examples" / "01.jpg")


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>.jpg", "Bär 熊.jpg", "a" * 300 + ".jpg", "..\\..\\x.jpg", "x"]
)
def test_odd_file_names_are_only_names(space: Running, name: str) -> None:
    picture = (space.folder / "examples" / "01.jpg").read_bytes()
    with httpx.Client(trust_env=False) as client:
        sent = upload(client, space, name, picture)
        assert sent.status_code < 500
        if sent.status_code == 200:
            statuses, text = answer_to(client, space, sent.json()[0])
            assert statuses == [200, 200] and "event: complete" in text


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"data": []}', b'{"data": [[[[]]]]}', b'{"data": ["x", 1, 2]}', b"\xff" * 999, b"[" * 9999]
)
def test_requests_that_make_no_sense_are_the_clients_fault(space: Running, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    url = f"{space.url}/gradio_api/call/predict"
    answer = httpx.post(url, content=body, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code < 500
    assert space.ask(space.folder / "examples" / "01.jpg")
