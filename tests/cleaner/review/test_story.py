"""The whole story of one image, and what the viewer shows of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cleaner.clean.decisions import relabel, remove, undo
from cleaner.review.story import NO_FEATURES, prediction_of, story
from cleaner.tabs.review.story import NO_RUN, large_view, look_view, story_alone, story_view
from pipeline.ask.one import Models
from pipeline.errors import StoreError
from pipeline.workspace.runs import FEATURE_IDS, FEATURES, PREDICTIONS, Run, load_run
from pipeline.workspace.store import NewImage
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, run_with, workspace_with

SHOTS = [
    Shot("a1", "ant", "valid", (0.9, 0.05, 0.05)),
    Shot("a1 copy", "ant", "valid", (0.2, 0.7, 0.1), group="a1"),
    Shot("a2", "ant", "train", (0.1, 0.85, 0.05)),
    Shot("b1", "bee", "train", (0.1, 0.8, 0.1)),
    Shot("gone", "bee", "train", (0.1, 0.8, 0.1)),
    Shot("t1", "cat", "test", (0.6, 0.2, 0.2)),
    Shot("t2", "cat", "test", (0.2, 0.2, 0.6)),
]
# Where each lies as the run sees it: the nearest of a1 is its copy, then t1, gone, a2, b1.
FEATURES_OF = {
    "a1": (1, 0),
    "a1 copy": (1, 0.01),
    "t1": (1, 0.1),
    "gone": (1, 0.2),
    "a2": (1, 0.5),
    "b1": (0, 1),
    "t2": (-1, 0),
}


def keep_features(run: Run, ids: dict[str, str]) -> None:
    np.save(run.folder / FEATURES, np.array(list(FEATURES_OF.values()), dtype=np.float16))
    (run.folder / FEATURE_IDS).write_text("".join(f"{ids[name]}\n" for name in FEATURES_OF), encoding="utf-8")


@pytest.fixture
def made(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", SHOTS)
    run = run_with(workspace, ids, SHOTS)
    keep_features(run, ids)
    return workspace, ids, run


def test_where_it_came_from_holds_every_place_and_only_links_that_open_a_page(made):
    workspace, ids, run = made
    for name, page in (
        ("http://x/1.jpg", "https://x/page"),
        ("http://x/2.jpg", "javascript:alert(1)"),
        ("3", "https://["),
    ):
        row = NewImage(ids["a1"], "f", 1, "wasp", "web", name, page, "CC0", query="<b>ants</b>", licence_url="data:x")
        workspace.store.add_images([row])
    places = story(workspace, run, ids["a1"])["sources"]
    assert [(place["provider"], place["name"]) for place in places][:2] == [
        ("folder", "ant/a1.jpg"),
        ("web", "http://x/1.jpg"),
    ]
    assert [place["page_url"] for place in places] == [None, "https://x/page", None, None]
    assert places[1]["query"] == "<b>ants</b>" and places[1]["licence"] == "CC0" and places[1]["licence_url"] is None
    assert places[1]["claimed_label"] == "wasp" and places[1]["at"]


def test_the_history_of_labels_tells_undone_decisions_apart(made):
    workspace, ids, run = made
    relabel(workspace, ids["a2"], "bee")
    undo(workspace)
    relabel(workspace, ids["a2"], "bee|cat")
    told = story(workspace, run, ids["a2"])
    assert (told["original_label"], told["label"]) == ("ant", "bee|cat")
    assert [(d["action"], d["before"]["label"], d["after"]["label"], d["undone"]) for d in told["decisions"]] == [
        ("relabel", "ant", "bee", True),
        ("relabel", "ant", "bee|cat", False),
    ]
    words = [row["words"] for row in story_view(workspace, told)["labels"]]
    assert words == ["came as ant", "relabelled: ant → bee", "relabelled: ant → bee, cat", "today bee, cat"]


def test_what_every_run_said_is_judged_by_the_label_of_today(made):
    workspace, ids, run = made
    other = run_with(workspace, ids, SHOTS[:3], name="run-b")
    relabel(workspace, ids["a2"], "bee")
    said = {row["run"]: row for row in story(workspace, run, ids["a2"])["predictions"]}
    assert list(said) == ["run-b", "run-a"] and said["run-a"]["current"] and not said["run-b"]["current"]
    assert said["run-a"]["predicted"] == "bee" and said["run-a"]["right"] and said["run-a"]["out_of_fold"]
    assert said["run-a"]["probability"] == 0.85 and said["run-a"]["split"] == "train"
    assert [row["run"] for row in story(workspace, run, ids["b1"])["predictions"]] == ["run-a"]
    (other.folder / PREDICTIONS).write_bytes(b"")
    broken = story(workspace, run, ids["a2"])["predictions"][0]
    assert broken["predicted"] is None and "cannot be read" in broken["trouble"]


def test_one_prediction_is_read_as_the_whole_table_has_it(made):
    _, ids, run = made
    table = run.predictions().set_index("id")
    for image in ids.values():
        said = prediction_of(run, image)
        assert said is not None and said["predicted"] == table.at[image, "predicted"]
        assert float(said["p:bee"]) == table.at[image, "p:bee"]
    assert prediction_of(run, ids["a1"][:-1]) is None


def test_duplicates_are_the_others_of_the_group_whatever_became_of_them(made):
    workspace, ids, run = made
    remove(workspace, ids["a1 copy"])
    assert [(d["id"], d["status"]) for d in story(workspace, run, ids["a1"])["duplicates"]] == [
        (ids["a1 copy"], "removed")
    ]
    assert story(workspace, run, ids["b1"])["duplicates"] == []


def test_neighbours_are_the_nearest_of_other_groups_in_use_and_never_of_the_test_split(made):
    workspace, ids, run = made
    remove(workspace, ids["gone"])
    near = story(workspace, run, ids["a1"])["neighbours"]
    assert [row["id"] for row in near] == [ids["a2"], ids["b1"]]
    assert near[0]["similarity"] == pytest.approx(1 / np.hypot(1, 0.5), abs=1e-3) and near[0]["label"] == "ant"
    assert [row["id"] for row in story(workspace, run, ids["t1"])["neighbours"]] == [
        ids[name] for name in ("a1 copy", "a1", "a2", "b1", "t2")
    ]


def test_a_run_without_features_says_what_brings_them(made):
    workspace, ids, run = made
    (run.folder / FEATURES).unlink()
    told = story(workspace, run, ids["a1"])
    assert told["neighbours"] == [] and told["no_neighbours"] == NO_FEATURES
    assert story(workspace, None, ids["a1"])["no_neighbours"] == NO_FEATURES
    keep_features(run, {**ids, "a1": "another"})
    assert "not asked" in story(workspace, run, ids["a1"])["no_neighbours"]


def test_a_story_is_plain_data_and_an_image_that_nothing_is_known_of_has_one(made):
    workspace, ids, run = made
    workspace.store.add_images([NewImage("f" * 64, "ff/x.jpg", 5, None, "folder", "ü/<x>.jpg")])
    told = json.loads(json.dumps(story(workspace, run, "f" * 64)))
    assert told["label"] is None and told["width"] is None and told["predictions"] == [] and told["name"] == "<x>.jpg"
    assert json.loads(json.dumps(story(workspace, run, ids["a1"])))["width"] == 320
    with pytest.raises(StoreError):
        story(workspace, run, "no such image")


# --- the viewer ------------------------------------------------------------------------------------------------------


def test_one_may_walk_to_any_image_but_to_test_images_only_while_they_are_open(made):
    workspace, ids, run = made
    view = large_view(workspace, run, "valid", ids["a2"])
    assert view["title"] == "actual ant, predicted bee, loss 2.30" and Path(view["large"]).is_file()
    assert [tile["id"] for tile in view["story"]["neighbours"]][:1] == [ids["gone"]]
    assert (
        large_view(workspace, run, "valid", ids["t1"])["id"] == "" == large_view(workspace, run, "test", "none")["id"]
    )
    assert large_view(workspace, run, "test", ids["t1"])["id"] == ids["t1"]
    assert look_view(workspace, run, "valid", ids["t1"], Models(1))["id"] == ""


def test_where_no_run_is_open_the_newest_tells_but_nothing_of_the_test_split(made):
    workspace, ids, run = made
    told = story_alone(workspace, ids["a2"])
    assert [row["predicted"] for row in told["runs"]] == ["bee"] and told["neighbours"][0]["id"] == ids["gone"]
    for locked in ("t1", "t2"):
        told = story_alone(workspace, ids[locked])
        assert (told["runs"], told["neighbours"], told["no_neighbours"]) == ([], [], NO_RUN) and told["labels"]
    shutil.rmtree(run.folder)
    assert story_alone(workspace, ids["a2"])["no_neighbours"] == NO_RUN
    with pytest.raises(StoreError):
        story_alone(workspace, "../../etc/passwd")


def test_an_image_that_came_after_the_run_opens_without_answers(made):
    workspace, ids, run = made
    table = run.predictions()
    table[table["id"] != ids["a2"]].to_csv(run.folder / PREDICTIONS, index=False)
    view = large_view(workspace, run, "valid", ids["a2"])
    assert view["answers"] == [] and not view["looks"] and "not asked" in view["title"]


def test_a_run_whose_weights_are_gone_says_why_it_cannot_look(made):
    workspace, ids, run = made
    view = look_view(workspace, run, "valid", ids["a1"], Models(1))
    assert view["heat"] is None and "cannot be shown" in view["words"]


def test_where_it_looked_is_asked_once_and_kept(trained: Workspace):
    run = load_run(trained)
    image = str(run.predictions()["id"].iloc[0])
    view = look_view(trained, run, "test", image, Models(1))
    assert view["words"].startswith("Where the network looked when it said") and "Grad-CAM" in view["words"]
    kept = Path(view["heat"])
    written = kept.stat().st_mtime_ns
    assert look_view(trained, run, "test", image, Models(1)) == view and kept.stat().st_mtime_ns == written
    shutil.rmtree(kept.parent)
    assert look_view(trained, run, "test", image, Models(1)) == view and kept.is_file()
