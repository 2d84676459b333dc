"""The Predict tab in Chromium, at two sizes: upload, paste, an address, where it looked, the nearest, many to CSV."""

from __future__ import annotations

import base64
import csv
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from pipeline.ask.one import Models
from pipeline.predict import read_info
from pipeline.tabs.door.serve import Door, launch_settings
from pipeline.tabs.page.shared import draw_shared
from pipeline.tabs.predict import tab as predict
from pipeline.web.fetch import Client
from pipeline.workspace.runs import load_run, write_info
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import PHONE, Serve, tabs
from tests.browser.test_app_tabs import HOSTILE, LATER, SOON, fits_everywhere, tab, told
from tests.support.site import Site, reply

pytestmark = pytest.mark.browser
ON_A_PHONE = pytest.mark.parametrize("viewport", [PHONE], indirect=True, ids=["phone"])
APP = tabs(("Predict", predict.build))
PASTE = """async (data) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    await navigator.clipboard.write([new ClipboardItem({'image/png': new Blob([bytes], {type: 'image/png'})})]);
}"""


@pytest.fixture
def with_site(trained: Workspace, site: Site) -> Iterator[str]:
    """The tab alone, allowed to ask the stand-in of a web site; its address."""
    with gr.Blocks(analytics_enabled=False) as demo:
        shared = draw_shared(trained.root, local=True)
        with shared.tabs, gr.Tab("Predict", id="predict", elem_id="tab-predict") as part:
            predict.build(part, shared, partial(Client, allow_hosts=(site.host,)))
        shared.wire(demo)
    yield str(demo.launch(server_name="127.0.0.1", prevent_thread_lock=True, **launch_settings(Door()))[1])
    demo.close(verbose=False)


def upload(page: Page, file: Path) -> None:
    page.locator("#predict-image input[type=file]").set_input_files(file)


def answer(page: Page, words: str) -> None:
    expect(page.locator("#predict-answer h2")).to_contain_text(words, timeout=LATER)


@ON_A_PHONE
def test_an_upload_is_answered_looked_at_and_compared(
    serve: Serve, page: Page, trained: Workspace, starter_folder: Path
) -> None:
    page.goto(serve(trained.root))
    tab(page, "Predict")
    upload(page, sorted((starter_folder / "apple").iterdir())[-1])
    answer(page, "apple")
    expect(page.locator("#predict-warning")).to_contain_text("of the way to the limit")
    closer = page.locator("#predict-closer")
    expect(closer.locator(".tile")).to_have_count(6, timeout=SOON)
    closer.locator(".look").click()
    expect(closer.locator(".heat")).to_be_visible(timeout=SOON)
    expect(closer.locator(".told")).to_contain_text("when it said apple")
    assert closer.locator(".heat").evaluate("(picture) => picture.complete && picture.naturalWidth > 0")
    fits_everywhere(page)
    closer.locator(".look").click()
    expect(closer.locator(".heat")).to_have_count(0)
    closer.locator(".tile").first.click()
    expect(page.locator("#predict-viewer dialog")).to_contain_text("a picture it learnt from", timeout=SOON)
    page.keyboard.press("Escape")
    page.locator("#predict-tta input").click()
    expect(page.locator("#predict-warning")).to_contain_text("views: as it is", timeout=SOON)
    page.get_by_label("Remove Image").first.click()
    expect(closer.locator(".tile")).to_have_count(0, timeout=SOON)


def test_a_strange_picture_is_called_unfamiliar(
    serve: Serve, page: Page, trained: Workspace, starter_folder: Path
) -> None:
    folder = load_run(trained).folder
    info = read_info(folder)
    del info["checksum"]
    write_info(folder, {**info, "unfamiliar": {**info["unfamiliar"], "threshold": info["unfamiliar"]["threshold"] / 9}})
    page.goto(serve(trained.root))
    tab(page, "Predict")
    upload(page, sorted((starter_folder / "pear").iterdir())[-1])
    answer(page, "Unfamiliar")
    expect(page.locator("#predict-warning .w-warn")).to_contain_text("times the limit")


def test_a_picture_is_pasted(
    serve: Serve, page: Page, trained: Workspace, starter_folder: Path, tmp_path: Path
) -> None:
    melon = tmp_path / "melon.png"
    Image.open(sorted((starter_folder / "melon").iterdir())[-1]).save(melon)
    page.goto(serve(trained.root))
    tab(page, "Predict")
    page.evaluate(PASTE, base64.b64encode(melon.read_bytes()).decode())
    page.get_by_label("Paste from clipboard").first.click()
    answer(page, "melon")


@ON_A_PHONE
def test_a_picture_is_fetched_by_its_address_and_internal_hosts_are_refused(
    with_site: str, page: Page, site: Site, starter_folder: Path, complaints: list[str]
) -> None:
    site.pages["/pear"] = reply(
        sorted((starter_folder / "pear").iterdir())[-1].read_bytes(), "Content-Type: image/jpeg"
    )
    page.goto(with_site)
    field = page.locator("#predict-url input, #predict-url textarea")
    field.fill(f"http://{site.host}/pear")
    field.press("Enter")
    answer(page, "pear")
    expect(page.locator("#predict-image img").first).to_be_visible(timeout=SOON)
    expect(page.locator("#predict-closer .tile")).to_have_count(6, timeout=SOON)
    asked = dict(site.hits)
    for address, words in (
        ("http://127.0.0.1:1/", "cannot be fetched"),
        ("http://169.254.169.254/latest/meta-data", "cannot be fetched"),
        ("file:///etc/passwd", "no link to a picture"),
        (HOSTILE, "no link to a picture"),
    ):
        field.fill(address)
        field.press("Enter")
        told(page, words)
    assert site.hits == asked
    complaints.clear()


def test_an_answer_about_a_picture_that_was_taken_away_does_not_stay(
    with_site: str, page: Page, starter_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on, said = Event(), Event(), Event()
    ask = Models.answer

    def slowly(*arguments: Any) -> Any:
        asked.set()
        assert go_on.wait(60)
        try:
            return ask(*arguments)
        finally:
            said.set()

    monkeypatch.setattr(Models, "answer", slowly)
    page.goto(with_site)
    upload(page, sorted((starter_folder / "pear").iterdir())[-1])
    assert asked.wait(60)
    page.get_by_label("Remove Image").first.click()
    go_on.set()
    assert said.wait(60)
    page.wait_for_timeout(1500)
    expect(page.locator("#predict-answer h2")).to_have_count(0)
    expect(page.locator("#predict-warning .w-hint")).to_have_count(0)
    expect(page.locator("#predict-closer .tile")).to_have_count(0)
    upload(page, sorted((starter_folder / "apple").iterdir())[-1])
    answer(page, "apple")


@ON_A_PHONE
def test_a_folder_becomes_a_table_and_a_csv_file(
    serve: Serve, page: Page, trained: Workspace, starter_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "asked"
    folder.mkdir()
    for file in sorted((starter_folder / "melon").iterdir())[:3]:
        shutil.copy(file, folder / file.name)
    (folder / "=1+1.jpg").write_bytes(b"<html>")
    page.goto(serve(trained.root))
    tab(page, "Predict")
    page.locator("#predict-start").click()
    told(page, "Choose pictures or a folder first")
    page.locator("#predict-folder input[type=file]").set_input_files(folder)
    expect(page.locator("#predict-folder .told")).to_have_text("4 files here.", timeout=SOON)
    page.locator("#predict-start").click()
    rows = page.locator("#predict-table tbody tr")
    expect(rows).to_have_count(4, timeout=LATER)
    expect(rows.first).to_contain_text("It is a web page, not a picture.")
    expect(rows.nth(1)).to_contain_text("melon")
    expect(rows.nth(1).locator("img")).to_be_visible()
    fits_everywhere(page)
    with page.expect_download(timeout=SOON) as download:
        page.locator("#predict-csv").click()
    saved = tmp_path / "saved.csv"
    download.value.save_as(saved)
    with saved.open(encoding="utf-8-sig", newline="") as file_:
        table = list(csv.DictReader(file_))
    assert table[0]["file"] == "asked/=1+1.jpg" and table[0]["remark"] == "It is a web page, not a picture."
    assert [row["label"] for row in table[1:]] == ["melon"] * 3 and set(table[0]) >= {"p:apple", "distance"}


def test_several_files_and_hostile_names_are_shown_as_text(
    serve: Serve, page: Page, trained: Workspace, starter_folder: Path, tmp_path: Path
) -> None:
    apple = sorted((starter_folder / "apple").iterdir())[0]
    hostile = shutil.copy(apple, tmp_path / f"{HOSTILE.replace('/', '')}.jpg")
    page.goto(serve(trained.root))
    tab(page, "Predict")
    page.locator("#predict-files input[type=file]").set_input_files([apple, hostile])
    expect(page.locator("#predict-files")).to_contain_text(apple.name[:4], timeout=SOON)
    page.locator("#predict-start").click()
    expect(page.locator("#predict-table tbody tr")).to_have_count(2, timeout=LATER)
    assert page.evaluate("window.harmed") is None
