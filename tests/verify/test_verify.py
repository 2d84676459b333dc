"""Verify sets every broken file aside and no good one, finds what is twice there, and can be stopped at any time."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from cleaner.clean.decisions import keep, relabel, remove, restore
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.collect.starter_set import BROKEN, write_messy
from pipeline.errors import TooManyBroken, UsageError
from pipeline.stage import Progress, run
from pipeline.verify.findings import PROBLEMS, Verified, verified
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.store import NewImage
from pipeline.workspace.workspace import Workspace
from tests.support.paths import ROOT


def put(workspace: Workspace, name: str, data: bytes, label: str | None = "cat") -> str:
    """The id of ``data``, put into the workspace as an import does."""
    image_id, file = workspace.keep(data, Path(name).suffix[1:] or "jpg")
    workspace.store.add_images([NewImage(image_id, file, len(data), label, "file", name)])
    return image_id


def put_folder(workspace: Workspace, folder: Path, every: int = 1) -> dict[str, str]:
    """file name within the folder -> image id."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))[::every]
    ids: dict[str, str] = {}
    new = []
    for path in files:
        data, name = path.read_bytes(), path.relative_to(folder).as_posix()
        ids[name], file = workspace.keep(data, path.suffix[1:])
        new.append(NewImage(ids[name], file, len(data), path.parent.name, "file", name))
    workspace.store.add_images(new)
    return ids


def picture(colour: str = "red", size: tuple[int, int] = (64, 48)) -> bytes:
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image.paste(colour, (0, 0, size[0] // 2, size[1] // 3))
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def check(workspace: Workspace, **config: int) -> Verified:
    return run(verify(workspace, VerifyConfig(workers=2, **config)))


# --- the messy starter: all its trouble is known


class Messy:
    def __init__(self, root: Path) -> None:
        folder = write_messy(root / "messy")
        with (folder / "truth.csv").open(encoding="utf-8", newline="") as lines:
            self.truth = list(csv.DictReader(lines))
        self.workspace = Workspace.create(root / "workspace")
        self.ids = put_folder(self.workspace, folder)
        self.shown: list[Progress] = []
        self.result = run(verify(self.workspace), self.shown.append)
        self.groups = {image: number for number, group in enumerate(self.result.duplicate_groups) for image in group}

    def files(self, *kinds: str) -> list[dict[str, str]]:
        return [row for row in self.truth if row["kind"] in kinds]

    def together(self, row: dict[str, str]) -> bool:
        copy, original = self.ids[row["file"]], self.ids[row["of"]]
        return copy == original or self.groups.get(copy, -1) == self.groups.get(original, -2)


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> Messy:
    return Messy(tmp_path_factory.mktemp("messy"))


@pytest.mark.slow
def test_every_planted_broken_file_is_set_aside_and_no_good_one(messy: Messy) -> None:
    planted = {messy.ids[row["file"]] for row in messy.files(*BROKEN)}
    assert {aside.id for aside in messy.result.set_aside} == planted
    assert len(planted) == len(messy.files(*BROKEN)) == 20
    assert all(aside.reason.endswith(".") for aside in messy.result.set_aside)
    assert messy.result.checked == messy.result.new == len(set(messy.ids.values()))
    assert messy.result.ok == messy.result.checked - 20


@pytest.mark.slow
def test_every_kind_of_breakage_has_its_verdict(messy: Messy) -> None:
    verdicts = {aside.id: aside.verdict for aside in messy.result.set_aside}
    found = defaultdict(set)
    for row in messy.files(*BROKEN):
        found[row["kind"]].add(verdicts[messy.ids[row["file"]]])
    assert found["empty"] == {"empty"}
    assert found["web_page"] == found["text"] == {"not_an_image"}
    assert found["truncated"] <= {"truncated", "corrupt"}
    assert found["garbage_header"] <= {"not_an_image", "corrupt"}


@pytest.mark.slow
def test_every_planted_exact_duplicate_is_grouped(messy: Messy) -> None:
    copies = messy.files("same_bytes", "same_pixels")
    assert len(copies) == 20 and all(messy.together(row) for row in copies)


@pytest.mark.slow
def test_nearly_all_planted_near_duplicates_are_grouped_and_nothing_else(messy: Messy) -> None:
    copies = messy.files("near_duplicate", "label_conflict")
    found = sum(messy.together(row) for row in copies)
    print(f"{found} of {len(copies)} planted near duplicates are grouped")
    assert found == len(copies)
    pairs = {frozenset((messy.ids[row["file"]], messy.ids[row["of"]])) for row in messy.truth if row["of"]}
    wrong = [group for group in messy.result.duplicate_groups if frozenset(group) not in pairs]
    print(f"{len(wrong)} of {len(messy.result.duplicate_groups)} groups are not planted")
    assert wrong == []


@pytest.mark.slow
def test_every_planted_label_conflict_is_found(messy: Messy) -> None:
    conflicts = {image for group in messy.result.label_conflicts for image in group}
    planted = messy.files("label_conflict")
    assert len(planted) == 6
    assert {messy.ids[row["file"]] for row in planted} <= conflicts
    assert len(messy.result.label_conflicts) == len(planted)


@pytest.mark.slow
def test_no_duplicate_group_reaches_into_two_splits(messy: Messy) -> None:
    assert messy.result.leaks == ()
    ok = messy.workspace.store.images("ok")
    assert ok["split"].notna().all() and ok.groupby("group")["split"].nunique().max() == 1
    shares = ok["split"].value_counts(normalize=True)
    assert abs(shares["train"] - 0.7) < 0.02 and abs(shares["test"] - 0.15) < 0.02


@pytest.mark.slow
def test_what_is_set_aside_has_no_split_and_no_thumbnail_and_the_rest_has_both(messy: Messy) -> None:
    for image in messy.workspace.store.images().itertuples():
        good = image.status == "ok"
        assert (image.split is not None) == good
        assert messy.workspace.thumbnail(str(image.id)).exists() == good
        assert messy.workspace.image_file(str(image.file)).exists()


@pytest.mark.slow
def test_progress_goes_up_to_the_number_of_pictures(messy: Messy) -> None:
    steps = [progress.done for progress in messy.shown if progress.note == "Checking pictures"]
    assert steps == sorted(steps) and steps[-1] == messy.result.new == messy.shown[0].total


@pytest.mark.slow
def test_a_second_run_checks_nothing_and_says_the_same(messy: Messy) -> None:
    before = messy.workspace.store.images()
    again = run(verify(messy.workspace))
    assert again.new == 0
    assert again == verified(messy.workspace)
    assert (again.set_aside, again.duplicate_groups) == (messy.result.set_aside, messy.result.duplicate_groups)
    pd.testing.assert_frame_equal(before, messy.workspace.store.images())


# --- one thing at a time


def test_a_workspace_without_pictures_is_fine(workspace: Workspace) -> None:
    assert check(workspace) == Verified(0, 0, 0, problems=dict.fromkeys(PROBLEMS, ()))


def test_facts_of_a_good_picture_are_written_down(workspace: Workspace) -> None:
    image = put(workspace, "a.png", picture(size=(64, 48)))
    check(workspace)
    row = workspace.store.image(image)
    assert (row["status"], row["verdict"], row["reason"]) == ("ok", "ok", "")
    assert (row["width"], row["height"], row["format"]) == (64, 48, "PNG")
    with Image.open(workspace.thumbnail(image)) as thumbnail:
        assert thumbnail.size == (64, 48)


def test_suspects_are_kept_and_shown(workspace: Workspace, photographs: Path) -> None:
    data = bytearray(next(iter(sorted(photographs.rglob("*.jpg")))).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    image = put(workspace, "doubtful.jpg", bytes(data))
    result = check(workspace)
    assert result.ok == 1 and result.set_aside == ()
    assert [(suspect.id, suspect.verdict) for suspect in result.suspects] == [(image, "suspect")]


def test_a_file_that_vanished_is_set_aside(workspace: Workspace) -> None:
    image = put(workspace, "a.png", picture())
    workspace.image_file(workspace.store.image(image)["file"]).unlink()
    (aside,) = check(workspace).set_aside
    assert aside.id == image and "cannot be read" in aside.reason


def test_a_picture_that_needs_too_much_memory_costs_only_itself(workspace: Workspace) -> None:
    target = io.BytesIO()
    Image.new("RGB", (7_000, 7_000)).save(target, "PNG", compress_level=1)
    hungry, modest = put(workspace, "big.png", target.getvalue()), put(workspace, "small.png", picture())
    result = check(workspace, memory_mb=150)
    assert [aside.id for aside in result.set_aside] == [hungry]
    assert result.set_aside[0].verdict in ("too_large", "corrupt")
    assert workspace.store.image(modest)["status"] == "ok"


def test_restoring_what_was_set_aside_keeps_its_bytes(workspace: Workspace) -> None:
    data = picture()[:-200]
    image = put(workspace, "broken.png", data)
    check(workspace)
    for action in (restore, remove, restore):
        action(workspace, image)
        stored = workspace.image_file(workspace.store.image(image)["file"]).read_bytes()
        assert stored == data and hashlib.sha256(stored).hexdigest() == image
    again = check(workspace)
    assert (again.new, [aside.id for aside in again.set_aside]) == (1, [image])


def test_a_persons_decision_is_not_overruled(workspace: Workspace) -> None:
    image = put(workspace, "broken.png", b"not a picture")
    remove(workspace, image)
    other = put(workspace, "good.png", picture())
    check(workspace)
    assert workspace.store.image(image)["status"] == "removed"
    assert workspace.store.image(other)["status"] == "ok"


def test_the_same_file_in_two_class_folders_is_a_conflict_until_a_person_decides(workspace: Workspace) -> None:
    image = put(workspace, "cat/1.png", picture(), "cat")
    assert check(workspace).label_conflicts == ()
    put(workspace, "dog/1.png", picture(), "dog")
    assert check(workspace).label_conflicts == ((image,),)
    keep(workspace, image)
    assert check(workspace).label_conflicts == ()


def test_copies_with_two_labels_are_a_conflict_until_they_agree(workspace: Workspace) -> None:
    same = Image.open(io.BytesIO(picture()))
    other = io.BytesIO()
    same.save(other, "BMP")
    one, two = put(workspace, "1.png", picture(), "cat"), put(workspace, "2.bmp", other.getvalue(), "dog")
    assert [set(group) for group in check(workspace).label_conflicts] == [{one, two}]
    relabel(workspace, two, "cat")
    assert check(workspace).label_conflicts == ()


def test_a_copy_without_a_label_is_no_conflict(workspace: Workspace) -> None:
    other = io.BytesIO()
    Image.open(io.BytesIO(picture())).save(other, "BMP")
    put(workspace, "1.png", picture(), "cat")
    put(workspace, "2.bmp", other.getvalue(), None)
    result = check(workspace)
    assert len(result.duplicate_groups) == 1 and result.label_conflicts == ()


def test_a_new_copy_of_a_removed_picture_takes_its_split(workspace: Workspace, photographs: Path) -> None:
    files = sorted(photographs.rglob("*.jpg"))[:12]
    ids = [put(workspace, path.name, path.read_bytes()) for path in files]
    check(workspace)
    tested = next(image for image in ids if workspace.store.image(image)["split"] == "test")
    file = workspace.image_file(workspace.store.image(tested)["file"])
    remove(workspace, tested)
    for quality in (60, 70, 80, 90):
        copy = io.BytesIO()
        Image.open(workspace.trash / file.relative_to(workspace.images)).save(copy, "JPEG", quality=quality)
        put(workspace, f"copy at {quality}.jpg", copy.getvalue())
    result = check(workspace)
    rows = workspace.store.images("ok")
    assert set(rows[rows["source_name"].str.startswith("copy")]["split"]) == {"test"}
    assert len(result.duplicate_groups) == 1 and result.leaks == ()


def test_a_picture_that_ties_two_splits_is_reported_as_a_leak(workspace: Workspace, photographs: Path) -> None:
    path = sorted(photographs.rglob("*.jpg"))[0]
    original = Image.open(path)
    ids = [put(workspace, path.name, path.read_bytes())]
    check(workspace)
    workspace.store.set_splits({ids[0]: "train"})
    pair = io.BytesIO()
    original.save(pair, "BMP")
    ids.append(put(workspace, "pair.bmp", pair.getvalue()))
    workspace.store.set_splits({ids[1]: "test"})  # as if it had been here before anybody saw that they are one
    result = check(workspace)
    assert [set(leak) for leak in result.leaks] == [set(ids)]
    assert [workspace.store.image(image)["split"] for image in ids] == ["train", "test"]


# --- many that cannot be used


def broken_and_good(workspace: Workspace, broken: int, good: int) -> tuple[list[str], list[str]]:
    pages = [put(workspace, f"{n}.jpg", b"<!doctype html><html>%d" % n) for n in range(broken)]
    colours = [f"#{3 * n:02x}8040" for n in range(good)]
    return pages, [put(workspace, f"{n}.png", picture(colour, (64 + n, 48))) for n, colour in enumerate(colours)]


def test_where_more_than_a_tenth_cannot_be_used_it_stops_and_asks(workspace: Workspace) -> None:
    pages, good = broken_and_good(workspace, 4, 20)
    with pytest.raises(TooManyBroken, match=r"4 of 24 pictures cannot be used: 4 because “It is a web page") as asked:
        check(workspace)
    assert "Nothing was set aside" in str(asked.value) and "--accept-broken" in str(asked.value)
    rows = workspace.store.images().set_index("id")["status"]
    assert set(rows[pages]) == {"new"} and set(rows[good]) == {"ok"}
    assert workspace.store.fact("verify_doubt").startswith("4 of 24 pictures")
    result = run(verify(workspace, VerifyConfig(workers=1, accept_broken=True)))
    assert {aside.id for aside in result.set_aside} == set(pages) and result.new == 4
    assert result.doubt.startswith("4 of 4 pictures")
    assert workspace.store.fact("verify_doubt") == ""
    assert check(workspace).doubt == ""


@pytest.mark.parametrize(("broken", "good"), [(2, 3), (3, 27)])
def test_a_few_broken_ones_are_set_aside_without_a_question(workspace: Workspace, broken: int, good: int) -> None:
    broken_and_good(workspace, broken, good)
    result = check(workspace)
    assert len(result.set_aside) == broken and result.doubt == ""


# --- stopped in the middle


def outcome(workspace: Workspace) -> pd.DataFrame:
    return workspace.store.images().drop(columns=["added_at"])


def test_what_was_checked_before_a_cancel_is_kept(workspace: Workspace, photographs: Path) -> None:
    put_folder(workspace, photographs)

    def show(progress: Progress) -> None:
        if progress.done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(verify(workspace, VerifyConfig(workers=1)), show)
    assert len(workspace.store.images("ok")) == 10
    result = check(workspace)
    assert (result.new, result.ok) == (30, 40)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_a_verify_that_is_killed_goes_on_where_it_was(tmp_path: Path, starter_folder: Path) -> None:
    script = (
        "import os, sys, time; from pipeline.stage import run\n"
        "from pipeline.verify.verify import BATCH_SECONDS, verify\n"
        "from pipeline.workspace.workspace import Workspace\n"
        "def show(progress):\n"
        "    if progress.done == 60: time.sleep(BATCH_SECONDS)\n"  # so that the next step writes down what is known
        "    if progress.done == 90: os.kill(os.getpid(), 9)\n"
        "if __name__ == '__main__':\n"
        "    run(verify(Workspace.open(sys.argv[1])), show)"
    )
    killed, whole = Workspace.create(tmp_path / "killed"), Workspace.create(tmp_path / "whole")
    for workspace in (killed, whole):
        put_folder(workspace, starter_folder, every=2)
        put(workspace, "broken.jpg", b"\xff\xd8\xff nothing more")
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script, str(killed.root)], check=False, cwd=ROOT)
        assert done.returncode == -signal.SIGKILL
    left = len(killed.store.images("new"))
    assert 301 - 2 * 90 <= left <= 301 - 2 * 61
    assert check(killed).new == left
    check(whole)
    pd.testing.assert_frame_equal(outcome(killed), outcome(whole))
    thumbnails = sorted(path.name for path in killed.thumbnails.rglob("*.jpg"))
    assert thumbnails == sorted(path.name for path in whole.thumbnails.rglob("*.jpg"))


def test_a_picture_with_several_labels_is_no_conflict(workspace: Workspace, tmp_path: Path) -> None:
    Image.effect_noise((48, 48), 90).save(tmp_path / "1.png")
    (tmp_path / "labels.csv").write_text("path,labels\n1.png,person;dog\n")
    run(import_images(workspace, ImportConfig(str(tmp_path / "labels.csv"))))
    found = run(verify(workspace, VerifyConfig(workers=1)))
    assert list(workspace.store.images()["label"]) == ["dog|person"] and found.label_conflicts == ()


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="less than 1"):
        VerifyConfig(valid=0.6, test=0.6)
    with pytest.raises(UsageError, match="--max-megapixels is from 50 to 1000"):
        VerifyConfig(max_megapixels=7)
