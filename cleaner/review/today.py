"""A run's answers as they look today: judged by the labels of today, read by the class names of today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from cleaner.review.review import judged
from pipeline.labels import known, named
from pipeline.predict import NONE, SEVERAL
from pipeline.workspace.records import IN_USE
from pipeline.workspace.runs import Run
from pipeline.workspace.store import SPLITS
from pipeline.workspace.workspace import Workspace

# In place of a split: all of them together.
EVERY = "every"


@dataclass(frozen=True)
class Today:
    """``table``: a row for each image that ``run`` answered and that is still in use: id, file, split, label,
    predicted, probability, loss, wrong, changed (its label is another than when trained, renamed classes aside),
    unknown (its label names a class that the run does not know).

    ``renamed``: class of the run -> what all of its images are called today, where nothing has the old name any more.
    ``vanished``: classes of the run that no image has any more, and that did not become one other class. ``gone``: how
    many images of each split were removed, set aside or left without a label since.
    """

    run: Run
    table: pd.DataFrame
    renamed: Mapping[str, str] = field(default_factory=dict)
    vanished: tuple[str, ...] = ()
    gone: Mapping[str, int] = field(default_factory=dict)

    def on(self, split: str) -> pd.DataFrame:
        """The rows of one split, or of "every"."""
        return self.table if split == EVERY else self.table[self.table["split"] == split]

    def gone_from(self, split: str) -> int:
        """How many images of one split, or of "every", are gone."""
        return sum(self.gone.values()) if split == EVERY else self.gone.get(split, 0)


def today(workspace: Workspace, run: Run, images: pd.DataFrame | None = None, out_of_fold: bool = False) -> Today:
    """How the answers of ``run`` look today. Raises RunError where its predictions cannot be read.

    ``images``: those of the store, where they were read already; ``out_of_fold``: whether images of the valid split,
    too, are answered by heads that did not learn from them.
    """
    then = run.predictions()
    if out_of_fold:
        then = pd.concat([run.out_of_fold(), then[then["split"] == "test"]], ignore_index=True)
    now = workspace.store.images() if images is None else images
    seen = judged(workspace, run, then, now)
    missing = _without_images(run, seen, now)
    became = {name: _became(seen, name) for name in missing}
    renamed = {name: new for name, new in became.items() if new}
    predicted, trained = (read(seen[column], renamed) for column in ("predicted", "trained_label"))
    answers = [renamed.get(name, name) for name in run.answers]
    labels = seen["label"].astype(str)
    every = labels.unique().tolist()
    strange = {label for label, fits in zip(every, known(every, answers), strict=True) if not fits}
    table = seen[["id", "file", "split", "label", "probability", "loss"]].assign(
        predicted=predicted,
        wrong=predicted != seen["label"],
        changed=trained != seen["label"],
        unknown=labels.isin(strange),
    )
    gone = {split: int((then["split"] == split).sum() - (seen["split"] == split).sum()) for split in SPLITS}
    return Today(run, table, renamed, tuple(name for name in missing if name not in renamed), gone)


def _without_images(run: Run, seen: pd.DataFrame, images: pd.DataFrame) -> list[str]:
    """The classes of the run that no image in use has any more."""
    candidates = set(run.classes) - _names(seen["label"]) - {NONE}
    if not candidates:
        return []
    candidates -= _names(images.loc[images["status"].isin(IN_USE), "label"].dropna())
    return [name for name in run.classes if name in candidates]


def _names(labels: pd.Series) -> set[str]:
    return {name for label in labels.astype(str).unique() for name in named(label)}


def _became(seen: pd.DataFrame, name: str) -> str:
    """What every image that had the class ``name`` at training has today; empty where that is not one class."""
    had = seen[[name in named(label) for label in seen["trained_label"].astype(str)]]
    if had.empty:
        return ""
    now = frozenset.intersection(*(named(label) for label in had["label"].astype(str)))
    before = frozenset.intersection(*(named(label) for label in had["trained_label"].astype(str)))
    new = now - before if len(now) > 1 else now
    return next(iter(new)) if len(new) == 1 else ""


def read(labels: pd.Series, renamed: Mapping[str, str]) -> pd.Series:
    """``labels`` (several joined by ``|``) in the names of today; ``renamed``: old name -> new one."""
    if not renamed:
        return labels
    fresh = {
        label: SEVERAL.join(sorted({renamed.get(name, name) for name in named(label)}))
        for label in labels.astype(str).unique()
    }
    return labels.astype(str).map(fresh)
