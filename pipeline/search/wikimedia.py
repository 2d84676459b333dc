"""Wikimedia Commons: free pictures with licence and author, through MediaWiki's public API; no key needed."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.search.api import WebApi
from pipeline.search.candidates import (
    Candidate,
    Page,
    Query,
    SearchFailed,
    blocked,
    candidate,
    rate_limited,
    unreadable,
)
from pipeline.web.fetch import FetchLimits

PAGE_SIZE = 50
PAGES = 20
PREVIEW_PIXELS = 500  # one of the widths that Commons has ready; others are refused
MOST_BYTES = FetchLimits().max_bytes
MOST_PIXELS = 50_000_000
MAX_HTML_CHARACTERS = 4_000
SIZES = {"small": "fileres:<554", "medium": "fileres:554,1386", "large": "fileres:>1386"}
FORMATS = {"photo": "filemime:jpeg", "drawing": "filemime:png"}
DECODABLE = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/tiff", "image/bmp", "image/avif")
BUSY = ("ratelimited", "maxlag", "readonly", "cirrussearch-too-busy-error", "toomanyrequests")
REFUSED = ("blocked", "autoblocked", "permissiondenied", "readapidenied", "globalblocking-ipblocked")
WIKIMEDIA = WebApi("Wikimedia Commons", "https://commons.wikimedia.org/w/api.php")


@dataclass(frozen=True)
class Wikimedia:
    """Asks Wikimedia Commons, which states licence and author of every picture.

    Everything there may be used commercially and changed, so an open licence asks for nothing more. Commons has no
    safe search, and does not say what is a photograph: JPEG files are taken for photographs, PNG files for drawings.
    """

    api: WebApi = WIKIMEDIA

    def __call__(self, query: Query) -> Page:
        """One page of pictures. Raises SearchFailed."""
        filters = ("filetype:bitmap", SIZES.get(query.size, ""), FORMATS.get(query.kind, ""))
        answer = self.api.ask(
            action="query",
            format="json",
            formatversion="2",
            uselang="en",
            generator="search",
            gsrsearch=" ".join(part for part in (*filters, query.phrase) if part),
            gsrnamespace="6",
            gsrlimit=str(PAGE_SIZE),
            gsroffset=str((query.page - 1) * PAGE_SIZE),
            prop="imageinfo",
            iiprop="url|size|mime|extmetadata",
            iiurlwidth=str(PREVIEW_PIXELS),
            iiextmetadatafilter="Artist|LicenseShortName|LicenseUrl",
            iiextmetadatalanguage="en",
        )
        if "error" in answer:
            raise _refusal(answer["error"], self.api.who)
        found = [_candidate(page, query) for page in self._pages(answer)]
        more = isinstance(answer.get("continue"), dict) and query.page < PAGES
        return Page(tuple(one for one in found if one is not None), more)

    def _pages(self, answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The files that were found, the best first. Without any, ``query`` is left out of the answer."""
        if "query" not in answer and ("batchcomplete" in answer or "continue" in answer):
            return []
        result = answer.get("query")
        pages = result.get("pages") if isinstance(result, dict) else None
        if not isinstance(pages, list):
            raise unreadable(self.api.who)
        usable = [page for page in pages if isinstance(page, dict)]
        return sorted(usable, key=lambda page: page["index"] if isinstance(page.get("index"), int) else len(usable))


def _refusal(error: Any, who: str) -> SearchFailed:
    """Errors come with status 200 and a code."""
    code = error.get("code") if isinstance(error, dict) else None
    if code in BUSY:
        return rate_limited(who)
    return blocked(who) if code in REFUSED else unreadable(who)


def _candidate(page: Mapping[str, Any], query: Query) -> Candidate | None:
    infos = page.get("imageinfo")
    info = infos[0] if isinstance(infos, list) and infos else None
    if not isinstance(info, dict) or info.get("mime") not in DECODABLE:
        return None
    said = info.get("extmetadata")
    rendition = _rendition(info)
    return candidate(
        "wikimedia",
        query,
        rendition or info.get("url"),
        page_url=info.get("descriptionurl"),
        title=_title(page.get("title")),
        thumbnail=info.get("thumburl"),
        licence=plain(_said(said, "LicenseShortName")),
        licence_url=re.sub("^//", "https://", _said(said, "LicenseUrl")),
        creator=plain(_said(said, "Artist")),
        width=None if rendition else info.get("width"),
        height=None if rendition else info.get("height"),
    )


def _rendition(info: Mapping[str, Any]) -> Any:
    """The URL of a smaller rendition where the original is more than a download takes; the largest that is offered."""
    size, width, height = (info.get(key) for key in ("size", "width", "height"))
    heavy = isinstance(size, int) and size > MOST_BYTES
    wide = isinstance(width, int) and isinstance(height, int) and width * height > MOST_PIXELS
    if not heavy and not wide:
        return None
    offered = info.get("responsiveUrls")
    return (offered.get("2") if isinstance(offered, dict) else None) or info.get("thumburl")


def _said(metadata: Any, key: str) -> str:
    entry = metadata.get(key) if isinstance(metadata, dict) else None
    value = entry.get("value") if isinstance(entry, dict) else None
    return value if isinstance(value, str) else ""


def _title(name: Any) -> str:
    return re.sub(r"^File:|\.\w{1,5}$", "", name) if isinstance(name, str) else ""


def plain(markup: str) -> str:
    """The text of a piece of HTML: an author's name without the link around it."""
    text = re.sub(r"<(style|script)\b.*?</\1\s*>", "", markup[:MAX_HTML_CHARACTERS], flags=re.I | re.S)
    text = re.sub(r"<(br|p|div|li|td)\b[^>]*>", " ", text, flags=re.I)
    return " ".join(html.unescape(re.sub(r"</?[a-z!][^>]*>", "", text, flags=re.I)).split())
