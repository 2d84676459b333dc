"""The whole app in Chromium: every tab at two sizes, jobs that outlive the page, messages where something lacks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

import app
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.deploy.space import space_folder
from pipeline.jobs import job as jobs
from pipeline.stage import run
from pipeline.tabs.page.whose import Whose
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.runs import load_run
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import DESKTOP, PHONE, Apps, Serve
from tests.support.stages import CountConfig, count
from tests.support.trials import as_tested

pytestmark = pytest.mark.browser

TABS = ("Collect", "Verify", "Label", "Train", "Review", "Clean", "Predict", "Deploy", "Models")
SIZES = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])
HOSTILE = "<img src=x onerror=window.harmed=1>${window.harmed=2}{{harm}}"
SOON, LATER = 20_000, 120_000


def whole(whose: Whose) -> gr.Blocks:
    return app.create_app(whose, local=True)


APP = whole


@pytest.fixture
def counting(workspace: Workspace) -> Iterator[jobs.Job]:
    """A job that takes long enough to be looked at."""
    job = jobs.start(workspace, count, CountConfig(to=1_000, seconds=0.1))
    yield job
    if jobs.get_job(workspace, job.id).active:
        jobs.cancel(workspace, job.id)
        jobs.wait_for(workspace, job.id, 30)


def opened(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#collect-summary")).not_to_be_empty(timeout=SOON)


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    expect(page.locator(f"#tab-{name.lower()}")).to_be_visible()


def taken(page: Page) -> None:
    """Say yes to how a source is read."""
    page.locator("#collect-read [data-do=take]").click(timeout=LATER)


@pytest.fixture(scope="module")
def nobodys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that stays empty."""
    return tmp_path_factory.mktemp("empty") / "nobodys"


@pytest.fixture
def empty(still: Page, apps: Apps, nobodys: Path) -> Page:
    """The whole app on an empty workspace, loaded once for all who only look; Collect is open."""
    address = apps.on(nobodys, whole)
    if still.url == "about:blank":
        opened(still, address)
    tab(still, "Collect")
    return still


def told(page: Page, words: str) -> None:
    """A message with these words is on the screen; close it."""
    message = page.get_by_test_id("toast-body").first
    expect(message).to_contain_text(words, timeout=SOON)
    page.get_by_test_id("toast-close").first.click()
    expect(page.get_by_test_id("toast-body")).to_have_count(0)


def reload(page: Page, complaints: list[str]) -> None:
    """Load the page again; Gradio's client complains about what it was asking for at that moment."""
    page.reload()
    complaints[:] = [line for line in complaints if not re.search("AbortError|Connection errored out", line)]


def fits(page: Page) -> None:
    """Nothing overflows sideways, and every button of ours is large enough to be touched."""
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    small = page.evaluate(
        """() => [...document.querySelectorAll('button.lg, button.sm, a.lg, [role=tab], button.act')]
            .filter(b => b.offsetParent && b.offsetHeight < 40).map(b => b.id + ': ' + b.textContent)"""
    )
    assert small == []


def fits_everywhere(page: Page) -> None:
    """At both sizes; the window keeps the last one, a telephone's."""
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        page.wait_for_timeout(100)
        fits(page)


# --- every tab --------------------------------------------------------------------------------------------------------


def test_every_tab_fits_the_screen_with_a_trained_model(serve: Serve, page: Page, trained: Workspace) -> None:
    opened(page, serve(trained.root))
    for name in TABS:
        tab(page, name)
        page.wait_for_timeout(700)
        fits_everywhere(page)
        page.set_viewport_size(DESKTOP)
    tab(page, "Train")
    expect(page.locator("#train-latest")).to_contain_text("of the test pictures are wrong")
    expect(page.locator("#train-runs table")).to_contain_text("tf_efficientnet_lite0")


@SIZES
def test_an_empty_workspace_says_in_every_tab_what_is_missing(empty: Page, viewport: ViewportSize) -> None:
    page = empty
    expect(page.locator("#collect-summary")).to_contain_text("No pictures yet")
    for name, place, words in (
        ("Verify", "#verify-summary", "Go to Collect"),
        ("Train", "#train-material", "Go to Collect"),
        ("Predict", "#predict-notice", "Train a model first"),
        ("Deploy", "#deploy-notice", "Train a model first"),
    ):
        tab(page, name)
        expect(page.locator(place)).to_contain_text(words)
        fits(page)
    for name in ("Review", "Clean"):
        tab(page, name)
        page.wait_for_timeout(500)
        fits(page)


def test_buttons_pressed_too_early_answer_with_what_to_do(empty: Page) -> None:
    page = empty
    page.locator("#collect-import").click()
    told(page, "Choose files first")
    page.locator("#collect-find").click()
    told(page, "at least one class")
    page.locator("#collect-links-download").click()
    told(page, "at least one link")
    tab(page, "Verify")
    page.locator("#verify-run").click()
    told(page, "Go to Collect")
    tab(page, "Train")
    page.locator("#train-run").click()
    told(page, "Go to Collect")


def test_the_next_button_leads_from_tab_to_tab(empty: Page) -> None:
    page = empty
    for name in ("Verify", "Label", "Train", "Review", "Clean", "Predict", "Deploy"):
        page.get_by_role("button", name=f"Next: {name}").click()
        expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
        expect(page.locator(f"#tab-{name.lower()}")).to_be_visible()


def test_hostile_class_and_file_names_stay_text(serve: Serve, page: Page, workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "in" / HOSTILE
    folder.mkdir(parents=True)
    for number in range(4):
        Image.effect_noise((64, 64), 90).save(folder / f"{number}.png")
    shutil.copy(folder / "0.png", folder / "0 again.png")
    (folder / f"{HOSTILE}.jpg").write_bytes(b"\xff\xd8\xffbroken")
    run(import_images(workspace, ImportConfig(str(tmp_path / "in"))))
    run(verify(workspace, VerifyConfig(workers=1)))
    opened(page, serve(workspace.root))
    for name in TABS:
        tab(page, name)
        page.wait_for_timeout(400)
    tab(page, "Verify")
    page.locator("button.summary[data-kind^=broken]").first.click()
    expect(page.locator("#verify-cards .pictures")).to_contain_text("onerror")
    assert page.evaluate("window.harmed") is None and page.locator("img[src='x']").count() == 0


# --- workspaces -------------------------------------------------------------------------------------------------------


def test_a_new_workspace_is_made_kept_in_the_address_and_there_after_a_reload(
    serve: Serve, page: Page, workspace: Workspace, complaints: list[str]
) -> None:
    opened(page, serve(workspace.root))
    page.locator("#workspace-new").click()
    page.locator("#workspace-name").locator("input, textarea").fill("Wild cats & dogs")
    page.locator("#workspace-create").click()
    expect(page.locator("#workspace-picker input")).to_have_value("Wild-cats-dogs")
    expect(page).to_have_url(re.compile("workspace=Wild-cats-dogs"))
    reload(page, complaints)
    expect(page.locator("#workspace-picker input")).to_have_value("Wild-cats-dogs", timeout=SOON)
    page.locator("#workspace-new").click()
    page.locator("#workspace-name").locator("input, textarea").fill("wild cats & dogs")
    page.locator("#workspace-create").click()
    told(page, "there already")
    page.locator("#workspace-name").locator("input, textarea").fill("...")
    page.locator("#workspace-create").click()
    told(page, "at least one letter or digit")


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_from_the_starter_set_to_checked_pictures_by_two_buttons(
    serve: Serve, page: Page, workspace: Workspace
) -> None:
    opened(page, serve(workspace.root))
    page.locator("#collect-starter").click()
    expect(page.locator("#job")).to_be_visible(timeout=SOON)
    expect(page.locator("#collect-summary")).to_contain_text("satsuma", timeout=LATER)
    expect(page.locator("#collect-pictures img").first).to_be_visible(timeout=SOON)
    loaded = "() => [...document.querySelectorAll('#collect-pictures img')].slice(0, 3).every(i => i.naturalWidth > 0)"
    page.wait_for_function(loaded, timeout=SOON)
    page.get_by_role("button", name="Next: Verify").click()
    page.locator("#verify-run").click()
    expect(page.locator("#verify-summary")).to_contain_text("duplicate groups", timeout=LATER)
    expect(page.locator("#job")).to_contain_text("600 fine")
    expect(page.locator("#verify-splits table")).to_be_visible()


def test_a_job_is_there_after_a_reload_in_a_second_window_and_after_a_restart_of_the_app(
    apps: Apps, page: Page, browser: Browser, workspace: Workspace, counting: jobs.Job, complaints: list[str]
) -> None:
    address = apps.another(app.create_app(workspace.root, local=True))
    opened(page, address)
    expect(page.locator("#job-view")).to_contain_text("Zähle", timeout=SOON)
    reload(page, complaints)
    expect(page.locator("#job-view")).to_contain_text("Zähle", timeout=SOON)
    second = browser.new_page()
    for other in (address, apps.another(app.create_app(workspace.root, local=True))):
        second.goto(other)
        expect(second.locator("#job-view")).to_contain_text("Zähle", timeout=SOON)
        expect(second.locator("#job-view [role=progressbar]")).to_be_visible()
    second.close()


def test_cancel_stops_a_job_and_says_so(serve: Serve, page: Page, workspace: Workspace, counting: jobs.Job) -> None:
    opened(page, serve(workspace.root))
    expect(page.locator("#job-view")).to_contain_text("Zähle", timeout=SOON)
    page.locator("#job-cancel").click()
    expect(page.locator("#job")).to_contain_text(re.compile("stopping|stopped"), timeout=SOON)
    expect(page.locator("#job")).to_contain_text("stopped, as you asked", timeout=SOON)
    assert jobs.get_job(workspace, counting.id).status == "cancelled"


def test_an_idle_page_asks_for_nothing(empty: Page) -> None:
    page = empty
    asked: list[str] = []
    page.on("request", note := lambda request: "heartbeat" in request.url or asked.append(request.url))
    for _ in range(10):  # what opening the tab asked for may still be coming; what is asked for ever never ends
        asked.clear()
        page.wait_for_timeout(4000)
        if not asked:
            break
    page.remove_listener("request", note)
    assert asked == []


def test_ones_own_pictures_come_in_as_a_zip_and_as_loose_files(
    serve: Serve, page: Page, workspace: Workspace, photographs: Path, tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "fruit"), "zip", photographs)
    opened(page, serve(workspace.root))
    page.locator("#collect-files input[type=file]").set_input_files(archive)
    expect(page.locator("#collect-files")).to_contain_text("fruit")
    page.locator("#collect-import").click()
    expect(page.locator("#collect-read")).to_contain_text("fruit.zip", timeout=LATER)
    assert workspace.store.images().empty
    taken(page)
    expect(page.locator("#job")).to_contain_text("40 pictures added", timeout=LATER)
    expect(page.locator("#collect-reading")).to_be_hidden()
    page.locator("#collect-files").get_by_label("Clear").click()
    loose = tmp_path / "kiwi"
    loose.mkdir()
    for number in range(2):
        Image.effect_noise((64, 64), 90).save(loose / f"{number}.png")
    page.locator("#collect-files input[type=file]").set_input_files(sorted(loose.iterdir()))
    page.locator("#collect-label").locator("input, textarea").fill("kiwi")
    page.locator("#collect-import").click()
    taken(page)
    expect(page.locator("#collect-summary")).to_contain_text("kiwi", timeout=LATER)
    expect(page.locator("#collect-summary")).to_contain_text("42")


# --- single tabs ------------------------------------------------------------------------------------------------------


def test_a_picture_that_was_set_aside_can_be_taken_back(
    serve: Serve, page: Page, workspace: Workspace, photographs: Path, tmp_path: Path
) -> None:
    shutil.copytree(photographs, tmp_path / "in")
    (tmp_path / "in" / "apple" / "broken.jpg").write_bytes(b"\xff\xd8\xffbroken")
    run(import_images(workspace, ImportConfig(str(tmp_path / "in"))))
    run(verify(workspace, VerifyConfig(workers=1)))
    opened(page, serve(workspace.root))
    tab(page, "Verify")
    page.locator("button.summary[data-kind^=broken]").first.click()
    page.locator("button.pick").first.click()
    page.locator(".acts button", has_text="Take back").first.click()
    expect(page.locator("#verify-summary")).to_contain_text("1 picture came in since", timeout=SOON)


def test_the_command_line_follows_the_options(empty: Page, nobodys: Path) -> None:
    page = empty
    tab(page, "Train")
    page.locator("#train-options button").first.click()
    line = page.locator("#train-command textarea, #train-command input")
    expect(line).to_have_value(re.compile(rf"^python cli\.py train {re.escape(str(nobodys))}$"), timeout=SOON)
    page.locator("#train-note textarea, #train-note input").fill("first try")
    expect(line).to_have_value(re.compile(r"--note 'first try'$"), timeout=SOON)


def test_a_picture_that_is_junk_is_refused_in_words(
    serve: Serve, page: Page, trained: Workspace, tmp_path: Path, complaints: list[str]
) -> None:
    opened(page, serve(trained.root))
    tab(page, "Predict")
    junk = tmp_path / "junk.jpg"
    junk.write_bytes(b"no picture at all")
    page.locator("#predict-image input[type=file]").set_input_files(junk)
    told(page, "This picture cannot be read")
    complaints.clear()


def test_a_space_folder_is_listed_downloaded_and_not_sent_without_a_token(
    serve: Serve,
    page: Page,
    trained: Workspace,
) -> None:
    folder = space_folder(trained, load_run(trained))
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("---\nsdk: gradio\napp_file: app.py\n---\n")
    (folder / "app.py").write_text("import gradio\n")
    opened(page, serve(trained.root))
    tab(page, "Deploy")
    page.locator("#deploy-files summary").click()
    expect(page.locator("#deploy-files table")).to_contain_text("app.py", timeout=SOON)
    expect(page.locator("#deploy-push")).to_be_hidden()
    as_tested(trained, folder)
    tab(page, "Predict")
    tab(page, "Deploy")
    expect(page.locator("#deploy-proof")).to_contain_text("7 golden pictures", timeout=SOON)
    with page.expect_download() as download:
        page.locator("#deploy-download").click()
    assert download.value.suggested_filename == f"{folder.name}.zip"
    page.locator("#deploy-repo").locator("input, textarea").fill("ann/bears")
    page.locator("#deploy-push").click()
    told(page, "needs a Hugging Face token")


def test_models_can_be_filtered(empty: Page) -> None:
    page = empty
    tab(page, "Models")
    expect(page.locator("#models-table")).to_contain_text("tf_efficientnet_lite0 (fast, the default)", timeout=SOON)
    page.locator("#models-filter").locator("input, textarea").fill("resnet18")
    expect(page.locator("#models-table")).not_to_contain_text("lite0", timeout=SOON)
    expect(page.locator("#models-table")).to_contain_text("resnet18")
