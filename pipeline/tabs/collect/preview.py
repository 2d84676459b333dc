"""The preview: what a search found, a class at a time, before anything is stored; off-topic pictures are unticked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from pipeline.search.wanted import BLUR, leave_out, previewed, take_back
from pipeline.web.addresses import host
from pipeline.workspace.workspace import Workspace

PAGE = 42
NO_ANSWER: Mapping[str, Any] = {"page": "", "number": 0}
View: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Looking:
    """Which class a person looks at, and which page of it; no class: none is open."""

    label: str = ""
    page: int = 0


def candidates_view(workspace: Workspace, looking: Looking, answer: Mapping[str, Any] = NO_ANSWER) -> View:
    """What the preview component shows; ``answer`` says which of a page's messages are done (page, number)."""
    found = previewed(workspace)
    classes = [
        {"label": str(label), "found": len(rows), "left_out": int((rows["status"] == "skipped").sum())}
        for label, rows in found.groupby("label", sort=True)
    ]
    here = found[found["label"] == looking.label]
    pages = -(-len(here) // PAGE)
    number = min(max(looking.page, 0), max(pages - 1, 0))
    shown = here.iloc[number * PAGE : (number + 1) * PAGE].to_dict("records")
    return {
        "workspace": workspace.name,
        "blur": bool(workspace.store.fact(BLUR)),
        "classes": classes,
        "open": looking.label if pages else "",
        "page": number,
        "pages": pages,
        "rows": [_row(row) for row in shown],
        "answer": {"page": str(answer["page"]), "number": int(answer["number"])},
    }


def mark(workspace: Workspace, label: str, urls: Sequence[str] | None, wanted: bool) -> int:
    """Want, or leave out, the candidates of a class with these URLs (None: all of them). Returns how many changed."""
    of_class = previewed(workspace)
    of_class = of_class[of_class["label"] == label]
    pairs = [(str(url), label) for url in (of_class["url"] if urls is None else urls)]
    return (take_back if wanted else leave_out)(workspace, pairs)


def _row(row: Mapping[Any, Any]) -> View:
    words = (row["title"], f"by {row['creator']}" if row["creator"] else "")
    return {
        "url": row["url"],
        "shown": next((url for url in (row["thumbnail"], row["url"]) if public_https(url)), ""),
        "host": host(row["url"]),
        "licence": row["licence"] or "licence not stated",
        "title": ", ".join(str(word) for word in words if word),
        "wanted": row["status"] == "new",
    }


def public_https(url: str | None) -> bool:
    """Whether a browser may be sent there for a preview: a name with a top-level domain, not an address in numbers."""
    try:
        parts = urlsplit(url or "")
        name = parts.hostname or ""
    except ValueError:
        return False
    first, _, last = name.rpartition(".")
    inner = ("local", "internal", "localhost", "lan", "home", "intranet", "corp", "arpa")
    return parts.scheme == "https" and bool(first) and last.isalpha() and last not in inner
