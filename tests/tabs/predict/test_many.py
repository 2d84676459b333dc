"""Many pictures at once: the job, the pages of its table, and the file to take away."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.ask.many import SMALL, last_list
from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.tabs.predict.tab import csv_copy, in_sum, list_view, predict_job
from pipeline.workspace.workspace import Workspace


@pytest.fixture
def pictures(starter_folder: Path, tmp_path: Path) -> Path:
    """Seven pictures, one with a hostile name, and one that is none."""
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for number, file in enumerate(sorted((starter_folder / "apple").iterdir())[:6]):
        shutil.copy(file, folder / ("sub" if number % 2 else ".") / file.name)
    shutil.copy(file, folder / "=cmd <b>é.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return folder


def test_a_folder_becomes_a_job_with_a_table_and_a_file(trained: Workspace, pictures: Path, tmp_path: Path) -> None:
    assert list_view(trained)["rows"] is None and last_list(trained) is None
    job = predict_job(trained, None, [str(pictures)], tta=False)
    with pytest.raises(UsageError, match="already"):
        predict_job(trained, None, [str(pictures)], tta=False)
    done = jobs.wait_for(trained, job.id, 120)
    assert done.status == "done" and done.result["asked"] == 8 and done.result["failed"] == 1
    view = list_view(trained)
    assert [row["name"] for row in view["rows"]][:2] == [
        "=cmd <b>é.jpg",
        sorted(p.name for p in pictures.glob("*.jpg"))[1],
    ]
    broken = next(row for row in view["rows"] if row["name"] == "broken.jpg")
    assert broken["failed"] and broken["thumbnail"] is None and broken["remark"]
    shown = [row["thumbnail"] for row in view["rows"] if row["thumbnail"]]
    assert len(shown) == 7 and all(Path(file).is_relative_to(trained.thumbnails / SMALL) for file in shown)
    assert "8 pictures" in view["words"] and "1 could not be used" in view["words"]
    copy = csv_copy(trained, tmp_path / "cache")
    assert '"\'=cmd <b>é.jpg"' in copy.read_text(encoding="utf-8-sig")
    assert list_view(trained, -3)["page"] == list_view(trained, 99)["page"] == 0
    Path(done.result["file"]).unlink()
    assert last_list(trained) is None
    with pytest.raises(UsageError, match="no table any more"):
        csv_copy(trained, tmp_path / "cache")


def test_nothing_chosen_is_said(trained: Workspace) -> None:
    with pytest.raises(UsageError, match="Choose pictures"):
        predict_job(trained, None, [], tta=False)


def test_a_list_in_a_sentence() -> None:
    labels = {f"c{number}": 10 - number for number in range(8)}
    words = in_sum({"asked": 1204, "failed": 4, "unfamiliar": 30, "labels": labels})
    assert words.startswith("1,204 pictures: 10 c0, 9 c1") and "and 2 more classes" in words
    assert "30 of them unlike" in words and words.endswith("4 could not be used.")
    assert "none could be used" in in_sum({"asked": 1, "failed": 1, "unfamiliar": 0, "labels": {}})
