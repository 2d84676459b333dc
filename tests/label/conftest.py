"""A heap: photographs without labels that were looked at, and what each is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.label.features import look
from pipeline.stage import run
from pipeline.workspace.workspace import Workspace
from tests.support.shelf import Shelf


@pytest.fixture(scope="session")
def looked_at(shelf: Shelf, photographs: Path) -> Path:
    """The workspace of the heap. Shared: read only."""

    def make(place: Path) -> None:
        workspace, flat = Workspace.create(place), place.with_name("heap-pictures")
        flat.mkdir()
        for file in photographs.rglob("*.jpg"):
            shutil.copyfile(file, flat / file.name)
        run(import_images(workspace, ImportConfig(str(flat))))
        run(look(workspace))

    return shelf.get("heap", make)


@pytest.fixture
def heap(looked_at: Path, tmp_path: Path) -> Workspace:
    """A heap of one's own."""
    return Workspace.open(Path(shutil.copytree(looked_at, tmp_path / "heap")))


@pytest.fixture
def truth(heap: Workspace) -> dict[str, str]:
    """id -> what the picture shows, as its file is called."""
    images = heap.store.images()
    return {
        str(image): Path(str(name)).name.split("_")[0]
        for image, name in zip(images["id"], images["source_name"], strict=True)
    }
