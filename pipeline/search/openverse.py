"""Openverse: openly licensed pictures of many museums and of Flickr, through its public API; no key needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.search.api import WebApi
from pipeline.search.candidates import Candidate, Page, Query, candidate, unreadable, words

PAGE_SIZE = 20  # more is for registered users, as is anything beyond the twelfth page
PAGES = 12
MAX_PHRASE_CHARACTERS = 200
CATEGORIES = {"photo": "photograph", "drawing": "illustration"}
NOT_PICTURES = ("svg",)
OPENVERSE = WebApi("Openverse", "https://api.openverse.org/v1/images/")


@dataclass(frozen=True)
class Openverse:
    """Asks Openverse, which states licence and creator of every picture.

    All of it is under some Creative Commons licence or in the public domain; an open licence leaves out those that
    forbid commercial use or changes. Not every picture there says whether it is a photograph: filters by kind find
    fewer.
    """

    api: WebApi = OPENVERSE

    def __call__(self, query: Query) -> Page:
        """One page of pictures. Raises SearchFailed."""
        wanted = {
            "q": query.phrase[:MAX_PHRASE_CHARACTERS],
            "page": str(query.page),
            "page_size": str(PAGE_SIZE),
            "size": query.size,
            "category": CATEGORIES.get(query.kind, ""),
            "license_type": "commercial,modification" if query.open_licence else "",
            "mature": "" if query.safesearch else "true",
        }
        answer = self.api.ask(**{key: value for key, value in wanted.items() if value})
        rows = answer.get("results")
        if not isinstance(rows, list):
            raise unreadable(self.api.who)
        usable = [row for row in rows if isinstance(row, dict) and isinstance(row.get("url"), str)]
        if rows and not usable:
            raise unreadable(self.api.who)
        pictures = [row for row in usable if row.get("filetype") not in NOT_PICTURES]
        found = [_candidate(row, query) for row in pictures if not (query.safesearch and row.get("mature"))]
        pages = answer.get("page_count")
        more = bool(rows) and query.page < (min(PAGES, pages) if isinstance(pages, int) else PAGES)
        return Page(tuple(one for one in found if one is not None), more)


def _candidate(row: Mapping[str, Any], query: Query) -> Candidate | None:
    claims = {key: row.get(key) for key in ("title", "width", "height", "thumbnail", "creator")}
    return candidate(
        "openverse",
        query,
        row["url"],
        page_url=row.get("foreign_landing_url"),
        licence=_licence(words(row.get("license")), words(row.get("license_version"))),
        licence_url=row.get("license_url"),
        **claims,
    )


def _licence(code: str | None, version: str | None) -> str | None:
    """The licence as it is usually written: CC BY-SA 4.0."""
    if code is None:
        return None
    name = {"cc0": "CC0", "pdm": "Public Domain Mark"}.get(code.lower(), f"CC {code.upper()}")
    return f"{name} {version}" if version else name
