from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from PIL import Image

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.collect.proposal import Proposal, proposal, turn_down
from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.stage import run
from pipeline.tabs.collect.reading import reading_view
from pipeline.workspace.workspace import Workspace


@pytest.fixture
def leaves(tmp_path: Path) -> Path:
    """A folder of class folders."""
    root = tmp_path / "leaves"
    for place in ("rust/1.png", "rust/2.png", "healthy/3.png"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 30), 60).convert("RGB").save(root / place)
    return root


def made_up(told: ImportConfig) -> Proposal:
    ways = [{"words": "a class", "told": {"read_as": ["unknown=class"]}}, {"words": "none", "told": {}}]
    read = {
        "questions": [{"text": "unknown?", "choices": ways}, {"text": "other?", "choices": ways[::-1]}],
        "others": [{"words": "by folders", "told": {"labels_from": "folders"}}],
    }
    return Proposal("1", told, read)


def test_nothing_waits_in_a_workspace_where_nothing_was_read(workspace: Workspace, leaves: Path) -> None:
    assert proposal(workspace) is None
    run(import_images(workspace, ImportConfig(str(leaves))))
    assert proposal(workspace) is None


def test_a_reading_waits_until_it_is_taken(workspace: Workspace, leaves: Path) -> None:
    reading = jobs.start(workspace, import_images, ImportConfig(str(leaves), dry_run=True, samples=True))
    assert proposal(workspace) is None  # it is not there yet
    jobs.wait_for(workspace, reading.id, 120)
    found = proposal(workspace)
    assert found is not None and found.job == reading.id
    assert workspace.store.images().empty
    assert found.read["read"] == {"healthy": {"": 1}, "rust": {"": 2}}
    assert all(Path(file).is_file() for files in found.read["samples"].values() for file in files)
    taken = jobs.start(workspace, import_images, found.taken())
    assert jobs.wait_for(workspace, taken.id, 120).result["added"] == 3
    assert proposal(workspace) is None


def ended(workspace: Workspace, config: ImportConfig) -> str:
    """A job that imported, as its files tell it; its id."""
    result = run(import_images(workspace, config))
    folder = workspace.jobs / f"{len(list(workspace.jobs.iterdir()))}-import_images"
    folder.mkdir()
    jobs.write_json(folder / "job.json", {"stage": "import_images", "config": asdict(config), "at": folder.name})
    jobs.write_json(folder / "events.jsonl", {"kind": "done", "at": folder.name, "result": asdict(result)})
    with (folder / "events.jsonl").open("a") as events:
        events.write("\n")
    return folder.name


def test_a_reading_that_was_turned_down_does_not_come_back(workspace: Workspace, leaves: Path) -> None:
    reading = ended(workspace, ImportConfig(str(leaves), dry_run=True))
    found = proposal(workspace)
    assert found is not None and not found.stored
    turn_down(workspace, reading)
    assert proposal(workspace) is None
    assert not (workspace.thumbnails / "read").exists()


def test_labels_that_differ_wait_for_a_yes_and_are_taken_with_one(workspace: Workspace, leaves: Path) -> None:
    ended(workspace, ImportConfig(str(leaves)))
    assert proposal(workspace) is None
    (leaves / "rust" / "1.png").rename(leaves / "healthy" / "1.png")
    again = ended(workspace, ImportConfig(str(leaves)))
    found = proposal(workspace)
    assert found is not None and found.stored and found.job == again
    assert [(one["before"], one["after"]) for one in found.read["labels_differ"]] == [("rust", "healthy")]
    view = reading_view(workspace, found)
    assert view["differ"]["number"] == 1 and Path(view["differ"]["rows"][0]["picture"]).is_file()
    assert workspace.store.class_counts() == {"rust": 2, "healthy": 1}
    ended(workspace, found.taken())
    assert proposal(workspace) is None
    assert workspace.store.class_counts() == {"rust": 1, "healthy": 2}


def test_answers_are_added_to_what_was_told() -> None:
    told = ImportConfig("x", dry_run=True, read_as=("train=class",))
    assert made_up(told).taken() == replace(told, dry_run=False)
    assert made_up(told).taken([0, 0]).read_as == ("train=class", "unknown=class")
    assert made_up(told).taken([1, 1]).read_as == ("train=class", "unknown=class")
    assert made_up(told).taken([1, 0]).read_as == ("train=class",)


def test_it_is_read_otherwise_by_what_was_offered_and_by_other_columns() -> None:
    told = ImportConfig("x", dry_run=True, label_column="seen")
    again = made_up(told).again(other=0)
    assert (again.labels_from, again.dry_run, again.label_column) == ("folders", True, "seen")
    columns = {"label_column": "label", "split_column": "", "source": "/etc"}
    again = made_up(told).again(columns=columns)
    assert (again.label_column, again.split_column, again.source) == ("label", None, "x")
    for wrong in (-1, 1):
        with pytest.raises(UsageError, match="not one of the choices"):
            made_up(told).again(other=wrong)
    with pytest.raises(UsageError, match="not one of the choices"):
        made_up(told).taken([2])
