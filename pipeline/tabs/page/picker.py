"""Which workspace the page works on: the folders beside the default one, a picker, and a way to make a new one."""

from __future__ import annotations

import re
import threading
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr

from pipeline.errors import LimitReached, WorkspaceError
from pipeline.tabs.page.show import translate
from pipeline.tabs.page.whose import Whose
from pipeline.workspace.workspace import Workspace, workspaces_in

LONGEST_NAME = 60
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)  # names Windows keeps for devices
TITLE = "<h1>Winnow</h1><p>From pictures to a classifier that is online, step by step.</p>"
KEEP_IN_ADDRESS = """(name) => {
    const address = new URL(window.location);
    address.searchParams.set('workspace', name);
    window.history.replaceState(null, '', address);
}"""


@dataclass(frozen=True)
class Workspaces:
    """The workspaces that whoever asks now may choose from: their default one and its siblings."""

    whose: Whose
    _making: threading.Lock = field(default_factory=threading.Lock, compare=False)

    @property
    def root(self) -> Path:
        """The folder of their default workspace."""
        return self.whose.first()

    def uploads(self) -> Path:
        """Where their uploads are kept."""
        return self.whose.uploads()

    def received(self) -> Path:
        """Where their uploads arrive."""
        return self.whose.received()

    def outgoing(self) -> Path:
        """Where their browser may fetch a file from."""
        return self.whose.outgoing()

    def names(self) -> list[str]:
        """The folders beside the default workspace that are workspaces, the default one first."""
        root = self.root
        siblings = {workspace.name for workspace in workspaces_in(root.parent)}
        first = [root.name] if root.name in siblings else []
        return first + sorted(siblings - {root.name}, key=str.casefold)

    def open(self, name: str | None) -> Workspace:
        """The workspace of that name; None, where a page has not chosen yet, is the default one.

        Raises WorkspaceError for any other name, whatever it looks like.
        """
        root = self.root
        name = root.name if name is None else name
        if name not in self.names():
            told = str(name).encode(errors="replace").decode()  # half a character cannot be sent back
            raise WorkspaceError(f"There is no workspace called '{told}'. Pick one from the list at the top.")
        return self._serve(Workspace.open(root.parent / str(name)))

    def create(self, name: str) -> Workspace:
        """A new, empty workspace; its folder's name is made from ``name``. Raises WorkspaceError, LimitReached."""
        root, folder = self.root, folder_name(name if isinstance(name, str) else "")
        with self._making:  # two that are made at once would each find room for one more
            if self.whose.limits and len(self.names()) >= self.whose.limits.workspaces:
                raise LimitReached(f"This public demo gives each visitor {self.whose.limits.workspaces} workspaces.")
            if folder.casefold() in {path.name.casefold() for path in root.parent.iterdir()}:
                raise WorkspaceError(f"'{folder}' is there already. Pick it from the list, or choose another name.")
            return self._serve(Workspace.create(root.parent / folder))

    def _serve(self, workspace: Workspace) -> Workspace:
        self.whose.serve(workspace)
        return workspace


def folder_name(name: str) -> str:
    """A safe folder name that still reads like ``name``: letters, digits, ``-`` and ``_``. Raises WorkspaceError."""
    words = re.sub(r"[^\w]+", "-", unicodedata.normalize("NFC", name.strip()))
    slug = words.strip("-_")[:LONGEST_NAME]
    if not slug or RESERVED.fullmatch(slug):
        raise WorkspaceError("Give the workspace a name with at least one letter or digit in it, like 'bears'.")
    return slug


def chosen(workspaces: Workspaces, request: gr.Request | None) -> str | None:
    """The workspace that the page's address names, or the default one."""
    names = workspaces.names()
    wanted = dict(request.query_params).get("workspace") if request is not None else None
    return wanted if wanted in names else (names[0] if names else None)


@dataclass(frozen=True)
class Picker:
    """The widgets: ``dropdown`` holds the name; ``wire`` makes them work."""

    workspaces: Workspaces
    dropdown: gr.Dropdown
    new: gr.Button
    form: gr.Row
    name: gr.Textbox
    make: gr.Button

    def wire(self, demo: gr.Blocks) -> None:
        """Connect the widgets of ``demo``."""

        @translate
        def create(name: str) -> tuple[gr.Dropdown, gr.Row, str]:
            made = self.workspaces.create(name)
            return gr.Dropdown(choices=self.workspaces.names(), value=made.name), gr.Row(visible=False), ""

        @translate
        def first_choice(request: gr.Request) -> gr.Dropdown:
            return gr.Dropdown(choices=self.workspaces.names(), value=chosen(self.workspaces, request))

        outputs = [self.dropdown, self.form, self.name]
        self.new.click(lambda: gr.Row(visible=True), None, self.form, api_visibility="private")
        submitted = [self.make.click, self.name.submit]
        gr.on(submitted, create, self.name, outputs, api_visibility="private", show_progress="hidden")
        self.dropdown.change(None, self.dropdown, None, js=KEEP_IN_ADDRESS, api_visibility="private")
        demo.load(first_choice, None, self.dropdown, api_visibility="private", show_progress="hidden")


def draw_picker(workspaces: Workspaces) -> Picker:
    """The head of the page: title, list of workspaces, a button for a new one, and (hidden until then) its form."""
    with gr.Row(elem_id="head", equal_height=True):
        gr.HTML(TITLE, elem_id="title", scale=3, min_width=240)
        dropdown = gr.Dropdown(
            choices=[] if workspaces.whose.limits else workspaces.names(),  # of visitors, nobody is here yet
            value=None if workspaces.whose.limits else chosen(workspaces, None),
            allow_custom_value=True,  # the server checks the name itself, also after it was restarted
            label="Workspace",
            elem_id="workspace-picker",
            min_width=180,
        )
        new = gr.Button("New workspace", elem_id="workspace-new", scale=0, min_width=140)
    with gr.Row(visible=False, elem_id="workspace-form") as form:
        name = gr.Textbox(
            label="Name of the new workspace", placeholder="bears", elem_id="workspace-name", max_length=LONGEST_NAME
        )
        make = gr.Button("Create", variant="primary", elem_id="workspace-create", scale=0, min_width=140)
    return Picker(workspaces, dropdown, new, form, name, make)
