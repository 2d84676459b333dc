"""A workspace that an earlier version made opens, resumes, undoes and exports as it did then.

``data/old_workspace.zip`` holds it, ``data/old_workspace.json`` what that version said of it; how both were made is in
``support/make_old_workspace.py``. Rows may have more columns by now, and results more fields: what was told is still
told.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cli
from cleaner.clean.decisions import undo
from cleaner.clean.replay import export_decisions, replay
from cleaner.tabs.clean.tab import history_view
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.dataset.export import DatasetConfig, export_dataset
from pipeline.deploy.export import ExportConfig, export
from pipeline.deploy.space import read_space
from pipeline.jobs.job import Job, cancel, get_job, list_jobs, resume, wait_for
from pipeline.predict import Classifier
from pipeline.stage import run
from pipeline.tabs.page.job_view import History, body, headline
from pipeline.tabs.predict.tab import list_view
from pipeline.tabs.train.runs import one_run, runs_view
from pipeline.workspace.runs import list_runs, load_run
from pipeline.workspace.workspace import Workspace

DATA = Path(__file__).parent / "data"
TOLD: dict[str, Any] = json.loads((DATA / "old_workspace.json").read_text(encoding="utf-8"))
LONG = 120.0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it lies, beside the hub's cache that its trainings started from. Shared by all tests: read only."""
    folder = tmp_path_factory.mktemp("old")
    with zipfile.ZipFile(DATA / "old_workspace.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def old(project: Path) -> Workspace:
    """The workspace, opened. Shared by all tests: read only."""
    return Workspace.open(project / "fruit")


@pytest.fixture
def own(old: Workspace, tmp_path: Path) -> Workspace:
    """A copy of one's own."""
    return Workspace.open(shutil.copytree(old.root, tmp_path / "fruit"))


@pytest.fixture
def offline_hub(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs find the weights that were there then, and wait for no training of somebody else."""
    monkeypatch.setenv("HF_HOME", str(project / "huggingface"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def still(told: Any, now: Any) -> bool:
    """Whether all that was told is so now; dictionaries may say more by now, and tuples are lists in JSON."""
    if isinstance(told, dict):
        return all(key in now and still(value, now[key]) for key, value in told.items())
    if isinstance(told, list):
        return len(told) == len(now) and all(still(*pair) for pair in zip(told, now, strict=True))
    return bool(told == now)


def plainly(value: Any) -> Any:
    return json.loads(json.dumps(value, default=vars))


def job_told(workspace: Workspace, job: Job) -> dict[str, Any]:
    history = History()
    history.add(job.events())
    description = json.loads((job.folder / "job.json").read_text(encoding="utf-8"))
    more = {"target": description["target"], "events": len(job.events()), "headline": headline(job, history)}
    return {**vars(job), **more}


def ended(workspace: Workspace, job: Job) -> Job:
    found = wait_for(workspace, job.id, LONG)
    assert not found.active, found
    return found


def the_job(stage: str, status: str) -> str:
    return next(str(job["id"]) for job in TOLD["jobs"] if (job["stage"], job["status"]) == (stage, status))


# --- what is on record ---------------------------------------------------------------------------------------------


def test_every_row_is_as_it_was(old: Workspace) -> None:
    store = old.store
    assert still(TOLD["images"], store.images().to_dict("records"))
    assert still(TOLD["sources"], store.sources().to_dict("records"))
    assert still(TOLD["candidates"], store.candidates().to_dict("records"))
    assert store.groups() == TOLD["groups"] and store.class_counts() == TOLD["label_counts"]
    assert {kind: sorted(images) for kind, images in store.ignored().items()} == TOLD["ignored"]
    assert {row["status"] for row in TOLD["images"]} == {"ok", "set_aside", "removed"}
    assert {row["split"] for row in TOLD["images"]} == {"train", "valid", "test", None}


def test_every_picture_is_found(old: Workspace) -> None:
    for row in old.store.images().to_dict("records"):
        file = old.image_file(row["file"])
        assert file.is_file() and file.is_relative_to(old.trash if row["status"] == "removed" else old.images)


def test_the_journal_is_as_it_was(old: Workspace) -> None:
    assert still(TOLD["decisions"], plainly(old.store.journal.decisions()))
    actions = {decision["action"] for decision in TOLD["decisions"]}
    assert actions == {"keep", "relabel", "remove", "restore", "rename"}
    assert sum(decision["undone"] for decision in TOLD["decisions"]) == 1
    assert history_view(old)["rows"]


@pytest.mark.parametrize("command", ["images", "decisions", "jobs"])
def test_the_command_line_tells_the_same(old: Workspace, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert cli.main([command, str(old.root), "--json"]) == 0
    told = TOLD["commands"][command]
    if command == "jobs":
        told = {"jobs": [{**job, "folder": str(old.jobs / job["id"])} for job in told["jobs"]]}
    assert still(told, json.loads(capsys.readouterr().out))


# --- jobs ----------------------------------------------------------------------------------------------------------


def test_every_job_is_listed_with_its_ending_and_its_words(old: Workspace) -> None:
    found = list_jobs(old)
    assert still(TOLD["jobs"], [job_told(old, job) for job in found])
    assert {job.status for job in found} == {"done", "failed", "cancelled", "interrupted"}
    for job in found:
        history = History()
        history.add(job.events())
        assert f'data-status="{job.status}"' in body(job, history)


def test_a_verify_whose_process_died_is_resumed(own: Workspace) -> None:
    dead = get_job(own, the_job("verify", "interrupted"))
    again = ended(own, resume(own, dead.id))
    assert (again.stage, again.status, again.config) == ("verify", "done", dead.config)
    # What it had left to do was done since, by a job that was resumed in its place.
    before = get_job(own, the_job("verify", "done"))
    assert again.result["ok"] == sum(row["status"] == "ok" for row in TOLD["images"])
    assert again.result["set_aside"] == before.result["set_aside"]


def test_a_search_is_done_again_from_the_answers_that_were_kept(own: Workspace) -> None:
    before = get_job(own, the_job("search", "done"))
    again = ended(own, resume(own, before.id))
    assert (again.status, again.result["added"]) == ("done", 0), again.note
    assert still(before.result["candidates"], again.result["candidates"])


def test_an_import_without_its_folder_fails_in_the_same_words(own: Workspace) -> None:
    before = get_job(own, the_job("import_images", "failed"))
    again = ended(own, resume(own, before.id))
    assert (again.status, again.note.split(". ")[0]) == ("failed", before.note.split(". ")[0])


@pytest.mark.slow
@pytest.mark.usefixtures("offline_hub")
def test_every_other_stage_is_found_again_by_what_the_job_says(own: Workspace) -> None:
    for file in own.jobs.glob("*/job.json"):  # as if it had always been here, so that nothing is written elsewhere
        here = file.read_text(encoding="utf-8").replace(str(Path(TOLD["root"]).parent), str(own.root.parent))
        file.write_text(here, encoding="utf-8")
    resumed_in_other_tests = ("verify", "search", "import_images", "train")
    others = {job["stage"]: job["id"] for job in TOLD["jobs"] if job["stage"] not in resumed_in_other_tests}
    assert set(others) == {"download", "find_lr", "predict_many", "export", "try_space", "export_dataset"}
    again = [resume(own, job_id) for job_id in others.values()]
    for job in again:
        cancel(own, job.id)  # what it would do is tested elsewhere
    for job in again:
        job = ended(own, job)
        # What it needs may be gone, or it may be stopped before it looks: both are said in words.
        assert job.stage in others and job.status in ("cancelled", "failed"), job
        assert "unexpected" not in job.note and "Traceback" not in (job.folder / "output.txt").read_text()


@pytest.mark.skipif(
    torch.__version__.split("+")[0] != TOLD["made_with"]["torch"].split("+")[0], reason="another torch starts anew"
)
@pytest.mark.slow
@pytest.mark.usefixtures("offline_hub")
def test_a_half_done_training_goes_on_where_it_was(own: Workspace) -> None:
    half_done = TOLD["half_done"]
    assert (own.root / half_done["checkpoint"]).is_file()
    before = {found.id for found in list_runs(own)}
    again = ended(own, resume(own, half_done["job"]))
    assert again.status == "done", again.note
    notes = [str(event.get("note", "")) for event in again.events()]
    last = half_done["epochs"][-1]["epoch"]
    assert any(note.startswith(f"Going on after epoch {last}") for note in notes), notes
    (new,) = (found for found in list_runs(own) if found.id not in before)
    kept = new.epochs[: len(half_done["epochs"])]
    assert still(half_done["epochs"], kept), "they were trained again"
    assert [epoch["epoch"] for epoch in new.epochs] == list(range(again.config["epochs"] + 1))
    assert new.record["complete"] is True and not (own.root / half_done["checkpoint"]).exists()
    assert list(own.checkpoints.glob("*/epoch-*.pt")), "the other one stays"


# --- decisions -----------------------------------------------------------------------------------------------------


def test_the_last_decision_is_taken_back(own: Workspace) -> None:
    told = TOLD["undo"]
    others = [row for row in TOLD["images"] if row["id"] != told["image"]["id"]]
    assert still(told["decisions"], plainly(undo(own)))
    assert still(told["image"], own.store.image(told["image"]["id"]))
    assert (own.images / told["image"]["file"]).is_file()
    rows = own.store.images().to_dict("records")
    assert still(others, [row for row in rows if row["id"] != told["image"]["id"]])


def test_all_decisions_can_be_taken_back_at_once(own: Workspace) -> None:
    standing = [decision for decision in TOLD["decisions"] if not decision["undone"]]
    assert len(undo(own, 1000)) == len(standing)
    rows = own.store.images()
    assert set(rows["status"]) == {"ok", "set_aside"}
    assert (rows["label"] == rows["original_label"]).all()


def test_decisions_are_exported_and_replayed_elsewhere(old: Workspace, tmp_path: Path) -> None:
    export_decisions(old, tmp_path / "decisions.csv")
    assert (tmp_path / "decisions.csv").read_text(encoding="utf-8") == TOLD["decisions_csv"]
    rows = old.store.images()
    for row in rows.to_dict("records"):
        (tmp_path / "pictures" / row["original_label"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(old.image_file(row["file"]), tmp_path / "pictures" / row["original_label"])
    elsewhere = Workspace.create(tmp_path / "elsewhere")
    run(import_images(elsewhere, ImportConfig(str(tmp_path / "pictures"))))
    replayed = replay(elsewhere, tmp_path / "decisions.csv")
    assert (replayed.conflicts, replayed.unknown, replayed.undone) == ((), (), 1)
    there = elsewhere.store.images()
    assert dict(zip(there["id"], there["label"], strict=True)) == dict(zip(rows["id"], rows["label"], strict=True))
    removed = rows[rows["status"] == "removed"]["id"]
    assert set(there[there["status"] == "removed"]["id"]) == set(removed)


# --- runs ----------------------------------------------------------------------------------------------------------


def test_every_run_is_listed_with_its_numbers(old: Workspace) -> None:
    found = list_runs(old)
    assert still(
        TOLD["runs"],
        [
            {**told, **vars(one), "name": one.name, "note": one.note}
            for told, one in zip(TOLD["runs"], found, strict=True)
        ],
    )
    assert [one.record["complete"] for one in found].count(True) == 2
    assert [row["name"] for row in runs_view(old, found, [])["rows"]] == [told["name"] for told in TOLD["runs"]]
    for one in found:
        assert one_run(one)
        assert len(one.predictions()) == sum(one.record["counts"].values())
        ids, features = one.features() or ([], np.zeros((0, 0)))
        assert len(ids) == len(features) == len(one.predictions())


@pytest.mark.parametrize("number", range(len(TOLD["runs"])))
@pytest.mark.parametrize("way", ["once", "tta"])
def test_a_run_answers_as_it_did(old: Workspace, number: int, way: str) -> None:
    told = TOLD["runs"][number]
    model = Classifier.load(load_run(old, told["record"]["id"]).folder)
    files = [old.image_file(str(old.store.image(image)["file"])) for image in told["answers"][way]]
    for answer, before in zip(model.predict(files, tta=way == "tta"), told["answers"][way].values(), strict=True):
        assert answer.probabilities == pytest.approx(before, abs=1e-4)


def test_a_list_that_was_asked_about_is_shown(old: Workspace) -> None:
    before = get_job(old, the_job("predict_many", "done"))
    view = list_view(old)
    assert len(view["rows"]) == before.result["asked"] and all(row["thumbnail"] for row in view["rows"])


def test_a_space_folder_made_then_is_still_one(old: Workspace) -> None:
    before = get_job(old, the_job("export", "done"))
    (folder,) = old.exports.iterdir()
    assert read_space(folder).sdk == "gradio"
    assert all((folder / name).is_file() for name in before.result["files"])
    told = next(told for told in TOLD["runs"] if told["record"]["id"] == before.config["run"])
    files = [old.image_file(str(old.store.image(image)["file"])) for image in told["answers"]["once"]]
    for answer, known in zip(Classifier.load(folder).predict(files), told["answers"]["once"].values(), strict=True):
        assert answer.probabilities == pytest.approx(known, abs=1e-4)


@pytest.mark.slow
def test_a_run_of_then_becomes_a_whole_space_folder(old: Workspace, tmp_path: Path) -> None:
    run_id = get_job(old, the_job("export", "done")).config["run"]
    exported = run(export(old, ExportConfig(run_id, str(tmp_path / "space"), space=True)))
    model = {"config.json", "confusion.png", "familiar.safetensors", "model.safetensors", "predict.py", "README.md"}
    app = {"Dockerfile", "app.py", "model.onnx", "requirements.txt"}
    assert model | app | {f"examples/0{number}.jpg" for number in (1, 2, 3)} <= set(exported.files)
    assert exported.parity["max_difference"] <= 1e-4 and exported.parity["onnx"]["max_difference"] <= 1e-3
    assert read_space(tmp_path / "space").sdk == "gradio"


def test_the_pictures_leave_as_a_data_set(old: Workspace, tmp_path: Path) -> None:
    run(export_dataset(old, DatasetConfig(str(tmp_path / "cleaned"), anonymous_names=True)))
    written = [file.relative_to(tmp_path / "cleaned").as_posix() for file in (tmp_path / "cleaned").rglob("*.*")]
    assert set(TOLD["dataset"]) <= set(written)
