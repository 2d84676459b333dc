"""What every tab shows in the same way: errors, tables, numbers and times in words. Foreign text is escaped here."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from pipeline.errors import PipelineError
from pipeline.logs import is_written_down, logger, where_raised
from pipeline.verify.findings import Verified
from pipeline.web.gate import TOLD
from pipeline.workspace.store import SPLITS
from pipeline.workspace.workspace import Workspace

P = ParamSpec("P")
R = TypeVar("R")
TITLE = "That did not work"

LISTED_CLASSES = 200
LOG = logger("page")


def translate(function: Callable[P, R]) -> Callable[P, R]:
    """``function`` for an event: what goes wrong becomes a message on the screen, raised as ``gr.Error``.

    The log is told of it: of a refusal what refused, of an unexpected error what led to it.
    """

    @wraps(function)
    def translated(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except PipelineError as error:
            LOG.info("refused: %s", where_raised(error))
            raise gr.Error(html.escape(str(error), quote=False), title=TITLE, print_exception=False) from error
        except OSError as error:
            LOG.exception("unexpected")
            why = html.escape(str(error.strerror or error), quote=False)
            advice = "Free some space or check the rights of the folder, then try again. Nothing was lost."
            raise gr.Error(f"A file could not be read or written ({why}). {advice}", title=TITLE) from error
        except gr.Error:  # said in words already
            raise
        except Exception as error:
            LOG.exception("unexpected")
            setattr(error, TOLD, True)
            raise

    return translated


def unexpected(words: str) -> gr.Error:
    """An error for the screen; the terminal is told what led to it where no log is kept."""
    return gr.Error(words, title=TITLE, print_exception=not is_written_down())


def escape(text: object) -> str:
    """``text`` safe inside HTML, attributes included."""
    return html.escape(str(text), quote=True)


def table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[int] = (), caption: str = ""
) -> str:
    """An HTML table; every cell is escaped. ``numbers`` are the columns set flush right."""
    right = set(numbers)

    def cells(tag: str, values: Sequence[object]) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        return "".join(
            f"<{tag}{scope}{' class=number' if i in right else ''}>{escape(value)}</{tag}>"
            for i, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = f"<thead><tr>{cells('th', headers)}</tr></thead>"
    return f'<div class="w-scroll" tabindex="0"><table class="w-table">{title}{head}<tbody>{body}</tbody></table></div>'


def bars(counts: Mapping[str, int], unit: str = "") -> str:
    """One row a class: its name, a bar in proportion, its count."""
    largest = max(counts.values(), default=0) or 1
    return bar_rows((name, count / largest, f"{count:,}{unit}") for name, count in counts.items())


def bar_rows(rows: Iterable[tuple[str, float, str]]) -> str:
    """A name, a bar that fills a share (0 to 1) of its track, and a number in words, a row each."""
    drawn = "".join(
        f'<div class="w-bar-row"><span class="w-bar-name" title="{escape(name)}">{escape(name)}</span>'
        f'<span class="w-bar-track"><span class="w-bar" style="width:{100 * share:.1f}%"></span></span>'
        f'<span class="w-bar-count">{escape(number)}</span></div>'
        for name, share, number in rows
    )
    return f'<div class="w-bars">{drawn}</div>'


def empty(text: str, hint: str = "") -> str:
    """What a tab says where there is nothing to show yet, and what to do about it."""
    more = f"<p>{escape(hint)}</p>" if hint else ""
    return f'<div class="w-empty"><p class="w-empty-title">{escape(text)}</p>{more}</div>'


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """A few numbers in large type, each with its name below."""
    items = "".join(
        f'<div class="w-fact"><span class="w-fact-value">{escape(value)}</span>'
        f'<span class="w-fact-name">{escape(name)}</span></div>'
        for name, value in pairs
    )
    return f'<div class="w-facts">{items}</div>'


def elsewhere(probably: str) -> list[tuple[str, str]]:
    """The fact of a run's error in a new place, which lies there; none where nothing is said of it."""
    short = probably.replace(" to ", "–").replace(" %", "%")  # as the numbers beside it
    return [("in a new place, probably", short)] if probably else []


def note(sentences: Iterable[str]) -> str:
    """Sentences in small print, as HTML; empty where there are none."""
    words = " ".join(sentences)
    return f'<p class="w-hint">{escape(words)}</p>' if words else ""


def guide(text: str) -> gr.HTML:
    """The one line at the top of a tab that says what the step is for."""
    return gr.HTML(f"<p>{escape(text)}</p>", elem_classes="w-guide")


def heading(text: str) -> gr.HTML:
    """The title of a part of a tab."""
    return gr.HTML(f"<h3>{escape(text)}</h3>", elem_classes="w-heading")


def count(number: int, one: str, many: str = "") -> str:
    """``1 picture``, ``1,204 pictures``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def paged(total: int, page: int, size: int) -> tuple[int, int]:
    """Which page of ``size`` rows is shown (from 0) where ``page`` was asked for, and how many there are of ``total``;
    0, 0 where there is nothing.
    """
    pages = -(-total // size)
    return min(max(page, 0), max(pages - 1, 0)), pages


def percent(share: float) -> str:
    """``4.2%`` of a share from 0 to 1."""
    return f"{100 * share:.1f}%"


def error_rate(test: Mapping[str, Any] | None) -> str:
    """A test error with its 95 % interval: ``4.2% (2.0 to 8.6%)``; a dash where it was not measured."""
    if not test or not test.get("n"):
        return "–"
    return f"{percent(test['error_rate'])} ({100 * test['low']:.1f} to {percent(test['high'])})"


def duration(seconds: float) -> str:
    """Seconds in words: ``8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def ago(at: str | float | datetime | None) -> str:
    """How long ago a moment (ISO 8601, seconds since 1970, or datetime) was, in words; empty where unknown."""
    moment = _moment(at)
    if moment is None:
        return ""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < 60:
        return "just now"
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return count(int(seconds // size), unit) + " ago"
    return ""


def _moment(at: str | float | datetime | None) -> datetime | None:
    if isinstance(at, (int, float)):
        return datetime.fromtimestamp(at, UTC)
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


# --- pictures ------------------------------------------------------------------------------------------------------

# The address of a file depends on where the app is mounted, which only the page knows.
_FIND_PICTURES = """
const find = () => element.querySelectorAll('img[data-file]').forEach((picture) => {
    const root = (window.gradio_config && window.gradio_config.root) || '';
    picture.src = root + '/gradio_api/file=' + picture.dataset.file.split('/').map(encodeURIComponent).join('/');
    picture.removeAttribute('data-file');
});
watch('value', find);
find();
"""


def picture(file: Path, text: str) -> str:
    """A thumbnail inside the HTML of :func:`pictures_html`; ``text`` is what is read aloud."""
    return f'<img data-file="{escape(file.as_posix())}" alt="{escape(text)}" loading="lazy">'


def pictures_html(elem_id: str) -> gr.HTML:
    """A place for HTML that holds :func:`picture`."""
    return gr.HTML(elem_id=elem_id, js_on_load=_FIND_PICTURES)


def splits(workspace: Workspace, found: Verified | None = None) -> str:
    """How many usable pictures of each class are in train, valid and test, and what ``found`` says of the class, as
    HTML; empty before verify. Of very many classes those with a problem come first, and the rest is counted.
    """
    counts = {
        label: [numbers.get(split, 0) for split in SPLITS] for label, numbers in workspace.store.split_counts().items()
    }
    placed = {label: [*numbers, sum(numbers)] for label, numbers in counts.items() if any(numbers)}
    if not placed:
        return ""
    notes = {problem.label: problem.reason for problem in found.class_problems} if found else {}
    order = list(placed)
    if len(order) > LISTED_CLASSES:
        order.sort(key=lambda label: label not in notes)
    headers = ("class", *SPLITS, "all", "") if notes else ("class", *SPLITS, "all")
    rows = [
        (label, *(f"{number:,}" for number in placed[label]), *([notes.get(label, "")] if notes else []))
        for label in order[:LISTED_CLASSES]
    ]
    left_out = len(order) - LISTED_CLASSES
    more = f"and {count(left_out, 'more class', 'more classes')}" if left_out > 0 else ""
    told = (
        "".join(f'<p class="w-hint">{escape(problem.reason)}</p>' for problem in found.split_problems) if found else ""
    )
    return table(headers, rows, numbers=range(1, 5), caption=more) + told
