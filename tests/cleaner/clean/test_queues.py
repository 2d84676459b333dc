"""A queue that is followed decision by decision is the queue that ranking anew gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleaner.clean import decisions
from cleaner.clean.decisions import rename
from cleaner.clean.queues import Queues
from cleaner.clean.suspects import suspects
from pipeline.errors import PipelineError
from pipeline.workspace.records import NewImage
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import CLASSES, Shot, run_with, workspace_with

SHOTS = [
    *(
        Shot(f"s{number}", CLASSES[number % 3], "train", (0.5, 0.4 - number / 50, 0.1 + number / 50))
        for number in range(5)
    ),
    Shot("copy", "bee", "valid", (0.6, 0.3, 0.1), group="s0"),
    Shot("test", "ant", "test", (0.1, 0.8, 0.1)),
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["keep", "remove", "relabel", "restore", "undo", "step", "redo", "rename"]),
        st.integers(0, len(SHOTS) - 1),
        st.sampled_from(CLASSES),
    ),
    max_size=10,
)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_following_the_journal_gives_what_ranking_anew_gives(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str]]
) -> None:
    workspace, by_name = workspace_with(tmp_path_factory.mktemp("w") / "w", SHOTS, pictures=False)
    run = run_with(workspace, by_name, SHOTS)
    ids = list(by_name.values())
    queues = Queues()
    queues.open(workspace, run)
    for action, number, label in steps:
        try:
            if action == "relabel":
                decisions.relabel(workspace, ids[number], label)
            elif action == "rename":
                rename(workspace, label, CLASSES[number % 3])
            elif action in ("undo", "step"):
                decisions.undo(workspace) if action == "undo" else decisions.undo_step(workspace)
            elif action == "redo":
                decisions.redo_step(workspace)
            else:
                getattr(decisions, action)(workspace, ids[number])
        except PipelineError:
            continue
        queue = queues.open(workspace, run)
        anew = suspects(workspace, run)
        assert queue.rows.reset_index(drop=True).equals(anew)
        assert queue.mark == workspace.store.journal.mark()


@pytest.fixture
def made(tmp_path: Path) -> tuple[Workspace, dict[str, str]]:
    return workspace_with(tmp_path / "w", SHOTS, pictures=False)


def test_one_decision_does_not_rank_everything_anew_and_a_new_claim_does_when_asked(made) -> None:
    workspace, ids = made
    run = run_with(workspace, ids, SHOTS)
    queues = Queues()
    queue = queues.open(workspace, run)
    ranked = queue._ranked
    decisions.keep(workspace, ids["s2"])
    assert ids["s2"] not in set(queues.open(workspace, run).rows["id"]) and queue._ranked is ranked
    file = workspace.store.image(ids["s3"])["file"]
    workspace.store.add_images([NewImage(ids["s3"], file, 1, "cat", "elsewhere", "cat/3.jpg")])
    assert "also called cat" not in " ".join(queues.open(workspace, run).rows["why"])
    assert "also called cat" in " ".join(queues.open(workspace, run, whole=True).rows["why"])


def test_what_was_found_wrong_is_told_from_what_was_kept(made) -> None:
    workspace, ids = made
    run = run_with(workspace, ids, SHOTS)
    before = suspects(workspace, run).set_index("id")["score"]
    decisions.keep(workspace, ids["s1"])
    decisions.relabel(workspace, ids["s2"], "ant")
    decisions.remove(workspace, ids["s3"])
    decisions.keep(workspace, ids["test"])
    queue = Queues().open(workspace, run)
    scores, wrong = queue.doubts()
    assert dict(zip(scores.index, wrong, strict=True)) == {ids["s1"]: False, ids["s2"]: True, ids["s3"]: True}
    assert scores[ids["s3"]] == before[ids["s3"]] > 0 and len(queue.moments) == 3
