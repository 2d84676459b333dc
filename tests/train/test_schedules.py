"""The rate's way over a training: never above the highest, never nothing, and down at the end."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings import settings_of
from pipeline.train.config import TrainConfig
from pipeline.train.plan import END, Schedule

configs = st.builds(
    TrainConfig,
    schedule=st.sampled_from(sorted(settings_of(TrainConfig)["schedule"].choices or ())),
    warmup=st.floats(0, 0.9),
    cycle_epochs=st.integers(1, 4),
    cycle_factor=st.floats(1, 3),
)


@given(configs, st.integers(1, 12), st.integers(1, 40))
def test_the_rate_stays_between_nothing_and_the_highest_and_ends_low(
    config: TrainConfig, epochs: int, epoch_steps: int
) -> None:
    steps = epochs * epoch_steps
    schedule = Schedule.of(config, steps, epoch_steps)
    rates = [schedule.factor(step) for step in range(steps + 1)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[-1] == pytest.approx(END)
    assert all(0.8 < schedule.momentum(step) < 1 for step in range(steps + 1))


@given(configs, st.integers(1, 30), st.integers(1, 40))
def test_the_cycles_follow_each_other_without_a_gap_and_cover_all_steps(
    config: TrainConfig, epochs: int, epoch_steps: int
) -> None:
    steps = epochs * epoch_steps
    found = list(Schedule.of(config, steps, epoch_steps).cycles())
    assert found[0][0] == 0 and found[-1][1] == steps
    assert all(before[1] == after[0] for before, after in itertools.pairwise(found))
    assert all(end > begin for begin, end in found)


@given(st.integers(2, 400))
def test_one_cycle_is_that_of_torch(steps: int) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=0.5)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.5, total_steps=1001, pct_start=0.3, div_factor=5, final_div_factor=1e4
    )
    schedule = Schedule.of(TrainConfig(), 1000, 10)
    for step in range(min(steps, 1000)):
        # torch turns around at step 299.3 of 1,001, ours at 300 of 1,000
        assert theirs.get_last_lr()[0] == pytest.approx(0.5 * schedule.factor(step), rel=0.02, abs=1e-5)
        optimizer.step()
        theirs.step()


def test_restarts_begin_at_the_highest_rate_and_grow_longer() -> None:
    schedule = Schedule.of(TrainConfig(schedule="restarts", cycle_epochs=1, cycle_factor=2), 70, 10)
    assert list(schedule.cycles()) == [(0, 10), (10, 30), (30, 70)]
    assert [schedule.factor(step) for step in (0, 10, 30)] == [1.0, 1.0, 1.0]
    assert schedule.factor(9) < 0.05 and schedule.factor(69) < 0.01


def test_the_cosine_warms_up_in_a_straight_line() -> None:
    schedule = Schedule.of(TrainConfig(schedule="cosine", warmup=0.2), 100, 10)
    rates = [schedule.factor(step) for step in range(100)]
    rising = [b - a for a, b in itertools.pairwise(rates[:21])]
    assert rising == pytest.approx([1 / 21] * 20, abs=1e-3)
    assert max(rates) == 1.0 and rates.index(1.0) == 20
