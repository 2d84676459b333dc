"""The job panel: what runs now, how far it is, how it ended; the same in every tab, window and after a reload."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from pipeline.bounded import LastUsed
from pipeline.errors import PipelineError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.tabs.page.job_view import History, body, headline, title_of
from pipeline.tabs.page.picker import Workspaces, chosen
from pipeline.tabs.page.show import ago, translate

# How events are wired that nobody outside may call and that show no spinner; the second kind never waits for others.
PRIVATE: Mapping[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
QUIET: Mapping[str, Any] = {**PRIVATE, "concurrency_limit": None}
BRING_INTO_VIEW = """async () => {
    const moment = (time) => new Promise((done) => setTimeout(done, time));
    await moment(100);
    document.querySelector('#job')?.scrollIntoView({block: 'nearest'});
    await moment(900);
}"""
REMEMBERED = 8
EARLIER = 8


@dataclass(frozen=True)
class _Shown:
    """What a page shows now, and which jobs it knows to be at work."""

    id: str
    events: int
    status: str
    active: tuple[str, ...]

    @classmethod
    def of(cls, job: Job, history: History, active: Sequence[str]) -> _Shown:
        return cls(job.id, history.seen, f"{job.status} {job.cancelling}", tuple(active))


class JobPanel:
    """One panel per page. ``launch`` starts a job from a button; ``ended`` changes when the job that is shown ends."""

    def __init__(self, workspaces: Workspaces, picker: gr.Dropdown) -> None:
        self._workspaces = workspaces
        self._open = workspaces.open
        self._picker = picker
        self._histories: LastUsed[str, History] = LastUsed(REMEMBERED)
        self._lock = threading.Lock()
        self.shown = gr.State(None)
        self.ended = gr.State(None)
        self.timer = gr.Timer(1.0, active=False)
        with gr.Accordion("No job yet", open=False, visible=False, elem_id="job") as self.box:
            self.view = gr.HTML(elem_id="job-view")
            with gr.Row(elem_classes="w-buttons"):
                self.stop = gr.Button("Cancel", variant="stop", visible=False, elem_id="job-cancel", size="sm")
                self.again = gr.Button("Resume", variant="primary", visible=False, elem_id="job-resume", size="sm")
                self.choose = gr.Dropdown(
                    [], label="Show another job", visible=False, elem_id="job-choose", allow_custom_value=True
                )
        self.outputs = [self.box, self.choose, self.view, self.stop, self.again, self.timer, self.shown]

    def show(self, name: str | None, wanted: str | None = None) -> list[Any]:
        """Updates for ``outputs``: the job ``wanted``, else the one that runs, else the last one, of a workspace."""
        every = jobs.list_jobs(self._open(name))
        active = [job for job in every if job.active]
        job = next((job for job in every if job.id == wanted), None)
        job = job or (active[-1] if active else every[0] if every else None)
        if job is None:
            return self._nothing()
        choices = [(f"{title_of(other)}, {other.status}, {ago(other.started)}", other.id) for other in every[:EARLIER]]
        chooser = gr.Dropdown(choices=choices, value=job.id, visible=len(choices) > 1)
        unfold = job.active or job.status in ("failed", "interrupted")
        box = gr.Accordion(label=self._headline(job), open=unfold, visible=True)
        shown = _Shown.of(job, self._history(job), [other.id for other in active])
        return [box, chooser, *self._body(job), gr.Timer(active=bool(active)), shown]

    def _nothing(self) -> list[Any]:
        return [gr.Accordion(visible=False), *[gr.skip()] * 4, gr.Timer(active=False), None]

    def launch(
        self,
        trigger: Callable[..., Any],
        handler: Callable[[Mapping[Component, Any]], Job],
        inputs: set[Component],
    ) -> Any:
        """On ``trigger`` (``button.click``), call ``handler(values)``, which starts a job, and show that job.

        ``values`` holds the value of every component in ``inputs``; those always include the workspace picker.
        """

        @translate
        def start(values: Mapping[Component, Any]) -> list[Any]:
            return self._started(handler(values))

        return self._launch(trigger, start, inputs)

    def launch_told(
        self,
        trigger: Callable[..., Any],
        handler: Callable[[Mapping[Component, Any], Any], Job],
        inputs: set[Component],
    ) -> Any:
        """The same for an event of a component of ours: ``handler(values, told)`` is given what was sent with it."""

        @translate
        def start(values: Mapping[Component, Any], event: gr.EventData) -> list[Any]:
            return self._started(handler(values, event._data))

        return self._launch(trigger, start, inputs)

    def _started(self, job: Job) -> list[Any]:
        return [*self.show(job.folder.parent.parent.name, job.id), gr.skip() if job.active else job.id]

    def _launch(self, trigger: Callable[..., Any], start: Callable[..., list[Any]], inputs: set[Component]) -> Any:
        outputs = [*self.outputs, self.ended]
        started = trigger(start, inputs, outputs, **QUIET)
        seen = started.success(None, None, None, js=BRING_INTO_VIEW)
        seen.then(self._settle, [self._picker, self.shown], outputs, **QUIET)
        return started

    def wire(self, demo: gr.Blocks, tabs: gr.Tabs) -> None:
        """Connect timer and buttons; look anew when the page opens or the workspace changes, and at each tab."""
        show, picker = translate(self.show), self._picker
        self.timer.tick(self._tick, [picker, self.shown], [*self.outputs, self.ended], **QUIET)
        demo.load(self._page_opened, None, self.outputs, **QUIET)
        picker.change(show, picker, self.outputs, **QUIET)
        tabs.select(self._notice, [picker, self.shown], self.outputs, **QUIET)
        self.choose.input(show, [picker, self.choose], self.outputs, **QUIET)
        self.stop.click(self._cancel, [picker, self.shown], self.outputs, **QUIET)
        self.again.click(self._resume, [picker, self.shown], self.outputs, **QUIET)

    @translate
    def _page_opened(self, request: gr.Request) -> list[Any]:
        """Show the job there is; hide nothing, as a job may have been started before this answer comes."""
        look = self.show(chosen(self._workspaces, request))
        return look if look[-1] else [gr.skip()] * len(self.outputs)

    def _settle(self, name: str, shown: _Shown | None) -> list[Any]:
        """The whole panel once more, a moment after a start: an answer asked for earlier may have come later."""
        try:
            over = shown and any(not jobs.get_job(self._open(name), job_id).active for job_id in shown.active)
            return [*self.show(name, shown.id if shown else None), uuid.uuid4().hex if over else gr.skip()]
        except PipelineError:  # another workspace was picked meanwhile, and its panel is there
            return [gr.skip()] * (len(self.outputs) + 1)

    @translate
    def _notice(self, name: str, shown: _Shown | None) -> list[Any]:
        """Show what was started elsewhere meanwhile; never hide anything, as this answer may come late."""
        active = {job.id for job in jobs.list_jobs(self._open(name)) if job.active}
        new = active - set(shown.active if shown else ())
        return self.show(name) if new else [gr.skip()] * len(self.outputs)

    def _tick(self, name: str, shown: _Shown | None) -> list[Any]:
        """What changed since the last look; nothing where nothing did."""
        if shown is None:
            return [gr.skip()] * 5 + [gr.Timer(active=False), None, gr.skip()]
        try:
            return self._changes(name, shown)
        except PipelineError:  # the workspace or the job is gone; saying so once a second would help nobody
            return [*self._nothing(), gr.skip()]

    def _changes(self, name: str, shown: _Shown) -> list[Any]:
        workspace = self._open(name)
        active = [job_id for job_id in shown.active if jobs.get_job(workspace, job_id).active]
        job = jobs.get_job(workspace, shown.id)
        if len(active) < len(shown.active):
            return [*self.show(name, job.id if job.active or not active else None), uuid.uuid4().hex]
        now = _Shown.of(job, self._history(job), active)
        if now == shown:
            return [gr.skip()] * (len(self.outputs) + 1)
        box = gr.Accordion(label=self._headline(job), visible=True)
        return [box, gr.skip(), *self._body(job), gr.Timer(active=True), now, gr.skip()]

    @translate
    def _cancel(self, name: str, shown: _Shown) -> list[Any]:
        job = jobs.cancel(self._open(name), shown.id)
        return self.show(name, job.id)

    @translate
    def _resume(self, name: str, shown: _Shown) -> list[Any]:
        job = jobs.resume(self._open(name), shown.id)
        return self.show(name, job.id)

    def _headline(self, job: Job) -> str:
        history = self._history(job)
        when = "" if job.active else f" ({ago(history.ended or job.started)})"
        return headline(job, history) + when

    def _body(self, job: Job) -> list[Any]:
        stop = gr.Button(
            "Stopping…" if job.cancelling else "Cancel", visible=job.active, interactive=not job.cancelling
        )
        words = "Try again" if job.status == "failed" else "Resume"
        again = gr.Button(words, visible=job.status in ("interrupted", "cancelled", "failed"))
        return [body(job, self._history(job)), stop, again]

    def _history(self, job: Job) -> History:
        """The job's history so far, read on from where the last look ended."""
        with self._lock:
            history = self._histories.get_or(job.id, History)
            history.add(job.events(after=history.seen))
            return history
