"""The Review tab in Chromium: every number leads to its images, and every image opens with its story."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from cleaner.clean.decisions import relabel, undo
from cleaner.tabs.review import tab as review
from pipeline.workspace.runs import FEATURE_IDS, FEATURES, PREDICTIONS, Run, load_run, write_record
from pipeline.workspace.store import NewImage
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import DESKTOP, PHONE, Apps, tabs
from tests.support.shelf import CLASSES

pytestmark = pytest.mark.browser

# Half of the tests go this way; what is shown is measured at both sizes in each.
ON_A_PHONE = pytest.mark.parametrize("viewport", [PHONE], indirect=True, ids=["phone"])
HOSTILE = "<img src=x onerror=window.harmed=1>${window.harmed=2}"


TAB = tabs(("Review", review.build))


@dataclass(frozen=True)
class Made:
    """``valid``: the judged images of the valid split, by id: label, predicted, probability."""

    address: str
    workspace: Workspace
    valid: pd.DataFrame

    def wrong(self, **where: str) -> int:
        rows = self.valid
        for column, value in where.items():
            rows = rows[rows[column] == value]
        return int((rows["label"] != rows["predicted"]).sum())


def invented(table: pd.DataFrame) -> pd.DataFrame:
    """The predictions with every third answer wrong with 70 %, the others right with 95 and 55 % in turn."""
    for row in range(len(table)):
        label = CLASSES.index(str(table.at[row, "label"]))
        sure = (0.7, 0.95, 0.55)[row % 3]
        answer = (label + (row % 3 == 0)) % 3
        odds = np.full(3, (1 - sure) / 2)
        odds[answer] = sure
        table.loc[row, ["predicted", "probability", "loss"]] = [CLASSES[answer], sure, float(-np.log(odds[label]))]
        table.loc[row, [f"p:{name}" for name in CLASSES]] = odds
    return table


@pytest.fixture
def made(trained: Workspace, apps: Apps) -> Made:
    """A workspace of one's own."""
    return _made(trained, apps)


@pytest.fixture(scope="module")
def shown(tiny_run: Run, apps: Apps, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The workspace of those who only look."""
    root = tmp_path_factory.mktemp("review") / "shown"
    shutil.copytree(tiny_run.folder.parents[1], root, ignore=shutil.ignore_patterns("cache"))
    return _made(Workspace.open(root), apps)


@pytest.fixture
def looked_at(still: Page, shown: Made) -> Page:
    """The tab, loaded once for all who only look, as the one before left it."""
    if still.url == "about:blank":
        opened(still, shown)
    return still


def _made(trained: Workspace, apps: Apps) -> Made:
    run = load_run(trained)
    table = invented(run.predictions())
    table.to_csv(run.folder / PREDICTIONS, index=False)
    np.save(run.folder / FEATURES, np.random.default_rng(0).normal(size=(len(table), 8)).astype(np.float16))
    (run.folder / FEATURE_IDS).write_text("\n".join(table["id"]) + "\n", encoding="utf-8")
    write_record(run.folder, run.record)
    valid = table[table["split"] == "valid"].set_index("id")
    web = [
        NewImage(image, "f", 1, None, "openverse", f"https://x/{image}.jpg", "https://x/p", query=HOSTILE)
        for image in valid.index[:4]
    ]
    trained.store.add_images(web)
    return Made(apps.on(trained.root, TAB), trained, valid)


def opened(page: Page, made: Made, dark: bool = False) -> None:
    page.goto(made.address + ("?__theme=dark" if dark else "?__theme=light"))
    page.get_by_role("tab", name="Review").click()
    expect(page.locator("#review-matrix td button").first).to_be_visible(timeout=20_000)


def unfold(page: Page, title: str) -> None:
    page.get_by_role("button", name=title).click()


def fits(page: Page) -> None:
    """At both sizes (the window keeps a telephone's): nothing overflows sideways, and what is to be touched is large
    enough; foreign text stays text.
    """
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        page.wait_for_timeout(100)
        _fits(page)


def _fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    small = page.evaluate(
        """() => [...document.querySelectorAll('#tabs button')].filter(b => b.offsetParent && !b.disabled &&
            b.getBoundingClientRect().height < 40).map(b => b.outerHTML.slice(0, 90))"""
    )
    assert small == []
    assert page.evaluate("window.harmed") is None and page.locator("img[src='x']").count() == 0


def titled(page: Page, title: str, cards: int) -> None:
    expect(page.locator("#review-images .title")).to_have_text(f"{title}: {cards} image{'s' * (cards != 1)}")
    expect(page.locator("#review-images .card")).to_have_count(min(cards, 12))


def test_the_margins_of_the_matrix_show_what_was_answered_wrongly(looked_at: Page, shown: Made) -> None:
    page = looked_at
    edge = page.locator("#review-matrix button.margin")
    wrong = shown.wrong(label="apple")
    assert wrong
    expect(edge.first).to_have_text(f"{wrong}/ {int((shown.valid['label'] == 'apple').sum())}")
    edge.first.click()
    titled(page, "apple, answered wrongly", wrong)
    edge.nth(3).click()
    titled(page, "Wrongly taken for apple", shown.wrong(predicted="apple"))
    edge.last.click()
    titled(page, "Answered wrongly", shown.wrong())
    fits(page)


@ON_A_PHONE
def test_the_cells_show_shares_of_their_row_and_counts_again(looked_at: Page, shown: Made) -> None:
    page = looked_at
    first = page.locator("#review-matrix td button").first
    of_class = shown.valid[shown.valid["label"] == "apple"]["predicted"]
    right = int((of_class == "apple").sum())
    expect(first).to_have_text(str(right))
    page.locator("#review-matrix [data-way=shares]").click()
    expect(first).to_have_text(f"{100 * right / len(of_class):.0f}%")
    first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    titled(page, "apple, answered wrongly", shown.wrong(label="apple"))
    page.locator("#review-matrix [data-way=counts]").click()
    expect(first).to_have_text(str(right))


def test_a_class_shows_its_images_and_a_header_sorts(looked_at: Page, shown: Made) -> None:
    page = looked_at
    table = page.locator("#review-classes")
    table.locator("thead button", has_text="class").click()
    expect(table.locator("tbody th").first).to_have_text("apple")
    table.locator("thead button", has_text="class").click()
    expect(table.locator("tbody th").first).to_have_text("pear")
    expect(table.locator("thead th").first).to_have_attribute("aria-sort", "descending")
    table.locator("tbody tr").last.locator("th button").click()
    titled(page, "apple", int((shown.valid["label"] == "apple").sum()))
    table.locator("tbody tr").last.locator("td button").nth(2).click()
    titled(page, "Called apple", int((shown.valid["predicted"] == "apple").sum()))
    fits(page)


@ON_A_PHONE
def test_a_bin_of_the_reliability_curve_shows_its_images(looked_at: Page, shown: Made) -> None:
    page = looked_at
    unfold(page, "How sure it is")
    expect(page.locator("#review-calibration p").first).to_contain_text("Expected calibration error")
    assert "came true" in str(page.locator("#review-calibration svg").get_attribute("aria-label"))
    page.locator("#review-calibration .act").first.click()
    sure = shown.valid["probability"]
    titled(page, "Said with 90 to 100%", int((sure >= 0.9).sum()))
    page.locator("#review-calibration g[data-bin='5'] .area").click()
    titled(page, "Said with 50 to 60%", int(((sure >= 0.5) & (sure < 0.6)).sum()))
    fits(page)


def test_a_slice_shows_its_images_and_hostile_words_stay_words(looked_at: Page, shown: Made) -> None:
    page = looked_at
    unfold(page, "Where errors are")
    page.locator("#review-slices button[data-name=openverse]").click()
    titled(page, "Source openverse", 4)
    page.locator("#review-slices button[data-kind=query]").click()
    titled(page, f"Searched for {HOSTILE}", 4)
    fits(page)


@ON_A_PHONE
def test_the_least_sure_come_first_when_asked_for(looked_at: Page, shown: Made) -> None:
    page = looked_at
    grid = page.locator("#review-top-losses")
    expect(grid.locator(".card").first).to_contain_text("loss 1.90")
    expect(grid.locator(".card:not(:has(.wrong))").first).to_contain_text("right, but unsure")
    expect(grid.locator(".card:has(.wrong)", has_text="right, but unsure")).to_have_count(0)
    grid.locator("[data-way=unsure]").click()
    expect(grid.locator(".card").first).to_contain_text("margin 33%")
    expect(grid.locator("[data-way=unsure]")).to_have_attribute("aria-pressed", "true")
    grid.locator("[data-way=worst]").click()
    expect(grid.locator(".card").first).to_contain_text("loss 1.90")


def test_where_the_network_looked_lies_over_the_picture(looked_at: Page) -> None:
    page = looked_at
    page.locator("#review-top-losses .card").first.click()
    viewer = page.locator("#review-viewer")
    expect(viewer.locator("img.large")).to_be_visible()
    expect(viewer.locator("img.heat")).to_have_count(0)
    viewer.locator(".look").click()
    expect(viewer.locator("img.heat")).to_be_visible(timeout=60_000)
    expect(viewer.locator(".told")).to_contain_text("Grad-CAM")
    page.wait_for_function("[...document.querySelectorAll('#review-viewer .frame img')].every(i => i.naturalWidth > 0)")
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)
        page.wait_for_timeout(100)
        boxes = [viewer.locator(f"img.{name}").bounding_box() for name in ("large", "heat")]
        assert boxes[0] == pytest.approx(boxes[1], abs=1)
    viewer.locator(".look").click()
    expect(viewer.locator("img.heat")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(viewer.locator("dialog")).to_be_hidden()


@ON_A_PHONE
def test_an_image_tells_its_story_and_one_walks_to_its_neighbours_and_back(page: Page, made: Made) -> None:
    first = str(made.valid.sort_values("loss", ascending=False, kind="stable").index[0])
    label = made.valid.at[first, "label"]
    relabel(made.workspace, first, "pear" if label != "pear" else "melon")
    undo(made.workspace)
    opened(page, made, dark=True)
    page.locator(f'#review-top-losses .card[data-id="{first}"]').click()
    dialog = page.locator("#review-viewer dialog")
    for title in ("Where it came from", "Its labels", "What each run said", "Most like it, to this run"):
        expect(dialog.locator("h4", has_text=title)).to_be_attached()
    expect(dialog.locator(".story s")).to_contain_text("relabelled")
    expect(dialog.locator(".story .current .wrong")).to_have_text("wrong")
    shown, slow = dialog.locator(".below > p").last, 20_000
    name = str(shown.text_content())
    expect(dialog.locator(".tile")).to_have_count(6)
    dialog.locator(".tile").first.click()
    expect(shown).not_to_have_text(name, timeout=slow)
    second = str(shown.text_content())
    dialog.locator(".tile").nth(1).click()
    expect(shown).not_to_have_text(second, timeout=slow)
    dialog.locator("[data-do=back]").click()
    expect(shown).to_have_text(second, timeout=slow)
    dialog.locator("[data-do=back]").click()
    expect(shown).to_have_text(name, timeout=slow)
    expect(dialog.locator("[data-do=back]")).to_have_count(0)
    fits(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_an_image_opens_again_after_closing_and_its_links_only_lead_to_web_pages(page: Page, made: Made) -> None:
    image = str(made.valid.index[0])
    row = NewImage(image, "f", 1, None, "web", "harm", "javascript:window.harmed=3")
    made.workspace.store.add_images([row])
    opened(page, made)
    card = page.locator(f'#review-top-losses .card[data-id="{image}"]')
    for _ in range(2):
        card.click()
        expect(page.locator("#review-viewer .source")).to_have_count(3)
        page.locator("#review-viewer [data-do=close]").click()
        expect(page.locator("#review-viewer dialog")).to_be_hidden()
    card.click()
    links = page.locator("#review-viewer .source a")
    expect(links).to_have_count(1)
    assert links.first.get_attribute("href") == "https://x/p" and "noopener" in str(links.first.get_attribute("rel"))
    fits(page)


def test_a_run_from_before_features_were_kept_says_what_brings_neighbours(page: Page, made: Made) -> None:
    run = load_run(made.workspace)
    (run.folder / FEATURES).unlink()
    write_record(run.folder, run.record)
    opened(page, made)
    page.locator("#review-top-losses .card").first.click()
    expect(page.locator("#review-viewer .story")).to_contain_text("The next training will")
