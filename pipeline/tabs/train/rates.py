"""The learning-rate finder of the Train tab: its last curve, with what it suggests; a click takes a rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import gradio as gr
from gradio.components import Component

from pipeline.errors import TrainingError, UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.tabs.page.component import View
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.job_view import RATES
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import ago
from pipeline.tabs.train.fields import find_job, held
from pipeline.train.lr_finder import steepest, valley
from pipeline.workspace.workspace import Workspace

FEWEST = 2
DIGITS = 2
Curve: TypeAlias = list[tuple[float, float]]


def rates_view(workspace: Workspace, rate: float | None) -> View:
    """What the component shows: the last curve found in a workspace, the suggestions, and the ``rate`` that is set now.

    Without a curve yet, its ``curve`` is empty.
    """
    now = rate if isinstance(rate, (int, float)) and rate > 0 else None
    for job in jobs.list_jobs(workspace):
        curve = _curve(job.result) if job.stage == StageName.FIND_LR and job.status == "done" else []
        if len(curve) >= FEWEST:
            return {"curve": curve, "marks": _marks(job.result, curve), "about": _about(job), "now": now}
    return {"curve": [], "marks": [], "about": "", "now": now}


def _curve(result: Any) -> Curve:
    """(rate, loss) of a job's result, as far as they can be drawn."""
    points = result.get("curve") if isinstance(result, Mapping) else None
    pairs = [point for point in points or () if isinstance(point, (list, tuple)) and len(point) == 2]
    return [(float(rate), float(loss)) for rate, loss in pairs if _is_number(rate) and _is_number(loss) and rate > 0]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _marks(result: Mapping[str, Any], curve: Curve) -> list[View]:
    """The suggestions; what an older version did not write down is found in the curve."""
    again: Mapping[str, Callable[[Sequence[tuple[float, float]]], float]] = {"suggestion": valley, "steepest": steepest}
    marks = []
    for name, words in RATES.items():
        rate = result.get(name)
        try:
            rate = rate if _is_number(rate) else again[name](curve)
        except TrainingError:
            continue
        marks.append({"name": name, "words": words, "rate": rounded(rate)})
    return marks


def _about(job: Job) -> str:
    config = job.config
    size = f", {config['image_size']} pixels" if config.get("image_size") else ""
    return f"{config.get('backbone', '')}{size}, {config.get('batch_size', '')} pictures a step, {ago(job.started)}"


def rounded(rate: Any) -> float:
    """A rate from 0 to 1 as one would type it, with two digits. Raises UsageError for anything else."""
    if not _is_number(rate) or not 0 < rate <= 1:
        raise UsageError("A learning rate is above 0 and at most 1.")
    return float(f"{rate:.{DIGITS - 1}e}")


def wire_rates(shared: Shared, tab: gr.Tab, find: gr.Button, plot: gr.HTML, fields: Mapping[str, Component]) -> None:
    """Make the button and the curve work; the rate that is taken goes into the field ``base_lr``."""
    field: Any = fields["base_lr"]

    def start(values: Values) -> Job:
        return find_job(shared.open(values[shared.picker]), held(values, fields), shared.local)

    @translate
    def take(event: gr.EventData) -> float:
        return rounded(event._data.get("rate"))

    def view(name: str, rate: float | None) -> View:
        return rates_view(shared.open(name), rate)

    shared.job.launch(find.click, start, {shared.picker, *fields.values()})
    plot.take(take, None, field, trigger_mode="always_last", **QUIET)
    field.change(translate(view), [shared.picker, field], plot, trigger_mode="always_last", **QUIET)
    shared.watch(tab, view, plot, field)
