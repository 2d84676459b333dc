"""Give a class another name, or merge it into another, for every image at once: journalled, undone as one step."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from cleaner.clean.decisions import decide_each
from pipeline.collect.entries import clean_label
from pipeline.errors import UsageError
from pipeline.labels import named
from pipeline.workspace.records import State, Wish
from pipeline.workspace.workspace import Workspace


@dataclass(frozen=True)
class Renaming:
    """What renaming ``old`` to ``new`` concerns: ``images`` in all, ``test`` of them of the test split, ``unused`` of
    them removed or set aside. ``merged`` images were called ``new`` before (0: it is a new name).
    """

    old: str
    new: str
    images: int
    test: int
    unused: int
    merged: int

    @property
    def words(self) -> str:
        """What happens, in a sentence or two."""
        parts = [f"{self.test:,} of the test split"] if self.test else []
        parts += [f"{self.unused:,} out of use"] if self.unused else []
        some = f" ({' and '.join(parts)} among them)" if parts else ""
        what = "image is" if self.images == 1 else "images are"
        joins = f"and join the {self.merged:,} that are called {self.new} already" if self.merged else "a new name"
        return f"{self.images:,} {what} called {self.old}{some}. They become {self.new}, {joins}."


def plan(workspace: Workspace, old: str, new: str) -> Renaming:
    """What :func:`rename` would do. Raises UsageError where no image carries ``old`` or both are the same, SourceError
    where ``new`` cannot be a class name.
    """
    old, new = old.strip(), clean_label(new)
    images = workspace.store.images()
    mine = _called(images, old)
    if mine.empty:
        raise UsageError(f"No image is called {old or 'that'}. Choose a class that is there.")
    if old == new:
        raise UsageError(f"{old} is its name already. Write another one.")
    return Renaming(
        old,
        new,
        len(mine),
        test=int((mine["split"] == "test").sum()),
        unused=int(mine["status"].isin(["removed", "set_aside"]).sum()),
        merged=len(_called(images, new)),
    )


def rename(workspace: Workspace, old: str, new: str) -> Renaming:
    """Call every image of class ``old`` by ``new`` instead, those of the test split and those out of use too: a name
    is a name. Where ``new`` exists the two classes become one. What an image was called first stays on record.

    One batch of the journal. Errors as in :func:`plan`.
    """
    planned = plan(workspace, old, new)

    def renamed(state: State) -> State:
        names = {planned.new if name == planned.old else name for name in state.labels}
        return State(tuple(sorted(names)), state.status, state.reason)

    ids = _called(workspace.store.images(), planned.old)["id"].astype(str)
    decide_each(workspace, [Wish(image, "rename", renamed) for image in ids])
    return planned


def _called(images: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of the store's table whose label is ``name``, or has it among others."""
    return images[images["label"].map(lambda label: isinstance(label, str) and name in named(label)).astype(bool)]
