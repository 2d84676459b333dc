from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from pipeline import jobs
from pipeline.errors import SourceError, UsageError
from pipeline.importing import ImportConfig, import_images
from pipeline.stage import run
from pipeline.tabs.collect import (
    UPLOADS,
    download_job,
    import_job,
    keep_uploads,
    links_job,
    search_job,
    upload_job,
    wanted_classes,
)
from pipeline.tabs.collected import candidates_view, overview, sample
from pipeline.workspace import Workspace


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Uploads are kept in a folder of this test's own."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


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
        "apple", "melon", "orange", "pear", "satsuma",
    }  # fmt: skip


def test_a_broken_picture_is_left_out_of_the_sample(workspace: Workspace, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "bear" / "good.png")
    (tmp_path / "in" / "bear" / "bad.jpg").write_bytes(b"\xff\xd8\xffnothing")
    run(import_images(workspace, ImportConfig(str(tmp_path / "in"))))
    assert sample(workspace).count("<img") == 1


def test_a_candidate_cannot_smuggle_markup_or_inner_addresses_into_the_preview(workspace: Workspace) -> None:
    links = [
        'https://pictures.example/a.jpg"onerror="alert(1)',
        "https://192.168.0.1/b.jpg",
        "http://pictures.example/c.jpg",
        "https://router.local/d.jpg",
    ]
    workspace.store.add_candidates(
        {"url": url, "label": "<i>bear", "provider": "x", "title": "<script>", "licence": "<b>"} for url in links
    )
    html = candidates_view(workspace)
    assert html.count("<img") == 1 and 'onerror="' not in html
    assert not any(tag in html for tag in ("<script>", "<i>", "<b>"))
    assert "4 pictures found" in html


@pytest.mark.parametrize(
    ("lines", "classes"),
    [
        (
            "grizzly = bear in the wild\n\n black bear \n",
            [("grizzly", "bear in the wild"), ("black bear", "black bear")],
        ),
        ("bär=", [("bär", "bär")]),
        ("a = b = c", [("a", "b = c")]),
    ],
)
def test_a_line_is_a_class_and_what_to_search_for(lines: str, classes: list[tuple[str, str]]) -> None:
    assert list(wanted_classes(lines)) == classes


def test_a_search_for_nothing_is_refused_with_an_example() -> None:
    with pytest.raises(UsageError, match="grizzly bear"):
        list(wanted_classes(" \n"))


def test_a_zip_is_imported_by_a_job(workspace: Workspace, tmp_path: Path) -> None:
    upload = tmp_path / "bears.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        archive.write(picture(tmp_path / "1.png"), "grizzly/1.png")
        archive.write(picture(tmp_path / "2.png"), "teddy/2.png")
    job = finished(workspace, upload_job(workspace, [str(upload)], "", local=False))
    assert (job.status, job.result["added"], job.result["classes"]) == ("done", 2, {"grizzly": 1, "teddy": 1})


def test_loose_pictures_take_the_class_that_was_written_down(workspace: Workspace, tmp_path: Path) -> None:
    files = [str(picture(tmp_path / "a" / "1.png")), str(picture(tmp_path / "b" / "1.png"))]
    job = finished(workspace, upload_job(workspace, files, " Grizzly ", local=False))
    assert (job.result["added"], job.result["classes"]) == (2, {"Grizzly": 2})


@pytest.mark.parametrize(
    ("names", "label", "words"),
    [
        ([], "", "Choose files first"),
        (["1.png"], " ", "which class"),
        (["a.zip", "b.zip"], "", "one zip or CSV"),
        (["a.zip", "1.png"], "x", "one zip or CSV"),
    ],
)
def test_an_upload_that_says_too_little_is_refused_in_words(
    workspace: Workspace, tmp_path: Path, names: list[str], label: str, words: str
) -> None:
    files = [tmp_path / name for name in names]
    for file in files:
        file.write_bytes(b"x")
    with pytest.raises(UsageError, match=words):
        upload_job(workspace, [str(file) for file in files], label, local=True)


def test_a_stranger_cannot_read_the_hosts_files_through_a_table(workspace: Workspace, tmp_path: Path) -> None:
    secret = picture(tmp_path / "host" / "secret.png")
    table = tmp_path / "table.csv"
    for head in ("path,label", '"PATH" ,label', "label, path"):
        table.write_text(f"{head}\n{secret},x\n")
        with pytest.raises(UsageError, match="files of a machine"):
            upload_job(workspace, [str(table)], "", local=False)


def test_a_table_with_paths_is_fine_on_ones_own_machine(workspace: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"path,label\n{picture(tmp_path / 'mine.png')},bear\n")
    assert finished(workspace, upload_job(workspace, [str(table)], "", local=True)).result["added"] == 1


def test_uploads_are_kept_for_a_day_and_old_ones_are_forgotten(tmp_path: Path, uploads: Path) -> None:
    first = keep_uploads([picture(tmp_path / "a" / "1.png"), picture(tmp_path / "b" / "1.png")])
    assert len(list(first.iterdir())) == 2 and first.name.startswith(UPLOADS)
    os.utime(first, (time.time() - 90_000,) * 2)
    second = keep_uploads([picture(tmp_path / "c.png")])
    assert not first.exists() and second.exists()


def test_two_collections_at_once_are_refused(workspace: Workspace, photographs: Path) -> None:
    first = import_job(workspace, "starter")
    with pytest.raises(UsageError, match="being collected already"):
        import_job(workspace, str(photographs))
    jobs.cancel(workspace, first.id)
    jobs.wait_for(workspace, first.id, 60)


def test_an_offline_search_fails_with_what_to_do_instead(workspace: Workspace) -> None:
    job = finished(workspace, search_job(workspace, "grizzly", 10, "duckduckgo"))
    assert job.status == "failed" and "cannot be reached" in job.note and "starter set" in job.note


def test_there_must_be_something_to_download(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="Search for pictures first"):
        download_job(workspace)


def test_a_link_into_the_own_network_is_not_followed(workspace: Workspace) -> None:
    job = finished(workspace, links_job(workspace, "http://127.0.0.1:9/secret.jpg", "bear"))
    (result,) = job.result["results"]
    assert (job.status, result["status"], result["code"]) == ("done", "failed", "blocked_address")


@pytest.mark.parametrize(
    ("lines", "label", "error"), [("", "bear", UsageError), ("https://pictures.example/1.jpg", "  ", SourceError)]
)
def test_a_list_of_links_needs_links_and_a_class(
    workspace: Workspace, lines: str, label: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        links_job(workspace, lines, label)
