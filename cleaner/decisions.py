"""Decide about an image, apply it at once, take it back: every step journalled, no file ever deleted."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.entries import SEVERAL, clean_labels
from pipeline.errors import StoreError, UsageError
from pipeline.records import Decision, State
from pipeline.workspace import Workspace


def keep(workspace: Workspace, image_id: str, expected: State | None = None) -> Decision:
    """Note that a person looked at the image and finds its label right; it changes nothing else.

    ``expected`` is the state the person saw: StaleDecision is raised, and nothing changes, where it is another by now.
    Raises StoreError for an unknown image, or one that is not in use.
    """
    return workspace.store.decide(image_id, "keep", _in_use, expected)


def relabel(workspace: Workspace, image_id: str, label: str, expected: State | None = None) -> Decision:
    """Give the image ``label`` in place of the one it has; a name that no image had so far makes a new class. Several
    labels are joined by ``|``.

    Errors as in :func:`keep`, and SourceError where ``label`` cannot be a class name.
    """
    names = tuple(clean_labels(label, SEVERAL).split(SEVERAL))
    return workspace.store.decide(
        image_id, "relabel", lambda state: State(names, _in_use(state).status, state.reason), expected
    )


def remove(workspace: Workspace, image_id: str, expected: State | None = None) -> Decision:
    """Take the image out of use and move its file to the trash. Errors as in :func:`keep`."""
    decision = workspace.store.decide(image_id, "remove", _removed, expected)
    _move_files(workspace, [decision])
    return decision


def restore(workspace: Workspace, image_id: str, expected: State | None = None) -> Decision:
    """Bring an image that was removed or set aside back into use, with its file and its label.

    What was not found usable comes back as 'new', so that verify looks at it again. Errors as in :func:`keep`.
    """
    status = "ok" if workspace.store.image(image_id)["verdict"] in ("ok", "suspect") else "new"
    decision = workspace.store.decide(image_id, "restore", lambda state: _restored(state, status), expected)
    _move_files(workspace, [decision])
    return decision


def undo(workspace: Workspace, count: int = 1) -> list[Decision]:
    """Take back the last ``count`` decisions that are not undone yet; returns them, newest first (fewer at the end)."""
    if count < 1:
        raise UsageError("The number of decisions to undo must be 1 or more.")
    undone = workspace.store.undo(count)
    _move_files(workspace, undone)
    return undone


def decisions(workspace: Workspace) -> list[Decision]:
    """The whole journal, oldest first, undone decisions included."""
    return workspace.store.decisions()


def _in_use(state: State) -> State:
    if state.status in ("removed", "set_aside"):
        raise StoreError(f"This image is {state.status.replace('_', ' ')}. Restore it first.")
    return state


def _removed(state: State) -> State:
    if state.status == "removed":
        raise StoreError("This image is removed already.")
    return State(state.labels, "removed", state.reason)


def _restored(state: State, status: str) -> State:
    if state.status not in ("removed", "set_aside"):
        raise StoreError("This image is in use; there is nothing to restore.")
    return State(state.labels, status, state.reason)


def _move_files(workspace: Workspace, changed: Iterable[Decision]) -> None:
    """Put the files where the store, already committed, says they belong.

    Readers ask Workspace.image_file, which finds a file in both places: being killed before this loses nothing.
    """
    for image_id in {decision.image for decision in changed}:
        image = workspace.store.image(image_id)
        move = workspace.to_trash if image["status"] == "removed" else workspace.from_trash
        try:
            move(image["file"])
        except OSError as error:
            raise StoreError(
                f"This is saved, but the image's file could not be moved: {error.strerror or error}. "
                "Nothing is lost; it is found where it lies."
            ) from error
