"""Scenes at the terminal: a person is asked before splits are given, a script is told; a command chooses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

import cli
from pipeline.verify.split import SplitConfig, wait_for_choice
from pipeline.workspace.store import NewImage
from pipeline.workspace.workspace import Workspace
from tests.terminal.test_importing import answering
from tests.verify.test_scenes import NOON, jpeg, put, sessions, splits


def photographed(workspace: Workspace, times: Sequence[tuple[str, str, datetime | None]]) -> list[str]:
    """Pictures (name, label, when) as they are imported; their ids."""
    ids = []
    for number, (name, label, when) in enumerate(times):
        data = jpeg(number, when, "Phone")
        image_id, file = workspace.keep(data, "jpg")
        workspace.store.add_images([NewImage(image_id, file, len(data), label, "folder", f"{label}/{name}.jpg")])
        ids.append(image_id)
    return ids


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    capsys.readouterr()
    assert cli.main([*arguments, "--json"]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


@pytest.mark.parametrize(("answers", "by", "cut"), [("\n", "time", 0), ("1\n", "time", 0), ("2\n", "none", None)])
def test_a_person_is_asked_before_splits_are_given(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: str,
    by: str,
    cut: int | None,
) -> None:
    photographed(workspace, sessions(9, 4))
    answering(monkeypatch, answers)
    assert cli.main(["verify", str(workspace.root)]) == 0
    told_here = capsys.readouterr().err
    assert "9 series by time and camera, 4 pictures each: keep each together in one split?" in told_here
    assert ("kept together in one split." in told_here) == (by == "time")
    assert set(splits(workspace).values()) == {"train", "valid", "test"}
    seen = told(capsys, "scenes", str(workspace.root))
    assert (seen["by"], seen["chosen"]) == (by, True)
    if cut is not None:
        assert seen["cut"] == cut


def test_a_script_is_not_asked_and_finds_what_was_kept_together(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = photographed(workspace, [*sessions(9, 4), ("alone", "cat", NOON + timedelta(days=99))])
    found = told(capsys, "verify", str(workspace.root))
    assert found["scenes_proposed"] == [] and len(splits(workspace)) == 37
    assert found["scenes"] == {
        **{"by": "time", "scenes": 9, "pictures": 36, "smallest": 4, "largest": 4},
        "words": "9 series by time and camera, 4 pictures each",
    }
    seen = told(capsys, "scenes", str(workspace.root))
    assert {"by", "scenes", "chosen", "proposals", "waiting", "cut", "note"} == seen.keys()
    assert isinstance(seen["scenes"], list) and len(seen["scenes"]) == 10
    first = seen["scenes"][0]
    assert (first["id"], first["label_counts"]) == ("camera 1, scene 1", {"cat": 4})
    assert sorted(first["images"]) == sorted(ids[:4])
    assert cli.main(["scenes", str(workspace.root)]) == 0
    head, _, row = capsys.readouterr().out.splitlines()[:3]
    assert head == "10 scenes by time and camera:" and row.split() == ["camera", "1,", "scene", "1", "4", "cat", "4"]


def test_the_command_chooses_and_gives_the_splits_that_waited(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    put(workspace, sessions(9, 4))
    assert wait_for_choice(workspace, SplitConfig())
    assert told(capsys, "scenes", str(workspace.root))["waiting"] is True and splits(workspace) == {}
    seen = told(capsys, "scenes", str(workspace.root), "--by", "time")
    assert (seen["by"], seen["waiting"], seen["cut"]) == ("time", False, 0)
    given = splits(workspace)
    assert len(given) == 36
    after = told(capsys, "scenes", str(workspace.root), "--by", "folder")
    assert (after["by"], after["scenes"], after["note"]) == (
        "folder",
        [],
        "Nothing is known by the folders they lay in yet.",
    )
    assert splits(workspace) == given
    with pytest.raises(SystemExit):
        cli.main(["scenes", str(workspace.root), "--by", "colour"])
