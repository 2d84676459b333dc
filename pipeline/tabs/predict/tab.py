"""Predict: try a run on a picture of one's own, or on many at once."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.ask.many import PredictConfig, last_list, page_of, predict_many
from pipeline.ask.one import MakeClient, Models, about_model, fetch_picture, one_picture_client, picture_id
from pipeline.errors import RunError, UsageError
from pipeline.images.formats import PICTURE_SUFFIXES
from pipeline.jobs import job as jobs
from pipeline.jobs.job import Job
from pipeline.jobs.stages import StageName
from pipeline.labels import in_words
from pipeline.model.calibrate import FEWEST
from pipeline.predict import NONE, Prediction, Unreadable
from pipeline.tabs.page.choose_run import draw_run_list, refreshed_run_list, run_or_newest
from pipeline.tabs.page.component import View, component, nonce
from pipeline.tabs.page.downloads import click_on
from pipeline.tabs.page.job_panel import QUIET
from pipeline.tabs.page.shared import Shared, Values, translate
from pipeline.tabs.page.show import bar_rows, count, empty, escape, guide, heading, paged, percent
from pipeline.tabs.page.uploads import MOST_FILES, KeptFolder, keep_folder, keep_uploads
from pipeline.tabs.page.viewer import large, thumbnail, viewer
from pipeline.web.gate import picture_in
from pipeline.workspace.runs import Run, limit_set_on, load_run, set_on_in_words
from pipeline.workspace.workspace import Workspace

LIKELIEST = 5
UNFAMILIAR = "Unfamiliar"
EXPLAINED = (
    "<p>A network tends to be surer than it is right. Its raw outputs are divided by one number, the temperature, "
    "which is chosen so that the probabilities fit the pictures of the valid split; which class is likeliest stays. "
    "A picture is unfamiliar where it is less like any training picture, or lies more between the classes, than nearly "
    "all pictures of places that were held out. Neither says anything of a picture that looks familiar and shows "
    "something else. More is in docs/predict.md.</p>"
)
# So far from 1 a temperature changes what is read off.
NEAR_ONE = 0.02
PAGE = 50
NO_LIST: Mapping[str, Any] = {"rows": None}


def answer_view(prediction: Prediction | None) -> View | None:
    """The answer as the component draws it: label in large (one class, several, none of them; or that the picture is
    unfamiliar), confidences: label and confidence of the likeliest classes, and unfamiliar. None: nothing was asked.
    """
    if prediction is None:
        return None
    likeliest = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:LIKELIEST]
    return {
        "label": UNFAMILIAR if prediction.unfamiliar else in_words(prediction.label),
        "confidences": [{"label": name, "confidence": probability} for name, probability in likeliest],
        "unfamiliar": prediction.unfamiliar,
    }


def remark(prediction: Prediction, about: Mapping[str, Any] | None = None) -> str:
    """What to think of the answer, as HTML. ``about``: config.json of the model, with ``valid``, how many pictures its
    valid split has; without it nothing is said of the model itself.
    """
    parts = [_familiarity(prediction, about or {})]
    if prediction.label == NONE and not prediction.unfamiliar:
        parts.append(_hint("No class is likely enough to be named: by this model it shows none of them."))
    if len(prediction.probabilities) > LIKELIEST:
        rows = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
        bars = bar_rows((name, share, percent(share)) for name, share in rows)
        parts.append(f"<details><summary>All {len(rows):,} classes</summary>{bars}</details>")
    if about is not None:
        if len(prediction.views) > 1:
            views = escape(", ".join(prediction.views))
            parts.append(_hint(f"The mean of its answers about {len(prediction.views)} views: {views}."))
        parts.append(calibration(about))
    return "".join(parts)


def _familiarity(prediction: Prediction, about: Mapping[str, Any]) -> str:
    distance = prediction.distance
    if not prediction.unfamiliar:
        if distance is None:
            return ""
        return _hint(f"It is like what the model learnt from ({100 * distance:.0f} % of the way to the limit).")
    far = "far away" if distance is None else f"at {distance:.1f} times the limit"
    unfamiliar = about.get("unfamiliar", {})
    test, kept = unfamiliar.get("test", {}), ""
    if test.get("images"):
        share = f"{100 * test['rate']:.1f} % of the {test['images']:,} test pictures"
        turned = f"The limit, set on {limit_set_on(unfamiliar)}, also turns away {share}, which are of the right kind."
        kept = _hint(turned)
    return (
        f'<p class="w-warn">This picture is unlike anything the model learnt from: it lies {far}. If it had to choose, '
        f"it would say {escape(in_words(prediction.label))}; do not rely on that.</p>{kept}"
    )


def calibration(about: Mapping[str, Any]) -> str:
    """How the probabilities were made to mean what they say, as HTML."""
    temperature, pictures = float((about.get("outputs") or {}).get("temperature", 1.0)), int(about.get("valid", 0))
    told = (about.get("set_on") or {}).get("temperature") or {"images": pictures}
    meaning = ", as it was surer than it should be" if temperature > 1 else ", as it was less sure than it may be"
    if abs(temperature - 1.0) < NEAR_ONE:
        meaning = ", which changes next to nothing"
    words = (
        f"Calibrated on {set_on_in_words(told)}, so that of answers given with 80 % about "
        f"80 % are right: temperature {temperature:.2f}{meaning}."
    )
    if pictures < FEWEST:
        words = f"Not calibrated: with {pictures} pictures in the valid split there is too little to go by."
    return f"{_hint(words)}<details><summary>What does that mean?</summary>{EXPLAINED}</details>"


def _hint(words: str) -> str:
    return f'<p class="w-hint">{words}</p>'


def views_in_words(views: Sequence[str]) -> str:
    """The label of the switch for several views."""
    return f"Also ask about it {' and '.join(views)}" if views else "This model is asked about a picture as it is"


def closer_view(models: Models, workspace: Workspace, run_id: str | None, picture: str | None) -> View:
    """What is shown below the answer: id, large (a re-encoded copy of the picture), neighbours: id, thumbnail, label,
    note, name of each, and none: why there are none. An empty id without a picture.
    """
    if picture is None:
        return {"id": "", "nonce": nonce()}
    copy, found = models.alike(workspace, load_run(workspace, run_id or None), picture)
    tiles = [
        {
            "id": other.id,
            "label": in_words(other.label),
            "name": other.name,
            "thumbnail": thumbnail(workspace, other.id),
            "note": f"{percent(max(other.similarity, 0.0))} alike",
        }
        for other in found
    ]
    none = "" if tiles else "This run kept no features to compare with. The next training will."
    return {
        "id": picture_id(picture),
        "large": str(copy),
        "neighbours": tiles,
        "none": none,
        "nonce": nonce(),
    }


def look_view(models: Models, workspace: Workspace, run_id: str | None, picture: str | None, image_id: str) -> View:
    """What is laid over the picture: id, heat (a path, or None), words (what it tells, or why there is none)."""
    if picture is None or image_id != picture_id(picture):
        return {"id": "", "heat": None, "words": ""}
    run = load_run(workspace, run_id or None)
    try:
        heat, told = models.look(workspace, run, picture)
    except (RunError, Unreadable, OSError) as error:
        return {"id": image_id, "heat": None, "words": f"Where the network looked cannot be shown. {error}"}
    return {"id": image_id, "heat": str(heat), "words": told.in_words(run.classes)}


def neighbour_view(workspace: Workspace, image_id: str) -> View:
    """What the viewer shows of a picture of the train split; nothing of another."""
    row = workspace.store.image(image_id)
    if row["split"] != "train":
        return {"id": "", "nonce": nonce()}
    picture, trouble = large(workspace, image_id, str(row["file"]))
    label = in_words(str(row["label"])) if row["label"] else "no label"
    return {
        "id": image_id,
        "large": picture,
        "trouble": trouble,
        "title": f"{label}, a picture it learnt from",
        "answers": [],
        "facts": [("size", f"{row['width']} × {row['height']} pixels")],
        "name": str(row["source_name"] or row["file"]).rsplit("/", 1)[-1],
        "nonce": nonce(),
    }


def build(tab: gr.Tab, shared: Shared, client: MakeClient | None = one_picture_client) -> None:
    """Draw the tab, then wire it. ``client`` fetches pictures by their address; None: there is no field for one."""
    guide("Show the model a picture it has never seen: upload one, paste one, or take one.")
    notice = gr.HTML(elem_id="predict-notice")
    with gr.Column() as body:
        run = draw_run_list("predict-run", "Model", min_width=280)
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
                # Gradio's own opens it, with words for programmers
                image.preprocess = _path  # type: ignore[method-assign]
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
        _build_many(tab, shared, run, tta)
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
        chosen = load_run(shared.open(workspace or None), run or None)
        if image is None:
            return None, ""
        found = models.answer(chosen, as_file(image, shared.workspaces.outgoing), tta)
        return answer_view(found), remark(found, about_model(chosen))

    @translate
    def look_closer(image: str | None, run: str | None, workspace: str) -> View:
        return closer_view(models, shared.open(workspace), run, image)

    @translate
    def look(image: str | None, run: str | None, workspace: str, event: gr.EventData) -> Any:
        return gr.HTML(look=look_view(models, shared.open(workspace), run, image, str(event._data.get("id"))))

    @translate
    def enlarge(workspace: str, event: gr.EventData) -> View:
        return neighbour_view(shared.open(workspace), str(event._data.get("id")))

    @translate
    def views(run: str | None, workspace: str) -> Any:
        return _views(load_run(shared.open(workspace), run or None))

    def tidied(image: str | None) -> Any:
        """Nothing below where there is no picture (any more): what was asked about one may be answered too late."""
        return (None, "", {"id": ""}) if image is None else (gr.skip(), gr.skip(), gr.skip())

    asked = [image, run, shared.picker, tta]
    # The last picture is the one that counts: where one is pasted, the page first says that there is none.
    show: dict[str, Any] = {"show_progress_on": answer, "trigger_mode": "always_last"}
    said = gr.on([image.input, run.input, tta.input], predict, asked, [answer, words], api_name="predict", **show)
    answers = [said, said.success(look_closer, asked[:3], below, **QUIET)]
    run.input(views, [run, shared.picker], tta, **QUIET)
    below.look(look, asked[:3], below, trigger_mode="always_last", **QUIET)
    below.open(enlarge, shared.picker, seen, trigger_mode="always_last", **QUIET)
    if client is not None:
        fetched = url.submit(
            translate(
                lambda address: str(
                    fetch_picture(address or "", shared.workspaces.outgoing() / uuid.uuid4().hex, client)
                )
            ),
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
        asking(tidied, image, [answer, words, below], **QUIET)


def _path(payload: Any) -> str | None:
    """Where Gradio keeps the uploaded picture (it has checked that it is one), or its data: URL; opening it is ours."""
    if payload and payload.url and payload.url.startswith("data:"):
        return str(payload.url)
    return str(payload.path) if payload and payload.path else None


def as_file(image: str, outgoing: Callable[[], Path]) -> str:
    """Where a picture lies; one that came as a data: URL is put into a file. Raises UsageError for a damaged one."""
    try:
        sent = picture_in(image)
    except ValueError as error:
        raise UsageError(f"This picture cannot be used. {error}") from error
    if sent is None:
        return image
    file = outgoing() / uuid.uuid4().hex / "picture"
    file.parent.mkdir(parents=True)
    file.write_bytes(sent)
    return str(file)


def _views(run: Run) -> Any:
    views = about_model(run).get("tta", ["mirrored"])
    return gr.Checkbox(label=views_in_words(views), interactive=bool(views))


def _view(workspace: Workspace, chosen: str | None) -> tuple[str, Any, Any, Any]:
    run = run_or_newest(workspace, chosen)
    if run is None:
        nothing = empty("Nothing to ask yet", "Train a model first; then try it here.")
        return nothing, gr.Column(visible=False), gr.skip(), gr.skip()
    return "", gr.Column(visible=True), refreshed_run_list(workspace, run.id), _views(run)


def predict_job(workspace: Workspace, run_id: str | None, sources: list[str], tta: bool) -> Job:
    """Start asking a run about files and folders. Raises UsageError for none, and while another list is at work."""
    if not sources:
        raise UsageError("Choose pictures or a folder first.")
    if jobs.running(workspace, StageName.PREDICT):
        raise UsageError("A list of pictures is being asked about already; see above.")
    run = load_run(workspace, run_id or None)
    return jobs.start(workspace, predict_many, PredictConfig(tuple(sources), run.id, tta))


def list_view(workspace: Workspace, page: int = 0) -> View:
    """A page of the newest list as the component draws it: words, rows, page, pages; nothing without a list."""
    answered = last_list(workspace)
    if answered is None:
        return dict(NO_LIST)
    number, pages = paged(max(answered.counts["asked"], 1), page, PAGE)
    rows = []
    for place, row in enumerate(page_of(answered.table, number, PAGE), number * PAGE):
        small, failed = answered.small / f"{place}.jpg", not row["label"]
        far = f" ({float(row['distance']):.1f} times the limit)" if row["unfamiliar"] else ""
        rows.append(
            {
                "name": row["file"],
                "label": "" if failed else in_words(row["label"]),
                "probability": "" if failed else percent(float(row["probability"])),
                "remark": row["remark"] + far,
                "strange": bool(row["unfamiliar"]),
                "failed": failed,
                "thumbnail": str(small) if small.exists() else None,
            }
        )
    words = in_sum(answered.counts)
    return {"words": words, "rows": rows, "page": number, "pages": pages, "nonce": nonce()}


def in_sum(result: Mapping[str, Any]) -> str:
    """What a list came to, in a sentence."""
    said = [f"{number:,} {in_words(label)}" for label, number in list(result["labels"].items())[:6]]
    more = len(result["labels"]) - len(said)
    words = f"{count(result['asked'], 'picture')}: {', '.join(said) or 'none could be used'}"
    words += f" and {more} more classes." if more > 0 else "."
    if result["unfamiliar"]:
        words += f" {result['unfamiliar']:,} of them unlike what the model learnt from."
    return words + (f" {result['failed']:,} could not be used." if result["failed"] else "")


def csv_copy(workspace: Workspace, cache: Path) -> Path:
    """The newest table below ``cache``, for downloading. Raises UsageError where there is none."""
    answered = last_list(workspace)
    if answered is None:
        raise UsageError("There is no table any more. Ask about the pictures once more.")
    target = cache / uuid.uuid4().hex / f"{workspace.name}-answers.csv"
    target.parent.mkdir(parents=True)
    shutil.copyfile(answered.table, target)
    return target


class _Many:
    """The section for many pictures at once; ``sent`` is the folder that was sent, kept by the server."""

    def __init__(self, local: bool) -> None:
        heading("Many at once")
        with gr.Row(elem_classes="w-cards"), gr.Column(elem_classes="w-card", min_width=300):
            self.files = gr.File(
                file_count="multiple",
                file_types=["image", *sorted(PICTURE_SUFFIXES)],
                show_label=False,
                height=130,
                elem_id="predict-files",
                elem_classes="w-upload",
            )
            self.folder = component(Path(__file__).parents[1] / "page" / "folder", "predict-folder", most=MOST_FILES)
            self.path = gr.Textbox(
                label="Or a folder on this machine",
                placeholder="/home/me/pictures",
                elem_id="predict-path",
                visible=local,
            )
            with gr.Row(elem_classes="w-buttons"):
                self.go = gr.Button("Ask about them", elem_id="predict-start", size="lg")
                self.save = gr.Button("Table as CSV", visible=False, elem_id="predict-csv", size="lg")
                self.file = gr.DownloadButton("Download", visible=False, elem_id="predict-download", size="sm")
        self.table = component(Path(__file__).with_name("answers"), "predict-table")
        self.sent = gr.State(None)


def _build_many(tab: gr.Tab, shared: Shared, run: gr.Dropdown, tta: gr.Checkbox) -> None:
    """Draw the section, then wire it."""
    w = _Many(shared.local)

    @translate
    def keep(event: gr.EventData) -> tuple[KeptFolder, str]:
        arrived = keep_folder(event._data.get("files"), shared.workspaces.received(), shared.workspaces.uploads())
        return arrived, f"{count(arrived.files, 'file')} here."

    def begin(values: Values) -> Job:
        chosen = [Path(file) for file in values[w.files] or ()]
        sources = (
            [str(file) for file in sorted(keep_uploads(chosen, shared.workspaces.uploads()).iterdir())]
            if chosen
            else []
        )
        sources += [values[w.sent].path] if values[w.sent] else []
        own = str(values[w.path] or "").strip() if shared.local else ""
        sources += [own] if own else []
        return predict_job(shared.open(values[shared.picker]), values[run], sources, bool(values[tta]))

    @translate
    def turn(name: str, event: gr.EventData) -> View:
        page = event._data.get("page")
        return list_view(shared.open(name), page if isinstance(page, int) else 0)

    def fill(name: str) -> tuple[View, Any]:
        view = list_view(shared.open(name))
        return view, gr.Button(visible=view["rows"] is not None)

    @translate
    def csv(name: str) -> Any:
        made = csv_copy(shared.open(name), shared.workspaces.outgoing())
        return gr.DownloadButton(f"Download {made.name}", value=str(made), visible=True)

    kept = [w.sent, w.folder]
    w.folder.sent(keep, None, kept, **QUIET)
    w.folder.forget(lambda: (None, ""), None, kept, **QUIET)
    started = shared.job.launch(w.go.click, begin, {shared.picker, run, tta, w.files, w.sent, w.path})
    started.success(lambda: (None, "", None), None, [*kept, w.files], **QUIET)
    w.table.turn(turn, shared.picker, w.table, **QUIET)
    shared.watch(tab, fill, [w.table, w.save])
    made = w.save.click(csv, shared.picker, w.file, api_visibility="private", show_progress="minimal")
    made.success(None, None, None, js=click_on("predict-download"))
