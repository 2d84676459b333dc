"""The journey: open the app, verify, train, look, fix ten labels by key, undo one, train again, compare, predict,
export; then start the exported Space and ask it over HTTP.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Page, expect

from cleaner.clean.decisions import decisions
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.jobs.job import Job, cancel, list_jobs
from pipeline.predict import Classifier
from pipeline.stage import run
from pipeline.workspace.runs import list_runs
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import smaller
from tests.support.apps import Server, until
from tests.support.paths import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1500)]
MINUTES = 60.0
PATIENCE = 60_000  # milliseconds for the page to follow


@pytest.fixture
def app(starter_folder: Path, tmp_path: Path) -> Iterator[Server]:
    """The app on 100 photographs, 20 of each class."""
    for folder in sorted(path for path in starter_folder.iterdir() if path.is_dir()):
        (tmp_path / "in" / folder.name).mkdir(parents=True)
        for picture in sorted(folder.iterdir())[:20]:
            shutil.copy(picture, tmp_path / "in" / folder.name)
    run(import_images(Workspace.create(tmp_path / "fruit"), ImportConfig(str(tmp_path / "in"))))
    server = Server(ROOT, "--workspace", str(tmp_path / "fruit"))
    yield server
    server.stop()
    workspace = Workspace.open(tmp_path / "fruit")
    for job in list_jobs(workspace):
        if job.active:
            cancel(workspace, job.id)


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def ended(workspace: Workspace, number: int) -> Job:
    """The job with this number (1 is the first), once it is done."""
    until(lambda: len(list_jobs(workspace)) >= number and not list_jobs(workspace)[0].active, 8 * MINUTES)
    job = list_jobs(workspace)[0]
    assert job.status == "done", job.note
    return job


def test_from_opening_the_app_to_a_space_that_answers(
    app: Server, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    workspace = Workspace.open(tmp_path / "fruit")
    page.goto(app.url)
    expect(page.locator("#collect-summary")).to_contain_text("100", timeout=PATIENCE)

    tab(page, "Verify")
    page.locator("#verify-run").click()
    ended(workspace, 1)
    expect(page.locator("#verify-summary")).to_contain_text("100", timeout=PATIENCE)

    _train_and_lose_sight_of_it(app, page, complaints, workspace)

    tab(page, "Review")
    expect(page.locator("#review-headline")).to_contain_text("95", timeout=PATIENCE)
    page.locator("#review-matrix td button.right").first.click()
    expect(page.locator("#review-images .card").first).to_be_visible(timeout=PATIENCE)

    tab(page, "Clean")
    _fix_ten_labels_and_undo_one(page, workspace)
    page.locator("#clean-train").click()
    ended(workspace, 3)
    assert len(list_runs(workspace)) == 2
    tab(page, "Review")
    tab(page, "Clean")
    page.locator("#clean-compare").click()
    expect(page.locator("#clean-compared")).to_contain_text("test images", timeout=PATIENCE)

    picture = workspace.image_file(str(workspace.store.images("ok")["file"].iloc[0]))
    tab(page, "Predict")
    page.locator("#predict-image input[type=file]").set_input_files(picture)
    expected = Classifier.load(list_runs(workspace)[0].folder).predict([picture])[0]
    expect(page.locator("#predict-answer")).to_contain_text(expected.label, timeout=PATIENCE)

    tab(page, "Deploy")
    page.locator("#deploy-export").click()
    exported = ended(workspace, 4)
    expect(page.locator("#deploy-files")).to_contain_text("app.py", timeout=PATIENCE)
    _ask_the_space(Path(exported.config["out"]), picture, expected.probabilities)


def _train_and_lose_sight_of_it(app: Server, page: Page, complaints: list[str], workspace: Workspace) -> None:
    """Start a training; reload the page in the middle, and restart the app in the middle: it is found again."""
    tab(page, "Train")
    page.locator("#train-options").get_by_text("More options").click()
    page.locator("#train-epochs input[type=number]").fill("1")
    smaller(page, 128)
    page.locator("#train-run").click()
    until(lambda: list_jobs(workspace)[0].stage == "train" and list_jobs(workspace)[0].done > 0, 8 * MINUTES)
    training = psutil.Process(json.loads((list_jobs(workspace)[0].folder / "process.json").read_text())["pid"])
    training.suspend()  # for as long as the page is away: else it would have to take that long

    page.reload()
    expect(page.locator("#job-view .w-job")).to_have_attribute("data-status", "running", timeout=PATIENCE)
    app.stop()
    complaints.clear()  # the page says that its server is gone
    app.start()
    page.goto(app.url)
    expect(page.locator("#job-view .w-job")).to_have_attribute("data-status", "running", timeout=PATIENCE)
    complaints.clear()

    training.resume()
    job = ended(workspace, 2)
    tab(page, "Train")
    expect(page.locator("#job-view")).to_contain_text("valid", timeout=PATIENCE)
    assert (job.config["epochs"], job.config["image_size"]) == (1, 128)
    assert [epoch["epoch"] for epoch in list_runs(workspace)[0].epochs] == [0, 1]


def _fix_ten_labels_and_undo_one(page: Page, workspace: Workspace) -> None:
    """Ten keys: give each picture another class than it has; then take the last one back."""
    queue = page.locator("#clean-queue .queue")
    expect(queue.locator(".label").first).to_be_visible(timeout=PATIENCE)
    classes = ["apple", "melon", "orange", "pear", "satsuma"]
    given = []
    for _ in range(10):
        image = queue.get_attribute("data-id")
        label = classes[(classes.index(queue.locator(".label").first.inner_text()) + 1) % 5]
        page.keyboard.press(str(classes.index(label) + 1))
        expect(queue).not_to_have_attribute("data-id", str(image), timeout=PATIENCE)
        given.append((image, label))
    page.keyboard.press("u")
    expect(queue).to_have_attribute("data-id", str(given[-1][0]), timeout=PATIENCE)
    expect(queue).to_have_attribute("data-unsaved", "0", timeout=PATIENCE)
    assert [(d.image, d.after.labels[0]) for d in decisions(workspace)] == given
    assert [d.undone for d in decisions(workspace)] == [False] * 9 + [True]


def _ask_the_space(folder: Path, picture: Path, expected: dict[str, float]) -> None:
    space = Server(folder)
    try:
        answer = Client(space.url, verbose=False).predict(handle_file(str(picture)), api_name="/predict")
    finally:
        space.stop()
    told = {row["label"]: row["confidence"] for row in answer[0]["confidences"]}
    assert told == pytest.approx({label: expected[label] for label in told}, abs=1e-4)
