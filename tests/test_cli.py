"""The command line's contract: commands, JSON keys, exit codes; and README's tour, whole."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import cli
from tests.support.importing import picture
from tests.support.paths import ROOT
from tests.support.site import Site, reply


class Terminal:
    """Runs commands in this process and keeps what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object, code: int = 0) -> Any:
        self.capsys.readouterr()
        assert self.exit_code(*arguments, "--json") == code, self.capsys.readouterr().err
        out, self.err = self.capsys.readouterr()
        return json.loads(out) if code == 0 else out

    def exit_code(self, *arguments: object) -> int:
        try:
            return cli.main([str(argument) for argument in arguments])
        except SystemExit as stopped:  # argparse's own way out
            return int(stopped.code or 0)


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


def test_labels_that_were_corrected_are_taken_when_asked_for_and_one_undo_takes_them_back(
    terminal: Terminal, tmp_path: Path
) -> None:
    ws = tmp_path / "ws"
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    for told, labels in ((), "cat cat dog"), ((), "dog cat owl"), (("--relabel",), "dog cat owl"):
        rows = [f"{number}.png,{label}" for number, label in enumerate(labels.split())]
        (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
        imported = terminal("import", ws, tmp_path / "t.csv", *told)
    assert [{**row, "id": ""} for row in imported["labels_differ"]] == [
        {"id": "", "before": "cat", "after": "dog"},
        {"id": "", "before": "dog", "after": "owl"},
    ]
    assert (imported["duplicates"], imported["relabelled"], imported["classes"]) == (
        1,
        2,
        {"cat": 1, "dog": 1, "owl": 1},
    )
    assert len(terminal("undo", ws)["decisions"]) == 2
    assert [row["label"] for row in terminal("images", ws)["images"]] == ["cat", "cat", "dog"]


@pytest.mark.slow
def test_the_whole_tour_runs_and_every_document_has_the_promised_keys(
    terminal: Terminal, photographs: Path, tmp_path: Path
) -> None:
    ws = tmp_path / "Bären und Pilze"
    imported = terminal("import", ws, photographs)
    assert imported["added"] == 40 and imported["duplicates"] == 0 and imported["failed"] == []
    assert imported["classes"] == {"apple": 8, "melon": 8, "orange": 8, "pear": 8, "satsuma": 8}

    verified = terminal("verify", ws)
    assert verified["checked"] == verified["ok"] == 40
    assert verified["set_aside"] == verified["duplicate_groups"] == verified["label_conflicts"] == []

    rows = terminal("images", ws, "--status", "ok")["images"]
    promised = {
        "id",
        "file",
        "label",
        "original_label",
        "split",
        "group",
        "status",
        "reason",
        "width",
        "height",
        "source",
    }
    assert len(rows) == 40 and promised <= rows[0].keys()
    assert {row["split"] for row in rows} == {"train", "valid", "test"}

    first = terminal("train", ws, "--epochs", 0, "--image-size", 64, "--note", "before")
    assert {"run", "classes", "epochs", "test"} <= first.keys() and first["classes"] == sorted(imported["classes"])
    assert {"epoch", "train_loss", "valid_loss", "error_rate", "seconds"} <= first["epochs"][0].keys()
    assert {"error_rate", "low", "high", "n"} <= first["test"].keys()

    reviewed = terminal("review", ws, "--run", first["run"], "--split", "valid")
    assert sum(map(sum, reviewed["confusion"])) == sum(row["split"] == "valid" for row in rows)
    assert {"id", "file", "actual", "predicted", "loss", "probability"} <= reviewed["top_losses"][0].keys()

    queue = terminal("suspects", ws)["suspects"]
    assert queue and {"id", "file", "label", "suggested", "score", "why"} <= queue[0].keys()
    locked = {row["id"] for row in rows if row["split"] == "test"}
    assert not locked & {row["id"] for row in queue}

    terminal("decide", ws, "--id", queue[0]["id"], "--relabel", "pear")
    terminal("decide", ws, "--id", queue[1]["id"], "--remove")
    terminal("decide", ws, "--id", queue[2]["id"], "--keep")
    assert terminal("undo", ws)["decisions"][0]["id"] == terminal("redo", ws)["decisions"][0]["id"]
    assert terminal("undo", ws, "--count", 2)["decisions"][-1]["id"]
    journal = terminal("decisions", ws)["decisions"]
    assert [row["undone"] for row in journal] == [False, True, True]
    assert {"id", "image", "action", "before", "after", "at", "undone"} <= journal[0].keys()

    second = terminal("train", ws, "--epochs", 1, "--image-size", 64, "--batch-size", 8, "--note", "after")
    compared = terminal("compare", ws, first["run"], second["run"])
    assert {"a", "b", "difference", "low", "high", "verdict"} <= compared.keys()
    assert compared["verdict"] in ("better", "worse", "cannot be told apart")
    assert len(compared["fixed_images"]) == compared["fixed"] and len(compared["broken_images"]) == compared["broken"]
    assert {"needed", "notes", "words"} <= compared.keys()
    before, after = terminal("ledger", ws)["runs"]
    assert (before["run"], after["run"], after["against"]) == (first["run"], second["run"], first["run"])
    assert (before["decisions"], after["decisions"]) == (0, 1) and after["verdict"] == compared["verdict"]
    assert len(before["data_version"]) == 64 and before["train"] + before["valid"] + before["test"] == 40

    exported = terminal("export", ws, second["run"], tmp_path / "space", "--space")
    assert "app.py" in exported["files"] and exported["parity"]["images"] == 10
    assert exported["parity"]["max_difference"] <= 1e-4

    pictures = sorted((photographs / "pear").iterdir())[:2]
    predicted = terminal("predict", tmp_path / "space", *pictures)["predictions"]
    assert [row["path"] for row in predicted] == [str(picture) for picture in pictures]
    assert sum(predicted[0]["probabilities"].values()) == pytest.approx(1)
    assert {"label", "probability", "unfamiliar"} <= predicted[0].keys()
    assert terminal("jobs", ws) == {"jobs": []}


def test_a_download_says_of_every_url_how_it_ended(
    terminal: Terminal, site: Site, photographs: Path, tmp_path: Path
) -> None:
    picture = next((photographs / "pear").iterdir()).read_bytes()
    site.pages = {"/1.jpg": reply(picture), "/2.jpg": reply(picture), "/3.jpg": reply(b"<html>")}
    site.pages["/4.jpg"] = reply(picture, "X-Robots-Tag: noai")
    urls, ws = tmp_path / "urls.csv", tmp_path / "ws"
    rows = [("url", "label"), *((f"http://{site.host}/{number}.jpg", "pear") for number in range(1, 6))]
    urls.write_text("\n".join(map(",".join, [*rows, ("http://127.0.0.1:9/6.jpg", "pear")])))
    done = terminal("download", ws, "--urls", urls, "--allow-host", site.host)
    assert (done["downloaded"], done["failed"]) == (1, 3)
    assert all({"url", "status", "code", "reason", "sha256"} <= row.keys() for row in done["results"])
    ended = {row["url"].rpartition("/")[2]: (row["status"], row["code"]) for row in done["results"]}
    assert sorted([ended.pop("1.jpg"), ended.pop("2.jpg")]) == [("duplicate", None), ("stored", None)]
    assert ended == {
        "3.jpg": ("failed", "not_image"),
        "4.jpg": ("skipped", "noai"),
        "5.jpg": ("failed", "http_error"),
        "6.jpg": ("failed", "blocked_address"),
    }
    again = terminal("download", ws, "--urls", urls, "--allow-host", site.host)
    assert again["downloaded"] == 0 and len(again["results"]) == 6
    assert {path: len(hits) for path, hits in site.hits.items()} == dict.fromkeys(site.hits, 1)
    terminal("download", ws, "--allow-host", "all", code=2)
    terminal("download", ws, "--urls", tmp_path / "nothing.csv", code=1)
    assert "nothing.csv" in terminal.err and terminal.err.strip().count("\n") == 0


def test_check_tells_the_verdict_of_files_without_a_workspace(
    terminal: Terminal, photographs: Path, tmp_path: Path
) -> None:
    good = next((photographs / "apple").iterdir())
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(good.read_bytes()[:3000])
    found = terminal("check", good, cut, tmp_path / "nothing.jpg")["files"]
    assert [row["verdict"] for row in found] == ["ok", "truncated", "empty"]
    wanted = {"path", "verdict", "reason", "format", "mode", "width", "height", "frames", "exif_orientation"}
    assert all(wanted == row.keys() for row in found)


def test_backbones_lists_the_offline_one_first(terminal: Terminal) -> None:
    found = terminal("backbones", "lite0")["backbones"]
    assert found[0]["name"] == "tf_efficientnet_lite0" and found[0]["offline"] is True
    assert found[0]["params_m"] == pytest.approx(4.65, abs=0.02)
    assert not any(row["offline"] for row in terminal("backbones", "resnet50")["backbones"])


@pytest.mark.slow
def test_lr_find_suggests_a_rate_on_its_curve(terminal: Terminal, photographs: Path, tmp_path: Path) -> None:
    terminal("import", tmp_path / "ws", photographs)
    found = terminal("lr-find", tmp_path / "ws", "--image-size", 64, "--batch-size", 8)
    rates = [rate for rate, _ in found["curve"]]
    assert rates == sorted(rates) and rates[0] < found["suggestion"] < rates[-1]


@pytest.mark.parametrize(
    "arguments",
    [(), ("train",), ("fly", "ws"), ("decide", "ws", "--id", "x"), ("train", "ws", "--epochs", "many")],
)
def test_wrong_usage_is_exit_code_2(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    assert terminal.exit_code(*arguments) == 2


def test_values_out_of_range_are_wrong_usage_with_the_rule(
    terminal: Terminal, photographs: Path, tmp_path: Path
) -> None:
    terminal("import", tmp_path / "ws", photographs)
    terminal("train", tmp_path / "ws", "--epochs", -1, code=2)
    assert "0 or more" in terminal.err


def test_a_workspace_that_is_not_there_is_one_line_and_exit_code_1(terminal: Terminal, tmp_path: Path) -> None:
    for command in (["verify"], ["images"], ["train"], ["suspects"], ["undo"], ["jobs"]):
        out = terminal(command[0], tmp_path / "nowhere", code=1)
        assert out == "" and terminal.err.count("\n") == 1 and "no workspace" in terminal.err


def test_too_little_data_is_said_before_any_long_work(terminal: Terminal, photographs: Path, tmp_path: Path) -> None:
    one_class = tmp_path / "one"
    terminal("import", one_class, photographs / "apple", "--label", "苹果")
    terminal("train", one_class, code=1)
    assert "苹果" in terminal.err and "at least 2 classes" in terminal.err
    two = tmp_path / "two"
    for label in ("apple", "pear"):
        picture = next((photographs / label).iterdir())
        terminal("import", two, _table(tmp_path, [(str(picture), label)]))
    terminal("train", two, code=1)
    assert "at least 2" in terminal.err


def test_a_folder_that_cannot_be_written_is_said_in_one_line(
    terminal: Terminal, photographs: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    terminal("import", tmp_path / "file" / "ws", photographs, code=1)
    assert "cannot be written" in terminal.err


def test_half_a_gigabyte_of_junk_is_told_and_what_is_good_beside_it_is_taken(
    terminal: Terminal, photographs: Path, tmp_path: Path
) -> None:
    for name in ("junk", "junk.zip", "pictures/apple/junk.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with (tmp_path / name).open("wb") as file:
            file.truncate(500 << 20)
    for name in ("junk", "junk.zip"):
        terminal("import", tmp_path / "ws", tmp_path / name, code=1)
        assert terminal.err.count("neither a folder, nor a .zip") == 1
    shutil.copy(next((photographs / "apple").iterdir()), tmp_path / "pictures" / "apple" / "good.jpg")
    imported = terminal("import", tmp_path / "ws", tmp_path / "pictures")
    assert imported["added"] == 1 and [row["path"] for row in imported["failed"]] == ["apple/junk.jpg"]
    assert "larger than 64 MiB" in imported["failed"][0]["reason"]


def test_an_empty_folder_and_an_empty_workspace_say_what_to_do(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    terminal("import", tmp_path / "ws", tmp_path / "nothing", code=1)
    assert "no pictures" in terminal.err
    assert terminal("verify", tmp_path / "ws")["checked"] == 0
    terminal("train", tmp_path / "ws", code=1)
    assert "Import some" in terminal.err
    terminal("review", tmp_path / "ws", code=1)
    assert "Train a model first" in terminal.err


@pytest.mark.slow
def test_a_stopped_command_exits_130_and_the_workspace_opens(
    terminal: Terminal, photographs: Path, tmp_path: Path
) -> None:
    """Stopped as by a terminal that is closed: nobody reads what is said any more, and a second signal follows."""
    ws = tmp_path / "ws"
    terminal("import", ws, photographs)
    process = subprocess.Popen(
        [sys.executable, "cli.py", "train", str(ws), "--image-size", "64", "--epochs", "500", "--batch-size", "8"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("Epoch"):
            break
    process.send_signal(getattr(signal, "SIGHUP", signal.SIGINT))
    process.stderr.close()
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert process.wait(30) == 130
    assert time.monotonic() - began < 10
    (kept,) = (ws / "runs").iterdir()  # the best model so far, whole
    assert json.loads((kept / "run.json").read_text(encoding="utf-8"))["complete"] is False
    assert cli.main(["predict", str(kept), str(next(photographs.rglob("*.jpg")))]) == 0
    listed = subprocess.run(
        [sys.executable, "cli.py", "images", str(ws), "--json"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert len(json.loads(listed.stdout)["images"]) == 40


def _table(folder: Path, rows: list[tuple[str, str]]) -> Path:
    file = folder / "table.csv"
    with file.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([("path", "label"), *rows])
    return file
