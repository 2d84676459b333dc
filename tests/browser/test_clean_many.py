"""The Clean tab with many pictures at once, two people at once, its history, and names that are many."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cleaner.clean.decisions import decisions, keep, relabel
from cleaner.tabs.clean import tab as clean
from tests.browser.conftest import DESKTOP, PHONE, Apps, tabs
from tests.browser.test_cleaner_tabs import (
    CLASSES,
    HOSTILE,
    SHOTS,
    Made,
    at,
    clean_tab,
    fits,
    harmless,
    made,
    opened,
    saved,
)
from tests.cleaner.fabricate import Shot, run_with, workspace_with
from tests.support.hub_stand_in import TOKEN, HubStandIn

__all__ = ["made"]  # the fixture
pytestmark = pytest.mark.browser
QUEUE = "#clean-queue .queue"
TAB = tabs(("Clean", clean.build))


def many(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.locator("#clean-queue [data-act=mode]").click()
    expect(page.locator(f"{QUEUE}.many .tile").first).to_be_visible()


def selected(page: Page, number: int) -> None:
    expect(page.locator(f'{QUEUE}[data-selected="{number}"]')).to_be_attached()


def second(browser: Browser, made: Made) -> Page:
    """Somebody else's browser, with the tab open."""
    page = browser.new_context(viewport=DESKTOP, locale="en-GB").new_page()
    clean_tab(page, made)
    return page


# --- many at once --------------------------------------------------------------------------------------------------


def test_a_range_is_selected_by_click_decided_in_one_go_and_undone_as_one(page: Page, made: Made) -> None:
    many(page, made)
    tiles = page.locator(f"{QUEUE} .tile")
    tiles.nth(1).click()
    tiles.nth(4).click(modifiers=["Shift"])
    selected(page, 4)
    page.keyboard.press("2")
    saved(page)
    names = [f"photo {number:02}" for number in range(1, 5)]
    assert made.journal() == [(name, "relabel", "bee", False) for name in names]
    assert len({decision.batch for decision in decisions(made.workspace)}) == 1
    expect(tiles.nth(1)).to_have_attribute("data-id", made.ids["photo 05"])
    page.keyboard.press("u")
    saved(page)
    assert [undone for *_, undone in made.journal()] == [True] * 4
    expect(tiles.nth(1)).to_have_attribute("data-id", made.ids["photo 01"])


def test_by_keys_arrows_select_a_shifts_and_each_takes_its_own_suggestion(page: Page, made: Made) -> None:
    many(page, made)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    selected(page, 3)
    page.keyboard.press("s")
    saved(page)
    assert [name for name, *_ in made.journal()] == ["photo 01", "photo 02", "photo 03"]
    page.keyboard.press("k")
    expect(page.locator("#clean-queue .message.warning")).to_contain_text("Select pictures first")
    page.keyboard.press("a")
    selected(page, page.locator(f"{QUEUE} .tile").count())
    page.keyboard.press("Escape")
    selected(page, 0)
    page.keyboard.press("a")
    page.keyboard.press("d")
    saved(page)
    assert all(decision.after.status == "removed" for decision in decisions(made.workspace)[3:])
    harmless(page)


@pytest.mark.parametrize("viewport", [PHONE], indirect=True)
def test_many_are_selected_and_decided_by_touch_on_a_phone(page: Page, made: Made) -> None:
    many(page, made)
    expect(page.locator(f"{QUEUE} .tile")).to_have_count(24)
    for number in (0, 2):
        page.locator(f"{QUEUE} .tile").nth(number).click()
    page.locator("#clean-queue [data-act=keep]").click()
    saved(page)
    assert [name for name, *_ in made.journal()] == ["photo 00", "photo 02"]
    fits(page)
    harmless(page)


def test_of_many_the_one_that_changed_meanwhile_is_left_and_told(page: Page, made: Made) -> None:
    many(page, made)
    page.keyboard.press("a")
    relabel(made.workspace, made.ids["photo 03"], "bee")
    page.keyboard.press("k")
    expect(page.locator("#clean-queue .message.warning")).to_contain_text("1 image was left")
    assert [name for name, *_ in made.journal()].count("photo 03") == 1
    assert len(made.journal()) > 20


def test_a_range_in_the_film_strip_is_decided_on_at_once(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    selected(page, 3)
    page.keyboard.press("k")
    at(page, made, "photo 03")
    saved(page)
    assert [name for name, *_ in made.journal()] == ["photo 00", "photo 01", "photo 02"]


# --- two people ----------------------------------------------------------------------------------------------------


def test_two_browsers_see_each_others_decisions_and_a_conflict_is_told(
    page: Page, browser: Browser, made: Made
) -> None:
    clean_tab(page, made)
    other = second(browser, made)
    other.keyboard.press("k")
    saved(other)
    expect(page.locator("#clean-queue .message.warning")).to_contain_text("it was kept as ant", timeout=20_000)
    page.keyboard.press("d")
    expect(page.locator("#clean-queue .message.warning")).to_contain_text("Nothing was done")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    saved(page)
    assert made.journal() == [("photo 00", "keep", "ant", False), ("photo 01", "relabel", "bee", False)]
    expect(other.locator("#clean-queue .counter")).to_have_text("2 done, 29 left", timeout=20_000)
    other.context.close()


def test_what_somebody_decided_a_moment_ago_is_refused_before_the_page_knows(page: Page, made: Made) -> None:
    clean_tab(page, made)
    keep(made.workspace, made.ids["photo 00"])
    page.keyboard.press("2")
    expect(page.locator("#clean-queue .message.warning")).to_contain_text("Somebody else decided", timeout=20_000)
    assert made.journal() == [("photo 00", "keep", "ant", False)]


def test_news_from_others_leave_what_is_typed_and_its_focus(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.keyboard.press("n")
    page.keyboard.type("half a na")
    keep(made.workspace, made.ids["photo 05"])
    expect(page.locator("#clean-queue .counter")).to_have_text("1 done, 30 left", timeout=20_000)
    page.keyboard.type("me")
    page.keyboard.press("Enter")
    saved(page)
    assert made.journal()[-1] == ("photo 00", "relabel", "half a name", False)


# --- history, classes, files ---------------------------------------------------------------------------------------


def test_the_history_takes_one_back_and_goes_back_to_a_point_after_asking(page: Page, made: Made) -> None:
    clean_tab(page, made)
    for key in ("k", "d", "2", "k"):
        page.keyboard.press(key)
    saved(page)
    page.keyboard.press("h")
    rows, has_focus = page.locator("#clean-history li"), page.locator("#clean-history :focus")
    expect(rows).to_have_count(4)
    expect(has_focus).to_have_text("Close")
    rows.nth(2).locator("[data-do=step]").click()
    expect(page.locator("#clean-history .message")).to_have_text("1 decision taken back.")
    assert [undone for *_, undone in made.journal()] == [False, True, False, False]
    rows.nth(3).locator("[data-do=point]").click()
    expect(page.locator("#clean-history .ask")).to_contain_text("the 2 decisions")
    expect(has_focus).to_have_text("No")
    page.locator("#clean-history [data-do=yes]").click()
    expect(page.locator("#clean-history .message")).to_have_text("2 decisions taken back.")
    assert [undone for *_, undone in made.journal()] == [False, True, True, True]
    page.locator("#clean-history [data-do=redo]").click()
    expect(page.locator("#clean-history .message")).to_have_text("1 decision redone.")
    page.keyboard.press("Escape")
    expect(page.locator("#clean-queue .counter")).to_have_text("2 done, 29 left")
    page.keyboard.press("Shift+U")  # of the whole journal: the history made the page forget its own
    expect(page.locator("#clean-queue .message")).to_have_text("Redone: kept as ant.")
    for button, done in (("undo", 2), ("redo", 3)):
        page.locator(f"#clean-queue [data-act={button}]").click()
        expect(page.locator("#clean-queue .counter")).to_have_text(f"{done} done, {31 - done} left")


def test_a_class_is_renamed_after_saying_how_many(page: Page, made: Made) -> None:
    clean_tab(page, made)
    page.get_by_text("Rename or merge classes").click()
    page.locator("#clean-rename-old input").click()
    page.get_by_role("option", name="bee (1)").click()
    page.locator("#clean-rename-new textarea, #clean-rename-new input").fill(HOSTILE + "2")
    expect(page.locator("#clean-rename-what")).to_contain_text("1 image is called bee (1 of the test split")
    page.locator("#clean-rename").click()
    expect(page.locator("#clean-rename-what")).to_contain_text("Done: 1 called")
    assert made.workspace.store.image(made.ids["locked too"])["label"] == HOSTILE + "2"
    harmless(page)


def test_decisions_go_out_as_a_file_and_come_in_again(page: Page, made: Made, tmp_path: Path) -> None:
    clean_tab(page, made)
    page.keyboard.press("2")
    saved(page)
    with page.expect_download() as caught:
        page.locator("#clean-csv").click()
    caught.value.save_as(tmp_path / "decisions.csv")
    with (tmp_path / "decisions.csv").open(encoding="utf-8") as file:
        assert [row["labels_after"] for row in csv.DictReader(file)] == ["bee"]
    page.keyboard.press("u")
    saved(page)
    with page.expect_file_chooser() as chosen:
        page.locator("#clean-replay").click()
    chosen.value.set_files(tmp_path / "decisions.csv")
    expect(page.locator("#clean-replayed")).to_contain_text("1 applied")
    expect(page.locator("#clean-queue .counter")).to_have_text("1 done, 30 left")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], indirect=True)
def test_the_set_goes_out_as_parquet_and_to_the_hub_and_what_changed_as_a_table(
    page: Page, made: Made, hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    clean_tab(page, made)
    page.keyboard.press("2")
    saved(page)
    with page.expect_download() as caught:
        page.locator("#clean-changes").click()
    caught.value.save_as(tmp_path / "changes.csv")
    with (tmp_path / "changes.csv").open(encoding="utf-8-sig", newline="") as file:
        assert "bee" in [row["now"] for row in csv.DictReader(file)]
    expect(page.locator("#clean-sending")).to_be_hidden()
    page.locator("#clean-layout input").click()
    page.get_by_role("option", name="Hugging Face Parquet").click()
    page.get_by_label("anonymous file names").check()
    page.locator("#clean-dataset").click()
    expect(page.locator("#clean-written")).to_contain_text("Written", timeout=60_000)
    page.get_by_text("Send the set to Hugging Face").click()
    expect(page.locator("#clean-licences")).to_contain_text("not stated")
    page.locator("#clean-repo input, #clean-repo textarea").fill("ann/pets")
    page.locator("#clean-token input").fill(TOKEN)
    fits(page)
    page.locator("#clean-push").click()
    expect(page.locator("#clean-sent")).to_contain_text("You alone see it", timeout=60_000)
    expect(page.locator("#clean-token input")).to_have_value("")
    assert hub.datasets["ann/pets"].private and "data/train-00000-of-00001.parquet" in hub.datasets["ann/pets"].files
    harmless(page)


def test_after_twenty_decisions_it_says_how_many_wrong_labels_are_left(page: Page, made: Made) -> None:
    clean_tab(page, made)
    assert page.locator("#clean-queue .outlook").text_content() == ""
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.keyboard.press("Shift+ArrowLeft")
    for _ in range(22):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("s")
    expect(page.locator("#clean-queue .outlook")).to_contain_text("not looked at:", timeout=20_000)


# --- many classes --------------------------------------------------------------------------------------------------


@pytest.fixture
def two_hundred(tmp_path: Path, apps: Apps) -> Made:
    """Two hundred classes; the run takes class 007 for class 123, and holds class 055 for the second likeliest."""
    classes = [f"class {number:03}" for number in range(200)]
    answer = [0.001] * 200
    answer[123], answer[55], answer[7] = 0.5, 0.2, 0.1
    shots = [Shot(f"photo {number:02}", "class 007", "train", tuple(answer)) for number in range(6)]
    workspace, ids = workspace_with(tmp_path / "here" / "demo", shots)
    run_with(workspace, ids, shots, classes)
    return Made(apps.on(workspace.root, TAB), workspace, ids)


def test_of_two_hundred_classes_the_likeliest_have_keys_and_the_others_are_typed(page: Page, two_hundred: Made) -> None:
    page.goto(two_hundred.address)
    page.get_by_role("tab", name="Clean").click()
    expect(page.locator("#clean-queue .classes button")).to_have_count(10, timeout=20_000)
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        page.wait_for_timeout(100)
        fits(page)
    page.keyboard.press("2")
    saved(page)
    page.locator("#clean-queue .new input").fill("088")
    expect(page.locator("#clean-queue .classes button")).to_have_count(2)
    page.locator("#clean-queue .classes button").first.click()
    saved(page)
    page.keyboard.press("/")
    page.keyboard.type("class 19")
    expect(page.locator("#clean-queue .hint")).to_contain_text("Enter: class 190")
    page.keyboard.press("Shift+Enter")
    saved(page)
    labels = [decision.after.labels[0] for decision in decisions(two_hundred.workspace)]
    assert labels == ["class 055", "class 088", "class 19"]


def test_several_labels_are_toggled_by_key_and_confirmed_by_enter(page: Page, made: Made) -> None:
    workspace, names = made.workspace, [f"photo {number:02}" for number in range(30)]
    for name in names:
        relabel(workspace, made.ids[name], "ant|bee")
    run_with(workspace, made.ids, SHOTS, CLASSES, name="run-b")
    table = workspace.runs / "run-b" / "predictions.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(",ant,", ",ant|bee,"), encoding="utf-8")
    opened(page, made, "Clean")
    at(page, made, "photo 00")
    page.keyboard.press("1")
    expect(page.locator("#clean-queue .facts")).to_contain_text("To be bee")
    page.keyboard.press("1")
    expect(page.locator("#clean-queue .facts")).not_to_contain_text("To be")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    saved(page)
    page.keyboard.press("Enter")
    saved(page)
    last = decisions(workspace)[-2:]
    assert [(decision.action, decision.after.labels) for decision in last] == [
        ("relabel", ("ant",)),
        ("keep", ("ant", "bee")),
    ]
