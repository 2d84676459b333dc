"""The pictures of a workspace at the terminal."""

from __future__ import annotations

from typing import Any

from pipeline.workspace.workspace import Workspace


def images_here(workspace: Workspace, status: str | None = None) -> list[dict[str, Any]]:
    """The store's rows as plain values, each with the ``path`` of its file as it lies now, from the workspace's folder
    (``file`` is its name below ``images``, wherever it lies).
    """
    rows = workspace.store.records(status)
    return [{**row, "path": workspace.image_file(row["file"]).relative_to(workspace.root).as_posix()} for row in rows]
