"""The search card of Collect: classes and the words to search for them with; then a search job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.errors import UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.labels import clean_label
from pipeline.search.search import SearchConfig, providers, search
from pipeline.tabs.collect.collected import one_at_a_time
from pipeline.tabs.page.component import component
from pipeline.tabs.page.shared import Shared, Values
from pipeline.workspace.workspace import Workspace

SIZES = [("any size", ""), ("small", "small"), ("medium", "medium"), ("large", "large")]
KINDS = [("anything", ""), ("photographs", "photo"), ("drawings", "drawing")]
MOST_CLASSES, MOST_EXTRAS = 100, 20


@dataclass(frozen=True)
class SearchCard:
    """The widgets of the card."""

    classes: gr.HTML
    extras: gr.Textbox
    maximum: gr.Slider
    providers: gr.CheckboxGroup
    open_licence: gr.Checkbox
    size: gr.Dropdown
    kind: gr.Dropdown
    safesearch: gr.Checkbox
    find: gr.Button

    def asked(self, values: Values) -> SearchConfig:
        """The search that the widgets describe. Raises UsageError, SourceError."""
        if not values[self.providers]:
            raise UsageError("Choose at least one place to search in.")
        return SearchConfig(
            wanted_classes(values[self.classes]),
            int(values[self.maximum] or 0),
            providers=tuple(values[self.providers]),
            extras=extra_words(values[self.extras] or ""),
            size=values[self.size] or "",
            kind=values[self.kind] or "",
            open_licence=bool(values[self.open_licence]),
            safesearch=bool(values[self.safesearch]),
        )

    def wire(self, shared: Shared) -> None:
        """Make the button work."""
        inputs = {
            shared.picker,
            self.classes,
            self.extras,
            self.maximum,
            self.providers,
            self.open_licence,
            self.size,
            self.kind,
            self.safesearch,
        }
        shared.job.launch(self.find.click, lambda v: search_job(shared.open(v[shared.picker]), self.asked(v)), inputs)


def draw_search() -> SearchCard:
    """Draw the card."""
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML("<h4>Search the web</h4><p>One class a row. You see what was found before anything is downloaded.</p>")
        classes = component(Path(__file__).with_name("classes"), "collect-classes")
        extras = gr.Textbox(
            label="Extra words",
            placeholder="photo, sun, shade",
            elem_id="collect-extras",
            info="Each class is also searched with each of these: 'grizzly bear photo', 'grizzly bear sun' …",
        )
        maximum = gr.Slider(10, 200, 60, step=10, label="Pictures of each", elem_id="collect-maximum")
        places = [(provider.who, name) for name, provider in providers().items() if name != "urls"]
        chosen = gr.CheckboxGroup(
            places, value=[name for _, name in places], label="Search in", elem_id="collect-providers"
        )
        open_licence = gr.Checkbox(False, label="Only openly licensed pictures", elem_id="collect-open-licence")
        with gr.Accordion("More options", open=False, elem_id="collect-search-options"):
            with gr.Row():
                size = gr.Dropdown(SIZES, value="", label="Size", elem_id="collect-size", min_width=120)
                kind = gr.Dropdown(KINDS, value="", label="Kind", elem_id="collect-kind", min_width=120)
            safesearch = gr.Checkbox(
                True,
                label="Safe search",
                elem_id="collect-safesearch",
                info="Without it, the preview is blurred until you point at a picture.",
            )
        find = gr.Button("Find pictures", elem_id="collect-find")
    return SearchCard(classes, extras, maximum, chosen, open_licence, size, kind, safesearch, find)


def wanted_classes(rows: Any) -> tuple[tuple[str, str], ...]:
    """(class, what to search for) of the table's rows, blank ones left out; without words, the class is searched for.

    Raises UsageError where there is none, or one is not usable, and SourceError for a class name that cannot be kept.
    """
    wanted = [_wanted(label, query) for label, query in _cells(rows) if label or query]
    if not wanted:
        raise UsageError("Write at least one class into the table, like: grizzly bear")
    if len(wanted) > MOST_CLASSES:
        raise UsageError(f"Search for at most {MOST_CLASSES} classes at a time.")
    return tuple(dict.fromkeys(wanted))


def _cells(rows: Any) -> Iterable[tuple[str, str]]:
    """The table as the page sent it, as far as it is one."""
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, list) and len(row) == 2 and all(isinstance(cell, str) for cell in row):
            label, query = (cell.encode(errors="replace").decode() for cell in row)  # half a character is none
            yield label.strip(), " ".join(query.split())


def _wanted(label: str, query: str) -> tuple[str, str]:
    if not label:
        raise UsageError(f"Say which class '{query[:60]}' shows: its row has no class yet.")
    return clean_label(label), query or label


def extra_words(text: str) -> tuple[str, ...]:
    """The words between the commas, each once. Raises UsageError where they are too many."""
    words = tuple(dict.fromkeys(" ".join(part.split()) for part in text.split(",") if part.strip()))
    if len(words) > MOST_EXTRAS:
        raise UsageError(f"Give at most {MOST_EXTRAS} extra words: every class is searched with each of them.")
    return words


def search_job(workspace: Workspace, config: SearchConfig) -> Job:
    """Start a search. Raises UsageError while pictures are being collected here."""
    one_at_a_time(workspace)
    return jobs.start(workspace, search, config)
