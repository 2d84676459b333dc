"""A public demo on this machine, and visitors who speak to it over HTTP as a page does, or as no page would."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
import httpx

import app
from pipeline.tabs.door.serve import Door, launch_settings
from pipeline.tabs.door.visitors import Visitors, clear_demo
from pipeline.workspace.limits import Limits
from pipeline.workspace.workspace import Workspace
from tests.support.apps import free_port

API = "gradio_api/"
PATIENCE = 60.0


@dataclass
class Visitor:
    """A browser: it keeps cookies, and each page it opens has a session of its own."""

    address: str
    demo: gr.Blocks
    session: str = field(default_factory=lambda: uuid.uuid4().hex)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=PATIENCE))

    def get(self, path: str) -> httpx.Response:
        return self.client.get(self.address + path)

    def api(self, path: str) -> httpx.Response:
        return self.get(API + path)

    def opened(self) -> Visitor:
        """Open the page."""
        assert self.get("").status_code == 200
        self.call(self.number("_page_opened"), [])
        return self

    def reloaded(self) -> Visitor:
        """The same browser with the page loaded anew."""
        return Visitor(self.address, self.demo, client=self.client).opened()

    def number(self, name: str, nth: int = 0) -> int:
        """The id of a function of the app by its Python name."""
        return [id for id, fn in self.demo.fns.items() if getattr(fn.fn, "__name__", "") == name][nth]

    def of(self, trigger: str, event: str = "click") -> int:
        """The id of the function behind a component's event, by the component's elem_id."""
        (block,) = (id for id, block in self.demo.blocks.items() if block.elem_id == trigger)
        return next(id for id, fn in self.demo.fns.items() if (block, event) in fn.targets and fn.fn)

    def data(self, number: int, given: Mapping[str, Any]) -> list[Any]:
        """What a page would send to a function: the components' first values, but for ``given`` (by elem_id)."""
        return [
            given.get(str(block.elem_id), getattr(block, "value", None) if not isinstance(block, gr.State) else None)
            for block in self.demo.fns[number].inputs
        ]

    def call(
        self, number: int, data: list[Any], event: Any = None, session: str | None = None
    ) -> dict[str, Any] | None:
        """Send an event to the queue and wait for its answer; None where it was not taken."""
        session = session or self.session
        body = {"fn_index": number, "data": data, "event_data": event, "session_hash": session}
        sent = json.dumps(body).encode()  # also half a character
        headers = {"content-type": "application/json"}
        joined = self.client.post(f"{self.address}{API}queue/join", content=sent, headers=headers)
        if joined.status_code != 200:
            return None
        with self.client.stream("GET", f"{self.address}{API}queue/data?session_hash={session}") as stream:
            if stream.status_code != 200:
                return None
            deadline = time.monotonic() + PATIENCE
            for line in stream.iter_lines():
                assert time.monotonic() < deadline, "no answer came"
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("msg") == "process_completed" and message["event_id"] == joined.json()["event_id"]:
                    return message  # type: ignore[no-any-return]
        return None

    def do(self, trigger: str, event: str = "click", **given: Any) -> dict[str, Any]:
        """What comes of a component's event, with values of other components by elem_id (dashes as underscores)."""
        number = self.of(trigger, event)
        named = {name.replace("_", "-"): value for name, value in given.items()}
        answer = self.call(number, self.data(number, named))
        assert answer is not None
        return answer

    def said(self, trigger: str, event: str = "click", **given: Any) -> str:
        """The error that comes of a component's event."""
        answer = self.do(trigger, event, **given)
        assert not answer["success"], answer
        return str(answer["output"]["error"])

    def upload(self, name: str, content: bytes) -> httpx.Response:
        return self.client.post(f"{self.address}{API}upload", files={"files": (name, content)})


@contextmanager
def served(root: Path, template: Workspace, limits: Limits | None = None) -> Iterator[tuple[Visitors, Visitor]]:
    """The visitors of a demo that is served, and a first browser, which has not opened the page yet.

    ``GRADIO_TEMP_DIR`` should be ``root``/cache already.
    """
    visitors = Visitors(root, limits or Limits(), template)
    demo = app.create_app(visitors)
    demo.queue(default_concurrency_limit=8, max_size=64)
    door = Door(demo=True)
    _, address, _ = demo.launch(
        server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, **launch_settings(door, visitors)
    )
    try:
        yield visitors, Visitor(address, demo)
    finally:
        demo.close(verbose=False)
        clear_demo(root)
