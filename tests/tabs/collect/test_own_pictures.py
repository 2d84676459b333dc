from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from pipeline.collect.importing import ImportConfig
from pipeline.collect.ready_made import READY_MADE
from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.tabs.collect.collected import import_job
from pipeline.tabs.collect.tab import folder_in_words, hub_job, ready_made_choices, size_in_words, upload_job
from pipeline.tabs.page.uploads import KeptFolder, keep_folder
from pipeline.workspace.workspace import Workspace
from tests.support.row_sets import KEPT, dataset, known

NOTHING_SAID = ImportConfig("", local=False)


pytestmark = pytest.mark.usefixtures("kept")


def picture(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((64, 48), 80).convert("RGB").save(file)
    return file


def finished(workspace: Workspace, job: jobs.Job) -> jobs.Job:
    return jobs.wait_for(workspace, job.id, 120)


def test_a_zip_is_imported_by_a_job(workspace: Workspace, tmp_path: Path) -> None:
    upload = tmp_path / "bears.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        archive.write(picture(tmp_path / "1.png"), "grizzly/1.png")
        archive.write(picture(tmp_path / "2.png"), "teddy/2.png")
    job = finished(workspace, upload_job(workspace, [str(upload)], NOTHING_SAID))
    assert (job.status, job.result["added"], job.result["classes"]) == ("done", 2, {"grizzly": 1, "teddy": 1})


def test_loose_pictures_take_the_class_that_was_written_down(workspace: Workspace, tmp_path: Path) -> None:
    files = [str(picture(tmp_path / "a" / "1.png")), str(picture(tmp_path / "b" / "1.png"))]
    job = finished(workspace, upload_job(workspace, files, ImportConfig("", "Grizzly", local=False)))
    assert (job.result["added"], job.result["classes"]) == (2, {"Grizzly": 2})


def test_loose_pictures_take_their_class_from_their_names(workspace: Workspace, tmp_path: Path) -> None:
    files = [str(picture(tmp_path / name)) for name in ("great_pyrenees_1.png", "great_pyrenees_2.png", "pug_7.png")]
    told = ImportConfig("", label_regex=r"^(.+)_\d+", local=False)
    job = finished(workspace, upload_job(workspace, files, told))
    assert job.result["classes"] == {"great_pyrenees": 2, "pug": 1}


def test_a_folder_that_was_sent_is_imported_with_its_class_folders(workspace: Workspace, tmp_path: Path) -> None:
    received = tmp_path / "received"
    names = ["bears/grizzly/1.png", "bears/grizzly/2.png", "bears/Bär & co/3.png"]
    sent = [[str(picture(received / str(number) / "x.png")), name] for number, name in enumerate(names)]
    folder = keep_folder(sent, received)
    job = finished(workspace, import_job(workspace, ImportConfig(folder.path)))
    assert (job.status, job.result["classes"]) == ("done", {"Bär & co": 1, "grizzly": 2})


def test_a_table_in_a_folder_that_was_sent_cannot_name_the_hosts_files(workspace: Workspace, tmp_path: Path) -> None:
    received = tmp_path / "received"
    secret = picture(tmp_path / "host" / "secret.png")
    table = received / "t" / "labels.csv"
    table.parent.mkdir(parents=True)
    table.write_text(f"path,label\n{secret},stolen\n../../host/secret.png,stolen\n1.png,bear\n")
    sent = [[str(table), "in/labels.csv"], [str(picture(received / "p" / "1.png")), "in/1.png"]]
    job = finished(workspace, import_job(workspace, ImportConfig(keep_folder(sent, received).path, local=False)))
    assert job.status == "done" and "stolen" not in job.result["classes"]
    assert len(workspace.store.images()) == 1


@pytest.mark.parametrize(
    ("names", "told", "words"),
    [
        ([], NOTHING_SAID, "Choose files first"),
        (["1.png"], NOTHING_SAID, "which class"),
        (["a.zip", "b.zip"], NOTHING_SAID, "one zip at a time"),
        (["a.zip", "1.png"], ImportConfig("", "x"), "one zip at a time"),
        (["1.png", "2.bin"], NOTHING_SAID, "which class"),
        (["train.csv", "labels.json"], NOTHING_SAID, "no pictures among these"),
        (["labels.json"], NOTHING_SAID, r"labels\.json names pictures that did not come along"),
        (["1.xml"], ImportConfig("", "x"), "did not come along"),
    ],
)
def test_an_upload_that_says_too_little_is_refused_in_words(
    workspace: Workspace, tmp_path: Path, names: list[str], told: ImportConfig, words: str
) -> None:
    files = [tmp_path / name for name in names]
    for file in files:
        file.write_bytes(b"x")
    with pytest.raises(UsageError, match=words):
        upload_job(workspace, [str(file) for file in files], told)


@pytest.mark.parametrize("head", ["path,label", '"PATH" ,label', "label, path", "path;label", "label\tfile_name"])
def test_a_stranger_cannot_read_the_hosts_files_through_a_table(
    workspace: Workspace, tmp_path: Path, head: str
) -> None:
    secret = picture(tmp_path / "host" / "secret.png")
    table = tmp_path / "table.csv"
    mark = next(mark for mark in ",;\t" if mark in head)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        table.write_text(f"{head}\n{secret}{mark}{secret}\n", encoding=encoding)
        with pytest.raises(UsageError, match="did not come along"):
            upload_job(workspace, [str(table)], NOTHING_SAID)


def test_nor_through_lines_of_json(workspace: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "metadata.jsonl"
    table.write_text(json.dumps({"file_name": str(picture(tmp_path / "secret.png")), "label": "x"}))
    with pytest.raises(UsageError, match="did not come along"):
        upload_job(workspace, [str(table)], NOTHING_SAID)


def test_a_table_with_paths_is_fine_on_ones_own_machine(workspace: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"path,label\n{picture(tmp_path / 'mine.png')},bear\n")
    job = finished(workspace, upload_job(workspace, [str(table)], ImportConfig("")))
    assert job.result["added"] == 1


@pytest.mark.parametrize("local", [True, False])
def test_a_table_brings_its_pictures_along(workspace: Workspace, tmp_path: Path, local: bool) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n1.png,bear\n2.png,bear\n3.png,teddy\n")
    told = ImportConfig("", local=local)
    with pytest.raises(UsageError, match=r"labels\.csv names pictures that did not come along. Choose them together"):
        upload_job(workspace, [str(table)], told)
    files = [table, *(picture(tmp_path / f"{number}.png") for number in (1, 2, 3))]
    job = finished(workspace, upload_job(workspace, [str(file) for file in files], told))
    assert (job.status, job.result["classes"]) == ("done", {"bear": 2, "teddy": 1})


def test_two_collections_at_once_are_refused(workspace: Workspace, photographs: Path) -> None:
    first = import_job(workspace, ImportConfig("starter"))
    with pytest.raises(UsageError, match="being collected already"):
        import_job(workspace, ImportConfig(str(photographs)))
    jobs.cancel(workspace, first.id)
    jobs.wait_for(workspace, first.id, 60)


def test_the_well_known_sets_are_offered_with_their_size_and_huge_ones_not_to_visitors() -> None:
    every = ready_made_choices()
    assert [name for _, name in every] == sorted(READY_MADE)
    assert ("MNIST_SAMPLE, 3.2 MB", "MNIST_SAMPLE") in every
    few = [name for _, name in ready_made_choices(1_000_000)]
    assert "FOOD" not in few and "MNIST_TINY" in few


@pytest.mark.parametrize(
    ("size", "words"), [(342_207, "0.3 MB"), (99_003_388, "99 MB"), (1_150_585_339, "1.2 GB"), (56 * 10**9, "56 GB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_in_words(size) == words


def test_what_came_of_a_folder_is_told_with_what_was_lost() -> None:
    assert folder_in_words(KeptFolder("x", 1, 0), 0) == "1 file here. Press Import to see how they are read."
    assert "3 files could not be sent" in folder_in_words(KeptFolder("x", 2, 1), 2)
    assert "could not" not in folder_in_words(KeptFolder("x", 2, 0), "hostile")


def test_parquet_files_are_read_whether_one_or_several(workspace: Workspace, tmp_path: Path) -> None:
    files = []
    for name, start in (("train-00000-of-00001", 0), ("test-00000-of-00001", 4)):
        dataset(known(4, start)).to_parquet(tmp_path / f"{name}.parquet")
        files.append(str(tmp_path / f"{name}.parquet"))
    told = ImportConfig("", local=False)
    assert finished(workspace, upload_job(workspace, files[:1], told)).result["added"] == 4
    job = finished(workspace, upload_job(workspace, files, told))
    assert job.result["added"] == 4 and job.result["read"][KEPT[0]] == {"train": 1, "test": 1}


def test_a_data_set_of_hugging_face_is_named_in_the_field(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="Write the name of a data set first"):
        hub_job(workspace, "  ", 0)
    with pytest.raises(UsageError, match="hf:OWNER/NAME"):
        hub_job(workspace, "fish", 0)
    job = hub_job(workspace, "https://huggingface.co/datasets/ann/fish", 12)
    assert (job.config["source"], job.config["maximum"], job.config["dry_run"]) == (
        "https://huggingface.co/datasets/ann/fish",
        12,
        True,
    )
    assert finished(workspace, job).status == "failed"  # it is switched off in the tests
