"""The Deploy tab in a browser: kinds explained, nothing sent untested, and a token that is nowhere afterwards."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from pipeline.deploy.space import space_folder
from pipeline.workspace.runs import Run, load_run
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import DESKTOP, PHONE
from tests.support.apps import Server
from tests.support.hub_stand_in import HubStandIn
from tests.support.paths import ROOT
from tests.support.trials import as_tested

pytestmark = pytest.mark.browser
CANARY = "hf_CanaryThatMustBeNowhere0123456789"
SOON = 30_000


@dataclass(frozen=True)
class App:
    """``python app.py`` in a process of its own, whose Hugging Face is the stand-in; ``home`` is all it writes to."""

    url: str
    log: Path
    home: Path


@pytest.fixture(scope="module")
def mine(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace that all tests here work on, each with a Space folder of its own."""
    copy = tmp_path_factory.mktemp("deploy") / "trained"
    shutil.copytree(tiny_run.folder.parents[1], copy, ignore=shutil.ignore_patterns("cache"))
    return Workspace.open(copy)


@pytest.fixture(scope="module")
def server(mine: Workspace) -> Iterator[tuple[App, HubStandIn]]:
    home = mine.root.parent / "home"
    home.mkdir()
    with HubStandIn(CANARY) as hub:
        environment = {
            **hub.environment,
            "GRADIO_TEMP_DIR": str(home / "gradio"),
            "HF_HOME": str(home / "hf"),
            "HOME": str(home),
            "TMPDIR": str(home),
            "HF_DEBUG": "1",
        }
        log = home / "log"
        with Server(ROOT, "--workspace", str(mine.root), environment=environment, log=log) as server:
            yield App(server.url, log, mine.root.parent), hub


@pytest.fixture
def served(server: tuple[App, HubStandIn]) -> tuple[App, HubStandIn]:
    """That app, and the hub as nobody has used it."""
    _, hub = server
    hub.recover()
    hub.spaces.clear()
    return server


def space_in(workspace: Workspace) -> Path:
    """A Space folder that nobody has tested."""
    folder = space_folder(workspace, load_run(workspace))
    shutil.rmtree(folder, ignore_errors=True)
    for job in workspace.jobs.iterdir():
        shutil.rmtree(job)
    (folder / "examples").mkdir(parents=True)
    (folder / "README.md").write_text("---\nsdk: gradio\napp_file: app.py\n---\n")
    (folder / "app.py").write_text("import gradio\n")
    return folder


def opened(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("tab", name="Deploy", exact=True).click()
    expect(page.locator("#deploy-about")).to_contain_text("subscription", timeout=SOON)


def test_a_tested_space_is_sent_and_the_token_is_nowhere_afterwards(
    served: tuple[App, HubStandIn],
    page: Page,
    mine: Workspace,
) -> None:
    app, hub = served
    folder = space_in(mine)
    as_tested(mine, folder)
    opened(page, app.url)
    expect(page.locator("#deploy-proof")).to_contain_text("7 golden pictures", timeout=SOON)
    page.locator("#deploy-repo input, #deploy-repo textarea").first.fill("ann/bears")
    token = page.locator("#deploy-token input")
    expect(token).to_have_attribute("type", "password")
    token.fill(CANARY)
    page.locator("#deploy-push").click()
    expect(page.locator("#deploy-result")).to_contain_text("It is there", timeout=60_000)
    expect(token).to_have_value("")
    assert hub.spaces["ann/bears"].files["app.py"] == b"import gradio\n"
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href, document.cookie])")
    config = httpx.get(f"{app.url}config", trust_env=False).text
    for text in (page.content(), kept, config, app.log.read_text(errors="replace")):
        assert CANARY not in text
    holding = [file for file in app.home.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes()]
    assert holding == []
    expect(page.locator("body")).not_to_contain_text(re.compile("hf_Canary"))


@pytest.mark.parametrize("viewport", [PHONE], indirect=True)
def test_a_refusal_shows_no_token_and_says_what_is_free(
    served: tuple[App, HubStandIn],
    page: Page,
    mine: Workspace,
    viewport: ViewportSize,
    complaints: list[str],
) -> None:
    app, hub = served
    as_tested(mine, space_in(mine))
    hub.fail("POST", "/api/repos/create", 402, f"pay first, {CANARY}")
    opened(page, app.url)
    expect(page.locator("#deploy-push")).to_be_visible(timeout=SOON)
    page.locator("#deploy-repo input, #deploy-repo textarea").first.fill("ann/bears")
    page.locator("#deploy-token input").fill(CANARY)
    page.locator("#deploy-push").click()
    message = page.get_by_test_id("toast-body").first
    expect(message).to_contain_text("--kind static", timeout=60_000)
    assert CANARY not in page.content() and CANARY not in app.log.read_text(errors="replace")
    complaints.clear()


def test_kinds_are_explained_and_nothing_can_be_sent_before_it_was_tested(
    served: tuple[App, HubStandIn],
    page: Page,
    mine: Workspace,
) -> None:
    app, _ = served
    space_in(mine)
    opened(page, app.url)
    expect(page.locator("#deploy-test")).to_be_visible(timeout=SOON)
    expect(page.locator("#deploy-push")).to_be_hidden()
    page.locator("#deploy-kind").get_by_text("visitor's browser").click()
    expect(page.locator("#deploy-about")).to_contain_text("never leaves their device", timeout=SOON)
    expect(page.locator("#deploy-test")).to_be_hidden()
    page.locator("#deploy-kind").get_by_text("borrowed GPU").click()
    expect(page.locator("#deploy-about")).to_contain_text("ZeroGPU", timeout=SOON)
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
