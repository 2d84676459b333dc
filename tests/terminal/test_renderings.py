"""What a person reads of each command's result, and that --json has the same keys as ever."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

import cli
from cleaner.clean.decisions import decide, decisions, redo_step, remove, rename, undo_step, wish
from cleaner.clean.replay import export_decisions, replay
from cleaner.clean.suspects import suspects
from cleaner.compare.compare import compare
from cleaner.compare.ledger import ledger
from cleaner.review.review import review
from pipeline.ask.many import predict_paths
from pipeline.collect.download import Downloaded, Result
from pipeline.dataset.export import ExportedDataset, NotExported
from pipeline.deploy.export import Exported
from pipeline.deploy.hub import Deployed
from pipeline.deploy.trial import Agreement, Tried
from pipeline.jobs.job import list_jobs, write_json
from pipeline.model.backbones import list_backbones
from pipeline.search.candidates import Candidate
from pipeline.search.search import Found, Problem
from pipeline.stage import run
from pipeline.terminal.about_runs import review as review_lines
from pipeline.terminal.known import Known
from pipeline.terminal.pictures import images_here
from pipeline.terminal.renderings import RENDERINGS, rendered
from pipeline.terminal.show import document_of
from pipeline.terminal.tables import Column, cut, table
from pipeline.train.lr_finder import LrFound
from pipeline.verify.findings import SetAside, verified
from pipeline.verify.verify import VerifyConfig, check_files
from pipeline.workspace.runs import Run, load_run
from pipeline.workspace.workspace import Workspace

ODD = "熊/\x1b[31m=Bär\u202e🐻 [bold]x[/bold] :smile:\n.jpg"
Results = Mapping[str, Any]


@pytest.fixture(scope="module")
def place(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of the workspace with the tiny run, in which some things are decided and a job has ended."""
    copy = tmp_path_factory.mktemp("rendered") / "ws"
    shutil.copytree(tiny_run.folder.parents[1], copy, ignore=shutil.ignore_patterns("cache"))
    workspace = Workspace.open(copy)
    for name in ("20261201-130524-train-aaaaaa", "20261201-130525-verify-bbbbbb"):
        (copy / "jobs" / name).mkdir(parents=True)
        about = {"stage": name.split("-")[2], "config": {}, "workspace": "", "grace_seconds": 1}
        write_json(copy / "jobs" / name / "job.json", {**about, "at": "2026-12-01T13:05:24+00:00"})
        write_json(copy / "jobs" / name / "process.json", {"pid": 1, "created": 0})
        event = '{"kind": "progress", "done": 30, "total": 60, "note": "Epoch 1 of 2", "metrics": {}}\n'
        (copy / "jobs" / name / "events.jsonl").write_text(event)
    return workspace


@pytest.fixture(scope="module")
def results(place: Workspace, exported_model: Exported, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The result of each command, as a document."""
    temporary = tmp_path_factory.mktemp("results")
    trained = load_run(place)
    pictures = sorted(place.images.rglob("*.jpg"))[:2]
    (temporary / "none.jpg").write_bytes(b"nothing")
    queue = suspects(place, trained)
    first, second = (str(one) for one in queue["id"][:2])
    found: dict[str, Any] = {
        "verify": verified(place),
        "images": {"images": images_here(place)},
        "train": {"run": trained.id, **{key: value for key, value in trained.record.items() if key != "id"}},
        "review": review(place, trained, "valid"),
        "suspects": {"suspects": queue.to_dict("records")},
        "compare": compare(place, trained, trained),
        "ledger": ledger(place),
        "decide": {"decisions": [decide(place, wish("relabel", first, "quince"))]},
        "rename": rename(place, "melon", "honeydew"),
        "undo": {"decisions": undo_step(place)},
        "redo": {"decisions": redo_step(place)},
    }
    undo_step(place)
    remove(place, second)
    found["decisions"] = {"decisions": decisions(place)}
    export_decisions(place, temporary / "out.csv")
    text = (temporary / "out.csv").read_text(encoding="utf-8").replace('"quince"', '"fig"')
    (temporary / "in.csv").write_text(text, encoding="utf-8")
    found["replay"] = replay(place, temporary / "in.csv")
    asked = [*map(str, pictures), str(temporary / "none.jpg")]
    found["predict"] = run(predict_paths(exported_model.folder, asked, False, None))
    checked = run(check_files(asked, VerifyConfig(workers=1)))
    found["check"] = {"files": [{"path": path, **verdict.to_json()} for path, verdict in checked]}
    kinds = [{**asdict(one), "offline": one.offline} for one in list_backbones("lite")]
    candidates = (
        Candidate("https://a.example/1.jpg", "apple", "openverse", licence="by"),
        Candidate("u", "pear", "urls"),
    )
    ended = [Result(f"https://a.example/{n}.jpg", "apple", "failed", "http_error", "It says 404.") for n in range(30)]
    agreed = asdict(Agreement(7, 1e-7, "pear.jpg", True))
    found |= {
        "backbones": {"backbones": kinds},
        "search": Found(candidates, 2, (Problem("pear", "pear", "rate", "Wait a minute.", "openverse"),)),
        "download": Downloaded((*ended, Result("v", "pear", "stored", sha256="a" * 64)), 1, 30, ("Line 2 is empty.",)),
        "lr-find": LrFound(0.0021, ((1e-5, 2.0), (1e-3, 1.0)), 0.004),
        "export": exported_model,
        "test-space": Tried(agreed, "a fresh environment", "f" * 64, 3.1, 4.2, 0.3, 233.0),
        "deploy": Deployed("https://huggingface.co/spaces/ann/fruit"),
        "card": {"files": ["data_card.md", "attributions.csv"]},
        "dataset": ExportedDataset(
            "fruit-data", 61, 0, 60, 60, 1, (NotExported("a.jpg", "It is cut off."),), {"apple": 20}
        ),
        "jobs": {"jobs": list_jobs(place)},
        "cancel": {"jobs": list_jobs(place)[:1]},
    }
    return {name: document_of(result) for name, result in found.items()}


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def told(results: Results, place: Workspace, command: str) -> str:
    return "\n".join(rendered(command, results[command], Known(place.root)))


def test_every_command_that_has_lines_of_its_own_is_tried_here(results: Results) -> None:
    assert set(RENDERINGS) == set(results) <= set(cli.COMMANDS)


def test_what_is_shown_fits_the_terminal_and_has_no_id_of_64_digits(results: Results, place: Workspace) -> None:
    for command in results:
        shown = told(results, place, command)
        assert shown.strip(), command
        long = [line for line in shown.splitlines() if cell_len(line) > 80 and "python cli.py" not in line]
        assert long == [], command
        assert not any(len(word) == 64 for word in shown.split()), command


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("verify", ["60 pictures checked", "Classes: apple 20"]),
        ("images", ["apple/apple_0", "train", "… 40 more: --json has all", "Labels: apple 20, melon 20, pear 20"]),
        (
            "train",
            ["tf_efficientnet_lite0, 64 px", "test split", "95 % interval", "Always answering the most frequent"],
        ),
        ("review", ["of 9 images of the valid split", "Confusion matrix", "apple", "Top losses", "actual", "loss"]),
        ("suspects", ["suggested", "… ", "--relabel "]),
        ("compare", ["cannot be told apart", "95 % interval"]),
        ("ledger", ["decided", "the first"]),
        ("decide", ["-> quince", "'undo' takes it back"]),
        ("undo", ["Taken back, 20 decisions", "class melon -> honeydew: melon again (20 images)"]),
        ("redo", ["Redone, 20 decisions", "class melon -> honeydew (20 images)"]),
        ("rename", ["20 images (3 of the test split among them) of melon are called honeydew now."]),
        (
            "decisions",
            [
                "-> quince",
                "20 pictures",
                "class melon -> honeydew",
                "undone",
                "removed",
                "22 decisions, 2 of them stand",
            ],
        ),
        ("replay", ["1 in conflict", "20 taken back over there"]),
        ("predict", ["answer", " %", "none.jpg"]),
        ("check", ["none.jpg", "not an image", "3 files: ok 2, not an image 1"]),
        ("backbones", ["tf_efficientnet_lite0", "4.7 M", "in the box"]),
        ("search", ["2 candidates, 2 of them new", "- pear / openverse: Wait a minute."]),
        ("download", ["1 stored", "30 failed", "http_error 30", "It says 404.", "… 10 more", "- Line 2 is empty."]),
        ("lr-find", ["0.0021", "--base-lr 0.0021"]),
        ("export", ["Checked: a fresh process gives the same probabilities", "config.json"]),
        ("test-space", ["the same answers on 7 pictures", "first answer 4.2 s", "memory 233 MiB"]),
        ("deploy", ["https://huggingface.co/spaces/ann/fruit (running)"]),
        ("card", ["data_card.md, attributions.csv"]),
        ("dataset", ["61 files in fruit-data: apple 20", "It is cut off."]),
        ("jobs", ["20261201-130525", "interrupted", "50 %", "Epoch 1 of 2", " ago"]),
    ],
)
def test_the_lines_say_what_matters(results: Results, place: Workspace, command: str, words: list[str]) -> None:
    shown = " ".join(told(results, place, command).split())
    assert [word for word in words if word not in shown] == [], shown


def test_the_keys_of_every_document_stay(results: Results) -> None:
    """What a program may rely on. A key may be added here; none may go, and none may be called otherwise."""
    pinned = json.loads((Path(__file__).parent / "keys.json").read_text(encoding="utf-8"))
    for command, keys in pinned["documents"].items():
        assert not set(keys.split()) - set(results[command]), command
    for place, keys in pinned["rows"].items():
        command, _, key = place.partition(".")
        row = results[command][key]
        assert not set(keys.split()) - set(row[0] if isinstance(row, list) else row), place


def test_ids_that_are_shown_are_taken_by_the_commands(
    results: Results, place: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = Workspace.open(shutil.copytree(place.root, tmp_path / "ws"))
    line = next(line for line in told(results, place, "suspects").splitlines() if "python cli.py" in line)
    image = line.partition("--id ")[2].split()[0]
    assert len(image) < 16
    assert cli.main(["decide", str(own.root), "--id", image, "--keep"]) in (0, 1)  # the fixture may have removed it
    [trained] = {row["run"] for row in results["ledger"]["runs"]}
    assert cli.main(["review", str(own.root), "--run", trained[:10]]) == 0
    capsys.readouterr()
    assert cli.main(["compare", str(own.root), trained[:9], trained[:12]]) == 0
    assert "cannot be told apart" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["cancel", str(own.root), "20261201-1305"]) == 1
    assert "2 jobs begin with 20261201-1305: 20261201-130524, 20261201-130525" in capsys.readouterr().err


def test_images_says_where_each_file_lies_in_the_trash_too(results: Results, place: Workspace) -> None:
    rows = images_here(place)
    assert [row["file"] for row in rows] == [row["file"] for row in results["images"]["images"]]
    assert all((place.root / row["path"]).is_file() and row["path"].endswith(row["file"]) for row in rows)
    assert {row["path"].partition("/")[0] for row in rows} == {"images", "trash"}


def test_foreign_text_is_shown_and_never_obeyed(results: Results, place: Workspace) -> None:
    odd = document_of({"files": [{**results["check"]["files"][0], "path": ODD, "reason": ODD, "verdict": "ok"}]})
    aside = {**results["verify"], "set_aside": [asdict(SetAside("0" * 64, "x", ODD, "corrupt", ODD))], "doubt": ODD}
    queue = [{**results["suspects"]["suspects"][0], "label": ODD, "suggested": ODD, "why": ODD}]
    shown = [
        rendered("check", odd, Known()),
        rendered("verify", aside, Known(place.root)),
        rendered("suspects", {"suspects": queue}, Known(place.root)),
        rendered(
            "apply",
            {"folder": ODD, "files": 3, "changes": [{"path": ODD, "why": ODD}], "new": [ODD], "notes": []},
            Known(),
        ),
    ]
    for lines in shown:
        text = "\n".join(lines)
        assert "⟨U+001B⟩" in text and "熊" in text
    assert "[bold]" in "\n".join(shown[3])


def test_a_matrix_of_many_classes_goes_by_letters_and_of_very_many_by_class(results: Results) -> None:
    for count, words in (3, "class 2"), (11, "a class 0"), (60, "The matrix of 60 classes is too wide here"):
        classes = [f"class {number}" for number in range(count)]
        per_class = [{**results["review"]["per_class"][0], "class": name} for name in classes]
        confusion = [[7 * (row == column) for column in range(count)] for row in range(count)]
        document = {**results["review"], "classes": classes, "confusion": confusion, "per_class": per_class}
        lines = list(review_lines(document, Known()))
        assert any(words in line for line in lines) and max(map(cell_len, lines)) <= 80


@given(st.lists(st.tuples(st.text(), st.text(), st.integers()), max_size=25), st.integers(40, 120))
def test_no_table_is_wider_than_the_terminal(rows: list[tuple[str, str, int]], columns: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        heads = [Column("name"), Column("why", wrapped=True), Column("n", right=True)]
        lines = list(table(heads, rows))
    assert all(cell_len(line) <= columns and "\x1b" not in line for line in lines)
    assert len(rows) <= 20 or lines[-1] == f"  … {len(rows) - 20} more: --json has all"


def test_a_long_name_is_cut_where_it_says_least() -> None:
    assert cut("a/b/c.jpg", 20) == "a/b/c.jpg" and cut("x" * 30 + "/c.jpg", 10) == "…xxx/c.jpg"
    assert cell_len(cut("熊" * 30, 11)) <= 11 and cell_len(cut("x" * 1_000_000, 11)) == 11
