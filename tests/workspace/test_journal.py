"""Whatever was decided, undone, redone, renamed and replayed: the state is what the journal adds up to, and so lie the
files.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleaner.clean import decisions
from cleaner.clean.decisions import rename, undo_step
from cleaner.clean.replay import export_decisions, replay
from pipeline.errors import PipelineError, StaleDecision, StoreError
from pipeline.workspace.journal import last_of
from pipeline.workspace.records import Decision, State
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, workspace_with
from tests.support.paths import ROOT, SHARED
from tests.support.sharing import Sample

KILL_LOOP = SHARED / "kill_loop.py"
NAMES = ("ant", "bee", "Ünïcode", "new class")
SHOTS = [Shot(f"s{number}", NAMES[number % 2], ("train", "test")[number % 2], (1.0, 0.0, 0.0)) for number in range(5)]


def folded(workspace: Workspace, start: dict[str, State]) -> dict[str, State]:
    """The start with every standing decision of the journal on top; each must fit onto what was before it."""
    state = dict(start)
    for decision in workspace.store.journal.decisions():
        if not decision.undone:
            assert decision.before == state[decision.image]
            state[decision.image] = decision.after
    return state


def check(workspace: Workspace, start: dict[str, State]) -> None:
    """The state of every image is that of the journal, and its file lies in one place, where readers look for it."""
    expected = folded(workspace, start)
    rows = workspace.store.images().to_dict("records")
    assert {row["id"]: workspace.store.journal.state(row["id"]) for row in rows} == expected
    for row in rows:
        lying = [place / row["file"] for place in (workspace.images, workspace.trash) if (place / row["file"]).exists()]
        assert [workspace.image_file(row["file"])] == lying


def started(workspace: Workspace) -> dict[str, State]:
    return {str(image): workspace.store.journal.state(image) for image in workspace.store.images()["id"]}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("keep", "remove", "relabel", "restore", "each", "rename", "replay", "undo", "step", "one", "after"),
                *("redo", "redo_step"),
            ]
        ),
        st.integers(0, len(SHOTS) - 1),
        st.sampled_from(NAMES),
    ),
    max_size=14,
)


def undone_and_back(workspace: Workspace, undo: Callable[[], list[Decision]]) -> None:
    """Undo; redo gives exactly what was before, and undoing again what was after. No mark comes twice."""
    journal = workspace.store.journal
    seen, marks = [(started(workspace), journal.decisions())], [journal.mark()]
    if not (undone := undo()):
        return
    for turn in (lambda: None, lambda: decisions.redo(workspace, len(undone)), undo):
        turn()
        seen.append((started(workspace), journal.decisions()))
        marks.append(journal.mark())
    assert seen[0] == seen[2] and seen[1] == seen[3] and marks[0] != marks[2] and marks[1] != marks[3]


def act(workspace: Workspace, ids: list[str], step: tuple[str, int, str], file: Path) -> None:
    action, number, label = step
    image = ids[number]
    journal = workspace.store.journal.decisions()
    if action == "relabel":
        decisions.relabel(workspace, image, label)
    elif action == "each":
        wishes = [decisions.wish("relabel", image, label) for image in ids[number:]]
        decisions.decide_each(workspace, [*wishes, decisions.wish("remove", image)])
    elif action == "rename":
        rename(workspace, NAMES[number % 4], label)
    elif action == "replay":
        if file.exists():
            replay(workspace, file)
        export_decisions(workspace, file)
    elif action == "undo":
        undone_and_back(workspace, lambda: decisions.undo(workspace, number + 1))
    elif action == "step":
        undone_and_back(workspace, lambda: decisions.undo_step(workspace))
    elif action == "one" and journal:
        one = journal[number % len(journal)]
        undone_and_back(workspace, lambda: decisions.undo_these(workspace, one.id, one.id))
    elif action == "after" and journal:
        point, mark = journal[-(number % len(journal)) - 1].id, workspace.store.journal.mark
        undone_and_back(workspace, lambda: decisions.undo_after(workspace, point, mark()))
    elif action == "redo":
        decisions.redo(workspace, number + 1)
    elif action == "redo_step":
        decisions.redo_step(workspace)
    elif action in ("keep", "remove", "restore"):
        getattr(decisions, action)(workspace, image)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_any_sequence_the_state_is_the_fold_of_the_journal_and_undo_returns_to_the_start(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("w")
    workspace, ids = workspace_with(folder / "w", SHOTS)
    start = started(workspace)
    for step in steps:
        try:
            act(workspace, list(ids.values()), step, folder / "journal.csv")
        except PipelineError:
            continue  # refused, as it must be: nothing was journalled
    check(workspace, start)
    decisions.undo_after(workspace, 0, workspace.store.journal.mark())
    check(workspace, start)
    assert started(workspace) == start


@dataclass
class Page:
    """What one of two people sees, who looks again now and then."""

    workspace: Workspace
    mark: str = ""
    seen: dict[str, State] = field(default_factory=dict)

    def look(self) -> None:
        self.mark, self.seen = self.workspace.store.journal.mark(), started(self.workspace)

    def act(self, action: str, images: list[str], label: str) -> None:
        if action in ("keep", "relabel", "remove"):
            known = last_of(self.mark)
            wishes = [decisions.wish(action, image, label, self.seen[image], known) for image in images]
            decisions.decide_each(self.workspace, wishes)
        elif action == "undo":
            undone_and_back(self.workspace, lambda: decisions.undo_step(self.workspace, images[0]))
        elif action == "after":
            decisions.undo_after(self.workspace, max(0, last_of(self.mark) - len(images)), self.mark)
        elif action == "redo":
            decisions.redo_step(self.workspace, images[0])
        elif action == "look":
            self.look()


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from(["keep", "relabel", "remove", "undo", "undo", "after", "redo", "redo", "look", "look"]),
            st.lists(st.integers(0, len(SHOTS) - 1), min_size=1, max_size=3, unique=True),
            st.sampled_from(NAMES),
        ),
        max_size=16,
    )
)
def test_two_pages_that_decide_undo_and_redo_leave_a_state_that_the_journal_explains(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str, list[int], str]]
) -> None:
    workspace, by_name = workspace_with(tmp_path_factory.mktemp("w") / "w", SHOTS)
    ids, start = list(by_name.values()), started(workspace)
    pages = Page(workspace), Page(workspace)
    for page in pages:
        page.look()
    for number, action, places, label in steps:
        try:
            pages[number].act(action, [ids[place] for place in places], label)
        except PipelineError:
            continue
        check(workspace, start)


def test_redo_goes_step_by_step_until_something_new_is_decided(tmp_path: Path) -> None:
    workspace, by_name = workspace_with(tmp_path / "w", SHOTS)
    a, b, c, d, _ = by_name.values()
    decisions.relabel(workspace, a, "bee")
    decisions.decide_each(workspace, [decisions.wish("remove", b), decisions.wish("remove", c)])
    decisions.relabel(workspace, a, "cat")
    journal = workspace.store.journal
    decisions.undo_after(workspace, 0, journal.mark())
    assert (journal.standing(), journal.redoable()) == (0, 4)
    assert [[one.image for one in decisions.redo_step(workspace)] for _ in range(2)] == [[a], [b, c]]
    decisions.undo_these(workspace, 2, 3)
    with pytest.raises(StaleDecision, match="something else"):
        decisions.redo_step(workspace, a)
    assert [one.image for one in decisions.redo_to(workspace, 4, 4, journal.mark())] == [b, c, a]
    assert decisions.redo_step(workspace) == [] == decisions.redo(workspace, 5)
    with pytest.raises(StoreError, match="cannot be redone: it stands"):
        decisions.redo_to(workspace, 1, 1, journal.mark())
    mark = journal.mark()
    undo_step(workspace)
    with pytest.raises(StaleDecision, match="meanwhile"):
        decisions.redo_to(workspace, 4, 4, mark)
    decisions.keep(workspace, d)
    with pytest.raises(StaleDecision, match="nothing to redo: something new was decided"):
        decisions.redo(workspace)
    undo_step(workspace)
    assert [one.image for one in decisions.redo(workspace, 9)] == [d]
    with pytest.raises(StoreError, match="nothing to redo"):
        decisions.redo_to(workspace, 4, 4, journal.mark())


def test_what_was_changed_beside_the_journal_is_not_redone(tmp_path: Path) -> None:
    workspace, by_name = workspace_with(tmp_path / "w", SHOTS)
    image = next(iter(by_name.values()))
    decisions.relabel(workspace, image, "cat")
    undo_step(workspace)
    with workspace.store.database.transaction() as db:
        db.execute("UPDATE images SET status = 'set_aside' WHERE id = ?", (image,))
    with pytest.raises(StaleDecision, match="It is now labelled ant, set aside"):
        decisions.redo(workspace)
    assert workspace.store.journal.redoable() == 1 and decisions.decisions(workspace)[0].undone


# --- sudden ends ---------------------------------------------------------------------------------------------------

# Goes on where an earlier life stopped; says so when it has made as many decisions as it is to.
CLEANER = """
import random, sys
from cleaner.clean import decisions
from pipeline.errors import StoreError
from pipeline.workspace.journal import last_of
from pipeline.workspace.workspace import Workspace
workspace, wanted = Workspace.open(sys.argv[1]), int(sys.argv[2])
ids = sorted(workspace.store.images()["id"])
print("ready", flush=True)
turn = 0
while last_of(mark := workspace.store.journal.mark()) < wanted:
    turn += 1
    draw = random.Random(f"{mark} {turn}")
    image, chance = draw.choice(ids), draw.random()
    try:
        if chance < 0.2:
            decisions.relabel(workspace, image, draw.choice(["ant", "bee", "cat"]))
        elif chance < 0.3:
            decisions.remove(workspace, image)
        elif chance < 0.7:
            decisions.restore(workspace, image)
        elif chance < 0.9:
            some = draw.sample(ids, 12)
            wishes = [decisions.wish(draw.choice(["keep", "keep", "remove"]), one) for one in some]
            decisions.decide_each(workspace, wishes)
        else:
            decisions.undo_step(workspace)
            if chance > 0.95:
                decisions.redo_step(workspace)
    except StoreError:
        continue  # refused: it is removed already, or in use
"""
CHECK = """
import json, sys
from pathlib import Path
from pipeline.workspace.records import State
from pipeline.workspace.workspace import Workspace
from tests.workspace.test_journal import check
workspace = Workspace.open(sys.argv[1])
start = json.loads((workspace.root.parent / "start.json").read_text())
check(workspace, {image: State(tuple(labels), *rest) for image, (labels, *rest) in start.items()})
"""


def many(tmp_path: Path) -> tuple[Workspace, dict[str, State]]:
    shots = [Shot(f"m{number}", "ant", "train", (1.0, 0.0, 0.0)) for number in range(24)]
    workspace, _ = workspace_with(tmp_path / "w", shots)
    return workspace, started(workspace)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_killed_at_random_moments_during_1000_decisions_every_state_is_valid_and_undo_works(
    tmp_path: Path, sampled: Sample
) -> None:
    workspace, start = many(tmp_path)
    draw = random.Random(sampled.seed)
    wanted, most, least = (1000, 10, 3) if sampled.everything else (200, 3, 1)
    command = [sys.executable, "-c", CLEANER, str(workspace.root), str(wanted)]
    kills = 0
    while len(workspace.store.journal.decisions()) < wanted:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline() == b"ready\n"
        try:
            process.wait(draw.uniform(0.05, wanted / 1000) if kills < most else 300)
            assert process.returncode == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        process.stdout.close()
        check(Workspace.open(workspace.root), start)
    assert kills >= least
    decisions.undo_after(workspace, 0, workspace.store.journal.mark())
    assert started(workspace) == start
    check(workspace, start)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not KILL_LOOP.exists(), reason="the loop that kills a command at random moments is not here")
def test_decisions_survive_the_kill_loop(tmp_path: Path, sampled: Sample) -> None:
    wanted, rounds = (1000, 5) if sampled.everything else (200, 1)
    workspace, start = many(tmp_path)
    (tmp_path / "start.json").write_text(json.dumps({image: astuple(state) for image, state in start.items()}))
    (tmp_path / "clean.py").write_text(CLEANER)
    (tmp_path / "check.py").write_text(CHECK)
    checking = shlex.join([sys.executable, str(tmp_path / "check.py"), str(workspace.root)])
    done = subprocess.run(
        [
            *(sys.executable, str(KILL_LOOP), "--n", str(rounds), "--seed", str(sampled.seed)),
            *("--min", "1", "--max", "4", "--check", checking, "--"),
            *(sys.executable, str(tmp_path / "clean.py"), str(workspace.root), str(wanted)),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(workspace.store.journal.decisions()) >= wanted
    decisions.undo_after(workspace, 0, workspace.store.journal.mark())
    assert started(workspace) == start
