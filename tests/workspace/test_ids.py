"""How an id begins stands for it where no other begins so; nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaner.clean.decisions import keep, remove, restore
from pipeline.errors import JobError, PipelineError, RunError, StoreError
from pipeline.jobs.job import cancel, get_job, write_json
from pipeline.workspace.ids import SHORTEST, by_beginning, shortest
from pipeline.workspace.records import NewImage
from pipeline.workspace.runs import discard, list_runs, load_run
from pipeline.workspace.runs import restore as restore_run
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, workspace_with

IDS = st.lists(st.text("ab", min_size=5, max_size=14), min_size=1, max_size=12, unique=True)


@given(IDS, st.integers(1, 9))
def test_what_is_shown_of_an_id_leads_back_to_it_and_to_no_other(ids: list[str], least: int) -> None:
    short = shortest(ids, least)
    for one in ids:
        assert one.startswith(short[one]) and (len(short[one]) >= min(least, len(one)))
        if len(short[one]) >= SHORTEST:
            assert by_beginning(short[one], ids, "thing", StoreError) == one


@given(IDS, st.text("ab", max_size=15))
def test_an_exact_id_wins_and_nothing_is_guessed(ids: list[str], told: str) -> None:
    begin = [one for one in ids if one.startswith(told)]
    if told in ids:
        assert by_beginning(told, ids, "thing", StoreError) == told
    elif len(begin) == 1 and len(told) >= SHORTEST:
        assert by_beginning(told, ids, "thing", StoreError) == begin[0]
    else:
        several = len(begin) > 1 and len(told) >= SHORTEST
        with pytest.raises(StoreError, match=f"{len(begin)} things begin with" if several else "There is no thing"):
            by_beginning(told, ids, "thing", StoreError)


def test_images_are_known_by_how_their_ids_begin(tmp_path: Path) -> None:
    workspace, ids = workspace_with(tmp_path / "ws", [Shot(f"s{n}", "ant", "train", (1.0, 0.0, 0.0)) for n in range(6)])
    image = ids["s0"]
    alike = image[:12] + "f" * 52
    workspace.store.add_images([NewImage(alike, "x.jpg", 1, "ant", "test", "x")])
    short = workspace.store.short_ids([image, alike, ids["s1"]])
    assert [short[one] for one in (image, alike, ids["s1"])] == [image[:13], alike[:13], ids["s1"][:8]]
    assert keep(workspace, short[image]).image == image
    assert workspace.store.image(ids["s1"][:4])["id"] == ids["s1"]
    assert remove(workspace, ids["s1"][:8]).image == restore(workspace, ids["s1"][:9]).image == ids["s1"]
    with pytest.raises(
        StoreError, match=f"2 images begin with {image[:8]}: {', '.join(sorted([image[:13], alike[:13]]))}"
    ):
        keep(workspace, image[:8])
    for unknown in (
        "",
        image[:3],
        "zzzz",
        image.upper()[:10] + "X",
        image + "0",
        "ä" * 9,
        "a\0bcd",
        "%" * 8,
        "_" * 8,
        "\udcff" * 8,
    ):
        with pytest.raises(StoreError, match="There is no image"):
            keep(workspace, unknown)
        with pytest.raises(StoreError, match="There is no image"):
            workspace.store.image(unknown)


def test_runs_are_known_by_how_their_ids_begin(trained: Workspace) -> None:
    [run] = list_runs(trained)
    assert load_run(trained, run.id[:8]).id == load_run(trained, run.id).id == run.id
    other = run.folder.with_name(run.id[:-1] + "x")
    other.mkdir()
    (other / "run.json").write_text("no record")
    with pytest.raises(
        RunError, match=f"2 runs begin with {run.id[:8]}: {run.id}, {other.name}|{other.name}, {run.id}"
    ):
        load_run(trained, run.id[:8])
    with pytest.raises(RunError, match="is damaged"):
        load_run(trained, other.name)
    for unknown in ("", "..", run.id[:3], "2026*", run.id + "0"):
        with pytest.raises(RunError, match="There is no run"):
            load_run(trained, unknown)
    assert discard(trained, run.id).id == run.id
    with pytest.raises(RunError, match="no run elsewhere in the trash"):
        restore_run(trained, "elsewhere")
    assert restore_run(trained, run.id[:15]).id == run.id


def test_jobs_are_known_by_how_their_ids_begin(workspace: Workspace) -> None:
    for name in ("20261201-130524-train-aaaaaa", "20261201-130525-verify-bbbbbb"):
        (workspace.jobs / name).mkdir()
        about = {"stage": "verify", "config": {}, "workspace": "", "grace_seconds": 1, "at": "2026-12-01T13:05:24"}
        write_json(workspace.jobs / name / "job.json", about)
        write_json(workspace.jobs / name / "process.json", {"pid": 1, "created": 0})
    assert get_job(workspace, "20261201-130525").id == "20261201-130525-verify-bbbbbb"
    with pytest.raises(JobError, match="2 jobs begin with 20261201: 20261201-130524, 20261201-130525"):
        cancel(workspace, "20261201")
    with pytest.raises(JobError, match="There is no job elsewhere"):
        cancel(workspace, "elsewhere")
    with pytest.raises(PipelineError, match="not running any more"):
        cancel(workspace, "20261201-130524-train")
