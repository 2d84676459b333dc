"""A job as a person reads it: what it does, how far it is, its curve and epoch table, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName, doing
from pipeline.tabs.page.plot import Frame
from pipeline.tabs.page.show import count, duration, error_rate, escape, percent, table
from pipeline.train.new_scenes import in_words
from pipeline.workspace.runs import baselines_in_words

PHASES = {
    "features": "looking at the pictures once",
    "head": "learning the classes",
    "scenes": "measuring on scenes that were held out",
    "all": "fine-tuning everything",
    "evaluate": "measuring the result",
}
FRAME = Frame(640, 190, left=44, right=8, top=10, bottom=24)
LOW_FRAME = Frame(640, 96, left=44, right=8, top=10, bottom=8)
POINTS = 240
REASONS, FILES = 12, 50

RATES = {"suggestion": "the middle of the valley", "steepest": "where the loss falls fastest"}


@dataclass
class History:
    """What a job's events add up to; ``add`` takes the ones that are new since ``seen``."""

    seen: int = 0
    losses: list[float] = field(default_factory=list)
    valid: list[tuple[int, float]] = field(default_factory=list)
    wrong: list[tuple[int, float]] = field(default_factory=list)
    epochs: list[Mapping[str, Any]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    began: str = ""
    ended: str = ""

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take in further events, in order."""
        for event in events:
            self.seen += 1
            self.began = self.began or str(event["at"])
            self.ended = str(event["at"])
            if event["kind"] == "progress":
                self._step(event.get("metrics") or {})

    def _step(self, metrics: Mapping[str, Any]) -> None:
        self.metrics = {**self.metrics, **metrics}
        if isinstance(metrics.get("loss"), (int, float)):
            self.losses.append(float(metrics["loss"]))
        epoch = metrics.get("epoch")
        if isinstance(epoch, Mapping):
            if self.epochs and self.epochs[-1].get("epoch") == epoch.get("epoch"):
                self.epochs.pop()  # the head again, better
            self.epochs.append(epoch)
            if isinstance(epoch.get("valid_loss"), (int, float)):
                self.valid.append((max(len(self.losses) - 1, 0), float(epoch["valid_loss"])))
            if isinstance(epoch.get("error_rate"), (int, float)):
                self.wrong.append((max(len(self.losses) - 1, 0), float(epoch["error_rate"])))

    @property
    def seconds(self) -> float:
        """Seconds between the first event and the last."""
        if not self.began:
            return 0.0
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.began)).total_seconds()


def title_of(job: Job) -> str:
    """What a job does, in words."""
    return "Reading what is there" if _only_reads(job) else doing(job.stage)


def _only_reads(job: Job) -> bool:
    """Whether it is an import that shows how a source is read, and stores nothing."""
    return job.stage == StageName.IMPORT and bool(job.config.get("dry_run"))


def headline(job: Job, history: History) -> str:
    """One line, plain text: ``Training · 45% · about 1 min left``, or how the job ended."""
    title = title_of(job)
    if not job.active:
        return f"{title}: {_ending(job, history)}"
    if job.cancelling:
        return f"{title} · stopping…"
    if job.status == "queued":
        place = history.metrics.get("place")
        return f"{title} · waiting: you are number {place}" if place else f"{title} · waiting for its turn"
    if not history.seen:
        return f"{title} · starting…"
    parts = [title, f"{job.done / job.total:.0%}" if job.total else "", _left(job, history)]
    return " · ".join(part for part in parts if part)


def _ending(job: Job, history: History) -> str:
    match job.status:
        case "done":
            if _only_reads(job):
                return "done. Look below how it is read, in Collect; nothing is stored before you say so."
            return f"done in {duration(history.seconds)}. {result_in_words(job.stage, job.result or {})}".strip()
        case "cancelled":
            return "stopped, as you asked. What was finished is kept."
        case "interrupted":
            return (
                "interrupted: its process is gone (was the machine restarted?). Resume goes on from what is finished."
            )
        case _:
            return "it failed."


def _left(job: Job, history: History) -> str:
    eta = history.metrics.get("eta")
    if eta is None and 0 < job.done < job.total and history.seconds >= 2:
        eta = history.seconds / job.done * (job.total - job.done)
    return f"about {duration(float(eta))} left" if isinstance(eta, (int, float)) else ""


def body(job: Job, history: History) -> str:
    """The HTML below the headline: bar, note, curve, epochs."""
    parts = [_bar(job), f'<p class="w-note">{escape(" · ".join(_notes(job, history)))}</p>'] if job.active else []
    if not job.active:
        words = job.note if job.status == "failed" else _ending(job, history)
        parts.append(f'<p class="w-ending w-{escape(job.status)}">{escape(words)}</p>')
    if job.stage == StageName.IMPORT and job.result and not _only_reads(job):
        parts.append(_not_taken(job.result.get("failed", ())))
    curves = curve(history.losses, history.valid) + error_curve(history.wrong, len(history.losses) - 1)
    parts.append(f'<div class="w-plots"><div>{curves}</div>{epoch_table(history.epochs)}</div>')
    return f'<div class="w-job" data-status="{escape(job.status)}">{"".join(parts)}</div>'


def _bar(job: Job) -> str:
    share = 100 * job.done / job.total if job.total else 0.0
    known = f'aria-valuenow="{share:.0f}"' if job.total else ""
    style = f'style="width:{share:.1f}%"' if job.total else 'class="w-unknown"'
    role = f'role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" {known}'
    return f'<div class="w-progress" {role}><span {style}></span></div>'


def _notes(job: Job, history: History) -> list[str]:
    phase = PHASES.get(str(history.metrics.get("phase")), "")
    speed = history.metrics.get("images_per_second")
    parts = [
        job.note,
        phase if phase and phase.casefold() not in job.note.casefold() else "",
        f"{job.done:,} of {job.total:,}" if job.total else "",
        f"{speed:.0f} images/s" if isinstance(speed, (int, float)) and speed > 0 else "",
    ]
    return [part for part in parts if part]


def _not_taken(failed: Sequence[Mapping[str, Any]]) -> str:
    """What an import did not take: a line a reason with its number, that opens to the files."""
    files: dict[str, list[str]] = {}
    for one in failed:
        files.setdefault(str(one["reason"]), []).append(str(one["path"]))
    reasons = sorted(files.items(), key=lambda item: -len(item[1]))
    lines = [_reason(reason, paths) for reason, paths in reasons[:REASONS]]
    if more := sum(len(paths) for _, paths in reasons[REASONS:]):
        lines.append(f'<p class="w-note">and {count(more, "other")} for other reasons</p>')
    return "".join(lines)


def _reason(reason: str, paths: Sequence[str]) -> str:
    rows = "".join(f"<li><code>{escape(path)}</code></li>" for path in paths[:FILES])
    more = f"<li>and {count(len(paths) - FILES, 'other')}</li>" if len(paths) > FILES else ""
    return (
        f'<details class="w-outcome w-failed"><summary><b>{len(paths):,}</b> <span>{escape(reason)}</span></summary>'
        f"<ul>{rows}{more}</ul></details>"
    )


def curve(losses: Sequence[float], valid: Sequence[tuple[int, float]]) -> str:
    """An SVG of the training loss per step and the valid loss (step, loss) of each epoch; empty without points."""
    values = [value for value in (*losses, *(loss for _, loss in valid)) if value == value]
    if len(values) < 2:
        return ""
    top, last = max(values) or 1.0, max(len(losses) - 1, 1)

    def place(step: float, loss: float) -> tuple[float, float]:
        return FRAME.place(step / last, min(loss, top) / top)

    train = [place(step, loss) for step, loss in thinned(losses) if loss == loss]
    valids = [place(step, loss) for step, loss in valid if loss == loss]
    return (
        f'<figure class="w-curve"><svg viewBox="0 0 {FRAME.width} {FRAME.height}" role="img" '
        f'aria-label="Loss so far: {values[0]:.2f} at first, {losses[-1] if losses else values[-1]:.2f} now">'
        f"{_grid(top, last)}{_line(train, 'w-train')}{_line(valids, 'w-valid')}"
        f"{''.join(_dot(*point) for point in valids)}</svg>"
        '<figcaption><span class="w-key w-key-train">training loss</span>'
        '<span class="w-key w-key-valid">validation loss</span></figcaption></figure>'
    )


def error_curve(wrong: Sequence[tuple[int, float]], last: int) -> str:
    """An SVG of the error rate (step, share) on the valid split after each epoch, below the curve of the losses, which
    has ``last`` + 1 steps; empty with fewer than two.
    """
    known = [(step, share) for step, share in wrong if share == share]
    if len(known) < 2:
        return ""
    top, end = 100 * max(share for _, share in known) or 1.0, max(last, known[-1][0], 1)
    points = [LOW_FRAME.place(step / end, 100 * share / top) for step, share in known]
    return (
        f'<figure class="w-curve"><svg viewBox="0 0 {LOW_FRAME.width} {LOW_FRAME.height}" role="img" '
        f'aria-label="Of the valid split wrong: {percent(known[0][1])} at first, {percent(known[-1][1])} now">'
        f'<g class="w-grid">{LOW_FRAME.levels(top)}</g>{_line(points, "w-valid")}'
        f"{''.join(_dot(*point) for point in points)}</svg>"
        '<figcaption><span class="w-key w-key-valid">% of the valid split wrong</span></figcaption></figure>'
    )


def thinned(losses: Sequence[float]) -> list[tuple[float, float]]:
    """(step, loss) of at most POINTS points: means of neighbouring steps where there are more."""
    size = max(1, -(-len(losses) // POINTS))
    groups = [(start, losses[start : start + size]) for start in range(0, len(losses), size)]
    return [(start + (len(group) - 1) / 2, sum(group) / len(group)) for start, group in groups]


def _grid(top: float, last: int) -> str:
    foot = FRAME.height - 6
    return (
        f'<g class="w-grid">{FRAME.levels(top)}<text x="{FRAME.left}" y="{foot}">step 1</text>'
        f'<text x="{FRAME.width - FRAME.right}" y="{foot}" text-anchor="end">{last + 1:,}</text></g>'
    )


def _line(points: Sequence[tuple[float, float]], name: str) -> str:
    where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{name}" points="{where}"/>' if len(points) > 1 else ""


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'


def epoch_table(epochs: Sequence[Mapping[str, Any]]) -> str:
    """The epochs as fast.ai prints them: epoch, train_loss, valid_loss, error_rate, time."""
    if not epochs:
        return ""
    rows = []
    for epoch in epochs:
        values = [epoch.get(name) for name in ("train_loss", "valid_loss", "error_rate")]
        numbers = [f"{value:.4f}" if isinstance(value, (int, float)) else "–" for value in values]
        seconds = round(float(epoch.get("seconds") or 0))
        rows.append((epoch.get("epoch", ""), *numbers, f"{seconds // 60:02d}:{seconds % 60:02d}"))
    return table(("epoch", "train_loss", "valid_loss", "error_rate", "time"), rows, numbers=range(5))


def result_in_words(stage: str, result: Mapping[str, Any]) -> str:
    """What a job brought, in a sentence; empty for a stage without words of its own."""
    match stage:
        case StageName.IMPORT:
            return _imported(result)
        case StageName.SEARCH:
            return _found(result)
        case StageName.DOWNLOAD:
            failed = f", {result['failed']:,} failed." if result.get("failed") else "."
            return count(result.get("downloaded", 0), "picture") + " downloaded" + failed
        case StageName.VERIFY:
            return _verified(result)
        case StageName.TRAIN:
            return _trained(result)
        case StageName.FIND_LR:
            known = [(result.get(name), words) for name, words in RATES.items()]
            rates = " or ".join(f"{rate:.1e} ({words})" for rate, words in known if isinstance(rate, float))
            return f"It suggests {rates}. The curve is in Train, under More options." if rates else ""
        case StageName.PREDICT:
            failed = f", {result['failed']:,} could not be used" if result.get("failed") else ""
            return f"{count(result.get('asked', 0), 'picture')}{failed}. The table is in Predict."
        case StageName.EXPORT:
            pictures = count((result.get("parity") or {}).get("images", 0), "picture")
            return f"{count(len(result.get('files', ())), 'file')} written; checked on {pictures}."
        case StageName.TRY_SPACE:
            agreed = result.get("agreed") or {}
            pictures = count(agreed.get("images", 0), "golden picture")
            difference = f"largest difference {agreed.get('max_difference', 0):.1g}"
            return f"It answers as the model here does, on {pictures} ({difference})."
        case StageName.DEPLOY:
            return f"It is at {result.get('url', '')}."
    return ""


def _imported(result: Mapping[str, Any]) -> str:
    parts = [f"{count(result.get('added', 0), 'picture')} added"]
    if result.get("duplicates"):
        parts.append(f"{result['duplicates']:,} were there already")
    if result.get("failed"):
        first = result["failed"][0]
        parts.append(f"{len(result['failed']):,} not taken (first: {first['path']}: {first['reason'].rstrip('.')})")
    return " ".join([", ".join(parts) + ".", *result.get("notes", ())])


def _found(result: Mapping[str, Any]) -> str:
    missing: dict[str, str] = {}  # each provider once; that one of several knows nothing of a class is no news
    classes = {candidate["label"] for candidate in result.get("candidates", ())}
    for problem in result.get("problems", ()):
        if problem["kind"] != "nothing_found" or problem["label"] not in classes:
            missing.setdefault(problem["provider"], f"{problem['label']}: {problem['reason']}")
    found = f"{count(len(result.get('candidates', ())), 'picture')} found. Look at them in Collect, then download."
    return " ".join([found, *missing.values()])


def _verified(result: Mapping[str, Any]) -> str:
    aside, groups = len(result.get("set_aside", ())), len(result.get("duplicate_groups", ()))
    return (
        f"{count(result.get('checked', 0), 'picture')} checked: {result.get('ok', 0):,} fine, {aside:,} set aside, "
        f"{count(groups, 'duplicate group')}."
    )


def _trained(result: Mapping[str, Any]) -> str:
    record = result.get("record") or {}
    test, sentences = record.get("test"), in_words(record)
    if not isinstance(test, Mapping) or not test.get("n"):
        return " ".join(["The new run is in the list.", *sentences])
    baseline = test.get("baseline_error_rate")
    beside = f" Always answering the largest class would be wrong {percent(baseline)} of the time." if baseline else ""
    more = f" {baselines_in_words(record.get('baselines'))}".rstrip()
    said = f"It is wrong on {error_rate(test)} of the {test['n']:,} test pictures.{beside}{more}"
    return " ".join([said, *sentences])
