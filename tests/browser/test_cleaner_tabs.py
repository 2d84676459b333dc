"""The Review and the Clean tab in Chromium: by mouse, by key and by touch, with names that mean harm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cleaner.clean.decisions import decisions, relabel, remove
from cleaner.tabs.clean import tab as clean
from cleaner.tabs.review import tab as review
from pipeline.workspace.workspace import Workspace
from tests.browser.conftest import DESKTOP, PHONE, Apps, tabs
from tests.cleaner.fabricate import Shot, run_with, workspace_with

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=window.harmed=1>${window.harmed=2}{{harm}}</script>"
CLASSES = ("ant", "bee", HOSTILE)


def doubtful(number: int, split: str = "train") -> Shot:
    """An ant that the run takes for a bee, the less surely the higher the number."""
    wrong = 0.97 - number / 100
    return Shot(f"photo {number:02}", "ant", split, (1 - wrong - 0.01, wrong, 0.01))


SHOTS = [
    *(doubtful(number, "valid" if number % 3 == 0 else "train") for number in range(30)),
    Shot("harmful " + HOSTILE.replace("/", "_"), HOSTILE, "valid", (0.05, 0.15, 0.8)),
    Shot("locked", "ant", "test", (0.3, 0.6, 0.1)),
    Shot("locked too", "bee", "test", (0.2, 0.7, 0.1)),
]


TABS = tabs(("Start", None), ("Review", review.build), ("Clean", clean.build))


@dataclass(frozen=True)
class Made:
    address: str
    workspace: Workspace
    ids: dict[str, str]

    def journal(self) -> list[tuple[str, str, str, bool]]:
        """(name, action, label after, undone) of every decision so far."""
        back = {image: name for name, image in self.ids.items()}
        return [(back[d.image], d.action, d.after.labels[0], d.undone) for d in decisions(self.workspace)]


@pytest.fixture
def made(tmp_path: Path, apps: Apps) -> Made:
    workspace, ids = workspace_with(tmp_path / "here" / "demo", SHOTS)
    run_with(workspace, ids, SHOTS, CLASSES)
    return Made(apps.on(workspace.root, TABS), workspace, ids)


def opened(page: Page, made: Made, tab: str, dark: bool = False) -> None:
    page.goto(made.address + ("?__theme=dark" if dark else "?__theme=light"))
    page.get_by_role("tab", name=tab).click()


def clean_tab(page: Page, made: Made) -> None:
    opened(page, made, "Clean")
    at(page, made, "photo 00")


def at(page: Page, made: Made, name: str) -> None:
    """Wait until the queue shows that image."""
    expect(page.locator(f'#clean-queue .queue[data-id="{made.ids[name]}"]')).to_be_attached(timeout=20_000)


def saved(page: Page) -> None:
    """Wait until the server has answered for everything."""
    expect(page.locator('#clean-queue .queue[data-unsaved="0"]')).to_be_attached(timeout=20_000)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in 20 seconds"
        time.sleep(0.05)


def harmless(page: Page) -> None:
    assert page.evaluate("window.harmed") is None
    assert page.locator("img[src='x']").count() == 0


def fits(page: Page) -> None:
    """Nothing overflows sideways, and what is to be touched is large enough."""
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    small = page.evaluate(
        """() => [...document.querySelectorAll('#clean-queue button, #review-matrix button, #review-pairs button')]
            .filter(b => b.offsetParent && (b.offsetHeight < 40 || b.offsetWidth < 40)).map(b => b.textContent)"""
    )
    assert small == []


# --- Clean ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "viewport", [DESKTOP, {"width": 1280, "height": 600}, PHONE], indirect=True, ids=["desk", "at 150 %", "phone"]
)
def test_at_rest_the_picture_what_is_said_of_it_all_buttons_and_the_film_strip_are_in_the_window(
    page: Page, made: Made
) -> None:
    clean_tab(page, made)
    outside = page.evaluate(
        """() => [...document.querySelector('#clean-queue')
                .querySelectorAll('.bar button, .stage, .label, .facts b, .acts button, form, .strip')]
            .filter((node) => node.offsetParent)
            .filter((node) => node.getBoundingClientRect().bottom > innerHeight || node.getBoundingClientRect().top < 0)
            .map((node) => node.className + node.textContent)"""
    )
    assert outside == [] and page.evaluate("scrollY") == 0
    assert page.locator("#clean-queue .stage").bounding_box()["height"] >= 130
    fits(page)


def test_ten_labels_are_decided_by_keyboard_and_one_is_taken_back(page: Page, made: Made) -> None:
    clean_tab(page, made)
    for key in ("2", "k", "d", "s", "2", "k", "k", "d", "2", "k"):
        page.keyboard.press(key)
    at(page, made, "photo 10")
    saved(page)
    names = [f"photo {number:02}" for number in range(10)]
    actions = ["relabel", "keep", "remove", "relabel", "relabel", "keep", "keep", "remove", "relabel", "keep"]
    labels = ["bee", "ant", "ant", "bee", "bee", "ant", "ant", "ant", "bee", "ant"]
    assert made.journal() == [(*row, False) for row in zip(names, actions, labels, strict=True)]
    expect(page.locator("#clean-queue .counter")).to_have_text("10 done, 21 left")
    page.keyboard.press("u")
    at(page, made, "photo 09")
    saved(page)
    assert made.journal()[-1] == ("photo 09", "keep", "ant", True)
    removed = made.workspace.store.image(made.ids["photo 02"])
    assert removed["status"] == "removed" and (made.workspace.trash / removed["file"]).is_file()


def test_typing_faster_than_the_server_answers_drops_and_mixes_up_nothing(page: Page, made: Made) -> None:
    clean_tab(page, made)
    with page.expect_request(lambda request: "queue/join" in request.url):
        # All in one turn of the page's event loop: no answer can come in between.
        page.evaluate(
            """() => [...'kdu2ukk2d2kkuu22dk'].forEach(
                key => document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true})))"""
        )
    saved(page)
    expected, place, standing = [], 0, []
    for key in "kdu2ukk2d2kkuu22dk":
        if key == "u":
            number = standing.pop()
            expected[number][3] = True
            place -= 1
            continue
        action, label = {"k": ("keep", "ant"), "d": ("remove", "ant"), "2": ("relabel", "bee")}[key]
        standing.append(len(expected))
        expected.append([f"photo {place:02}", action, label, False])
        place += 1
    assert made.journal() == [tuple(row) for row in expected]
    at(page, made, f"photo {place:02}")


def test_a_held_key_decides_once(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.keyboard.down("k")
    page.keyboard.down("k")  # the browser marks it as a repetition
    page.keyboard.down("k")
    page.keyboard.up("k")
    at(page, made, "photo 01")
    saved(page)
    assert len(made.journal()) == 1


def test_a_decision_on_an_image_that_changed_meanwhile_is_refused_and_said(page: Page, made: Made) -> None:
    clean_tab(page, made)
    relabel(made.workspace, made.ids["photo 00"], "bee")
    page.keyboard.press("d")
    expect(page.locator("#clean-queue .message.warning")).to_contain_text("changed meanwhile")
    assert made.workspace.store.image(made.ids["photo 00"])["status"] == "ok"


def test_undo_does_not_take_back_what_somebody_else_decided_unless_asked_again(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.keyboard.press("k")
    saved(page)
    remove(made.workspace, made.ids["photo 20"])
    page.keyboard.press("u")
    expect(page.locator("#clean-queue .message.warning")).to_contain_text("no longer yours")
    page.keyboard.press("u")
    expect(page.locator("#clean-queue .message")).to_contain_text("Taken back: remove")
    at(page, made, "photo 20")
    assert made.journal() == [("photo 00", "keep", "ant", False), ("photo 20", "remove", "ant", True)]


def test_a_new_class_is_typed_and_its_letters_are_no_commands(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.keyboard.press("n")
    page.keyboard.type("duck 12")
    page.keyboard.press("Enter")
    at(page, made, "photo 01")
    saved(page)
    assert made.journal() == [("photo 00", "relabel", "duck 12", False)]
    expect(page.locator("#clean-queue .classes button").last).to_contain_text("duck 12")


def test_arrows_look_around_without_deciding_and_the_film_strip_goes_there(page: Page, made: Made) -> None:
    clean_tab(page, made)
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    at(page, made, "photo 03")
    expect(page.locator("#clean-queue .stage img.large")).to_have_js_property("complete", True)
    page.keyboard.press("ArrowLeft")
    at(page, made, "photo 02")
    page.locator("#clean-queue .strip button").nth(7).click()
    at(page, made, "photo 07")
    eventually(lambda: page.locator("#clean-queue .stage img.large").evaluate("image => image.naturalWidth > 0"))
    assert made.journal() == []


def test_help_opens_by_key_and_decides_nothing_while_it_is_open(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.keyboard.press("?")
    expect(page.get_by_text("take the suggested label")).to_be_visible()
    page.keyboard.press("k")
    page.keyboard.press("Escape")
    expect(page.get_by_text("take the suggested label")).to_be_hidden()
    at(page, made, "photo 00")
    assert made.journal() == []


def test_keys_do_nothing_while_another_tab_is_open(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.get_by_role("tab", name="Start").click()
    page.keyboard.press("k")
    page.get_by_role("tab", name="Clean").click()
    at(page, made, "photo 00")
    assert made.journal() == []


def test_filters_show_a_part_and_the_rest_comes_back(page: Page, made: Made) -> None:
    clean_tab(page, made)
    choose(page, "#clean-split", "valid")
    expect(page.locator("#clean-queue .counter")).to_have_text("0 done, 31 left, 11 of them shown")
    page.keyboard.press("k")
    at(page, made, "photo 03")
    saved(page)
    choose(page, "#clean-split", "train and valid")
    expect(page.locator("#clean-queue .counter")).to_have_text("1 done, 30 left")
    choose(page, "#clean-class", HOSTILE)
    expect(page.locator("#clean-queue .label")).to_have_text(HOSTILE)
    harmless(page)


def test_the_story_of_a_picture_opens_by_key_and_decides_nothing(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("i")
    expect(page.locator("#clean-story dialog")).to_contain_text("ant/photo 01.jpg")
    expect(page.locator("#clean-story dialog")).to_contain_text("What each run said")
    page.keyboard.press("d")
    page.keyboard.press("Escape")
    expect(page.locator("#clean-story dialog")).to_be_hidden()
    at(page, made, "photo 01")
    assert made.journal() == []


def test_the_test_split_is_audited_only_when_asked_for_and_that_is_said_from_then_on(page: Page, made: Made) -> None:
    clean_tab(page, made)
    assert made.ids["locked"] not in page.content()
    page.locator("#clean-auditing").get_by_role("button", name="Audit the test split").click()
    page.locator("#clean-audit").click()
    at(page, made, "locked")
    expect(page.locator("#clean-queue .counter")).to_contain_text("2 left")
    expect(page.locator("#clean-audits")).to_contain_text("The test split was audited on")
    page.keyboard.press("2")
    at(page, made, "locked too")
    saved(page)
    assert made.journal() == [("locked", "relabel", "bee", False)]
    choose(page, "#clean-split", "train and valid")
    at(page, made, "photo 00")


def test_decisions_survive_a_reload_and_can_be_undone_after_it(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.keyboard.press("d")
    saved(page)
    opened(page, made, "Clean")
    at(page, made, "photo 01")
    page.locator("#clean-queue [data-act=undo]").click()
    at(page, made, "photo 00")
    assert made.journal() == [("photo 00", "remove", "ant", True)]


def test_when_the_queue_is_done_it_says_what_comes_next(page: Page, made: Made) -> None:
    clean_tab(page, made)
    choose(page, "#clean-class", HOSTILE)
    expect(page.locator("#clean-queue .label")).to_have_text(HOSTILE)
    page.keyboard.press("k")
    expect(page.locator("#clean-queue .empty").first).to_contain_text("30 images without")


@pytest.mark.parametrize("viewport", [PHONE], indirect=True)
def test_the_queue_works_by_touch_on_a_phone(page: Page, made: Made) -> None:
    clean_tab(page, made)
    fits(page)
    page.locator("#clean-queue .classes button").nth(1).click()
    at(page, made, "photo 01")
    page.locator("#clean-queue [data-act=remove]").click()
    at(page, made, "photo 02")
    page.locator("#clean-queue [data-act=undo]").click()
    at(page, made, "photo 01")
    saved(page)
    assert made.journal() == [("photo 00", "relabel", "bee", False), ("photo 01", "remove", "ant", True)]
    harmless(page)


def test_two_runs_are_compared_in_plain_words(page: Page, made: Made) -> None:
    run_with(made.workspace, made.ids, SHOTS, CLASSES, name="run-b")
    clean_tab(page, made)
    page.locator("#clean-compare").click()
    expect(page.locator("#clean-compared")).to_contain_text("Cannot be told apart")
    expect(page.locator("#clean-compared")).to_contain_text("On the same 2 test images")


def test_what_a_broken_connection_held_back_is_sent_after_the_reload(
    page: Page, made: Made, complaints: list[str]
) -> None:
    broken = threading.Event()
    # In place before the page is: a route set later may miss the page's very next request.
    page.route("**/queue/join*", lambda route: route.abort() if broken.is_set() else route.continue_())
    clean_tab(page, made)
    broken.set()
    with page.expect_navigation(timeout=30_000):  # Gradio reloads the page when it believes the server is gone
        page.keyboard.press("k")
        page.keyboard.press("2")
    assert made.journal() == []
    broken.clear()
    opened(page, made, "Clean")
    at(page, made, "photo 02")
    saved(page)
    assert made.journal() == [("photo 00", "keep", "ant", False), ("photo 01", "relabel", "bee", False)]
    complaints.clear()  # the aborted requests


# --- Review --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("viewport", "dark"), [(DESKTOP, False), (PHONE, True)], indirect=["viewport"])
def test_a_cell_of_the_confusion_matrix_shows_its_images(page: Page, made: Made, dark: bool) -> None:
    opened(page, made, "Review", dark)
    expect(page.locator("#review-headline")).to_contain_text("50.0%")
    page.locator("#review-matrix td button.wrong").first.click()
    expect(page.locator("#review-images .title")).to_have_text("ant, taken for bee: 10 images")
    expect(page.locator("#review-images .card")).to_have_count(10)
    page.locator("#review-images .card").first.click()
    expect(page.locator("#review-viewer dialog img")).to_be_visible()
    expect(page.locator("#review-viewer dialog")).to_contain_text("actual ant, predicted bee")
    page.keyboard.press("Escape")
    expect(page.locator("#review-viewer dialog")).to_be_hidden()
    fits(page)
    harmless(page)


def test_the_matrix_is_walked_by_arrow_keys_and_chosen_by_enter(page: Page, made: Made) -> None:
    opened(page, made, "Review")
    page.locator("#review-matrix td button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#review-images .title")).to_have_text("ant, taken for bee: 10 images")


def test_a_confused_pair_shows_its_images_and_hostile_names_stay_text(page: Page, made: Made) -> None:
    opened(page, made, "Review")
    page.locator("#review-pairs button").first.click()
    expect(page.locator("#review-images .card")).to_have_count(10)
    page.locator("#review-matrix td button.right").last.click()
    expect(page.locator("#review-images .title")).to_have_text(f"{HOSTILE}, recognised: 1 image")
    page.locator("#review-images .card").first.click()
    expect(page.locator("#review-viewer dialog")).to_contain_text("harmful <img src=x onerror")
    harmless(page)


def test_the_top_losses_come_worst_first_and_in_pages(page: Page, made: Made) -> None:
    opened(page, made, "Review")
    choose(page, "#review-split", "train, out-of-fold")
    losses = page.locator("#review-top-losses .card")
    expect(losses).to_have_count(12)
    expect(losses.first).to_contain_text("loss 3.51")
    page.locator("#review-top-losses button", has_text="Next").click()
    expect(page.locator("#review-top-losses .pager")).to_contain_text("page 2 of 2")
    expect(losses).to_have_count(8)


def test_no_test_image_is_listed_until_the_test_split_is_asked_for(page: Page, made: Made) -> None:
    opened(page, made, "Review")
    locked = made.ids["locked"]
    expect(page.locator("#review-top-losses .card")).to_have_count(11)
    assert page.locator(f'[data-id="{locked}"]').count() == 0
    choose(page, "#review-split", "test, unlocked")
    expect(page.locator(f'#review-top-losses [data-id="{locked}"]')).to_be_visible()


def test_a_workspace_without_a_run_says_what_to_do_in_both_tabs(page: Page, made: Made) -> None:
    Workspace.create(made.workspace.root.parent / "empty")
    page.goto(made.address + "?workspace=empty")
    page.get_by_role("tab", name="Review").click()
    expect(page.locator("#review-headline")).to_contain_text("Train a model first")
    page.get_by_role("tab", name="Clean").click()
    expect(page.locator("#clean-queue .empty").first).to_contain_text("Train a model first")


def choose(page: Page, where: str, words: str) -> None:
    """Pick an entry of one of Gradio's lists."""
    page.locator(f"{where} input").click()
    options = page.get_by_role("option")
    expect(options.first).to_be_visible()
    entries = [text.replace("✓", "").strip() for text in options.all_text_contents()]
    options.nth(entries.index(words)).click()
