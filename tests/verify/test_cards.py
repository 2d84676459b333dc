"""One card a kind of problem, the gravest first; what a person ignored stays away until something is new."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from cleaner.clean.decisions import rename
from pipeline.errors import StaleDecision, StoreError
from pipeline.stage import run
from pipeline.verify.cards import Card, act, cards, choices, set_aside, take_back
from pipeline.verify.findings import verified
from pipeline.verify.groups import not_the_same
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.store import NewImage
from pipeline.workspace.workspace import Workspace
from tests.support.shelf import Shelf
from tests.verify.test_verify import picture, put


def saved(image: Image.Image, kind: str, **settings: int) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **settings)
    return target.getvalue()


@pytest.fixture
def troubled(shelf: Shelf, photographs: Path, tmp_path: Path) -> Workspace:
    """20 good pictures, a copy of one, a copy under another class, a dark one, and two that are no pictures."""
    return shelf.workspace("troubled cards", tmp_path / "troubled", lambda workspace: _fill(workspace, photographs))


def _fill(workspace: Workspace, photographs: Path) -> None:
    files = sorted(photographs.rglob("*.jpg"))[:20]
    for file in files:
        put(workspace, file.name, file.read_bytes())
    first, second = (Image.open(file) for file in files[:2])
    put(workspace, "copy.png", saved(first, "PNG"))
    put(workspace, "other class.png", saved(second, "PNG"), "dog")
    put(workspace, "dark.png", saved(Image.open(files[4]).point(lambda value: value // 12), "PNG"))
    put(workspace, "page.jpg", b"<!doctype html><html>")
    put(workspace, "empty.jpg", b"")
    run(verify(workspace, VerifyConfig(workers=1)))


def by_kind(workspace: Workspace) -> dict[str, Card]:
    return {card.kind: card for card in cards(workspace)}


def test_every_problem_has_its_card_with_its_pictures(troubled: Workspace) -> None:
    found = by_kind(troubled)
    assert list(found) == ["label_conflict", "duplicate", "dark", "broken_empty", "broken_not_an_image"]
    assert [len(card.groups) for card in found.values()] == [1, 2, 1, 1, 1]
    assert all(card.title and card.meaning and card.actions for card in found.values())
    (page,) = found["broken_not_an_image"].reasons.values()
    assert page == "It is a web page, not a picture."


def test_the_best_copy_comes_first(troubled: Workspace) -> None:
    for group in by_kind(troubled)["duplicate"].groups:
        assert troubled.store.image(group[0])["format"] == "PNG"  # as many pixels, and more bytes for them


def test_what_is_ignored_is_counted_and_not_shown_until_it_is_noticed_again(troubled: Workspace) -> None:
    (dark,) = by_kind(troubled)["dark"].groups
    troubled.store.ignore("dark", dark)
    card = by_kind(troubled)["dark"]
    assert card.groups == () and card.ignored == 1
    troubled.store.notice("dark")
    assert by_kind(troubled)["dark"].groups == (dark,)


def test_a_new_copy_brings_an_ignored_group_back(troubled: Workspace, photographs: Path) -> None:
    groups = by_kind(troubled)["duplicate"].groups
    troubled.store.ignore("duplicate", [image for group in groups for image in group])
    assert by_kind(troubled)["duplicate"].groups == ()
    original = Image.open(sorted(photographs.rglob("*.jpg"))[0])
    put(troubled, "third.bmp", saved(original, "BMP"))
    run(verify(troubled, VerifyConfig(workers=1)))
    card = by_kind(troubled)["duplicate"]
    assert [len(group) for group in card.groups] == [3] and card.ignored == 1


def test_what_was_set_aside_by_hand_can_be_taken_back(troubled: Workspace) -> None:
    (dark,) = by_kind(troubled)["dark"].groups
    set_aside(troubled, dark)
    found = by_kind(troubled)
    assert "dark" not in found
    assert found["broken_by_hand"].groups == (dark,) and found["broken_by_hand"].actions == ("restore",)


def test_classes_with_few_pictures_or_far_fewer_than_others_are_named(workspace: Workspace) -> None:
    for label, count in (("few", 3), ("rare", 15), ("many", 90)):
        for number in range(count):
            put(workspace, f"{label} {number}.png", picture(f"#{number:02x}{count:02x}40", (64 + number, 48)), label)
    run(verify(workspace, VerifyConfig(workers=2)))
    found = verified(workspace)
    assert found.classes == {"few": 3, "many": 90, "rare": 15}
    assert [(problem.label, problem.kind, problem.count) for problem in found.class_problems] == [
        ("few", "few", 3),
        ("rare", "rare", 15),
    ]
    assert "6 times as many" in found.class_problems[1].reason


def test_a_picture_in_two_given_splits_is_reported_and_is_in_one(workspace: Workspace, photographs: Path) -> None:
    file = sorted(photographs.rglob("*.jpg"))[0]
    data = file.read_bytes()
    copy = saved(Image.open(file), "BMP")
    for name, content, split in (
        ("train/1.jpg", data, "train"),
        ("test/1.bmp", copy, "test"),
        ("test/2.jpg", data, "test"),
    ):
        image, kept = workspace.keep(content, Path(name).suffix[1:])
        workspace.store.add_images([NewImage(image, kept, len(content), "cat", "folder", name, split=split)])
    found = run(verify(workspace, VerifyConfig(workers=1)))
    assert [len(group) for group in found.given_leaks] == [2] and found.leaks == ()
    assert set(workspace.store.images()["split"]) == {"train"}
    assert by_kind(workspace)["given_leak"].groups[0] == found.duplicate_groups[0]


@pytest.mark.parametrize("label", ["cat", "dog"])
def test_one_picture_with_two_labels_is_decided_on_its_card(workspace: Workspace, label: str) -> None:
    image = put(workspace, "cat/1.png", picture(), "cat")
    put(workspace, "dog/1.png", picture(), "dog")
    other = put(workspace, "cat/2.png", picture("#204060"), "cat")
    run(verify(workspace, VerifyConfig(workers=1)))
    ((group,), actions) = by_kind(workspace)["label_conflict"].groups, by_kind(workspace)["label_conflict"].actions
    assert group == (image,) and "label" in actions
    assert choices(workspace, [group]) == {image: ("cat", "dog")}
    for wrong in ("lion", "cat|dog", ""):
        with pytest.raises(StaleDecision):
            act(workspace, "label_conflict", "label", [image], "", wrong)
    with pytest.raises(StaleDecision):
        act(workspace, "label_conflict", "label", [other], "", "cat")
    done = act(workspace, "label_conflict", "label", [image], "", label)
    assert workspace.store.labels()[image] == label and "label_conflict" not in by_kind(workspace)
    [decision] = workspace.store.journal.decisions()
    assert decision.action == ("keep" if label == "cat" else "relabel") and decision.about_label
    assert take_back(workspace, done) == 1
    assert workspace.store.labels()[image] == "cat" and by_kind(workspace)["label_conflict"].groups == (group,)


def test_where_pictures_have_several_labels_both_may_be_right(workspace: Workspace) -> None:
    image = put(workspace, "cat/1.png", picture(), "cat")
    put(workspace, "dog/1.png", picture(), "dog")
    put(workspace, "2.png", picture("#204060"), "cat|owl")
    run(verify(workspace, VerifyConfig(workers=1)))
    assert choices(workspace, [(image,)])[image] == ("cat", "dog", "cat|dog")
    act(workspace, "label_conflict", "label", [image], "", "cat|dog")
    assert workspace.store.labels()[image] == "cat|dog" and "label_conflict" not in by_kind(workspace)


def test_a_class_with_another_name_is_no_conflict_with_what_its_sources_call_it(workspace: Workspace) -> None:
    image = put(workspace, "cat/1.png", picture(), "cat")
    put(workspace, "dog/1.png", picture(), "dog")
    alone = put(workspace, "cat/2.png", picture("#204060"), "cat")
    rename(workspace, "cat", "kitten")
    put(workspace, "cat/3.png", picture("#602020"), "cat")  # a class of that name again
    found = run(verify(workspace, VerifyConfig(workers=1)))
    assert found.label_conflicts == ((image,),) and alone != image
    assert choices(workspace, [(image,)])[image] == ("dog", "kitten")


def of_kind(workspace: Workspace, kind: str) -> Card:
    return next(card for card in cards(workspace) if card.kind == kind)


def splits(workspace: Workspace) -> dict[str, str | None]:
    images = workspace.store.images()
    return dict(zip(images["id"], images["split"], strict=True))


def test_a_group_that_is_not_the_same_is_dissolved_for_good_and_comes_back_by_undo(workspace: Workspace) -> None:
    image = Image.effect_noise((48, 48), 80).resize((96, 96)).convert("RGB")
    one = put(workspace, "1.png", saved(image, "PNG"))
    same, copy = (put(workspace, *told) for told in (("1.bmp", saved(image, "BMP")), ("2.jpg", saved(image, "JPEG"))))
    (group,) = run(verify(workspace, VerifyConfig(workers=1))).duplicate_groups
    assert set(group) == {one, same, copy}
    before = splits(workspace)
    done = act(workspace, "duplicate", "not_same", [group[0]], of_kind(workspace, "duplicate").seal)
    assert [set(group) for group in verified(workspace).duplicate_groups] == [{one, same}]  # their pixels are equal
    again = run(verify(workspace, VerifyConfig(workers=1)))
    assert [set(group) for group in again.duplicate_groups] == [{one, same}]
    another = put(workspace, "3.jpg", saved(image, "JPEG", quality=60))
    groups = run(verify(workspace, VerifyConfig(workers=1))).duplicate_groups
    assert not any({one, copy} <= set(group) for group in groups) and any(another in group for group in groups)
    assert take_back(workspace, done) == 3
    assert any({one, same, copy} <= set(group) for group in verified(workspace).duplicate_groups)
    assert before.items() <= splits(workspace).items()


def test_what_cannot_be_told_apart_is_refused_and_nothing_changes(workspace: Workspace) -> None:
    image = Image.effect_noise((48, 48), 80).convert("RGB")
    one = put(workspace, "1.png", saved(image, "PNG"))
    put(workspace, "1.bmp", saved(image, "BMP"))
    lone = put(workspace, "2.png", picture())
    run(verify(workspace, VerifyConfig(workers=1)))
    for image_id, why in ((one, "pixels are equal"), (lone, "no duplicate group"), ("nobody", "no image")):
        with pytest.raises(StoreError, match=why):
            not_the_same(workspace, [image_id])
    assert workspace.store.journal.decisions() == []


def test_a_series_is_a_card_of_its_own_and_no_duplicate(workspace: Workspace) -> None:
    ground = Image.effect_noise((12, 12), 90).resize((128, 128), Image.Resampling.BICUBIC).convert("RGB")
    for number in range(8):
        spotted = ground.copy()
        spotted.paste((255, 60, 60), (14 * number, 60, 14 * number + 8, 68))
        put(workspace, f"{number}.png", saved(spotted, "PNG"))
    found = run(verify(workspace, VerifyConfig(workers=1)))
    assert found.duplicate_groups == () and [len(group) for group in found.series] == [8]
    assert of_kind(workspace, "series").actions == ("set_aside", "ignore")
    assert set(workspace.store.images()["series"]) == {min(found.series[0])}
