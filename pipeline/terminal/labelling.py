"""A heap of pictures at the terminal: the next sheet, an answer to it, and the model's word for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.errors import UsageError
from pipeline.label.features import look
from pipeline.label.rest import Rest, accept_rest, rest
from pipeline.label.sheets import Sheet, answer, counts, next_sheet
from pipeline.terminal.show import InWords, run_and_show
from pipeline.workspace.workspace import Workspace


def sheet_here(workspace: Workspace, size: int) -> InWords:
    """The next sheet, and how many pictures have a label and have none."""
    run_and_show(look(workspace))
    return _shown(workspace, next_sheet(workspace, size), ())


def label_here(
    workspace: Workspace, sheet: str | None, label: str | None, but: Sequence[str], wrong: float | None, size: int
) -> InWords:
    """An answer, or the model's word for the rest; then the next sheet. Raises UsageError where neither is asked."""
    if (sheet is None) == (wrong is None) or (sheet is None) != (label is None):
        raise UsageError("Give --sheet ID --as LABEL (and --but ID ... for what is something else), or --accept-rest.")
    run_and_show(look(workspace))
    if wrong is not None:
        offer = rest(workspace, wrong)
        taken = accept_rest(workspace, wrong, offer)
        return _shown(workspace, next_sheet(workspace, size), (_taken(offer, taken),))
    answered = answer(workspace, str(sheet), str(label), but)
    lines = [f"{answered.named:,} pictures are called {label} now."]
    if answered.refused:
        lines.append(f"{len(answered.refused):,} had a label meanwhile, or are out of use: they stay as they are.")
    return _shown(workspace, next_sheet(workspace, size), lines)


def _taken(offer: Rest, taken: int) -> str:
    return f"{taken:,} pictures have the model's label now. {offer.reason}".strip() if taken else offer.reason


def _shown(workspace: Workspace, sheet: Sheet | None, lines: Sequence[str]) -> InWords:
    labelled, left = counts(workspace)
    document: dict[str, Any] = {"sheet": None, "labelled": labelled, "left": left}
    told = [*lines, f"{labelled:,} pictures have a label, {left:,} have none."]
    if sheet is not None:
        rows = workspace.store.images_of(sheet.images).to_dict("records")
        files = {str(row["id"]): workspace.image_file(str(row["file"])) for row in rows}
        document["sheet"] = {
            "id": sheet.id,
            "suggested": sheet.suggested,
            "images": [{"id": image, "file": str(files[image])} for image in sheet.images],
        }
        guess = f": probably {sheet.suggested}" if sheet.suggested else ""
        told.append(f"Sheet {sheet.id}, {len(sheet.images)} pictures{guess}")
        told += [f"  {str(row['id'])[:12]}  {files[str(row['id'])]}" for row in rows]
        told.append(f"Name it: label WORKSPACE --sheet {sheet.id} --as LABEL, with --but ID for each that is none.")
    return InWords(document, tuple(told))
