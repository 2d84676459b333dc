"""The Collect tab in Chromium: the table of classes, the preview before anything is stored, folders, outcomes."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect

from pipeline.collect.download import DownloadConfig, download, waiting
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.jobs import job as jobs
from pipeline.labels import clean_label
from pipeline.search.wanted import BLUR
from pipeline.stage import run
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import PHONE, Serve
from tests.browser.test_app_tabs import (
    HOSTILE,
    LATER,
    SOON,
    fits,
    fits_everywhere,
    opened,
    reload,
    taken,
    told,
    whole,
)
from tests.support.hub_data import DataRepo
from tests.support.hub_stand_in import HubStandIn
from tests.support.paths import SHARED
from tests.support.row_sets import dataset, known

pytestmark = pytest.mark.browser
APP = whole

NAUGHTY = SHARED / "corpus" / "dev" / "strings" / "naughty_names.json"
SITE = "https://pictures.example"
BROKEN = f"{SITE}/broken.jpg"


def noise(seed: int) -> bytes:
    """A picture of its own."""
    file = io.BytesIO()
    Image.frombytes("RGB", (48, 36), random.Random(seed).randbytes(48 * 36 * 3)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def asked(page: Page, complaints: list[str]) -> Iterator[list[str]]:
    """The pictures that the page asks for at their own sites; a stand-in answers."""
    urls: list[str] = []

    def answer(route: Route) -> None:
        urls.append(route.request.url)
        if route.request.url == BROKEN:
            route.abort()
        else:
            route.fulfill(body=noise(len(urls)), content_type="image/png")

    page.route(re.compile("^https://"), answer)
    yield urls
    complaints[:] = [line for line in complaints if SITE not in line]


def found(workspace: Workspace, label: str, *urls: str) -> None:
    workspace.store.add_candidates(
        {"url": url, "label": label, "provider": "openverse", "licence": "CC BY 4.0", "title": HOSTILE} for url in urls
    )


def unfold(page: Page, label: str) -> Locator:
    """Open a class in the preview; returns its pictures."""
    page.locator("#collect-preview .summary").filter(has_text=label).click()
    tiles = page.locator("#collect-preview .tile")
    expect(tiles.first).to_be_visible(timeout=SOON)
    return tiles


def expect_pressed(tiles: Locator, wanted: list[bool]) -> None:
    for number, is_wanted in enumerate(wanted):
        expect(tiles.nth(number)).to_have_attribute("aria-pressed", str(is_wanted).lower(), timeout=SOON)


# --- search -----------------------------------------------------------------------------------------------------------


def test_the_table_becomes_a_search_and_without_a_network_it_says_what_to_do_instead(
    serve: Serve, page: Page, workspace: Workspace
) -> None:
    opened(page, serve(workspace.root))
    page.locator("#collect-find").click()
    told(page, "at least one class")
    page.locator("#collect-set-get").click()
    told(page, "Choose a set")
    page.get_by_label("Class", exact=True).first.fill("grizzly")
    page.get_by_label("Search for", exact=True).first.fill("grizzly bear")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    page.keyboard.type("teddy")
    page.keyboard.press("Enter")
    expect(page.locator("#collect-classes .row")).to_have_count(3)
    page.locator("#collect-classes .remove").nth(2).click()
    page.locator("#collect-extras").locator("input, textarea").fill("sun, shade")
    page.get_by_label("Openverse").uncheck()
    page.get_by_label("Only openly licensed pictures").check()
    page.locator("#collect-find").click()
    expect(page.locator("#job")).to_contain_text("cannot be reached", timeout=LATER)
    (job,) = jobs.list_jobs(workspace)
    assert job.config["classes"] == [["grizzly", "grizzly bear"], ["teddy", "teddy"]]
    assert (job.config["extras"], job.config["maximum"]) == (["sun", "shade"], 60)
    assert job.config["providers"] == ["duckduckgo", "wikimedia"]
    assert (job.config["open_licence"], job.config["safesearch"]) == (True, True)


def test_a_list_of_classes_can_be_pasted_into_the_table(serve: Serve, page: Page, workspace: Workspace) -> None:
    opened(page, serve(workspace.root))
    page.evaluate("navigator.clipboard.writeText('grizzly = grizzly bear\\n\\nblack bear\\nteddy\\tteddy bear')")
    page.get_by_label("Class", exact=True).first.focus()
    page.keyboard.press("Control+V")
    fields = page.locator("#collect-classes .row input")
    expect(fields).to_have_count(8)
    values = [fields.nth(number).input_value() for number in range(8)]
    assert values == ["grizzly", "grizzly bear", "black bear", "", "teddy", "teddy bear", "", ""]
    expect(page.get_by_label("Search for", exact=True).nth(1)).to_have_attribute("placeholder", "black bear")


# --- the preview ------------------------------------------------------------------------------------------------------


def test_nothing_is_fetched_before_a_class_is_opened_and_unticked_pictures_stay_so(
    serve: Serve, page: Page, workspace: Workspace, asked: list[str], complaints: list[str]
) -> None:
    urls = [f"{SITE}/{number}.jpg" for number in range(4)]
    found(workspace, "grizzly", *urls, BROKEN, "https://192.168.0.1/inner.jpg")
    found(workspace, HOSTILE, f"{SITE}/other.jpg")
    opened(page, serve(workspace.root))
    expect(page.locator("#collect-download")).to_have_text("Download 7 pictures", timeout=SOON)
    fits_everywhere(page)
    assert asked == []
    tiles = unfold(page, "grizzly")
    expect(tiles).to_have_count(6)
    expect(page.locator("#collect-preview .blank")).to_have_count(2, timeout=SOON)
    tiles.nth(1).click()
    tiles.nth(3).click()
    tiles.nth(3).press("ArrowLeft")
    page.keyboard.press("Space")
    expect_pressed(tiles, [True, False, False, False])
    expect(page.locator("#collect-download")).to_have_text("Download 4 pictures", timeout=SOON)
    expect(page.locator("#collect-preview")).to_contain_text("6 found, 3 unticked")
    fits_everywhere(page)
    reload(page, complaints)
    expect(page.locator("#collect-download")).to_have_text("Download 4 pictures", timeout=SOON)
    expect_pressed(unfold(page, "grizzly"), [True, False, False, False])
    assert set(asked) == {*urls, BROKEN}
    assert workspace.store.images().empty
    assert page.evaluate("window.harmed") is None


def test_a_class_is_unticked_and_ticked_as_a_whole_page_or_not(
    serve: Serve, page: Page, workspace: Workspace, asked: list[str]
) -> None:
    found(workspace, "grizzly", *(f"{SITE}/{number}.jpg" for number in range(50)))
    opened(page, serve(workspace.root))
    tiles = unfold(page, "grizzly")
    page.get_by_role("button", name="Untick all").click()
    expect(page.locator("#collect-preview")).to_contain_text("50 found, 50 unticked", timeout=SOON)
    expect(page.locator("#collect-download")).to_be_disabled()
    page.locator("#collect-preview").get_by_role("button", name="Next").click()
    expect(page.locator("#collect-preview")).to_contain_text("page 2 of 2", timeout=SOON)
    expect_pressed(tiles, [False, False])
    page.get_by_role("button", name="Tick all", exact=True).click()
    expect(page.locator("#collect-download")).to_have_text("Download 50 pictures", timeout=SOON)
    assert waiting(workspace) == 50


def test_pictures_of_an_unsafe_search_are_blurred_until_pointed_at(
    serve: Serve, page: Page, workspace: Workspace, asked: list[str]
) -> None:
    found(workspace, "grizzly", f"{SITE}/0.jpg", f"{SITE}/1.jpg")
    workspace.store.set_fact(BLUR, True)
    opened(page, serve(workspace.root))
    tiles = unfold(page, "grizzly")
    page.mouse.move(0, 0)
    sharpness = "image => getComputedStyle(image).filter"
    picture = tiles.first.locator("img")
    page.wait_for_timeout(400)
    assert "blur" in picture.evaluate(sharpness)
    tiles.first.hover()
    page.wait_for_timeout(400)
    assert picture.evaluate(sharpness) == "none"
    assert "blur" in tiles.nth(1).locator("img").evaluate(sharpness)


def test_a_finger_uncovers_a_blurred_picture_before_it_unticks_it(
    serve: Serve, browser: Browser, workspace: Workspace
) -> None:
    found(workspace, "grizzly", f"{SITE}/0.jpg")
    workspace.store.set_fact(BLUR, True)
    context = browser.new_context(viewport=PHONE, has_touch=True)
    page = context.new_page()
    page.route(re.compile("^https://"), lambda route: route.fulfill(body=noise(1)))
    opened(page, serve(workspace.root))
    tiles = unfold(page, "grizzly")
    tiles.first.tap()
    expect(tiles.first).to_have_class(re.compile("seen"))
    expect_pressed(tiles, [True])
    tiles.first.tap()
    expect_pressed(tiles, [False])
    expect(page.locator("#collect-preview")).to_contain_text("1 unticked", timeout=SOON)
    context.close()


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_sent_with_its_class_folders(
    serve: Serve, page: Page, workspace: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "bears"
    for number, label in enumerate(("grizzly", "grizzly", "Bär & co")):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{number}.png").write_bytes(noise(number))
    (folder / "grizzly" / "notes.txt").write_text("not a picture")
    (folder / "grizzly" / "model").touch()
    (folder / "@eaDir").mkdir()
    (folder / "@eaDir" / "4.png").write_bytes(noise(4))
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "4.png").write_bytes(noise(4))
    opened(page, serve(workspace.root))
    expect(page.locator("#collect-folder")).to_contain_text("browsers leave out links and empty folders")
    page.locator("#collect-folder input[type=file]").set_input_files(folder)
    expect(page.locator("#collect-folder")).to_contain_text("7 files here. Press Import", timeout=SOON)
    page.locator("#collect-import").click()
    expect(page.locator("#collect-read .classes")).to_contain_text("Bär & co", timeout=LATER)
    for words in ("hidden files (1)", "previews and notes of a NAS (1)"):
        expect(page.locator("#collect-read")).to_contain_text(words)
    expect(page.locator("#collect-read .strip img")).to_have_count(3)
    taken(page)
    expect(page.locator("#job")).to_contain_text("3 pictures added", timeout=LATER)
    expect(page.locator("#collect-summary")).to_contain_text("Bär & co", timeout=SOON)
    expect(page.locator("#collect-folder")).not_to_contain_text("Press Import")
    assert sorted(workspace.store.images()["label"]) == ["Bär & co", "grizzly", "grizzly"]


def test_two_sources_at_once_are_refused_and_a_folder_can_be_forgotten(
    serve: Serve, page: Page, workspace: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "grizzly"
    folder.mkdir()
    (folder / "1.png").write_bytes(noise(1))
    opened(page, serve(workspace.root))
    page.locator("#collect-folder input[type=file]").set_input_files(folder)
    expect(page.locator("#collect-folder")).to_contain_text("1 file here", timeout=SOON)
    page.locator("#collect-path").locator("input, textarea").fill(str(folder))
    page.locator("#collect-import").click()
    told(page, "one thing at a time")
    page.locator("#collect-folder").get_by_role("button", name="Forget it").click()
    expect(page.locator("#collect-folder")).not_to_contain_text("1 file here", timeout=SOON)
    page.locator("#collect-path").locator("input, textarea").fill("")
    page.locator("#collect-import").click()
    told(page, "Choose files first")


# --- how it is read ---------------------------------------------------------------------------------------------------


def laid_out(root: Path, *places: str) -> Path:
    """A folder with a picture of its own at each place."""
    for number, place in enumerate(places):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(noise(number))
    return root


def test_how_a_folder_is_read_is_seen_corrected_and_answered_before_anything_is_stored(
    serve: Serve, page: Page, complaints: list[str], workspace: Workspace, tmp_path: Path
) -> None:
    leaves = laid_out(tmp_path / "leaves", *(f"train_images/{number}.png" for number in range(6)), "test_images/9.png")
    rows = [f"{number},{'rust' if number % 2 else HOSTILE},{'rare' if number < 2 else 'often'}" for number in range(6)]
    (leaves / "train.csv").write_text("\n".join(("image_id,label,seen", *rows)))
    opened(page, serve(workspace.root))
    read = page.locator("#collect-read")
    page.locator("#collect-path").locator("input, textarea").fill(str(leaves))
    page.locator("#collect-import").click()
    expect(read.locator(".layout")).to_contain_text("train.csv", timeout=LATER)
    expect(read.locator(".classes")).to_contain_text(HOSTILE)
    expect(read.locator(".none")).to_contain_text("without a class")
    expect(read.locator(".strip img")).to_have_count(7)
    assert page.evaluate("window.harmed") is None and page.locator("img[src='x']").count() == 0
    fits(page)
    read.locator("summary").click()
    read.locator("[data-column=label_column]").select_option("seen")
    read.get_by_role("button", name="Read it so").click()
    expect(read.locator(".classes")).to_contain_text("often", timeout=LATER)
    read.get_by_role("button", name="folders").click()
    expect(read.locator(".classes")).to_contain_text("train_images", timeout=LATER)
    reload(page, complaints)
    expect(read.locator(".classes")).to_contain_text("train_images", timeout=LATER)
    page.set_viewport_size(PHONE)
    fits(page)
    page.get_by_role("button", name="Not these").click()
    expect(page.locator("#collect-reading")).to_be_hidden(timeout=SOON)
    assert workspace.store.images().empty
    bears = laid_out(tmp_path / "bears", "grizzly/1.png", "grizzly/2.png", "black/3.png", "unknown/4.png")
    page.locator("#collect-path").locator("input, textarea").fill(str(bears))
    page.locator("#collect-import").click()
    question = read.locator(".question")
    expect(question).to_contain_text("unknown", timeout=LATER)
    question.get_by_text("a class of its own").click()
    taken(page)
    expect(page.locator("#job")).to_contain_text("4 pictures added", timeout=LATER)
    assert workspace.store.class_counts() == {"grizzly": 2, "black": 1, "unknown": 1}


# --- downloading ------------------------------------------------------------------------------------------------------


def test_how_downloads_ended_is_told_by_reason_and_hostile_text_stays_text(
    serve: Serve, page: Page, workspace: Workspace
) -> None:
    rows = [(f"https://site{number % 2}.example/{HOSTILE}{number}.jpg", HOSTILE) for number in range(5)]
    workspace.store.add_candidates({"url": url, "label": label, "provider": "x"} for url, label in rows)
    ended = {"status": "failed", "code": "http_error", "reason": f"It said {HOSTILE}.", "sha256": None, "again": 0}
    workspace.store.record_downloads([{"url": url, "label": label, **ended} for url, label in rows])
    opened(page, serve(workspace.root))
    outcome = page.locator("#collect-ended details")
    expect(outcome).to_have_count(1, timeout=SOON)
    expect(outcome.locator("summary")).to_have_text(re.compile(r"5\s*The site said no"))
    outcome.locator("summary").click()
    expect(outcome).to_contain_text("site0.example (3) · site1.example (2)")
    expect(outcome.locator("code").first).to_contain_text(f"{HOSTILE}0.jpg")
    assert page.evaluate("window.harmed") is None and page.locator("img[src='x']").count() == 0
    expect(page.locator("#collect-found")).to_be_hidden()


class _Slow(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(0.25)
        number = int(self.path.strip("/").split(".")[0])
        body = noise(number)
        self.send_response(404 if number % 5 == 0 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def slow_site() -> Iterator[str]:
    """A site with pictures (every fifth is missing) that takes its time; gives host and port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_pictures_and_outcomes_arrive_while_a_download_is_at_work(
    serve: Serve, page: Page, workspace: Workspace, slow_site: str
) -> None:
    found(workspace, "grizzly", *(f"http://{slow_site}/{number}.png" for number in range(60)))
    config = DownloadConfig(allow_hosts=(slow_site,), connections=1, per_host=1)
    job = jobs.start(workspace, download, config)
    opened(page, serve(workspace.root))
    expect(page.locator("#collect-pictures")).to_contain_text("Just arrived", timeout=SOON)
    expect(page.locator("#collect-ended")).to_contain_text("The site said no", timeout=SOON)
    first = page.locator("#collect-ended details").filter(has_text="Stored")
    first.locator("summary").click()
    before = first.locator("summary").inner_text()
    expect(first.locator("summary")).not_to_have_text(before, timeout=SOON)
    expect(first).to_have_attribute("open", "")
    assert jobs.get_job(workspace, job.id).active
    expect(page.locator("#job")).to_contain_text("48 pictures downloaded", timeout=LATER)
    expect(page.locator("#collect-pictures")).not_to_contain_text("Just arrived", timeout=SOON)
    expect(page.locator("#collect-summary")).to_contain_text("48")
    page.wait_for_timeout(2000)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.wait_for_timeout(3000)
    assert [url for url in requests if "heartbeat" not in url] == []


@pytest.mark.skipif(not NAUGHTY.is_file(), reason=f"there is no {NAUGHTY.name} beside the repository")
def test_classes_of_any_name_are_shown_as_they_are_and_do_nothing(
    serve: Serve, page: Page, workspace: Workspace, tmp_path: Path
) -> None:
    names = [name for name in json.loads(NAUGHTY.read_text(encoding="utf-8")) if name.strip()]
    rows = []
    for number, name in enumerate(names):
        (tmp_path / f"{number}.png").write_bytes(noise(number))
        rows.append((f"{number}.png", name))
    with (tmp_path / "pictures.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    assert len(run(import_images(workspace, ImportConfig(str(tmp_path / "pictures.csv")))).classes) == len(names)
    opened(page, serve(workspace.root))
    shown = page.locator("#collect-summary .w-bar-name")
    expect(shown).to_have_count(len(names), timeout=LATER)
    assert sorted(shown.evaluate_all("all => all.map(one => one.textContent)")) == sorted(map(clean_label, names))
    assert page.locator("#collect-summary").locator("img, script, a, iframe, svg").count() == 0
    assert page.evaluate("window.harmed") is None


# --- a data set of Hugging Face ---------------------------------------------------------------------------------------


def test_a_data_set_of_hugging_face_is_looked_at_and_taken(
    serve: Serve, page: Page, workspace: Workspace, hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hub.environment.items():
        monkeypatch.setenv(name, value)
    for split, start in (("train", 0), ("test", 8)):
        dataset(known(8, start)).to_parquet(tmp_path / f"{split}-00000-of-00001.parquet")
    files = {path.name: path.read_bytes() for path in tmp_path.glob("*.parquet")}
    hub.data.repos["ann/fish"] = DataRepo({"main": {**files, "README.md": b"---\nlicense: mit\n---\n# Fish"}})
    opened(page, serve(workspace.root))
    page.locator("#collect-hub-look").click()
    told(page, "Write the name of a data set first")
    page.locator("#collect-hub").locator("input, textarea").fill("ann/fish")
    page.locator("#collect-hub-look").click()
    reading = page.locator("#collect-reading")
    expect(reading).to_contain_text("How hf:ann/fish is read", timeout=LATER)
    expect(reading).to_contain_text("its card says the licence mit")
    expect(reading).to_contain_text("tench, Tinca tinca")
    fits(page)
    reading.get_by_role("button", name="Take these pictures").click()
    expect(page.locator("#collect-summary")).to_contain_text("16", timeout=LATER)
    assert set(workspace.store.images()["source_licence"]) == {"mit"}
