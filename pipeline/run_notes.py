"""What a person says about a run: a name and a note, in a file of their own that can be changed at any time."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.workspace.workspace import writing

FILE = "about.json"
LONGEST_NAME, LONGEST_NOTE = 80, 2000
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True)
class About:
    """``name`` (one line) and ``note`` of a run; None: nothing was said. An empty note is a note taken away."""

    name: str | None = None
    note: str | None = None


def read_about(folder: Path) -> About:
    """What was said about the run in ``folder``; nothing where the file is missing or damaged."""
    try:
        said = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return About(_text(said["name"]), _text(said["note"]))
    except (OSError, ValueError, KeyError, TypeError):
        return About()


def write_about(folder: Path, name: str, note: str) -> About:
    """Say so about the run in ``folder``, whole or not at all. An empty name takes the name away.

    Raises UsageError where either is too long.
    """
    about = About(" ".join(_UNSEEN.sub(" ", name).split()) or None, _UNSEEN.sub("", note).strip())
    for words, longest, what in ((about.name, LONGEST_NAME, "name"), (about.note, LONGEST_NOTE, "note")):
        if len(words or "") > longest:
            raise UsageError(f"The {what} has {len(words or ''):,} characters; {longest:,} is the most. Shorten it.")
    with writing(folder / FILE) as part:
        part.write_text(json.dumps(asdict(about), ensure_ascii=False), encoding="utf-8")
    return about


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
