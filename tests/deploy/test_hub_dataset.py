"""Sending a data set, against a stand-in of the hub that speaks its protocol over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants

import cli
from pipeline.collect.data_card import CARD
from pipeline.collect.listings import CHANGES
from pipeline.dataset.export import DatasetConfig, export_dataset
from pipeline.deploy.hub_dataset import SendConfig, SentDataset, licences_in_words, read_dataset, send_dataset
from pipeline.errors import DeployError
from pipeline.stage import run
from pipeline.workspace.records import NewImage
from pipeline.workspace.workspace import Workspace
from tests.dataset.test_export import picture
from tests.support.hub_stand_in import TOKEN, HubStandIn, closed_port


@pytest.fixture
def project(workspace: Workspace) -> Workspace:
    for number in range(6):
        image_id, file = workspace.keep(picture(number), "png")
        licence = "CC0" if number else None
        new = NewImage(image_id, file, 1, ("cat", "dog")[number % 2], "file", f"token.{number}.png", licence=licence)
        workspace.store.add_images([new])
    return workspace


@pytest.fixture
def folder(project: Workspace, tmp_path: Path) -> Path:
    run(export_dataset(project, DatasetConfig(str(tmp_path / "set"), "metadata")))
    return tmp_path / "set"


@pytest.fixture
def publish(hub: HubStandIn, folder: Path) -> Callable[..., SentDataset]:
    def publish(
        repo_id: str = "ann/pets", public: bool = False, accept: bool = False, token: str | None = TOKEN
    ) -> SentDataset:
        config = SendConfig(str(folder), repo_id, public, accept)
        return run(send_dataset(config, token, hub=partial(HfApi, endpoint=hub.url)))

    return publish


def contents(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name not in (CHANGES, CARD)}


def test_it_is_private_and_every_file_arrives(
    hub: HubStandIn, folder: Path, publish: Callable[..., SentDataset]
) -> None:
    sent = publish()
    files = contents(folder)
    assert sent == SentDataset(f"{hub.url}/datasets/ann/pets", False, len(files), {"CC0": 5, "not stated": 1})
    repo = hub.datasets["ann/pets"]
    assert repo.private and repo.files == files and len(repo.commits) == 1
    assert b"configs:" in repo.files["README.md"] and not hub.spaces


def test_public_only_after_the_licences_were_looked_at(hub: HubStandIn, publish: Callable[..., SentDataset]) -> None:
    with pytest.raises(DeployError, match=r"CC0 \(5\), not stated \(1\)\. Nobody checked.*--accept-licences"):
        publish(public=True)
    assert hub.requests == []
    assert publish(public=True, accept=True).public and not hub.datasets["ann/pets"].private


def test_one_that_is_public_already_gets_nothing_in_private(
    hub: HubStandIn, publish: Callable[..., SentDataset]
) -> None:
    publish(public=True, accept=True)
    with pytest.raises(DeployError, match="exists already and is public, so nothing was sent"):
        publish()
    assert len(hub.datasets["ann/pets"].commits) == 1


def test_an_update_replaces_what_an_earlier_version_had(
    hub: HubStandIn, folder: Path, publish: Callable[..., SentDataset]
) -> None:
    publish()
    hub.datasets["ann/pets"].files["own/notes.md"] = b"mine"
    next((folder / "images").glob("*.png")).unlink()
    (folder / "images" / "new.png").write_bytes(picture(50))
    publish()
    assert hub.datasets["ann/pets"].files == {**contents(folder), "own/notes.md": b"mine"}


def test_very_many_files_come_in_several_commits_and_nothing_twice(
    hub: HubStandIn, folder: Path, publish: Callable[..., SentDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.deploy.hub_dataset.MOST_IN_A_COMMIT", 4)
    hub.fail("POST", "/commit/", 500)
    with pytest.raises(DeployError, match=r"fault of its own.*Send it again later"):
        publish()
    hub.recover()
    hub.requests.clear()
    publish()
    assert hub.datasets["ann/pets"].files == contents(folder) and len(hub.datasets["ann/pets"].commits) == 3
    assert not [request for request in hub.requests if request.method == "PUT"], "it had arrived already"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/repos/create", 402, "no room for more private data"),
        ("/api/repos/create", 403, "may not write to ann/pets"),
        ("/preupload/", 404, "knows no ann/pets"),
        ("/commit/", 413, "too large. Export it as parquet"),
        ("/api/repos/create", 429, "asks for a pause.*send it again"),
        ("/commit/", 0, r"connection broke.*send it again.*the data set changes only when"),
    ],
)
def test_every_refusal_is_put_into_words(
    hub: HubStandIn, publish: Callable[..., SentDataset], path: str, status: int, words: str
) -> None:
    hub.fail("POST", path, status, f"because I say so, {TOKEN}")
    with pytest.raises(DeployError, match=words) as caught:
        publish()
    assert TOKEN not in str(caught.value) and "Space" not in str(caught.value)


def test_a_wrong_token_name_or_network_is_said(
    hub: HubStandIn, folder: Path, publish: Callable[..., SentDataset]
) -> None:
    with pytest.raises(DeployError, match="does not know this token"):
        publish(token="hf_wrongwrongwrong")
    with pytest.raises(DeployError, match="needs a Hugging Face token"):
        publish(token=None)
    with pytest.raises(DeployError, match="cannot be the name of a data set"):
        publish("pets")
    with pytest.raises(DeployError, match="may not write to bob/pets"):
        publish("bob/pets")
    with closed_port() as url, pytest.raises(DeployError, match="cannot be reached"):
        run(send_dataset(SendConfig(str(folder), "ann/pets"), TOKEN, hub=partial(HfApi, endpoint=url)))
    assert hub.datasets == {}


def test_a_folder_that_is_no_data_set_or_holds_a_secret_is_refused(
    hub: HubStandIn, folder: Path, tmp_path: Path, publish: Callable[..., SentDataset]
) -> None:
    for place, readme in (("nowhere", None), ("plain", "# Hello"), ("space", "---\nsdk: static\n---\n")):
        if readme:
            (tmp_path / place).mkdir()
            (tmp_path / place / "README.md").write_text(readme, encoding="utf-8")
        with pytest.raises(DeployError, match="is not a data set's folder"):
            read_dataset(tmp_path / place)
    (folder / "images" / "notes.txt").write_text(f"my token is {TOKEN}", encoding="utf-8")
    with pytest.raises(DeployError, match=r"notes\.txt in the data set folder looks like it holds"):
        publish()
    (folder / "images" / "notes.txt").unlink()
    (folder / "images" / "door.png").symlink_to("/etc/hostname")
    with pytest.raises(DeployError, match=r"door\.png in the data set folder is a link"):
        publish()
    assert hub.requests == []


def test_nothing_known_of_licences_is_said_too() -> None:
    assert licences_in_words({}) == "Nothing is known of the licences of these pictures."
    assert "and 2 more" in licences_in_words({str(number): 1 for number in range(10)})


def test_the_command_sends_it(
    hub: HubStandIn, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    assert cli.main(["send-dataset", str(folder), "ann/pets", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["url"] == f"{hub.url}/datasets/ann/pets" and told["public"] is False
    assert cli.main(["send-dataset", str(folder), "ann/others", "--public"]) == 1
    assert "--accept-licences" in capsys.readouterr().err and "ann/others" not in hub.datasets
    monkeypatch.setattr("cli.can_ask", lambda as_json: True)
    monkeypatch.setattr(
        "pipeline.terminal.sending.confirmed", lambda what: "CC0 (5)" in what and "everybody" not in what
    )
    assert cli.main(["send-dataset", str(folder), "ann/others", "--public"]) == 130
    assert cli.main(["send-dataset", str(folder), "ann/others"]) == 0
    assert set(hub.datasets) == {"ann/pets", "ann/others"}
