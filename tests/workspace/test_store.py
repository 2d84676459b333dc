"""The store loses nothing that was acknowledged, refuses what is stale, and takes decisions back in order."""

from __future__ import annotations

import os
import random
import shlex
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import StaleDecision, StoreError
from pipeline.workspace.database import MIGRATIONS, Database, now
from pipeline.workspace.records import Decision, State, Wish
from pipeline.workspace.store import NewImage, Store, Verdict
from pipeline.workspace.workspace import Workspace
from tests.support.paths import ROOT, SHARED
from tests.support.sharing import Sample

KILL_LOOP = SHARED / "kill_loop.py"
COLUMNS = [
    *("id", "file", "label", "original_label", "split", "group", "status", "verdict", "reason"),
    *("width", "height", "format", "bytes", "added_at", "given_split", "quality", "scene", "series"),
    *("source_provider", "source_name", "source_page", "source_licence"),
]

# Decides about the images in turn, for ever or ``count`` times, and prints every decision once it is acknowledged.
DECIDER = """
import sys
from pipeline.workspace.records import State, Wish
from pipeline.workspace.workspace import Workspace
store = Workspace.open(sys.argv[1]).store
name, count = sys.argv[2], int(sys.argv[3])
ids = list(store.images()["id"])
print("ready", flush=True)
number = 0
while number != count:
    number += 1
    image = ids[number % len(ids)]
    renamed = lambda state: State((f"{name} {number}",), state.status, state.reason)
    [done] = store.journal.decide([Wish(image, "relabel", renamed)])
    print(done.id, image, name, number, flush=True)
"""


def image(name: str, label: str | None = "cat", **more: str) -> NewImage:
    return NewImage(name, f"{name[:2]}/{name}.jpg", 10, label, "file", f"{label}/{name}.jpg", **more)


def relabel(store: Store, image_id: str, label: str, expected: State | None = None) -> Decision:
    wish = Wish(image_id, "relabel", lambda state: State((label,), state.status, state.reason), expected)
    [decision] = store.journal.decide([wish])
    return decision


@pytest.fixture
def store(workspace: Workspace) -> Store:
    workspace.store.add_images([image("aa"), image("bb", "dog"), image("cc", None)])
    return workspace.store


def sql(store: Store, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(store.database.file) as connection:
        rows = connection.execute(query).fetchall()
    connection.close()
    return rows


# --- migrations


def test_every_migration_runs_once_and_is_written_down(store: Store) -> None:
    for _ in range(3):
        store.database.migrate()
    assert sorted(name for (name,) in sql(store, "SELECT name FROM migrations")) == sorted(MIGRATIONS)
    assert len(store.images()) == 3


def test_the_journal_is_write_ahead(store: Store) -> None:
    assert sql(store, "PRAGMA journal_mode") == [("wal",)]


def test_a_store_of_a_newer_program_is_refused_and_left_alone(store: Store) -> None:
    sql(store, "INSERT INTO migrations VALUES ('9999_from_the_future', 'now')")
    before = store.database.file.read_bytes()
    with pytest.raises(StoreError, match=r"newer Winnow \(9999_from_the_future\)\. Update Winnow"):
        Workspace.open(store.database.file.parent)
    assert store.database.file.read_bytes() == before


def test_a_migration_that_fails_leaves_no_half_made_tables(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE facts (something_else TEXT)")  # in the way of the last statement
    broken = Database(tmp_path / "s.sqlite")
    with pytest.raises(StoreError, match="already exists"):
        broken.migrate()
    assert broken.frame("SELECT name FROM sqlite_master")["name"].tolist() == ["facts"]


# --- images


def test_images_are_one_row_each_in_the_order_of_adding(store: Store) -> None:
    rows = store.images()
    assert list(rows.columns) == COLUMNS
    assert list(rows["id"]) == ["aa", "bb", "cc"]
    assert list(rows["label"]) == ["cat", "dog", None]
    assert list(rows["status"]) == ["new"] * 3
    assert list(rows["source_name"]) == ["cat/aa.jpg", "dog/bb.jpg", "None/cc.jpg"]


def test_an_empty_store_has_the_same_columns(workspace: Workspace) -> None:
    assert list(workspace.store.images().columns) == COLUMNS
    told = ["width", "height", "verdict", "bytes", "added_at"]
    assert list(workspace.store.fingerprints().columns) == ["id", "pixels", "phash", *told]


def test_an_image_that_is_known_only_gets_the_new_source(store: Store) -> None:
    assert store.add_images([image("aa", "bear"), image("dd")]) == 1
    assert store.image("aa")["label"] == store.image("aa")["original_label"] == "cat"
    claims = store.sources()
    assert list(claims[claims["image_id"] == "aa"]["claimed_label"]) == ["cat", "bear"]


def test_adding_the_same_source_again_changes_nothing(store: Store) -> None:
    assert store.add_images([image("aa"), image("aa")]) == 0
    assert len(store.sources()) == 3


def test_images_are_added_all_or_none(store: Store) -> None:
    def some_then_trouble() -> Iterator[NewImage]:
        yield image("dd")
        raise RuntimeError("the source broke off")

    with pytest.raises(RuntimeError):
        store.add_images(some_then_trouble())
    assert len(store.images()) == 3


def test_an_unknown_image_is_refused_in_words(store: Store) -> None:
    for ask in (store.image, store.journal.state, lambda name: relabel(store, name, "x")):
        with pytest.raises(StoreError, match="no image zz in this workspace"):
            ask("zz")


def test_only_new_images_change_status_by_a_verdict(store: Store) -> None:
    store.journal.decide([Wish("bb", "remove", lambda state: State(state.labels, "removed"))])
    store.record_verdicts([Verdict(name, "ok", "ok", "", 4, 3, "PNG") for name in ("aa", "bb")])
    assert [store.image(name)["status"] for name in ("aa", "bb", "cc")] == ["ok", "removed", "new"]
    store.record_verdicts([Verdict("aa", "set_aside", "corrupt", "later")])
    assert store.image("aa")["status"] == "ok"
    assert list(store.images("ok")["id"]) == ["aa"]


def test_a_split_that_is_written_down_never_moves(store: Store) -> None:
    store.set_splits({"aa": "train", "bb": "test"})
    store.set_splits({"aa": "test", "bb": "valid", "cc": "valid"})
    assert list(store.images()["split"]) == ["train", "test", "valid"]


def test_a_split_that_does_not_exist_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="refused"):
        store.set_splits({"aa": "train", "bb": "exam"})
    assert list(store.images()["split"]) == [None] * 3


def test_the_split_a_source_gave_first_stays(store: Store) -> None:
    store.set_given_splits({"aa": "test"})
    store.set_given_splits({"aa": "train", "bb": "valid"})
    assert list(store.images()["given_split"]) == ["test", "valid", None]


def test_facts_are_json_values_that_can_be_replaced(store: Store) -> None:
    assert store.fact("seed") is None and store.fact("seed", 7) == 7
    store.set_fact("seed", {"a": [1, 2.5, "ü", None]})
    store.set_fact("seed", {"a": [1, 2.5, "ü", None], "b": 1})
    assert store.fact("seed") == {"a": [1, 2.5, "ü", None], "b": 1}


def test_candidates_are_kept_once_per_url_and_label(store: Store) -> None:
    bear = {"url": "https://example.org/1.jpg", "label": "bear", "provider": "urls"}
    assert store.add_candidates([bear, bear, {**bear, "label": "wolf"}]) == 2
    assert store.add_candidates([bear]) == 0
    store.record_downloads(
        [{**bear, "status": "failed", "code": "http_404", "reason": "Not there.", "sha256": None, "again": False}]
    )
    rows = store.candidates()
    assert list(rows["status"]) == ["failed", "new"]
    assert list(store.candidates("failed")["code"]) == ["http_404"]


@pytest.mark.parametrize("text", ["", "'; DROP TABLE images; --", "日本語", "a|b", "nul\0inside", "x" * 100_000])
def test_any_text_comes_back_as_it_was(store: Store, text: str) -> None:
    store.journal.decide([Wish("aa", "relabel", lambda state: State((text,), "ok", text))])
    assert store.journal.state("aa") == State((text,), "ok", text)
    assert store.journal.decisions()[-1].after == State((text,), "ok", text)
    assert store.journal.undo()[0].before == store.journal.state("aa")


# --- decisions


def test_a_decision_is_journalled_with_before_and_after(store: Store) -> None:
    done = relabel(store, "aa", "bear")
    assert (done.image, done.action, done.undone) == ("aa", "relabel", False)
    assert done.before == State(("cat",), "new") and done.after == State(("bear",), "new")
    assert store.journal.decisions() == [done]
    assert store.image("aa")["label"] == "bear" and store.image("aa")["original_label"] == "cat"


def test_a_stale_decision_is_refused_and_changes_nothing(store: Store) -> None:
    seen = store.journal.state("aa")
    relabel(store, "aa", "bear", seen)
    with pytest.raises(StaleDecision, match=r"it is now labelled bear, new.*decide anew"):
        relabel(store, "aa", "wolf", seen)
    assert store.journal.state("aa").labels == ("bear",)
    assert len(store.journal.decisions()) == 1
    assert relabel(store, "aa", "wolf", store.journal.state("aa")).after.labels == ("wolf",)


def test_of_many_who_saw_the_same_one_decides(store: Store) -> None:
    seen = store.journal.state("aa")
    outcomes: list[str] = []

    def decide(name: str) -> None:
        try:
            relabel(store, "aa", name, seen)
            outcomes.append("done")
        except StaleDecision:
            outcomes.append("stale")

    threads = [threading.Thread(target=decide, args=(f"label {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done"] + ["stale"] * 7
    assert len(store.journal.decisions()) == 1


def test_a_change_that_fails_is_not_journalled(store: Store) -> None:
    def refuse(state: State) -> State:
        raise StoreError("not this one")

    with pytest.raises(StoreError, match="not this one"):
        store.journal.decide([Wish("aa", "remove", refuse)])
    assert store.journal.decisions() == [] and store.journal.state("aa").status == "new"
    with pytest.raises(StoreError, match="refused"):
        store.journal.decide([Wish("aa", "remove", lambda state: State(("gone",), "no such status"))])
    assert store.journal.decisions() == [] and store.journal.state("aa").labels == ("cat",)


def test_undo_takes_back_the_newest_first(store: Store) -> None:
    for label in ("one", "two", "three"):
        relabel(store, "aa", label)
    relabel(store, "bb", "four")
    taken = store.journal.undo(2)
    assert [decision.after.labels for decision in taken] == [("four",), ("three",)]
    assert all(decision.undone for decision in taken)
    assert store.journal.state("aa").labels == ("two",) and store.journal.state("bb").labels == ("dog",)
    assert [decision.after.labels for decision in store.journal.undo(10)] == [("two",), ("one",)]
    assert store.journal.state("aa").labels == ("cat",)
    assert store.journal.undo() == []


def test_what_is_undone_is_skipped_and_stays_in_the_journal(store: Store) -> None:
    relabel(store, "aa", "one")
    store.journal.undo()
    relabel(store, "bb", "two")
    assert [decision.after.labels for decision in store.journal.undo()] == [("two",)]
    assert store.journal.undo() == []
    assert [decision.undone for decision in store.journal.decisions()] == [True, True]


@pytest.mark.parametrize("count", [0, -1])
def test_undoing_nothing_undoes_nothing(store: Store, count: int) -> None:
    relabel(store, "aa", "one")
    assert store.journal.undo(count) == []
    assert store.journal.state("aa").labels == ("one",)


ACTIONS = st.one_of(
    st.tuples(st.just("relabel"), st.integers(0, 2), st.sampled_from(["cat", "dog", "ü"])),
    st.tuples(st.just("remove"), st.integers(0, 2), st.just("")),
    st.tuples(st.just("two labels"), st.integers(0, 2), st.just("")),
    st.tuples(st.just("undo"), st.integers(1, 4), st.just("")),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTIONS, max_size=10))
def test_any_sequence_of_decisions_and_undos_is_that_of_a_plain_model(actions: list[tuple[str, int, str]]) -> None:
    names = ["aa", "bb", "cc"]
    with tempfile.TemporaryDirectory(prefix="winnow-store-") as folder:
        store = Workspace.create(folder).store
        store.add_images([image(name) for name in names])
        model = {name: State(("cat",), "new") for name in names}
        past: list[tuple[str, State]] = []
        for action, number, label in actions:
            if action == "undo":
                for _ in range(min(number, len(past))):
                    name, before = past.pop()
                    model[name] = before
                store.journal.undo(number)
                continue
            name = names[number]
            after = _after(action, model[name], label)
            past.append((name, model[name]))
            change = lambda state, a=action, x=label: _after(a, state, x)  # noqa: E731
            store.journal.decide([Wish(name, action, change, expected=model[name])])
            model[name] = after
        assert {name: store.journal.state(name) for name in names} == model
        assert [(d.image, d.before) for d in store.journal.decisions() if not d.undone] == past


def _after(action: str, state: State, label: str) -> State:
    if action == "relabel":
        return State((label,), state.status)
    if action == "remove":
        return State(state.labels, "removed", "by hand")
    return State(tuple(sorted({*state.labels, "second"})), state.status)


# --- several processes, and sudden ends


@contextmanager
def decider(store: Store, name: str, count: int = -1) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", DECIDER, str(store.database.file.parent), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def said(lines: list[str]) -> dict[int, tuple[str, tuple[str, ...]]]:
    """decision id -> (image, labels) of the acknowledged decisions; a line that was cut off was never printed."""
    whole = [line.split() for line in lines if line.endswith("\n")]
    return {int(number): (name, (f"{who} {turn}",)) for number, name, who, turn in whole}


def check_nothing_acknowledged_is_lost(store: Store, acknowledged: dict[int, tuple[str, tuple[str, ...]]]) -> None:
    assert sql(store, "PRAGMA integrity_check") == [("ok",)]
    journal = {decision.id: (decision.image, decision.after.labels) for decision in store.journal.decisions()}
    assert acknowledged.items() <= journal.items()
    last = {decision.image: decision.after for decision in store.journal.decisions()}
    assert {name: store.journal.state(name) for name in last} == last


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_kill_9_at_any_moment_loses_nothing_acknowledged(store: Store) -> None:
    draw = random.Random(0)
    acknowledged: dict[int, tuple[str, tuple[str, ...]]] = {}
    for life in range(2):
        with decider(store, f"life{life}") as process:
            assert process.stdout
            timer = threading.Timer(draw.uniform(0.1, 0.5), process.send_signal, [signal.SIGKILL])
            timer.start()
            acknowledged |= said(process.stdout.readlines())
            timer.join()
        Workspace.open(store.database.file.parent)
        check_nothing_acknowledged_is_lost(store, acknowledged)
    assert len(acknowledged) > 10


def test_two_processes_write_at_once_and_nothing_is_lost(store: Store) -> None:
    with decider(store, "one", 30) as one, decider(store, "two", 30) as two:
        mine = [relabel(store, "cc", f"three {number}") for number in range(30)]
        lines = [process.communicate(timeout=60)[0].splitlines(keepends=True) for process in (one, two)]
        assert one.returncode == two.returncode == 0
    acknowledged = [said(some) for some in lines]
    everybody = acknowledged[0] | acknowledged[1] | {d.id: (d.image, d.after.labels) for d in mine}
    assert len(everybody) == 90
    check_nothing_acknowledged_is_lost(store, everybody)
    for before, after in zip(store.journal.decisions(), store.journal.decisions()[1:], strict=False):
        assert after.id == before.id + 1
    seen: dict[str, State] = {}
    for decision in store.journal.decisions():
        assert decision.before == seen.get(decision.image, decision.before)
        seen[decision.image] = decision.after


def test_reading_goes_on_while_another_process_writes(store: Store) -> None:
    with decider(store, "writer", 20) as process:
        tables = [store.images() for _ in range(20)]
        process.wait(timeout=60)
    assert all(isinstance(table, pd.DataFrame) and len(table) == 3 for table in tables)


def test_a_reader_sees_no_half_of_a_transaction(store: Store) -> None:
    def slow() -> Iterator[NewImage]:
        for number in range(5):
            assert len(store.images()) == 3
            yield image(f"x{number}")

    store.add_images(slow())
    assert len(store.images()) == 8


@pytest.mark.slow
@pytest.mark.skipif(not KILL_LOOP.exists(), reason="the loop that kills a command at random moments is not here")
def test_a_store_survives_the_kill_loop(store: Store, tmp_path: Path, sampled: Sample) -> None:
    wanted, rounds = (150, 5) if sampled.everything else (100, 1)
    (tmp_path / "decide.py").write_text(DECIDER)
    (tmp_path / "check.py").write_text(
        "import sys; from pipeline.workspace.workspace import Workspace\n"
        "store = Workspace.open(sys.argv[1]).store\n"
        "last = {d.image: d.after for d in store.journal.decisions()}\n"
        "assert {name: store.journal.state(name) for name in last} == last\n"
    )
    folder = str(store.database.file.parent)
    check = shlex.join([sys.executable, str(tmp_path / "check.py"), folder])
    done = subprocess.run(
        [
            *(sys.executable, str(KILL_LOOP), "--n", str(rounds), "--seed", str(sampled.seed)),
            *("--min", "1", "--max", "3", "--check", check, "--"),
            *(sys.executable, str(tmp_path / "decide.py"), folder, "loop", str(wanted)),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(store.journal.decisions()) >= wanted


def test_there_is_one_count_of_usable_pictures_a_class(store: Store) -> None:
    store.add_images([image("dd", "cat|dog"), image("ee", "dog"), image("ff", "bear"), image("gg", "cat")])
    aside, removed = (lambda state, status=status: replace(state, status=status) for status in ("set_aside", "removed"))
    store.journal.decide([Wish("ee", "set_aside", aside), Wish("ff", "remove", removed)])
    store.set_splits({"aa": "train", "dd": "valid", "ee": "train"})
    assert store.class_counts() == {"cat": 3, "dog": 2}
    assert store.split_counts() == {"cat": {"train": 1, "valid": 1, "": 1}, "dog": {"valid": 1, "": 1}}


# --- many at once, and problems that are none


def test_many_images_are_decided_on_in_one_transaction_or_none_of_them(store: Store) -> None:
    def aside(*names: str) -> list[Wish]:
        change = lambda state: State(state.labels, "set_aside") if state.labels else None  # noqa: E731
        return [Wish(name, "set_aside", change) for name in names]

    with pytest.raises(StoreError, match="no image zz"):
        store.journal.decide(aside("aa", "zz"))
    assert store.journal.decisions() == [] and list(store.images()["status"]) == ["new"] * 3
    done = store.journal.decide(aside("aa", "bb", "cc"))
    assert [decision.image for decision in done] == ["aa", "bb"] and store.journal.decisions() == done
    assert not any(decision.about_label for decision in done)
    assert len({decision.batch for decision in done}) == 1 and done[0].batch
    store.journal.undo(2)
    assert list(store.images()["status"]) == ["new"] * 3


def test_what_is_ignored_is_so_once_for_each_kind_until_it_is_noticed_again(store: Store) -> None:
    store.ignore("dark", ["aa", "bb"])
    store.ignore("dark", ["bb"])
    store.ignore("grey", ["aa"])
    assert store.ignored() == {"dark": {"aa", "bb"}, "grey": {"aa"}}
    store.notice("dark")
    assert store.ignored() == {"grey": {"aa"}}
    with pytest.raises(StoreError):
        store.ignore("dark", ["unknown"])


def test_miniatures_come_in_the_order_asked_for_and_groups_of_those_that_have_one(store: Store) -> None:
    names = ("aa", "bb", "cc")
    store.record_verdicts(
        [Verdict(name, "ok", "ok", "", tiny=bytes([number]) * 3_072) for number, name in enumerate(names)]
    )
    assert store.miniatures(["cc", "aa", "cc"])[:, 0].tolist() == [2, 0, 2]
    assert store.miniatures([]).shape[0] == 0
    store.set_groups({"aa": "bb", "bb": "bb"})
    assert store.groups() == {"aa": "bb", "bb": "bb"}


# --- what sources call an image


def claims(store: Store) -> list[tuple[str, str, str | None]]:
    rows = store.sources()[["image_id", "name", "claimed_label"]]
    return [(str(row.image_id), str(row.name), row.claimed_label) for row in rows.itertuples(index=False)]


def test_a_place_that_calls_an_image_by_two_labels_at_once_is_kept_with_both(workspace: Workspace) -> None:
    began = now()
    one, other = (NewImage("aa", "aa.jpg", 1, label, "file", "1.jpg") for label in ("cat", "dog"))
    workspace.store.add_images([one], began)
    workspace.store.add_images([other, one], began)
    assert claims(workspace.store) == [("aa", "1.jpg", "cat"), ("aa", "1.jpg", "dog")]
    assert workspace.store.labels() == {"aa": "cat"}


def test_what_a_place_called_an_image_first_stays_at_a_later_import(workspace: Workspace) -> None:
    for label in (None, "cat", "dog", None):
        workspace.store.add_images([NewImage("aa", "aa.jpg", 1, label, "file", "1.jpg")])
    assert claims(workspace.store) == [("aa", "1.jpg", None), ("aa", "1.jpg", "cat")]
    assert workspace.store.labels() == {"aa": "cat"}


def test_sources_of_a_store_of_before_are_kept_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, at TEXT NOT NULL)")
        for name in list(MIGRATIONS)[:5]:
            for statement in MIGRATIONS[name].split(";"):
                connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?, 'then')", (name,))
        connection.execute("INSERT INTO images (id, file, bytes, added_at) VALUES ('aa', 'f', 1, 'then')")
        for rowid, label in ((7, "dog"), (3, None)):
            connection.execute(
                "INSERT INTO sources (rowid, image_id, provider, name, claimed_label, at, given_split)"
                " VALUES (?, 'aa', 'file', ?, ?, 'then', 'test')",
                (rowid, str(rowid), label),
            )
    database = Database(file)
    database.migrate()
    rows = database.frame("SELECT rowid, name, claimed_label, given_split FROM sources ORDER BY rowid")
    assert rows.to_numpy().tolist() == [[3, "3", None, "test"], [7, "7", "dog", "test"]]
