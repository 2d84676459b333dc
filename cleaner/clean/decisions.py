"""Decide about an image, apply it at once, take it back: every step journalled, no file ever deleted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from pipeline.errors import StoreError, UsageError
from pipeline.labels import clean_label, clean_labels, named
from pipeline.predict import SEVERAL
from pipeline.settings import check_count
from pipeline.workspace.records import IN_USE, USABLE, Decision, Refusal, State, Wish
from pipeline.workspace.workspace import Workspace


def keep(workspace: Workspace, image_id: str, expected: State | None = None) -> Decision:
    """Note that a person looked at the image and finds its label right; it changes nothing else.

    ``expected`` is the state the person saw: StaleDecision is raised, and nothing changes, where it is another by now.
    Raises StoreError for an unknown image, or one that is not in use.

    >>> image = w.suspects(ws, w.load_run(ws))["id"][0]
    >>> w.keep(ws, image).action
    'keep'
    """
    return decide(workspace, wish("keep", image_id, expected=expected))


def relabel(workspace: Workspace, image_id: str, label: str, expected: State | None = None) -> Decision:
    """Give the image ``label`` in place of the one it has; a name that no image had so far makes a new class. Several
    labels are joined by ``|``.

    Errors as in :func:`keep`, and SourceError where ``label`` cannot be a class name.

    >>> image = w.suspects(ws, w.load_run(ws))["id"][0]
    >>> w.relabel(ws, image, "quince").after.labels
    ('quince',)
    """
    return decide(workspace, wish("relabel", image_id, label, expected))


def remove(workspace: Workspace, image_id: str, expected: State | None = None) -> Decision:
    """Take the image out of use and move its file to the trash. Errors as in :func:`keep`.

    >>> image = w.suspects(ws, w.load_run(ws))["id"][0]
    >>> w.remove(ws, image).after.status
    'removed'
    """
    return decide(workspace, wish("remove", image_id, expected=expected))


def restore(workspace: Workspace, image_id: str, expected: State | None = None) -> Decision:
    """Bring an image that was removed or set aside back into use, with its file and its label.

    What was not found usable comes back as 'new', so that verify looks at it again. Errors as in :func:`keep`.

    >>> image = w.suspects(ws, w.load_run(ws))["id"][0]
    >>> w.remove(ws, image).after.status, w.restore(ws, image).after.status
    ('removed', 'ok')
    """
    status = "ok" if workspace.store.image(image_id)["verdict"] in USABLE else "new"

    def restored(state: State) -> State:
        if state.status in IN_USE:
            raise StoreError("This image is in use; there is nothing to restore.")
        return replace(state, status=status)

    return decide(workspace, Wish(image_id, "restore", restored, expected))


def wish(action: str, image_id: str, label: str = "", expected: State | None = None, known: int | None = None) -> Wish:
    """What a person wants for one image: keep, remove, or relabel to ``label``. ``expected`` and ``known`` say what
    they knew (see :class:`Wish`). Raises StoreError for another action, SourceError for what cannot be a class name.
    """
    if action not in ("keep", "remove", "relabel"):
        raise StoreError(f"There is no decision called {action!r}.")
    labels = tuple(clean_labels(label, SEVERAL).split(SEVERAL)) if action == "relabel" else ()

    def wanted(state: State) -> State:
        if action == "remove":
            if state.status == "removed":
                raise StoreError("This image is removed already.")
            return replace(state, status="removed")
        if state.status not in IN_USE:
            raise StoreError(f"This image is {state.status.replace('_', ' ')}. Restore it first.")
        return replace(state, labels=labels) if action == "relabel" else state

    return Wish(image_id, action, wanted, expected, known)


def decide(workspace: Workspace, wish: Wish) -> Decision:
    """Make one decision. Raises StaleDecision where the image is not as it was seen, StoreError where it cannot be."""
    [decision] = workspace.store.journal.decide([wish])
    _move_files(workspace, [decision])
    return decision


def decide_each(workspace: Workspace, wishes: Iterable[Wish]) -> tuple[list[Decision], list[Refusal]]:
    """Make many decisions at once, which one undo takes back. What cannot be done is told, and the others are done."""
    refused: list[Refusal] = []
    done = workspace.store.journal.decide(wishes, refused)
    _move_files(workspace, done)
    return done, refused


def undo(workspace: Workspace, count: int = 1) -> list[Decision]:
    """Take back the last ``count`` decisions that are not undone yet; returns them, newest first (fewer at the end).

    >>> for image in w.suspects(ws, w.load_run(ws))["id"][:3]:
    ...     decision = w.remove(ws, image)
    >>> [decision.action for decision in w.undo(ws, 2)]
    ['remove', 'remove']
    """
    check_count(count, "The number of decisions to undo")
    return _with_files(workspace, workspace.store.journal.undo(count))


def undo_step(workspace: Workspace, about: str | None = None) -> list[Decision]:
    """Take back the last decision that is not undone yet, and all that was decided in one go with it; returns them,
    newest first. ``about``: an image that it has to be about, else StaleDecision is raised.
    """
    return _with_files(workspace, workspace.store.journal.undo_step(about))


def undo_after(workspace: Workspace, decision_id: int, mark: str) -> list[Decision]:
    """Go back to the point after that decision (0: to the start); returns what was taken back, newest first.

    Raises StaleDecision where the journal changed since its ``mark``.
    """
    return _with_files(workspace, workspace.store.journal.undo_after(decision_id, mark))


def undo_these(workspace: Workspace, first: int, last: int) -> list[Decision]:
    """Take back the decisions numbered ``first`` to ``last`` alone. Raises StoreError where an image was decided on
    since.
    """
    return _with_files(workspace, workspace.store.journal.undo_these(first, last))


def redo(workspace: Workspace, count: int = 1) -> list[Decision]:
    """Redo the last ``count`` decisions that were taken back; returns them in that order (fewer at the end).

    Raises StaleDecision, and nothing changes, where something new was decided since they were taken back, or an image
    is no longer as it was then.

    >>> for image in w.suspects(ws, w.load_run(ws))["id"][:3]:
    ...     decision = w.remove(ws, image)
    >>> undone = w.undo(ws, 2)
    >>> [decision.undone for decision in w.redo(ws, 2)], w.redo(ws)
    ([False, False], [])
    """
    check_count(count, "The number of decisions to redo")
    return _with_files(workspace, workspace.store.journal.redo(count))


def redo_step(workspace: Workspace, about: str | None = None) -> list[Decision]:
    """Redo what was taken back last, and all that was decided in one go with it. ``about``: an image that it has to be
    about, else StaleDecision is raised. Errors as in :func:`redo`.
    """
    return _with_files(workspace, workspace.store.journal.redo_step(about))


def redo_to(workspace: Workspace, first: int, last: int, mark: str) -> list[Decision]:
    """Redo everything that was taken back, up to and with the decisions numbered ``first`` to ``last``. Raises
    StoreError where those cannot be redone, StaleDecision where the journal changed since its ``mark``, and errors as
    in :func:`redo`.
    """
    return _with_files(workspace, workspace.store.journal.redo_to(first, last, mark))


def decisions(workspace: Workspace) -> list[Decision]:
    """The whole journal, oldest first, undone decisions included.

    >>> decision = w.keep(ws, w.suspects(ws, w.load_run(ws))["id"][0])
    >>> [(decision.action, decision.undone) for decision in w.decisions(ws)]
    [('keep', False)]
    """
    return workspace.store.journal.decisions()


def _with_files(workspace: Workspace, changed: list[Decision]) -> list[Decision]:
    _move_files(workspace, changed)
    return changed


def _move_files(workspace: Workspace, changed: Iterable[Decision]) -> None:
    """Put the files where the store, already committed, says they belong.

    Readers ask Workspace.image_file, which finds a file in both places: being killed before this loses nothing.
    """
    moved = {d.image for d in changed if (d.before.status == "removed") != (d.after.status == "removed")}
    if not moved:
        return
    for image in workspace.store.images_of(moved).to_dict("records"):
        move = workspace.to_trash if image["status"] == "removed" else workspace.from_trash
        try:
            move(str(image["file"]))
        except OSError as error:
            raise StoreError(
                f"This is saved, but the image's file could not be moved: {error.strerror or error}. "
                "Nothing is lost; it is found where it lies."
            ) from error


# --- Give a class another name, or merge it into another, for every image at once: journalled, undone as one step ----


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

    >>> print(w.rename(ws, "melon", "honeydew").words)
    20 images are called melon (3 of the test split among them). They become honeydew, a new name.
    """
    planned = plan(workspace, old, new)

    def renamed(state: State) -> State:
        names = {planned.new if name == planned.old else name for name in state.labels}
        return replace(state, labels=tuple(sorted(names)))

    ids = _called(workspace.store.images(), planned.old)["id"].astype(str)
    decide_each(workspace, [Wish(image, "rename", renamed) for image in ids])
    return planned


def _called(images: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of the store's table whose label is ``name``, or has it among others."""
    return images[images["label"].map(lambda label: isinstance(label, str) and name in named(label)).astype(bool)]
