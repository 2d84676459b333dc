"""What a search is made of: a query, a page of candidates, and the five ways to fail, each with what to do next."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from pipeline.errors import BlockedAddress, NetworkError
from pipeline.web.addresses import link, parse

FAILURE_KINDS = ("no_network", "blocked", "rate_limited", "unreadable", "nothing_found")
INSTEAD = "Import a folder of your own pictures, a CSV file of URLs, or the starter set instead."
MAX_TEXT_CHARACTERS = 500
# Control characters, and those that change the direction in which a line is read.
INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")

# What a second provider may add to a URL; a licence goes with its URL and its creator.
CLAIMS = ("page_url", "title", "width", "height", "thumbnail", "licence", "licence_url", "creator")


@dataclass(frozen=True)
class Candidate:
    """A picture somebody says is on the web: its WEB_LINK and what was said about it. ``licence`` is a claim.

    ``thumbnail`` is the WEB_LINK of a small picture of it, ``creator`` who made it.
    """

    url: str
    label: str = ""
    provider: str = ""
    page_url: str | None = None
    licence: str | None = None
    query: str = ""
    title: str = ""
    width: int | None = None
    height: int | None = None
    thumbnail: str | None = None
    creator: str | None = None
    licence_url: str | None = None


@dataclass(frozen=True)
class Query:
    """What one provider is asked: a phrase, which page of its answer, and filters.

    ``size`` is small, medium or large, ``kind`` photo or drawing, both "" for any; ``open_licence``: only what may be
    used commercially and changed; ``safesearch``: nothing for adults only.
    """

    phrase: str
    page: int = 1
    size: str = ""
    kind: str = ""
    open_licence: bool = False
    safesearch: bool = True


@dataclass(frozen=True)
class Page:
    """One page of an answer, and whether there may be ``more``."""

    candidates: tuple[Candidate, ...] = ()
    more: bool = False


def candidate(provider: str, query: Query, url: Any, **claims: Any) -> Candidate | None:
    """A candidate from what a stranger sent: every value is checked or left out; None without a usable WEB_LINK."""
    usable = link(url)
    if usable is None:
        return None
    return Candidate(
        usable,
        provider=provider,
        query=query.phrase,
        title=words(claims.get("title")) or "",
        page_url=link(claims.get("page_url")),
        licence=words(claims.get("licence")),
        licence_url=link(claims.get("licence_url")),
        creator=words(claims.get("creator")),
        thumbnail=link(claims.get("thumbnail")),
        width=whole(claims.get("width")),
        height=whole(claims.get("height")),
    )


def words(value: Any) -> str | None:
    """``value`` as one line of text that can be kept and shown."""
    if not isinstance(value, str):
        return None
    line = INVISIBLE.sub(" ", value).encode("utf-8", "replace").decode("utf-8")
    return " ".join(line.split())[:MAX_TEXT_CHARACTERS] or None


def whole(value: Any) -> int | None:
    """``value`` as a number of pixels."""
    number = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(number) if len(number) < 8 and re.fullmatch("[1-9][0-9]*", number) else None


# --- the ways to fail ----------------------------------------------------------------------------------------------


class SearchFailed(NetworkError):
    """A search brought nothing; ``kind`` is one of FAILURE_KINDS, and each has its own advice.

    The message is ``who`` ``said`` (what happened), ``advice`` (what to do next) and what can be done instead.
    ``phrases`` is what nothing was found for.
    """

    def __init__(self, kind: str, who: str, said: str, advice: str, phrases: tuple[str, ...] = ()) -> None:
        super().__init__(f"{who} {said}. {advice} {INSTEAD}")
        self.kind = kind
        self.who = who
        self.said = said
        self.advice = advice
        self.phrases = phrases


def no_network(who: str) -> SearchFailed:
    """The service cannot be reached at all."""
    return SearchFailed(
        "no_network", who, "cannot be reached", "Check that this computer is online, then search again."
    )


def too_slow(who: str) -> SearchFailed:
    """The service, or the network to it, does not answer in time."""
    advice = "The network or the service is slow: search again in some minutes, or choose another provider."
    return SearchFailed("no_network", who, "did not answer in time", advice)


def blocked(who: str) -> SearchFailed:
    """The service answers, and says no to us: it takes us for a robot, or has closed itself to this network."""
    advice = (
        "It takes this program for a robot, or has closed itself to this network, and waiting rarely helps: "
        "choose another provider, or search from another network."
    )
    return SearchFailed("blocked", who, "refused to answer", advice)


def rate_limited(who: str, wait: float | None = None) -> SearchFailed:
    """The service wants fewer questions; ``wait``: for how many seconds, where it said so."""
    advice = f"Wait {_in_words(wait)}, then search again: what was found until now is kept."
    return SearchFailed("rate_limited", who, "asked for fewer searches", advice)


def in_trouble(who: str, status: int) -> SearchFailed:
    """The service has a fault of its own."""
    advice = "The fault is theirs and usually passes: search again in some minutes, or choose another provider."
    return SearchFailed("unreadable", who, f"failed with a fault of its own (status {status})", advice)


def unreadable(who: str, update: str = "") -> SearchFailed:
    """The service answers with something else than results; ``update`` is the client's package, if it has one."""
    remedy = f"update its client (pip install -U {update})" if update else "look for a newer version of Winnow"
    advice = (
        "The service has changed, or something between it and this computer answers in its place (a log-in page?). "
        f"Search again later or choose another provider; if it stays so, {remedy}."
    )
    return SearchFailed("unreadable", who, "answered with something that is no list of pictures", advice)


def nothing_found(who: str, *phrases: str) -> SearchFailed:
    """The service answered properly, and knows no such picture."""
    quoted = [f"'{phrase}'" for phrase in phrases]
    shown = f"{', '.join(quoted[:3])} and others" if len(quoted) > 3 else " or ".join(quoted)
    advice = "Check the spelling, search with other or fewer words, or with fewer filters."
    return SearchFailed("nothing_found", who, f"found no pictures of {shown}", advice, phrases)


def together(failures: Sequence[SearchFailed]) -> SearchFailed:
    """One failure for all of them: the gravest first, each cause and each advice once."""
    ordered = sorted(failures, key=lambda failure: FAILURE_KINDS.index(failure.kind))
    empty = [failure for failure in ordered if failure.kind == "nothing_found"]
    causes: dict[str, list[SearchFailed]] = {}
    for failure in ordered:
        causes.setdefault("" if failure in empty else failure.said, []).append(failure)
    if empty:
        phrases = dict.fromkeys(phrase for failure in empty for phrase in failure.phrases)
        causes[""] = [nothing_found(failure.who, *phrases) for failure in empty]
    parts = [(_listed(dict.fromkeys(one.who for one in same)), same[0].said) for same in causes.values()]
    said = "; ".join([parts[0][1], *(f"{who} {what}" for who, what in parts[1:])])
    advice = " ".join(dict.fromkeys(same[0].advice for same in causes.values()))
    return SearchFailed(ordered[0].kind, parts[0][0], said, advice, ordered[0].phrases)


def _listed(names: dict[str, None]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _in_words(seconds: float | None) -> str:
    if not seconds:
        return "some minutes"
    if seconds <= 90:
        return f"{math.ceil(seconds)} seconds"
    if seconds <= 90 * 60:
        return f"{math.ceil(seconds / 60)} minutes"
    return f"{math.ceil(seconds / 3600)} hours" if seconds <= 48 * 3600 else "some days"


def merged(lists: Sequence[Sequence[Candidate]], maximum: int, taken: Collection[str] = ()) -> dict[str, Candidate]:
    """Up to ``maximum`` candidates by ``address``, the lists taken in turn, without those in ``taken``.

    Of a URL that several lists have the first one counts, and the others fill in what it does not say.
    """
    found: dict[str, Candidate] = {}
    for one in (one for row in zip_longest(*lists) for one in row if one is not None):
        key = address(one.url)
        if key in found:
            found[key] = _filled(found[key], one)
        elif key not in taken and len(found) < maximum:
            found[key] = one
    return found


def address(url: str) -> str:
    """The URL as it is compared: host in lower case, no fragment, no default port."""
    try:
        return parse(url).url
    except BlockedAddress:  # nobody will fetch it; a download says why
        return url


def _filled(first: Candidate, second: Candidate) -> Candidate:
    """``first`` with what only ``second`` says; a licence with a text to read counts more than one without."""
    better = bool(second.licence_url and not first.licence_url)
    rights = ("licence", "licence_url", "creator")
    return replace(
        first,
        **{
            key: getattr(second, key)
            for key in CLAIMS
            if getattr(second, key) and (not getattr(first, key) or (better and key in rights))
        },
    )
