"""What may be wrong with pictures that were kept: a line a kind, that opens to the worst of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.quality import KINDS
from pipeline.tabs.show import count, escape, picture
from pipeline.workspace import Workspace

SHOWN = 24


def problems_view(workspace: Workspace, problems: Mapping[str, Sequence[str]]) -> str:
    """The kinds that were found with their numbers and thumbnails, as HTML; empty where there are none."""
    return "".join(_kind(workspace, kind, ids) for kind, ids in problems.items() if ids)


def _kind(workspace: Workspace, kind: str, ids: Sequence[str]) -> str:
    title, meaning = KINDS[kind]
    tiles = "".join(f"<figure>{picture(workspace.thumbnail(image), title)}</figure>" for image in ids[:SHOWN])
    more = f"<p class=w-hint>and {count(len(ids) - SHOWN, 'more picture')}</p>" if len(ids) > SHOWN else ""
    return (
        f'<details class="w-outcome" data-key="{escape(kind)}"><summary><b>{len(ids):,}</b> '
        f"<span>{escape(title)} <small>{escape(meaning)}</small></span></summary>"
        f'<div class="w-tiles w-small w-inside">{tiles}</div>{more}</details>'
    )
