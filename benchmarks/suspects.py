"""Finding planted label errors: ours, fastai's order of top losses, and cleanlab by its tutorial's recipe, in turn.

    PYTHONPATH=. python benchmarks/suspects.py [--cleanlab PYTHON] [--data near=starter far=DIR] [--pictures 600]
        [--noise 2 5 10 20] [--seeds 1 2 3]

PYTHON is the interpreter of an environment with cleanlab and scikit-learn. Everybody ranks the same pictures by the
same features (tf_efficientnet_lite0, frozen, as they are). Noise is uniform (any other class) or confusable (the class
that a head which did not see the picture finds likeliest besides the right one). Top losses are those of a head on the
pictures that it was fitted to; "odds alone" is ours without what is usual for each class. cleanlab: cross_val_predict
of a logistic regression in 5 folds, then its label quality scores. Prints the average precision, and of the first as
many as there are wrong labels the share that is wrong; means over the seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks._contenders import contend
from benchmarks._train_sets import prepared
from cleaner.clean.suspects import suspicion, usual_by_class
from pipeline.model.head import fit_head
from pipeline.model.out_of_fold import out_of_fold
from pipeline.stage import run
from pipeline.train.data import Dataset
from pipeline.train.train import TrainConfig, prepare

PLANTED = ("uniform", "confusable")
CLEANLAB = """
import numpy as np
from cleanlab.rank import get_label_quality_scores
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
held = np.load(sys.argv[1])
def work():
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=400))
    likely = cross_val_predict(model, held["features"], held["labels"], cv=5, method="predict_proba")
    kinds = {
        "self-confidence": {"method": "self_confidence", "adjust_pred_probs": True},
        "margin": {"method": "normalized_margin"},
    }
    scores = {name: get_label_quality_scores(held["labels"], likely, **kind) for name, kind in kinds.items()}
    return {name: (1 - score).tolist() for name, score in scores.items()}
timed(work)
"""
Scores = Mapping[str, np.ndarray]


def main() -> None:
    """Each data set, kind and share of noise in turn."""
    args = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        for name, _, source in (text.partition("=") for text in args.data):
            workspace = prepared(Path(scratch) / name, source, args.pictures)
            task, engine = run(prepare(workspace, TrainConfig()))
            every = np.arange(len(task.dataset.rows))
            features, _ = run(engine.answers(task.dataset, every, "Reading features", "features"))
            print(f"\n{name}: {len(every)} pictures, {len(task.dataset.classes)} classes", flush=True)
            for kind in PLANTED:
                for share in args.noise:
                    _table(args, task.dataset, features, task.targets, kind, share / 100)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cleanlab", metavar="PYTHON", help="interpreter with cleanlab (left out: not compared)")
    parser.add_argument("--data", nargs="+", default=["near=starter"], metavar="NAME=SOURCE", help="what to import")
    parser.add_argument("--pictures", type=int, default=600, help="at most so many of a set")
    parser.add_argument("--noise", type=float, nargs="+", default=[2, 5, 10, 20], help="per cent of the labels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    return parser.parse_args()


def _table(
    args: argparse.Namespace, dataset: Dataset, features: torch.Tensor, right: torch.Tensor, kind: str, share: float
) -> None:
    """One line: the mean over the seeds of what each ranking reaches."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    groups = [str(group) for group in dataset.rows["group"]]
    for seed in args.seeds:
        labels, wrong = planted(features, right, groups, kind, share, seed)
        scores = rankings(features, labels, groups)
        if args.cleanlab:
            scores = {**scores, **_cleanlab(args.cleanlab, features, labels)}
        for name, score in scores.items():
            found[name].append((average_precision(score, wrong), precision_at(score, wrong)))
    means = {name: np.mean(both, axis=0) for name, both in found.items()}
    words = ", ".join(f"{name} {mean[0]:.3f} ({mean[1]:.2f})" for name, mean in means.items())
    print(f"  {kind:10} {100 * share:4.0f} %: {words}", flush=True)


def planted(
    features: torch.Tensor, right: torch.Tensor, groups: list[str], kind: str, share: float, seed: int
) -> tuple[torch.Tensor, np.ndarray]:
    """(labels, which of them are wrong): a share of them was given to another class."""
    chance = np.random.default_rng(seed)
    wrong = np.zeros(len(right), dtype=bool)
    wrong[chance.choice(len(right), max(1, round(share * len(right))), replace=False)] = True
    count = int(right.max()) + 1
    other = (right + torch.from_numpy(chance.integers(1, count, len(right)))) % count
    if kind == "confusable":
        for positions, likely in out_of_fold(features, right, groups, count):
            likely[np.arange(len(positions)), right[positions]] = -1.0
            other[positions] = torch.from_numpy(likely.argmax(axis=1))
    return torch.where(torch.from_numpy(wrong), other, right), wrong


def rankings(features: torch.Tensor, labels: torch.Tensor, groups: list[str]) -> Scores:
    """Higher: more suspicious. Ours, and the losses of a head on what it was fitted to."""
    count = int(labels.max()) + 1
    answered = np.zeros((len(labels), count))
    for positions, likely in out_of_fold(features, labels, groups, count):
        answered[positions] = likely
    labelled = labels.numpy()[:, None] == np.arange(count)
    ours = suspicion(answered, labelled, usual_by_class(answered, labelled))
    fitted = fit_head([features], labels, count)(features)
    alone = suspicion(answered, labelled, np.ones(count))
    return {"ours": ours, "odds alone": alone, "top losses": cross_entropy(fitted, labels, reduction="none").numpy()}


def _cleanlab(python: str, features: torch.Tensor, labels: torch.Tensor) -> Scores:
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file, features=features.numpy(), labels=labels.numpy())
        file.flush()
        answer = contend(python, CLEANLAB, file.name)["answer"]
    return {f"cleanlab {name}": np.array(scores) for name, scores in answer.items()}


def average_precision(score: np.ndarray, wrong: np.ndarray) -> float:
    """The mean, over the wrong labels, of the share of wrong ones among those ranked at least as high."""
    hits = wrong[np.argsort(-score, kind="stable")]
    return float((hits.cumsum() / np.arange(1, len(hits) + 1))[hits].mean())


def precision_at(score: np.ndarray, wrong: np.ndarray) -> float:
    """Of the first as many as there are wrong labels, the share that is wrong."""
    return float(wrong[np.argsort(-score, kind="stable")[: int(wrong.sum())]].mean())


if __name__ == "__main__":
    main()
