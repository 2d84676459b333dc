"""What makes a model folder a Space: its app, requirements, README and example pictures, by the kind of Space."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
from PIL import Image

from pipeline.collect.starter_set import ARCHIVE, STARTERS
from pipeline.deploy.web_runtime import web_runtime
from pipeline.markdown import plain
from pipeline.predict import open_image
from pipeline.static_space import write_page

SPACES = Path(__file__).parents[2] / "spaces"
# Of each kind: its files, by the templates they are copied from.
COPIED: Mapping[str, Mapping[str, str]] = {
    "gradio": {"app.py": "gradio/app.py", "Dockerfile": "gradio/Dockerfile"},
    "static": {},
    "zerogpu": {"app.py": "zerogpu/app.py", "demo.py": "gradio/app.py"},
}
KINDS = tuple(COPIED)
# Those whose app asks model.onnx, and those that hold the weights for torch.
WITH_ONNX = ("gradio", "static")
WITH_WEIGHTS = ("gradio", "zerogpu")
PYTHON = "3.12.12"
EXAMPLE_SIDE = 1024
EXAMPLE_QUALITY = 90


def write_app(
    kind: str, info: Mapping[str, Any], folder: Path, examples: pd.DataFrame, heading: str
) -> list[tuple[str, str]]:
    """Write the app and its example pictures into a folder that holds the model; returns (file, label) of each example.

    ``examples``: path, label and source_provider of each; ``heading``: what the app is called.
    """
    shown = _write_examples(folder, examples)
    for name, template in COPIED[kind].items():
        shutil.copyfile(SPACES / template, folder / name)
    if kind == "static":
        write_page(folder, dict(info), heading, web_runtime())
    else:
        (folder / "requirements.txt").write_text(requirements(kind, info["versions"]), encoding="utf-8")
    return shown


def _write_examples(folder: Path, examples: pd.DataFrame) -> list[tuple[str, str]]:
    shown = []
    for number, (path, label) in enumerate(zip(examples["path"], examples["label"], strict=True), 1):
        name = f"examples/{number:02}.jpg"
        _write_example(Path(path), folder / name)
        shown.append((name, str(label)))
    if examples["source_provider"].isin(STARTERS).any():  # the licence of these pictures asks to go where they go
        shutil.copyfile(ARCHIVE.with_name("LICENSE"), folder / "examples" / "LICENSE.txt")
    return shown


def _write_example(source: Path, target: Path) -> None:
    image = open_image(source)
    image.thumbnail((EXAMPLE_SIDE, EXAMPLE_SIDE), Image.Resampling.LANCZOS)
    target.parent.mkdir(exist_ok=True)
    image.save(target, "JPEG", quality=EXAMPLE_QUALITY)


def readme(kind: str, card: str, heading: str, examples: Sequence[tuple[str, str]]) -> str:
    """The README of a Space: its front matter, the card, and what the example files show ((file, label) each)."""
    return filled(
        f"{kind}/README.md",
        title_yaml=json.dumps(heading, ensure_ascii=False),
        gradio=version("gradio"),
        python=PYTHON,
        card=card,
        running=filled("gradio/running.md"),
        examples=_examples(examples),
    )


def requirements(kind: str, made_with: Mapping[str, str]) -> str:
    """requirements.txt of a Space: from the versions the model was made with up to the next that may break it."""
    versions = {**made_with, "onnxruntime": version("onnxruntime")}
    ranges = {name: _range(number) for name, number in versions.items()}
    return filled(f"{kind}/requirements.txt", gradio=version("gradio"), **ranges)


def _range(number: str) -> str:
    """``2.15.0+cpu`` becomes ``2.15.0,<3``; below 1.0 too the next major version ends it."""
    public = number.partition("+")[0]
    return f"{public},<{int(public.partition('.')[0]) + 1}"


def filled(template: str, **values: object) -> str:
    """The text of a template below spaces/, with its ``$names`` replaced."""
    return Template((SPACES / template).read_text(encoding="utf-8")).substitute(values)


def _examples(examples: Sequence[tuple[str, str]]) -> str:
    if not examples:
        return ""
    rows = "\n".join(f"| {file} | {plain(label)} |" for file, label in examples)
    return (
        "## The example pictures\nThe pictures in examples/ **are published with the Space**. The model was not "
        "trained on them. They were made smaller and carry no metadata (no place, no camera). Take out those "
        f"that you may not show to everybody.\n\n| file | shows |\n| --- | --- |\n{rows}\n"
    )
