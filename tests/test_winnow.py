"""The library's face: light to import, typed, and the example of each of its names runs."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import winnow
from pipeline.jobs.job import end_all
from pipeline.workspace.runs import MANIFEST, Run, load_run, write_about, write_record
from pipeline.workspace.workspace import Workspace
from tests.support.hub_stand_in import TOKEN, HubStandIn
from tests.support.importing import picture
from tests.support.paths import ROOT
from tests.support.site import Site, reply

# What an example calls by these names, the test has under another address on this machine.
SERVER, HUB = "127.0.0.1:8000", "https://huggingface.co"
# They train, ask the model in a fresh process, or import Gradio.
SLOW = ("create_app", "export", "find_lr", "predict_many", "submit", "train")
PAGE = "---\ntitle: Fruit\nsdk: static\ncolorFrom: green\ncolorTo: yellow\n---\n# Fruit\n"


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = ("torch", "gradio", "pandas", "numpy", "PIL", "pipeline", "cleaner", "app")
    code = f"import sys, winnow; print([name for name in {heavy} if name in sys.modules], len(dir(winnow)))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == f"[] {len(winnow.__all__)}"


def test_a_checker_is_told_the_same_as_the_loader() -> None:
    tree = ast.parse((ROOT / "winnow.py").read_text(encoding="utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    told = {
        alias.asname: node.module
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name  # else mypy does not let it be imported from here
    }
    assert told == dict(winnow._WHERE)


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        winnow.nosuch  # type: ignore[attr-defined]  # noqa: B018


@pytest.fixture(scope="module")
def fruit(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace ``fruit`` with two runs and a job that was interrupted. Read only."""
    root = tmp_path_factory.mktemp("face") / "fruit"
    shutil.copytree(tiny_run.folder.parents[1], root, ignore=shutil.ignore_patterns("cache"))
    before = shutil.copytree(root / "runs" / tiny_run.id, root / "runs" / "20260101-120000-aaaa")
    record = json.loads((before / MANIFEST).read_text(encoding="utf-8"))
    record |= {"id": before.name, "created": "2026-01-01T12:00:00+00:00"}
    write_record(before, record)
    write_about(before, "before cleaning", "")
    write_about(root / "runs" / tiny_run.id, "after cleaning", "")
    return root


@pytest.fixture
def here(fruit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that an example is run in; what it names is there."""
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(shutil.copytree(fruit, tmp_path / "fruit", copy_function=_linked))
    write_interrupted_job(workspace)
    run = load_run(workspace)
    (tmp_path / "fruit-model").symlink_to(run.folder)
    told = run.predictions()
    right = told[(told["split"] != "train") & (told["label"] == told["predicted"])].merge(workspace.store.images())
    for label in ("apple", "pear"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number, file in enumerate(right[right["label"] == label]["file"][:2], 1):
            shutil.copyfile(workspace.image_file(str(file)), tmp_path / "photos" / label / f"{number}.jpg")
    (tmp_path / "sample.csv").write_text("id,label\npear/1,apple\napple/2.jpg,apple\n", encoding="utf-8")
    (tmp_path / "heap").mkdir()
    for number, photo in enumerate(sorted(tmp_path.glob("photos/*/*.jpg"))):
        shutil.copyfile(photo, tmp_path / "heap" / f"{number}.jpg")
    (tmp_path / "cut-off").mkdir()
    for number, photo in enumerate(sorted(tmp_path.glob("photos/*/*.jpg"))):
        (tmp_path / "cut-off" / f"{number}.jpg").write_bytes(photo.read_bytes()[: photo.stat().st_size // 2])
    yield tmp_path
    end_all(workspace)


def _linked(source: str, target: str) -> str:
    """A file that nothing changes is there twice without being copied."""
    if not source.endswith((".safetensors", ".npy", ".jpg")):
        return str(shutil.copy2(source, target))
    os.link(source, target)
    return target


def write_interrupted_job(workspace: Workspace) -> None:
    """As a job that ended without a last word leaves its folder."""
    job = workspace.jobs / "20260101-120000-verify-aaaaaa"
    job.mkdir()
    what = {"stage": "verify", "config": {"valid": 0.2}, "workspace": str(workspace.root), "grace_seconds": 5.0}
    (job / "job.json").write_text(json.dumps({**what, "at": "2026-01-01T12:00:00+00:00"}), encoding="utf-8")
    (job / "process.json").write_text(json.dumps({"pid": 2**22 + 1, "created": 0.0}), encoding="utf-8")


@pytest.fixture
def servers(here: Path, site: Site, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The servers that examples name -> where they stand here. The first has a picture and the page of a Space."""
    from huggingface_hub import constants

    (here / "bears.csv").write_text(
        f"url,label\nhttp://{site.host}/bear.jpg,bear\nhttp://{site.host}/gone.jpg,bear\n", encoding="utf-8"
    )
    page = here / "fruit-page"
    (page / "examples").mkdir(parents=True)
    (page / "README.md").write_text(PAGE, encoding="utf-8")
    (page / "index.html").write_text("<h1>Fruit</h1>", encoding="utf-8")
    shutil.copyfile(here / "photos" / "pear" / "1.jpg", page / "examples" / "1.jpg")
    site.pages["/bear.jpg"] = reply(picture())
    for file in ("README.md", "index.html", "examples/1.jpg"):
        site.pages[f"/{file}"] = reply((page / file).read_bytes())
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    return {SERVER: site.host, HUB: hub.url}


def example_of(name: str) -> str:
    """Where the example of a name stands: in its docstring; that of a type alias in its module's."""
    told = importlib.import_module(winnow._WHERE[name]) if name == "Stage" else getattr(winnow, name)
    return str(told.__doc__)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in winnow.__all__]
)
def test_the_example_runs(name: str, servers: dict[str, str]) -> None:
    """With ``import winnow as w``, and the workspace ``fruit`` open as ``ws``."""
    text = example_of(name)
    for known, stand_in in servers.items():
        text = text.replace(known, stand_in)
    names = {"w": winnow, "ws": Workspace.open("fruit"), name: getattr(winnow, name)}
    example = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    assert example.examples, f"{name} has no example"
    assert name == "Stage" or getattr(winnow, name).__module__ == winnow._WHERE[name]
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.REPORT_NDIFF)
    told: list[str] = []
    assert runner.run(example, out=told.append).failed == 0, "".join(told)
