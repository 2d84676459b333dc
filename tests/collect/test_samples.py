from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

from PIL import Image

from pipeline.collect.entries import Entry, opener
from pipeline.collect.samples import SHOWN_CLASSES, SHOWN_OF_EACH, pictures_of
from pipeline.workspace.workspace import Workspace


def entry(file: Path, label: str | None, data: bytes | None = None) -> Entry:
    if data is None:
        made = io.BytesIO()
        Image.effect_noise((300, 200), 60).convert("RGB").save(made, "PNG")
        data = made.getvalue()
    file.write_bytes(data)
    return Entry(str(PurePosixPath(file.name)), label, None, len(data), opener(file))


def test_a_few_small_pictures_of_each_class_are_made_and_those_of_the_last_reading_are_gone(
    workspace: Workspace, tmp_path: Path
) -> None:
    entries = [entry(tmp_path / f"{number}.png", "cat") for number in range(SHOWN_OF_EACH + 2)]
    entries += [entry(tmp_path / "none.png", None), entry(tmp_path / "broken.png", "dog", b"no picture")]
    first = pictures_of(workspace, entries)
    assert {label: len(files) for label, files in first.items()} == {"cat": SHOWN_OF_EACH, "": 1, "dog": 0}
    for file in first["cat"]:
        assert Path(file).is_relative_to(workspace.thumbnails)
        assert max(Image.open(file).size) <= 256
    second = pictures_of(workspace, entries[-2:-1])
    assert list(second) == [""] and not Path(first["cat"][0]).exists()
    assert workspace.store.images().empty


def test_of_very_many_classes_the_first_are_shown(workspace: Workspace, tmp_path: Path) -> None:
    broken = [entry(tmp_path / f"{number}.png", f"class {number}", b"x") for number in range(SHOWN_CLASSES + 5)]
    assert len(pictures_of(workspace, broken)) == SHOWN_CLASSES


def test_a_file_that_cannot_be_read_costs_nobody_else_a_picture(workspace: Workspace, tmp_path: Path) -> None:
    there, gone = entry(tmp_path / "1.png", "cat"), entry(tmp_path / "2.png", "cat")
    (tmp_path / "2.png").unlink()
    assert len(pictures_of(workspace, [gone, there])["cat"]) == 1
