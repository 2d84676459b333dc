from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.errors import NotEnoughData
from pipeline.jobs import job as jobs
from pipeline.stage import run
from pipeline.tabs.page.show import splits
from pipeline.tabs.verify.tab import doubt, question, summary, verify_job
from pipeline.tabs.verify.together import kept_in_words, together_view
from pipeline.verify.findings import verified
from pipeline.verify.split import keep_together
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace
from tests.support.shelf import Shelf
from tests.verify import test_scenes as scenes
from tests.verify.test_verify import put


@pytest.fixture
def checked(shelf: Shelf, photographs: Path, tmp_path: Path) -> Workspace:
    """40 photographs, one of them also under another class, and a broken file."""
    return shelf.workspace("checked tab", tmp_path / "checked", lambda workspace: _fill(workspace, photographs))


def _fill(workspace: Workspace, photographs: Path) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))
    first = sorted((photographs / "apple").iterdir())[0]
    put(workspace, "twin.jpg", first.read_bytes() + b"\0", "pear")
    put(workspace, "broken.jpg", b"\xff\xd8\xffbroken", "pear")
    run(verify(workspace, VerifyConfig(workers=1)))


@pytest.fixture
def mostly_broken(workspace: Workspace, photographs: Path) -> Workspace:
    """40 photographs and 30 web pages."""
    run(import_images(workspace, ImportConfig(str(photographs))))
    for number in range(30):
        put(workspace, f"{number}.jpg", f"<html>Not found: {number}".encode())
    return workspace


def test_an_empty_workspace_is_sent_to_collect(workspace: Workspace) -> None:
    assert "Go to Collect" in summary(workspace, verified(workspace))
    with pytest.raises(NotEnoughData, match="Go to Collect"):
        verify_job(workspace)


def test_unchecked_pictures_are_announced(workspace: Workspace, photographs: Path) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))
    assert "40 pictures not checked yet" in summary(workspace, verified(workspace))


def test_the_summary_tells_what_was_found_and_that_one_may_go_on(checked: Workspace) -> None:
    html = summary(checked, verified(checked))
    assert '42</span><span class="w-fact-name">checked' in html
    assert '1</span><span class="w-fact-name">set aside' in html
    assert "Nothing below has to be done before you train" in html


def test_where_nothing_is_wrong_the_summary_says_so(workspace: Workspace, photographs: Path) -> None:
    for file in sorted(photographs.rglob("*.jpg"))[:3]:
        put(workspace, file.name, file.read_bytes())
    run(verify(workspace, VerifyConfig(workers=1)))
    assert "Nothing is wrong with any of them" in summary(workspace, verified(workspace))


def test_the_same_is_seen_again_after_a_reload(checked: Workspace) -> None:
    again = Workspace.open(checked.root)
    assert summary(again, verified(again)) == summary(checked, verified(checked))


def test_verify_runs_as_a_job(workspace: Workspace, photographs: Path) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))
    job = jobs.wait_for(workspace, verify_job(workspace).id, 120)
    assert (job.status, job.result["checked"]) == ("done", 40)


def test_a_question_is_asked_where_much_is_broken_and_it_can_be_gone_on(mostly_broken: Workspace) -> None:
    assert doubt(mostly_broken) == ""
    assert jobs.wait_for(mostly_broken, verify_job(mostly_broken).id, 120).status == "failed"
    assert doubt(mostly_broken).startswith("30 of 70 pictures cannot be used")
    assert "30 pictures wait for your answer below" in summary(mostly_broken, verified(mostly_broken))
    job = jobs.wait_for(mostly_broken, verify_job(mostly_broken, accept_broken=True).id, 120)
    assert (job.status, doubt(mostly_broken)) == ("done", "")
    assert len(mostly_broken.store.images("set_aside")) == 30


def test_a_question_shows_foreign_words_as_text() -> None:
    assert "<img" not in question("Because “<img src=x onerror=alert(1)>”.")


# --- the classes ------------------------------------------------------------------------------------------------------


def test_splits_are_counted_per_class(checked: Workspace) -> None:
    counts = checked.store.split_counts()
    assert sum(sum(numbers.values()) for numbers in counts.values()) == len(checked.store.images("ok"))
    html = splits(checked)
    for name, numbers in counts.items():
        cells = "".join(rf"<td[^>]*>{numbers.get(split, 0)}</td>" for split in ("train", "valid", "test"))
        assert re.search(rf"{name}</t[dh]>{cells}<td[^>]*>{sum(numbers.values())}</td>", html)


def test_there_are_no_splits_before_verify(workspace: Workspace) -> None:
    assert splits(workspace) == ""


def test_what_is_wrong_with_a_class_stands_beside_it(checked: Workspace) -> None:
    html = splits(checked, verified(checked))
    assert html.count("With fewer than 15 pictures") == 5
    assert "With fewer than" not in splits(checked)


def test_of_very_many_classes_the_rest_is_counted(checked: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.tabs.page.show.LISTED_CLASSES", 3)
    html = splits(checked, verified(checked))
    assert html.count("<tr>") == 1 + 3 and "and 2 more classes" in html


def test_what_was_taken_together_is_asked_before_splits_are_given_and_only_then(workspace: Workspace) -> None:
    scenes.put(workspace, scenes.sessions(9, 4))
    box, words, kind, pictures, of = together_view(workspace, verified(workspace))
    assert (
        of == workspace.name
        and box.visible
        and "9 series by time and camera, 4 pictures each: keep each together?" in words
    )
    assert kind.value == "time" and not kind.visible and pictures.count("4 pictures") == 3
    assert "The splits wait for one answer" in summary(workspace, verified(workspace))
    keep_together(workspace, "time")
    box, words, *_ = together_view(workspace, verified(workspace))
    assert not box.visible and words == ""
    assert "9 series by time and camera" in kept_in_words(verified(workspace))
