"""One collection at a time: importing, searching and downloading wait for one another."""

from __future__ import annotations

from pipeline.errors import UsageError
from pipeline.tabs.page.job_panel import running
from pipeline.workspace.workspace import Workspace

STAGES = ("import_images", "search", "download")


def collecting(workspace: Workspace) -> bool:
    """Whether pictures are being collected in a workspace right now."""
    return running(workspace, *STAGES) is not None


def one_at_a_time(workspace: Workspace) -> None:
    """Raises UsageError while pictures are being collected in a workspace."""
    if collecting(workspace):
        raise UsageError("Pictures are being collected already. Wait until that is done, or cancel it above.")
