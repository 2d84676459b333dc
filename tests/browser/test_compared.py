"""Did it help? in Chromium: the verdict with its images, the ledger, and a training that ends while one looks on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cleaner.clean.audit import log_audit
from cleaner.clean.decisions import relabel
from cleaner.tabs.clean import tab as clean
from pipeline.workspace.runs import describe
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import DESKTOP, PHONE, Apps, tabs
from tests.cleaner.fabricate import Shot, run_with, workspace_with

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=window.harmed=1>${window.harmed=2}{{harm}}</script>"
CLASSES = ("ant", "bee", HOSTILE)
ANT, BEE, HARM = (0.9, 0.06, 0.04), (0.1, 0.7, 0.2), (0.1, 0.2, 0.7)
BEFORE = [Shot(f"photo {n:02}", "ant", "test", BEE if n < 15 else ANT) for n in range(30)]
AFTER = [Shot(f"photo {n:02}", "ant", "test", ANT if n < 28 else HARM) for n in range(30)]
REST = [Shot("train", "ant", "train", BEE), Shot("valid", "bee", "valid", BEE), Shot("odd", HOSTILE, "train", HARM)]


TABS = tabs(("Start", None), ("Clean", clean.build))


@dataclass(frozen=True)
class Made:
    address: str
    workspace: Workspace
    ids: dict[str, str]


@pytest.fixture
def made(tmp_path: Path, apps: Apps) -> Made:
    workspace, ids = workspace_with(tmp_path / "here" / "demo", BEFORE + REST)
    run_with(workspace, ids, BEFORE + REST, CLASSES, "run-a")
    run_with(workspace, ids, AFTER + REST, CLASSES, "run-b")
    return Made(apps.on(workspace.root, TABS), workspace, ids)


def opened(page: Page, made: Made, dark: bool = False) -> None:
    page.goto(made.address + ("?__theme=dark" if dark else "?__theme=light"))
    page.get_by_role("tab", name="Clean").click()
    expect(page.locator("#clean-ledger tbody tr").first).to_be_attached(timeout=20_000)


def second_page(page: Page) -> None:
    """Turns to it; again where the tab's own filling came late, which shows the first page."""
    for _ in range(3):
        page.locator("#clean-fixed button", has_text="Next").click()
        page.wait_for_timeout(1_500)
        if page.locator("#clean-fixed .card").count() == 3:
            return
    expect(page.locator("#clean-fixed .card")).to_have_count(3)


def harmless(page: Page) -> None:
    assert page.evaluate("window.harmed") is None
    assert page.locator("img[src='x']").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@pytest.mark.parametrize(("viewport", "dark"), [(DESKTOP, False), (PHONE, True)], indirect=["viewport"])
def test_the_verdict_comes_with_the_images_fixed_and_broken(page: Page, made: Made, dark: bool) -> None:
    describe(made.workspace, "run-b", HOSTILE, "")
    opened(page, made, dark)
    page.locator("#clean-compare").click()
    expect(page.locator("#clean-compared")).to_contain_text("Better")
    expect(page.locator("#clean-compared")).to_contain_text("On the same 30 test images")
    expect(page.locator("#clean-fixed .title")).to_have_text("Fixed: 15 images wrong before and right after")
    expect(page.locator("#clean-fixed .card")).to_have_count(12)
    second_page(page)
    broken = page.locator("#clean-broken .card")
    expect(broken).to_have_count(2)
    expect(broken.first).to_contain_text("before ant")
    expect(broken.first).to_contain_text(f"after {HOSTILE}")
    broken.first.click()
    expect(page.locator("#clean-viewer dialog img")).to_be_visible()
    expect(page.locator("#clean-viewer dialog")).to_contain_text("actual ant, before ant, after <img")
    page.keyboard.press("Escape")
    expect(page.locator("#clean-viewer dialog")).to_be_hidden()
    small = page.evaluate(
        """() => ['fixed', 'broken', 'compare', 'train']
            .flatMap(name => [...document.querySelectorAll(`#clean-${name} button, button#clean-${name}`)])
            .filter(b => b.offsetParent && b.offsetHeight < 40).map(b => b.textContent)"""
    )
    assert small == []
    harmless(page)


@pytest.mark.parametrize(("viewport", "dark"), [(DESKTOP, True), (PHONE, False)], indirect=["viewport"])
def test_the_ledger_has_a_row_a_run_and_says_what_was_done_to_the_test_split(
    page: Page, made: Made, dark: bool, tmp_path: Path
) -> None:
    describe(made.workspace, "run-a", HOSTILE, "")
    log_audit(made.workspace, "run-a")
    relabel(made.workspace, made.ids["photo 00"], "bee")
    opened(page, made, dark)
    rows = page.locator("#clean-ledger tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text(HOSTILE)
    expect(rows.first).to_contain_text("1 label changed")
    expect(rows.last).to_contain_text("better (-36.7 points)")
    expect(page.locator("#clean-ledger")).to_contain_text("The test split was audited on")
    box = rows.first.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"]
    with page.expect_download() as waiting:
        page.locator("#clean-ledger-file").click()
    waiting.value.save_as(tmp_path / "ledger.csv")
    lines = (tmp_path / "ledger.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[2].startswith('"run-b"')
    harmless(page)


def test_paging_stays_with_the_runs_that_were_compared(page: Page, made: Made) -> None:
    opened(page, made)
    expect(page.locator("#clean-fixed .card")).to_have_count(12)
    page.locator("#clean-before input").click()
    page.get_by_role("option").filter(has_text="run-b").first.click()
    second_page(page)
    page.locator("#clean-compare").click()
    expect(page.locator("#clean-compared")).to_contain_text("one and the same run")
    expect(page.locator("#clean-fixed")).to_contain_text("Fixed: no image")


def test_a_run_that_was_made_meanwhile_is_compared_by_itself(page: Page, made: Made) -> None:
    opened(page, made)
    page.locator("#clean-before input").click()
    page.get_by_role("option").filter(has_text="run-b").first.click()
    page.locator("#clean-compare").click()
    expect(page.locator("#clean-compared")).to_contain_text("one and the same run")
    run_with(made.workspace, made.ids, BEFORE + REST, CLASSES, "run-c")
    page.get_by_role("tab", name="Start").click()
    page.get_by_role("tab", name="Clean").click()
    expect(page.locator("#clean-compared")).to_contain_text("Run run-c is worse than run run-b.")
    expect(page.locator("#clean-broken .title")).to_contain_text("Broken: 15 images")
    expect(page.locator("#clean-before input")).to_have_value("previous run")
    expect(page.locator("#clean-ledger tbody tr")).to_have_count(3)
