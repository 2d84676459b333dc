"""Make the pictures in the documentation anew: docs/images/*.png, from a real workspace in a real browser.

    PYTHONPATH=. python tests/browser/screenshots.py [--workspace DIR] [--out DIR]

Without ``--workspace`` one is made from the messy starter set and trained, which takes some minutes; and a heap without
labels, for the Label tab.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1")

from playwright.sync_api import Page, expect, sync_playwright

import app
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.collect.starter_set import write_starter
from pipeline.label.features import look
from pipeline.label.sheets import answer, next_sheet
from pipeline.stage import Progress, run
from pipeline.tabs.door.serve import Door, launch_settings
from pipeline.train.train import TrainConfig, train
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.runs import list_runs
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import DESKTOP, PHONE, SWITCHES
from tests.browser.install import MISSING, find_chromium
from tests.support.paths import ROOT

WAIT = 60_000
NAMED_SHEETS = 29


def collect(page: Page) -> None:
    page.wait_for_function("() => document.querySelectorAll('#collect-pictures img').length > 8", timeout=WAIT)


def verified(page: Page) -> None:
    expect(page.locator("#verify-summary").first).to_be_visible(timeout=WAIT)


def trained(page: Page) -> None:
    expect(page.locator("#train-latest table")).to_be_visible(timeout=WAIT)


def review(page: Page) -> None:
    expect(page.locator("#review-matrix button").first).to_be_visible(timeout=WAIT)


def clean(page: Page) -> None:
    expect(page.locator("#clean-queue img").first).to_be_visible(timeout=WAIT)


def predict(page: Page) -> None:
    with tempfile.TemporaryDirectory() as folder:
        picture = sorted((write_starter(Path(folder) / "set") / "melon").iterdir())[0]
        page.locator("#predict-image input[type=file]").set_input_files(picture)
        expect(page.locator("#predict-closer .tile").first).to_be_visible(timeout=WAIT)
        page.locator("#predict-closer .look").click()
        expect(page.locator("#predict-closer .heat")).to_be_visible(timeout=WAIT)


def deploy(page: Page) -> None:
    page.locator("#deploy-export").click()
    expect(page.locator("#deploy-test")).to_be_visible(timeout=5 * WAIT)
    page.locator("#deploy-test").click()
    expect(page.locator("#deploy-push")).to_be_visible(timeout=10 * WAIT)
    page.locator("#deploy-proof").scroll_into_view_if_needed()


STEPS: dict[str, Callable[[Page], None]] = {
    "Collect": collect,
    "Verify": verified,
    "Train": trained,
    "Review": review,
    "Clean": clean,
    "Predict": predict,
    "Deploy": deploy,
}


def prepared(root: Path) -> Workspace:
    """The workspace at ``root``, with pictures, checked, and a run; what is there already is used."""
    workspace = Workspace.create(root)
    if workspace.store.images().empty:
        run(import_images(workspace, ImportConfig("starter-messy")), _tell)
    run(verify(workspace, VerifyConfig()), _tell)
    if not list_runs(workspace):
        run(train(workspace, TrainConfig()), _tell)
    return workspace


def heaped(root: Path) -> Workspace:
    """The workspace at ``root``: the starter set without labels, of which some sheets are named."""
    workspace, flat = Workspace.create(root), root.with_name("heap-pictures")
    flat.mkdir()
    for file in sorted(write_starter(root.with_name("starter-pictures")).rglob("*.jpg")):
        shutil.copyfile(file, flat / f"{file.parent.name} {file.name}")
    run(import_images(workspace, ImportConfig(str(flat))), _tell)
    run(look(workspace), _tell)
    images = workspace.store.images()
    truth = {str(one): str(name).split()[0] for one, name in zip(images["id"], images["source_name"], strict=True)}
    for _ in range(NAMED_SHEETS):
        if sheet := next_sheet(workspace):
            most = Counter(truth[image] for image in sheet.images).most_common(1)[0][0]
            answer(workspace, sheet, most, [image for image in sheet.images if truth[image] != most])
    return workspace


def _tell(step: Progress) -> None:
    sys.stderr.write(f"\r{step.note} {step.done}/{step.total}          ")


@contextmanager
def served(workspace: Workspace) -> Iterator[str]:
    """The app on ``workspace``; gives its address."""
    demo = app.create_app(workspace.root, local=True)
    yield str(demo.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings(Door()))[1])
    demo.close(verbose=False)


def take(address: str, out: Path, heap: str = "") -> None:
    """One picture a tab at desk size, and three of a phone; that of the Label tab shows the workspace ``heap``."""
    executable = find_chromium()
    if executable is None:
        sys.exit(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=SWITCHES)
        for size, names in ((DESKTOP, list(STEPS)), (PHONE, ["Collect", "Clean", "Predict"])):
            page = browser.new_page(viewport=size, locale="en-GB")
            page.goto(f"{address}?__theme=light")
            for name in names:
                page.get_by_role("tab", name=name, exact=True).click()
                STEPS[name](page)
                page.wait_for_timeout(1500)
                file = out / f"{name.lower()}-{size['width']}.png"
                page.screenshot(path=file)
                print(file)
            page.close()
        if heap:
            page = browser.new_page(viewport=DESKTOP, locale="en-GB")
            page.goto(f"{address}?workspace={heap}&__theme=light")
            page.get_by_role("tab", name="Label", exact=True).click()
            expect(page.locator("#label-sheet .tile").first).to_be_visible(timeout=WAIT)
            names = [str(tile.get_attribute("title")).split()[0] for tile in page.locator("#label-sheet .tile").all()]
            for place, name in enumerate(names):
                if name != Counter(names).most_common(1)[0][0]:
                    page.locator("#label-sheet .tile").nth(place).click()
            page.wait_for_timeout(1500)
            page.screenshot(path=out / "label-1280.png")
            print(out / "label-1280.png")
        browser.close()


def main() -> int:
    """Make them all; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make the pictures in the documentation anew.")
    parser.add_argument("--workspace", type=Path, help="use this workspace, with what is in it")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="winnow-screenshots-") as folder,
        served(prepared(options.workspace or Path(folder) / "fruit")) as address,
    ):
        heap = "" if options.workspace else heaped(Path(folder) / "heap").name
        take(address, options.out, heap)
    return 0


if __name__ == "__main__":
    sys.exit(main())
