"""The exported static Space in Chromium: Python's answers, nothing leaves the machine, what is hostile is refused."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import httpx2
import psutil
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from pipeline.deploy.export import ExportConfig, Exported, export
from pipeline.deploy.space import GOLDEN, PAGE, web_runtime, write_golden, write_page
from pipeline.deploy.trial import ask_page, served, try_page
from pipeline.errors import DeployError, ExportError
from pipeline.predict import NONE, ONNX, OnnxClassifier, checksum
from pipeline.stage import run
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import DESKTOP, PHONE
from tests.support.paths import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LATER = 60_000
READY = "Ready. The answer appears here."


@dataclass(frozen=True)
class Site:
    """A static Space that is served."""

    folder: Path
    url: str
    classifier: OnnxClassifier


@pytest.fixture(scope="module")
def runtime() -> Path:
    try:
        return web_runtime()
    except ExportError as error:
        pytest.skip(f"onnxruntime-web is not here: {error}")


@pytest.fixture(scope="module")
def exported(runtime: Path, tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("static") / "space"
    workspace = Workspace.open(tiny_run.folder.parents[1])
    return run(export(workspace, ExportConfig(tiny_run.id, str(folder), space=True, kind="static")))


@pytest.fixture(scope="module")
def space(exported: Exported) -> Iterator[Site]:
    folder = Path(exported.folder)
    with served(folder) as url:
        yield Site(folder, url, OnnxClassifier.load(folder))


@pytest.fixture
def copy(exported: Exported, tmp_path: Path) -> Path:
    """One of one's own."""
    return Path(shutil.copytree(exported.folder, tmp_path / "space"))


def opened(page: Page, url: str) -> Page:
    page.goto(f"{url}/{PAGE}")
    expect(page.locator("#status")).to_have_text(READY, timeout=LATER)
    return page


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def given(page: Page, data: bytes, name: str = "picture.png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": data})


def expect_answer(page: Page, site: Site, data: bytes) -> None:
    expected = site.classifier.predict([data])[0]
    label = "Unfamiliar" if expected.unfamiliar else expected.label
    expect(page.locator("#label")).to_have_text(label, timeout=LATER)
    best = max(expected.probabilities, key=expected.probabilities.__getitem__)
    first = page.locator("#bars li").first
    expect(first).to_contain_text(best)
    expect(first).to_contain_text(f"{100 * expected.probabilities[best]:.1f} %")
    expect(page.locator("#unfamiliar")).to_be_visible(visible=expected.unfamiliar)


# --- the answers -----------------------------------------------------------------------------------------------------


def test_the_folder_holds_the_page_and_no_weights_for_torch(exported: Exported) -> None:
    assert {PAGE, ONNX, "README.md", "config.json", f"examples/{GOLDEN}"} <= set(exported.files)
    assert "model.safetensors" not in exported.files and "predict.py" not in exported.files
    assert exported.parity["max_difference"] <= 1e-4 and exported.parity["images"] == 18
    front = (Path(exported.folder) / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert "sdk: static" in front and f"app_file: {PAGE}" in front and "$" not in front
    assert "onnxruntime" in (Path(exported.folder) / "onnxruntime-LICENSE.txt").read_text(encoding="utf-8")


def test_the_trial_finds_the_answers_of_python(exported: Exported, chromium_path: Path) -> None:
    tried = try_page(Path(exported.folder), chromium_path)
    assert tried.images == 3 and tried.same_top and tried.max_difference < 1e-4


def test_it_answers_as_python_does_about_pictures_it_never_saw(
    copy: Path,
    chromium_path: Path,
    tiny_run: Run,
) -> None:
    workspace = Workspace.open(tiny_run.folder.parents[1])
    rows = tiny_run.predictions()
    rows = rows[rows["split"] != "train"].merge(workspace.store.images()[["id", "file"]], on="id")
    pictures = []
    for number, file in enumerate(rows["file"]):
        pictures.append(copy / "examples" / f"{number}.jpg")
        shutil.copy(workspace.image_file(str(file)), pictures[-1])
    write_golden(copy, OnnxClassifier.load(copy).info, pictures)
    tried = try_page(copy, chromium_path)
    assert tried.images == len(rows) >= 15 and tried.same_top and tried.max_difference < 1e-3


def test_a_changed_model_is_refused(copy: Path, chromium_path: Path) -> None:
    data = bytearray((copy / ONNX).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / ONNX).write_bytes(data)
    with pytest.raises(DeployError, match=r"model\.onnx is not as it was exported"):
        ask_page(copy, chromium_path)
    with pytest.raises(DeployError, match="Export it again"):
        try_page(copy, chromium_path)


def test_without_a_browser_or_a_page_it_says_so(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="could not show the page"):
        ask_page(copy, tmp_path / "no browser")
    (copy / PAGE).write_text("<p>something else</p>", encoding="utf-8")
    with pytest.raises(DeployError, match="no static Space"):
        try_page(tmp_path)


@pytest.mark.parametrize("says", [None, "{", "[]", "{}", '"words"'])
def test_a_page_that_says_nothing_of_use_is_told(
    says: str | None, copy: Path, chromium_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of an earlier export, which sent nothing, too."""
    monkeypatch.setattr("pipeline.deploy.trial.PAGE_SECONDS", 2 if says is None else 120)
    sends = f"<script>fetch('answers', {{method: 'POST', body: {json.dumps(says)}}})</script>"
    (copy / PAGE).write_text("<p>old</p>" if says is None else sends, encoding="utf-8")
    with pytest.raises(DeployError, match=r"The page gave no answer in .* Export it again"):
        ask_page(copy, chromium_path)
    assert not [
        one for one in psutil.Process().children(recursive=True) if "winnow-browser-" in " ".join(one.cmdline())
    ]


def test_a_browser_that_ends_is_told(copy: Path) -> None:
    with pytest.raises(DeployError, match="ended before the page had answered"):
        ask_page(copy, Path(sys.executable))  # which knows none of a browser's words


def test_only_what_a_tested_page_says_is_taken(copy: Path) -> None:
    said: Queue[bytes] = Queue()
    with served(copy, said) as url:
        assert httpx2.post(f"{url}/answers", content=b"[1]").status_code == 204 and said.get(timeout=9) == b"[1]"
        assert httpx2.post(f"{url}/other", content=b"x").status_code == 404
        assert httpx2.post(f"{url}/answers", content=iter([b"x"])).status_code == 404  # of no told length
    with served(copy) as url:
        assert httpx2.post(f"{url}/answers", content=b"x").status_code == 404
    assert said.empty()


def test_the_page_of_the_documentation_answers_too(copy: Path, page: Page, space: Site) -> None:
    documentation = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    shown = documentation.partition("```html\n")[2].partition("```")[0]
    (copy / "own.html").write_text(f"<link rel=icon href=data:,>{shown}", encoding="utf-8")
    data = (copy / "examples" / "01.jpg").read_bytes()
    with served(copy) as url:
        page.goto(f"{url}/own.html")
        given(page, data)
        expect(page.locator("#said")).not_to_be_empty(timeout=LATER)
        said = [float(number) for number in page.locator("#said").inner_text().split()]
    assert said == pytest.approx(list(space.classifier.predict([data])[0].probabilities.values()), abs=1e-3)


# --- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], indirect=True, ids=["desktop", "phone"])
def test_a_visitor_tries_an_example_and_a_file(page: Page, space: Site) -> None:
    opened(page, space.url)
    expect(page.locator("h1")).to_have_text("Apple, melon or pear?")
    expect(page.locator("main")).to_contain_text("never leaves your device")
    page.locator("#thumbnails button").nth(1).click()
    expect_answer(page, space, (space.folder / "examples" / "02.jpg").read_bytes())
    expect(page.locator("#shown")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    with Image.open(space.folder / "examples" / "03.jpg") as example:
        turned = Image.Exif()
        turned[0x0112] = 6
        sideways = encoded(example, "JPEG", exif=turned, quality=95)
        clear = example.convert("RGBA")
    given(page, sideways)
    expect_answer(page, space, sideways)
    clear.putalpha(Image.new("L", clear.size, 0))
    given(page, encoded(clear))
    expect_answer(page, space, encoded(clear))
    frames = [Image.new("RGB", (50, 40), colour) for colour in ("red", "blue")]
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    given(page, animated)
    expect_answer(page, space, animated)


def test_a_picture_is_pasted_and_dropped(page: Page, space: Site) -> None:
    opened(page, space.url)
    data = (space.folder / "examples" / "01.jpg").read_bytes()
    send = """([kind, bytes]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "x.jpg", {type: "image/jpeg"}));
        const options = {bubbles: true, cancelable: true};
        document.body.dispatchEvent(kind === "paste"
            ? new ClipboardEvent("paste", {...options, clipboardData: transfer})
            : new DragEvent("drop", {...options, dataTransfer: transfer}));
    }"""
    for kind in ("paste", "drop"):
        page.evaluate(send, [kind, list(data)])
        expect_answer(page, space, data)
        given(page, b"", "nothing.png")
        expect(page.locator("#answer")).to_be_hidden()
    expect(page.locator("#trouble")).to_have_text("This picture cannot be used. The file is empty.")


def _huge() -> bytes:
    """A PNG that says it has 60000 x 60000 pixels."""
    data = bytearray(encoded(Image.new("RGB", (8, 8))))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda whole: whole[: len(whole) // 2], "damaged or cut off"),
        (lambda whole: b"\xff\xd8\xff" + bytes(range(256)) * 4, "cannot read it"),
        (lambda whole: _huge(), "cannot read|limit is 50 megapixels"),
        (lambda whole: encoded(Image.new("L", (8000, 6500))), "8000 x 6500 pixels; the limit is 50 megapixels"),
        (lambda whole: b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "web page or a drawing"),
        (lambda whole: b"\xef\xbb\xbf\n<!doctype html><img src=x onerror=alert(1)>", "web page or a drawing"),
    ],
    ids=["half", "noise", "huge header", "52 megapixels", "svg", "html"],
)
def test_what_is_no_picture_is_refused_in_words(
    data: Callable[[bytes], bytes], reason: str, page: Page, space: Site
) -> None:
    opened(page, space.url)
    whole = (space.folder / "examples" / "01.jpg").read_bytes()
    given(page, data(whole), "<b>name</b>.jpg")
    expect(page.locator("#trouble")).to_have_text(re.compile(f"This picture cannot be used.*({reason})"), timeout=LATER)
    given(page, whole)
    expect_answer(page, space, whole)
    expect(page.locator("#trouble")).to_be_hidden()


def test_the_last_of_two_pictures_is_answered(page: Page, space: Site) -> None:
    page.goto(f"{space.url}/{PAGE}")
    first, last = ((space.folder / "examples" / f"0{number}.jpg").read_bytes() for number in (1, 3))
    given(page, first)
    given(page, last)
    expect_answer(page, space, last)


def test_names_with_markup_are_text_and_nothing_is_none_of_these(
    copy: Path, page: Page, runtime: Path, complaints: list[str]
) -> None:
    info = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    names = ["<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "Büffel 🐃 ${settings} $title"]
    info["label_names"] = names
    info["outputs"] = {"kind": "sigmoid", "several": True, "thresholds": [0.0, 0.0, 0.0], "temperature": 1.0}
    info["checksum"] = checksum(info)
    (copy / "config.json").write_text(json.dumps(info), encoding="utf-8")
    with served(copy) as url:
        write_page(copy, info, f"{names[1]} or {names[0]}?", runtime)
        opened(page, url)
        assert page.title() == page.locator("h1").text_content() == f"{names[1]} or {names[0]}?"
        page.locator("#thumbnails button").first.click()
        expect(page.locator("#label")).to_have_text(", ".join(names), timeout=LATER)
        assert sorted(page.locator("#bars li span:first-child").all_text_contents()) == sorted(names)
        info["outputs"]["thresholds"] = [1.1, 1.1, 1.1]
        write_page(copy, info, "Nothing?", runtime)
        opened(page, url)
        page.locator("#thumbnails button").first.click()
        expect(page.locator("#label")).to_have_text(NONE, timeout=LATER)
    assert complaints == []
