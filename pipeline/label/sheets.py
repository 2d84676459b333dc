"""Sheets: some twenty alike pictures without a label, named at once; the next one is what helps most.

First come pictures that lie close together, which are probably of one class, until each region has a label. Then the
head that was fitted to what is labelled says what each of the others is, and the sheet is the class and the number of
its pictures for which a look at them brings most: labels an action, where naming the sheet is one action and striking
out a picture that does not belong is another. (Centres first and doubt later is what Hacohen et al. 2022, TypiClust,
and Gupte et al. 2024, arXiv 2401.14555, found best with few labels.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.nn.functional import normalize

from pipeline.errors import StoreError, UsageError
from pipeline.label.features import Seen, look, seen
from pipeline.labels import classes_of, clean_labels, named
from pipeline.model.head import Head, fit_head
from pipeline.model.losses import targets_of
from pipeline.predict import NONE, SEVERAL, Outputs
from pipeline.settings import check_count
from pipeline.stage import run
from pipeline.workspace.database import now
from pipeline.workspace.ids import by_beginning
from pipeline.workspace.records import IN_USE, LABEL, Refusal, State, Wish
from pipeline.workspace.workspace import Workspace

SIZE = 20
LARGEST = 200
# Regions are about so large, and so many are looked at before a head is asked: measured on the starter set, CIFAR-10
# and groceries (benchmarks/labelling.py).
IN_A_REGION, REGIONS_FIRST = 12, 25
# Among so many pictures regions are looked for, and so many learn: an answer comes in less than a second.
AMONG, LEARN = 4_000, 2_000
ROUNDS, ITERATIONS = 10, 40
# The head is never taken to be surer than this.
SUREST = 0.98

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Sheet:
    """The ids of alike ``images`` without a label, the surest first, and what they probably are (None: not known).

    ``copies``: how many further pictures are the same as one of them, and will be called alike. ``likely``: the
    classes that there are, the likeliest first; none where the head was not asked.
    """

    id: str
    images: tuple[str, ...]
    suggested: str | None = None
    copies: int = 0
    likely: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answered:
    """What an answer did: ``named`` pictures got the label; ``refused`` of the sheet had one meanwhile, or were taken
    out of use. ``labelled`` and ``left``: how many pictures in use have a label now, and have none.
    """

    named: int
    labelled: int
    left: int
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lesson:
    """Of the pictures that somebody named, as many as a head learns from in a moment: ``features`` [L, F], ``targets``
    ([L] or [L, C]) among the ``classes`` [C], and duplicate ``groups`` [L]. ``named``: how many there are in all.
    """

    features: torch.Tensor
    targets: torch.Tensor
    groups: Sequence[str]
    classes: tuple[str, ...]
    outputs: Outputs
    named: int

    def head(self, rows: Numbers | None = None) -> Head:
        """A head that learnt from all of it, or from ``rows`` of it."""
        return fit_head([self.features], self.targets, len(self.classes), rows=rows, iterations=ITERATIONS)


@dataclass(frozen=True)
class Heap:
    """The pictures that were looked at: ``seen``, and of each its ``label`` ("" for none), its duplicate ``group``, and
    whether it is ``free``: without a label, and the first of its group that is. ``by_model``: those whose label is the
    model's.
    """

    seen: Seen
    label: list[str]
    group: list[str]
    free: Numbers
    by_model: Collection[str]

    @classmethod
    def of(cls, workspace: Workspace, found: Seen) -> Heap:
        """What there is now."""
        images = workspace.store.images("ok").set_index("id", drop=False).reindex(found.ids)
        label = [str(one) if isinstance(one, str) else "" for one in images["label"]]
        group = [
            str(one) if isinstance(one, str) else image for one, image in zip(images["group"], found.ids, strict=True)
        ]
        first = {name: row for row, name in reversed(list(enumerate(group))) if not label[row]}
        free = np.array(sorted(first.values()), dtype=np.int64)
        return cls(found, label, group, free, workspace.store.journal.by_model())

    def lesson(self) -> Lesson:
        """What there is to learn from; a label of the model's is nothing to learn from."""
        rows = np.array(
            [n for n, label in enumerate(self.label) if label and self.seen.ids[n] not in self.by_model], dtype=np.int64
        )
        labels = [self.label[row] for row in rows]
        outputs = Outputs("sigmoid", True) if any(SEVERAL in label for label in labels) else Outputs()
        classes = classes_of(labels, outputs)
        some = np.sort(np.random.default_rng(0).permutation(len(rows))[:LEARN])
        taught = [labels[number] for number in some]
        targets = targets_of(taught, classes, outputs) if taught else torch.zeros(0, dtype=torch.int64)
        groups = [self.group[row] for row in rows[some]]
        return Lesson(torch.from_numpy(self.seen.features[rows[some]]), targets, groups, classes, outputs, len(rows))

    def copies(self, images: Collection[str]) -> list[str]:
        """The pictures without a label that are the same as one of these, these left out."""
        groups = {name for name, image in zip(self.group, self.seen.ids, strict=True) if image in images}
        return [
            image
            for image, name, label in zip(self.seen.ids, self.group, self.label, strict=True)
            if name in groups and not label and image not in images
        ]


def next_sheet(workspace: Workspace, size: int = SIZE, wait: bool = True) -> Sheet | None:
    """The pictures to name next, or None where all have a label. At first every picture is looked at, which takes about
    10 ms each; with ``wait`` False, only those are considered that were (see :func:`look`).

    >>> heap = w.Workspace.create("unnamed")
    >>> imported = w.run(w.import_images(heap, w.ImportConfig("heap")))
    >>> len(w.next_sheet(heap, size=2).images)
    2
    """
    check_count(size, "The number of pictures on a sheet")
    if size > LARGEST:
        raise UsageError(f"A sheet holds {LARGEST} pictures at most.")
    found = run(look(workspace)) if wait else seen(workspace)
    heap = Heap.of(workspace, found)
    if not len(heap.free):
        return None
    told = answered(workspace)
    region = _region(heap, told, size)
    # With several labels a picture a head takes seconds: it is asked only where the sheet depends on it.
    slow = region is not None and any(SEVERAL in label for label in heap.label)
    classes, likely = ((), np.zeros((len(heap.free), 0))) if slow else answers(heap, told)
    sheet = region or _likely(heap, classes, likely, size)
    images = tuple(heap.seen.ids[row] for row in sheet[0])
    name = hashlib.sha256(json.dumps([images, sheet[1]]).encode()).hexdigest()[:16]
    with workspace.store.database.transaction() as db:
        row = (name, json.dumps(images), sheet[1], now())
        db.execute("INSERT OR IGNORE INTO sheets (id, images, suggested, at) VALUES (?, ?, ?, ?)", row)
    order = np.argsort(-likely[np.isin(heap.free, sheet[0])].sum(axis=0), kind="stable")
    return Sheet(name, images, sheet[1], len(heap.copies(set(images))), tuple(classes[number] for number in order))


def answer(workspace: Workspace, sheet: Sheet | str, label: str, but: Collection[str] = ()) -> Answered:
    """Call the pictures of a sheet (or of its id) ``label``, all ``but`` some that are something else, in one step of
    the journal; with each go the pictures that Verify found to be the same one. A new name makes a new class.

    Those struck out have no label yet, and will not be suggested for that one again. Raises UsageError for an unknown
    sheet, or where one of ``but`` is not on it; SourceError where ``label`` cannot be a class name.

    >>> heap = w.Workspace.create("unnamed")
    >>> imported = w.run(w.import_images(heap, w.ImportConfig("heap")))
    >>> sheet = w.next_sheet(heap)
    >>> w.answer(heap, sheet, "apple", but=sheet.images[1:]).left
    3
    """
    wanted = _sheet(workspace, sheet)
    but = {by_beginning(image, wanted.images, "picture", UsageError, where="on this sheet") for image in but}
    named_so = tuple(clean_labels(label, SEVERAL).split(SEVERAL))
    images = workspace.store.images("ok").set_index("id", drop=False)
    group = {str(row.id): str(row.group) if isinstance(row.group, str) else str(row.id) for row in images.itertuples()}
    chosen = [image for image in wanted.images if image not in but]
    groups = {group[image] for image in chosen if image in group} - {group.get(image) for image in but}
    copies = images["id"].map(group).isin(groups) & images["label"].isna() & ~images["id"].isin(wanted.images)

    refused: list[Refusal] = []
    ids = [*chosen, *(str(image) for image in images["id"][copies])]
    done = workspace.store.journal.decide([first_label(image, LABEL, named_so) for image in ids], refused)
    with workspace.store.database.transaction() as db:
        told = (SEVERAL.join(named_so), done[0].id if done else None, wanted.id)
        db.execute("UPDATE sheets SET label = ?, decision = ? WHERE id = ?", told)
    labelled, left = counts(workspace)
    return Answered(len(done), labelled, left, tuple(one.image for one in refused))


def first_label(image: str, action: str, labels: tuple[str, ...]) -> Wish:
    """The wish that a picture without a label gets these."""

    def called(state: State) -> State:
        if state.labels or state.status not in IN_USE:
            raise StoreError("It has a label by now, or is out of use.")
        return replace(state, labels=labels)

    return Wish(image, action, called)


def counts(workspace: Workspace) -> tuple[int, int]:
    """How many pictures in use have a label, and how many have none."""
    images = workspace.store.images()
    labels = images["label"][images["status"].isin(IN_USE)]
    return int(labels.notna().sum()), int(labels.isna().sum())


# --- what was answered ----------------------------------------------------------------------------------------------


def _sheet(workspace: Workspace, sheet: Sheet | str) -> Sheet:
    name = sheet if isinstance(sheet, str) else sheet.id
    with workspace.store.database.transaction(write=False) as db:
        ids = [row["id"] for row in db.execute("SELECT id FROM sheets")]
        found = by_beginning(name, ids, "sheet", UsageError)
        row = db.execute("SELECT images, suggested FROM sheets WHERE id = ?", (found,)).fetchone()
    return Sheet(found, tuple(json.loads(row["images"])), row["suggested"])


def answered(workspace: Workspace) -> Mapping[str, frozenset[str]]:
    """image -> what it was said not to be, for all that were on a sheet that was answered, as far as that stands."""
    undone = workspace.store.journal.undone()
    found: dict[str, frozenset[str]] = {}
    with workspace.store.database.transaction(write=False) as db:
        for row in db.execute("SELECT images, label, decision FROM sheets WHERE label IS NOT NULL ORDER BY at"):
            if row["decision"] not in undone:
                for image in json.loads(row["images"]):
                    found[image] = found.get(image, frozenset()) | named(row["label"])
    return found


# --- which pictures -------------------------------------------------------------------------------------------------


def _region(heap: Heap, told: Collection[str], size: int) -> tuple[list[int], None] | None:
    """The tightest region in which nothing was named or shown, around its most typical picture; None where enough were
    named, or there is no such region.
    """
    taken = np.array([bool(label) or image in told for label, image in zip(heap.label, heap.seen.ids, strict=True)])
    classes = {label for label in heap.label if label}
    enough = min(IN_A_REGION * REGIONS_FIRST * 0.8, 0.4 * len(taken))
    if len(classes) > 1 and taken.sum() >= enough:
        return None
    some = np.sort(np.random.default_rng(0).permutation(len(taken))[:AMONG])
    features = torch.from_numpy(heap.seen.features[some])
    ways = normalize(features - features.mean(dim=0), dim=1)
    regions = _regions(ways, max(2, len(some) // IN_A_REGION))
    free, best = np.isin(some, heap.free), None
    for region in range(int(regions.max(initial=-1)) + 1):
        inside = np.flatnonzero(regions == region)
        mine = inside[free[inside]]
        if taken[some[inside]].any() or len(mine) < min(3, len(heap.free)):
            continue
        alike = ways[mine] @ ways[mine].T
        if best is None or float(alike.mean()) > best[0]:
            typical = int(alike.mean(dim=1).argmax())
            best = float(alike.mean()), mine[alike[typical].argsort(descending=True, stable=True).numpy()]
    if best is None:
        return None if len(classes) > 1 else ([int(row) for row in heap.free[:size]], None)
    return [int(row) for row in some[best[1][:size]]], None


def _regions(ways: torch.Tensor, count: int) -> Numbers:
    """[N]: the region, of at most ``count``, of each picture by the directions ``ways`` [N, F] of its features:
    k-means, begun as k-means++ (Arthur and Vassilvitskii 2007), the same each time.
    """
    chance, first = np.random.default_rng(0), [0]
    far = 2 - 2 * (ways @ ways[0]).double().numpy()
    while len(first) < count and (far := np.maximum(far, 0)).sum() > 1e-9:
        first.append(int(chance.choice(len(ways), p=far / far.sum())))
        far = np.minimum(far, 2 - 2 * (ways @ ways[first[-1]]).double().numpy())
    centres = ways[first]
    for _ in range(ROUNDS):
        nearest = (ways @ centres.T - centres.square().sum(dim=1) / 2).argmax(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, ways)
        sizes = torch.bincount(nearest, minlength=len(centres))[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return np.asarray((ways @ centres.T - centres.square().sum(dim=1) / 2).argmax(dim=1).numpy(), dtype=np.int64)


def _likely(
    heap: Heap, classes: Sequence[str], likely: np.ndarray[Any, Any], size: int
) -> tuple[list[int], str | None]:
    """The pictures of one class, the surest first, and as many as bring most labels an action; ``likely`` as
    :func:`answers` says.
    """
    if not classes:
        return [int(row) for row in heap.free[:size]], None
    best: tuple[float, list[int], str] | None = None
    top, sure = likely.argmax(axis=1), np.minimum(likely.max(axis=1), SUREST)
    for number, name in enumerate(classes):
        mine = np.flatnonzero(top == number)
        mine = mine[np.argsort(-sure[mine], kind="stable")][:size]
        if len(mine):
            brought = np.cumsum(sure[mine]) / (1 + np.cumsum(1 - sure[mine]))
            count = int(brought.argmax()) + 1
            if best is None or brought[count - 1] > best[0]:
                best = float(brought[count - 1]), [int(row) for row in heap.free[mine[:count]]], name
    assert best is not None  # every free picture is likeliest of some class
    return best[1], best[2]


def answers(heap: Heap, told: Mapping[str, frozenset[str]]) -> tuple[tuple[str, ...], np.ndarray[Any, Any]]:
    """(classes, [n, C]): how likely each free picture is of each class, by a head that learnt from what somebody named;
    what a person said it is not has no chance. No classes where nothing was named.
    """
    lesson = heap.lesson()
    classes = lesson.classes
    if not classes:
        return (), np.zeros((len(heap.free), 0))
    free = torch.from_numpy(heap.seen.features[heap.free])
    likely = lesson.outputs.probabilities(lesson.head()(free)).double().numpy()
    for row, number in enumerate(heap.free):
        for name in told.get(heap.seen.ids[number], ()):
            if name in classes and name != NONE:
                likely[row, classes.index(name)] = 0.0
    if lesson.outputs.kind == "softmax":
        likely /= np.maximum(likely.sum(axis=1, keepdims=True), 1e-12)
    return classes, likely
