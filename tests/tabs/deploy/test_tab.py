from __future__ import annotations

import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi

from pipeline.deploy.hub import DeployConfig
from pipeline.deploy.space import COPIED, read_space, space_folder
from pipeline.deploy.trial import last_trial
from pipeline.errors import DeployError, RunError, UsageError
from pipeline.jobs import job as jobs
from pipeline.stage import Progress
from pipeline.tabs.deploy.tab import (
    KINDS_OF_SPACE,
    about,
    by_hand,
    contents,
    export_job,
    proof,
    send,
    space_zip,
    token_for,
    trial_job,
)
from pipeline.workspace.runs import load_run
from pipeline.workspace.workspace import Workspace
from tests.support.hub_stand_in import TOKEN, HubStandIn
from tests.support.trials import as_tested


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
    folder = space_folder(trained, load_run(trained))
    assert not folder.exists() and contents(trained, None) == ""
    with pytest.raises(DeployError, match="Make the Space folder first"):
        trial_job(trained, None, "gradio")
    job = export_job(trained, None, "gradio", 0)
    with pytest.raises(UsageError, match="being made already"):
        export_job(trained, None, "gradio", 0)
    job = jobs.wait_for(trained, job.id, 300)
    assert job.status == "done", job.note
    html = contents(trained, read_space(folder))
    assert "model.safetensors" in html and "app.py" in html
    assert "the same probabilities on" in html
    archive = space_zip(read_space(folder), tmp_path / "cache")
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
    assert f"{folder.name}/app.py" in names and all(name.startswith(f"{folder.name}/") for name in names)


def test_without_a_run_the_person_is_sent_to_train(workspace: Workspace) -> None:
    with pytest.raises(RunError, match="Train a model first"):
        export_job(workspace, None, "gradio", 4)


def test_the_zip_is_made_again_only_when_the_folder_changed(space: Path, tmp_path: Path) -> None:
    first = space_zip(read_space(space), tmp_path / "cache")
    made = first.stat().st_mtime_ns
    assert space_zip(read_space(space), tmp_path / "cache").stat().st_mtime_ns == made
    (space / "app.py").write_text("import gradio as gr\n")
    later = made / 1e9 + 5
    os.utime(space / "app.py", (later, later))
    with zipfile.ZipFile(space_zip(read_space(space), tmp_path / "cache")) as content:
        assert content.read("a-space/app.py") == b"import gradio as gr\n"


def test_a_space_is_sent_and_its_address_shown(space: Path, hub: HubStandIn, workspace: Workspace) -> None:
    steps: list[Progress] = []
    as_tested(workspace, space)
    config = DeployConfig(str(space), "ann/bears", wait=0)
    html = send(workspace, config, TOKEN, steps.append, lambda: HfApi(endpoint=hub.url))
    assert "ann/bears" in html and 'rel="noopener noreferrer"' in html
    assert hub.spaces["ann/bears"].files["app.py"] == b"import gradio\n"
    assert steps[-1].done == steps[-1].total


def test_nothing_is_sent_that_was_not_tested_as_it_is(space: Path, hub: HubStandIn, workspace: Workspace) -> None:
    def sent() -> str:
        config = DeployConfig(str(space), "ann/bears", wait=0)
        return send(workspace, config, TOKEN, lambda step: None, lambda: HfApi(endpoint=hub.url))

    with pytest.raises(DeployError, match="Test the Space first"):
        sent()
    as_tested(workspace, space, url="https://ann-bears.example")
    with pytest.raises(DeployError, match="Test the Space first"):
        sent()
    as_tested(workspace, space)
    assert last_trial(workspace, read_space(space)) is not None and "It is there" in sent()
    (space / "app.py").write_text("import gradio as gr\n")
    with pytest.raises(DeployError, match="Test the Space first"):
        sent()
    assert last_trial(workspace, read_space(space)) is None and len(hub.spaces["ann/bears"].commits) == 1


def test_how_a_test_ended_is_said_in_words(space: Path, workspace: Workspace) -> None:
    assert "Before it goes online, test it" in proof(None)
    as_tested(workspace, space)
    html = proof(last_trial(workspace, read_space(space)))
    assert "7 golden pictures" in html and "4.2 s after its start" in html and "233 MiB" in html


def test_each_kind_says_what_it_costs_and_how_it_goes_online_by_hand(space: Path) -> None:
    assert "402" in about("gradio") and "never leaves" in about("static") and "two" in about("zerogpu")
    assert {name for _, name, _ in KINDS_OF_SPACE} == set(COPIED) == {"gradio", "static", "zerogpu"}
    assert about("?") == "<p></p>"
    html = by_hand(space, "gradio", "ann/<b>")
    assert "spaces/ann/&lt;b&gt;" in html and "docker build" in html and "<b>" not in html
    assert "http.server" in by_hand(space, "static", "") and "docker" not in by_hand(space, "static", "")


def test_the_machines_own_token_is_for_people_of_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_host")
    assert token_for(shared(local=True), "") == "hf_of_the_host"
    assert token_for(shared(local=False), "") is None
    assert token_for(shared(local=False), " hf_typed ") == "hf_typed"
