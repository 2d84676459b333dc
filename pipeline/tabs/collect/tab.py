"""Collect: pictures from a ready-made set, one's own files, a web search or a list of links."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from pipeline.collect.download import DownloadConfig, download
from pipeline.collect.hub_sets import PREFIX, hub_set
from pipeline.collect.importing import ImportConfig
from pipeline.collect.layouts import ARCHIVES
from pipeline.collect.listings import TABLE_SUFFIXES
from pipeline.collect.ready_made import READY_MADE, ReadyMade
from pipeline.collect.shard_files import SHARD_SUFFIXES
from pipeline.collect.tables import names_files, names_places
from pipeline.errors import PipelineError, UsageError
from pipeline.images.formats import PICTURE_SUFFIXES
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.labels import clean_label
from pipeline.search.search import SearchConfig, providers, search
from pipeline.settings import settings_of
from pipeline.tabs.collect.collected import (
    collecting,
    import_job,
    newest,
    one_at_a_time,
    overview,
    papers,
    sample,
)
from pipeline.tabs.collect.found import FoundPart, OpenClass, draw_found
from pipeline.tabs.collect.reading import ReadingPart, draw_reading
from pipeline.tabs.page.component import component
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import count, guide, heading, pictures_html
from pipeline.tabs.page.uploads import MOST_FILES, KeptFolder, keep_folder, keep_uploads
from pipeline.web.addresses import link
from pipeline.workspace.workspace import Workspace

LIVE_SECONDS = 2.0
ANNOTATIONS = (".json", ".xml", ".txt")
MOST_BYTES_FOR_VISITORS = 512 << 20
CLASSES_A_SEARCH, EXTRAS_A_SEARCH = 100, 20


@dataclass(frozen=True)
class _Widgets:
    """What the tab shows of the workspace; filled again when that may have changed."""

    summary: gr.HTML
    pictures: gr.HTML
    card: gr.DownloadButton
    starter: gr.Button
    reading: ReadingPart
    found: FoundPart

    @property
    def outputs(self) -> list[Any]:
        return [self.summary, self.pictures, self.card, self.starter, *self.reading.outputs, *self.found.outputs]

    def fill(self, workspace: Workspace, looking: OpenClass, outgoing: Path) -> list[Any]:
        at_work = collecting(workspace)
        nothing = workspace.store.images().empty
        first = gr.Button(variant="primary" if nothing else "secondary")
        pictures = (newest if at_work else sample)(workspace)
        zipped = None if nothing else papers(workspace, outgoing, anew=not at_work)
        card = gr.DownloadButton(value=str(zipped) if zipped else None, visible=zipped is not None)
        read = self.reading.fill(workspace)
        return [overview(workspace), pictures, card, first, *read, *self.found.fill(workspace, looking)]


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    guide("Bring in pictures of the things you want to tell apart. 30 of each is a good start.")
    reading = draw_reading()
    with gr.Row(elem_classes="w-split"):
        with gr.Column(scale=2, min_width=280):
            summary = gr.HTML(elem_id="collect-summary")
            card = gr.DownloadButton("Data card and attributions", visible=False, size="sm", elem_id="collect-card")
        with gr.Column(scale=3, min_width=320):
            pictures = pictures_html("collect-pictures")
    found = draw_found()
    heading("Add pictures")
    with gr.Row(elem_classes="w-cards"):
        with gr.Column(min_width=320, elem_classes="w-stack"):
            starter = draw_ready_made(shared)
            search = draw_search()
        with gr.Column(min_width=320, elem_classes="w-stack"):
            draw_own(shared)
            draw_links(shared)
    search.wire(shared)
    reading.wire(shared)
    found.wire(shared)
    _wire(tab, shared, _Widgets(summary, pictures, card, starter, reading, found))


def _wire(tab: gr.Tab, shared: Shared, w: _Widgets) -> None:
    def fill(name: str, looking: OpenClass) -> list[Any]:
        return w.fill(shared.open(name), looking, shared.workspaces.outgoing())

    def arriving(values: Values) -> list[Any]:
        """What came meanwhile, every LIVE_SECONDS at most; nothing for another tab or where nothing is collected."""
        last: float = values[refreshed]
        now = time.monotonic()
        nothing = [gr.skip()] * (len(w.outputs) + 1)
        if values[shared.opened] != tab.id or now - last < LIVE_SECONDS:
            return nothing
        try:
            workspace = shared.open(values[shared.picker])
        except PipelineError:  # it is gone, and saying so again and again would help nobody
            return nothing
        if not collecting(workspace):
            return nothing
        filled = w.fill(workspace, values[w.found.looking], shared.workspaces.outgoing())
        return [time.monotonic(), *filled]

    refreshed = gr.State(0.0)
    inputs: set[Block] = {shared.picker, shared.opened, refreshed, w.found.looking}
    shared.watch(tab, fill, w.outputs, w.found.looking)
    shared.job.shown.change(arriving, inputs, [refreshed, *w.outputs], **QUIET)


def upload_job(workspace: Workspace, files: Sequence[str] | None, told: ImportConfig, place: Path | None = None) -> Job:
    """Start importing uploaded files: one archive, one table of URLs, or pictures with the tables and annotations that
    are about them, which are read as a folder. ``told`` says all but the source; they are kept in ``place``.
    """
    paths = [Path(file) for file in files or ()]
    if not paths:
        raise UsageError(
            "Choose files first: a folder, a zip with one folder per class, a table with its pictures, or pictures of "
            "one class."
        )
    one_at_a_time(workspace)
    by_itself = len(paths) == 1 and paths[0].suffix.lower() not in PICTURE_SUFFIXES
    if by_itself:
        _check_table(paths[0], told)
    else:
        _check_together(paths, told)
    kept = keep_uploads(paths, place)
    return import_job(workspace, replace(told, source=str(kept / paths[0].name if by_itself else kept)))


def _check_table(file: Path, told: ImportConfig) -> None:
    """Raises UsageError for a file that is about pictures which did not come along."""
    suffix = file.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        alone = names_files(file) and not (told.local and names_places(file))
    else:
        alone = suffix in ANNOTATIONS
    if alone:
        raise UsageError(
            f"{file.name} names pictures that did not come along. Choose them together with it, or a folder or a zip "
            "that holds both."
        )


def _check_together(paths: Sequence[Path], told: ImportConfig) -> None:
    """Raises UsageError where several files cannot be read as one folder, or do not say what they show."""
    suffixes = {path.suffix.lower() for path in paths}
    if suffixes & set(ARCHIVES):
        raise UsageError("Take one zip at a time; or pictures, and the tables that are about them.")
    if suffixes & set(SHARD_SUFFIXES):
        return
    if not suffixes & PICTURE_SUFFIXES:
        raise UsageError("There are no pictures among these files. Choose the pictures together with their table.")
    if not suffixes & {*TABLE_SUFFIXES, *ANNOTATIONS} and not (told.label or told.label_regex):
        raise UsageError("Say which class these pictures show, in the box below them.")


def draw_ready_made(shared: Shared) -> gr.Button:
    """Draw the card of ready-made sets and make it work; returns its first button."""
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML(
            "<h4>A ready-made set</h4><p>Photographs of fruit and vegetables in shops, already sorted. They come with "
            "Winnow and need no network.</p>"
        )
        starter = gr.Button("Use the starter set", variant="primary", elem_id="collect-starter")
        gr.HTML("<p>The same pictures with damage planted in them: broken files, duplicates, wrong classes.</p>")
        messy = gr.Button("Use the messy set", elem_id="collect-messy")

        chosen = gr.Dropdown(
            ready_made_choices(None if shared.local else MOST_BYTES_FOR_VISITORS),
            value=None,
            label="Or a well-known set from the internet",
            elem_id="collect-set",
            info="It is fetched from fast.ai's servers, so this needs the network, and time.",
        )
        get = gr.Button("Get this set", elem_id="collect-set-get")
        if shared.local:
            draw_hub_set(shared)

    def take(values: Values, source: str | None) -> Job:
        if not source:
            raise UsageError("Choose a set from the list first.")
        return import_job(shared.open(values[shared.picker]), ImportConfig(source))

    launch, name = shared.job.launch, shared.picker
    launch(starter.click, lambda values: take(values, "starter"), {name})
    launch(messy.click, lambda values: take(values, "starter-messy"), {name})
    launch(get.click, lambda values: take(values, values[chosen]), {name, chosen})
    return starter


def draw_hub_set(shared: Shared) -> None:
    """Draw the field for a data set of Hugging Face, and make it work: it is looked at before it is fetched."""
    named = gr.Textbox(
        label="Or a data set from Hugging Face",
        placeholder="owner/name, or its address",
        elem_id="collect-hub",
        info="What it holds, how large it is and how it is read is shown first, from a few of its files.",
    )
    most = gr.Number(
        label="Pictures at most (0: all of them)", value=0, minimum=0, precision=0, elem_id="collect-hub-most"
    )
    look = gr.Button("Look at it", elem_id="collect-hub-look")
    shared.job.launch(
        look.click,
        lambda values: hub_job(shared.open(values[shared.picker]), values[named] or "", values[most]),
        {shared.picker, named, most},
    )


def hub_job(workspace: Workspace, named: str, most: float | None) -> Job:
    """Start looking at a data set of Hugging Face. Raises UsageError where ``named`` names none."""
    source = named.strip()
    if not source:
        raise UsageError("Write the name of a data set first, like owner/name.")
    if hub_set(source) is None:
        source = f"{PREFIX}{source}"
        hub_set(source)
    maximum = int(most) if most else None
    return import_job(workspace, ImportConfig(source, maximum=maximum, dry_run=True, samples=True))


def ready_made_choices(most_bytes: int | None = None) -> list[tuple[str, str]]:
    """(name with its size, name) of the well-known sets with archives of at most ``most_bytes``, in order."""
    sets = ReadyMade()
    sizes = {name: sets.archive(name)[1] for name in sorted(READY_MADE)}
    return [
        (f"{name}, {size_in_words(size)}", name)
        for name, size in sizes.items()
        if most_bytes is None or size <= most_bytes
    ]


def size_in_words(size: int) -> str:
    """``3.2 MB``, ``811 MB``, ``5.7 GB``."""
    number, unit = (size / 1e9, "GB") if size >= 1e9 else (size / 1e6, "MB")
    return f"{number:.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"


@dataclass(frozen=True)
class _Own:
    """The widgets of the card for one's own pictures; ``sent`` is the folder that was sent, kept by the server."""

    files: gr.File
    folder: gr.HTML
    sent: gr.State
    path: gr.Textbox | None
    label: gr.Textbox
    regex: gr.Textbox
    separator: gr.Textbox
    take: gr.Button

    def job(self, shared: Shared, values: Values) -> Job:
        """Import from the one place the person chose. Raises UsageError where that is none, or more than one."""
        workspace = shared.open(values[shared.picker])
        label, regex = self._text(values, self.label), self._text(values, self.regex)
        separator = str(values[self.separator] or "") or None
        told = ImportConfig(
            "", label, label_regex=regex, label_separator=separator, local=shared.local, dry_run=True, samples=True
        )
        sent: KeptFolder | None = values[self.sent]
        path = self._text(values, self.path)
        if sum(map(bool, (values[self.files], sent, path))) > 1:
            raise UsageError(
                "Choose one thing at a time: files, a folder to send, or a folder on this machine. Clear the others."
            )
        if sent or path:
            return import_job(workspace, replace(told, source=sent.path if sent else str(path)))
        return upload_job(workspace, values[self.files], told, shared.workspaces.uploads())

    def _text(self, values: Values, widget: gr.Textbox | None) -> str | None:
        return (str(values[widget] or "").strip() or None) if widget is not None else None


def draw_own(shared: Shared) -> None:
    """Draw the card for one's own pictures and make it work."""
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML(
            "<h4>Your own pictures</h4><p>A folder or a zip with one folder per class, pictures with a table, Parquet "
            "files, or loose pictures of one class. Your files stay as they are; Winnow works on copies.</p>"
        )
        folder = component(Path(__file__).parents[1] / "page" / "folder", "collect-folder", most=MOST_FILES)
        files = gr.File(
            file_count="multiple",
            height=140,
            show_label=False,
            elem_id="collect-files",
            elem_classes="w-upload",
        )
        path = None
        if shared.local:
            path = gr.Textbox(
                label="Or a folder, zip, CSV or Parquet file on this machine",
                placeholder="/home/me/bears",
                elem_id="collect-path",
            )
        label = gr.Textbox(
            label="Class of these pictures", placeholder="only for loose pictures", elem_id="collect-label"
        )
        with gr.Accordion("More options", open=False, elem_id="collect-import-options"):
            regex = gr.Textbox(
                label="Class from the file name (regular expression)",
                placeholder=r"^(.+)_\d+",
                elem_id="collect-regex",
                info="What the first brackets match is the class: great_pyrenees_173.jpg is 'great_pyrenees'.",
            )
            separator = gr.Textbox(
                label="Between several classes of one picture, in a CSV file",
                placeholder=";",
                max_length=5,
                elem_id="collect-separator",
                info="Left empty, only a column 'labels' holds several: 'dog;person' or 'dog person'.",
            )
        take = gr.Button("Import", elem_id="collect-import")
    _wire_own(shared, _Own(files, folder, gr.State(None), path, label, regex, separator, take))


def _wire_own(shared: Shared, own: _Own) -> None:
    @translate
    def keep(event: gr.EventData) -> tuple[KeptFolder, str]:
        arrived = keep_folder(event._data.get("files"), shared.workspaces.received(), shared.workspaces.uploads())
        return arrived, folder_in_words(arrived, event._data.get("lost"))

    kept = [own.sent, own.folder]
    own.folder.sent(keep, None, kept, **QUIET)
    own.folder.forget(lambda: (None, ""), None, kept, **QUIET)
    inputs = {shared.picker, own.files, own.sent, own.label, own.regex, own.separator}
    started = shared.job.launch(
        own.take.click,
        lambda values: own.job(shared, values),
        inputs | ({own.path} if own.path is not None else set()),
    )
    started.success(lambda: (None, ""), None, kept, **QUIET)


def folder_in_words(kept: KeptFolder, lost: Any) -> str:
    """What came of a folder that was sent, and what to do next."""
    missing = kept.refused + (lost if isinstance(lost, int) and lost > 0 else 0)
    left = f" {count(missing, 'file')} could not be sent." if missing else ""
    return f"{count(kept.files, 'file')} here.{left} Press Import to see how they are read."


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
                told = settings_of(SearchConfig)
                size = gr.Dropdown(
                    told["size"].named_choices, value="", label="Size", elem_id="collect-size", min_width=120
                )
                kind = gr.Dropdown(
                    told["kind"].named_choices, value="", label="Kind", elem_id="collect-kind", min_width=120
                )
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
    wanted = []
    for label, query in _cells(rows):
        if query and not label:
            raise UsageError(f"Say which class '{query[:60]}' shows: its row has no class yet.")
        if label:
            wanted.append((clean_label(label), query or label))
    if not wanted:
        raise UsageError("Write at least one class into the table, like: grizzly bear")
    if len(wanted) > CLASSES_A_SEARCH:
        raise UsageError(f"Search for at most {CLASSES_A_SEARCH} classes at a time.")
    return tuple(dict.fromkeys(wanted))


def _cells(rows: Any) -> Iterable[tuple[str, str]]:
    """The table as the page sent it, as far as it is one."""
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, list) and len(row) == 2 and all(isinstance(cell, str) for cell in row):
            label, query = (cell.encode(errors="replace").decode() for cell in row)  # half a character is none
            yield label.strip(), " ".join(query.split())


def extra_words(text: str) -> tuple[str, ...]:
    """The words between the commas, each once. Raises UsageError where they are too many."""
    words = tuple(dict.fromkeys(" ".join(part.split()) for part in text.split(",") if part.strip()))
    if len(words) > EXTRAS_A_SEARCH:
        raise UsageError(f"Give at most {EXTRAS_A_SEARCH} extra words: every class is searched with each of them.")
    return words


def search_job(workspace: Workspace, config: SearchConfig) -> Job:
    """Start a search. Raises UsageError while pictures are being collected here."""
    one_at_a_time(workspace)
    return jobs.start(workspace, search, config)


def draw_links(shared: Shared) -> None:
    """Draw the card and make it work."""
    with gr.Column(elem_classes="w-card", min_width=320):
        gr.HTML("<h4>A list of links</h4><p>Links to pictures, one a line, all of one class.</p>")
        links = gr.Textbox(label="Links", lines=3, placeholder="https://…", elem_id="collect-links", max_lines=12)
        label = gr.Textbox(label="Class they show", placeholder="grizzly", elem_id="collect-links-label")
        follow = gr.Button("Download", elem_id="collect-links-download")
    shared.job.launch(
        follow.click,
        lambda v: links_job(shared.open(v[shared.picker]), v[links] or "", v[label] or "", shared.workspaces.uploads()),
        {shared.picker, links, label},
    )


def links_job(workspace: Workspace, lines: str, label: str, place: Path | None = None) -> Job:
    """Start fetching the pictures of a list of links, all of one class; the list is kept in ``place``."""
    links = [text.strip() for text in re.split(r"[\r\n]|\s+(?=https?://)", lines) if text.strip()]
    if not links:
        raise UsageError("Paste at least one link to a picture, one a line.")
    for wrong in (text for text in links if link(text) is None):
        raise UsageError(f"'{wrong[:60]}' is no link to a picture: they begin with http:// or https://, one a line.")
    if not label.strip():
        raise UsageError("Say which class these pictures show, in the box below the links.")
    one_at_a_time(workspace)
    own = clean_label(label)
    table = io.StringIO()
    csv.writer(table).writerows([("url", "label"), *((link, own) for link in links)])
    file = keep_uploads((), place) / "links.csv"
    file.write_text(table.getvalue(), encoding="utf-8")
    return jobs.start(workspace, download, DownloadConfig(urls=str(file)))
