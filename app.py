"""The browser's door: create_app(root) -> gr.Blocks; opens the tabs in the order of the work; no logic.

    python app.py [--workspace DIR] [--port N] [--host H] [--auth USER:PASSWORD] [--share] [--root-path P]
                  [--proxy ADDRESS] [--public-demo]

Gradio is imported inside the functions: worker processes read this file again when they start, and need none of it.
"""

from __future__ import annotations

from pipeline.endings import CANCELLED, leave, say, stand_by, stop_when_ended, unexpected

if __name__ == "__main__":
    stand_by("app")  # before the rest is imported

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError, UsageError
from pipeline.machine import speak_any_text
from pipeline.terminal.arguments import Parser, port_number
from pipeline.web.proxies import none_of_it, spare_loopback

if TYPE_CHECKING:
    import gradio as gr

    from pipeline.tabs.page.whose import Whose

DEFAULT = Path("workspaces") / "starter"
# From Ctrl-C on; what a public demo could not clear away until then, the next one clears.
STOP_SECONDS = 4.5


def create_app(root: Path | Whose, local: bool = False) -> gr.Blocks:
    """The whole app on the workspace at ``root`` (made if missing). Raises WorkspaceError where that cannot be.

    ``root`` may also be what tells whose workspaces they are: those of each visitor, in a public demo. ``local``: only
    people of this machine can reach it, so its folders and its HF_TOKEN may be offered.

    >>> from pathlib import Path
    >>> app = w.create_app(Path("fruit"))  # a gradio.Blocks: app.launch()
    >>> app.title
    'Winnow'
    """
    import gradio as gr

    from cleaner.tabs.clean import tab as clean
    from cleaner.tabs.review import tab as review
    from cleaner.tabs.review.story import story_alone
    from pipeline.tabs import models
    from pipeline.tabs.collect import tab as collect
    from pipeline.tabs.deploy import tab as deploy
    from pipeline.tabs.door.demo import draw_banner
    from pipeline.tabs.label import tab as label
    from pipeline.tabs.page.shared import draw_shared
    from pipeline.tabs.page.show import unexpected
    from pipeline.tabs.predict import tab as predict
    from pipeline.tabs.train import tab as train
    from pipeline.tabs.verify import tab as verify
    from pipeline.web.gate import in_words

    steps = (
        ("Collect", collect.build, "Verify"),
        ("Verify", partial(verify.build, story=story_alone), "Label"),
        ("Label", label.build, "Train"),
        ("Train", train.build, "Review"),
        ("Review", review.build, "Clean"),
        ("Clean", clean.build, "Predict"),
        ("Predict", predict.build, "Deploy"),
        ("Deploy", deploy.build, ""),
        ("Models", models.build, ""),
    )
    with (demo := gr.Blocks(title="Winnow", analytics_enabled=False, delete_cache=(3600, 86400))):
        shared = draw_shared(root, local, draw_banner)
        with shared.tabs:
            for name, build, following in steps:
                with gr.Tab(name, id=name.lower(), elem_id=f"tab-{name.lower()}") as tab:
                    build(tab, shared)
                    shared.next_step(following)
        shared.wire(demo)
    demo.process_api = in_words(demo.process_api, gr.Error, unexpected)  # type: ignore[method-assign]
    return demo


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the browser's door and serve until Ctrl-C; returns the exit code (0, 1 it cannot, 2 wrong usage)."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        options = _parser().parse_args(arguments)
        spare_loopback(os.environ)
        with none_of_it(os.environ):
            from pipeline.tabs.door.serve import Door, received, serve

        door = Door.of(options, os.environ)
        with received(door, options.workspace or DEFAULT, os.environ) as whose:
            with none_of_it(os.environ):
                demo = create_app(whose, door.local)
            return serve(demo, door, whose)
    except UsageError as error:
        say(f"app.py: {error}")
        return 2
    except PipelineError as error:
        say(f"app.py: {error}")
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        return CANCELLED
    except Exception as error:  # noqa: BLE001 - the last there is: nobody gets a traceback
        say(f"app.py: {unexpected(error, 'app')}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="app.py", description="Winnow in the browser.")
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    add = parser.add_argument
    add("--workspace", metavar="DIR", type=Path, help=f"the project's folder (./{DEFAULT})")
    add("--port", metavar="N", type=port_number, default=port, help="port to listen at (GRADIO_SERVER_PORT, or 7860)")
    add("--host", metavar="H", default=host, help=f"address to listen at ({host}: this machine only)")
    add("--auth", metavar="USER:PASSWORD", help="ask for it; also read from the environment variable WINNOW_AUTH")
    add("--share", action="store_true", help="make a public link through Gradio (needs --auth or --public-demo)")
    about = "let anybody in: each gets a small workspace of their own that is cleared away again"
    add("--public-demo", action="store_true", help=about)
    add("--root-path", metavar="P", help="the path a proxy serves the app under, like /winnow (needs --auth, too)")
    about = "the address of a proxy in front: what it says of who asks is believed (needs --auth, too; may be repeated)"
    add("--proxy", metavar="ADDRESS", action="append", help=about)
    return parser


if __name__ == "__main__":
    speak_any_text()
    stop_when_ended(within=STOP_SECONDS)
    leave(main())
