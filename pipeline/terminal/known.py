"""What a workspace calls its pictures: the names that their sources gave them, and ids that one can type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.workspace.workspace import Workspace


@dataclass(frozen=True)
class Picture:
    """A picture in a table: the ``id`` that every command takes, its ``name``, and its ``label`` of today."""

    id: str
    name: str
    label: str = ""


@dataclass(frozen=True)
class Known:
    """The pictures of the workspace at ``root``; None for a command without one, which knows no names."""

    root: str | Path | None = None

    def pictures(self, ids: Iterable[str]) -> dict[str, Picture]:
        """id -> how the picture is shown. An unknown one is shown by its id."""
        wanted = list(dict.fromkeys(ids))
        if self.root is None or not wanted:
            return {one: Picture(one[:12], one[:12]) for one in wanted}
        store = Workspace.open(self.root).store
        rows = {str(row["id"]): row for row in store.images_of(wanted).to_dict("records")}
        short = store.short_ids(rows)
        return {
            one: Picture(short[one], str(row["source_name"] or one[:12]), str(row["label"] or ""))
            if (row := rows.get(one))
            else Picture(one[:12], one[:12])
            for one in wanted
        }
