"""A public demo, as a Space starts it, with two visitors at once: each trains and asks; neither sees
anything of the other's, and a reload is no new visitor.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import DESKTOP, PHONE, smaller
from tests.support.apps import Server
from tests.support.paths import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE = 90_000
MINUTES = 300_000
VISITORS = {"mine-a": ("apple", "melon"), "mine-b": ("pear", "orange")}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``python app.py`` with what a Space sets."""
    place = tmp_path_factory.mktemp("temporary")
    with Server(ROOT, environment={"SPACE_ID": "me/winnow", "TMPDIR": str(place)}) as server:
        yield server.url
    assert [path.name for path in place.glob("winnow-demo-*")] == [], "the demo clears everything away"


def test_two_visitors_work_side_by_side_and_see_nothing_of_each_other(
    demo: str, browser: Browser, starter_folder: Path, tmp_path: Path
) -> None:
    pages = {name: browser.new_context(viewport=DESKTOP).new_page() for name in VISITORS}
    for name, page in pages.items():
        page.goto(demo)
        expect(page.locator("#demo-terms")).to_contain_text("Public demo")
        expect(page.locator("#collect-summary")).to_contain_text("600", timeout=PATIENCE)
        _make_workspace(page, name)
        _import(page, _packed(starter_folder, tmp_path / f"{name}.zip", VISITORS[name]))
    for page in pages.values():
        _start_training(page)
    for page in pages.values():
        expect(page.locator("#job-view .w-job")).to_have_attribute("data-status", "done", timeout=MINUTES)
    for name, page in pages.items():
        page.get_by_role("tab", name="Predict").click()
        picture = sorted((starter_folder / VISITORS[name][0]).iterdir())[-1]
        page.locator("#predict-image input[type=file]").set_input_files(picture)
        expect(page.locator("#predict-answer")).to_contain_text(VISITORS[name][0], timeout=PATIENCE)
    for name, page in pages.items():
        page.reload()
        expect(page.locator("#workspace-picker input")).to_have_value(name, timeout=PATIENCE)
        expect(page.locator("#collect-summary")).to_contain_text("40", timeout=PATIENCE)
        (other,) = set(VISITORS) - {name}
        page.goto(f"{demo}?workspace={other}")
        expect(page.locator("#workspace-picker input")).to_have_value("starter", timeout=PATIENCE)
        assert other not in page.locator("#head").inner_html()
    _start_over(pages["mine-a"])
    expect(pages["mine-b"].locator("#collect-summary")).to_contain_text("600", timeout=PATIENCE)
    for page in pages.values():
        page.context.close()


def test_the_terms_are_readable_on_a_phone(demo: str, browser: Browser) -> None:
    page = browser.new_context(viewport=PHONE).new_page()
    page.goto(demo)
    page.locator("#demo-terms summary").click()
    expect(page.locator("#demo-terms")).to_contain_text("One training runs at a time")
    wide = page.locator("#demo-terms").bounding_box()
    assert wide is not None and wide["width"] > 300
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.context.close()


def _make_workspace(page: Page, name: str) -> None:
    page.locator("#workspace-new").click()
    page.locator("#workspace-name input, #workspace-name textarea").fill(name)
    page.locator("#workspace-create").click()
    expect(page.locator("#workspace-picker input")).to_have_value(name, timeout=PATIENCE)
    expect(page.locator("#collect-summary")).to_contain_text("No pictures yet", timeout=PATIENCE)


def _packed(starter: Path, target: Path, classes: tuple[str, ...]) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for name in classes:
            for file in sorted((starter / name).iterdir())[:20]:
                archive.write(file, f"{name}/{file.name}")
    return target


def _import(page: Page, archive: Path) -> None:
    page.locator("#collect-files input[type=file]").set_input_files(archive)
    expect(page.locator("#collect-files")).to_contain_text(archive.stem, timeout=PATIENCE)
    page.locator("#collect-import").click()
    page.locator("#collect-read [data-do=take]").click(timeout=PATIENCE)
    expect(page.locator("#collect-summary")).to_contain_text("40", timeout=PATIENCE)


def _start_training(page: Page) -> None:
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-options").get_by_text("More options").click()
    page.locator("#train-epochs input[type=number]").fill("0")
    smaller(page, 64)
    page.locator("#train-run").click()
    expect(page.locator("#job")).to_contain_text("Training", timeout=PATIENCE)


def _start_over(page: Page) -> None:
    page.locator("#demo-over").click()
    page.locator("#demo-sure").click()
    expect(page.locator("#workspace-picker input")).to_have_value("starter", timeout=PATIENCE)
    expect(page.locator("#collect-summary")).to_contain_text("600", timeout=PATIENCE)
