"""The Label tab in Chromium: a person who is always right names a heap, by key and by touch; another one interferes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pipeline.collect.importing import ImportConfig, import_images
from pipeline.label.features import look
from pipeline.label.sheets import answer, counts
from pipeline.stage import run
from pipeline.tabs.label import tab as label
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import PHONE, Serve, tabs
from tests.browser.test_app_tabs import LATER, fits, fits_everywhere, tab
from tests.label.conftest import heap, looked_at, truth

__all__ = ["heap", "looked_at", "truth"]  # the fixtures
pytestmark = pytest.mark.browser
APP = tabs(("Start", None), ("Label", label.build))
SHEET = "#label-sheet .sheet"
HOSTILE = "<img src=x onerror=window.harmed=1>"


def opened(page: Page, address: str) -> None:
    page.goto(address)
    tab(page, "Label")
    expect(page.locator(f"{SHEET} .tile").first).to_be_visible()


def on_it(page: Page) -> list[str]:
    return [
        str(image) for image in page.eval_on_selector_all(f"{SHEET} .tile", "all => all.map(one => one.dataset.id)")
    ]


def classes(page: Page) -> list[str]:
    names = page.eval_on_selector_all(f"{SHEET} [data-act=class]", "all => all.map(one => one.dataset.name)")
    return [str(name) for name in names]


def shown(page: Page) -> str:
    return str(page.locator(SHEET).get_attribute("data-sheet"))


def next_one(page: Page, before: str) -> None:
    """Another sheet is there, or the end."""
    expect(page.locator(SHEET)).not_to_have_attribute("data-sheet", before)


def test_a_heap_is_named_by_keys(serve: Serve, page: Page, heap: Workspace, truth: dict[str, str]) -> None:
    opened(page, serve(heap.root))
    actions = 0
    while before := shown(page):
        ids = on_it(page)
        most = Counter(truth[image] for image in ids).most_common(1)[0][0]
        at = 0
        for place, image in enumerate(ids):
            if truth[image] != most:
                if not at and not page.locator(f"{SHEET} .tile:focus").count():
                    page.locator(f"{SHEET} .tile").first.focus()
                for _ in range(place - at):
                    page.keyboard.press("ArrowRight")
                page.keyboard.press("x")
                at, actions = place, actions + 1
        expect(page.locator(SHEET)).to_have_attribute("data-struck", str(sum(truth[image] != most for image in ids)))
        names = classes(page)
        if page.locator(f"{SHEET} .yes").is_visible() and names[0] == most:
            page.keyboard.press("Enter")
        elif most in names[:9]:
            page.keyboard.press(str(names.index(most) + 1))
        else:
            page.keyboard.press("n")
            page.keyboard.type(most)
            page.keyboard.press("Shift+Enter")
        actions += 1
        next_one(page, before)
    expect(page.locator(f"{SHEET} .empty")).to_contain_text("All pictures have a label: 40. On to Train.")
    assert heap.store.labels() == truth and actions < len(truth)
    fits_everywhere(page)
    page.keyboard.press("u")
    expect(page.locator(f"{SHEET} .message")).to_contain_text("Taken back")
    expect(page.locator(f"{SHEET} .tile").first).to_be_visible()


@pytest.mark.parametrize("viewport", [PHONE], indirect=True)
def test_by_touch_pictures_are_struck_out_the_rest_is_named_and_undo_brings_all_of_it_back(
    serve: Serve, page: Page, heap: Workspace
) -> None:
    opened(page, serve(heap.root))
    first, ids = shown(page), on_it(page)
    page.locator(f"{SHEET} .tile").nth(1).click()
    page.locator(f"{SHEET} .tile").nth(2).click()
    page.locator(f"{SHEET} .tile").nth(2).click()
    expect(page.locator(f"{SHEET} .count")).to_contain_text(f"1 of {len(ids)} pictures struck out")
    field = page.locator(f"{SHEET} input")
    expect(field).to_be_in_viewport()
    field.fill(HOSTILE)
    page.locator(f"{SHEET} [data-act=name]").click()
    next_one(page, first)
    assert Counter(heap.store.labels().values()) == {HOSTILE: len(ids) - 1} and ids[1] not in heap.store.labels()
    expect(page.locator(f"{SHEET} [data-act=class]")).to_have_text(f"{HOSTILE}1")
    fits(page)
    page.locator(f"{SHEET} [data-act=undo]").click()
    expect(page.locator(SHEET)).to_have_attribute("data-sheet", first)
    expect(page.locator(SHEET)).to_have_attribute("data-struck", "1")
    assert counts(heap) == (0, 40)
    page.locator(f"{SHEET} [data-act=redo]").click()
    next_one(page, first)
    page.keyboard.press("u")
    expect(page.locator(SHEET)).to_have_attribute("data-sheet", first)
    page.locator(f"{SHEET} [data-act=none]").click()
    next_one(page, first)
    assert set(heap.store.labels().values()) == {"none of these"}
    assert page.evaluate("window.harmed") is None


def test_ranges_and_what_somebody_else_named_meanwhile(serve: Serve, page: Page, heap: Workspace) -> None:
    opened(page, serve(heap.root))
    first, ids = shown(page), on_it(page)
    page.locator(f"{SHEET} .tile").first.click()
    page.locator(f"{SHEET} .tile").nth(2).click(modifiers=["Shift"])
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(SHEET)).to_have_attribute("data-struck", "4")
    page.keyboard.press("Escape")
    expect(page.locator(SHEET)).to_have_attribute("data-struck", "0")
    answer(heap, first, "apple", ids[2:])
    expect(page.locator(f"{SHEET} .message.warning")).to_contain_text("Somebody else named 2 pictures")
    next_one(page, first)
    expect(page.locator(f"{SHEET} .counter")).to_have_text("2 named, 38 left")
    page.keyboard.press("u")
    expect(page.locator(f"{SHEET} .counter")).to_have_text("0 named, 40 left")


def test_one_button_looks_at_the_pictures_and_the_first_sheet_comes(
    serve: Serve, page: Page, workspace: Workspace, photographs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    for file in sorted(photographs.rglob("*.jpg"))[:6]:
        (folder / file.name).write_bytes(file.read_bytes())
    run(import_images(workspace, ImportConfig(str(folder))))
    page.goto(serve(workspace.root))
    tab(page, "Label")
    expect(page.locator(f"{SHEET} .empty")).to_contain_text("6 pictures have no label")
    page.locator("#label-look").click()
    expect(page.locator(f"{SHEET} .tile").first).to_be_visible(timeout=LATER)
    expect(page.locator("#label-look")).to_be_hidden()
    assert len(run(look(workspace)).ids) == 6
