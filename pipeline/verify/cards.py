"""What Verify found as cards, one a kind of problem: what it means, its pictures, and what can be done about it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from pipeline.errors import StaleDecision
from pipeline.labels import named
from pipeline.predict import NONE, SEVERAL
from pipeline.verify.findings import PROBLEMS, SetAside, Verified, labels_given, verified
from pipeline.verify.groups import not_the_same
from pipeline.workspace.records import IN_USE, USABLE, State, Wish
from pipeline.workspace.workspace import Workspace

Group: TypeAlias = tuple[str, ...]
"""The ids of one picture, or of all copies of one, the best first."""
GROUPS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "label_conflict": ("Under two classes", "the same picture with different labels; say which is right"),
        "leak": ("In two splits", "copies to learn from and to test with make results look too good"),
        "given_leak": (
            "In two folders of their source",
            "the same picture in its train, valid or test; here all copies are in one split",
        ),
        "duplicate": ("There more than once", "the same picture again; the best copy comes first"),
        "series": (
            "Alike, but not the same",
            "each is a series: many pictures of one thing or place, perhaps one scene; nothing is wrong with them",
        ),
    }
)
BROKEN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "truncated": ("Cut off", "the file ends before the picture does"),
        "corrupt": ("Damaged", "the file cannot be decoded"),
        "empty": ("Empty", "there is nothing in the file, or it cannot be read"),
        "not_an_image": ("No pictures", "web pages and other files, whatever they are called"),
        "unsupported": ("Of a kind that cannot be read here", "the reason says what to do about it"),
        "too_large": ("Too large", "more pixels, memory or time than one picture may take"),
        "by_hand": ("Set aside by hand", "out of use until they are taken back"),
    }
)
LOOK, ASIDE = ("set_aside", "ignore"), ("restore",)
SAME = ("keep_best", "set_aside", "not_same", "ignore")
CALLED = ("label", "set_aside", "not_same", "ignore")
CHANGED = "This card has changed meanwhile, so nothing was done. Look again, then decide anew."


@dataclass(frozen=True)
class Card:
    """One kind of problem. ``groups``: the pictures, one each or all copies of one (the best first); ``reasons``: what
    is known about some of them, by id; ``ignored``: groups of this kind that a person found to be no problem.
    ``actions``, of set_aside, keep_best, restore, not_same, ignore and label (of one group at a time), are what can be
    done.
    """

    kind: str
    title: str
    meaning: str
    groups: tuple[Group, ...]
    actions: tuple[str, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    ignored: int = 0

    @property
    def seal(self) -> str:
        """A few letters that change when any of its pictures does."""
        told = "\n".join("|".join(group) for group in self.groups)
        return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def cards(workspace: Workspace, found: Verified | None = None) -> list[Card]:
    """The kinds of problems there are, in the order in which to look at them; a card for each that has any picture,
    ignored ones included.
    """
    ignored = workspace.store.ignored()
    every = _every(found or verified(workspace))
    return [_without(card, ignored.get(card.kind, set())) for card in every if card.groups]


def _every(found: Verified) -> Iterator[Card]:
    yield _single("suspect", "Perhaps damaged", "they open, but a stricter reader objects", found.suspects, LOOK)
    of_kind: Mapping[str, Sequence[Group]] = {
        "label_conflict": found.label_conflicts,
        "leak": found.leaks,
        "given_leak": found.given_leaks,
        "duplicate": found.duplicate_groups,
        "series": found.series,
    }
    actions = {"label_conflict": CALLED, "series": LOOK}
    best_first = {image: group for group in found.duplicate_groups for image in group}
    for kind, (title, meaning) in GROUPS.items():
        groups = tuple(group if kind == "series" else best_first.get(group[0], group) for group in of_kind[kind])
        yield Card(kind, title, meaning, groups, actions.get(kind, SAME))
    for kind, (title, meaning) in PROBLEMS.items():
        yield Card(kind, title, meaning, tuple((image,) for image in found.problems.get(kind, ())), LOOK)
    yield _single(
        "note", "With something to know", "they are fine, and the reason says what was seen", found.notes, LOOK
    )
    for verdict, (title, meaning) in BROKEN.items():
        rows = [row for row in found.set_aside if verdict == (row.verdict if row.verdict in BROKEN else "by_hand")]
        yield _single(f"broken_{verdict}", title, meaning, rows, ASIDE)


def _single(kind: str, title: str, meaning: str, rows: Iterable[SetAside], actions: tuple[str, ...]) -> Card:
    reasons = {row.id: row.reason for row in rows}
    return Card(kind, title, meaning, tuple((image,) for image in reasons), actions, reasons)


def _without(card: Card, ignored: set[str]) -> Card:
    """The card without the groups of which every picture is ignored; a new copy brings its group back."""
    left = tuple(group for group in card.groups if not ignored.issuperset(group))
    count = len(card.groups) - len(left)
    return Card(card.kind, card.title, card.meaning, left, card.actions, card.reasons, count)


@dataclass(frozen=True)
class Acted:
    """What an action did to a card's ``groups``: ``images`` were set aside, restored, given a label or told apart
    (``action``), which can be taken back, ``number`` of them otherwise than before; of ``ignore`` there is nothing to
    take back.
    ``decisions``: the first and last number in the journal, of labels and of what was told apart.
    """

    action: str = ""
    groups: tuple[Group, ...] = ()
    images: Group = ()
    number: int = 0
    decisions: tuple[int, int] | None = None


def card_of(workspace: Workspace, kind: str) -> Card | None:
    """The card of one kind as it is now; None where there is none."""
    return next((card for card in cards(workspace) if card.kind == kind), None)


def act(workspace: Workspace, kind: str, action: str, ids: Sequence[str] | None, seen: str, label: str = "") -> Acted:
    """Do one of the card's actions to the pictures with these ids (None: all of the card, of which the person saw
    ``seen``, its seal). ``label``: what the pictures show, one of :func:`choices`. Where the card is no longer as it
    was seen, nothing is done: StaleDecision.
    """
    card = card_of(workspace, kind)
    if card is None or action not in card.actions:
        raise StaleDecision(CHANGED)
    groups = _chosen(card, ids, whole=seen == card.seal, strict=action == "keep_best")
    images = tuple(image for group in groups for image in group)
    if action == "set_aside":
        images = images if ids is None else tuple(dict.fromkeys(ids))
        return Acted(action, groups, images, set_aside(workspace, images))
    if action == "keep_best":
        copies = tuple(image for group in groups for image in group[1:])
        return Acted(action, groups, copies, keep_best(workspace, groups))
    if action == "restore":
        return Acted(action, groups, images, restore(workspace, images))
    if action == "label":
        if len(groups) != 1 or label not in choices(workspace, groups)[groups[0][0]]:
            raise StaleDecision(CHANGED)
        return _labelled(workspace, groups, label)
    if action == "not_same":
        done = not_the_same(workspace, [group[0] for group in groups])
        return Acted(action, groups, images, len(images), (done[0].id, done[-1].id))
    workspace.store.ignore(kind, images)
    return Acted(action, groups)


def _chosen(card: Card, ids: Sequence[str] | None, whole: bool, strict: bool) -> tuple[Group, ...]:
    """The groups that are meant, or StaleDecision where the card does not hold them as they were seen; ``whole``: it
    is as it was; ``strict``: it has to be.
    """
    if ids is None:
        groups = card.groups if whole else ()
    else:
        wanted = set(ids)
        groups = tuple(group for group in card.groups if not wanted.isdisjoint(group))
        if not wanted.issubset(image for group in groups for image in group):
            groups = ()
    if not groups or (strict and not whole):
        raise StaleDecision(CHANGED)
    return groups


def choices(workspace: Workspace, groups: Sequence[Group]) -> dict[str, tuple[str, ...]]:
    """The first id of each group -> the labels it may have: each that it was given, and all of them together where
    images of this workspace have several labels.
    """
    given = labels_given(workspace, workspace.store.images_of(image for group in groups for image in group))
    several = any(SEVERAL in label for label in workspace.store.labels().values())
    found: dict[str, tuple[str, ...]] = {}
    for group in groups:
        each = sorted({label for image in group for label in given.get(image, ())})
        every = SEVERAL.join(sorted({name for label in each for name in named(label)} - {NONE}))
        found[group[0]] = tuple(dict.fromkeys([*each, every] if several and every else each))
    return found


def _labelled(workspace: Workspace, groups: tuple[Group, ...], label: str) -> Acted:
    """All pictures of the groups under ``label``; of those that had it already, that a person found it right."""
    images = tuple(image for group in groups for image in group)
    labels = tuple(sorted(named(label)))
    right = workspace.store.labels()

    def relabelled(state: State) -> State:
        return replace(state, labels=labels)

    done = workspace.store.journal.decide(
        Wish(image, "keep" if named(right.get(image, "")) == named(label) else "relabel", relabelled)
        for image in images
    )
    return Acted("label", groups, images, len(images), (done[0].id, done[-1].id))


def take_back(workspace: Workspace, done: Acted) -> int:
    """Take back what an action did; returns how many pictures that changed. Raises StoreError where pictures that
    it gave a label or told apart were decided on since.
    """
    if done.decisions is not None:
        return len(workspace.store.journal.undo_these(*done.decisions))
    return (set_aside if done.action == "restore" else restore)(workspace, done.images)


def set_aside(workspace: Workspace, image_ids: Iterable[str]) -> int:
    """Take pictures out of use; their files stay where they are. Returns how many were in use before.

    Raises StoreError for an unknown image, and then nothing changes.
    """

    def aside(state: State) -> State | None:
        return replace(state, status="set_aside") if state.status in IN_USE else None

    return len(workspace.store.journal.decide(Wish(image, "set_aside", aside) for image in image_ids))


def restore(workspace: Workspace, image_ids: Iterable[str]) -> int:
    """Take back what was set aside, with its label and split; what could not be read counts as new, and is checked
    again. Returns how many. Errors as in :func:`set_aside`.
    """
    images = workspace.store.images("set_aside")
    usable = set(images[images["verdict"].isin(USABLE)]["id"])

    def back(status: str, state: State) -> State | None:
        return replace(state, status=status) if state.status == "set_aside" else None

    wishes = (Wish(image, "restore", partial(back, "ok" if image in usable else "new")) for image in image_ids)
    return len(workspace.store.journal.decide(wishes))


def keep_best(workspace: Workspace, groups: Iterable[Sequence[str]]) -> int:
    """Of each group of copies keep the first and set the others aside. Returns how many were set aside."""
    return set_aside(workspace, [image for group in groups for image in group[1:]])
