"""Which labels are probably wrong: one ranked queue, from probabilities of models that never saw the image."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from cleaner.review import judged, probability_of
from pipeline.records import Decision
from pipeline.runs import Run
from pipeline.workspace import Workspace

COLUMNS = ["id", "file", "label", "suggested", "score", "why", "split", "probability", "suggested_probability", "loss"]
DISPUTED = 0.5
DECIDED_BEFORE = 0.5


def suspects(workspace: Workspace, run: Run) -> pd.DataFrame:
    """The cleaning queue, most suspicious first: id, file, label, suggested, score (0 to 1), why, and more columns.

    Every train and valid image of ``run`` that is still in use and was not decided on since the run; never a test
    image. The base is a queue by loss (-log of the probability of the label; train images are out-of-fold), written
    as ``score`` = 1 - probability. A picture that was given two labels comes first (score 1) where it carries the less
    likely one, and has at least DISPUTED where it carries the likelier. What a person decided on before the run comes
    back with DECIDED_BEFORE times its score. More columns: split, probability (of the label), suggested_probability,
    loss.
    """
    journal = [decision for decision in workspace.store.decisions() if not decision.undone]
    decided = {decision.image for decision in journal}
    seen = judged(workspace, run)
    rows = _scored(seen[seen["split"].isin(["train", "valid"])].reset_index(drop=True))
    rows = _with_conflicts(rows, _claims(workspace, rows, decided), decided)
    since = decided_since(run, journal)
    rows = rows[~rows["id"].isin(since) & (rows["label"] == rows["trained_label"])]
    before = rows["id"].isin(decided)
    rows = rows.assign(
        score=rows["score"].where(~before, rows["score"] * DECIDED_BEFORE),
        why=rows["why"].where(~before, rows["why"] + " You decided on it before this run."),
    )
    return rows.sort_values(["score", "loss"], ascending=False, kind="stable")[COLUMNS].reset_index(drop=True)


def decided_since(run: Run, journal: Iterable[Decision]) -> set[str]:
    """The images that somebody decided on since ``run`` began to train (undone decisions do not count)."""
    began = datetime.fromisoformat(run.created) - timedelta(seconds=float(run.record.get("seconds", 0.0)))
    return {d.image for d in journal if not d.undone and datetime.fromisoformat(d.at) >= began}


def _scored(seen: pd.DataFrame) -> pd.DataFrame:
    own = probability_of(seen, seen["label"])
    best = seen["probability"].astype(float)
    return seen.assign(
        suggested=seen["predicted"],
        suggested_probability=best,
        probability=own,
        score=1.0 - own,
        why=pd.Series(map(_why, seen["label"], seen["predicted"], own, best), index=seen.index, dtype=object),
    )


def _why(label: str, predicted: str, own: float, best: float) -> str:
    if label == predicted:
        return f"The model agrees with {label} ({_percent(own)})."
    return f"The model sees {predicted} ({_percent(best)}), {label} {_percent(own)}."


def _percent(share: float) -> str:
    return "less than 1%" if 0 < share < 0.01 else f"{share:.0%}"


def _claims(workspace: Workspace, rows: pd.DataFrame, decided: Collection[str]) -> pd.DataFrame:
    """Every label given to an image of ``rows``: the one it has, and what the places it came from called it.

    One row a claim: id, group, label, decided. What a person decided on speaks through the label it has now only.
    """
    own = rows[["id", "label"]]
    foreign = workspace.store.sources()[["image_id", "claimed_label"]].set_axis(["id", "label"], axis=1).dropna()
    foreign = foreign[~foreign["id"].isin(list(decided))]
    claims = pd.concat([own, foreign], ignore_index=True).drop_duplicates()
    claims = claims.merge(rows[["id", "group"]], on="id", how="inner")
    return claims.assign(group=claims["group"].fillna(claims["id"]), decided=claims["id"].isin(list(decided)))


def _with_conflicts(rows: pd.DataFrame, claims: pd.DataFrame, decided: Collection[str]) -> pd.DataFrame:
    """``rows`` with the score, suggestion and reason of every undecided picture that was given two labels."""
    disputed = claims[claims.groupby("group")["label"].transform("nunique") > 1]
    rows = rows.copy()
    for _, group in disputed.groupby("group", sort=False):
        members = rows.index[rows["id"].isin(group["id"])]
        likely = _likely(rows.loc[members], group)
        for row in members.difference(rows.index[rows["id"].isin(list(decided))]):
            _mark(rows, row, likely, group["label"])
    return rows


def _likely(members: pd.DataFrame, claims: pd.DataFrame) -> list[str]:
    """The labels that may be right for one picture, likeliest first: those a person gave it, or else the one label
    with the highest mean probability.
    """
    given = sorted(set(claims.loc[claims["decided"], "label"]))
    ranked = sorted(
        given or sorted(set(claims["label"])),
        key=lambda label: -float(probability_of(members, pd.Series(label, index=members.index)).mean()),
    )
    return ranked if given else ranked[:1]


def _mark(rows: pd.DataFrame, row: int, likely: list[str], given: Iterable[str]) -> None:
    image = rows.loc[row].to_dict()
    others = " and ".join(sorted(set(given) - {image["label"]}))
    marked: dict[str, Any] = {"why": f"The same picture is also called {others}. {image['why']}"}
    if image["label"] in likely:
        marked |= {"score": max(float(image["score"]), DISPUTED)}
    else:
        share = float(probability_of(rows.loc[[row]], pd.Series([likely[0]]))[0])
        marked |= {"score": 1.0, "suggested": likely[0], "suggested_probability": share}
    for column, value in marked.items():
        rows.at[row, column] = value
