"""The starter set is whole and as described; the messy one holds exactly what its truth says."""

import csv
import hashlib
import io
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from pipeline.collect.starter_set import (
    ARCHIVE,
    ARCHIVE_SHA256,
    BROKEN,
    CLASSES,
    CONFUSED_WITH,
    DUPLICATES,
    PLANTED,
    write_messy,
    write_starter,
)
from pipeline.errors import SourceError

ORIGIN = (ARCHIVE.parent / "ORIGIN.md").read_text(encoding="utf-8")
LARGEST_ARCHIVE = 9_500_000


def pixels(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return f"{image.size}".encode() + image.convert("RGB").tobytes()


def decodes(data):
    try:
        pixels(data)
    except (OSError, SyntaxError, ValueError):
        return False
    return True


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def starter(tmp_path_factory):
    return files(write_starter(tmp_path_factory.mktemp("starter")))


@pytest.fixture(scope="module")
def messy_folder(tmp_path_factory):
    return write_messy(tmp_path_factory.mktemp("messy"))


@pytest.fixture(scope="module")
def messy(messy_folder):
    return {name: data for name, data in files(messy_folder).items() if name != "truth.csv"}


@pytest.fixture(scope="module")
def truth(messy_folder):
    with (messy_folder / "truth.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


# --- the starter set


def test_the_archive_is_small_enough_and_has_the_sum_that_is_written_down():
    data = ARCHIVE.read_bytes()
    assert len(data) < LARGEST_ARCHIVE
    assert hashlib.sha256(data).hexdigest() == ARCHIVE_SHA256
    assert ARCHIVE_SHA256 in ORIGIN
    assert f"{len(data):,} bytes" in ORIGIN


def test_each_class_has_as_many_images_as_origin_and_docs_say(starter):
    counts = Counter(name.partition("/")[0] for name in starter)
    assert tuple(sorted(counts)) == CLASSES
    docs = (ARCHIVE.parents[3] / "docs" / "starter.md").read_text(encoding="utf-8")
    for text in (ORIGIN, docs):
        stated = {label: int(n) for label, n in re.findall(r"^\| (\w+) \| (\d+) \|", text, re.MULTILINE)}
        assert {label: stated[label] for label in CLASSES} == counts


def test_every_image_decodes_at_256_pixels_without_metadata(starter):
    for name, data in starter.items():
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert (image.format, image.mode, min(image.size)) == ("JPEG", "RGB", 256), name
            assert not image.getexif(), name


def test_no_two_images_have_the_same_pixels(starter):
    assert len({pixels(data) for data in starter.values()}) == len(starter)


def test_the_list_of_pictures_names_every_file_once(starter):
    with (ARCHIVE.parent / "pictures.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert sorted(row["file"] for row in rows) == sorted(starter)
    assert len({row["sha256"] for row in rows}) == len(starter)


def test_the_licence_lies_beside_the_archive():
    licence = (ARCHIVE.parent / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License")
    assert "Permission is hereby granted" in licence
    assert "Klasson" in licence


def test_writing_the_starter_set_again_changes_nothing(tmp_path, starter):
    write_starter(tmp_path)
    assert files(write_starter(tmp_path)) == starter


def test_a_damaged_archive_is_refused_in_words(tmp_path):
    damaged = tmp_path / "starter.zip"
    data = bytearray(ARCHIVE.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(SourceError, match=r"damaged.*fresh copy"):
        write_starter(tmp_path / "out", archive=damaged)
    assert not (tmp_path / "out").exists()


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"not there.*nowhere\.zip"):
        write_messy(tmp_path / "out", archive=tmp_path / "nowhere.zip")


@pytest.mark.parametrize("write", [write_starter, write_messy])
def test_a_folder_with_other_files_is_left_alone(tmp_path, write):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(SourceError, match=r"other files \(diary.txt"):
        write(tmp_path)
    assert files(tmp_path) == {"diary.txt": b"mine"}


def test_a_place_that_cannot_be_a_folder_is_explained(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SourceError, match="cannot be written"):
        write_starter(tmp_path / "file" / "folder")


# --- the messy set


def test_the_truth_has_a_row_for_every_file_and_no_other(messy, truth):
    assert [row["file"] for row in truth] == sorted(messy)
    assert {row["kind"] for row in truth} == set(PLANTED)
    assert all(row["given_label"] == row["file"].partition("/")[0] for row in truth)


def test_every_starter_picture_is_there_once_and_whole(messy, truth, starter):
    whole = [messy[row["file"]] for row in truth if row["kind"] in ("ok", "wrong_label")]
    assert sorted(whole) == sorted(starter.values())


def test_broken_files_do_not_decode_and_all_others_do(messy, truth):
    wrong = [row for row in truth if decodes(messy[row["file"]]) == (row["kind"] in BROKEN)]
    assert wrong == []
    assert sum(row["kind"] in BROKEN for row in truth) == 20


def test_broken_files_are_distinct(messy, truth):
    broken = [messy[row["file"]] for row in truth if row["kind"] in BROKEN]
    assert len(set(broken)) == len(broken)


def test_true_labels_are_those_of_the_starter_set(messy, truth, starter):
    label = {data: name.partition("/")[0] for name, data in starter.items()}
    for row in truth:
        if row["kind"] in ("ok", "wrong_label", "same_bytes"):
            assert row["true_label"] == label[messy[row["file"]]], row


def test_labels_differ_exactly_where_the_kind_says_so(truth):
    for row in truth:
        differ = bool(row["true_label"]) and row["true_label"] != row["given_label"]
        assert differ == (row["kind"] in ("wrong_label", "label_conflict")), row


def test_wrong_labels_are_eight_percent_and_half_are_the_confusable_class(truth):
    wrong = [row for row in truth if row["kind"] == "wrong_label"]
    copied = {row["of"] for row in truth if row["of"]}
    assert len(wrong) == round(0.08 * (600 - len(copied)))
    assert sum(CONFUSED_WITH[row["true_label"]] == row["given_label"] for row in wrong) >= len(wrong) / 2
    assert {row["true_label"] for row in wrong} == set(CLASSES)


def test_copies_are_what_their_kind_says(messy, truth):
    by_file = {row["file"]: row for row in truth}
    for row in truth:
        assert bool(row["of"]) == (row["kind"] in DUPLICATES), row
        if row["of"]:
            copy, source = messy[row["file"]], messy[row["of"]]
            assert by_file[row["of"]]["kind"] == "ok"
            assert by_file[row["of"]]["true_label"] == row["true_label"]
            assert (copy == source) == (row["kind"] == "same_bytes"), row
            if row["kind"] == "same_pixels":
                assert pixels(copy) == pixels(source), row
            if row["kind"] == "near_duplicate":
                assert pixels(copy) != pixels(source), row


def test_each_kind_is_planted_as_often_as_the_docs_say(truth):
    docs = (ARCHIVE.parents[3] / "docs" / "starter.md").read_text(encoding="utf-8")
    stated = {kind: int(n) for kind, n in re.findall(r"^\| `(\w+)` \| (\d+) \|", docs, re.MULTILINE)}
    assert stated == Counter(row["kind"] for row in truth)


def test_names_tell_nothing(truth):
    assert all(re.fullmatch(r"[a-z]+/photo_\d{4}\.(jpg|png)", row["file"]) for row in truth)
    assert {Path(row["file"]).suffix for row in truth if row["kind"] == "text"} == {".png"}
    assert {row["kind"] for row in truth if row["file"].endswith(".png")} == {"text", "same_pixels"}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_mess(tmp_path, messy_folder):
    again, other = write_messy(tmp_path / "again"), write_messy(tmp_path / "other", seed=1)
    assert files(again) == files(messy_folder)
    assert (other / "truth.csv").read_bytes() != (again / "truth.csv").read_bytes()


@pytest.mark.parametrize("seed", [1, 2])
def test_other_seeds_keep_the_promises_too(tmp_path, seed):
    write_messy(tmp_path, seed)
    with (tmp_path / "truth.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            assert decodes((tmp_path / row["file"]).read_bytes()) == (row["kind"] not in BROKEN), row
