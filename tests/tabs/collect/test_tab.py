from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from cleaner.clean.decisions import remove
from pipeline.collect.data_card import ATTRIBUTIONS, CARD
from pipeline.collect.download import DownloadConfig
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.collect.outcomes import outcomes
from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.stage import run
from pipeline.tabs.collect.collected import newest, outcomes_view, overview, papers, sample
from pipeline.tabs.collect.found import (
    MISSED,
    PREVIEWED,
    OpenClass,
    button_text,
    download_job,
    draw_found,
    mark,
    tried_again,
)
from pipeline.tabs.collect.tab import links_job
from pipeline.verify.cards import set_aside
from pipeline.web.responses import AGAIN
from pipeline.workspace.workspace import Workspace

HOSTILE = "<img src=x onerror=alert(1)>${alert(2)}"


pytestmark = pytest.mark.usefixtures("kept")


def picture(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((64, 48), 80).convert("RGB").save(file)
    return file


@pytest.fixture
def filled(workspace: Workspace, photographs: Path) -> Workspace:
    run(import_images(workspace, ImportConfig(str(photographs))))
    return workspace


def finished(workspace: Workspace, job: jobs.Job) -> jobs.Job:
    return jobs.wait_for(workspace, job.id, 120)


def test_an_empty_workspace_says_where_to_begin(workspace: Workspace) -> None:
    assert "No pictures yet" in overview(workspace) and sample(workspace) == ""


def test_the_overview_counts_pictures_per_class(filled: Workspace) -> None:
    html = overview(filled)
    assert all(name in html for name in ("apple", "melon", "orange", "pear", "satsuma"))
    assert "40" in html and "not checked yet" in html
    apples = filled.store.images().query("label == 'apple'")["id"]
    set_aside(filled, apples[:3])
    remove(filled, apples.iloc[3])
    html = overview(filled)
    assert "36" in html and filled.store.class_counts()["apple"] == 4 and "40" not in html
    assert "set aside" in html


def test_one_class_alone_is_pointed_out(workspace: Workspace, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "bear" / "1.png")
    run(import_images(workspace, ImportConfig(str(tmp_path / "in"))))
    assert "needs at least two" in overview(workspace)


def test_few_pictures_of_a_class_are_pointed_out_with_its_name_escaped(workspace: Workspace, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "<b>bär" / "1.png")
    picture(tmp_path / "in" / "fox" / "2.png")
    run(import_images(workspace, ImportConfig(str(tmp_path / "in"))))
    assert "Very few pictures of: &lt;b&gt;bär, fox" in overview(workspace)
    assert "<b>" not in overview(workspace) + sample(workspace)


def test_a_newcomer_sees_pictures_of_every_class_before_anything_was_checked(filled: Workspace) -> None:
    html = sample(filled)
    assert html.count("<img") == 21
    assert {name for name in ("apple", "melon", "orange", "pear", "satsuma") if f"<figcaption>{name}" in html} == {
        "apple",
        "melon",
        "orange",
        "pear",
        "satsuma",
    }


def test_a_broken_picture_is_left_out_of_the_sample(workspace: Workspace, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "bear" / "good.png")
    (tmp_path / "in" / "bear" / "bad.jpg").write_bytes(b"\xff\xd8\xffnothing")
    run(import_images(workspace, ImportConfig(str(tmp_path / "in"))))
    assert sample(workspace).count("<img") == 1


def test_what_arrived_last_is_shown_first_while_pictures_come(filled: Workspace, tmp_path: Path) -> None:
    assert newest(Workspace.create(tmp_path / "empty")) == ""
    picture(tmp_path / "in" / "kiwi" / "1.png")
    run(import_images(filled, ImportConfig(str(tmp_path / "in"))))
    html = newest(filled)
    assert "Just arrived" in html and html.count("<img") == 21
    assert html.index("<figcaption>kiwi") < html.index("<figcaption>satsuma")


# --- what was found, and how it ended ------------------------------------------------------------------------------


def found(workspace: Workspace, *urls: str, label: str = "bear") -> None:
    workspace.store.add_candidates({"url": url, "label": label, "provider": "x"} for url in urls)


def failed(
    workspace: Workspace, url: str, reason: str, again: bool = False, label: str = "bear", code: str = "timeout"
) -> None:
    found(workspace, url, label=label)
    row = {"url": url, "label": label, "status": "failed", "code": code, "reason": reason}
    workspace.store.record_downloads([{**row, "sha256": None, "again": int(again)}])


@pytest.mark.parametrize(
    ("asked", "again", "words"),
    [
        (3, 0, "Download 3 pictures"),
        (1, 0, "Download 1 picture"),
        (3, 1, "Download 3 pictures"),
        (12, 12, "Try 12 again"),
    ],
)
def test_the_download_button_says_how_many_are_asked_for(asked: int, again: int, words: str) -> None:
    assert button_text(asked, again) == words


def test_how_many_are_tried_again_is_told_where_others_are_new() -> None:
    assert "2 of them failed before" in tried_again(5, 2)
    assert tried_again(5, 0) == tried_again(5, 5) == ""


def test_there_must_be_something_to_download(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="Search for pictures first"):
        download_job(workspace, DownloadConfig())
    found(workspace, "https://a.example/1.jpg")
    mark(workspace, "bear", None, wanted=False)
    with pytest.raises(UsageError, match="Every picture is unticked"):
        download_job(workspace, DownloadConfig())


def test_only_what_is_ticked_is_asked_for(workspace: Workspace) -> None:
    found(workspace, "http://127.0.0.1:9/wanted.jpg", "http://127.0.0.1:9/not.jpg")
    mark(workspace, "bear", ["http://127.0.0.1:9/not.jpg"], wanted=False)
    job = finished(workspace, download_job(workspace, DownloadConfig(max_side=512, honour_noai=False)))
    assert [result["url"] for result in job.result["results"]] == ["http://127.0.0.1:9/wanted.jpg"]
    assert (job.config["max_side"], job.config["honour_noai"]) == (512, False)


def test_outcomes_are_shown_with_their_sites_and_examples_as_text(workspace: Workspace) -> None:
    url = f"https://site.example/{HOSTILE}.jpg"
    failed(workspace, url, f"It took {HOSTILE} too long. {AGAIN}", again=True, label=HOSTILE)
    html = outcomes_view(outcomes(workspace))
    assert "<b>1</b>" in html and "The site took too long" in html and "1 tried again" in html
    assert "site.example (1)" in html and "https://site.example/&lt;img" in html
    assert "<img" not in html and AGAIN not in html


def test_a_very_long_link_is_shortened(workspace: Workspace) -> None:
    failed(workspace, "https://site.example/" + "x" * 5_000, "Too slow.")
    assert len(outcomes_view(outcomes(workspace))) < 1_500


def test_the_site_that_said_no_most_is_named_at_once(workspace: Workspace) -> None:
    for number, site in enumerate(("a.example", "b.example", "b.example", "c.example")):
        failed(workspace, f"https://{site}/{number}.jpg", "The site refuses (status 403).", code="http_error")
    assert "<small>b.example (2), and 2 other sites</small></span></summary>" in outcomes_view(outcomes(workspace))


def test_the_data_card_and_the_attributions_can_be_taken_along(
    workspace: Workspace, photographs: Path, tmp_path: Path
) -> None:
    assert papers(workspace, tmp_path, anew=False) is None
    run(import_images(workspace, ImportConfig(str(photographs))))
    file = papers(workspace, tmp_path)
    assert file and file.is_relative_to(tmp_path) and papers(workspace, tmp_path) == file
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == [CARD, ATTRIBUTIONS] and b"40 pictures of" in archive.read(CARD)


def test_the_data_card_that_is_taken_along_knows_what_was_removed_since(
    workspace: Workspace, photographs: Path, tmp_path: Path
) -> None:
    run(import_images(workspace, ImportConfig(str(photographs))))
    written = papers(workspace, tmp_path)
    remove(workspace, workspace.store.images()["id"][0])
    assert papers(workspace, tmp_path, anew=False) == written
    file = papers(workspace, tmp_path)
    assert file
    with zipfile.ZipFile(file) as archive:
        assert b"39 pictures of" in archive.read(CARD)


def test_without_downloads_there_is_nothing_to_tell(workspace: Workspace) -> None:
    assert outcomes_view(outcomes(workspace)) == ""


# --- links ---------------------------------------------------------------------------------------------------------


def test_a_link_into_the_own_network_is_not_followed(workspace: Workspace) -> None:
    job = finished(workspace, links_job(workspace, "http://127.0.0.1:9/secret.jpg", "bear"))
    (result,) = job.result["results"]
    assert (job.status, result["status"], result["code"]) == ("done", "failed", "blocked_address")


@pytest.mark.parametrize(
    ("lines", "label", "words"),
    [
        (" ", "bear", "at least one link"),
        ("https://pictures.example/1.jpg", "  ", "Say which class"),
        ("https://pictures.example/1.jpg\npictures.example/2.jpg", "bear", "'pictures.example/2.jpg' is no link"),
    ],
)
def test_a_list_of_links_needs_links_and_a_class(workspace: Workspace, lines: str, label: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        links_job(workspace, lines, label)
    assert not jobs.list_jobs(workspace)


def test_links_stand_one_a_line_or_side_by_side_and_may_have_spaces(workspace: Workspace) -> None:
    lines = "http://127.0.0.1:9/a b.jpg\r\n\n http://127.0.0.1:9/c.jpg  http://127.0.0.1:9/d.jpg"
    job = finished(workspace, links_job(workspace, lines, "bear"))
    assert [result["url"].rpartition("/")[2] for result in job.result["results"]] == ["a b.jpg", "c.jpg", "d.jpg"]


def filled_part(workspace: Workspace) -> dict[str, Any]:
    """What the part of the tab about the web shows: its boxes, its title and its button."""
    part = draw_found()
    box, about, _, fetch, _, ended_box, _ = part.fill(workspace, OpenClass())
    return {"box": box.visible, "about": about, "fetch": (fetch.value, fetch.interactive), "ended": ended_box.visible}


def test_pictures_that_only_failed_are_not_announced_as_found(workspace: Workspace) -> None:
    with gr.Blocks():
        assert filled_part(workspace)["box"] is False
        failed(workspace, "https://a.example/1.jpg", f"It took too long. {AGAIN}", again=True)
        shown = filled_part(workspace)
        assert (shown["about"], shown["fetch"], shown["ended"]) == (MISSED, ("Try 1 again", True), True)
        found(workspace, "https://a.example/2.jpg")
        assert filled_part(workspace)["about"] == PREVIEWED


def test_unticked_pictures_alone_are_no_end_of_a_download(workspace: Workspace) -> None:
    found(workspace, "https://a.example/1.jpg")
    mark(workspace, "bear", None, wanted=False)
    with gr.Blocks():
        assert filled_part(workspace) == {"box": True, "about": PREVIEWED, "fetch": ("Download", False), "ended": False}


def test_what_a_site_does_not_want_trained_on_can_still_be_asked_for_in_the_tab(workspace: Workspace) -> None:
    found(workspace, "http://127.0.0.1:9/1.jpg")
    row = {"url": "http://127.0.0.1:9/1.jpg", "label": "bear", "status": "skipped", "code": "noai", "reason": "No."}
    workspace.store.record_downloads([{**row, "sha256": None, "again": 0}])
    with gr.Blocks():
        shown = filled_part(workspace)
    assert shown["box"] and shown["fetch"] == ("Download", True)
    assert "127.0.0.1 (1)" in outcomes_view(outcomes(workspace)).split("</summary>")[0]
    with pytest.raises(UsageError, match="More options"):
        download_job(workspace, DownloadConfig())
    job = finished(workspace, download_job(workspace, DownloadConfig(honour_noai=False)))
    assert [result["code"] for result in job.result["results"]] == ["blocked_address"]
