"""What `datasets` and others write as Parquet and Arrow files comes in: same pictures, names, classes and splits."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from pipeline.collect.entries import Labelling
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.collect.shard_files import ShardFiles
from pipeline.collect.sources import read
from pipeline.errors import PipelineError, SourceError
from pipeline.images.sandbox import WorkerLimits
from pipeline.stage import run
from pipeline.workspace.workspace import Workspace
from tests.support.importing import bring_in, picture, whole
from tests.support.row_sets import KEPT, Known, bare, dataset, known

CARD = """---
dataset_info:
  features:
    - name: label
      dtype:
        class_label:
          names:
            '1': dog
            '0': cat
---
# Pets
"""
Right = dict[str, tuple[str, str | None, str | None]]


def right(pictures: list[Known], split: str | None = None) -> Right:
    """SHA-256 -> name, label and split of pictures as they have to come."""
    return {
        hashlib.sha256(one.data).hexdigest(): (
            one.name,
            KEPT[one.label] if one.label >= 0 else None,
            split if one.label >= 0 else None,
        )
        for one in pictures
    }


def came(source: Path, local: bool = True, **how: Any) -> Right:
    """The same of a source as it is read."""
    found: Right = {}
    for entry in read(source, Labelling(**how), local).entries:
        with entry.open() as file:
            found[hashlib.sha256(file.read()).hexdigest()] = (entry.name, entry.label, entry.split)
    return found


def told(source: Path, **how: Any) -> str:
    reading = read(source, Labelling(**how))
    parts = [
        *reading.notes,
        *(one.text for one in reading.questions),
        *(f"{r.path}: {r.reason}" for r in reading.refused),
    ]
    return "\n".join((reading.layout, *parts))


# --- what `datasets` writes


def test_a_parquet_file_of_datasets(tmp_path: Path) -> None:
    pictures = [*known(9), Known(picture(9), "unknown.png", -1)]
    dataset(pictures).to_parquet(tmp_path / "train.parquet")
    assert came(tmp_path / "train.parquet") == right(pictures)
    assert "9 pictures with labels from train.parquet (column label), 1 without labels" in told(
        tmp_path / "train.parquet"
    )


def test_shards_as_they_are_pushed_with_splits_from_their_names(tmp_path: Path) -> None:
    train, valid, test = known(8), known(3, 8), known(3, 11)
    (tmp_path / "data").mkdir()
    for n in range(2):
        dataset(train[4 * n : 4 * n + 4]).to_parquet(tmp_path / f"data/train-0000{n}-of-00002.parquet")
    dataset(valid).to_parquet(tmp_path / "data/validation-00000-of-00001-0123456789abcdef.parquet")
    dataset(test).to_parquet(tmp_path / "data/test-00000-of-00001.parquet")
    (tmp_path / "README.md").write_text("# a card")
    expected = right(train, "train") | right(valid, "valid") | right(test, "test")
    assert came(tmp_path) == expected
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in sorted((tmp_path / "data").iterdir()):
            archive.write(file, f"set/{file.name}")
    assert came(tmp_path / "set.zip") == expected


def test_folders_as_the_hub_converts_them(tmp_path: Path) -> None:
    train, test = known(4), known(4, 4)
    for folder, pictures in (("default/partial-train", train), ("default/test", test)):
        (tmp_path / folder).mkdir(parents=True)
        dataset(pictures).to_parquet(tmp_path / folder / "0000.parquet")
    assert came(tmp_path) == right(train, "train") | right(test, "test")


def test_what_save_to_disk_writes_and_nothing_that_was_cached_beside_it(tmp_path: Path) -> None:
    train, test = known(5), known(3, 5)
    datasets.DatasetDict(train=dataset(train), test=dataset(test)).save_to_disk(tmp_path / "saved")
    cached = dataset(known(2, 90))
    cached.save_to_disk(tmp_path / "other")
    (tmp_path / "other/data-00000-of-00001.arrow").rename(tmp_path / "saved/train/cache-0123456789abcdef.arrow")
    assert came(tmp_path / "saved") == right(train, "train") | right(test, "test")
    assert dict(read(tmp_path / "saved").left_out)["files that its state.json does not name"] == 1
    assert came(tmp_path / "saved/train/data-00000-of-00001.arrow") == right(train)


def test_several_classes_of_one_picture(tmp_path: Path) -> None:
    pictures = known(3)
    tags = datasets.Sequence(datasets.ClassLabel(names=["sun, sea", "sand", "sky"]))
    made = dataset(pictures, tags=(tags, [[0, 2], [1], []]))
    made.remove_columns("label").to_parquet(tmp_path / "t.parquet")
    assert [label for _, label, _ in came(tmp_path / "t.parquet").values()] == ["sky|sun, sea", "sand", None]
    made.to_parquet(tmp_path / "both.parquet")
    assert "which column has the class?" in told(tmp_path / "both.parquet")
    labels = {label for _, label, _ in came(tmp_path / "both.parquet", label_column="tags").values()}
    assert labels == {"sky|sun, sea", "sand", None}


def test_pictures_that_were_left_where_they_lie(tmp_path: Path) -> None:
    pictures = known(4)
    (tmp_path / "photos").mkdir()
    for one in pictures:
        (tmp_path / "photos" / one.name).write_bytes(one.data)
    paths = [str(tmp_path / "photos" / one.name) for one in pictures]
    made = datasets.Dataset.from_dict({"image": paths, "label": [one.label for one in pictures]})
    features = dataset(pictures).features
    made.cast(features).to_parquet(tmp_path / "t.parquet")
    found = came(tmp_path / "t.parquet")
    assert {key: value[1:] for key, value in found.items()} == {key: v[1:] for key, v in right(pictures).items()}
    with pytest.raises(SourceError, match="did not come along"):
        read(tmp_path / "t.parquet", local=False)


def test_a_visitor_names_no_file_of_this_machine(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture(7))
    rows = [
        {"image": {"bytes": picture(1), "path": "1.png"}, "label": "a"},
        {"image": {"bytes": None, "path": str(secret)}, "label": "a"},
        {"image": {"bytes": None, "path": None}, "label": "b"},
    ]
    file = bare(tmp_path / "sent/t.parquet", rows)
    reading = read(file, local=False)
    assert [entry.name for entry in reading.entries] == ["1.png"]
    assert ["did not come along" in reading.refused[0].reason, reading.refused[1].path] == [True, "t.parquet row 2"]
    assert len(read(file, local=True).entries) == 2


# --- what others write


def test_bytes_without_a_word_about_them(tmp_path: Path) -> None:
    rows = [{"img": picture(n), "species": "cat" if n % 2 else "dog", "n": n} for n in range(6)]
    found = came(bare(tmp_path / "t.parquet", rows))
    assert sorted((name, label) for name, label, _ in found.values()) == [
        (f"t.parquet row {n}", "cat" if n % 2 else "dog") for n in range(6)
    ]


def test_columns_are_chosen_as_in_tables(tmp_path: Path) -> None:
    rows = [
        {
            "photo": picture(n),
            "mask": picture(90 + n),
            "a": f"x{n % 2}",
            "b": f"y{n % 3}",
            "fold": ["train", "test"][n % 2],
        }
        for n in range(6)
    ]
    file = bare(tmp_path / "t.parquet", rows)
    assert "which column has the pictures?" in told(file)
    found = came(file, file_column="MASK", label_column="b", split_column="fold")
    expected = {(f"y{n % 3}", ["train", "test"][n % 2]) for n in range(6)}
    assert {(label, split) for _, label, split in found.values()} == expected
    assert set(found) == {hashlib.sha256(picture(90 + n)).hexdigest() for n in range(6)}
    scenes = read(file, Labelling(group_column="b", label_column="a")).entries
    assert scenes[0].scene == scenes[3].scene == "y0"
    with pytest.raises(SourceError, match=r"no column 'fotos' \(--file-column\).*'photo', 'mask'"):
        read(file, Labelling(file_column="fotos"))
    with pytest.raises(SourceError, match=r"'speceis'.*'a', 'b'"):
        read(file, Labelling(label_column="speceis"))


def test_a_table_among_the_pictures_may_be_parquet(tmp_path: Path) -> None:
    for n in range(4):
        (tmp_path / "train" / "x").mkdir(parents=True, exist_ok=True)
        (tmp_path / "train" / "x" / f"{n}.png").write_bytes(picture(n))
    bare(tmp_path / "train/metadata.parquet", [{"file_name": f"x/{n}.png", "label": "ab"[n % 2]} for n in range(4)])
    assert sorted(label for _, label, _ in came(tmp_path).values()) == ["a", "a", "b", "b"]
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in sorted((tmp_path / "train").rglob("*.p*")):
            archive.write(file, file.relative_to(tmp_path))
    assert sorted(label for _, label, _ in came(tmp_path / "set.zip").values()) == ["a", "a", "b", "b"]


def test_pictures_beside_rows_with_pictures_come_too(tmp_path: Path) -> None:
    dataset(known(4)).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "more/frog").mkdir(parents=True)
    (tmp_path / "more/frog/f.png").write_bytes(picture(77))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    reading = read(tmp_path)
    assert len(reading.entries) == 5 and {one.path for one in reading.refused} == {"broken.parquet"}


KINDS = {
    "large": pa.large_binary(),
    "view": pa.binary_view(),
    "octets": pa.list_(pa.uint8()),
    "large octets": pa.large_list(pa.uint8()),
    "struct": pa.struct([("path", pa.large_string()), ("bytes", pa.large_binary())]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_every_kind(tmp_path: Path, kind: str) -> None:
    cells: list[Any] = [picture(n) for n in range(20)]
    if "octets" in kind:
        cells = [list(data) for data in cells]
    elif kind == "struct":
        cells = [{"bytes": data, "path": None} for data in cells]
    cells[3] = None
    tab = pa.table({"image": pa.array(cells, KINDS[kind]), "label": pa.array(["ab"[n % 2] for n in range(20)])})
    pq.write_table(tab, tmp_path / "t.parquet", row_group_size=6)
    feather.write_feather(tab, tmp_path / "t.arrow", "uncompressed", chunksize=6)
    wanted = {hashlib.sha256(picture(n)).hexdigest(): "ab"[n % 2] for n in range(20) if n != 3}
    for name in ("t.parquet", "t.arrow"):
        assert {key: label for key, (_, label, _) in came(tmp_path / name).items()} == wanted
        assert [one.path for one in read(tmp_path / name).refused] == [f"{name} row 3"]


def test_classes_within_objects_have_their_names(tmp_path: Path) -> None:
    boxes = [{"box": datasets.Sequence(datasets.Value("float32")), "category": datasets.ClassLabel(names=["q", "r"])}]
    cells = [[{"box": [1.0], "category": n % 2}, {"box": [2.0], "category": 1}] for n in range(4)]
    dataset(known(4), objects=(boxes, cells)).remove_columns("label").to_parquet(tmp_path / "t.parquet")
    assert [label for _, label, _ in came(tmp_path / "t.parquet").values()] == ["q|r", "r", "q|r", "r"]


def test_of_columns_with_one_name_none_is_taken(tmp_path: Path) -> None:
    columns = [pa.array([picture(n) for n in range(4)]), pa.array(list("abab")), pa.array([1] * 4), pa.array([2] * 4)]
    pq.write_table(pa.table(columns, names=["image", "kind", "twice", "twice"]), tmp_path / "t.parquet")
    assert sorted(label or "" for _, label, _ in came(tmp_path / "t.parquet").values()) == ["a", "a", "b", "b"]
    assert "2 more columns were not looked at" in told(tmp_path / "t.parquet")


def test_arrow_files_of_every_kind(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist([{"image": picture(n), "label": "ab"[n % 2]} for n in range(40)])
    for name, write in {
        "plain.feather": lambda file: feather.write_feather(rows, file, chunksize=7),
        "squeezed.arrow": lambda file: feather.write_feather(rows, file, "zstd", chunksize=7),
        "stream.arrow": lambda file: _stream(rows, file),
    }.items():
        write(tmp_path / name)
        found = came(tmp_path / name)
        assert len(found) == 40 and sorted(label for _, label, _ in found.values()) == ["a"] * 20 + ["b"] * 20, name


def _stream(rows: pa.Table, file: Path) -> None:
    with pa.ipc.new_stream(file, rows.schema) as writer:
        writer.write_table(rows, 7)


def test_a_column_of_names_of_files_is_a_table_like_any_other(tmp_path: Path) -> None:
    for n in range(4):
        (tmp_path / f"{n}.png").write_bytes(picture(n))
    file = bare(tmp_path / "t.parquet", [{"filename": f"{n}.png", "label": "ab"[n % 2]} for n in range(5)])
    assert sorted(came(file).values()) == [(f"{n}.png", "ab"[n % 2], None) for n in range(4)]
    assert "t.parquet row 4: There is no file 4.png" in told(file)
    with pytest.raises(SourceError, match="did not come along"):
        read(file, local=False)


def test_names_of_classes_come_from_the_papers_beside_it(tmp_path: Path) -> None:
    rows = [{"image": {"bytes": picture(n), "path": None}, "label": n % 2} for n in range(4)]
    bare(tmp_path / "data/train.parquet", rows)
    (tmp_path / "README.md").write_text(CARD)
    assert {label for _, label, _ in came(tmp_path).values()} == {"cat", "dog"}
    assert {label for _, label, _ in came(tmp_path / "data/train.parquet").values()} == {"cat", "dog"}
    features = {"label": {"_type": "ClassLabel", "names": ["Katze", "Hund"]}}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"features": features}))
    assert {label for _, label, _ in came(tmp_path).values()} == {"Katze", "Hund"}
    (tmp_path / "README.md").write_text("---\n" + "[" * 100_000)
    (tmp_path / "dataset_info.json").write_text("[" * 100_000)
    assert {label for _, label, _ in came(tmp_path).values()} == {"0", "1"}


# --- what is wrong with some


def hostile(folder: Path) -> dict[str, str]:
    """Files that no one should send, by the words that are said of each."""
    folder.mkdir()
    rows = [{"image": picture(n), "label": "ab"[n % 2]} for n in range(300)]
    whole_file = bare(folder / "whole.parquet", rows, row_group_size=100, compression="zstd").read_bytes()
    (folder / "cut.parquet").write_bytes(whole_file[: len(whole_file) // 2])
    (folder / "zeros.parquet").write_bytes(b"PAR1" + bytes(1000) + b"PAR1")
    (folder / "text.parquet").write_text("a,b\n1,2\n")
    (folder / "empty.parquet").write_bytes(b"")
    (folder / "empty.arrow").write_bytes(b"")
    (folder / "arrow.arrow").write_bytes(b"ARROW1\0\0" + b"\xff" * 100)
    (folder / "stream.arrow").write_bytes(b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"x" * 100)
    (folder / "foot.parquet").write_bytes(b"PAR1" + b"\xff" * 200 + (200).to_bytes(4, "little") + b"PAR1")
    (folder / "secret.parquet").write_bytes(b"PARE" + bytes(100) + b"PARE")
    bare(folder / "none.parquet", [], pa.schema([("image", pa.binary()), ("label", pa.string())]))
    bare(folder / "numbers.parquet", [{"a": 1, "b": 2.5}])
    bare(folder / "wide.parquet", [{f"column {n}": n for n in range(10_000)}])
    bare(folder / "pixels.parquet", [{"image": [[1, 2], [3, 4]], "label": 1}])
    bare(folder / "many.parquet", [{"images": [picture(1), picture(2)], "label": "a"}])
    return {
        "cut.parquet": "its end is missing",
        "zeros.parquet": "cannot be read",
        "text.parquet": "cannot be read",
        "empty.parquet": "it is empty",
        "empty.arrow": "it is empty",
        "arrow.arrow": "cannot be read",
        "stream.arrow": "cannot be read",
        "foot.parquet": "cannot be read",
        "secret.parquet": "it is encrypted",
        "none.parquet": "no rows",
        "numbers.parquet": "no column with pictures",
        "wide.parquet": "no column with pictures",
        "pixels.parquet": "holds pictures as numbers",
        "many.parquet": "several pictures a row",
    }


def test_what_cannot_be_read_is_one_sentence_each_and_the_rest_comes(workspace: Workspace, tmp_path: Path) -> None:
    wanted = hostile(tmp_path / "hostile")
    imported = bring_in(workspace, tmp_path / "hostile")
    assert imported.added == 300
    reasons = {one.path: one.reason for one in imported.failed}
    for name, words in wanted.items():
        assert words in reasons[name] and "\n" not in reasons[name] and len(reasons[name]) < 800, name
    for name in ("cut.parquet", "none.parquet", "wide.parquet"):
        with pytest.raises(PipelineError, match=wanted[name]):
            bring_in(workspace, tmp_path / "hostile" / name)


def test_a_damaged_part_costs_its_rows_alone(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"image": picture(n), "label": "ab"[n % 2]} for n in range(300)]
    file = bare(tmp_path / "t.parquet", rows, row_group_size=100, compression="zstd", use_dictionary=["label"])
    at = pq.read_metadata(file).row_group(1).column(0).data_page_offset
    data = bytearray(file.read_bytes())
    data[at + 60 : at + 400] = bytes(340)
    file.write_bytes(data)
    imported = bring_in(workspace, file)
    assert imported.added == 200 and len(imported.failed) == 100, imported.failed[:2]
    assert "t.parquet row 1" in imported.failed[0].path and "is lost" in imported.failed[0].reason
    whole(workspace)


def test_a_page_that_unfolds_to_more_than_there_is_takes_nothing_down(tmp_path: Path) -> None:
    rows = [{"image": picture(n), "label": "a"} for n in range(3)] + [{"image": bytes(90 << 20), "label": "b"}]
    file = bare(tmp_path / "t.parquet", rows, compression="zstd", use_dictionary=False, row_group_size=3)
    assert file.stat().st_size < 1 << 20
    files = ShardFiles(limits=WorkerLimits(seconds=60, memory_bytes=100 << 20))
    assert files.look(file).starts == (0, 3)
    with pytest.raises(OSError, match=r"part of t\.parquet that holds it is lost"):
        files.open(file, "image", 3)
    assert files.open(file, "image", 2).read() == picture(2)


def test_cells_that_unfold_to_more_than_there_is_are_one_sentence(workspace: Workspace, tmp_path: Path) -> None:
    labels = pa.DictionaryArray.from_arrays(pa.array([0] * 2000), pa.array(["x" * (20 << 20)]))
    tab = pa.table({"image": pa.array([picture(1)] * 2000), "label": labels})
    pq.write_table(tab, tmp_path / "t.parquet", compression="zstd", store_schema=False)
    imported = bring_in(workspace, tmp_path / "t.parquet")
    assert imported.added == 0 and [one.path for one in imported.failed] == ["t.parquet rows 0 to 1999"]


def test_a_picture_that_is_none_is_a_row_with_a_reason(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"image": data, "label": 0} for data in (picture(1), b"no picture", b"", None)]
    rows.append({"image": picture(2), "label": 9})
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())]).with_metadata(
        {"huggingface": json.dumps({"info": {"features": {"label": {"_type": "ClassLabel", "names": ["a"]}}}})}
    )
    imported = bring_in(workspace, bare(tmp_path / "t.parquet", rows, schema))
    assert imported.added == 1 and imported.classes == {"a": 1}
    reasons = {one.path: one.reason for one in imported.failed}
    assert set(reasons) == {f"t.parquet row {n}" for n in range(1, 5)}
    assert reasons["t.parquet row 4"] == "Its number 9 stands for none of the 1 classes."


def test_it_is_brought_in_as_it_is_read_and_again(workspace: Workspace, tmp_path: Path) -> None:
    pictures = known(12)
    dataset(pictures).to_parquet(tmp_path / "t.parquet")
    config = ImportConfig(str(tmp_path / "t.parquet"), dry_run=True, samples=True)
    dry = run(import_images(workspace, config))
    assert dry.added == 0 and dry.samples and set(dry.samples) == set(KEPT) and all(dry.samples.values())
    assert dry.columns[0].roles == {"file": "image", "label": "label"}
    imported = bring_in(workspace, tmp_path / "t.parquet")
    assert imported.added == 12 and imported.classes == dict.fromkeys(sorted(KEPT), 3)
    rows = workspace.store.images()
    assert {row.id: row.label for row in rows.itertuples()} == {key: v[1] for key, v in right(pictures).items()}
    assert set(rows["source_name"]) == {one.name for one in pictures}
    assert bring_in(workspace, tmp_path / "t.parquet").duplicates == 12
    whole(workspace)
