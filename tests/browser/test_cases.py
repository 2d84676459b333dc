"""What people have, given to the Collect tab: it shows the right classes and splits, says what it noticed, asks."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from pipeline.labels import in_words
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import Serve
from tests.browser.test_app_tabs import LATER, SOON, opened, taken, whole
from tests.collect.test_cases import CASES
from tests.support.cases import (
    ANY,
    ENCODINGS,
    Case,
    Link,
    Picture,
    contents,
    differences,
    lay,
    shows,
    stored,
    zipped_as,
)
from tests.support.sharing import Sample

pytestmark = [pytest.mark.browser, pytest.mark.slow]
APP = whole
OURS = {name: case for name, case in CASES.items() if "follow_links" not in case.options}
ROW = re.compile(r"(\d[\d,]*) (train|valid|test|without a split)")

# Said of the command line, and what the page says in its place.
ON_THE_PAGE = {"regex": "regular expression", "--follow-links": "are followed by a button below"}

Told = Counter[tuple[str, str]]


def shown(read: Locator) -> Told:
    """How many pictures of each class have each split, as it stands on the page."""
    told: Told = Counter()
    for row in read.locator(".classes > li").all():
        name = row.locator(".name").inner_text()
        total, *splits = row.locator(".words .quiet").all_inner_texts()
        parts = ROW.findall("".join(splits)) or [(total, "without a split")]
        told.update({(name, split): int(number.replace(",", "")) for number, split in parts})
    return told


def right(case: Case) -> Told | None:
    """What has to stand there; None where several readings are right."""
    told: Told = Counter()
    files = contents(case.tree)
    pictures = {name: thing for name, thing in case.tree.items() if isinstance(thing, Picture)}
    if len({files[name] for name in pictures}) < len(pictures):
        return None  # of the same bytes twice it depends on which is read first
    if any(Path(name).suffix.lower() in ENCODINGS and name not in pictures for name in files):
        return None  # what is damaged is brought in, so that Verify says so
    for thing in pictures.values():
        if not thing.taken:
            continue
        if ANY in thing.labels or ANY in thing.splits or len(thing.labels) > 1 or len(thing.splits) > 1:
            return None
        [label], [split] = thing.labels, thing.splits
        told[(in_words(label) if label else "without a class", split or "without a split")] += 1
    return told


def by_path(case: Case) -> bool:
    """What a browser does not send, and sources that are not the whole folder, are named by their path."""
    return case.source != "." or any(thing is None or isinstance(thing, Link) for thing in case.tree.values())


def give(page: Page, folder: Path, case: Case) -> None:
    """Choose the folder, or type its path, and press Import."""
    path = page.locator("#collect-path").locator("input, textarea")
    if by_path(case):
        path.fill(str(folder / case.source))
    else:
        path.fill("")
        page.locator("#collect-folder input[type=file]").set_input_files(folder)
        expect(page.locator("#collect-folder")).to_contain_text("Press Import", timeout=SOON)
    page.locator("#collect-import").click()
    read = page.locator("#collect-read")
    expect(read.locator(".layout")).to_be_visible(timeout=LATER)
    if case.options:
        before = read.locator("h3").element_handle()
        read.locator("details summary").first.click()
        for name, column in case.options.items():
            read.locator(f"[data-column={name}]").select_option(str(column))
        read.get_by_role("button", name="Read it so").click()
        assert before is not None
        before.wait_for_element_state("hidden", timeout=LATER)
        expect(read.locator(".layout")).to_be_visible(timeout=LATER)


def wrong(page: Page, case: Case) -> list[str]:
    """All that is not right of what the page shows."""
    read = page.locator("#collect-read")
    text, expected = read.inner_text().lower(), right(case)
    found = [
        f"nothing is said of {words!r} in: {text}"
        for words in case.says
        if ON_THE_PAGE.get(words, words).lower() not in text
    ]
    if expected is not None and shown(read) != expected:
        found.append(f"shows {dict(shown(read))}, right: {dict(expected)}")
    if re.search(r"(^|\s)--[a-z]", text):
        found.append(f"speaks of the command line: {text}")
    if case.asks and not read.locator(".question").count():
        found.append(f"nothing is asked in: {text}")
    return found


def test_it_is_shown_as_it_is_meant(
    serve: Serve, page: Page, workspace: Workspace, tmp_path: Path, sampled: Sample
) -> None:
    opened(page, serve(workspace.root))
    found: dict[str, list[str]] = {}
    for number, name in enumerate(sampled.of(OURS)):
        give(page, lay(tmp_path / str(number) / "source", OURS[name].tree), OURS[name])
        if problems := wrong(page, OURS[name]):
            found[name] = problems
        page.locator("#collect-read").get_by_role("button", name="Not these").click()
        expect(page.locator("#collect-reading")).to_be_hidden(timeout=SOON)
    assert found == {}
    assert workspace.store.images().empty


def test_names_of_a_zip_of_another_country_are_shown_right(
    serve: Serve, page: Page, workspace: Workspace, tmp_path: Path
) -> None:
    tree = {f"{label}/{number}.jpg": shows(label) for label in ("猫", "犬表") for number in range(2)}
    opened(page, serve(workspace.root))
    packed = zipped_as(tmp_path / "pictures.zip", tree, "cp932")
    page.locator("#collect-files input[type=file]").first.set_input_files(packed)
    expect(page.locator("#collect-files").get_by_role("link")).to_have_count(1, timeout=SOON)
    page.locator("#collect-import").click()
    expect(page.locator("#collect-read .layout")).to_be_visible(timeout=LATER)
    assert wrong(page, Case(tree, says=("Shift-JIS",))) == []
    taken(page)
    expect(page.locator("#job")).to_contain_text("pictures added", timeout=LATER)
    assert differences(stored(workspace), tree) == {}


def test_what_was_shown_is_what_is_taken(serve: Serve, page: Page, workspace: Workspace, tmp_path: Path) -> None:
    case = CASES["Intel scenes: seg_train/seg_train, and seg_pred without classes"]
    opened(page, serve(workspace.root))
    give(page, lay(tmp_path / "source", case.tree), case)
    taken(page)
    expect(page.locator("#job")).to_contain_text("pictures added", timeout=LATER)
    assert differences(stored(workspace), case.tree) == {}
