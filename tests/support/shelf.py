"""What is made once a run of the tests, whichever worker needs it first: pictures, trained runs, exports.

The fixtures are named in conftest.py. All of them are shared: read only, but for those that say that one has a copy
of one's own.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from PIL import Image

if TYPE_CHECKING:
    from pipeline.deploy.export import Exported
    from pipeline.workspace.runs import Run
    from pipeline.workspace.workspace import Workspace

CLASSES = ("apple", "melon", "pear")
PER_CLASS = 20
PHOTOGRAPHS_PER_CLASS = 8
PLACE = {1: "N", 2: (59.0, 51.0, 26.0), 3: "E", 4: (17.0, 37.0, 48.0)}
GPS_TAG = 0x8825


class Shelf:
    """Folders by name; the first who asks makes one, whoever else asks meanwhile waits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def get(self, name: str, make: Callable[[Path], Any]) -> Path:
        """The folder ``name``. ``make`` gets it while it is not there yet, and fills it."""
        place, ready = self.folder / name, self.folder / f"{name}.ready"
        with FileLock(self.folder / f"{name}.lock"):
            if not ready.exists():
                shutil.rmtree(place, ignore_errors=True)  # of one that failed
                make(place)
                ready.touch()
        return place

    def workspace(self, name: str, target: Path, fill: Callable[[Workspace], None]) -> Workspace:
        """A copy at ``target`` of the workspace ``name``, which ``fill`` put together once."""
        from pipeline.workspace.workspace import Workspace

        made = self.get(name, lambda place: fill(Workspace.create(place)))
        return Workspace.open(Path(shutil.copytree(made, target)))

    def exported(self, name: str, tiny_run: Run, **config: Any) -> Exported:
        """An export of the tiny run; the same for everybody, in a folder with an odd name."""
        from pipeline.deploy.export import ExportConfig, Exported, export
        from pipeline.stage import run
        from pipeline.workspace.workspace import Workspace

        def make(place: Path) -> None:
            place.mkdir()
            workspace = Workspace.open(tiny_run.folder.parents[1])
            made = run(export(workspace, ExportConfig(tiny_run.id, str(place / "Äpfel & Birnen"), **config)))
            (place / "exported.json").write_text(json.dumps(asdict(made)), encoding="utf-8")

        read = json.loads((self.get(name, make) / "exported.json").read_text(encoding="utf-8"))
        return Exported(**{**read, "files": tuple(read["files"])})


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """What is made once, for all workers of this run of the tests."""
    base = tmp_path_factory.getbasetemp()
    return Shelf((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shelf")


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def starter_folder(shelf: Shelf) -> Path:
    """The whole starter set as class folders. Shared by all tests: read only."""
    from pipeline.collect.starter_set import write_starter

    return shelf.get("starter", write_starter)


@pytest.fixture(scope="session")
def photographs(shelf: Shelf, starter_folder: Path) -> Path:
    """About 40 real photographs as class folders (8 a class). Shared by all tests: read only."""

    def make(place: Path) -> None:
        for folder in sorted(path for path in starter_folder.iterdir() if path.is_dir()):
            (place / folder.name).mkdir(parents=True)
            for picture in sorted(folder.iterdir())[:PHOTOGRAPHS_PER_CLASS]:
                shutil.copy(picture, place / folder.name / picture.name)

    return shelf.get("photographs", make)


@pytest.fixture(scope="module")
def fruit(shelf: Shelf, photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with those photographs in it, for all tests of a module."""
    from pipeline.collect.importing import ImportConfig, import_images
    from pipeline.stage import run
    from pipeline.workspace.workspace import Workspace

    def make(place: Path) -> None:
        run(import_images(Workspace.create(place), ImportConfig(str(photographs))))

    made = shelf.get("fruit", make)
    return Workspace.open(Path(shutil.copytree(made, tmp_path_factory.mktemp("fruit") / "ws")))


# --- a run -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny_run(shelf: Shelf, starter_folder: Path) -> Run:
    """One small finished run: 60 photographs, 3 classes, the head alone, 64 pixels. Shared by all tests: read only."""
    from pipeline.collect.importing import ImportConfig, import_images
    from pipeline.stage import run
    from pipeline.train.train import TrainConfig, train
    from pipeline.verify.verify import VerifyConfig, verify
    from pipeline.workspace.runs import load_run
    from pipeline.workspace.workspace import Workspace

    def make(place: Path) -> None:
        workspace = Workspace.create(place / "workspace")
        pictures = _photographs_with_places(starter_folder, place / "photographs")
        run(import_images(workspace, ImportConfig(str(pictures))))
        run(verify(workspace, VerifyConfig(workers=1)))
        run(train(workspace, TrainConfig(epochs=0, image_size=64, augmentation="none", device="cpu")))

    return load_run(Workspace.open(shelf.get("tiny-run", make) / "workspace"))


@pytest.fixture(scope="session")
def messy_run(shelf: Shelf) -> Run:
    """The head on the messy starter set, as imported and verified, 160 pixels. Shared by all tests: read only."""
    from pipeline.collect.importing import ImportConfig, import_images
    from pipeline.stage import run
    from pipeline.train.train import TrainConfig, train
    from pipeline.verify.verify import VerifyConfig, verify
    from pipeline.workspace.runs import load_run
    from pipeline.workspace.workspace import Workspace

    def make(place: Path) -> None:
        workspace = Workspace.create(place / "workspace")
        run(import_images(workspace, ImportConfig("starter-messy")))
        run(verify(workspace, VerifyConfig(workers=1)))
        run(train(workspace, TrainConfig(epochs=0, image_size=160)))

    return load_run(Workspace.open(shelf.get("messy-run", make) / "workspace"))


@pytest.fixture(scope="session")
def small_network(shelf: Shelf) -> dict[str, Any]:
    """Settings for a network of very few layers that nobody has trained: a training goes as with any other, four times
    as fast, and learns little.
    """

    def make(place: Path) -> None:
        import timm
        import torch
        from safetensors.torch import save_file

        place.mkdir()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = timm.create_model("test_efficientnet", pretrained=False)
        save_file(model.state_dict(), place / "model.safetensors")

    return {"backbone": "test_efficientnet", "weights": str(shelf.get("small-network", make) / "model.safetensors")}


@pytest.fixture
def trained(tiny_run: Run, tmp_path: Path) -> Workspace:
    """A workspace of one's own that holds the tiny run and its pictures."""
    from pipeline.workspace.workspace import Workspace

    copy = tmp_path / "trained"
    shutil.copytree(tiny_run.folder.parents[1], copy, ignore=shutil.ignore_patterns("cache"))
    return Workspace.open(copy)


def _photographs_with_places(starter: Path, target: Path) -> Path:
    for name in CLASSES:
        (target / name).mkdir(parents=True)
        for file in sorted((starter / name).iterdir())[:PER_CLASS]:
            with Image.open(file) as picture:
                exif = picture.getexif()
                exif[GPS_TAG] = PLACE
                picture.save(target / name / file.name, quality="keep", exif=exif)
    return target


# --- exports of the tiny run -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def exported_model(shelf: Shelf, tiny_run: Run) -> Exported:
    """A model folder, and what the export said. Shared: read only."""
    return shelf.exported("model", tiny_run)


@pytest.fixture(scope="session")
def exported_space(shelf: Shelf, tiny_run: Run) -> Exported:
    """A Gradio Space folder, and what the export said. Shared: read only."""
    return shelf.exported("space", tiny_run, space=True)


@pytest.fixture(scope="session")
def exported_onnx(shelf: Shelf, tiny_run: Run) -> Exported:
    """A model folder with both ONNX files, and what the export said. Shared: read only."""
    return shelf.exported("onnx", tiny_run, int8=True)
