"""The Verify tab in Chromium: cards that open, pictures ticked and set aside and back, the question, on a phone too."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from cleaner.tabs.review.story import story_alone
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.stage import run
from pipeline.tabs.verify import tab as verify_tab
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import PHONE, Serve, tabs
from tests.browser.test_app_tabs import LATER, SOON, fits_everywhere, tab
from tests.verify.test_scenes import photograph, splits

pytestmark = pytest.mark.browser
APP = tabs(("Verify", partial(verify_tab.build, story=story_alone)))


def filled(workspace: Workspace, photographs: Path, folder: Path, broken: int) -> None:
    """40 photographs, two of them there twice, one in two class folders, one in the dark, and broken files."""
    shutil.copytree(photographs, folder)
    some = sorted((folder / "apple").glob("*.jpg"))
    for number, file in enumerate(some[:2]):
        Image.open(file).save(folder / "apple" / f"copy {number}.png")
    shutil.copyfile(some[2], folder / "pear" / "the same.jpg")
    Image.open(some[3]).point(lambda value: value // 12).save(folder / "apple" / "dark.png")
    for number in range(broken):
        (folder / "apple" / f"broken {number}.jpg").write_bytes(b"\xff\xd8\xffbroken %d" % number)
    run(import_images(workspace, ImportConfig(str(folder))))


def statuses(workspace: Workspace) -> dict[str, int]:
    return {str(key): int(value) for key, value in workspace.store.images()["status"].value_counts().items()}


def card(page: Page, kind: str) -> None:
    page.locator(f"button.summary[data-kind^={kind}]").click()


@pytest.mark.parametrize("viewport", [PHONE], indirect=True)
def test_pictures_of_a_card_are_set_aside_and_come_back(
    serve: Serve, page: Page, workspace: Workspace, photographs: Path, tmp_path: Path
) -> None:
    filled(workspace, photographs, tmp_path / "in", broken=1)
    run(verify(workspace, VerifyConfig(workers=1)))
    before = statuses(workspace)
    page.goto(serve(workspace.root))
    tab(page, "Verify")
    card(page, "dark")
    page.locator("button.pick").first.press("Enter")
    story = page.locator("#verify-viewer .story")
    expect(story).to_contain_text("Where it came from", timeout=SOON)
    expect(story).to_contain_text("dark.png")
    fits_everywhere(page)
    page.keyboard.press("Escape")
    page.locator("button.pick").first.click()
    expect(page.locator("button.pick").first).to_have_attribute("aria-pressed", "true")
    page.locator(".acts button", has_text="Set aside 1").click()
    expect(page.locator("#verify-cards div.told")).to_contain_text("1 picture set aside.", timeout=SOON)
    assert statuses(workspace) == {"ok": before["ok"] - 1, "set_aside": before["set_aside"] + 1}
    page.locator("#verify-cards div.told button", has_text="Undo").click()
    expect(page.locator("#verify-cards div.told")).to_contain_text("1 picture back in use.", timeout=SOON)
    assert statuses(workspace) == before
    fits_everywhere(page)


def test_the_best_of_each_group_is_kept_and_what_is_no_problem_goes_until_it_is_asked_for(
    serve: Serve, page: Page, workspace: Workspace, photographs: Path, tmp_path: Path
) -> None:
    filled(workspace, photographs, tmp_path / "in", broken=0)
    run(verify(workspace, VerifyConfig(workers=1)))
    page.goto(serve(workspace.root))
    tab(page, "Verify")
    card(page, "duplicate")
    expect(page.locator(".group")).to_have_count(2)
    expect(page.locator(".best")).to_have_count(2)
    page.locator(".acts button", has_text="ignore all 2 groups").click()
    expect(page.locator("#verify-cards div.told")).to_contain_text("No problem: 2 groups", timeout=SOON)
    page.locator(".acts button", has_text="Show 2 ignored again").click()
    expect(page.locator(".group")).to_have_count(2, timeout=SOON)
    page.locator(".acts button", has_text="Keep the best of each of 2 groups").click()
    expect(page.locator("#verify-cards div.told")).to_contain_text(
        "2 copies set aside; the best of each is kept.", timeout=SOON
    )
    assert statuses(workspace) == {"ok": 41, "set_aside": 2}
    card(page, "label_conflict")
    pears = workspace.store.class_counts()["pear"]
    page.locator(".called button", has_text="pear").click()
    expect(page.locator("#verify-cards div.told")).to_contain_text("1 picture now pear.", timeout=SOON)
    expect(page.locator("button.summary[data-kind=label_conflict]")).to_have_count(0)
    assert workspace.store.class_counts()["pear"] == pears + 1


def test_where_many_are_broken_it_asks_and_goes_on_when_told_to(
    serve: Serve, page: Page, workspace: Workspace, photographs: Path, tmp_path: Path
) -> None:
    filled(workspace, photographs, tmp_path / "in", broken=8)
    page.goto(serve(workspace.root))
    tab(page, "Verify")
    page.locator("#verify-run").click()
    expect(page.locator("#verify-question")).to_contain_text("8 of 51 pictures cannot be used", timeout=LATER)
    assert statuses(workspace) == {"ok": 43, "new": 8}
    page.locator("#verify-go-on").click()
    expect(page.locator("button.summary[data-kind^=broken]")).to_have_count(1, timeout=LATER)
    expect(page.locator("#verify-question")).to_be_hidden()
    assert statuses(workspace) == {"ok": 43, "set_aside": 8}


def test_what_was_taken_together_is_kept_with_one_click(serve: Serve, page: Page, workspace: Workspace) -> None:
    photograph(workspace)
    run(verify(workspace, VerifyConfig(workers=1, scenes="ask")))
    page.goto(serve(workspace.root))
    tab(page, "Verify")
    expect(page.locator("#verify-together h4")).to_have_text(
        "8 series by time and camera, 3 pictures each: keep each together?", timeout=SOON
    )
    expect(page.locator("#verify-together img")).to_have_count(9)
    page.locator("#verify-keep-together").click()
    expect(page.locator("#verify-splits")).to_contain_text("each stays in one split", timeout=SOON)
    expect(page.locator("#verify-together")).to_be_hidden()
    assert len(splits(workspace)) == 24
