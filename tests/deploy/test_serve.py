"""The prediction app alone: ``cli.py serve``, asked over HTTP; and what it says where it cannot serve."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

import cli
from pipeline import predict
from pipeline.deploy.serve import TEMPLATE, ServeConfig, serve, space_app
from pipeline.errors import ExportError, PipelineError, UsageError
from pipeline.predict import Classifier
from pipeline.workspace.runs import Run
from tests.support.apps import free_port
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "serve.md"


class Recorded:
    """Serves nothing, and remembers what it was told."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble, self.told = trouble, list[Any]()

    def __call__(self, folder: Path, **settings: Any) -> None:
        self.told.append((folder, settings))
        if self.trouble:
            raise self.trouble


def test_it_is_the_very_app_and_the_very_prediction_of_a_space() -> None:
    app = space_app()
    assert Path(app.__code__.co_filename) == TEMPLATE  # type: ignore[attr-defined]
    assert app.__globals__["load"] is predict.load  # type: ignore[attr-defined]


def test_an_unfamiliar_picture_is_called_so_and_not_by_a_class() -> None:
    shown = space_app().__globals__["shown"]  # type: ignore[attr-defined]
    for unfamiliar, label in ((True, "Unfamiliar"), (False, "apple")):
        seen = shown(predict.Prediction("apple", 0.99, {"pear": 0.01, "apple": 0.99}, unfamiliar))
        assert seen.label == label and [bar.label for bar in seen.confidences] == ["apple", "pear"]


def test_address_and_password_are_handed_on(tmp_path: Path) -> None:
    app = Recorded()
    assert serve(ServeConfig(str(tmp_path), "0.0.0.0", 8000, "ann:se:cret"), app) == {"model": str(tmp_path)}
    settings = {"server_name": "0.0.0.0", "server_port": 8000, "auth": ("ann", "se:cret"), "mcp_server": False}
    assert app.told == [(tmp_path, settings)]


@pytest.mark.parametrize("auth", ["ann", "ann:", ":secret"])
def test_a_password_has_two_parts(auth: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="USER:PASSWORD"):
        serve(ServeConfig(str(tmp_path), auth=auth), Recorded())


def test_what_cannot_be_served_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no model in"):
        serve(ServeConfig(str(tmp_path / "nowhere")), Recorded())
    with pytest.raises(ExportError, match="cannot be used: it has no model"):
        serve(ServeConfig(str(tmp_path)), Recorded(ValueError("it has no model.json.")))
    with pytest.raises(PipelineError, match=r"port 7860: .*Choose another with --port"):
        serve(ServeConfig(str(tmp_path)), Recorded(OSError("no free port")))


def test_without_the_package_for_tools_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PipelineError, match=r"pip install 'gradio\[mcp\]'"):
        serve(ServeConfig(str(tmp_path), mcp=True), Recorded())


def test_a_folder_without_a_model_is_one_line_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", str(tmp_path)]) == 1
    assert "cannot be used" in capsys.readouterr().err


@pytest.mark.slow
def test_the_call_in_the_documentation_gets_the_answer_of_the_model(
    tiny_run: Run,
    starter_folder: Path,
    tmp_path: Path,
) -> None:
    picture = sorted((starter_folder / "apple").iterdir())[-1]
    port = free_port()
    command = [sys.executable, "cli.py", "serve", str(tiny_run.folder), "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=os.environ.copy())
    try:
        _until_it_answers(f"http://127.0.0.1:{port}", process)
        code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[0]
        code = code.replace("7861", str(port)).replace("picture.jpg", str(picture))
        told: dict[str, Any] = {}
        exec(code, told)
        expected = Classifier.load(tiny_run.folder).predict([picture])[0]
        found = {one["label"]: one["confidence"] for one in told["answer"]["confidences"]}
        assert told["answer"]["label"] == expected.label and found == pytest.approx(expected.probabilities, abs=1e-4)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def _until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        try:
            Client(url, verbose=False)
            return
        except Exception:  # noqa: BLE001 - whatever it is, it is not there yet
            time.sleep(0.3)
    pytest.fail("it did not start")
