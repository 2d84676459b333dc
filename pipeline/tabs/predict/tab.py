"""Predict: try a run on a picture of one's own, or on many at once."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.ask.by_url import MakeClient, fetch_picture, one_picture_client
from pipeline.errors import UsageError
from pipeline.predict import Unreadable
from pipeline.tabs.page.choose_run import draw_run_list, refreshed
from pipeline.tabs.page.component import View, component
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, translate
from pipeline.tabs.page.show import empty, guide
from pipeline.tabs.page.viewer import viewer
from pipeline.tabs.predict.answer import remark, shown, views_in_words
from pipeline.tabs.predict.many import build_many
from pipeline.tabs.predict.one import Models, about, closer, look_at, neighbour_view, one
from pipeline.workspace.runs import load_run
from pipeline.workspace.workspace import Workspace


def by_url(url: str, cache: Path, client: MakeClient) -> str:
    """The picture at an address, as a file in a new folder below ``cache``, where uploads lie too. Raises UsageError,
    NetworkError.
    """
    try:
        return str(fetch_picture(url, cache / uuid.uuid4().hex, client))
    except Unreadable as trouble:
        raise UsageError(f"This picture cannot be read. {trouble}") from trouble


def build(tab: gr.Tab, shared: Shared, client: MakeClient | None = one_picture_client) -> None:
    """Draw the tab, then wire it. ``client`` fetches pictures by their address; None: there is no field for one."""
    guide("Show the model a picture it has never seen: upload one, paste one, or take one.")
    notice = gr.HTML(elem_id="predict-notice")
    with gr.Column() as body:
        run = draw_run_list("predict-run")
        with gr.Row(elem_classes="w-split"):
            with gr.Column(min_width=300):
                image = gr.Image(
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard", "webcam"],
                    label="Picture",
                    webcam_options=gr.WebcamOptions(mirror=False),
                    height=340,
                    elem_id="predict-image",
                    buttons=[],
                )
                image.preprocess = _path  # type: ignore[method-assign]  # Gradio's own opens it, with words for programmers
                url = gr.Textbox(
                    label="Or its address on the web",
                    placeholder="https://… and Enter",
                    max_lines=1,
                    elem_id="predict-url",
                    visible=client is not None,
                )
                tta = gr.Checkbox(label=views_in_words(()), elem_id="predict-tta")
            with gr.Column(min_width=300):
                answer = component(Path(__file__).with_name("answer"), "predict-answer")
                words = gr.HTML(elem_id="predict-warning")
        below = component(Path(__file__).with_name("closer"), "predict-closer", look=None)
        build_many(tab, shared, run, tta)
    seen = viewer("predict-viewer")
    _wire(shared, (image, url, run, tta), (answer, words, below, seen), client)
    shared.watch(tab, lambda name, chosen: _view(shared.open(name), chosen), [notice, body, run, tta], run)


def _wire(shared: Shared, inputs: tuple[Any, ...], outputs: tuple[Any, ...], client: MakeClient | None) -> None:
    (image, url, run, tta), (answer, words, below, seen), models = inputs, outputs, Models()

    @translate
    def predict(
        image: str | None, run: str | None = None, workspace: str | None = None, tta: bool = False
    ) -> tuple[Any, str]:
        """Class probabilities of one picture, by a run (default: the newest) of a workspace (default: the first)."""
        place = shared.open(workspace or None)
        found = one(models, place, run, image, tta)
        return shown(found), remark(found, about(load_run(place, run or None))) if found else ""

    @translate
    def look_closer(image: str | None, run: str | None, workspace: str) -> View:
        return closer(models, shared.open(workspace), run, image)

    @translate
    def look(image: str | None, run: str | None, workspace: str, event: gr.EventData) -> Any:
        return gr.HTML(look=look_at(models, shared.open(workspace), run, image, str(event._data.get("id"))))

    @translate
    def enlarge(workspace: str, event: gr.EventData) -> View:
        return neighbour_view(shared.open(workspace), str(event._data.get("id")))

    @translate
    def views(run: str | None, workspace: str) -> Any:
        return _views(shared.open(workspace), run)

    asked = [image, run, shared.picker, tta]
    show: dict[str, Any] = {"show_progress_on": answer}
    said = gr.on([image.input, run.input, tta.input], predict, asked, [answer, words], api_name="predict", **show)
    answers = [said, said.success(look_closer, asked[:3], below, **QUIET)]
    run.input(views, [run, shared.picker], tta, **QUIET)
    below.look(look, asked[:3], below, trigger_mode="always_last", **QUIET)
    below.open(enlarge, shared.picker, seen, trigger_mode="always_last", **QUIET)
    if client is not None:
        fetched = url.submit(
            translate(lambda address: by_url(address or "", Path(image.GRADIO_CACHE), client)),
            url,
            image,
            api_visibility="private",
            show_progress_on=image,
            concurrency_limit=4,
        )
        told = fetched.success(predict, asked, [answer, words], api_visibility="private", **show)
        answers += [told, told.success(look_closer, asked[:3], below, **QUIET)]
    # Not with cancels=: Gradio answers 422 where an event is cancelled that has only just begun.
    for asking in (image.clear, *(event.then for event in answers)):
        asking(_tidied, image, [answer, words, below], **QUIET)


def _tidied(image: str | None) -> Any:
    """Nothing below where there is no picture (any more): what was asked about one may be answered after it is gone."""
    return (None, "", {"id": ""}) if image is None else (gr.skip(), gr.skip(), gr.skip())


def _path(payload: Any) -> str | None:
    """Where Gradio keeps the uploaded picture (it has checked that it is an upload); opening it is our part."""
    return str(payload.path) if payload and payload.path else None


def _views(workspace: Workspace, run_id: str | None) -> Any:
    views = about(load_run(workspace, run_id or None)).get("tta", ["mirrored"])
    return gr.Checkbox(label=views_in_words(views), interactive=bool(views))


def _view(workspace: Workspace, chosen: str | None) -> tuple[str, Any, Any, Any]:
    runs = refreshed(workspace, chosen)
    if runs is None:
        nothing = empty("Nothing to ask yet", "Train a model first; then try it here.")
        return nothing, gr.Column(visible=False), gr.skip(), gr.skip()
    return "", gr.Column(visible=True), runs[0], _views(workspace, runs[1])
