"""A picture in, what it shows out: a small app around the model that lies beside it.

    pip install -r requirements.txt
    python app.py

predict.py opens pictures and asks the model; gate.py stands in front and lets in what the app is for. The app
keeps no picture longer than an hour and tells nobody.
"""

from __future__ import annotations

import html
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# The model needs no network, and Gradio asks nobody but itself as it starts: it would end where a proxy, or a file of
# certificates, is not as it should be.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
# A network's threads spin a moment while they wait, then sleep: spinning for long costs most where others compute, too.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
if found := [name for name in os.environ if name.upper() in PROXIES]:
    for name in found:
        del os.environ[name]

import gradio as gr  # noqa: E402
from gate import (  # noqa: E402
    EVERY_SITE,
    LOOPBACK,
    MEGABYTE,
    OWN_SITE,
    THIS_MACHINE,
    Gate,
    Room,
    Rules,
    believe,
    in_words,
    picture_in,
)
from gradio.components.label import LabelConfidence, LabelData  # noqa: E402
from gradio.utils import get_upload_folder  # noqa: E402
from predict import SEVERAL, BadModel, Picture, Prediction, Unreadable, load, open_header, read_info  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

HERE = Path(__file__).resolve().parent
MOST_CLASSES = 20
MOST_WAITING = 100
HOUR = 3600
LARGEST_MB = 20
MOST_KEPT = 2048 * MEGABYTE
SESSIONS = 1000
ADVICE = (
    "On this machine, open http://127.0.0.1:{port}/ . Where you came through a notebook, a tunnel or a proxy of yours, "
    "start it for other people: with --host 0.0.0.0 (GRADIO_SERVER_NAME), best with --auth USER:PASSWORD."
)
UNFAMILIAR = "Unfamiliar"
LOG = logging.getLogger("winnow.serve")
LOG.addHandler(logging.NullHandler())  # quiet, unless somebody writes it down
WARNING = (
    "⚠️ This picture is unlike the pictures the model was trained on. Do not rely on the probabilities: the model can "
    "only choose among the classes it knows."
)
CSS = """
.gradio-container {width: 100% !important; max-width: 1000px !important; margin: 0 auto !important}
#title .html-container {padding: 0 !important}
#examples img {width: 80px !important; height: 80px !important; object-fit: cover !important}
#warning:has(p) {border-left: 4px solid #d97706; padding-left: 12px}
"""


def shown(prediction: Prediction | None) -> LabelData | dict[str, Any]:
    """The answer in large (one class, several or none of them; or that the picture is unfamiliar) above the
    probabilities of the likeliest classes.
    """
    if prediction is None:
        return {}
    likeliest = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:MOST_CLASSES]
    bars = [LabelConfidence(label=name, confidence=probability) for name, probability in likeliest]
    label = UNFAMILIAR if prediction.unfamiliar else prediction.label.replace(SEVERAL, ", ")
    return LabelData(label=label, confidences=bars)


def create_app(
    folder: Path = HERE, ask: Callable[[Sequence[Picture]], Sequence[Prediction]] | None = None
) -> gr.Blocks:
    """The app for the model folder ``folder``; ``ask`` answers for it (None: its model, loaded now). Raises BadModel
    where it cannot be used.
    """
    if ask is None:
        classifier = load(folder)
        info, ask = classifier.info, classifier.predict
    else:
        info = read_info(folder)

    def predict(picture: dict[str, Any] | None) -> tuple[Prediction | None, str]:
        """What a picture shows: the probability of each class, and a warning where the picture is unfamiliar."""
        if picture is None:
            return None, ""
        try:
            sent = picture_in(picture.get("url"), LARGEST_MB * MEGABYTE)
        except ValueError as error:
            raise gr.Error(f"This picture cannot be used. {error}", print_exception=False) from error
        if sent is None and not picture.get("path"):
            raise gr.Error("Send the picture as a file, or as a data: URL.", print_exception=False)
        try:
            data = Path(picture["path"]).read_bytes() if sent is None else sent
            open_header(data)  # no larger than is usual, whatever the model learnt from
            prediction = ask([data])[0]
        except Unreadable as error:
            LOG.info("refused: a picture that is %s", error.verdict)
            raise gr.Error(f"This picture cannot be used. {error}", print_exception=False) from error
        except BadModel as error:
            LOG.error("the model cannot be used")
            raise gr.Error(f"This model cannot be used: {error}", print_exception=False) from error
        except Exception:
            LOG.exception("unexpected")
            raise
        return prediction, WARNING if prediction.unfamiliar else ""

    title = str(info.get("title") or "What is it?")
    with gr.Blocks(title=title, delete_cache=(HOUR, HOUR), analytics_enabled=False) as app:
        gr.HTML(f"<h1>{html.escape(title)}</h1>", padding=False, elem_id="title")
        with gr.Row():
            with gr.Column():
                picture = gr.Image(
                    label="Picture",
                    type="filepath",
                    sources=["upload", "webcam", "clipboard"],
                    webcam_options=gr.WebcamOptions(mirror=False),
                    buttons=[],
                    height=360,
                    elem_id="picture",
                )
            with gr.Column():
                answer = gr.Label(label="What it shows", elem_id="answer")
                answer.postprocess = shown  # type: ignore[method-assign]  # Gradio's own names the likeliest class
                warning = gr.Markdown(label="Warning", elem_id="warning")
        if examples := sorted((folder / "examples").glob("*.jpg")):
            gr.Examples(
                [[str(example)] for example in examples], [picture], label="Try one of these", elem_id="examples"
            )
        # preprocess=False: Gradio would open the picture itself, by other rules than those the model was trained with
        picture.change(
            predict,
            picture,
            [answer, warning],
            preprocess=False,
            api_name="predict",
            show_progress="minimal",
            concurrency_limit=1,
        )
    app.process_api = in_words(  # type: ignore[method-assign]
        app.process_api, gr.Error, lambda words: gr.Error(words, print_exception=False)
    )
    return app


def rules(host: str, port: int, open_to_others: bool, password: bool) -> Rules:
    """What is let in: of an app for this machine alone what this machine asks for, else a picture from anywhere; where
    there is a password, no page of another site may use it.
    """
    local = not open_to_others and host.strip("[]").lower() in LOOPBACK
    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return Rules(
        hosts=LOOPBACK if local else (),
        advice=ADVICE.format(port=port),
        sites=THIS_MACHINE if local else OWN_SITE if password else EVERY_SITE,
        body=LARGEST_MB * MEGABYTE * 4 // 3 + MEGABYTE,
        upload=(LARGEST_MB + 1) * MEGABYTE,
        picture=LARGEST_MB * MEGABYTE,
        strangers=not local,
        room=Room(folder, min(MOST_KEPT, shutil.disk_usage(folder).free // 2), HOUR),
    )


def serve(
    folder: Path = HERE,
    ask: Callable[[Sequence[Picture]], Sequence[Prediction]] | None = None,
    proxy: Sequence[str] = (),
    **settings: Any,
) -> None:
    """Serve the app for the model folder ``folder`` until it is stopped: nothing is told to anybody, and too much is
    refused. ``ask``: as in :func:`create_app`; ``proxy``: the addresses of proxies that are believed for whom they ask;
    ``settings`` are further ones of Gradio's.
    """
    environment = os.environ
    environment.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    believe(environment, proxy)
    host = settings.get("server_name") or environment.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    port = settings.get("server_port") or int(environment.get("GRADIO_SERVER_PORT") or 7860)
    behind = (*proxy, *map(environment.get, ("SPACE_ID", "GRADIO_ROOT_PATH", "GRADIO_SHARE")), settings.get("share"))
    letting_in = rules(host, port, any(behind), bool(settings.get("auth")))
    create_app(folder, ask).queue(max_size=MOST_WAITING).launch(
        show_error=True,
        ssr_mode=False,
        max_file_size=f"{LARGEST_MB}mb",
        state_session_capacity=SESSIONS,
        app_kwargs={"middleware": [Middleware(Gate, rules=letting_in)]},
        run_history=False,
        enable_monitoring=False,
        footer_links=["api", "gradio"],
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=CSS,
        **settings,
    )


if __name__ == "__main__":
    try:
        serve()
    except BadModel as error:
        raise SystemExit(f"This model cannot be used: {error}") from None
    except (ValueError, OSError) as error:  # a port or an address that is none
        raise SystemExit(f"It cannot be served: {error}") from None
