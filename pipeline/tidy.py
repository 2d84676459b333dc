"""Acting on what Verify found: set pictures aside, take them back, keep one of each group; journalled, undoable."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pipeline.workspace.records import State
from pipeline.workspace.workspace import Workspace

USABLE = ("ok", "suspect")


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
