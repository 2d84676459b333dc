"""The cleaning queues that are open, kept up to date decision by decision instead of being ranked anew each time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from cleaner.clean.suspects import CLEANED, begin_of, doubt, renamed_since, suspects, unseen, usual_of
from pipeline.bounded import LastUsed
from pipeline.labels import named
from pipeline.predict import SEVERAL
from pipeline.workspace.journal import last_of
from pipeline.workspace.records import Decision
from pipeline.workspace.runs import MANIFEST, Run
from pipeline.workspace.workspace import Workspace

REMEMBERED = 4
TRIES = 3
SINGLE = ("keep", "relabel", "remove")
LIKELY = 10


class Queue:
    """The queue of one run: what :func:`suspects` says, followed along the journal.

    ``mark`` is the journal's when it was last brought up to date. ``rows`` are those of :func:`suspects` as of then,
    ``done`` the last decision about each of the queue's images that was decided on since the run,
    ``names`` the classes of the images in use, ``several`` whether any image of the queue has several labels.
    """

    def __init__(self, workspace: Workspace, run: Run, splits: Sequence[str] = CLEANED) -> None:
        self.run, self.splits = run, tuple(splits)
        self._began = begin_of(run)
        self._lock = threading.Lock()
        self._rank(workspace)

    def _rank(self, workspace: Workspace) -> None:
        """Rank everything anew."""
        for _ in range(TRIES):  # once more where somebody decided meanwhile
            self.mark = workspace.store.journal.mark()
            self._stamp = _stamp(workspace)
            journal = workspace.store.journal.decisions()
            self._ranked = suspects(workspace, self.run, self.splits)
            if workspace.store.journal.mark() == self.mark:
                break
        self._ranked_to = last_of(self.mark)
        self.__dict__.pop("_cleaned", None)
        groups = workspace.store.groups()
        sizes = Counter(groups.values())
        self._tied = {image for image, group in groups.items() if sizes[group] > 1}
        self._undone = workspace.store.journal.undone()
        self._renamed = renamed_since(self.run, journal)
        self._journal = {decision.id: decision for decision in journal}
        self._standing = Counter(
            d.image for d in self._journal.values() if d.id not in self._undone and self._counts(d)
        )
        self.several = any(SEVERAL in str(label) for label in self._ranked["label"].unique())
        self._settle(workspace)

    def _settle(self, workspace: Workspace) -> None:
        """Work out what the queue is now."""
        gone = {image for image, number in self._standing.items() if number > 0}
        self.rows = self._ranked[~self._ranked["id"].isin(gone)]
        standing = (d for d in self._journal.values() if d.image in gone and d.id not in self._undone)
        last = {decision.image: decision for decision in standing if self._counts(decision)}
        self.done = {image: decision for image, decision in last.items() if image in self._cleaned.index}
        self.names = list(workspace.store.class_counts())

    def update(self, workspace: Workspace, whole: bool = False) -> None:
        """Take in what was decided, undone and redone since; ``whole``: look also whether anything else in the store
        changed.

        Where a decision may change the place of other images (their copies), everything is ranked anew.
        """
        with self._lock:
            if whole and self._stamp != _stamp(workspace):
                self._rank(workspace)
                return
            mark = workspace.store.journal.mark()
            if mark == self.mark:
                return
            new = workspace.store.journal.decisions(after=last_of(self.mark))
            undone = workspace.store.journal.undone()
            back, again = (
                [self._journal[number] for number in numbers if number in self._journal]
                for numbers in (undone - self._undone, self._undone - undone)
            )
            self._journal |= {decision.id: decision for decision in new}
            if any(map(self._touches_others, new)) or any(
                decision.id <= self._ranked_to or self._touches_others(decision) for decision in (*back, *again)
            ):
                self._rank(workspace)
                return
            new_or_again = (*(decision for decision in new if decision.id not in undone), *again)
            self._standing.update(d.image for d in new_or_again if self._counts(d))
            self._standing.subtract(d.image for d in back if self._counts(d))
            self._undone, self.mark = undone, mark
            self._settle(workspace)

    def _touches_others(self, decision: Decision) -> bool:
        return decision.action not in SINGLE or decision.image in self._tied

    def _counts(self, decision: Decision) -> bool:
        return decision.action in SINGLE and datetime.fromisoformat(decision.at) >= self._began

    def only(self, label: str = "", split: str = "", kind: str = "") -> pd.DataFrame:
        """The rows of the images with that label, of that split and that kind of suspect (each empty: any), in the same
        order.
        """
        rows = self.rows
        if label:
            rows = rows[rows["label"].map(lambda names: label in named(str(names))).astype(bool)]
        if split:
            rows = rows[rows["split"] == split]
        return rows[rows["kind"] == kind] if kind else rows

    @property
    def moments(self) -> list[datetime]:
        """When each decision was made that stands and was made since the run, oldest first."""
        return [datetime.fromisoformat(decision.at) for decision in self.done.values()]

    def doubts(self) -> tuple[pd.Series, np.ndarray]:
        """Of the images decided on since the run: their score by the label that they were trained with, and whether
        they were found wrong: removed, or given another label.
        """
        done = self.done
        trained = self._cleaned.loc[list(done), "label"]
        pairs = zip(done.values(), trained, strict=True)
        wrong = [
            d.after.status == "removed" or {self._renamed.get(name, name) for name in d.after.labels} != named(label)
            for d, label in pairs
        ]
        return self.scores(done), np.array(wrong, dtype=bool)

    def scores(self, image_ids: Iterable[str]) -> pd.Series:
        """How much the run's answers speak against the label that each image was trained with, 0 to 1."""
        return self._cleaned.loc[list(image_ids), "score"]

    @cached_property
    def _cleaned(self) -> pd.DataFrame:
        """label and score of the images of the run that may be in the queue, by id."""
        table = unseen(self.run, self.splits, self._renamed).reset_index(drop=True)
        scores = doubt(table, self.run.outputs, usual_of(table))
        return pd.DataFrame({"label": table["label"], "score": scores}).set_index(table["id"])

    @cached_property
    def _likeliest(self) -> dict[str, list[int]]:
        """id -> the numbers of the likeliest classes, likeliest first."""
        table = self.run.predictions()
        columns = [name for name in table.columns if name.startswith("p:")]
        order = np.argsort(-table[columns].to_numpy(dtype=np.float32), axis=1, kind="stable")[:, :LIKELY]
        return dict(zip(table["id"].astype(str), order.tolist(), strict=True))

    def likely(self, image_id: str) -> list[str]:
        """The classes that the run finds likeliest for an image, likeliest first; at most LIKELY."""
        names = (self.run.classes[number] for number in self._likeliest[image_id])
        return list(dict.fromkeys(self._renamed.get(name, name) for name in names))


class Queues:
    """The queues that were asked for last. One object for all pages; several threads may share it."""

    def __init__(self) -> None:
        self._queues: LastUsed[tuple[str, str, int], Queue] = LastUsed(REMEMBERED)

    def open(self, workspace: Workspace, run: Run, whole: bool = False, splits: Sequence[str] = CLEANED) -> Queue:
        """The queue of a run, up to date. ``whole``: where anything in the store changed that is no decision, too."""
        key = (str(workspace.root), f"{run.id} {' '.join(splits)}", (run.folder / MANIFEST).stat().st_mtime_ns)
        queue = self._queues.get(key)
        if queue is None:
            queue = Queue(workspace, run, splits)
        else:
            queue.update(workspace, whole)
        self._queues.put(key, queue)
        return queue


def _stamp(workspace: Workspace) -> tuple[tuple[int, int], ...]:
    """What changes with every write to the store."""
    files = (workspace.database, Path(f"{workspace.database}-wal"))
    stats = [file.stat() for file in files if file.exists()]
    return tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)
