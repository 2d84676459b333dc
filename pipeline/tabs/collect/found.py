"""Found on the web: the preview with its ticks, how to download what is ticked, and how that ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from pipeline.collect.download import DownloadConfig, download, waiting
from pipeline.collect.outcomes import LEFT_OUT, outcomes
from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.search.wanted import BLUR, leave_out, previewed, take_back
from pipeline.tabs.collect.collected import collecting, one_at_a_time, outcomes_view
from pipeline.tabs.page.component import NO_ANSWER, View, answer_to, component, whole
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, heading, paged
from pipeline.web.addresses import host
from pipeline.workspace.workspace import Workspace

LONGER_SIDES = [("keep them as they are", 0), *((f"{side} pixels", side) for side in (2048, 1024, 512, 400))]
PREVIEWED = (
    "<h3>Found on the web, not downloaded yet</h3><p class='w-hint'>Nothing is stored before you press Download. Click "
    "a picture that shows something else to leave it out. Showing pictures makes your browser fetch them from their "
    "own sites. Their makers own them: look at the licence before you publish anything.</p>"
)
MISSED = "<h3>Not downloaded</h3><p class='w-hint'>How these ended is told below, and what can be done about it.</p>"
KEEP_OPEN = """
const open = new Set();
element.addEventListener('toggle', (event) => {
    const key = event.target.dataset.key;
    if (event.target.open) open.add(key); else open.delete(key);
}, true);
watch('value', () => element.querySelectorAll('details').forEach((box) => (box.open = open.has(box.dataset.key))));
"""
PAGE = 42


@dataclass(frozen=True)
class OpenClass:
    """Which class a person looks at, and which page of it; no class: none is open. ``asked``: the number of the page's
    message that opened it, by which the page knows a view that was begun before.
    """

    label: str = ""
    page: int = 0
    asked: int = 0


def candidates_view(workspace: Workspace, looking: OpenClass, answer: Mapping[str, Any] = NO_ANSWER) -> View:
    """What the preview component shows; ``answer`` says which of a page's messages are done (page, number)."""
    found = previewed(workspace)
    classes = [
        {"label": str(label), "found": len(rows), "left_out": int((rows["status"] == "skipped").sum())}
        for label, rows in found.groupby("label", sort=True)
    ]
    here = found[found["label"] == looking.label]
    number, pages = paged(len(here), looking.page, PAGE)
    shown = here.iloc[number * PAGE : (number + 1) * PAGE].to_dict("records")
    return {
        "workspace": workspace.name,
        "blur": bool(workspace.store.fact(BLUR)),
        "classes": classes,
        "open": looking.label if pages else "",
        "asked": looking.asked,
        "page": number,
        "pages": pages,
        "rows": [_row(row) for row in shown],
        "answer": {"page": str(answer["page"]), "number": int(answer["number"])},
    }


def mark(workspace: Workspace, label: str, urls: Sequence[str] | None, wanted: bool) -> int:
    """Want, or leave out, the candidates of a class with these URLs (None: all of them). Returns how many changed."""
    of_class = previewed(workspace)
    of_class = of_class[of_class["label"] == label]
    pairs = [(str(url), label) for url in (of_class["url"] if urls is None else urls)]
    return (take_back if wanted else leave_out)(workspace, pairs)


def _row(row: Mapping[Any, Any]) -> View:
    words = (row["title"], f"by {row['creator']}" if row["creator"] else "")
    return {
        "url": row["url"],
        "shown": next((url for url in (row["thumbnail"], row["url"]) if public_https(url)), ""),
        "host": host(row["url"]),
        "licence": row["licence"] or "licence not stated",
        "title": ", ".join(str(word) for word in words if word),
        "wanted": row["status"] == "new",
    }


def public_https(url: str | None) -> bool:
    """Whether a browser may be sent there for a preview: a name with a top-level domain, not an address in numbers."""
    try:
        parts = urlsplit(url or "")
        name = parts.hostname or ""
    except ValueError:
        return False
    first, _, last = name.rpartition(".")
    inner = ("local", "internal", "localhost", "lan", "home", "intranet", "corp", "arpa")
    return parts.scheme == "https" and bool(first) and last.isalpha() and last not in inner


def download_job(workspace: Workspace, config: DownloadConfig) -> Job:
    """Start fetching what is ticked. Raises UsageError where there is nothing to fetch."""
    one_at_a_time(workspace)
    if not waiting(workspace, config.honour_noai):
        raise UsageError(_why_nothing(workspace))
    return jobs.start(workspace, download, config)


def _why_nothing(workspace: Workspace) -> str:
    if len(previewed(workspace)):
        return "Every picture is unticked. Tick those you want, then download."
    if waiting(workspace, honour_noai=False):
        return "What is left is of sites that ask not to be used for training. More options says how to take it still."
    return "There is nothing to download yet. Search for pictures first."


def button_text(asked: int, again: int) -> str:
    """What the download button says: how many pictures it asks for, ``again`` of which failed before."""
    if not asked:
        return "Download"
    if asked and asked == again:
        return f"Try {asked:,} again"
    return f"Download {count(asked, 'picture')}"


def tried_again(asked: int, again: int) -> str:
    """How many of the pictures the button asks for failed before, as HTML; empty where that is none of them, or all."""
    return f"<p class='w-hint'>{again:,} of them failed before and are tried again.</p>" if 0 < again < asked else ""


@dataclass(frozen=True)
class FoundPart:
    """The widgets of this part of the tab; ``looking`` is what a page has open in the preview."""

    box: gr.Column
    about: gr.HTML
    preview: gr.HTML
    looking: gr.State
    side: gr.Dropdown
    honour: gr.Checkbox
    again: gr.HTML
    fetch: gr.Button
    ended_box: gr.Column
    ended: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What :meth:`fill` fills."""
        return [self.box, self.about, self.preview, self.fetch, self.again, self.ended_box, self.ended]

    def fill(self, workspace: Workspace, looking: OpenClass, answer: View | None = None) -> list[Any]:
        """The part as it is now; ``answer`` says which message of a page was done."""
        view = candidates_view(workspace, looking, answer) if answer else candidates_view(workspace, looking)
        every = outcomes(workspace)
        ended = [outcome for outcome in every if outcome.title != LEFT_OUT[0]]  # the preview shows those
        asked, possible = waiting(workspace), waiting(workspace, honour_noai=False)
        again = sum(outcome.again for outcome in every)
        return [
            gr.Column(visible=bool(possible or view["classes"])),
            PREVIEWED if view["classes"] else MISSED,
            view,
            gr.Button(button_text(asked, again), interactive=possible > 0 and not collecting(workspace)),
            tried_again(asked, again),
            gr.Column(visible=bool(ended)),
            outcomes_view(ended),
        ]

    def wire(self, shared: Shared) -> None:
        """Make the preview and the button work."""

        @translate
        def look(values: Values, event: gr.EventData) -> list[Any]:
            told = event._data
            looking = OpenClass(str(told["label"]), whole(told["page"]), whole(told["asked"]))
            return [looking, *self.fill(shared.open(values[shared.picker]), looking)]

        @translate
        def ticked(values: Values, event: gr.EventData) -> list[Any]:
            told = event._data
            urls = None if told["all"] else [str(url) for url in told["urls"]]
            mark(shared.open(str(told["workspace"])), str(told["label"]), urls, bool(told["wanted"]))
            answer = answer_to(told)
            looking = values[self.looking]
            return [looking, *self.fill(shared.open(values[shared.picker]), looking, answer)]

        def fetch(values: Values) -> Job:
            config = DownloadConfig(max_side=int(values[self.side] or 0), honour_noai=bool(values[self.honour]))
            return download_job(shared.open(values[shared.picker]), config)

        inputs, outputs = {shared.picker, self.looking}, [self.looking, *self.outputs]
        in_turn: dict[str, Any] = {**QUIET, "concurrency_id": "preview", "concurrency_limit": 1}
        self.preview.look(look, inputs, outputs, trigger_mode="multiple", **in_turn)
        self.preview.mark(ticked, inputs, outputs, trigger_mode="multiple", **in_turn)
        shared.job.launch(self.fetch.click, fetch, {shared.picker, self.side, self.honour})


def draw_found() -> FoundPart:
    """Draw the part; it is hidden while there is nothing to show in it."""
    with gr.Column(visible=False, elem_id="collect-found") as box:
        about = gr.HTML(elem_classes="w-heading")
        preview = component(Path(__file__).with_name("preview"), "collect-preview")
        with gr.Accordion("More options", open=False, elem_id="collect-download-options"):
            side = gr.Dropdown(
                LONGER_SIDES,
                value=0,
                label="Reduce larger pictures to",
                elem_id="collect-side",
                info="The longer side. It saves space on the disk; the hash of the original is kept.",
            )
            honour = gr.Checkbox(
                True, label="Respect sites that ask not to be used for training (noai)", elem_id="collect-noai"
            )
        again = gr.HTML()
        fetch = gr.Button("Download", variant="primary", elem_id="collect-download")
    with gr.Column(visible=False, elem_id="collect-outcomes") as ended_box:
        heading("How the downloads ended")
        ended = gr.HTML(elem_id="collect-ended", js_on_load=KEEP_OPEN)
    return FoundPart(box, about, preview, gr.State(OpenClass()), side, honour, again, fetch, ended_box, ended)
