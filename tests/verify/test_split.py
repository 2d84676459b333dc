"""A split is given once, by duplicate group, stratified and seeded; whatever happens later, nothing moves."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.verify.split import SplitConfig, assign_splits, leaks, new_splits
from pipeline.verify.split_problems import split_problems
from pipeline.workspace.records import NewImage, State, Verdict, Wish
from pipeline.workspace.store import SPLITS
from pipeline.workspace.workspace import Workspace

COLUMNS = ["id", "label", "status", "split", "group", "given_split"]
Row = dict[str, Any]


def row(name: str, label: str | None = "cat", group: str | None = None, given: str | None = None) -> Row:
    return {"id": name, "label": label, "status": "ok", "split": None, "group": group or name, "given_split": given}


def frame(rows: list[Row]) -> pd.DataFrame:
    return pd.DataFrame([[r[c] for c in COLUMNS] for r in rows], columns=COLUMNS, dtype=object)


def give(rows: list[Row], config: SplitConfig | None = None) -> dict[str, str]:
    """What assign_splits does to the store, done to plain rows; returns what was given."""
    chosen = new_splits(frame(rows), config or SplitConfig())
    for r in rows:
        if r["id"] in chosen:
            assert r["split"] is None, "a split that was written down was given again"
            r["split"] = chosen[r["id"]]
    return chosen


def by_group(rows: list[Row]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for r in rows:
        found.setdefault(r["group"], set()).add(r["split"])
    return found


# --- nothing ever moves

LABELS = st.sampled_from(["cat", "dog", "bird", None])
GIVEN = st.sampled_from([None, None, None, "train", "valid", "test"])
START = st.lists(st.tuples(LABELS, st.integers(0, 30), GIVEN), max_size=60)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("remove"), st.integers(0, 999), st.just(None)),
        st.tuples(st.just("restore"), st.integers(0, 999), st.just(None)),
        st.tuples(st.just("relabel"), st.integers(0, 999), LABELS),
        st.tuples(st.just("add"), st.integers(0, 999), LABELS),
        st.tuples(st.just("add to a known group"), st.integers(0, 999), LABELS),
        st.tuples(st.just("tie two groups"), st.integers(0, 999), LABELS),
        st.tuples(st.just("verify"), st.just(0), st.just(None)),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(START, CHANGES, st.integers(0, 3))
def test_whatever_is_removed_relabelled_or_added_no_image_ever_moves(
    start: list[tuple[str | None, int, str | None]], changes: list[tuple[str, int, str | None]], seed: int
) -> None:
    rows = [row(f"i{n}", label, f"g{group}", asked) for n, (label, group, asked) in enumerate(start)]
    config = SplitConfig(seed=seed)
    give(rows, config)
    tied: set[str] = set()
    for action, number, label in changes:
        before = {r["id"]: r["split"] for r in rows if r["split"]}
        _apply(rows, action, number, label, tied)
        if action == "verify":
            give(rows, config)
        assert before.items() <= {r["id"]: r["split"] for r in rows}.items()
    never_labelled = [r for r in rows if not r["label"] and not r["split"]]
    give(rows, config)
    assert all(r["split"] is None for r in never_labelled)
    usable = [r for r in rows if r["status"] == "ok" and (r["label"] or r["split"])]
    assert all(r["split"] in SPLITS for r in usable)
    straddling = {group for group, splits in by_group(usable).items() if len(splits) > 1}
    assert straddling <= tied
    assert {frozenset(group) for group in leaks(frame(rows))} == {
        frozenset(r["id"] for r in usable if r["group"] == group) for group in straddling
    }
    assert give(rows, config) == {}


def _apply(rows: list[Row], action: str, number: int, label: str | None, tied: set[str]) -> None:
    if action == "add" or not rows:
        rows.append(row(f"i{len(rows)}", label, f"new{len(rows)}"))
        return
    chosen, other = rows[number % len(rows)], rows[number * 7 % len(rows)]
    match action:
        case "remove" | "restore":
            chosen["status"] = "removed" if action == "remove" else "ok"
        case "relabel":
            chosen["label"] = label
        case "add to a known group":
            rows.append(row(f"i{len(rows)}", label, chosen["group"]))
        case "tie two groups":
            rows.append(row(f"i{len(rows)}", label, chosen["group"]))
            tied.add(chosen["group"])
            for r in rows:
                if r["group"] == other["group"]:
                    r["group"] = chosen["group"]


def test_the_recipe_of_the_notebook_moves_pictures_and_this_does_not() -> None:
    rows = [row(f"{n:03d}") for n in range(500)]
    give(rows)
    splits = {r["id"]: r["split"] for r in rows}
    del rows[77]
    assert give(rows) == {}
    assert {r["id"]: r["split"] for r in rows}.items() <= splits.items()


# --- stratified, seeded


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 120), min_size=1),
    st.sampled_from([(0.15, 0.15), (0.2, 0.0), (0.1, 0.3), (0.0, 0.0), (0.25, 0.25)]),
    st.integers(0, 5),
    st.integers(1, 3),
)
def test_each_class_is_split_by_the_shares_to_within_one_group(
    classes: dict[str, int], shares: tuple[float, float], seed: int, turns: int
) -> None:
    config = SplitConfig(*shares, seed=seed)
    rows: list[Row] = []
    for turn in range(turns):  # also when the pictures come in several imports
        rows += [row(f"{label}{turn}-{n}", label) for label, count in classes.items() for n in range(count)]
        give(rows, config)
    wanted = {"train": 1 - sum(shares), "valid": shares[0], "test": shares[1]}
    for label, count in classes.items():
        counts = Counter(r["split"] for r in rows if r["label"] == label)
        for name, share in wanted.items():
            assert abs(counts[name] - share * count * turns) <= 1, (label, counts)
            assert share > 0 or counts[name] == 0


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_groups_are_counted_once_however_many_copies_they_have(copies: int) -> None:
    rows = [row(f"{n}-{c}", group=f"g{n}") for n in range(40) for c in range(copies)]
    give(rows)
    counts = Counter(next(iter(splits)) for splits in by_group(rows).values())
    assert counts == {"train": 28, "valid": 6, "test": 6}


def test_a_small_class_has_its_pictures_in_train_first() -> None:
    for count, expected in ((1, {"train": 1}), (2, {"train": 2}), (3, {"train": 2, "valid": 1}), (7, {"train": 5})):
        rows = [row(f"{n}") for n in range(count)]
        give(rows)
        assert expected.items() <= Counter(r["split"] for r in rows).items()


def test_the_same_seed_gives_the_same_splits_in_any_order_and_another_gives_others() -> None:
    names = [f"{n:03d}" for n in range(200)]
    first, again = [row(name) for name in names], [row(name) for name in reversed(names)]
    other = [row(name) for name in names]
    assert give(first, SplitConfig(seed=1)) == give(again, SplitConfig(seed=1))
    assert give(other, SplitConfig(seed=2)) != {r["id"]: r["split"] for r in first}


def test_only_usable_images_get_a_split() -> None:
    rows = [{**row(status), "status": status} for status in ("ok", "new", "set_aside", "removed")]
    assert set(give(rows)) == {"ok"}


def test_twenty_thousand_pictures_are_split_in_seconds() -> None:
    import time

    rows = [row(f"{n}", f"class {n % 50}") for n in range(20_000)]
    began = time.monotonic()
    give(rows)
    assert time.monotonic() - began < 10


# --- given splits


def test_splits_that_the_source_gave_are_respected() -> None:
    asked = ["train"] * 5 + ["valid"] * 30 + ["test"] * 3 + [None] * 10
    rows = [row(f"{n}", given=split) for n, split in enumerate(asked)]
    give(rows)
    assert [r["split"] for r in rows[:38]] == asked[:38]
    assert all(r["split"] for r in rows)


def test_pictures_without_a_given_split_make_up_for_what_the_source_lacks() -> None:
    rows = [row(f"given {n}", given="train") for n in range(70)] + [row(f"free {n}") for n in range(30)]
    give(rows)
    assert Counter(r["split"] for r in rows[70:]) == {"valid": 15, "test": 15}


def test_copies_of_one_picture_given_to_two_splits_stay_together_in_the_first() -> None:
    rows = [row("a", group="g", given="test"), row("b", group="g", given="train"), row("c", group="g")]
    assert give(rows) == {"a": "test", "b": "test", "c": "test"}


def test_a_new_copy_takes_the_split_of_its_group_whatever_its_source_says() -> None:
    rows = [{**row("old", group="g"), "split": "test"}, row("new", group="g", given="train")]
    assert give(rows) == {"new": "test"}
    rows = [{**row("removed", group="g"), "split": "valid", "status": "removed"}, row("new", group="g")]
    assert give(rows) == {"new": "valid"}


def test_a_leak_is_reported_and_nothing_moves() -> None:
    rows = [{**row("a", group="g"), "split": "train"}, {**row("b", group="g"), "split": "test"}, row("c", group="g")]
    assert give(rows) == {"c": "train"}
    assert leaks(frame(rows)) == [["a", "b", "c"]]
    rows[1]["status"] = "removed"
    assert leaks(frame(rows)) == []


# --- in a workspace


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (0.9, 0.2)])
def test_shares_that_leave_nothing_to_train_on_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="less than 1"):
        SplitConfig(*shares)


def filled(workspace: Workspace, first: int, last: int) -> None:
    names = [f"{n:03d}" for n in range(first, last)]
    workspace.store.add_images([NewImage(name, f"00/{name}.jpg", 1, "cat", "file", name) for name in names])
    workspace.store.record_verdicts([Verdict(name, "ok", "ok", "") for name in names])


def test_the_store_keeps_the_splits_and_the_first_configuration(workspace: Workspace) -> None:
    filled(workspace, 0, 100)
    first = assign_splits(workspace, SplitConfig(0.3, 0.0, seed=5))
    assert Counter(first.values()) == {"train": 70, "valid": 30}
    assert assign_splits(workspace, SplitConfig(0.15, 0.5)) == {}
    filled(workspace, 100, 200)
    assert Counter(assign_splits(Workspace.open(workspace.root)).values()) == {"train": 70, "valid": 30}
    kept = workspace.store.images()
    assert dict(zip(kept["id"], kept["split"], strict=True)).items() >= first.items()


def test_an_empty_workspace_does_not_settle_the_shares(workspace: Workspace) -> None:
    assert assign_splits(workspace) == {}
    filled(workspace, 0, 10)
    assert Counter(assign_splits(workspace, SplitConfig(0.5, 0.0)).values()) == {"train": 5, "valid": 5}


def test_removing_and_undoing_brings_an_image_back_to_its_split(workspace: Workspace) -> None:
    filled(workspace, 0, 20)
    first = assign_splits(workspace)
    workspace.store.journal.decide([Wish("003", "remove", lambda state: State(state.labels, "removed"))])
    filled(workspace, 20, 40)
    assign_splits(workspace)
    workspace.store.journal.undo()
    assign_splits(workspace)
    assert workspace.store.image("003")["split"] == first["003"]


def test_a_workspace_made_without_groups_is_split_image_by_image(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    filled(workspace, 0, 3)
    assert set(assign_splits(workspace)) == {"000", "001", "002"}
    assert leaks(workspace.store.images()) == []


# --- pictures are counted, not groups; scenes stay together


def in_scenes(sizes: list[int], label: str = "cat") -> list[Row]:
    return [
        {**row(f"{label}{n}-{k}", label), "scene": f"{label}{n}"} for n, size in enumerate(sizes) for k in range(size)
    ]


def splits_of(rows: list[Row], config: SplitConfig | None = None) -> dict[str, Counter[str]]:
    """label -> how many pictures it has in each split, once they were given."""
    chosen = new_splits(pd.DataFrame(rows, dtype=object), config or SplitConfig())
    found: dict[str, Counter[str]] = {}
    for r in rows:
        r["split"] = chosen.get(r["id"], r["split"])
        found.setdefault(r["label"], Counter())[r["split"]] += 1
    return found


def test_a_large_group_is_counted_by_its_pictures_and_leaves_no_split_empty() -> None:
    rows = [row(f"copy {n}", group="g") for n in range(20)] + [row(f"{n}") for n in range(20)]
    give(rows)
    assert Counter(r["split"] for r in rows) == {"train": 28, "valid": 6, "test": 6}


@pytest.mark.parametrize(
    ("sizes", "expected"), [([10], [10, 0, 0]), ([10] * 3, [10, 10, 10]), ([10] * 4, [20, 10, 10]), ([30], [30, 0, 0])]
)
def test_few_scenes_fill_the_splits_one_after_the_other(sizes: list[int], expected: list[int]) -> None:
    counts = splits_of(in_scenes(sizes))["cat"]
    assert [counts[name] for name in SPLITS] == expected


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=15), st.lists(st.integers(1, 30), max_size=15), st.integers(0, 3)
)
def test_no_scene_is_ever_cut_in_two_and_a_picture_more_goes_with_it(a: list[int], b: list[int], seed: int) -> None:
    rows = [*in_scenes(a), *in_scenes(b, "dog")]
    splits_of(rows, SplitConfig(seed=seed))
    before = {r["id"]: r["split"] for r in rows}
    rows += [{**r, "id": f"{r['id']} again", "group": f"{r['id']} again", "split": None} for r in rows[:5]]
    splits_of(rows, SplitConfig(seed=seed))
    assert before.items() <= {r["id"]: r["split"] for r in rows}.items()
    together: dict[str, set[str]] = {}
    for r in rows:
        together.setdefault(r["scene"], set()).add(r["split"])
    assert all(len(splits) == 1 for splits in together.values())


def test_alike_pictures_keep_the_splits_that_their_source_gave_them() -> None:
    asked = ["train"] * 26 + ["valid"] * 6 + ["test"] * 8
    rows = [{**row(f"{n}", given=split), "scene": "one lamp"} for n, split in enumerate(asked)]
    assert splits_of(rows)["cat"] == {"train": 26, "valid": 6, "test": 8}


def test_pictures_without_a_label_are_in_no_split_whatever_their_source_says() -> None:
    rows = [row("a", None, given="test"), row("b", None), row("c")]
    assert give(rows) == {"c": "train"}
    rows[1]["label"] = "cat"
    assert set(give(rows)) == {"b"}


# --- a source that gives some splits only


def given_as(train: int, valid: int, test: int, label: str) -> list[Row]:
    asked = ["train"] * train + ["valid"] * valid + ["test"] * test
    return [row(f"{label}{n:03}", label, given=split) for n, split in enumerate(asked)]


def test_valid_is_drawn_from_train_where_there_is_train_and_test_only() -> None:
    rows = [*given_as(40, 0, 10, "cat"), *given_as(20, 0, 5, "dog")]
    counts = splits_of(rows)
    assert counts == {"cat": {"train": 34, "valid": 6, "test": 10}, "dog": {"train": 17, "valid": 3, "test": 5}}
    assert splits_of(rows) == counts


def test_valid_and_test_are_drawn_from_a_train_that_comes_alone() -> None:
    assert splits_of(given_as(40, 0, 0, "cat"))["cat"] == {"train": 29, "valid": 6, "test": 5}


@pytest.mark.parametrize("given", [(40, 10, 0), (0, 0, 12), (0, 9, 3)])
def test_nothing_is_drawn_from_what_was_given_otherwise(given: tuple[int, int, int]) -> None:
    counts = splits_of(given_as(*given, "cat"))["cat"]
    assert tuple(counts[name] for name in SPLITS) == given


def test_what_is_drawn_from_train_cuts_no_scene_and_leaves_two_pictures_of_each_class() -> None:
    rows = [{**r, "given_split": "train"} for r in in_scenes([4] * 10)] + given_as(0, 0, 6, "cat")
    rows += given_as(2, 0, 2, "rare")
    counts = splits_of(rows)
    assert counts["cat"]["valid"] == 4 and counts["rare"] == {"train": 2, "test": 2}
    valid = {r["scene"] for r in rows if r["split"] == "valid"}
    assert all(r["split"] == "valid" for r in rows if r.get("scene") in valid)


def told(rows: list[Row], config: SplitConfig | None = None) -> list[tuple[str, str, tuple[str, ...]]]:
    splits_of(rows, config)
    table = pd.DataFrame([{"scene": None, **r} for r in rows], dtype=object)
    return [(problem.kind, problem.split, problem.labels) for problem in split_problems(table, config or SplitConfig())]


def test_what_is_missing_in_the_splits_is_said() -> None:
    assert told([row(f"{n}") for n in range(100)]) == []
    assert told(given_as(80, 0, 20, "cat")) == [("drawn", "valid", ())]
    assert told(given_as(80, 20, 0, "cat")) == [("empty", "test", ())]
    assert told(given_as(0, 0, 20, "cat")) == [("empty", "train", ()), ("empty", "valid", ())]
    assert told([*given_as(80, 20, 20, "cat"), *given_as(80, 0, 20, "dog")]) == [("class", "valid", ("dog",))]
    assert told([*given_as(80, 20, 3, "cat")]) == [("small", "test", ())]
    assert told([row(f"{n}") for n in range(100)], SplitConfig(0.2, 0.0)) == []
    straddling = [{**r, "scene": "one"} for r in given_as(60, 20, 20, "cat")]
    assert told(straddling) == [("scene", "", ())]
