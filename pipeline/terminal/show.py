"""The terminal's way of showing things: progress and tables on stderr, results on stdout."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

from pipeline.endings import at_terminal, say, written
from pipeline.safe_text import visible
from pipeline.stage import Stage, run
from pipeline.terminal.known import Known
from pipeline.terminal.progress import Shown
from pipeline.terminal.tables import sentences

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class InWords:
    """A result, and the lines in which it is told to a person, instead of a list of its fields."""

    result: Any
    lines: tuple[str, ...]


def run_and_show(stage: Stage[T]) -> T:
    """Drive ``stage``, telling on stderr how far it is; returns its result."""
    if not _speaks():
        return run(stage)
    shown = Shown()
    try:
        return run(stage, shown.show)
    finally:
        shown.finish()


def _speaks() -> bool:
    """Whether this process tells: under torchrun, the first one."""
    return os.environ.get("RANK", "0") == "0"


def can_ask(as_json: bool) -> bool:
    """Whether there is somebody at the terminal to answer a question; a script that wants JSON is not asked."""
    return not as_json and at_terminal(sys.stdin) and at_terminal(sys.stderr)


def confirmed(what: str) -> bool:
    """Whether the person says yes to going on."""
    tell(what)
    say("Go on? [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def tell(text: str) -> None:
    """A line for a person, beside the result."""
    say(visible(text))


def in_one_line(error: BaseException) -> str:
    """What an error says, without commands to the terminal."""
    return visible(" ".join(str(error).splitlines()).strip()) or type(error).__name__


def tell_each(told: Sequence[str]) -> None:
    """Lines for a person, beside the result; under torchrun, by the first process."""
    for sentence in told if _speaks() else ():
        for line in sentences(sentence) if at_terminal(sys.stderr) else [sentence]:
            tell(line)


def chosen(text: str, choices: Sequence[str]) -> int:
    """Which of the choices a person takes, counted from 0; the first where they only press Enter, or three times
    answer what is none.
    """
    tell("")
    tell(text)
    for number, choice in enumerate(choices, 1):
        tell(f"  {number}  {choice}{' (or press Enter)' if number == 1 else ''}")
    for _ in range(3):
        say(f"1-{len(choices)}? ", end="")
        answer = sys.stdin.readline().strip()
        if answer.isdecimal() and 1 <= int(answer) <= len(choices):
            return int(answer) - 1
        if not answer:
            break
    return 0


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return value.item() if hasattr(value, "item") else str(value)


def numbered(value: Any) -> Any:
    """A document of JSON, in which what is no number (NaN, infinity) is null: JSON knows neither."""
    if isinstance(value, dict):
        return {name: numbered(one) for name, one in value.items()}
    if isinstance(value, list):
        return [numbered(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def document_of(result: Any) -> Any:
    """The document of JSON that a result is."""
    return numbered(json.loads(json.dumps(result, default=_plain, ensure_ascii=False)))


def json_text(document: Any) -> str:
    """The document as JSON; in ASCII where standard output, or the Unicode there is, cannot hold its letters."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = json.dumps(document, ensure_ascii=encoding.lower().replace("-", "") != "utf8", allow_nan=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(document, allow_nan=False)
    return text


def print_result(result: Any, as_json: bool, command: str = "", workspace: str | None = None) -> int:
    """The ``result`` of a ``command`` (dataclasses, dicts, lists) on stdout: one JSON document, or lines for a person,
    with the names that ``workspace`` knows. Returns the exit code (see :func:`pipeline.endings.written`).
    """
    if not _speaks():
        return 0
    if isinstance(result, InWords):
        if not as_json:
            return written("\n".join(map(visible, result.lines)))
        result = result.result
    document = document_of(result)
    if as_json:
        return written(json_text(document))
    from pipeline.terminal.renderings import rendered

    return written("\n".join(map(visible, rendered(command, document, Known(workspace)))))
