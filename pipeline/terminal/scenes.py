"""Scenes at the terminal: what Verify kept together, asked where somebody is there, and the scenes there are."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.labels import in_words
from pipeline.terminal.show import InWords, chosen, tell
from pipeline.terminal.tables import Column, table
from pipeline.verify.findings import Verified, verified
from pipeline.verify.scenes import KINDS, NO_SCENES, SceneList, scenes
from pipeline.verify.split import keep_together
from pipeline.workspace.workspace import Workspace


def about_scenes(workspace: Workspace, found: Verified, ask: bool) -> Verified:
    """What verify found, once it is settled what stays together: a person is asked, where splits wait for that."""
    if ask and found.scenes_proposed:
        first, *others = found.scenes_proposed
        answers = [f"yes, {KINDS[first.by]}", *(one.words for one in others), "no, draw each picture by itself"]
        taken = chosen(f"{first.words}: keep each together in one split?", answers)
        keep_together(workspace, [*(one.by for one in found.scenes_proposed), NO_SCENES][taken])
        found = verified(workspace, found.new, found.doubt)
    if found.scenes and not found.scenes_proposed:
        cut = any(problem.kind == "scene" for problem in found.split_problems)
        tell(f"{found.scenes.words}: {'not all could be' if cut else 'each is'} kept together in one split.")
    return found


def scenes_here(workspace: Workspace, by: str | None) -> InWords:
    """The scenes of a workspace, after ``by`` was chosen where it is given."""
    if by is not None:
        keep_together(workspace, by)
    found = scenes(workspace)
    return InWords(found, tuple(_lines(found)))


def _lines(found: SceneList) -> Iterator[str]:
    if found.by == NO_SCENES:
        yield "Nothing is kept together, as was chosen."
    elif found.scenes:
        number = len(found.scenes)
        yield f"{'1 scene' if number == 1 else f'{number:,} scenes'} {KINDS[found.by]}:"
    else:
        yield "No scenes are known."
    rows = (
        (
            scene.id,
            f"{len(scene.images):,}",
            ", ".join(f"{in_words(one)} {n:,}" for one, n in scene.label_counts.items()),
        )
        for scene in found.scenes
    )
    yield from table([Column("scene"), Column("images", right=True), Column("labels")], rows)
    if found.note:
        yield found.note
    if others := [one for one in found.proposals if one.by != found.by]:
        yield "There are also:"
        yield from (f"  {one.words}: --by {one.by}" for one in others)
    if found.waiting:
        yield "The splits wait for your choice: --by, with none to keep nothing together."
