"""How often a model is wrong where it was never: answers over folds of scenes, as an interval and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from pipeline.model.groupings import Groups, groupings, scene_folds, united
from pipeline.model.head import Head, fit_head
from pipeline.model.losses import shares_of, wrong_of
from pipeline.predict import Outputs
from pipeline.verify.scenes import KINDS

FOLDS = 5
# Of the solver, from a head that was fitted to all pictures: of that, the answers need no more digits.
ITERATIONS = 25
# Of a class, so much must be left to learn from for its pictures to be judged when a fold is held out.
LEFT = 0.5
# So many scenes, and so much of the pictures that can be judged, are needed to say anything; and no wider an interval.
FEWEST_SCENES, FEWEST_JUDGED, WIDEST = 5, 0.5, 0.4
# With fewer test pictures, what all pictures say out of fold is told beside them.
SMALL_TEST = 200
# Of more pictures, so many are asked.
MOST = 10_000
BY_FEATURES, SERIES = "features", "series"
# An interval that is no wider needs no advice; more scenes by this factor make it two thirds as wide.
NARROW, MORE = 0.05, 1.25
STEPS = 10_000

Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class NewScenes:
    """The ``error_rate`` on pictures of scenes that a model did not learn from, with 95 % from ``low`` to ``high``.

    ``scenes``: how many there were, ``by`` what they are known ("features": estimated); ``images``: how many pictures
    were judged. All three rates are None where nothing can be said, and ``reason`` says why. ``narrower``: what would
    make the interval narrower, in words.
    """

    error_rate: float | None
    low: float | None
    high: float | None
    scenes: int
    by: str
    images: int = 0
    reason: str = ""
    narrower: str = ""


@dataclass(frozen=True)
class Judged:
    """Answers out of fold: ``wrong`` [N] of the pictures in ``groups`` [N] that were held out whole, of which those
    that are ``judged`` [N] count.
    """

    groups: Groups
    wrong: Flags
    judged: Flags

    @property
    def ends(self) -> tuple[Judged, Judged]:
        """Where the others are taken to be wrong as often as those that are judged, and where they count as they were
        answered by heads that hardly knew their class: between these lies what cannot be known of them (the bounds for
        missing answers, Manski 2003).
        """
        return self, Judged(self.groups, self.wrong, np.ones_like(self.judged))

    @property
    def rate(self) -> float:
        """The share of wrong answers."""
        return float(self.wrong[self.judged].mean()) if self.judged.any() else 0.0

    @property
    def share(self) -> float:
        """How many of the pictures are judged, 0 to 1."""
        return float(self.judged.mean()) if len(self.judged) else 0.0

    @property
    def sizes(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """How many judged pictures each group has, [G]; groups without any are left out."""
        return np.unique(self.groups[self.judged], return_counts=True)[1]

    @property
    def effective_groups(self) -> float:
        """As how many groups of one size they count (Kish 1965)."""
        sizes = self.sizes.astype(float)
        return float(sizes.sum() ** 2 / np.square(sizes).sum()) if len(sizes) else 0.0

    @property
    def effective_images(self) -> float:
        """As how many independent pictures they count: n over the design effect, which is the variance of the rate
        between groups over that of independent pictures, and 1 at least (Korn and Graubard 1998).
        """
        which = np.unique(self.groups[self.judged], return_inverse=True)[1]
        wrong, rate = self.wrong[self.judged].astype(float), self.rate
        count, groups = len(wrong), len(self.sizes)
        if groups < 2 or not 0 < rate < 1:
            return float(count)
        away = np.bincount(which, weights=wrong - rate)
        variance = groups / (groups - 1) * np.square(away).sum() / count**2
        return float(count / max(1.0, variance * count / (rate * (1 - rate))))


def held_out(
    features: torch.Tensor, targets: torch.Tensor, outputs: Outputs, folds: Groups, groups: Groups, start: Head
) -> Judged:
    """The pictures with ``features`` [N, F] answered by heads that did not learn from their fold.

    Judged are those of whose classes LEFT of the pictures and more are outside the fold: in a new place, too, the model
    knows the class well. ``start``: a head fitted to all of them, which saves time.
    """
    flags = shares_of(targets, len(start.bias))
    totals = flags.sum(dim=0)
    wrong, judged = np.zeros(len(targets), dtype=bool), np.zeros(len(targets), dtype=bool)
    for fold in np.unique(folds):
        out, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        left = flags[rest].sum(dim=0)
        enough = (left >= LEFT * totals) & (left > 0)
        if not bool(enough.any()):
            wrong[out] = True
            continue
        head = fit_head([features], targets, len(totals), rows=rest, start=start, iterations=ITERATIONS)
        wrong[out] = wrong_of(head(features[out]), targets[out], outputs).numpy()
        judged[out] = (~flags[out].bool() | enough).all(dim=1).numpy()
    return Judged(groups, wrong, judged)


def interval(answers: Sequence[Judged], confidence: float = 0.95) -> tuple[float, float]:
    """Where the error rate lies, by several ways of grouping the same pictures, from 0 to 1.

    Each grouping gives Wilson's interval (1927) at every confidence, with the number of pictures over the design
    effect, and Student's t for so many groups: what Dean and Pagano (2015) found to hold best for proportions in
    clustered samples. No grouping is known to be the right one, so these distributions are mixed (the linear opinion
    pool, Stone 1961), each by the share of pictures that it can judge, half for each of its ends. (0, 1) where nothing
    was judged.
    """
    rates = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)[1:-1]
    below, weights = torch.zeros_like(rates), 0.0
    for one in answers:
        for end in one.ends if one.judged.any() else ():
            spread = (rates * (1 - rates) / end.effective_images).sqrt()
            freedom = max(1.0, end.effective_groups - 1)
            below += one.share * _student((rates - end.rate) / spread, freedom)
            weights += one.share
    if not weights:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    inside = rates[(below / weights > tail) & (below / weights < 1 - tail)]
    if not len(inside):
        middle = float(rates[(below / weights - 0.5).abs().argmin()])
        return middle, middle
    low, high = float(inside[0]), float(inside[-1])
    return (0.0 if low <= 1 / STEPS else low), (1.0 if high >= 1 - 1 / STEPS else high)


def _student(values: torch.Tensor, freedom: float) -> torch.Tensor:
    """Student's distribution function, by Wallace's approximation (1959)."""
    normal = (freedom * torch.log1p(values.square() / freedom)).sqrt() * (8 * freedom + 1) / (8 * freedom + 3)
    found: torch.Tensor = torch.special.ndtr(normal * values.sign())
    return found


# --- what a training says ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """What answers out of fold say of the pictures of every split: of ``new_scenes``, and of pictures ``like_these``
    (folds that cut scenes): {error_rate, low, high, n}.
    """

    new_scenes: NewScenes
    like_these: dict[str, Any]


def measure(
    features: torch.Tensor,
    targets: torch.Tensor,
    outputs: Outputs,
    class_count: int,
    groups: Sequence[str],
    known: Sequence[str | None],
    by: str,
    start: Head | None = None,
) -> Measured:
    """What heads on ``features`` [N, F] say of pictures with ``targets``, [N] or [N, C], that they did not learn from;
    of more than MOST pictures, some are asked.

    ``groups`` [N]: the duplicate groups, which no fold cuts; ``known`` [N]: the scenes as far as they are known, and
    ``by`` what ("": by nothing). Where fewer than half of the pictures have one, scenes are estimated all the same, and
    with series too, which are only the most alike pictures of a scene. ``start``: a head that was fitted to much the
    same pictures (None: one is fitted), which saves time.
    """
    if len(targets) > MOST:
        some = np.sort(np.random.default_rng(0).permutation(len(targets))[:MOST])
        features, targets = features[some], targets[some]
        groups, known = [groups[row] for row in some], [known[row] for row in some]
    count = len(targets)
    copies = np.unique(np.asarray(groups, dtype=object), return_inverse=True)[1].astype(np.int64)
    told = by not in ("", SERIES) and sum(name is not None for name in known) >= count / 2
    scenes = [united(one, copies) for one in groupings(features, known if told else None)]
    if not told:
        seen = [group if name is None else f"scene {name}" for group, name in zip(groups, known, strict=True)]
        together = np.unique(np.asarray(seen, dtype=object), return_inverse=True)[1].astype(np.int64)
        scenes = [united(one, together) for one in scenes]
    labels = [tuple(row) for row in targets.reshape(count, -1).tolist()]
    first = start or fit_head([features], targets, class_count)

    def over(one: Groups) -> Judged:
        return held_out(features, targets, outputs, scene_folds(one, labels, FOLDS), one, first)

    anywhere, ways = over(copies), list[Judged]()
    for number, one in enumerate(scenes):
        same = number and int(one.max()) == int(scenes[number - 1].max())  # coarser ones hold finer ones whole
        ways.append(ways[-1] if same else over(one))
    like_these = Judged(scenes[len(scenes) // 2], anywhere.wrong, anywhere.judged)
    low, high = interval([like_these])
    spoken = {"error_rate": like_these.rate, "low": low, "high": high, "n": int(like_these.judged.sum())}
    return Measured(said_of(ways, by if told else BY_FEATURES), spoken)


def said_of(ways: Sequence[Judged], by: str) -> NewScenes:
    """What several groupings of the same pictures come to; why nothing can be said where none of them is enough."""
    enough = [one for one in ways if one.share >= FEWEST_JUDGED and len(one.sizes) >= FEWEST_SCENES]
    if not enough:
        return _nothing(ways, by)
    low, high = interval(enough)
    rate = sum(one.share * end.rate for one in enough for end in one.ends) / sum(2 * one.share for one in enough)
    middle = enough[len(enough) // 2]
    scenes, images = len(np.unique(middle.groups)), int(middle.judged.sum())
    if high - low > WIDEST:
        reason = (
            f"Judged by {scenes} scenes it may be anything from {_points(low)} to {_points(high)} %. Add pictures from "
            f"{_more(scenes)} other places."
        )
        return NewScenes(None, None, None, scenes, by, images, reason)
    return NewScenes(rate, low, high, scenes, by, images, narrower=_narrower(enough, scenes, by, high - low))


def _nothing(ways: Sequence[Judged], by: str) -> NewScenes:
    scenes = min((len(np.unique(one.groups)) for one in ways), default=0)
    if scenes < FEWEST_SCENES:
        what = "are alike as if they were" if by == BY_FEATURES else "are"
        where = "one scene" if scenes == 1 else f"{scenes} scenes"
        reason = (
            f"The pictures {what} of {where}, and at least {FEWEST_SCENES} are needed. Add pictures from other places."
        )
    else:
        reason = (
            "Most pictures are of a class that is hardly there outside their own scene, so a model without that scene "
            "does not know the class. Add pictures of each class from several places."
        )
    return NewScenes(None, None, None, scenes, by, reason=reason)


def _narrower(enough: Sequence[Judged], scenes: int, by: str, width: float) -> str:
    if width <= NARROW:
        return ""
    if by != BY_FEATURES:
        return f"Pictures from {_more(scenes)} more places would narrow it by a third."
    rates = np.array([one.rate for one in enough])
    sampling = np.mean([one.rate * (1 - one.rate) / one.effective_images for one in enough])
    if rates.var() > sampling:
        return "Telling which pictures were taken together (scenes, or a column of a table) would narrow it most."
    return "Pictures from more places would narrow it."


def _more(scenes: int) -> int:
    return math.ceil(MORE * scenes)


# --- in words --------------------------------------------------------------------------------------------------------


def stated(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a run's ``record`` says of new scenes, as the fields of :class:`NewScenes`; None for a run of an earlier
    version, or one that says something else there.
    """
    said = record.get("new_scenes")
    if not isinstance(said, Mapping) or not {"error_rate", "low", "high", "scenes", "by"} <= said.keys():
        return None
    rates = [said[name] for name in ("error_rate", "low", "high")]
    measured = all(isinstance(rate, (int, float)) and math.isfinite(rate) for rate in rates)
    return {**said, **({} if measured else dict.fromkeys(("error_rate", "low", "high")))}


def probably(record: Mapping[str, Any]) -> str:
    """Where the error on new scenes lies, as ``6 to 13 %``; empty where nothing is or can be said."""
    said = stated(record)
    if said is None or said["error_rate"] is None:
        return ""
    low, high = _points(said["low"]), _points(said["high"])
    return f"{low} to {high} %" if low != high else f"{high} %"


def in_words(record: Mapping[str, Any]) -> list[str]:
    """What a run's ``record`` says of pictures like these and of new places, in sentences; none where it was made by
    an earlier version.
    """
    said, test = stated(record), record.get("test") or {}
    if said is None:
        return []
    here = f"On pictures like these {_rate(test)}" if test.get("n") else ""
    if said["error_rate"] is None:
        sentences = [f"{here}." if here else "", f"How it does in a new place cannot be said. {said.get('reason', '')}"]
    else:
        there = f"in a new place probably {probably(record)}"
        sentences = [f"{here}; {there}." if here else f"{there[:1].upper()}{there[1:]}.", _how(said)]
        sentences.append(_about_the_body(record))
        sentences.append(str(said.get("narrower", "")))
    return [sentence.strip() for sentence in (*sentences, small_test(record)) if sentence.strip()]


def small_test(record: Mapping[str, Any]) -> str:
    """The error over all pictures out of fold, for a run whose test split is small; empty for another."""
    test, every = record.get("test") or {}, record.get("like_these")
    if not isinstance(every, Mapping) or test.get("n", 0) >= SMALL_TEST or not every.get("n"):
        return ""
    few = f"The test split has {test['n']} pictures only" if test.get("n") else "There is no test split"
    return f"{few}: over all {every['n']:,}, each answered by a head that did not learn from it, {_rate(every)}."


def _how(said: Mapping[str, Any]) -> str:
    scenes = f"{said['scenes']:,} scenes"
    if said["by"] == BY_FEATURES:
        return f"Which pictures were taken together is not known; it was estimated from how alike they are ({scenes})."
    how = KINDS.get(str(said["by"]), f"by {said['by']}")
    return f"It was measured on {scenes} ({how}), each answered by a head that did not learn from it."


def _about_the_body(record: Mapping[str, Any]) -> str:
    if not record.get("best_epoch"):
        return ""
    return "It was measured on the backbone as it came; tuning the layers below the head has seen every scene of train."


def _rate(measured: Mapping[str, Any]) -> str:
    low, high = 100 * measured["low"], 100 * measured["high"]
    return f"{100 * measured['error_rate']:.1f} % ({low:.1f} to {high:.1f})"


def _points(rate: float) -> str:
    points = 100 * rate
    return f"{points:.0f}" if points >= 2 or points == 0 else f"{points:.1f}"
