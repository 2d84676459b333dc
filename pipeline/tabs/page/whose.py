"""Whose workspaces a page may see: those of the one person who runs the app, or those of a visitor of a public demo."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import gradio as gr
from gradio.utils import get_upload_folder

from pipeline.workspace.limits import Limits
from pipeline.workspace.workspace import Workspace


class Whose(Protocol):
    """Who asks now, and what is theirs; ``limits`` are those of each visitor (None: no limits)."""

    @property
    def limits(self) -> Limits | None:
        """What each may do at most."""
        ...

    def first(self) -> Path:
        """The folder of the default workspace of whoever asks now; its siblings are theirs, and nothing else is.

        Raises WorkspaceError where it is not known who asks.
        """
        ...

    def uploads(self) -> Path:
        """Where their uploads are kept."""
        ...

    def received(self) -> Path:
        """Where what they send arrives; nobody else's uploads lie there."""
        ...

    def outgoing(self) -> Path:
        """Where their browser may fetch a file that was made for them."""
        ...

    def serve(self, workspace: Workspace) -> None:
        """Let their browser fetch the thumbnails, which are pictures we encoded ourselves, and nothing else."""
        ...


@dataclass(frozen=True)
class OnePerson:
    """Everybody who comes in is the same person: the one whose default workspace is ``root``, which is there."""

    root: Path
    _served: set[Path] = field(default_factory=set)

    @property
    def limits(self) -> Limits | None:
        """None."""
        return None

    def first(self) -> Path:
        """``root``."""
        return self.root

    def uploads(self) -> Path:
        """The machine's folder for temporary files."""
        return Path(tempfile.gettempdir())

    def received(self) -> Path:
        """Gradio's folder for uploads."""
        return Path(get_upload_folder())

    def outgoing(self) -> Path:
        """The same."""
        return Path(get_upload_folder())

    def serve(self, workspace: Workspace) -> None:
        """Gradio serves the folder of the thumbnails from now on."""
        if workspace.thumbnails not in self._served:
            self._served.add(workspace.thumbnails)
            gr.set_static_paths([workspace.thumbnails])


def one_person(root: Path) -> OnePerson:
    """Whoever runs the app, with the workspace at ``root`` (made if missing). Raises WorkspaceError."""
    return OnePerson(Workspace.create(root).root)
