"""The four ways in, each served once: the app of one person, a public demo, ``serve``, and a Space from its folder."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

import app
from pipeline.deploy.serve import space_app
from pipeline.logs import VARIABLE, written_down
from pipeline.tabs.door.serve import Door, launch_settings
from pipeline.tabs.door.visitors import Visitors
from pipeline.workspace.limits import Limits
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace
from tests.support.apps import free_port
from tests.support.demo import Visitor, served

SMALL = Limits(images=80, workspaces=3, upload_megabytes=1, megabytes=24, visitors=5, per_address=4)


@dataclass
class Ways:
    """What is served: the app of each, a browser that has its page open, and the demo's visitors and log."""

    browsers: dict[str, Visitor]
    visitors: Visitors
    log: Path

    def newcomer(self, name: str = "demo") -> Visitor:
        """Another browser, which has not opened the page."""
        return Visitor(self.browsers[name].address, self.browsers[name].demo)


def _template(run: Run, place: Path) -> Workspace:
    ignored = shutil.ignore_patterns("jobs")
    workspace = Workspace.open(shutil.copytree(run.folder.parents[1], place, ignore=ignored))
    workspace.jobs.mkdir()
    return workspace


def _space(folder: Path) -> Any:
    """``serve`` of the app in an exported folder, which finds nothing but what lies beside it."""
    beside = {name: sys.modules.pop(name, None) for name in ("gate", "predict")}
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("exported_app", folder / "app.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
        for name, was in beside.items():
            sys.modules.pop(name, None)
            sys.modules.update({name: was} if was is not None else {})
    assert Path(module.Gate.__init__.__code__.co_filename).parent == folder
    return module.serve


def _serving(serve: Any, folder: Path, **settings: Any) -> Visitor:
    port = free_port()
    before = set(gr.Blocks.get_instances())
    serve(folder, server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, **settings)
    (demo,) = set(gr.Blocks.get_instances()) - before
    return Visitor(f"http://127.0.0.1:{port}/", demo)


@pytest.fixture(scope="package")
def ways(tiny_run: Run, exported_space: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    root = tmp_path_factory.mktemp("ways")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("GRADIO_TEMP_DIR", str(root / "demo" / "cache"))
        patch.setenv("FORWARDED_ALLOW_IPS", "")
        patch.setenv(VARIABLE, str(root / "log"))
        stack.enter_context(written_down({VARIABLE: str(root / "log")}, "demo"))
        template = _template(tiny_run, root / "demo" / "template" / "starter")
        visitors, demo = stack.enter_context(served(root / "demo", template, SMALL))
        own = app.create_app(_template(tiny_run, root / "own").root, local=True)
        own.queue(default_concurrency_limit=8, max_size=64)
        port = free_port()
        own.launch(
            server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, **launch_settings(Door(port=port))
        )
        stack.callback(own.close, verbose=False)
        browsers = {"demo": demo, "app": Visitor(f"http://127.0.0.1:{port}/", own)}
        browsers["serve"] = _serving(space_app(), tiny_run.folder)
        patch.setenv("SPACE_ID", "me/fruit")
        space = Path(exported_space.folder)
        browsers["space"] = _serving(_space(space), space)
        patch.delenv("SPACE_ID")
        for name in ("serve", "space"):
            stack.callback(browsers[name].demo.close, verbose=False)
        for browser in browsers.values():
            assert browser.get("").status_code == 200
        yield Ways(browsers, visitors, root / "log")


@pytest.fixture(autouse=True)
def nobody_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test finds all places of the demo free."""
    yield
    if "ways" in request.fixturenames:
        visitors: Visitors = request.getfixturevalue("ways").visitors
        for home in list((visitors.root / "visitors").iterdir()):
            visitors._clear(home.name)


@pytest.fixture
def nothing_fetched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Gradio's own way to fetch something only takes notes, and there must be none."""
    asked: list[str] = []

    async def get(url: str, *_: Any, **__: Any) -> httpx.Response:
        asked.append(url)
        raise httpx.ConnectError("nothing is asked here")

    monkeypatch.setattr("safehttpx.get", get)
    monkeypatch.setattr("gradio.processing_utils.sh.get", get)
    yield asked
    assert asked == []
