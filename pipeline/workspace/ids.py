"""Ids as people write them: how an id begins stands for it, where no other begins so; an exact one always wins."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile

from pipeline.errors import PipelineError, StoreError

SHORTEST = 4  # less is rather a number of something else
SHOWN = 8
TO_SECOND = len("20261201-130524")  # of ids that begin with a time: what tells them from later ones, too
MOST_NAMED = 5


def by_beginning(
    given: str,
    ids: Iterable[str],
    what: str,
    refused: Callable[[str], PipelineError],
    shown: int = SHOWN,
    where: str = "in this workspace",
) -> str:
    """The one of ``ids`` that ``given`` is, or else the only one that begins so. Raises what ``refused`` makes of a
    sentence where there is none, or several, which are named by at least ``shown`` characters.
    """
    known = set(ids)
    if given in known:
        return given
    found = sorted(one for one in known if len(given) >= SHORTEST and one.startswith(given))
    if len(found) == 1:
        return found[0]
    if not found:
        raise refused(f"There is no {what} {given} {where}.")
    short = shortest(found, shown)
    named = ", ".join(short[one] for one in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED:,} more" if len(found) > MOST_NAMED else ""
    raise refused(f"{len(found):,} {what}s begin with {given}: {named}{more}. Write more of the id.")


def shortest(ids: Iterable[str], least: int = SHOWN) -> dict[str, str]:
    """id -> the shortest beginning, of at least ``least`` characters, that none of the others has; an id with which
    another one begins is whole.
    """
    known = sorted(set(ids))
    return {
        one: one[: max(least, _shared(one, known[at - 1 : at] + known[at + 1 : at + 2]) + 1)]
        for at, one in enumerate(known)
    }


def _shared(one: str, others: Iterable[str]) -> int:
    """How many characters ``one`` begins with that the other which is most like it begins with, too."""
    alike = (takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)) for other in others)
    return max((sum(1 for _ in pairs) for pairs in alike), default=0)


# --- images -------------------------------------------------------------------------------------------------------


def image_named(db: sqlite3.Connection, given: str) -> str:
    """The image whose id is ``given``, or begins so and no other does. Raises StoreError where there is none, or
    several.
    """
    if not given.isascii() or "\0" in given:
        raise StoreError(f"There is no image {given} in this workspace.")
    if db.execute("SELECT 1 FROM images WHERE id = ?", (given,)).fetchone():
        return given
    beginning = db.execute("SELECT id FROM images WHERE substr(id, 1, ?) = ?", (len(given), given))
    return by_beginning(given, (row["id"] for row in beginning) if given else (), "image", StoreError)


def short_ids(db: sqlite3.Connection, image_ids: Iterable[str]) -> Mapping[str, str]:
    """id of an image -> its shortest beginning, of at least 8 characters, that no other image has."""
    near = "SELECT (SELECT max(id) FROM images WHERE id < ?1), (SELECT min(id) FROM images WHERE id > ?1)"
    found = {}
    for one in image_ids:
        others = [other for other in db.execute(near, (one,)).fetchone() if other]
        found[one] = one[: max(SHOWN, _shared(one, others) + 1)]
    return found
