"""What Verify found as cards, one a kind of problem: what it means, its pictures, and what can be done about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pipeline.verify.findings import KINDS, SetAside, Verified, verified
from pipeline.workspace.records import State
from pipeline.workspace.workspace import Workspace

GROUPS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "label_conflict": ("Under two classes", "the same picture with different labels; Clean asks about these first"),
        "leak": ("In two splits", "copies to learn from and to test with make results look too good"),
        "given_leak": (
            "In two folders of their source",
            "the same picture in its train, valid or test; here all copies are in one split",
        ),
        "duplicate": ("There more than once", "the same picture again; the best copy comes first"),
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
LOOK, SAME, ASIDE = ("set_aside", "ignore"), ("keep_best", "set_aside", "ignore"), ("restore",)

USABLE = ("ok", "suspect")


@dataclass(frozen=True)
class Card:
    """One kind of problem. ``groups``: the pictures, one each or all copies of one (the best first); ``reasons``: what
    is known about some of them, by id; ``ignored``: groups of this kind that a person found to be no problem.
    ``actions``, of set_aside, keep_best, restore and ignore, are what can be done.
    """

    kind: str
    title: str
    meaning: str
    groups: tuple[tuple[str, ...], ...]
    actions: tuple[str, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    ignored: int = 0


def cards(workspace: Workspace, found: Verified | None = None) -> list[Card]:
    """The kinds of problems there are, in the order in which to look at them; a card for each that has any picture,
    ignored ones included.
    """
    ignored = workspace.store.ignored()
    every = _every(found or verified(workspace))
    return [_without(card, ignored.get(card.kind, set())) for card in every if card.groups]


def _every(found: Verified) -> Iterator[Card]:
    yield _single("suspect", "Perhaps damaged", "they open, but a stricter reader objects", found.suspects, LOOK)
    of_kind: Mapping[str, Sequence[tuple[str, ...]]] = {
        "label_conflict": found.label_conflicts,
        "leak": found.leaks,
        "given_leak": found.given_leaks,
        "duplicate": found.duplicate_groups,
    }
    best_first = {image: group for group in found.duplicate_groups for image in group}
    for kind, (title, meaning) in GROUPS.items():
        groups = tuple(best_first.get(group[0], group) for group in of_kind[kind])
        yield Card(kind, title, meaning, groups, LOOK if kind == "label_conflict" else SAME)
    for kind, (title, meaning) in KINDS.items():
        yield Card(kind, title, meaning, tuple((image,) for image in found.problems.get(kind, ())), LOOK)
    yield _single(
        "note", "With something to know", "they are fine, and the reason says what was seen", found.notes, LOOK
    )
    for verdict, (title, meaning) in BROKEN.items():
        rows = [row for row in found.set_aside if verdict == _kind_of(row)]
        yield _single(f"broken_{verdict}", title, meaning, rows, ASIDE)


def _kind_of(row: SetAside) -> str:
    return "by_hand" if row.verdict in USABLE or row.verdict not in BROKEN else row.verdict


def _single(kind: str, title: str, meaning: str, rows: Iterable[SetAside], actions: tuple[str, ...]) -> Card:
    reasons = {row.id: row.reason for row in rows}
    return Card(kind, title, meaning, tuple((image,) for image in reasons), actions, reasons)


def _without(card: Card, ignored: set[str]) -> Card:
    """The card without the groups of which every picture is ignored; a new copy brings its group back."""
    left = tuple(group for group in card.groups if not ignored.issuperset(group))
    count = len(card.groups) - len(left)
    return Card(card.kind, card.title, card.meaning, left, card.actions, card.reasons, count)


# --- Acting on what Verify found: set pictures aside, take them back, keep one of each group -------------------------


def set_aside(workspace: Workspace, image_ids: Iterable[str]) -> int:
    """Take pictures out of use; their files stay where they are. Returns how many were in use before.

    Raises StoreError for an unknown image, and then nothing changes.
    """
    return len(workspace.store.decide_all(image_ids, "set_aside", _aside))


def restore(workspace: Workspace, image_ids: Collection[str]) -> int:
    """Take back what was set aside, with its label and split; what could not be read counts as new, and is checked
    again. Returns how many. Errors as in :func:`set_aside`.
    """
    images = workspace.store.images("set_aside")
    usable = set(images[images["verdict"].isin(USABLE)]["id"])
    back = workspace.store.decide_all([image for image in image_ids if image in usable], "restore", _back)
    again = workspace.store.decide_all([image for image in image_ids if image not in usable], "restore", _again)
    return len(back) + len(again)


def keep_best(workspace: Workspace, groups: Iterable[Sequence[str]]) -> int:
    """Of each group of copies keep the first and set the others aside. Returns how many were set aside."""
    return set_aside(workspace, [image for group in groups for image in group[1:]])


def _aside(state: State) -> State:
    return State(state.labels, "set_aside", state.reason) if state.status in ("ok", "new") else state


def _back(state: State) -> State:
    return State(state.labels, "ok", state.reason) if state.status == "set_aside" else state


def _again(state: State) -> State:
    return State(state.labels, "new", state.reason) if state.status == "set_aside" else state
