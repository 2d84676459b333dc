"""The model's word for the pictures that nobody looked at, as far as it can be promised that few of it are wrong.

What is promised is an upper limit: how often heads are wrong on labelled pictures that they did not learn from, those
counted more that are as sure as the pictures in question, with what chance may hide there and among those in question
(one-sided, 95 %). The surest are taken, as many as the promise holds for. What a person struck from a sheet is
never among them: of such a picture the head is surely wrong once. Labelled pictures were chosen by sheets, not by
chance: a sample of what is to be taken is there to be looked at before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import UsageError
from pipeline.label.features import look, seen
from pipeline.label.sheets import Heap, Lesson, answered, answers, counts, first_label
from pipeline.model.out_of_fold import FOLDS, fold_of
from pipeline.settings import is_countable
from pipeline.stage import run
from pipeline.verify.scenes import known_scenes
from pipeline.workspace.records import ACCEPT
from pipeline.workspace.workspace import Workspace

WRONG_AT_MOST = 0.01
TO_CHECK = 30
STEPS, BINS, IN_A_BIN = 20, 8, 10
ONE_SIDED = 1.6449  # 95 % of a normal distribution lie below
FEWEST_LABELLED = 30


@dataclass(frozen=True)
class Rest:
    """``labels``: id -> the class that the model gives a picture, for as many pictures without a label as it can be
    promised of that at most ``wrong`` (0 to 1) are wrong; ``sample``: some of them, drawn at random, to look at first.
    ``left``: how many have no label and are not among them; ``reason``: why none is, or more are not.
    """

    labels: Mapping[str, str]
    wrong: float
    sample: tuple[str, ...]
    left: int
    reason: str = ""

    @property
    def words(self) -> str:
        """What is offered, in a sentence."""
        if not self.labels:
            return self.reason
        return (
            f"The model's word can be taken for {len(self.labels):,} pictures, of which at most {100 * self.wrong:.1f} "
            f"% will be wrong. {self.left:,} are left to look at."
        )


def rest(workspace: Workspace, wrong_at_most: float = WRONG_AT_MOST, wait: bool = True) -> Rest:
    """For which pictures the model's word can be taken with at most ``wrong_at_most`` (0 to 1) of it wrong. Nothing is
    changed. Pictures that are to be in test, and what is the same as or was taken together with one in test, are never
    among them. Raises UsageError for a share that is none.

    >>> w.rest(ws).words
    'All pictures have a label.'
    """
    if not is_countable(wrong_at_most) or not 0 < wrong_at_most < 1:
        raise UsageError("The share that may be wrong is more than 0 and less than 1: 0.01 is one of a hundred.")
    heap = Heap.of(workspace, run(look(workspace)) if wait else seen(workspace))
    left = counts(workspace)[1]
    lesson = heap.lesson()
    if lesson.outputs.kind == "sigmoid":
        return Rest({}, 0.0, (), left, "Pictures here have several labels: the model's word is not taken for those.")
    if lesson.named < FEWEST_LABELLED or len(lesson.classes) < 2 or not len(heap.free):
        reason = (
            "All pictures have a label." if not left else "Too few pictures have a label to say how sure the rest is."
        )
        return Rest({}, 0.0, (), left, reason)
    struck = answered(workspace)
    names, likely = answers(heap, struck)
    sure, right = _held_out(lesson)
    near = _near_test(workspace) | set(struck)
    order = np.argsort(-likely.max(axis=1), kind="stable")
    order = order[[heap.seen.ids[int(heap.free[row])] not in near for row in order]]
    found, promised = 0, 0.0
    for count in np.unique(np.linspace(0, len(order), STEPS + 1).astype(int))[1:]:
        wrong = upper_limit(likely[order[:count]].max(axis=1), sure, right)
        if wrong <= wrong_at_most:
            found, promised = int(count), wrong
    taken = [int(heap.free[row]) for row in order[:found]]
    called = {heap.group[number]: names[int(likely[row].argmax())] for number, row in zip(taken, order, strict=False)}
    whole = {
        image: called[group]
        for image, group, label in zip(heap.seen.ids, heap.group, heap.label, strict=True)
        if not label and group in called
    }
    drawn = np.random.default_rng(found).permutation(sorted(heap.seen.ids[number] for number in taken))[:TO_CHECK]
    more = "" if found == len(order) else f"Of more than these, over {100 * wrong_at_most:g} % may be wrong."
    if not found:
        more = f"That at most {100 * wrong_at_most:g} % are wrong cannot be promised yet: name more sheets."
    return Rest(whole, promised, tuple(str(one) for one in drawn), left - len(whole), more)


def accept_rest(workspace: Workspace, wrong_at_most: float = WRONG_AT_MOST, offered: Rest | None = None) -> int:
    """Give the pictures of :func:`rest` (or of the one that was ``offered``) the model's label, in one step of the
    journal; returns how many got it, 0 where nothing can be promised. They are marked as the model's until somebody
    looks at them, and never come into test.

    >>> heap = w.Workspace.create("unnamed")
    >>> imported = w.run(w.import_images(heap, w.ImportConfig("heap")))
    >>> w.accept_rest(heap, 0.01)
    0
    """
    offer = offered or rest(workspace, wrong_at_most)
    wishes = [first_label(image, ACCEPT, (label,)) for image, label in offer.labels.items()]
    return len(workspace.store.journal.decide(wishes, []))


def _held_out(lesson: Lesson) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """How sure heads are of pictures whose fold they did not learn from, and whether they are right, [L] each; no fold
    cuts a duplicate group.
    """
    folds = np.array([fold_of(group) for group in lesson.groups])
    sure, right = np.zeros(len(folds)), np.zeros(len(folds), dtype=bool)
    for fold in range(FOLDS):
        out, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if len(out) and len(others):
            likely = lesson.head(others)(lesson.features[out]).softmax(dim=1)
            sure[out] = likely.max(dim=1).values.numpy()
            right[out] = (likely.argmax(dim=1) == lesson.targets[out]).numpy()
    return sure, right


def _near_test(workspace: Workspace) -> set[str]:
    """What is or will be in test, is the same as such a picture, or was taken together with one."""
    images = workspace.store.images()
    scenes = images["id"].map(known_scenes(workspace).names)
    there = (images["split"] == "test") | (images["split"].isna() & (images["given_split"] == "test"))
    near = there | images["group"].isin(images["group"][there].dropna()) | scenes.isin(scenes[there].dropna())
    return set(images["id"][near].astype(str))


def upper_limit(asked: np.ndarray[Any, Any], sure: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """The one-sided 95 % limit of how many of the pictures that are ``asked`` [n] sure are wrong, from 0 to 1, by
    pictures that are ``sure`` [N] and of which it is known whether the answer was ``right`` [N]: these are weighted so
    that as many of them are as sure. Wilson's limit, for the difference between two samples: few pictures may be wrong
    by chance, too. 1 where there is nothing to compare with.
    """
    inside = sure >= float(asked.min())
    sure, right = sure[inside], right[inside]
    bins = max(1, min(BINS, len(asked) // IN_A_BIN, len(sure) // IN_A_BIN))
    edges = np.unique(np.quantile(asked, np.linspace(0, 1, bins + 1)))[1:-1]
    shares = np.bincount(np.searchsorted(edges, asked), minlength=len(edges) + 1) / len(asked)
    which = np.searchsorted(edges, sure)
    there = np.bincount(which, minlength=len(edges) + 1)
    if not len(sure) or bool(((shares > 0) & (there == 0)).any()):
        return 1.0
    weights = shares[which] / there[which]
    count, rate = 1 / (float(np.square(weights).sum()) + 1 / len(asked)), float(weights[~right].sum())
    z = ONE_SIDED
    middle = rate + z * z / (2 * count)
    return float(
        (middle + z * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))) / (1 + z * z / count)
    )
