from __future__ import annotations

import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi

from pipeline import jobs
from pipeline.deploy import DeployConfig
from pipeline.errors import DeployError, RunError, UsageError
from pipeline.runs import load_run
from pipeline.stage import Progress
from pipeline.tabs.deploy import _token, contents, export_job, send, space_folder, zipped
from pipeline.workspace import Workspace
from tests.fixtures_run import tiny_run, trained
from tests.hub_stand_in import TOKEN, HubStandIn

__all__ = ["tiny_run", "trained"]


@pytest.fixture
def space(tmp_path: Path) -> Path:
    folder = tmp_path / "a-space"
    folder.mkdir()
    (folder / "README.md").write_text("---\nsdk: gradio\napp_file: app.py\n---\n# Bears\n")
    (folder / "app.py").write_text("import gradio\n")
    return folder


def shared(local: bool) -> Any:
    return SimpleNamespace(local=local)


@pytest.mark.slow
def test_a_run_becomes_a_checked_space_folder(trained: Workspace, tmp_path: Path) -> None:
    run = load_run(trained)
    assert contents(trained, run) == ""
    job = export_job(trained, None, 0)
    with pytest.raises(UsageError, match="being made already"):
        export_job(trained, None, 0)
    job = jobs.wait_for(trained, job.id, 300)
    assert job.status == "done", job.note
    html = contents(trained, run)
    assert "model.safetensors" in html and "app.py" in html
    assert "the same probabilities on" in html
    archive = zipped(space_folder(trained, run), tmp_path / "cache")
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
    assert f"{run.id}-space/app.py" in names and all(name.startswith(f"{run.id}-space/") for name in names)


def test_without_a_run_the_person_is_sent_to_train(workspace: Workspace) -> None:
    with pytest.raises(RunError, match="Train a model first"):
        export_job(workspace, None, 4)


def test_the_zip_is_made_again_only_when_the_folder_changed(space: Path, tmp_path: Path) -> None:
    first = zipped(space, tmp_path / "cache")
    made = first.stat().st_mtime_ns
    assert zipped(space, tmp_path / "cache").stat().st_mtime_ns == made
    (space / "app.py").write_text("import gradio as gr\n")
    later = made / 1e9 + 5
    os.utime(space / "app.py", (later, later))
    with zipfile.ZipFile(zipped(space, tmp_path / "cache")) as content:
        assert content.read("a-space/app.py") == b"import gradio as gr\n"


def test_a_space_is_sent_and_its_address_shown(space: Path, hub: HubStandIn) -> None:
    steps: list[Progress] = []
    html = send(DeployConfig(str(space), "ann/bears", wait=0), TOKEN, steps.append, lambda: HfApi(endpoint=hub.url))
    assert "ann/bears" in html and 'rel="noopener noreferrer"' in html
    assert hub.spaces["ann/bears"].files["app.py"] == b"import gradio\n"
    assert steps[-1].done == steps[-1].total


def test_nothing_is_sent_before_the_folder_was_made(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="Make the Space folder first"):
        send(DeployConfig(str(tmp_path / "none"), "ann/bears"), "hf_x", lambda step: None)


def test_the_machines_own_token_is_for_people_of_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_host")
    assert _token(shared(local=True), "") == "hf_of_the_host"
    assert _token(shared(local=False), "") is None
    assert _token(shared(local=False), " hf_typed ") == "hf_typed"
