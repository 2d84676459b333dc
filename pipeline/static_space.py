"""A static Space: one page that runs model.onnx in the visitor's own browser; no picture leaves their device."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from pipeline.deploy.web_runtime import SHA256, WASM
from pipeline.predict import NONE, ONNX, SEVERAL, OnnxClassifier, file_sha256, onnx_session

TEMPLATES = Path(__file__).parents[1] / "spaces" / "static"
PAGE = "index.html"
GOLDEN = "golden.json"
LICENCE = "onnxruntime-LICENSE.txt"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' '{script}'; style-src '{style}'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)


def write_page(folder: Path, info: dict[str, Any], heading: str, runtime: Path) -> None:
    """Write the page and what it needs beside it into a folder that holds model.onnx and the example pictures.

    ``runtime``: the folder with the files of onnxruntime-web. examples/golden.json says what Python answers, so that
    anybody can compare.
    """
    for name in SHA256:
        shutil.copyfile(runtime / name, folder / name)
    shutil.copyfile(TEMPLATES / LICENCE, folder / LICENCE)
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
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _allowed(text: str) -> str:
    """How a policy names what may stand in the page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _file(folder: Path, name: str) -> dict[str, Any]:
    return {"name": name, "bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)}
