"""How the candidates ended, counted by reason in words a person understands, with the sites they came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from pipeline.search.wanted import UNTICKED
from pipeline.web.addresses import host
from pipeline.web.responses import AGAIN
from pipeline.workspace.workspace import Workspace

MOST = 5
STORED = ("Stored", "They are in the workspace.")
DUPLICATE = ("Duplicates", "The same picture is in the workspace already.")
LEFT_OUT = ("Unticked by you", "They are not asked for. Tick them in the preview to get them after all.")
OTHER = ("Failed otherwise", "The reasons are below.")
WORDS: Mapping[str, tuple[str, str]] = {
    "http_error": ("The site said no", "The picture is gone, needs a login, or the site refuses programs or is down."),
    "rate_limited": ("The site asked for fewer requests", "Wait some minutes, then download again."),
    "dns": ("The site was not found", "Its name cannot be looked up: it is gone, or this machine is offline."),
    "timeout": ("The site took too long", "It sent nothing, or too slowly."),
    "reset": ("The connection broke off", "The site cannot be reached, or hung up."),
    "bad_response": ("The site's answer made no sense", "It speaks no proper HTTP, or its certificate is no good."),
    "redirect_limit": ("The link leads round in circles", "It was passed on from address to address too often."),
    "blocked_address": (
        "The link leads into a private network",
        "Addresses of this machine, its network or a cloud provider are never asked for.",
    ),
    "blocked_scheme": ("Not a web link", "Only links that start with http:// or https:// are followed."),
    "noai": (
        "The site asks not to be used for training",
        "It sends 'noai', which is respected unless you say otherwise in More options.",
    ),
    "not_image": ("Not a picture", "What came is a web page or some other file, whatever its name says."),
    "unsupported": ("A kind of picture that cannot be used", "JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF and HEIC can be."),
    "truncated": ("The picture broke off", "Only a part of the file came, or nothing at all."),
    "corrupt": ("The picture is damaged", "It cannot be decoded."),
    "too_large": ("The file is too large", "It has more bytes than a download may have."),
    "bomb": ("The picture has too many pixels", "Opening it could use up the machine's memory."),
    "too_small": ("The picture is too small", "It has too few pixels to learn from."),
}


@dataclass(frozen=True)
class Outcome:
    """The candidates that ended in one way: ``number`` of them, ``again`` of which the next download asks for again.

    ``title`` and ``meaning`` are for a person; ``hosts`` and ``reasons`` are the most frequent ones with their
    numbers, ``more_hosts`` how many others there are; ``examples`` are a few (URL, reason).
    """

    status: str
    code: str
    title: str
    meaning: str
    number: int
    again: int
    hosts: tuple[tuple[str, int], ...]
    more_hosts: int
    reasons: tuple[tuple[str, int], ...]
    examples: tuple[tuple[str, str], ...]


def outcomes(workspace: Workspace) -> list[Outcome]:
    """Every way in which candidates of a workspace ended, the most frequent first; those still waiting left out."""
    every = workspace.store.candidates()
    ended = every[every["status"] != "new"]
    groups = ended.groupby([ended["status"], ended["code"].fillna("")])
    found = [_outcome(str(status), str(code), rows) for (status, code), rows in groups]
    return sorted(found, key=lambda outcome: (-outcome.number, outcome.status, outcome.code))


def _outcome(status: str, code: str, rows: pd.DataFrame) -> Outcome:
    title, meaning = _words(status, code, rows)
    hosts = Counter(host(url) or "no site" for url in rows["url"])
    said = rows["reason"].fillna("").str.removesuffix(AGAIN).str.strip()
    reasons = Counter(said)
    return Outcome(
        status,
        code,
        title,
        meaning,
        len(rows),
        int(rows["again"].astype(bool).sum()) if status == "failed" else 0,
        tuple(hosts.most_common(MOST)),
        max(len(hosts) - MOST, 0),
        tuple(reasons.most_common(MOST)),
        tuple(zip(rows["url"].head(MOST), said, strict=False)),
    )


def _words(status: str, code: str, rows: pd.DataFrame) -> tuple[str, str]:
    if status == "stored":
        return STORED
    if status == "duplicate":
        return DUPLICATE
    if status == "skipped" and (rows["reason"] == UNTICKED).all():
        return LEFT_OUT
    return WORDS.get(code, OTHER)
