"""The Train tab in Chromium: runs named, compared and moved to the trash; a rate taken from the curve; the preview."""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import Page, expect

from pipeline.tabs.train import tab as train
from pipeline.tabs.train.rates import rates_view
from pipeline.workspace.runs import Run, discarded, list_runs, write_record
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import PHONE, Serve, tabs
from tests.browser.test_app_tabs import LATER, SOON, fits, fits_everywhere, tab
from tests.tabs.train.test_rates import CURVE, ended

pytestmark = pytest.mark.browser
ON_A_PHONE = pytest.mark.parametrize("viewport", [PHONE], indirect=True, ids=["phone"])
APP = tabs(("Train", train.build))


def second(workspace: Workspace) -> Run:
    """Another run: as the first one, but for its id, an epoch more, and a setting that this version does not know."""
    (first,) = list_runs(workspace)
    folder = workspace.runs / "20990101-000000-abcd"
    shutil.copytree(first.folder, folder)
    epochs = [*first.epochs, {**first.epochs[-1], "epoch": 1}]
    config = {**first.config, "epochs": 7, "seed": 5, "momentum": 0.9}
    record = {**first.record, "id": folder.name, "created": "2099-01-01", "config": config, "epochs": epochs}
    write_record(folder, record)
    return list_runs(workspace)[0]


def options(page: Page) -> None:
    page.locator("#train-options .label-wrap").first.click()
    expect(page.locator("#train-preview")).to_be_visible()


@ON_A_PHONE
def test_a_run_is_named_its_settings_used_again_and_it_goes_to_the_trash_and_back(
    serve: Serve, page: Page, trained: Workspace
) -> None:
    run = second(trained)
    page.goto(serve(trained.root))
    tab(page, "Train")
    page.locator(f"#train-runs input[data-id='{run.id}']").check()
    page.locator("#train-run-name").locator("input, textarea").fill("Seven <b>epochs</b>")
    page.locator("#train-run-save").click()
    expect(page.locator("#train-runs tr.picked")).to_contain_text("Seven <b>epochs</b>", timeout=SOON)
    expect(page.locator("#train-run-command textarea")).to_have_value(re.compile("--epochs 7 .*--seed 5"))
    expect(page.locator("#train-run-details")).to_contain_text("does not know or take: momentum (0.9)")
    page.locator("#train-run-recall").click()
    expect(page.locator("#train-command textarea")).to_have_value(re.compile("--epochs 7 .*--seed 5"), timeout=SOON)
    expect(page.locator("#train-told")).to_contain_text("Left out, as this version does not know them: momentum.")
    page.locator("#train-run-discard").click()
    expect(page.locator("#train-runs tbody tr")).to_have_count(1, timeout=SOON)
    assert [gone.name for gone in discarded(trained)] == ["Seven <b>epochs</b>"]
    page.locator("#train-undo").click()
    expect(page.locator("#train-runs tbody tr")).to_have_count(2, timeout=SOON)
    assert len(list_runs(trained)) == 2 and not discarded(trained)
    fits_everywhere(page)


def test_two_runs_stand_side_by_side(serve: Serve, page: Page, trained: Workspace) -> None:
    run = second(trained)
    page.goto(serve(trained.root))
    tab(page, "Train")
    boxes = page.locator("#train-runs input")
    expect(boxes).to_have_count(2, timeout=SOON)
    for box in boxes.all():
        box.check()
    expect(page.locator("#train-both")).to_be_visible(timeout=SOON)
    expect(page.locator("#train-one")).to_be_hidden()
    expect(page.locator("#train-compare svg")).to_have_count(1)
    expect(page.locator("#train-compare")).to_contain_text(run.id)
    expect(page.locator("#train-compare tr", has_text="momentum")).to_contain_text("0.9")
    fits_everywhere(page)


@ON_A_PHONE
def test_a_click_on_the_curve_and_the_keys_take_a_learning_rate(serve: Serve, page: Page, trained: Workspace) -> None:
    ended(trained, 1, {"suggestion": 1e-3, "steepest": 5e-4, "curve": CURVE})
    page.goto(serve(trained.root))
    tab(page, "Train")
    options(page)
    command, curve = page.locator("#train-command textarea"), page.locator("#train-rates svg")
    curve.scroll_into_view_if_needed()
    page.locator("#train-rates button", has_text="falls fastest").click()
    expect(command).to_have_value(re.compile("--base-lr 0.0005"), timeout=SOON)
    box = curve.bounding_box()
    assert box is not None
    curve.click(position={"x": 44 + 0.5 * (box["width"] - 56), "y": 90})  # the middle of 1e-6 to 1
    expect(command).to_have_value(re.compile("--base-lr 0.001( |$)"), timeout=SOON)
    page.locator("#train-rates .plot").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(command).to_have_value(re.compile("--base-lr 0.79"), timeout=SOON)
    expect(page.locator("#train-rates [role=status]")).to_contain_text("Set now: 7.9e−1")
    assert rates_view(trained, None)["curve"]
    fits_everywhere(page)


def test_the_preview_shows_what_the_settings_make_of_the_pictures(serve: Serve, page: Page, trained: Workspace) -> None:
    page.goto(serve(trained.root))
    tab(page, "Train")
    options(page)
    page.locator("#train-preview").click()
    expect(page.locator("#train-views figure")).to_have_count(6, timeout=LATER)
    expect(page.locator("#train-views img")).to_have_count(30)
    assert page.evaluate(
        "[...document.querySelectorAll('#train-views img')].every((image) => image.naturalWidth === 224)"
    )
    fits(page)
