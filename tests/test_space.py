"""The exported Space, as a stranger meets it: started by ``python app.py``, asked over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from pipeline.export import ExportConfig, export
from pipeline.predict import Classifier
from pipeline.runs import Run
from pipeline.stage import run
from pipeline.workspace import Workspace
from tests.fixtures_run import tiny_run  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow
START_SECONDS = 120


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
def space(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:  # noqa: F811
    folder = tmp_path_factory.mktemp("space") / "space"
    workspace = Workspace.open(tiny_run.folder.parents[1])
    run(export(workspace, ExportConfig(tiny_run.id, str(folder), space=True)))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    log = (folder.parent / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-B", "app.py"],
        cwd=folder,
        env={**environment, "GRADIO_SERVER_PORT": str(port)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, folder.parent / "log")
        yield Running(url, folder, Client(url, verbose=False))
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(START_SECONDS * 4):
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(url, timeout=1, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.25)
    pytest.fail(f"The Space did not start: {log.read_text()}")


def test_it_gives_the_probabilities_of_the_model_that_was_trained(space: Running, tiny_run: Run) -> None:  # noqa: F811
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
    expected = Classifier.load(space.folder).predict([sideways])[0]
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
    assert "error" in asked_for(space, {"path": "http://127.0.0.1:1/x.jpg"})
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
