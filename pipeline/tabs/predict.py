"""Predict: try a run on a picture of one's own, or on many at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.label import LabelConfidence, LabelData

from pipeline.errors import RunError, UsageError
from pipeline.labels import in_words
from pipeline.predict import Classifier, Prediction, Unreadable, open_image
from pipeline.runs import Run, load_run
from pipeline.tabs.choose_run import draw_run_list, refreshed
from pipeline.tabs.shared import Shared, translate
from pipeline.tabs.show import empty, guide, heading, percent, table
from pipeline.workspace import Workspace

MODELS_KEPT = 2
MANY = 200
SHOWN_CLASSES = 5


class Models:
    """The classifiers of the last few runs that were asked, so that a second picture is answered at once."""

    def __init__(self, size: int = MODELS_KEPT) -> None:
        self.size = size
        self._kept: OrderedDict[Path, Classifier] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, run: Run) -> Classifier:
        """The classifier of ``run``. Raises RunError where its files were changed."""
        with self._lock:
            if run.folder not in self._kept:
                try:
                    self._kept[run.folder] = Classifier.load(run.folder)
                except (ValueError, OSError) as error:
                    raise RunError(f"The model of this run cannot be used: {error}") from error
            self._kept.move_to_end(run.folder)
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)
            return self._kept[run.folder]


def one(models: Models, workspace: Workspace, run_id: str | None, picture: str | None) -> Prediction | None:
    """What a run (None: the newest) says about a picture; None without one. Raises UsageError if it is no picture."""
    run = load_run(workspace, run_id or None)
    if picture is None:
        return None
    try:
        return models.get(run).predict([picture])[0]
    except Unreadable as trouble:
        raise UsageError(f"This picture cannot be read. {trouble}") from trouble


def remark(prediction: Prediction) -> str:
    """A warning as HTML where the model should not be trusted; empty otherwise."""
    if not prediction.unfamiliar:
        return ""
    return (
        '<p class="w-warn">This picture is unlike the ones the model learnt from. '
        "It has to name one of its classes, so do not rely on this answer.</p>"
    )


def shown(prediction: Prediction | None) -> LabelData | dict[str, Any]:
    """The answer in large (one class, several or none of them) above the probabilities of the likeliest classes."""
    if prediction is None:
        return {}
    likeliest = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:SHOWN_CLASSES]
    bars = [LabelConfidence(label=name, confidence=probability) for name, probability in likeliest]
    return LabelData(label=in_words(prediction.label), confidences=bars)


def many(models: Models, workspace: Workspace, run_id: str | None, files: Sequence[str]) -> str:
    """A table of what a run says about several picture files, as HTML; what cannot be read is a row with its reason."""
    if len(files) > MANY:
        raise UsageError(f"Take at most {MANY} pictures at a time here; for more, use: python cli.py predict")
    classifier = models.get(load_run(workspace, run_id or None))
    opened: dict[str, Any] = {}
    for file in files:
        try:
            opened[file] = open_image(file)
        except (Unreadable, OSError) as trouble:
            opened[file] = str(trouble)
    readable = [file for file in files if not isinstance(opened[file], str)]
    answers = dict(zip(readable, classifier.predict([opened[file] for file in readable]), strict=True))
    rows = [_row(file, answers.get(file), opened[file]) for file in files]
    return table(("picture", "class", "probability", "remark"), rows, numbers=(2,))


def _row(file: str, answer: Prediction | None, trouble: Any) -> tuple[str, str, str, str]:
    name = Path(file).name
    if answer is None:
        return name, "–", "–", str(trouble)
    return (
        name,
        in_words(answer.label),
        percent(answer.probability),
        "unlike the training pictures" if answer.unfamiliar else "",
    )


# --- the tab -------------------------------------------------------------------------------------------------------


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    guide("Show the model a picture it has never seen: upload one, paste one, or take one.")
    notice = gr.HTML(elem_id="predict-notice")
    with gr.Column() as body:
        run = draw_run_list("predict-run")
        with gr.Row(elem_classes="w-split"):
            image = gr.Image(
                type="filepath", image_mode=None, sources=["upload", "clipboard", "webcam"], label="Picture",
                webcam_options=gr.WebcamOptions(mirror=False), height=340, elem_id="predict-image", buttons=[],
                min_width=300,
            )  # fmt: skip
            image.preprocess = _path  # type: ignore[method-assign]  # Gradio's own opens it, with words for programmers
            with gr.Column(min_width=300):
                answer = gr.Label(label="It shows", elem_id="predict-answer")
                answer.postprocess = shown  # type: ignore[method-assign, assignment]  # Gradio's own names the likeliest class
                warning = gr.HTML(elem_id="predict-warning")
        heading("Many at once")
        files = gr.File(
            file_count="multiple",
            file_types=["image"],
            show_label=False,
            height=120,
            elem_id="predict-files",
            elem_classes="w-upload",
        )
        answers = gr.HTML(elem_id="predict-table")
    models = Models()

    @translate
    def predict(image: str | None, run: str | None = None, workspace: str | None = None) -> tuple[Any, str]:
        """Class probabilities of one picture, by a run (default: the newest) of a workspace (default: the first)."""
        found = one(models, shared.open(workspace or None), run, image)
        return (found, remark(found)) if found else (None, "")

    @translate
    def predict_many(chosen: list[str] | None, run: str | None, workspace: str) -> str:
        return many(models, shared.open(workspace), run, chosen) if chosen else ""

    gr.on(
        [image.input, run.input],
        predict,
        [image, run, shared.picker],
        [answer, warning],
        api_name="predict",
        show_progress_on=answer,
    )
    gr.on([files.change, run.input], predict_many, [files, run, shared.picker], answers, api_visibility="private")
    shared.watch(tab, lambda name, chosen: _view(shared.open(name), chosen), [notice, body, run], run)


def _path(payload: Any) -> str | None:
    """Where Gradio keeps the uploaded picture (it has checked that it is an upload); opening it is our part."""
    return str(payload.path) if payload and payload.path else None


def _view(workspace: Workspace, chosen: str | None) -> tuple[str, Any, Any]:
    runs = refreshed(workspace, chosen)
    if runs is None:
        return (
            empty("Nothing to ask yet", "Train a model first; then try it here."),
            gr.Column(visible=False),
            gr.skip(),
        )
    return "", gr.Column(visible=True), runs[0]
