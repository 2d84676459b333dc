"""The cleaning queue: likely wrong labels first, two labels for one picture before all, never a test image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cleaner.clean.audit import audits
from cleaner.clean.decisions import keep, relabel, remove, rename, undo, undo_step
from cleaner.clean.suspects import audit, renamed_since, suspects, suspicion, usual_by_class
from pipeline.workspace.records import NewImage, Verdict
from pipeline.workspace.runs import OUT_OF_FOLD, PREDICTIONS, Run, load_run
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, run_with, workspace_with

SHOTS = [
    Shot("sure ant", "ant", "train", (0.98, 0.01, 0.01)),
    Shot("bee called ant", "ant", "train", (0.04, 0.94, 0.02)),
    Shot("doubtful ant", "ant", "valid", (0.5, 0.3, 0.2)),
    Shot("sure bee", "bee", "valid", (0.01, 0.97, 0.02)),
    Shot("cat called bee", "bee", "valid", (0.1, 0.2, 0.7)),
    Shot("test cat called ant", "ant", "test", (0.0, 0.0, 1.0)),
]


@pytest.fixture
def made(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", SHOTS)
    return workspace, ids, run_with(workspace, ids, SHOTS)


def names(queue, ids) -> list[str]:
    back = {image: name for name, image in ids.items()}
    return [back[image] for image in queue["id"]]


def test_the_queue_is_ordered_by_loss_and_holds_every_train_and_valid_image(made):
    workspace, ids, trained = made
    queue = suspects(workspace, trained)
    assert names(queue, ids) == ["bee called ant", "cat called bee", "doubtful ant", "sure bee", "sure ant"]
    assert queue["loss"].is_monotonic_decreasing and queue["score"].between(0, 1).all()
    assert list(queue.columns[:6]) == ["id", "file", "label", "suggested", "score", "why"]
    first = queue.iloc[0]
    assert (first["label"], first["suggested"]) == ("ant", "bee")
    assert first["why"] == "The model sees bee (94%), ant 4%."
    assert queue.iloc[-1]["why"] == "The model agrees with ant (98%)."


def test_a_test_image_is_never_in_the_queue(made):
    workspace, ids, trained = made
    assert ids["test cat called ant"] not in set(suspects(workspace, trained)["id"])


def test_an_audit_is_the_queue_of_the_test_split_and_is_logged(made):
    workspace, ids, trained = made
    assert audits(workspace) == []
    assert names(audit(workspace, trained), ids) == ["test cat called ant"]
    assert [logged.run for logged in audits(workspace)] == [trained.id]


def test_what_was_decided_on_since_the_run_leaves_the_queue_and_an_undo_brings_it_back(made):
    workspace, ids, trained = made
    before = suspects(workspace, trained)
    keep(workspace, ids["doubtful ant"])
    relabel(workspace, ids["bee called ant"], "bee")
    remove(workspace, ids["cat called bee"])
    assert names(suspects(workspace, trained), ids) == ["sure bee", "sure ant"]
    undo(workspace, 3)
    assert suspects(workspace, trained).equals(before)


def test_what_was_decided_on_before_the_run_comes_back_with_half_its_score(made):
    workspace, ids, first = made
    before = suspects(workspace, first).set_index("id").loc[ids["bee called ant"], "score"]
    keep(workspace, ids["bee called ant"])
    trained = run_with(workspace, ids, SHOTS, name="later")
    queue = suspects(workspace, trained).set_index("id")
    assert queue.index[0] == ids["cat called bee"]
    row = queue.loc[ids["bee called ant"]]
    assert row["score"] == pytest.approx(before / 2) and "decided on it before" in row["why"]


CONFLICT = [
    Shot("a wrong one", "ant", "train", (0.01, 0.98, 0.01)),
    Shot("copy called ant", "ant", "train", (0.45, 0.55, 0.0), group="copy called bee"),
    Shot("copy called bee", "bee", "train", (0.45, 0.55, 0.0), group="copy called bee"),
    Shot("sure cat", "cat", "train", (0.0, 0.01, 0.99)),
]


def test_two_copies_with_two_labels_put_the_less_likely_one_first(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", CONFLICT)
    queue = suspects(workspace, run_with(workspace, ids, CONFLICT))
    assert names(queue, ids) == ["copy called ant", "a wrong one", "copy called bee", "sure cat"]
    assert queue.iloc[0]["score"] == 1 and queue.iloc[0]["suggested"] == "bee"
    assert queue.iloc[0]["why"].startswith("The same picture is also called bee.")
    assert 0.5 <= queue.iloc[2]["score"] < 0.6


def test_once_a_person_decided_on_one_copy_the_other_is_asked_to_follow(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", CONFLICT)
    trained = run_with(workspace, ids, CONFLICT)
    keep(workspace, ids["copy called ant"])
    queue = suspects(workspace, trained)
    assert names(queue, ids)[0] == "copy called bee" and queue.iloc[0]["suggested"] == "ant"
    relabel(workspace, ids["copy called bee"], "ant")
    assert names(suspects(workspace, trained), ids) == ["a wrong one", "sure cat"]


def test_one_file_found_under_two_names_is_a_conflict_until_a_person_decides(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", SHOTS)
    again = workspace.store.image(ids["sure bee"])
    workspace.store.add_images([NewImage(again["id"], again["file"], 1, "cat", "folder", "cat/the same.jpg")])
    trained = run_with(workspace, ids, SHOTS)
    row = suspects(workspace, trained).set_index("id").loc[ids["sure bee"]]
    assert row["score"] == 0.5 and row["why"].startswith("The same picture is also called cat.")
    keep(workspace, ids["sure bee"])
    later = suspects(workspace, run_with(workspace, ids, SHOTS, name="later")).set_index("id").loc[ids["sure bee"]]
    assert later["score"] < 0.1 and "also called" not in later["why"]


def test_what_looks_unlike_all_others_and_what_verify_doubts_is_in_the_queue_with_its_reason(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", SHOTS)
    trained = run_with(workspace, ids, SHOTS)
    table = trained.predictions().assign(strangeness=0.0)
    table.loc[table["id"] == ids["sure ant"], "strangeness"] = 12.0
    table.loc[table["id"] == ids["doubtful ant"], "strangeness"] = 3.9
    table.to_csv(trained.folder / PREDICTIONS, index=False)
    doubt = Verdict(ids["sure bee"], "ok", "suspect", "Its end is missing.", 320, 240, "JPEG")
    workspace.store.record_verdicts([doubt])
    queue = suspects(workspace, load_run(workspace, trained.id)).set_index("id")
    strange, suspect, doubtful = (queue.loc[ids[name]] for name in ("sure ant", "sure bee", "doubtful ant"))
    assert (strange["kind"], strange["score"]) == ("outlier", 0.75)
    assert strange["why"] == "It looks unlike all other images. The model agrees with ant (98%)."
    assert (suspect["kind"], suspect["score"]) == ("file", 0.5) and suspect["why"].startswith("Verify: Its end is miss")
    assert doubtful["kind"] == "label" and "unlike" not in doubtful["why"]


def test_of_equal_odds_the_class_that_is_named_too_readily_is_suspected_less() -> None:
    likely = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.4, 0.6]])
    labelled = np.array([[True, False]] * 3 + [[False, True]] * 3)  # the heads lean to the first class
    found = suspicion(likely, labelled, usual_by_class(likely, labelled))
    assert found[0] < found[5] < found[3] == found[4] < 0.6, "0.6 is what the odds alone say"
    order = np.array([5, 3, 0, 1, 4, 2])
    assert np.allclose(suspicion(likely[order], labelled[order], usual_by_class(likely, labelled)), found[order])


def test_what_is_usual_is_the_mean_among_those_that_carry_it() -> None:
    likely = np.array([[0.9, 0.1, 0.0], [0.7, 0.2, 0.1], [0.5, 0.3, 0.2]])
    labelled = np.array([[True, False, False], [True, False, False], [False, True, False]])
    assert usual_by_class(likely, labelled) == pytest.approx([0.8, 0.3, 1.0])


def test_where_every_class_is_told_alike_the_odds_are_those_of_the_probabilities() -> None:
    likely = np.array([[0.7, 0.2, 0.1], [0.1, 0.7, 0.2], [0.2, 0.1, 0.7]])
    assert suspicion(likely, np.eye(3, dtype=bool), np.full(3, 0.7)) == pytest.approx([0.2 / 0.9] * 3, abs=0.01)
    unknown = suspicion(likely, np.zeros((3, 3), dtype=bool), np.ones(3))  # a class that was not asked about
    assert (unknown > 0.9).all() and suspicion(likely[:0], np.zeros((0, 3), dtype=bool), np.ones(3)).shape == (0,)


def test_valid_images_are_judged_by_what_did_not_see_them_where_the_run_knows(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", SHOTS)
    trained = run_with(workspace, ids, SHOTS)
    table = trained.predictions()
    table = table[table["split"] != "test"].copy()
    table.loc[table["id"] == ids["sure bee"], ["p:ant", "p:bee", "predicted", "probability"]] = [0.9, 0.1, "ant", 0.9]
    table.to_csv(trained.folder / OUT_OF_FOLD, index=False)
    queue = suspects(workspace, load_run(workspace, trained.id)).set_index("id")
    assert queue.loc[ids["sure bee"], "suggested"] == "ant" and queue.loc[ids["sure bee"], "score"] > 0.8


def test_the_queue_of_a_run_without_images_is_empty_and_has_its_columns(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", [])
    queue = suspects(workspace, run_with(workspace, ids, []))
    assert queue.empty and list(queue.columns[:6]) == ["id", "file", "label", "suggested", "score", "why"]


@pytest.mark.slow
def test_on_the_messy_starter_most_planted_wrong_labels_are_at_the_head_of_the_queue(messy_run: Run, capsys):
    workspace = Workspace.open(messy_run.folder.parents[1])
    queue = suspects(workspace, messy_run)
    truth = pd.read_csv(workspace.root / "starter-messy-truth.csv", keep_default_na=False)
    planted = truth[
        (truth["true_label"] != truth["given_label"]) & truth["kind"].isin(["wrong_label", "label_conflict"])
    ]
    names = workspace.store.images().set_index("id")["source_name"]
    wrong = queue["id"].map(names).isin(planted["file"]).to_numpy()
    n = int(wrong.sum())
    first, second = wrong[:n].mean(), wrong[: 2 * n].sum() / n
    with capsys.disabled():
        print(
            f"\nplanted wrong labels in train and valid: {n}; in the first {n}: {first:.0%}, in {2 * n}: {second:.0%}"
        )
    assert n >= 40 and first >= 0.7 and second >= 0.9
    conflicts = truth[truth["kind"] == "label_conflict"]["file"]
    assert queue["id"].map(names).isin(conflicts)[queue["score"] == 1].sum() >= 4


def test_a_renamed_class_stays_in_the_queue_under_its_new_name(made):
    workspace, ids, trained = made
    before = suspects(workspace, trained)
    rename(workspace, "ant", "formica")
    relabel(workspace, ids["sure ant"], "bee")
    queue = suspects(workspace, trained)
    assert names(queue, ids) == [name for name in names(before, ids) if name != "sure ant"]
    row = queue.set_index("id").loc[ids["bee called ant"]]
    assert row["label"] == "formica" and row["why"] == "The model sees bee (94%), formica 4%."
    undo_step(workspace)
    undo_step(workspace)
    assert suspects(workspace, trained).equals(before)


def test_merged_classes_share_what_was_said_for_either(made):
    workspace, ids, trained = made
    rename(workspace, "bee", "insect")
    rename(workspace, "ant", "insect")
    queue = suspects(workspace, trained).set_index("id")
    row = queue.loc[ids["bee called ant"]]
    assert row["label"] == row["suggested"] == "insect" and row["probability"] == pytest.approx(0.98)
    assert queue.index[0] == ids["cat called bee"], "only that one is still doubtful"
    assert queue.loc[ids["doubtful ant"], "score"] < 0.3


def test_names_that_change_again_are_followed(made):
    workspace, _, trained = made
    rename(workspace, "ant", "x")
    rename(workspace, "x", "y")
    assert renamed_since(trained, workspace.store.journal.decisions()) == {"ant": "y"}
    rename(workspace, "y", "ant")
    assert renamed_since(trained, workspace.store.journal.decisions()) == {}
