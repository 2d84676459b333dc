"""What the Train tab starts as jobs, and what there is to learn from; what could not succeed is refused at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import NotEnoughData, UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.tabs.page.show import count, empty, escape, splits
from pipeline.tabs.train.fields import config_from, settings, starting_points
from pipeline.train.config import LrFindConfig, TrainConfig
from pipeline.train.data import usable_rows
from pipeline.train.lr_finder import find_lr
from pipeline.train.train import train
from pipeline.workspace.runs import list_runs
from pipeline.workspace.workspace import Workspace


def train_job(workspace: Workspace, values: Mapping[str, Any], local: bool = True) -> Job:
    """Start a training. Raises NotEnoughData and UsageError at once, where it could not succeed.

    Where the app is open to others (not ``local``), weights may only be those of the workspace's runs.
    """
    config = config_from(values)
    check(workspace, config, local)
    return jobs.start(workspace, train, config)


def find_job(workspace: Workspace, values: Mapping[str, Any], local: bool = True) -> Job:
    """Start looking for a learning rate for a training with these settings; errors as of :func:`train_job`."""
    config = LrFindConfig(**settings(values))
    check(workspace, config, local)
    return jobs.start(workspace, find_lr, config)


def check(workspace: Workspace, config: TrainConfig, local: bool) -> None:
    """Raises NotEnoughData and UsageError where training with ``config`` could not begin now."""
    images = workspace.store.images()
    if images.empty:
        raise NotEnoughData("There are no pictures to learn from yet. Go to Collect and bring some in first.")
    if not (images["status"] == "new").any():
        usable_rows(workspace, config.head)
    _check_weights(workspace, config.weights, local)
    if jobs.running(workspace, StageName.TRAIN, StageName.FIND_LR):
        raise UsageError("A training is running already. Wait for it, or cancel it above.")


def _check_weights(workspace: Workspace, weights: str, local: bool) -> None:
    known = [file for _, file in starting_points(list_runs(workspace))]
    if weights and weights not in known and not local:
        raise UsageError("Here a training can start from the pretrained weights or from a run of this workspace only.")
    if weights and not Path(weights).is_file():
        raise UsageError(f"There is no file {weights} to start from. Choose the pretrained weights, or those of a run.")


def material(workspace: Workspace) -> str:
    """What there is to learn from, per class and split, as HTML."""
    images = workspace.store.images()
    if images.empty:
        return empty("No pictures yet", "Go to Collect and bring some in first.")
    new = int((images["status"] == "new").sum())
    line = f"{count(new, 'picture')} not checked yet: training will check them first." if new else _missing(workspace)
    return splits(workspace) + (f'<p class="w-hint">{escape(line)}</p>' if line else "")


def _missing(workspace: Workspace) -> str:
    """Why nothing can be learnt from the checked pictures; empty where it can."""
    try:
        usable_rows(workspace)
    except NotEnoughData as error:
        return str(error)
    return ""
