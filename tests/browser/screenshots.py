"""Make the pictures in the documentation anew: docs/images/*.png, from a real workspace in a real browser.

    PYTHONPATH=. python tests/browser/screenshots.py [--workspace DIR] [--out DIR]

Without ``--workspace`` one is made from the messy starter set and trained, which takes some minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1")

from playwright.sync_api import Page, expect, sync_playwright

import app
from pipeline.collect.importing import ImportConfig, import_images
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
        from pipeline.collect.starter_set import write_starter

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


def _tell(step: Progress) -> None:
    sys.stderr.write(f"\r{step.note} {step.done}/{step.total}          ")


@contextmanager
def served(workspace: Workspace) -> Iterator[str]:
    """The app on ``workspace``; gives its address."""
    demo = app.create_app(workspace.root, local=True)
    yield str(demo.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings(Door()))[1])
    demo.close(verbose=False)


def take(address: str, out: Path) -> None:
    """One picture a tab at desk size, and three of a phone."""
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
        take(address, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
