"""One small finished run for every test that needs a model: 60 photographs, 3 classes, the head alone, 64 pixels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.stage import run
from pipeline.train.train import TrainConfig, train
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.runs import Run, load_run
from pipeline.workspace.workspace import Workspace

CLASSES = ("apple", "melon", "pear")
PER_CLASS = 20
PLACE = {1: "N", 2: (59.0, 51.0, 26.0), 3: "E", 4: (17.0, 37.0, 48.0)}
GPS_TAG = 0x8825


@pytest.fixture(scope="session")
def tiny_run(starter_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run. Shared by all tests, whatever module imports this fixture: read only."""
    root = tmp_path_factory.getbasetemp() / "tiny-run"
    if not (root / "done").exists():
        workspace = Workspace.create(root / "workspace")
        run(import_images(workspace, ImportConfig(str(_photographs_with_places(starter_folder, root / "photographs")))))
        run(verify(workspace, VerifyConfig(workers=1)))
        run(train(workspace, TrainConfig(epochs=0, image_size=64, augmentation="none", device="cpu")))
        (root / "done").touch()
    return load_run(Workspace.open(root / "workspace"))


@pytest.fixture
def trained(tiny_run: Run, tmp_path: Path) -> Workspace:
    """A workspace of one's own that holds the run and its pictures."""
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
