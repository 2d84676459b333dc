"""What Verify found out about the pictures of a workspace, as it stands now: read from the store, nothing is opened."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd

from pipeline.images.opening import about_scales
from pipeline.labels import of_today
from pipeline.verify.duplicates import HANDFUL, best_copy
from pipeline.verify.scenes import Look, Proposal
from pipeline.verify.split import SplitConfig, given_leaks, kept_settings, leaks
from pipeline.verify.split_problems import SplitProblem, split_problems
from pipeline.workspace.journal import renamings
from pipeline.workspace.records import USABLE
from pipeline.workspace.workspace import Workspace

# Below this a class has no more than two pictures to test with, and its error cannot be told.
FEW = 15
TIMES_MORE = 5.0

PROBLEMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "dark": ("Dark", "hardly any light in it"),
        "bright": ("Overexposed", "hardly anything but light in it"),
        "blurred": ("Blurred", "out of focus, or shaken"),
        "little_detail": ("Nearly empty", "about one colour all over"),
        "odd_shape": ("Of an odd shape", "more than three times as long as high, or the other way"),
        "odd_size": ("Of an odd size", "much smaller or larger than the others"),
        "grey": ("Without colour", "where nearly all others have it"),
    }
)
DARK, BRIGHT = 0.25, 0.93
SHARP_ENOUGH = 6e-4
DETAIL_BITS = 3.0
COLOURED = 0.04
LONGEST = 3.0
SIZE_TIMES = 6.0
# Grey pictures are pointed out where they are a smaller share of all than this.
GREY_AMONG = 0.2


@dataclass(frozen=True)
class SetAside:
    """A picture with the kind of trouble and the reason in words; ``name`` is what its source called it."""

    id: str
    file: str
    name: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class ClassProblem:
    """A class with ``few`` pictures, or with far fewer than the largest one (``rare``), and what that means."""

    label: str
    kind: str
    count: int
    reason: str


@dataclass(frozen=True)
class Verified:
    """The workspace after verify. ``checked`` = ``ok`` + set aside; ``new`` of them were checked this time.

    ``duplicate_groups``: ids that are the same picture, the best copy first. ``label_conflicts``: groups that carry
    more than one label. ``leaks``: groups in more than one split. ``given_leaks``: groups that their sources (train,
    valid and test folders, say) asked to be in more than one; they are in one now. ``suspects`` are kept, but a second
    decoder objects; ``notes``: kept, with something to know. ``problems``: the ids of kept pictures with each kind of
    problem (keys of PROBLEMS), the worst first. ``classes``: usable pictures of each. ``doubt``: why something else may
    be wrong, where many were set aside this time. ``scales``: how grey pictures of more than 8 bits are scaled.
    ``series``: ids of many alike pictures that are not the same one, copies included: perhaps a scene.
    ``split_problems``: what to know of train, valid and test. ``scenes``: what is known to have been taken together
    (None: nothing); ``scenes_proposed``: the kinds between which a person may choose while no split is given.
    """

    checked: int
    ok: int
    new: int
    set_aside: tuple[SetAside, ...] = ()
    duplicate_groups: tuple[tuple[str, ...], ...] = ()
    label_conflicts: tuple[tuple[str, ...], ...] = ()
    leaks: tuple[tuple[str, ...], ...] = ()
    given_leaks: tuple[tuple[str, ...], ...] = ()
    suspects: tuple[SetAside, ...] = ()
    notes: tuple[SetAside, ...] = ()
    problems: dict[str, tuple[str, ...]] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    class_problems: tuple[ClassProblem, ...] = ()
    doubt: str = ""
    scales: str = ""
    series: tuple[tuple[str, ...], ...] = ()
    split_problems: tuple[SplitProblem, ...] = ()
    scenes: Proposal | None = None
    scenes_proposed: tuple[Proposal, ...] = ()


def verified(workspace: Workspace, new: int = 0, doubt: str = "") -> Verified:
    """What verify has to say about the workspace as it is now."""
    look = Look(workspace)
    images = look.table.assign(scene=look.table["id"].map(look.known.names))
    set_aside, ok = images[images["status"] == "set_aside"], images[images["status"] == "ok"]
    suspect = ok["verdict"] == "suspect"
    noted = (ok["verdict"] == "ok") & (ok["reason"].fillna("") != "")
    classes = workspace.store.class_counts()
    return Verified(
        checked=len(ok) + len(set_aside),
        ok=len(ok),
        new=new,
        set_aside=tuple(_set_aside(set_aside)),
        duplicate_groups=tuple(_groups(ok)),
        label_conflicts=tuple(label_conflicts(workspace, ok)),
        leaks=tuple(tuple(group) for group in leaks(images)),
        given_leaks=tuple(tuple(group) for group in given_leaks(ok, workspace.store.sources())),
        suspects=tuple(_set_aside(ok[suspect])),
        notes=tuple(_set_aside(ok[noted])),
        problems=problems(ok),
        classes=classes,
        class_problems=tuple(_class_problems(classes)),
        doubt=doubt,
        scales=about_scales(workspace),
        series=tuple(_series(ok)),
        split_problems=split_problems(ok, kept_settings(workspace) or SplitConfig()),
        scenes=look.proposal,
        scenes_proposed=look.waiting,
    )


def _set_aside(rows: pd.DataFrame) -> Iterator[SetAside]:
    for row in rows.itertuples():
        by_hand = row.status == "set_aside" and row.verdict in USABLE
        reason = f"Set aside by hand. {row.reason}".strip() if by_hand else str(row.reason)
        yield SetAside(str(row.id), str(row.file), str(row.source_name), str(row.verdict), reason)


def _groups(ok: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    several = ok[ok["group"].duplicated(keep=False) & ok["group"].notna()]
    for _, group in several.groupby("group", sort=False):
        best = best_copy(group)
        yield (best, *(str(image) for image in group["id"] if image != best))


def _series(ok: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """The series of which more than a handful of pictures are still in use, copies counted once."""
    for _, rows in ok[ok["series"].notna()].groupby("series", sort=False):
        if rows["group"].fillna(rows["id"]).nunique() > HANDFUL:
            yield tuple(str(image) for image in rows["id"])


def label_conflicts(workspace: Workspace, ok: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """The groups of the 'ok' images that carry more than one label.

    What the sources called an image counts too (the same file in two class folders), until a person decided about it.
    """
    claims = labels_given(workspace, ok)
    groups: dict[str, list[str]] = {}
    for image, group in zip(ok["id"], ok["group"], strict=True):
        groups.setdefault(str(group or image), []).append(str(image))
    for members in groups.values():
        if len(set().union(*(claims[image] for image in members))) > 1:
            yield tuple(members)


def labels_given(workspace: Workspace, images: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """id -> every label that each of ``images`` was given: the one it has, then what its sources called it (in the
    names that these classes have today), unless a person decided about it. Several labels are one, joined by ``|``.
    """
    journal = workspace.store.journal.decisions()
    decided = {decision.image for decision in journal if decision.about_label}
    renames = [decision for decision in journal if decision.action == "rename" and not decision.undone]
    ends = sorted({decision.batch or decision.id: decision.at for decision in renames}.values())
    today: dict[int, dict[str, str]] = {}
    given: dict[str, dict[str, None]] = {
        str(image): {str(label): None} if label else {}
        for image, label in zip(images["id"], images["label"], strict=True)
    }
    sources = workspace.store.sources()[["image_id", "claimed_label", "at"]].dropna()
    for image, label, at in sources.itertuples(index=False):
        if image in given and image not in decided:
            later = bisect_right(ends, at)
            if later not in today:
                today[later] = renamings(renames, at) if later < len(ends) else {}
            given[str(image)][of_today(str(label), today[later])] = None
    return {image: tuple(labels) for image, labels in given.items()}


def _class_problems(classes: dict[str, int]) -> Iterator[ClassProblem]:
    most = max(classes.values(), default=0)
    for label, count in sorted(classes.items(), key=lambda item: item[1]):
        if count < FEW:
            reason = f"With fewer than {FEW} pictures nobody can tell how well a class is known. Add some in Collect."
            yield ClassProblem(label, "few", count, reason)
        elif count * TIMES_MORE < most:
            reason = f"The largest class has {most / count:.0f} times as many: this one will be missed more often."
            yield ClassProblem(label, "rare", count, reason)


# --- What can be wrong with a picture that decodes: dark, bright, blurred, nearly empty, grey, of an odd shape or size


def problems(images: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The ids of the pictures with each kind of problem (keys of PROBLEMS), the worst first.

    ``images`` has the columns id, width, height and quality (JSON, None where it was not measured).
    """
    known = images[images["quality"].notna()]
    if known.empty:
        return dict.fromkeys(PROBLEMS, ())
    scores = pd.DataFrame([json.loads(text) for text in known["quality"]], index=known["id"].to_list())
    width, height = (known[name].to_numpy(dtype=float) for name in ("width", "height"))
    side = np.sqrt(width * height)
    scores["shape"] = np.maximum(width / height, height / width)
    scores["size"] = np.maximum(side / np.median(side), np.median(side) / side)
    dark, bright = scores["dark_end"] < DARK, scores["bright_end"] > BRIGHT
    flat = (scores["detail"] < DETAIL_BITS) & ~dark & ~bright
    seen = ~dark & ~bright & ~flat  # what a picture without light or detail lacks besides is no news
    blurred, grey = seen & (scores["sharpness"] < SHARP_ENOUGH), seen & (scores["colour"] < COLOURED)
    return {
        "dark": _worst(scores["dark_end"][dark]),
        "bright": _worst(-scores["bright_end"][bright]),
        "blurred": _worst(scores["sharpness"][blurred]),
        "little_detail": _worst(scores["detail"][flat]),
        "odd_shape": _worst(-scores["shape"][scores["shape"] > LONGEST]),
        "odd_size": _worst(-scores["size"][scores["size"] > SIZE_TIMES]),
        "grey": _worst(scores["colour"][grey]) if grey.mean() < GREY_AMONG else (),
    }


def _worst(scores: pd.Series[float]) -> tuple[str, ...]:
    return tuple(str(image) for image in scores.sort_values(kind="stable").index)
