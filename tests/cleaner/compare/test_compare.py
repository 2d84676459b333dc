"""Two runs on the same images: the verdict is exact, the interval covers, and the two never disagree."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleaner.clean.decisions import relabel, remove
from cleaner.compare.compare import compare
from pipeline.errors import NotEnoughData
from pipeline.workspace.runs import OUT_OF_FOLD, Run, describe, load_run
from tests.cleaner.fabricate import Shot, run_with, workspace_with

ANT, BEE = (0.9, 0.1, 0.0), (0.1, 0.9, 0.0)


def shots(answers: list[tuple[float, ...]], split: str = "test") -> list[Shot]:
    """One ant for each answer."""
    return [Shot(f"s{n}", "ant", split, answer) for n, answer in enumerate(answers)]


def two_runs(root: Path, a: list[tuple[float, ...]], b: list[tuple[float, ...]], split: str = "test"):
    workspace, ids = workspace_with(root, shots(a, split), pictures=False)
    return (
        workspace,
        ids,
        run_with(workspace, ids, shots(a, split)),
        run_with(workspace, ids, shots(b, split), name="b"),
    )


def test_a_run_that_mends_ten_errors_and_makes_none_is_better(tmp_path: Path):
    found = compare(*without_ids(two_runs(tmp_path / "w", [BEE] * 10 + [ANT] * 20, [ANT] * 30)))
    assert (found.fixed, found.broken, found.n, found.split) == (10, 0, 30, "test")
    assert found.a.error_rate == pytest.approx(1 / 3) and found.b.error_rate == 0
    assert found.difference == pytest.approx(-1 / 3) and found.low < found.difference < found.high < 0
    assert found.p == pytest.approx(2 / 2**10) and found.verdict == "better"
    assert (
        "b is better" in found.words
        and "from 10 (33.3%) to 0 (0.0%)" in found.words
        and "30 test images" in found.words
    )


def test_the_same_the_other_way_round_is_worse(tmp_path: Path):
    found = compare(*without_ids(two_runs(tmp_path / "w", [ANT] * 30, [BEE] * 10 + [ANT] * 20)))
    assert found.verdict == "worse" and 0 < found.low < found.difference < found.high


def test_one_mended_error_in_thirty_cannot_be_told_apart_from_luck(tmp_path: Path):
    found = compare(*without_ids(two_runs(tmp_path / "w", [BEE] + [ANT] * 29, [ANT] * 30)))
    assert found.verdict == "cannot be told apart" and found.low <= 0 <= found.high
    assert "cannot be told apart" in found.words and "1 wrong before and right now" in found.words


def test_the_labels_of_today_judge_and_removed_images_do_not_count(tmp_path: Path):
    workspace, ids, a, b = two_runs(tmp_path / "w", [BEE, ANT, ANT], [ANT, ANT, ANT])
    assert compare(workspace, a, b).fixed == 1
    relabel(workspace, ids["s0"], "bee")
    found = compare(workspace, a, b)
    assert (found.fixed, found.broken) == (0, 1)
    remove(workspace, ids["s0"])
    assert compare(workspace, a, b).n == 2


def test_without_test_images_the_valid_ones_are_compared_and_the_words_say_so(tmp_path: Path):
    found = compare(*without_ids(two_runs(tmp_path / "w", [BEE, ANT], [ANT, ANT], "valid")))
    assert found.split == "valid" and "valid images, which training has looked at" in found.words


def test_runs_without_a_common_image_are_not_compared(tmp_path: Path):
    workspace, ids, a, _ = two_runs(tmp_path / "w", [ANT] * 4, [ANT] * 4)
    empty = run_with(workspace, ids, [], name="empty")
    with pytest.raises(NotEnoughData, match="in common"):
        compare(workspace, a, empty)


def test_a_run_compared_with_itself_cannot_be_told_apart(tmp_path: Path):
    workspace, _, a, _ = two_runs(tmp_path / "w", [ANT, BEE], [ANT, BEE])
    found = compare(workspace, a, a)
    assert (found.verdict, found.difference, found.p) == ("cannot be told apart", 0, 1)


def without_ids(made):
    workspace, _, a, b = made
    return workspace, a, b


# --- how many more images, and what to know beforehand -------------------------------------------------------------


def test_runs_that_cannot_be_told_apart_say_how_many_images_would_tell_if_it_is_real(tmp_path: Path):
    found = compare(*without_ids(two_runs(tmp_path / "w", [BEE] * 3 + [ANT] * 87, [ANT] * 3 + [BEE] + [ANT] * 86)))
    assert found.needed == 620
    assert "cannot be told apart on these images: you would need about 620 more test images" in found.words
    assert "if the difference seen is real" in found.words and "rough guess, as they differ in 4 images" in found.words


def test_a_difference_of_zero_promises_nothing_and_one_that_shows_needs_no_more(tmp_path: Path):
    found = compare(*without_ids(two_runs(tmp_path / "w", [BEE, ANT], [ANT, BEE])))
    assert found.needed is None and "no number of images would show one" in found.words
    found = compare(*without_ids(two_runs(tmp_path / "v", [BEE] * 10 + [ANT] * 9, [ANT] * 19)))
    assert found.needed == 0 and "more test images" not in found.words


def test_the_images_fixed_and_broken_are_named(tmp_path: Path):
    workspace, ids, a, b = two_runs(tmp_path / "w", [BEE, ANT, ANT], [ANT, BEE, ANT])
    found = compare(workspace, a, b)
    assert (found.fixed_images, found.broken_images) == ([ids["s0"]], [ids["s1"]])


def test_labels_changed_by_hand_since_the_older_run_are_said_whatever_the_order(tmp_path: Path):
    workspace, ids, a, b = two_runs(tmp_path / "w", [BEE, ANT, ANT], [ANT, ANT, ANT])
    assert "by hand" not in compare(workspace, a, b).words
    relabel(workspace, ids["s0"], "bee")
    words = (
        "The label of 1 test image was changed by hand since run run-a; both runs are judged by the labels of today."
    )
    assert words in compare(workspace, a, b).notes and words in compare(workspace, b, a).notes
    relabel(workspace, ids["s1"], "bee")
    assert "The labels of 2 test images were changed by hand since run run-a" in compare(workspace, a, b).words


def test_a_renamed_class_makes_no_run_better(tmp_path: Path):
    workspace, ids, a, b = two_runs(tmp_path / "w", [ANT] * 8, [ANT] * 8)
    for image in ids.values():
        relabel(workspace, image, "Ameise")
    found = compare(workspace, a, b)
    assert (found.a.errors, found.b.errors) == (0, 0)
    assert found.words.count("The class ant is called Ameise now, and answers are read so.") == 1
    assert "by hand" not in found.words


def test_images_gone_new_or_of_an_unknown_class_are_said(tmp_path: Path):
    everything = shots([ANT] * 6)
    workspace, ids = workspace_with(tmp_path / "w", everything, pictures=False)
    a, b = run_with(workspace, ids, everything[:5]), run_with(workspace, ids, everything, name="b")
    remove(workspace, ids["s0"])
    relabel(workspace, ids["s1"], "duck")
    notes = compare(workspace, a, b).notes
    assert "1 test image removed or set aside since does not count." in notes
    assert "1 test image that only run b was asked about does not count." in notes
    assert "Run run-a does not know the class of 1 image, and so has them wrong." in notes


def test_answers_that_name_a_class_nobody_has_any_more_are_said_to_be_wrong(tmp_path: Path):
    workspace, ids, a, b = two_runs(tmp_path / "w", [ANT] * 4, [BEE] * 4)
    for name, label in zip(("s0", "s1", "s2", "s3"), ("bee", "bee", "red", "black"), strict=True):
        relabel(workspace, ids[name], label)
    found = compare(workspace, a, b)
    assert "No image is called ant any more: where run run-a answers that, it is wrong." in found.notes
    assert found.a.errors == 4 and not any("cat" in note for note in found.notes)


def test_several_labels_other_settings_and_equal_data_are_said(tmp_path: Path):
    pictures = [Shot("s0", "ant", "test", ANT), Shot("s1", "ant", "test", ANT)]
    workspace, ids = workspace_with(tmp_path / "w", pictures, pictures=False)
    a, b = run_with(workspace, ids, pictures), run_with(workspace, ids, pictures, name="b")
    assert compare(workspace, a, b).notes == []
    relabel(workspace, ids["s0"], "ant|bee")
    assert any("several labels counts as right only where" in note for note in compare(workspace, a, b).notes)
    same = {"data_version": "0" * 64}
    config = {**b.config, "seed": 3, "batch_size": 8, "note": "other", "device": "cuda"}
    other = Run(b.folder, {**b.record, "config": config, **same})
    words = compare(workspace, Run(a.folder, {**a.record, **same}), other).words
    assert "not trained with the same settings (batch size, seed), so this is not what cleaning alone did" in words
    assert "nothing was cleaned between them" in words


def test_a_run_against_itself_says_so_and_names_are_those_a_person_gave(tmp_path: Path):
    workspace, _, a, b = two_runs(tmp_path / "w", [ANT, BEE], [ANT, BEE])
    assert "This is one and the same run." in compare(workspace, a, a).notes
    describe(workspace, "b", "<b>after</b>", "")
    assert "run-a and <b>after</b> cannot be told apart" in compare(workspace, a, b).words
    assert compare(workspace, a, b).b.run == "b"


def test_all_images_are_compared_when_asked_with_answers_out_of_fold_for_those_of_valid(tmp_path: Path):
    def of(answer: tuple[float, ...]) -> list[Shot]:
        splits = ["test"] * 4 + ["valid"] * 4 + ["train"] * 12
        return [Shot(f"s{n}", "ant", split, answer) for n, split in enumerate(splits)]

    workspace, ids = workspace_with(tmp_path / "w", of(BEE), pictures=False)
    a, b = run_with(workspace, ids, of(BEE)), run_with(workspace, ids, of(ANT), name="b")
    table = b.predictions()
    table = table[table["split"] != "test"]
    valid = table["split"] == "valid"
    table.assign(predicted=table["predicted"].where(~valid, "bee")).to_csv(b.folder / OUT_OF_FOLD, index=False)
    usual, every = compare(workspace, a, b), compare(workspace, a, load_run(workspace, "b"), every=True)
    assert (usual.split, usual.n, usual.fixed) == ("test", 4, 4)
    assert (every.split, every.n, every.fixed, every.broken) == ("every", 20, 16, 0)
    assert "On the same 20 images, judged" in every.words and "backbone as it came" in every.notes[0]
    remove(workspace, ids["s19"])
    assert "1 image removed or set aside" in " ".join(compare(workspace, a, load_run(workspace, "b"), True).notes)


def test_what_both_runs_say_of_a_new_place_is_told(tmp_path: Path):
    workspace, _, a, b = two_runs(tmp_path / "w", [BEE] * 3 + [ANT] * 20, [ANT] * 23)
    assert compare(workspace, a, b).new_scenes == {"a": None, "b": None}
    said = {"error_rate": 0.09, "low": 0.06, "high": 0.13, "scenes": 23, "by": "time"}
    a, b = (Run(run.folder, {**run.record, "new_scenes": {**said, "high": high}}) for run, high in ((a, 0.2), (b, 0.1)))
    found = compare(workspace, a, b)
    assert found.new_scenes["b"]["high"] == 0.1
    assert "In a new place run run-a is probably wrong on 6 to 20 %, run b on 6 to 10 %." in found.words
