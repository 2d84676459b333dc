"""How far features lie from those that were learnt from, and how much in between; and the limit, on held-out scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from pipeline.model.familiar import FALSE_ALARMS, MOST_IN_BANK, MOST_NUMBERS, chosen, learn, limit, moments, shrinkage
from pipeline.predict import SCORES, Familiar

SIZE, CLASSES = 16, 3


def places(count: int, pictures: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, list[str | None]]:
    """(features, class numbers, scenes) of pictures of three classes, taken in so many places."""
    generator = torch.Generator().manual_seed(seed)
    middles = 3.0 * torch.eye(CLASSES, SIZE)
    numbers = torch.arange(count) % CLASSES
    of_place = middles[numbers] + 0.6 * torch.randn(count, SIZE, generator=generator)
    features = of_place.repeat_interleave(pictures, dim=0)
    features = features + 0.05 * torch.randn(features.shape, generator=generator)
    return features, numbers.repeat_interleave(pictures), [f"place {n // pictures}" for n in range(count * pictures)]


def test_far_or_in_between_is_strange_and_what_it_learnt_from_is_not() -> None:
    features, targets, _ = places(30)
    learnt = learn(features, targets, CLASSES)
    between = (features[targets == 0].mean(dim=0) + features[targets == 1].mean(dim=0)) / 2
    own, other = learnt.distances(features), learnt.distances(torch.stack([between, -features[0]]))
    assert bool((other[:, None] > own).all()) and float(own.min()) >= 0


def test_the_score_is_the_missing_cosine_and_the_doubt_of_the_head() -> None:
    features, targets, _ = places(12)
    learnt = learn(features, targets, CLASSES)
    asked = places(5, seed=1)[0]
    for doubt, reach in ((0.0, 0.0), (0.7, 0.0), (0.7, 50.0)):
        weighed = Familiar({**learnt.parts, "doubt": torch.tensor(doubt), "reach": torch.tensor(reach)})
        missing = 1 - torch.nn.functional.cosine_similarity(asked[:, None], features[None], dim=2).amax(dim=1)
        likely = (asked @ learnt.parts["weight"].T + learnt.parts["bias"]).softmax(dim=1).amax(dim=1)
        expected = torch.maximum(missing * reach, missing + doubt * (1 - likely))
        torch.testing.assert_close(weighed.distances(asked), expected, rtol=1e-3, atol=2e-3)


def test_where_several_classes_or_none_may_be_there_nothing_is_in_doubt() -> None:
    features, targets, _ = places(12)
    flags = torch.nn.functional.one_hot(targets, CLASSES).float()
    learnt = learn(features, flags, CLASSES)
    more = Familiar({**learnt.parts, "doubt": torch.tensor(9.0)})
    torch.testing.assert_close(learnt.distances(features), more.distances(features))
    weighed, said = limit(learnt, features, flags, ["train"] * len(features), [None] * len(features))
    assert said["threshold"] > 0 and bool(weighed.distances(-features).gt(said["threshold"]).all())


@pytest.mark.parametrize(
    ("rows", "size"), [(10, 8), (MOST_IN_BANK + 50, 4), (90, MOST_NUMBERS // 40), (3, MOST_NUMBERS * 2)]
)
def test_the_bank_stays_small(rows: int, size: int) -> None:
    features = torch.zeros(1).expand(rows, size)
    taken = chosen(features)
    most = max(1, min(MOST_IN_BANK, MOST_NUMBERS // size))
    assert len(taken) == len(set(taken.tolist())) == min(rows, most) and taken.max() < rows


def test_the_limit_set_on_held_out_scenes_holds_in_the_next_place() -> None:
    features, targets, scenes = places(60)
    elsewhere, theirs, _ = places(60, seed=1)
    every, shown = torch.cat([features, elsewhere]), torch.cat([targets, theirs])
    learnt = learn(features[::2], targets[::2], CLASSES)
    split = [*(["train", "valid"] * (len(features) // 2)), *["test"] * len(elsewhere)]
    _, said = limit(learnt, every, shown, split, [*scenes, *[None] * len(elsewhere)])
    near = learnt.distances(features[1::2])
    careless = float((learnt.distances(elsewhere) > torch.quantile(near, 1 - FALSE_ALARMS)).double().mean())
    assert careless > 0.5, "pictures of the same places say nothing about the next ones"
    assert said["test"]["rate"] <= 0.15 and said["test"]["images"] == len(elsewhere)
    assert said["set_on"] == {"images": len(features), "scenes": 60, "by": "scenes"}


def test_scenes_that_nobody_tells_are_estimated() -> None:
    features, targets, _ = places(40)
    split = ["train", "train", "valid", "train"] * 40
    learnt = learn(features[np.flatnonzero(np.array(split) == "train")], targets[np.array(split) == "train"], CLASSES)
    _, said = limit(learnt, features, targets, split, [None] * len(features))
    assert said["set_on"]["by"] == "features" and 5 < said["set_on"]["scenes"] <= 41
    assert said["test"] == {"rate": 0.0, "images": 0} and said["score"] in SCORES


def test_the_test_split_has_no_part_in_the_limit() -> None:
    features, targets, scenes = places(20)
    split = ["train", "train", "valid", "test"] * 20
    learnt = learn(features, targets, CLASSES)
    one, said = limit(learnt, features, targets, split, scenes)
    moved = features.clone()
    moved[3::4] += 20
    other, as_well = limit(learnt, moved, targets, split, scenes)
    assert said["test"]["rate"] < as_well["test"]["rate"] == 1.0
    assert {**said, "test": 0} == {**as_well, "test": 0} and one.parts["doubt"] == other.parts["doubt"]


def test_where_all_is_one_scene_the_valid_split_has_to_do() -> None:
    features, targets, _ = places(12)
    split = ["train", "valid"] * 24
    _, said = limit(learn(features, targets, CLASSES), features, targets, split, ["here"] * 48)
    assert said["set_on"] == {"images": 24, "scenes": 0, "by": ""}


def test_pictures_that_are_all_alike_are_no_reason_to_fail() -> None:
    same, targets = torch.ones(10, 8), torch.arange(10) % 2
    familiar, said = limit(learn(same, targets, 2), same, targets, ["train"] * 8 + ["valid"] * 2, [None] * 10)
    assert familiar.distances(same).isfinite().all() and said["threshold"] > 0
    assert bool((familiar.distances(-same) > said["threshold"]).all())
    assert familiar.distances(torch.zeros(1, 8)).isfinite().all(), "features that are all zero have no direction"


# --- what is in the file ---------------------------------------------------------------------------------------------


def fitting(score: str, features: int) -> dict[str, torch.Tensor]:
    sizes = {"M": 5, "F": features, "C": 3, "K": 2}
    return {name: torch.ones([sizes[size] for size in wanted]) for name, wanted in SCORES[score].items()}


@pytest.mark.parametrize("score", SCORES)
def test_a_file_is_read_as_the_score_it_holds(score: str, tmp_path: Path) -> None:
    save_file(fitting(score, 6), tmp_path / "familiar.safetensors")
    read = Familiar.load(tmp_path / "familiar.safetensors", score, 6, "cpu")
    assert read.distances(torch.rand(4, 6)).shape == (4,)


@settings(max_examples=25, deadline=None)
@given(
    score=st.sampled_from([*SCORES]),
    said=st.sampled_from([*SCORES, "", "another"]),
    width=st.sampled_from([6, 7]),
    harm=st.sampled_from(["", "nan", "missing", "more", "empty", "longer", "flat"]),
    which=st.integers(0, 4),
)
def test_a_file_that_does_not_fit_is_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, score: str, said: str, width: int, harm: str, which: int
) -> None:
    parts = fitting(score, 6)
    name = [*parts][which % len(parts)]
    tensor = parts.pop(name)
    changed = {
        "": tensor,
        "nan": tensor * float("nan"),
        "more": tensor,
        "empty": tensor[..., :0] if tensor.ndim else tensor[None][:0],
        "longer": torch.cat([tensor.reshape(-1), torch.ones(1)]),
        "flat": tensor[None],
    }
    parts |= {name: changed[harm]} if harm != "missing" else {}
    parts |= {"another": torch.ones(2)} if harm == "more" else {}
    file = tmp_path_factory.mktemp("harm") / "familiar.safetensors"
    save_file({key: value.contiguous() for key, value in parts.items()}, file)
    if not harm and said == score and width == 6:
        assert Familiar.load(file, said, width, "cpu").parts.keys() == parts.keys()
        return
    with pytest.raises(ValueError, match=r"does not hold what is familiar|no numbers"):
        Familiar.load(file, said, width, "cpu")


def test_a_model_of_an_earlier_version_measures_mahalanobis_distance_still() -> None:
    generator = torch.Generator().manual_seed(3)
    known, asked = torch.randn(90, 12, generator=generator) + 5, torch.randn(20, 12, generator=generator) + 5
    mean, covariance = moments(known, np.arange(90))
    torch.testing.assert_close(covariance, torch.cov(known.double().T, correction=0))
    floor = shrinkage(covariance)
    variances, directions = torch.linalg.eigh(covariance)
    parts = {"mean": mean, "directions": directions, "variances": variances, "floor": floor}
    earlier = Familiar({name: tensor.float() for name, tensor in parts.items()})
    precision = torch.linalg.inv(covariance + floor * torch.eye(12))
    away = asked.double() - mean
    expected = torch.einsum("nf,fg,ng->n", away, precision, away).sqrt()
    torch.testing.assert_close(earlier.distances(asked).double(), expected, rtol=1e-4, atol=1e-4)
