"""Which labels are probably wrong: one ranked queue, from probabilities of models that never saw the image."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from cleaner.clean.audit import log_audit
from cleaner.review.review import judged, probability_of
from cleaner.review.today import read
from pipeline.labels import Floats, in_words
from pipeline.predict import Outputs
from pipeline.workspace.journal import renamings
from pipeline.workspace.records import Decision
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

COLUMNS = [
    "id",
    "file",
    "label",
    "suggested",
    "score",
    "why",
    "split",
    "probability",
    "suggested_probability",
    "loss",
    "kind",
]
CLEANED = ("train", "valid")
DISPUTED = 0.5
DECIDED_BEFORE = 0.5
# Added to probabilities before they are compared: below it, smaller is not surer.
UNSURE = 0.001
# Added to a probability and to what is usual for its class before one is divided by the other.
FEW = 0.01
# Robust standard deviations; so strange a picture has DISPUTED for its score.
STRANGE = 4.0


def audit(workspace: Workspace, run: Run) -> pd.DataFrame:
    """The queue of :func:`suspects` for the locked test split, by the run's own answers; the audit is logged first, and
    every comparison from now on says that there was one.

    >>> set(w.audit(ws, w.load_run(ws))["split"])
    {'test'}
    """
    log_audit(workspace, run.id)
    return suspects(workspace, run, ("test",))


def suspects(workspace: Workspace, run: Run, splits: Sequence[str] = CLEANED) -> pd.DataFrame:
    """The cleaning queue, most suspicious first: id, file, label, suggested, score (0 to 1), why, and more columns.

    Every image of ``run`` in ``splits`` that is still in use and was not decided on since the run; a test image only
    in an :func:`audit`. All are answered by what never saw them. ``score``: how likely the likeliest other class is
    rather than the label, if it is one of the two (see :func:`suspicion`); with several labels an image, 1 - the
    probability of the label. It is at least DISPUTED for what verify finds suspect, and more the stranger a picture is
    beyond STRANGE. A picture that was given two labels comes first (score 1) where it carries the less likely one, and
    has at least DISPUTED where it carries the likelier. What a person decided on before the run comes back with
    DECIDED_BEFORE times its score. Labels of the model that nobody looked at come before all others. More columns:
    split, probability (of the label), suggested_probability, loss, kind (label, two labels, outlier, file: what speaks
    most against the image).

    >>> queue = w.suspects(ws, w.load_run(ws))
    >>> list(queue.columns[:6])
    ['id', 'file', 'label', 'suggested', 'score', 'why']
    >>> queue["score"].is_monotonic_decreasing
    True
    """
    everything = workspace.store.journal.decisions()
    journal = [decision for decision in everything if decision.about_label]
    decided = {decision.image for decision in journal}
    answers = unseen(run, splits, renamed_since(run, everything))
    judged_now = judged(workspace, run, answers).reset_index(drop=True)
    rows = _scored(judged_now, run.outputs, usual_of(answers))
    rows = _with_strange_ones(rows, run)
    rows = _with_suspect_files(rows, workspace)
    rows = _with_conflicts(rows, _claims(workspace, rows, decided, renamings(everything)), decided, run.outputs)
    since = decided_since(run, journal)
    rows = rows[~rows["id"].isin(since) & (rows["label"] == rows["trained_label"])]
    before, model = rows["id"].isin(decided), rows["id"].isin(workspace.store.journal.by_model())
    why = rows["why"].where(~before, rows["why"] + " You decided on it before this run.")
    rows = rows.assign(
        score=rows["score"].where(~before, rows["score"] * DECIDED_BEFORE),
        why=why.where(~model, why + " Its label is the model's, and nobody looked at it."),
        model=model,
    )
    return rows.sort_values(["model", "score", "loss"], ascending=False, kind="stable")[COLUMNS].reset_index(drop=True)


def decided_since(run: Run, journal: Iterable[Decision]) -> set[str]:
    """The images that somebody decided on since ``run`` began to train (undone decisions do not count)."""
    began = begin_of(run)
    return {d.image for d in journal if not d.undone and datetime.fromisoformat(d.at) >= began}


def begin_of(run: Run) -> datetime:
    """When ``run`` began to train."""
    return datetime.fromisoformat(run.created) - timedelta(seconds=float(run.record.get("seconds", 0.0)))


def _scored(seen: pd.DataFrame, outputs: Outputs, usual: Floats) -> pd.DataFrame:
    own = probability_of(seen, seen["label"], outputs)
    best = seen["probability"].astype(float)
    return seen.assign(
        kind="label",
        suggested=seen["predicted"],
        suggested_probability=best,
        probability=own,
        score=doubt(seen, outputs, usual),
        why=pd.Series(map(_why, seen["label"], seen["predicted"], own, best), index=seen.index, dtype=object),
    )


def renamed_since(run: Run, journal: Iterable[Decision]) -> dict[str, str]:
    """Class of the run -> its name of today, for the classes that were renamed or merged since it began to train."""
    began = begin_of(run)
    names = renamings(decision for decision in journal if datetime.fromisoformat(decision.at) >= began)
    return {old: name for old, name in names.items() if old in run.classes}


def unseen(run: Run, splits: Sequence[str] = CLEANED, renamed: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The columns of ``run.predictions()`` for the images of ``splits``, each answered by what never saw it; in the
    names of today (``renamed``, see :func:`renamed_since`), where merged classes share what was said for either.
    """
    table = run.predictions() if "test" in splits else run.out_of_fold()
    table = table[table["split"].isin(splits)]
    return _in_names_of_today(table, run.outputs, renamed) if renamed else table


def _in_names_of_today(table: pd.DataFrame, outputs: Outputs, renamed: Mapping[str, str]) -> pd.DataFrame:
    columns = [column for column in table.columns if column.startswith("p:")]
    names = [renamed.get(column.removeprefix("p:"), column.removeprefix("p:")) for column in columns]
    by_name = table[columns].T.groupby([f"p:{name}" for name in names], sort=False)
    likely = (by_name.sum() if outputs.kind == "softmax" else by_name.max()).T
    said = read(table["predicted"], renamed)
    if outputs.kind == "softmax":
        said = likely.idxmax(axis=1).astype(str).str.removeprefix("p:")
    first = likely.max(axis=1) if outputs.kind == "softmax" else table["probability"]
    rest = table.drop(columns=columns).assign(label=read(table["label"], renamed), predicted=said, probability=first)
    return pd.concat([rest, likely], axis=1)


def doubt(answers: pd.DataFrame, outputs: Outputs, usual: Floats) -> Floats:
    """[N], 0 to 1: how much the ``answers`` speak against the label of their row; see :func:`suspects`. ``usual``: what
    :func:`usual_of` says of all that the run answered, whatever became of it since.
    """
    if outputs.kind == "sigmoid":
        return 1.0 - probability_of(answers, answers["label"], outputs)
    return suspicion(*_by_class(answers), usual)


def usual_of(answers: pd.DataFrame) -> Floats:
    """[C]: the mean probability of each class among the ``answers`` about images that carry it; 1 where none does."""
    return usual_by_class(*_by_class(answers))


def usual_by_class(likely: Floats, labelled: Flags) -> Floats:
    """:func:`usual_of` probabilities [N, C] and where their row's label stands among them [N, C]."""
    carried = labelled.sum(axis=0)
    means: Floats = np.where(carried, (likely * labelled).sum(axis=0) / np.maximum(carried, 1), 1.0)
    return means


def _by_class(answers: pd.DataFrame) -> tuple[Floats, Flags]:
    names = [name for name in answers.columns if name.startswith("p:")]
    labelled = answers["label"].astype(str).to_numpy()[:, None] == np.array([name[2:] for name in names], dtype=str)
    return answers[names].to_numpy(dtype=float), labelled


def suspicion(likely: Floats, labelled: Flags, usual: Floats) -> Floats:
    """[N], 0 to 1: how likely another class is rather than the label, by the probabilities [N, C] and where their row's
    label stands among them [N, C] (nowhere: it is a class that was not asked about).

    It is the mean of two odds: of the probabilities as they are, and of each beside what is ``usual`` [C] for its class
    (as confident learning's thresholds are, Northcutt et al. 2021). With few images a class, the heads name
    some classes too readily and others too rarely; with many, both odds rank alike.
    """
    beside = (likely + FEW) / (usual + FEW)
    found: Floats = (_odds(likely, labelled) + _odds(beside, labelled)) / 2
    return found


def _odds(likely: Floats, labelled: Flags) -> Floats:
    own = np.where(labelled, likely, 0.0).sum(axis=1)
    other = np.where(labelled, 0.0, likely).max(axis=1, initial=0.0)
    odds: Floats = (other + UNSURE) / (own + other + 2 * UNSURE)
    return odds


def _with_strange_ones(rows: pd.DataFrame, run: Run) -> pd.DataFrame:
    """``rows`` with the score, kind and reason of the pictures that look like no other."""
    everything = run.predictions()
    if "strangeness" not in everything:  # an earlier version's run
        return rows
    strange = rows["id"].map(everything.set_index("id")["strangeness"]).fillna(0.0).astype(float)
    score = strange / (strange + STRANGE)
    return _raised(rows, score.where(strange >= STRANGE, 0.0), "outlier", "It looks unlike all other images.")


def _with_suspect_files(rows: pd.DataFrame, workspace: Workspace) -> pd.DataFrame:
    """``rows`` with the score, kind and reason of what verify found suspect."""
    known = workspace.store.images().set_index("id")
    doubted = rows["id"].map(known["verdict"]) == "suspect"
    words = "Verify: " + rows["id"].map(known["reason"]).fillna("").astype(str)
    return _raised(rows, doubted * DISPUTED, "file", words)


def _raised(rows: pd.DataFrame, least: pd.Series, kind: str, words: pd.Series | str) -> pd.DataFrame:
    """``rows`` with at least that score, and the reason first, where ``least`` is above 0; and of that kind where the
    score was lower.
    """
    meant = least > 0
    return rows.assign(
        kind=rows["kind"].where(~(meant & (least > rows["score"])), kind),
        score=np.maximum(rows["score"], least),
        why=rows["why"].where(~meant, words + " " + rows["why"]),
    )


def _why(label: str, predicted: str, own: float, best: float) -> str:
    if label == predicted:
        return f"The model agrees with {in_words(label)} ({_percent(own)})."
    return f"The model sees {in_words(predicted)} ({_percent(best)}), {in_words(label)} {_percent(own)}."


def _percent(share: float) -> str:
    return "less than 1%" if 0 < share < 0.01 else f"{share:.0%}"


def _claims(
    workspace: Workspace, rows: pd.DataFrame, decided: Collection[str], renamed: Mapping[str, str]
) -> pd.DataFrame:
    """Every label given to an image of ``rows``: the one it has, and what the places it came from called it, in the
    names of today (``renamed``).

    One row a claim: id, group, label, decided. What a person decided on speaks through the label it has now only.
    """
    own = rows[["id", "label"]]
    foreign = workspace.store.sources()[["image_id", "claimed_label"]].set_axis(["id", "label"], axis=1).dropna()
    foreign = foreign[~foreign["id"].isin(list(decided))]
    foreign = foreign.assign(label=read(foreign["label"], renamed))
    claims = pd.concat([own, foreign], ignore_index=True).drop_duplicates()
    claims = claims.merge(rows[["id", "group"]], on="id", how="inner")
    return claims.assign(group=claims["group"].fillna(claims["id"]), decided=claims["id"].isin(list(decided)))


def _with_conflicts(
    rows: pd.DataFrame, claims: pd.DataFrame, decided: Collection[str], outputs: Outputs
) -> pd.DataFrame:
    """``rows`` with the score, suggestion and reason of every undecided picture that was given two labels."""
    disputed = claims[claims.groupby("group")["label"].transform("nunique") > 1]
    if disputed.empty:
        return rows
    rows = rows.assign(group=rows["group"].fillna(rows["id"]))
    mine = rows["group"].isin(disputed["group"]) & ~rows["id"].isin(list(decided))
    ranked = _ranked(rows[rows["group"].isin(disputed["group"])], disputed, outputs)
    given = disputed.groupby("group")["label"].agg(lambda labels: sorted(set(labels))).to_dict()
    likely = ranked[ranked["likely"]].groupby("group")["label"].agg(set).to_dict()
    first = ranked.drop_duplicates("group").set_index("group")["label"].to_dict()
    part = rows[mine]
    fits = [label in likely[group] for group, label in zip(part["group"], part["label"], strict=True)]
    better = part["group"].map(first)
    others = [
        " and ".join(in_words(name) for name in given[group] if name != label)
        for group, label in zip(part["group"], part["label"], strict=True)
    ]
    marked = part.assign(
        why=[f"The same picture is also called {other}. {why}" for other, why in zip(others, part["why"], strict=True)],
        score=np.where(fits, part["score"].clip(lower=DISPUTED), 1.0),
        kind="two labels",
        suggested=np.where(fits, part["suggested"], better),
        suggested_probability=np.where(fits, part["suggested_probability"], probability_of(part, better, outputs)),
    )
    return pd.concat([rows[~mine], marked]).sort_index()


def _ranked(members: pd.DataFrame, disputed: pd.DataFrame, outputs: Outputs) -> pd.DataFrame:
    """Every label given to every disputed picture, likeliest first: group, label, likely.

    What a person decided is likely, whatever the model says; without that, the one label with the highest mean
    probability over the picture's copies is.
    """
    given = disputed.groupby(["group", "label"], as_index=False).agg(decided=("decided", "any"))
    pairs = members.merge(given.rename(columns={"label": "candidate"}), on="group")
    pairs["mean"] = probability_of(pairs, pairs["candidate"], outputs)
    table = pairs.groupby(["group", "candidate"], as_index=False).agg(mean=("mean", "mean"), decided=("decided", "any"))
    table = table.sort_values(["group", "decided", "mean"], ascending=[True, False, False], kind="stable")
    first = ~table.duplicated("group")
    return table.rename(columns={"candidate": "label"}).assign(likely=table["decided"] | first)
