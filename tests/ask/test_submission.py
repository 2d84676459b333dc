"""A submission has exactly the rows and columns of its sample, whatever pictures there are."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cli
from pipeline.ask.submission import Sample, submit
from pipeline.errors import PipelineError, SourceError, UsageError
from pipeline.stage import run
from pipeline.workspace.runs import Run
from tests.support.paths import ROOT
from tests.support.shelf import CLASSES


@pytest.fixture
def pictures(starter_folder: Path, tmp_path: Path) -> Path:
    """Three pictures of an apple, a melon and a pear, the last one damaged."""
    folder = tmp_path / "test_images"
    folder.mkdir()
    for name in CLASSES:
        (folder / f"Test_{name}.jpg").write_bytes(next((starter_folder / name).iterdir()).read_bytes())
    (folder / "Test_pear.jpg").write_bytes(b"nothing")
    return folder


def table(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.reader(opened))


def sample(folder: Path, text: str, name: str = "sample_submission.csv") -> Path:
    (folder / name).write_bytes(text.encode("utf-8"))
    return folder / name


def test_a_label_for_each_id_with_and_without_ending_and_what_is_missing(
    tiny_run: Run, pictures: Path, tmp_path: Path
) -> None:
    wanted = sample(tmp_path, "image_id,label\ntest_MELON,pear\nTest_apple.jpg,pear\nTest_pear,x\nTest_9,y\n")
    done = run(submit(tiny_run.folder, pictures, wanted, tmp_path / "out.csv"))
    assert (done.rows, done.missing) == (4, ("Test_pear", "Test_9"))
    header, *rows = table(tmp_path / "out.csv")
    assert header == ["image_id", "label"] and [row[0] for row in rows] == [
        "test_MELON",
        "Test_apple.jpg",
        "Test_pear",
        "Test_9",
    ]
    assert {rows[0][1], rows[1][1]} <= {*CLASSES} and [row[1] for row in rows[2:]] == ["x", "y"]


def test_a_probability_for_each_class_in_the_order_of_the_columns(
    tiny_run: Run, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = sample(tmp_path, '﻿"Id";"Pear";"apple";"Melon"\r\nTest_apple;0.3;0.3;0.3\r\nTest_melon;0;0;0\r\n')
    words = ["predict", str(tiny_run.folder), str(pictures), "--sample", str(wanted), "--out", str(tmp_path / "o.csv")]
    assert cli.main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": 2, "missing": [], "file": str(tmp_path / "o.csv")}
    text = (tmp_path / "o.csv").read_bytes().decode()
    assert text.startswith("Id;Pear;apple;Melon\r\n") and text.count("\r\n") == 3
    for line in text.splitlines()[1:]:
        assert sum(map(float, line.split(";")[1:])) == pytest.approx(1, abs=1e-5)


def test_a_column_of_numbers_is_the_probability_of_the_class_that_is_said(
    tiny_run: Run, pictures: Path, tmp_path: Path
) -> None:
    wanted = sample(tmp_path, "id,label\nTest_apple,0.5\nTest_melon,0.5\n")
    with pytest.raises(UsageError, match="--positive"):
        run(submit(tiny_run.folder, pictures, wanted, tmp_path / "out.csv"))
    run(submit(tiny_run.folder, pictures, wanted, tmp_path / "out.csv", positive="Apple"))
    apple, melon = (float(row[1]) for row in table(tmp_path / "out.csv")[1:])
    run(
        submit(
            tiny_run.folder, pictures, sample(tmp_path, "id,apple\nTest_apple,0\nTest_melon,0\n"), tmp_path / "p.csv"
        )
    )
    assert [float(row[1]) for row in table(tmp_path / "p.csv")[1:]] == [apple, melon] and apple > melon


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs a column of ids"),
        ("id\n1\n", "needs a column of ids"),
        ("id,label\n", "needs a column of ids"),
        ("id,label\n1,a,b\n", "Row 2"),
        ("id,apple,lemon\nTest_apple,0,0\n", "lemon"),
        ("id,label\nnobody,pear\n", "None of the 1 ids"),
    ],
)
def test_a_sample_that_asks_for_what_is_not_there_is_one_sentence(
    text: str, says: str, tiny_run: Run, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(PipelineError, match=says):
        run(submit(tiny_run.folder, pictures, sample(tmp_path, text), tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path) -> None:
    for data in (b"\xff\xfe\x00", b"PK\3\4\0\0"):
        (tmp_path / "s.csv").write_bytes(data)
        with pytest.raises(SourceError):
            Sample.read(tmp_path / "s.csv")
    with pytest.raises(SourceError, match="cannot be read"):
        Sample.read(tmp_path / "nothing.csv")


CELL = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)


@given(st.data())
def test_what_is_read_is_written_as_it_was(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    width = data.draw(st.integers(2, 4))
    line = st.lists(CELL, min_size=width, max_size=width).map(tuple)
    columns = data.draw(st.lists(st.sampled_from("abcdefgh"), min_size=width, max_size=width, unique=True))
    rows = data.draw(st.lists(line.filter(any), min_size=1, max_size=5))
    first = Sample(
        tuple(columns), tuple(rows), data.draw(st.sampled_from(",;\t")), data.draw(st.sampled_from(["\n", "\r\n"]))
    )
    file = tmp_path_factory.mktemp("sample") / "s.csv"
    file.write_text(first.text(rows), encoding="utf-8", newline="")
    read = Sample.read(file)
    assert (read.columns, read.rows) == (first.columns, first.rows)


def test_the_command_wants_all_three(tiny_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", str(tiny_run.folder), "x", "--sample", "s.csv"]) == 2
    assert "--out FILE.csv" in capsys.readouterr().err


@pytest.mark.slow
def test_the_documented_way_through_a_competition_fills_every_row(
    starter_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    competition = tmp_path / "leaves"
    named, asked = ["image_id,label"], ["image_id,label"]
    for label in CLASSES:
        for number, picture in enumerate(sorted((starter_folder / label).iterdir())[:12]):
            folder = competition / ("train_images" if number < 10 else "test_images")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{label[0]}{number}.jpg").write_bytes(picture.read_bytes())
            (named if number < 10 else asked).append(f"{label[0]}{number},{label if number < 10 else CLASSES[0]}")
    (competition / "train.csv").write_text("\n".join(named))
    sample(competition, "\n".join((*asked, "gone,apple")) + "\n")
    monkeypatch.chdir(tmp_path)
    commands = (ROOT / "docs" / "kaggle.md").read_text(encoding="utf-8").partition("```sh\n")[2].partition("```")[0]
    for line in commands.splitlines():
        words = shlex.split(line.partition("  #")[0])[2:]
        words = [str(next(iter(tmp_path.glob(word)), word)) if "*" in word else word for word in words]
        assert cli.main(words) == 0, capsys.readouterr().err
    header, *rows = table(tmp_path / "submission.csv")
    assert header == ["image_id", "label"] and [row[0] for row in rows] == [
        line.split(",")[0] for line in asked[1:]
    ] + ["gone"]
    right = sum(row[1].startswith(row[0][0]) for row in rows[:-1])
    assert right >= 3 and {row[1] for row in rows} <= {*CLASSES}  # of 30 pictures not much is learnt
    assert rows[-1] == ["gone", "apple"] and "gone" in capsys.readouterr().out
