"""Stable, stratified splits by duplicate group and scene: given once, written down, never moved."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from pipeline.errors import UsageError
from pipeline.settings import check, setting
from pipeline.verify.scenes import COLUMN, choose, known_scenes, waiting, write_down
from pipeline.workspace.store import SPLITS
from pipeline.workspace.workspace import Workspace

# Of a class in a given train split, so many pictures stay where others are drawn for valid.
LEFT_IN_TRAIN = 2
SHARES = "The shares of valid and test must not be negative, and together less than 1."
DRAWN, WAITING = "split", "split_waiting"


@dataclass(frozen=True)
class SplitConfig:
    """How splits are drawn; what is neither valid nor test is train. Raises UsageError where nothing would be."""

    valid: float = setting(0.15, "share of the valid split", rule=SHARES)
    test: float = setting(0.15, "share of the test split", rule=SHARES)
    seed: int = setting(0, "draws the splits")

    def __post_init__(self) -> None:
        check(self)
        if self.valid < 0 or self.test < 0 or self.valid + self.test >= 1:
            raise UsageError(SHARES)


def assign_splits(workspace: Workspace, config: SplitConfig | None = None) -> dict[str, str]:
    """Give every usable image that has a label its split; returns what was given (id -> split). One whose label is the
    model's, and that nobody looked at, never comes into test, nor counts where the others are drawn.

    The configuration of the first call that gives any is kept with the workspace, and how scenes are known, so that
    later images are drawn the same way. Scenes that nobody chose are only kept together where a split is left for each
    purpose.
    """
    store = workspace.store
    kept, known, every = kept_settings(workspace), known_scenes(workspace), store.images()
    settings = kept or config or kept_settings(workspace, WAITING) or SplitConfig()
    model = every["id"].isin(store.journal.by_model())
    images = every.assign(label=every["label"].mask(model))
    given = new_splits(images.assign(scene=images["id"].map(known.names)), settings)
    apart = given if known.chosen or known.by in ("", COLUMN) else new_splits(images.assign(scene=None), settings)
    if _serves(images, apart, settings) and not _serves(images, given, settings):
        given = apart
    elif given:
        write_down(workspace, known)
    given |= _of_the_model(every.assign(scene=every["id"].map(known.names)), given, model)
    if given and not kept:
        store.set_fact(DRAWN, asdict(settings))
        store.set_fact(WAITING, None)
    store.set_splits(given)
    return given


def _of_the_model(images: pd.DataFrame, given: Mapping[str, str], model: pd.Series[bool]) -> dict[str, str]:
    """id -> split of the images whose label is the model's (``model`` [N]): that of their duplicate group, else of
    their scene, else train; none where either has a picture in test.
    """
    rows = images.assign(
        group=images["group"].fillna(images["id"]), split=images["split"].fillna(images["id"].map(dict(given)))
    )
    there = {
        name: rows[rows["split"].notna() & rows[name].notna()].groupby(name)["split"].agg(set).to_dict()
        for name in ("group", "scene")
    }
    found: dict[str, str] = {}
    for row in rows[model & (rows["status"] == "ok") & rows["split"].isna()].itertuples():
        near = [there["group"].get(row.group, set()), there["scene"].get(row.scene, set())]
        if not any("test" in splits for splits in near):
            found[str(row.id)] = next((min(splits) for splits in near if splits), "train")
    return found


def kept_settings(workspace: Workspace, fact: str = DRAWN) -> SplitConfig | None:
    """How the splits of a workspace were drawn; None before any was, or where that makes no sense (version 0.1 took
    NaN for a share, and all that came was train).
    """
    try:
        return SplitConfig(**kept) if (kept := workspace.store.fact(fact)) else None
    except (TypeError, UsageError):
        return None


def _serves(images: pd.DataFrame, given: Mapping[str, str], config: SplitConfig) -> bool:
    """Whether every split would have a picture, and every class one to learn from, as far as there are pictures."""
    splits = images["split"].where(images["split"].notna(), images["id"].map(dict(given)))
    placed = images.assign(split=splits)[splits.notna() & (images["status"] == "ok")]
    wanted = {"train", *(name for name in ("valid", "test") if getattr(config, name) > 0)}
    if len(placed) < len(wanted):
        return True
    learnt = placed[placed["split"] == "train"]["label"]
    return wanted <= set(placed["split"]) and set(placed["label"]) <= set(learnt)


def keep_together(workspace: Workspace, by: str) -> None:
    """Choose how scenes are known (see :func:`choose`), and give the splits that waited for it. Raises UsageError.

    >>> w.keep_together(ws, "none")
    """
    choose(workspace, by)
    if workspace.store.fact(WAITING) and workspace.store.images("new").empty:
        assign_splits(workspace)


def wait_for_choice(workspace: Workspace, config: SplitConfig) -> bool:
    """Whether a person may first choose between kinds of scenes; then no splits are given yet, and will be as
    ``config`` says.
    """
    waits = bool(waiting(workspace))
    if waits:
        workspace.store.set_fact(WAITING, asdict(config))
    return waits


def new_splits(images: pd.DataFrame, config: SplitConfig) -> dict[str, str]:
    """id -> split for the 'ok' images with a label of a store's table that have none yet.

    In this order: the split of the image's duplicate group, the split its source gave it, that of its scene, or the one
    that its class is most short of, counted in pictures (so any prefix of the images is stratified). Duplicate groups
    and scenes are drawn whole, the largest first, then in an order that depends on the seed and their name only. Where
    the source gave a train split but none to steer by, one is drawn from its train.
    """
    rows = images.assign(group=images["group"].fillna(images["id"]), scene=images.get("scene"))
    labelled = rows["label"].fillna("") != ""
    groups: dict[str, str] = {}
    for row in rows[rows["split"].notna()].itertuples():
        groups.setdefault(str(row.group), str(row.split))
    new = rows[(rows["status"] == "ok") & rows["split"].isna() & labelled]
    settled, old = set(groups), set(rows[rows["split"].notna()]["scene"].dropna())
    for row in new[new["given_split"].notna()].itertuples():
        groups.setdefault(str(row.group), str(row.given_split))
    counts, scenes = _so_far(rows[labelled], groups)
    free = [unit for unit in _units(new) if unit.groups.isdisjoint(groups)]
    left = Counter(unit.label for unit in free)
    for unit in sorted(free, key=lambda unit: (-unit.size, unit.drawn(config))):
        taken: Counter[str] = sum((scenes[scene] for scene in unit.scenes if scene in scenes), Counter())
        split = taken.most_common(1)[0][0] if taken else _most_wanted(unit, counts, left[unit.label], config)
        left[unit.label] -= 1
        groups.update(dict.fromkeys(unit.groups, split))
        for label, number in unit.labels.items():
            counts.setdefault(label, Counter())[split] += number
    given = new[new["group"].map(groups) == "train"]
    fixed = old | {scene for scene, there in scenes.items() if set(there) != {"train"}}
    for lacking in _lacking(rows[labelled & rows["status"].isin(("ok", "new"))]):
        whole = [unit for unit in _units(given) if unit.groups.isdisjoint(settled) and unit.scenes.isdisjoint(fixed)]
        groups.update(_from_train(whole, counts, lacking, config))
        given = given[given["group"].map(groups) == "train"]
    return {str(row.id): groups[str(row.group)] for row in new.itertuples() if str(row.group) in groups}


@dataclass(frozen=True)
class _Unit:
    """Pictures that go into one split: duplicate groups and scenes that touch. ``labels``: how many of each."""

    groups: frozenset[str]
    scenes: frozenset[str]
    labels: Counter[str]

    @property
    def size(self) -> int:
        return self.labels.total()

    @property
    def label(self) -> str:
        """What most of them are called."""
        return max(sorted(self.labels), key=self.labels.__getitem__)

    def drawn(self, config: SplitConfig) -> str:
        return hashlib.sha256(f"{config.seed}:{min(self.groups)}".encode()).hexdigest()


def _units(rows: pd.DataFrame) -> list[_Unit]:
    """What of ``rows`` must stay together."""
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        while (higher := above.setdefault(node, node)) != node:
            above[node] = node = above[higher]
        return node

    keys = [(("group", str(row.group)), ("scene", str(row.scene)), str(row.label)) for row in rows.itertuples()]
    known = rows["scene"].notna().tolist()
    for (group, scene, _), has_scene in zip(keys, known, strict=True):
        above[root(group)] = root(scene) if has_scene else root(group)
    found: dict[tuple[str, str], tuple[set[str], set[str], Counter[str]]] = {}
    for (group, scene, label), has_scene in zip(keys, known, strict=True):
        groups, scenes, labels = found.setdefault(root(group), (set(), set(), Counter()))
        groups.add(group[1])
        scenes.update([scene[1]] if has_scene else [])
        labels[label] += 1
    return [_Unit(frozenset(groups), frozenset(scenes), labels) for groups, scenes, labels in found.values()]


def _so_far(rows: pd.DataFrame, groups: Mapping[str, str]) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """How many pictures of each label, and of each scene, are in each split, with what comes by ``groups``."""
    splits = rows["split"].where(rows["split"].notna(), rows["group"].map(dict(groups)))
    counts: dict[str, Counter[str]] = {}
    scenes: dict[str, Counter[str]] = {}
    for split, label, scene in zip(splits, rows["label"], rows["scene"], strict=True):
        if pd.isna(split):
            continue
        counts.setdefault(str(label), Counter())[str(split)] += 1
        if not pd.isna(scene):
            scenes.setdefault(str(scene), Counter())[str(split)] += 1
    return counts, scenes


def _lacking(rows: pd.DataFrame) -> list[str]:
    """The splits that the source should have given besides its train: valid, and test where it gave neither."""
    asked = set(rows["given_split"].dropna())
    if "train" not in asked or "valid" in asked:
        return []
    return ["valid"] if "test" in asked else ["valid", "test"]


def _from_train(
    units: Sequence[_Unit], counts: dict[str, Counter[str]], split: str, config: SplitConfig
) -> dict[str, str]:
    """duplicate group -> ``split`` for what is taken from a given train split: its share of each class that has nothing
    there, as far as whole groups and scenes allow, and at least two pictures stay.
    """
    moved: dict[str, str] = {}
    share = {"valid": config.valid, "test": config.test}[split]
    for unit in sorted(units, key=lambda unit: unit.drawn(config)):
        here = counts[unit.label]
        wanted = share * (here["train"] + here[split])
        fits = here[split] == 0 or here[split] + unit.size <= round(wanted)
        if share and here[split] < max(1, round(wanted)) and fits and here["train"] - unit.size >= LEFT_IN_TRAIN:
            moved.update(dict.fromkeys(unit.groups, split))
            for label, number in unit.labels.items():
                counts[label]["train"] -= number
                counts[label][split] += number
    return moved


def leaks(images: pd.DataFrame) -> list[list[str]]:
    """The duplicate groups that reach into more than one split, as lists of image ids."""
    usable = images[(images["status"] == "ok") & images["split"].notna() & images["group"].notna()]
    splits = usable.groupby("group")["split"].nunique()
    reaching = usable[usable["group"].isin(splits[splits > 1].index)]
    return [sorted(group["id"]) for _, group in reaching.groupby("group", sort=True)]


def given_leaks(ok: pd.DataFrame, sources: pd.DataFrame) -> list[list[str]]:
    """The duplicate groups whose sources asked for more than one split, as lists of image ids.

    ``ok`` has the columns id and group, ``sources`` image_id and given_split.
    """
    asked = sources[["image_id", "given_split"]].dropna().merge(ok[["id", "group"]], left_on="image_id", right_on="id")
    asked = asked.assign(group=asked["group"].fillna(asked["id"]))
    splits = asked.groupby("group")["given_split"].nunique()
    leaking = set(splits[splits > 1].index)
    members = ok[ok["group"].fillna(ok["id"]).isin(leaking)]
    return [sorted(group["id"]) for _, group in members.groupby(members["group"].fillna(members["id"]), sort=True)]


def _most_wanted(unit: _Unit, counts: Mapping[str, Counter[str]], left: int, config: SplitConfig) -> str:
    """The split furthest below its share once the unit is placed; ties go to train, then valid. Where no more of its
    class are ``left`` (this one counted) than there are splits without any, and it is more than one picture, one of
    those.
    """
    shares = {"train": 1 - config.valid - config.test, "valid": config.valid, "test": config.test}

    def short(name: str) -> float:
        missing = 0.0
        for label, number in unit.labels.items():
            of_label = counts.get(label, Counter())
            missing += number * (shares[name] * (of_label.total() + number) - of_label[name])
        return round(missing / unit.size, 9)

    own = counts.get(unit.label, Counter())
    empty = [name for name in SPLITS if shares[name] > 0 and not own[name]]
    names = empty if unit.size > 1 and left <= len(empty) and own["train"] else SPLITS
    return max(names, key=lambda name: (short(name), -SPLITS.index(name)))
