from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import jobs
from pipeline.errors import NotEnoughData
from pipeline.importing import ImportConfig, import_images
from pipeline.stage import run
from pipeline.tabs.problems import problems_view
from pipeline.tabs.verify import duplicates, restore, set_aside_choices, split_counts, splits, summary, verify_job
from pipeline.verify import VerifyConfig, verified, verify
from pipeline.workspace import Workspace


@pytest.fixture
def checked(workspace: Workspace, photographs: Path, tmp_path: Path) -> Workspace:
    """40 photographs, one of them also under another class, and a broken file with a hostile name."""
    run(import_images(workspace, ImportConfig(str(photographs))))
    first = sorted((photographs / "apple").iterdir())[0]
    (tmp_path / "more" / "pear").mkdir(parents=True)
    (tmp_path / "more" / "pear" / "twin.jpg").write_bytes(first.read_bytes() + b"\0")
    (tmp_path / "more" / "pear" / "<img src=x onerror=alert(1)>.jpg").write_bytes(b"\xff\xd8\xffbroken")
    run(import_images(workspace, ImportConfig(str(tmp_path / "more"))))
    run(verify(workspace, VerifyConfig(workers=1)))
    return workspace


def test_an_empty_workspace_is_sent_to_collect(workspace: Workspace) -> None:
    assert "Go to Collect" in summary(workspace, verified(workspace))
    with pytest.raises(NotEnoughData, match="Go to Collect"):
        verify_job(workspace)


def test_unchecked_pictures_are_announced(workspace: Workspace, photographs: Path) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))
    assert "40 pictures not checked yet" in summary(workspace, verified(workspace))


def test_the_summary_tells_what_was_found(checked: Workspace) -> None:
    html = summary(checked, verified(checked))
    assert "1 picture is there under two classes" in html
    assert '42</span><span class="w-fact-name">checked' in html
    assert '1</span><span class="w-fact-name">set aside' in html


def test_the_same_is_seen_again_after_a_reload(checked: Workspace) -> None:
    again = Workspace.open(checked.root)
    assert summary(again, verified(again)) == summary(checked, verified(checked))


def test_a_disputed_duplicate_group_is_shown_with_both_classes(checked: Workspace) -> None:
    html = duplicates(checked, verified(checked))
    assert "under two classes" in html and html.count("<img") == 2
    assert "apple" in html and "pear" in html
    assert str(checked.thumbnails) in html


def test_the_reason_is_shown_beside_each_picture_that_was_set_aside(checked: Workspace) -> None:
    ((shown, image_id),) = set_aside_choices(verified(checked))
    assert "onerror" in shown and "—" in shown
    assert checked.store.image(image_id)["status"] == "set_aside"


def test_a_restored_picture_is_new_again_and_the_journal_knows(checked: Workspace) -> None:
    ((_, image_id),) = set_aside_choices(verified(checked))
    assert restore(checked, [image_id]) == 1
    assert checked.store.image(image_id)["status"] == "new"
    assert [decision.action for decision in checked.store.decisions()] == ["restore"]
    assert "1 picture came in since" in summary(checked, verified(checked))
    checked.store.undo()
    assert checked.store.image(image_id)["status"] == "set_aside"


def test_restoring_what_is_in_use_changes_nothing(checked: Workspace) -> None:
    image_id = str(checked.store.images("ok")["id"].iloc[0])
    restore(checked, [image_id])
    assert checked.store.image(image_id)["status"] == "ok" and checked.store.decisions() == []


def test_splits_are_counted_per_class(checked: Workspace) -> None:
    counts = split_counts(checked)
    assert list(counts.columns) == ["train", "valid", "test", "all"]
    assert counts["all"].sum() == len(checked.store.images("ok"))
    assert (counts[["train", "valid", "test"]].sum(axis=1) == counts["all"]).all()


def test_there_are_no_splits_before_verify(workspace: Workspace) -> None:
    assert splits(workspace) == ""


def test_verify_runs_as_a_job(workspace: Workspace, photographs: Path) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))
    job = jobs.wait_for(workspace, verify_job(workspace).id, 120)
    assert (job.status, job.result["checked"]) == ("done", 40)


def test_doubtful_pictures_are_shown_by_kind_the_worst_first(workspace: Workspace, photographs: Path) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))
    run(verify(workspace, VerifyConfig(workers=1)))
    assert problems_view(workspace, {"dark": (), "grey": ()}) == ""
    ids = tuple(workspace.store.images()["id"])
    html = problems_view(workspace, {"dark": ids[:2], "blurred": ids})
    assert html.index("<b>2</b> <span>Dark") < html.index("<b>40</b> <span>Blurred")
    assert html.count("<img") == 2 + 24 and "and 16 more pictures" in html
