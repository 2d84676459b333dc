"""Which pictures were taken together, in one place and session, as far as anything but their looks alone tells it; and
what a person says about that. Splits cut through no scene that is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import pandas as pd

from pipeline.errors import UsageError
from pipeline.labels import named
from pipeline.verify.scene_kinds import Names, by_folder, by_site, by_time
from pipeline.verify.scene_numbers import by_name
from pipeline.workspace.records import IN_USE
from pipeline.workspace.workspace import Workspace

SCENES = "scenes"
COLUMN, AUTO, NO_SCENES = "column", "auto", "none"
# How scenes are known, in words; in the order in which one believes them.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        COLUMN: "by a column of a table",
        "time": "by time and camera",
        "name": "by the numbers in their names",
        "folder": "by the folders they lay in",
        "site": "by the site they came from",
        "series": "of alike pictures",
    }
)
CHOICES = (AUTO, *KINDS, NO_SCENES)
# A kind that says nothing of more than this share of the pictures comes after those that do.
MOST = 0.5


@dataclass(frozen=True)
class Scenes:
    """What was taken together. ``by``: how that is known: column (of a table), time (and camera), name (numbered),
    folder, site, series (of alike pictures), or "" where nothing is. ``names``: image id -> the name of its scene
    (object, missing where it is not known), of every image of the workspace. ``settled``: what was found on the way and
    stays so once splits are given: the ``pause`` in seconds that ends a scene, or which names are ``ordered``.
    ``chosen``: whether a person chose the kind, or it was settled with the first splits.
    """

    by: str
    names: pd.Series[str]
    settled: Mapping[str, Any] = field(default_factory=dict)
    chosen: bool = False


@dataclass(frozen=True)
class Proposal:
    """A kind of scenes that there is: so many ``scenes`` of several ``pictures`` in use, from ``smallest`` to
    ``largest``, and that in ``words``.
    """

    by: str
    scenes: int
    pictures: int
    smallest: int
    largest: int
    words: str


@dataclass(frozen=True)
class Scene:
    """One scene: the ids of its ``images`` in use, and how many have each label (several count once each)."""

    id: str
    images: tuple[str, ...]
    label_counts: dict[str, int]


@dataclass(frozen=True)
class SceneList:
    """The scenes of a workspace. ``by``: how they are known, or what was chosen; ``chosen``: whether a person chose it.

    ``proposals``: every kind that there is, the most believable first. ``waiting``: splits are not given yet, and wait
    for a choice. ``cut``: how many of the scenes lie in several splits, which never move. ``note``: what to know.
    """

    by: str
    scenes: tuple[Scene, ...]
    chosen: bool = False
    proposals: tuple[Proposal, ...] = ()
    waiting: bool = False
    cut: int = 0
    note: str = ""


# --- what is known


class Look:
    """One look at the scenes of a workspace: the ``table`` of its images (``images``: by id) is read once, and the
    kinds of scenes are looked for once, when they are first asked for.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.table, self.said = workspace, workspace.store.images(), _said(workspace)
        self.images = self.table.set_index("id")

    @cached_property
    def known(self) -> Scenes:
        """The scenes of the kind that a person chose, else of a column that a person named, else of the most believable
        kind that there is.
        """
        if self.said.get("asked"):
            return _of_kind(self.workspace, self.images, str(self.said["by"]), self.said)
        if self._column.by:
            return self._column
        if self.said:
            return _of_kind(self.workspace, self.images, str(self.said["by"]), self.said)
        return next(iter(self._found), _nothing(self.images))

    @property
    def proposal(self) -> Proposal | None:
        """The known scenes in numbers and words; None where none is known."""
        return _proposal(self.known, self.images) if self.known.by else None

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """The kinds of scenes that there are, the most believable first."""
        column = [self._column] if self._column.by else []
        return tuple(_proposal(one, self.images) for one in (*column, *self._found))

    @property
    def waiting(self) -> tuple[Proposal, ...]:
        """The kinds of scenes between which a person may choose before splits are given, the most believable first;
        none where splits were given, or a column was named, or a choice made, or the source gave every picture its
        split.
        """
        images = self.images
        if self.said or images["split"].notna().any() or images["scene"].notna().any():
            return ()
        if images[images["status"].isin(IN_USE)]["given_split"].notna().all():
            return ()
        return tuple(_proposal(one, images) for one in self._found)

    @cached_property
    def _column(self) -> Scenes:
        return _of_kind(self.workspace, self.images, COLUMN, {})

    @cached_property
    def _found(self) -> list[Scenes]:
        return _found(self.workspace, self.images)


def known_scenes(workspace: Workspace) -> Scenes:
    """The scenes of a workspace as they are known (:attr:`Look.known`)."""
    return Look(workspace).known


def proposals(workspace: Workspace) -> tuple[Proposal, ...]:
    """The kinds of scenes that there are, the most believable first."""
    return Look(workspace).proposals


def waiting(workspace: Workspace) -> tuple[Proposal, ...]:
    """The kinds of scenes that wait for a person's choice (:attr:`Look.waiting`)."""
    return Look(workspace).waiting


def _said(workspace: Workspace) -> dict[str, Any]:
    """What was chosen: ``by``, whether a person was ``asked``, and what is settled; empty where nothing was."""
    said = workspace.store.fact(SCENES)
    return said if isinstance(said, dict) and said.get("by") in (*KINDS, NO_SCENES) else {}


def _nothing(images: pd.DataFrame) -> Scenes:
    return Scenes("", pd.Series(index=images.index, dtype=object, name="scene"))


def _of_kind(workspace: Workspace, images: pd.DataFrame, by: str, said: Mapping[str, Any]) -> Scenes:
    """The scenes of one kind. ``said``: what was chosen about it."""
    store, settled = workspace.store, dict[str, Any]()
    names: Names = {}
    if by in (COLUMN, "series"):
        told = images["scene" if by == COLUMN else by].dropna()
        names = dict(zip(map(str, told.index), map(str, told), strict=True))
    elif by == "time":
        names, settled["pause"] = by_time(images, store.taken(), said.get("pause"))
    elif by == "name":
        seen = frozenset(map(str, store.fingerprints()["id"]))
        before, sure = tuple(said.get("ordered", ())), bool(said.get("asked"))
        names, settled["ordered"] = by_name(images, seen, store.miniatures, before, sure)
    elif by == "folder":
        names = by_folder(images)
    elif by == "site":
        names = by_site(images)
    if not names:
        return _nothing(images)
    return Scenes(by, pd.Series(names, dtype=object, name="scene").reindex(images.index), settled, bool(said))


def _found(workspace: Workspace, images: pd.DataFrame) -> list[Scenes]:
    """Every kind but the column that says something about the pictures in use, the most believable first."""
    kinds = (_of_kind(workspace, images, by, {}) for by in KINDS if by != COLUMN)
    telling = [(scenes, _share(scenes, images)) for scenes in kinds if _says_something(scenes, images)]
    return [scenes for scenes, _ in sorted(telling, key=lambda one: min(MOST, one[1]), reverse=True)]


def _in_use(scenes: Scenes, images: pd.DataFrame) -> pd.DataFrame:
    """id, label and scene of the images in use whose scene is known."""
    rows = images[images["status"].isin(IN_USE)]
    names = scenes.names.reindex(rows.index)
    return rows.assign(scene=names)[names.notna()]


def _share(scenes: Scenes, images: pd.DataFrame) -> float:
    """The share of the pictures in use that lie in a scene with others."""
    rows = _in_use(scenes, images)
    return float(rows["scene"].duplicated(keep=False).sum()) / max(1, int(images["status"].isin(IN_USE).sum()))


def _says_something(scenes: Scenes, images: pd.DataFrame) -> bool:
    """Whether there are scenes of several pictures, and they are not everything, nor what the classes say already."""
    known = _in_use(scenes, images)["scene"]
    rows = images[images["status"].isin(IN_USE)]
    units = known.reindex(rows.index).where(lambda names: names.notna(), rows.index.to_series())
    if not known.duplicated().any() or units.nunique() < 2:
        return False
    classes = rows["original_label"].fillna("")
    return bool(units.groupby(classes).nunique().max() > 1)


def _proposal(scenes: Scenes, images: pd.DataFrame) -> Proposal:
    sizes = _in_use(scenes, images)["scene"].value_counts()
    several = sizes[sizes > 1]
    number, low, high = len(several), *((int(several.min()), int(several.max())) if len(several) else (0, 0))
    size = f"{low:,} to {high:,} pictures" if low != high else f"{low:,} pictures"
    words = f"{number:,} series {KINDS[scenes.by]}, {size}{' each' if low == high and number > 1 else ''}"
    return Proposal(scenes.by, number, int(several.sum()), low, high, words)


# --- what a person says


def choose(workspace: Workspace, by: str) -> None:
    """Say how scenes are known: one of CHOICES; ``auto`` leaves it to what there is, ``none`` keeps nothing together.
    Splits that were given never move. Raises UsageError.
    """
    if by not in CHOICES:
        raise UsageError(f"Scenes are known by one of {', '.join(CHOICES)}.")
    workspace.store.set_fact(SCENES, None if by == AUTO else {"by": by, "asked": True})


def write_down(workspace: Workspace, scenes: Scenes) -> None:
    """Keep what splits were given by: what was found by itself does not become another kind later, nor does the pause
    that ends a scene.
    """
    if scenes.by and scenes.by != COLUMN:
        asked = bool(_said(workspace).get("asked"))
        workspace.store.set_fact(SCENES, {"by": scenes.by, "asked": asked, **scenes.settled})


def scenes(workspace: Workspace, by: str = "") -> SceneList:
    """The scenes of a workspace with their images, the largest first, and what else could be chosen. ``by``: those of
    another kind, to look at.

    >>> w.scenes(ws).by
    ''
    """
    look = Look(workspace)
    said, images = look.said, look.images
    known = _of_kind(workspace, images, by, {}) if by else look.known
    rows = _in_use(known, images)
    scenes = sorted(_scenes(rows), key=lambda scene: (-len(scene.images), scene.id))
    cut = int((rows[rows["split"].notna()].groupby("scene")["split"].nunique() > 1).sum())
    asked = bool(said.get("asked")) and not by
    by = str(said["by"]) if asked else known.by
    note = _note(by, asked, known, cut, bool((images["status"] == "new").any()))
    return SceneList(by, tuple(scenes), asked, look.proposals, bool(look.waiting), cut, note)


def _scenes(rows: pd.DataFrame) -> Iterator[Scene]:
    for name, members in rows.groupby("scene", sort=True):
        counts: dict[str, int] = {}
        for label in members["label"].dropna():
            for one in sorted(named(str(label))):
                counts[one] = counts.get(one, 0) + 1
        yield Scene(str(name), tuple(map(str, members.index)), dict(sorted(counts.items())))


def _note(by: str, asked: bool, known: Scenes, cut: int, new: bool) -> str:
    if cut:
        which = "1 scene lies" if cut == 1 else f"{cut:,} scenes lie"
        return f"{which} in several splits: these were given before, and never move."
    if asked and by != NO_SCENES and not known.by:
        later = " When pictures were taken, and how alike they are, is known once they are checked." if new else ""
        return f"Nothing is known {KINDS[by]} yet.{later}"
    return ""
