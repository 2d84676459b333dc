"""The cards of the Verify tab: a page of the open one, one of its pictures in large, and doing what the page asks."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import pandas as pd

from pipeline.errors import StaleDecision, StoreError
from pipeline.tabs.page.show import count
from pipeline.tabs.page.viewer import large, thumbnail
from pipeline.verify.cards import GROUPS, Card, cards, keep_best, restore, set_aside
from pipeline.verify.findings import Verified
from pipeline.workspace.workspace import Workspace

PAGE, OF_A_GROUP = 48, 24
NO_ANSWER: Mapping[str, Any] = {"page": "", "number": 0}
CHANGED = "This card has changed meanwhile, so nothing was done. Look again, then decide anew."
View: TypeAlias = dict[str, Any]
Group: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Looking:
    """Which card a person has open, and which page of it; no kind: none is open."""

    kind: str = ""
    page: int = 0


@dataclass(frozen=True)
class Done:
    """What an action did, in words; ``images`` were set aside or restored (``action``), which can be taken back."""

    words: str
    action: str = ""
    images: Group = ()
    warning: bool = False


def cards_view(
    workspace: Workspace,
    looking: Looking,
    found: Verified | None = None,
    done: Done | None = None,
    answer: Mapping[str, Any] | None = None,
) -> View:
    """What the component shows: every card with its counts, and a page of the open one. ``done``: what to tell of the
    last action; ``answer`` says which of a page's messages are done (page, number).
    """
    every = cards(workspace, found)
    here = next((card for card in every if card.kind == looking.kind), None)
    pages = _pages(here.groups if here else ())
    number = min(max(looking.page, 0), max(len(pages) - 1, 0))
    told = done and {"words": done.words, "warning": done.warning, "undo": bool(done.images)}
    return {
        "workspace": workspace.name,
        "cards": [_summary(card) for card in every],
        "open": here.kind if here else "",
        "seen": _seal(here) if here else "",
        "page": number,
        "pages": len(pages),
        "groups": _groups(workspace, here, pages[number]) if here and pages else [],
        "done": told,
        "answer": dict(answer or NO_ANSWER),
    }


def act(workspace: Workspace, kind: str, action: str, ids: Sequence[str] | None, seen: str) -> Done:
    """Do one of the card's actions to the pictures with these ids (None: all of the card, of which the page saw
    ``seen``). Where the card is no longer as it was seen, nothing is done: StaleDecision.
    """
    card = next((card for card in cards(workspace) if card.kind == kind), None)
    if card is None or action not in card.actions:
        raise StaleDecision(CHANGED)
    groups = _chosen(card, ids, whole=seen == _seal(card), strict=action == "keep_best")
    images = tuple(image for group in groups for image in group)
    if action == "set_aside":
        images = images if ids is None else tuple(dict.fromkeys(ids))
        return Done(f"{count(set_aside(workspace, images), 'picture')} set aside.", action, images)
    if action == "keep_best":
        copies = tuple(image for group in groups for image in group[1:])
        number = keep_best(workspace, groups)
        return Done(f"{count(number, 'copy', 'copies')} set aside; the best of each is kept.", "set_aside", copies)
    if action == "restore":
        return _restored(workspace, images)
    workspace.store.ignore(kind, images)
    return Done(f"No problem: {_what(card, groups)} not shown here any more.")


def notice(workspace: Workspace, kind: str) -> Done:
    """Show again what was ignored of this kind."""
    ignored = next((card.ignored for card in cards(workspace) if card.kind == kind), 0)
    workspace.store.notice(kind)
    return Done(f"{ignored:,} shown again.")


def take_back(workspace: Workspace, done: Done) -> Done:
    """Take back what an action did."""
    if done.action == "restore":
        return Done(f"{count(set_aside(workspace, done.images), 'picture')} set aside again.")
    return Done(f"{count(restore(workspace, done.images), 'picture')} back in use.")


def large_view(workspace: Workspace, kind: str, image_id: str) -> View:
    """What the viewer shows of one picture of a card; nothing where it is not in it, or cannot be shown."""
    card = next((card for card in cards(workspace) if card.kind == kind), None)
    if card is None or not any(image_id in group for group in card.groups):
        return {"id": "", "nonce": uuid.uuid4().hex}
    return any_view(workspace, image_id, card.reasons.get(image_id, ""), _others(card, image_id))


def any_view(workspace: Workspace, image_id: str, reason: str = "", copies: str = "") -> View:
    """What the viewer shows of one picture; nothing where there is none. ``reason``: why it is on a card (else why it
    was set aside); ``copies``: which others the card holds beside it.
    """
    try:
        row = workspace.store.image(image_id)
    except StoreError:
        row = {}
    if not row or not thumbnail(workspace, image_id):
        return {"id": "", "nonce": uuid.uuid4().hex}
    path, trouble = large(workspace, image_id, str(row["file"]))
    facts = {
        "class": _text(row["label"]) or "none",
        "split": _text(row["split"]) or "none yet",
        "size": f"{_size(row)}, {row['bytes'] / 1024:,.0f} KB, {row['format']}",
        "reason": reason or _text(row["reason"]),
        "copies": copies,
    }
    return {
        "id": image_id,
        "large": path,
        "trouble": trouble,
        "title": _name(row),
        "facts": [(name, str(value)) for name, value in facts.items() if value],
        "answers": [],
        "name": "",
        "nonce": uuid.uuid4().hex,
    }


# --- acting --------------------------------------------------------------------------------------------------------


def _chosen(card: Card, ids: Sequence[str] | None, whole: bool, strict: bool) -> tuple[Group, ...]:
    """The groups that are meant, or StaleDecision where the card does not hold them as they were seen; ``whole``: it
    is as it was; ``strict``: it has to be.
    """
    if ids is None:
        groups = card.groups if whole else ()
    else:
        wanted = set(ids)
        groups = tuple(group for group in card.groups if not wanted.isdisjoint(group))
        if not wanted.issubset(image for group in groups for image in group):
            groups = ()
    if not groups or (strict and not whole):
        raise StaleDecision(CHANGED)
    return groups


def _restored(workspace: Workspace, images: Group) -> Done:
    number = restore(workspace, images)
    unknown = not set(images).isdisjoint(workspace.store.images("new")["id"])
    again = " Check the pictures, and they are looked at again." if unknown else ""
    return Done(f"{count(number, 'picture')} taken back.{again}", "restore", images)


def _what(card: Card, groups: Sequence[Group]) -> str:
    return count(len(groups), "group" if card.kind in GROUPS else "picture")


def _seal(card: Card) -> str:
    """A few letters that change when anything in the card does."""
    return hashlib.blake2b("\n".join("|".join(group) for group in card.groups).encode(), digest_size=8).hexdigest()


# --- showing -------------------------------------------------------------------------------------------------------


def _summary(card: Card) -> View:
    return {
        "kind": card.kind,
        "title": card.title,
        "meaning": card.meaning,
        "grouped": card.kind in GROUPS,
        "groups": len(card.groups),
        "pictures": sum(map(len, card.groups)),
        "ignored": card.ignored,
        "actions": list(card.actions),
        "aside": card.kind.startswith("broken_"),
    }


def _pages(groups: Sequence[Group]) -> list[list[Group]]:
    """The groups a page: as many as have PAGE pictures to show together, at least one."""
    pages: list[list[Group]] = []
    room = 0
    for group in groups:
        shown = min(len(group), OF_A_GROUP)
        if shown > room:
            pages.append([])
            room = PAGE
        pages[-1].append(group)
        room -= shown
    return pages


def _groups(workspace: Workspace, card: Card, groups: Sequence[Group]) -> list[View]:
    shown = [image for group in groups for image in group[:OF_A_GROUP]]
    images = workspace.store.images()
    rows = {str(row["id"]): row for row in images[images["id"].isin(shown)].to_dict("records")}
    told = _told_elsewhere(workspace, card.kind, shown)
    return [
        {
            "pictures": [_picture(workspace, card, group, rows[image], told) for image in group[:OF_A_GROUP]],
            "more": max(len(group) - OF_A_GROUP, 0),
        }
        for group in groups
    ]


def _picture(workspace: Workspace, card: Card, group: Group, row: Mapping[Any, Any], told: Mapping[str, str]) -> View:
    image = str(row["id"])
    if card.kind in GROUPS:
        words = [*_label_and_split(card, row, told), _size(row)]
    else:
        words = [_text(row["label"]) or "no class", card.reasons.get(image) or _size(row)]
    return {
        "id": image,
        "thumbnail": thumbnail(workspace, image),
        "name": _name(row),
        "words": [word for word in words if word],
        "best": "keep_best" in card.actions and len(group) > 1 and image == group[0],
    }


def _label_and_split(card: Card, row: Mapping[Any, Any], told: Mapping[str, str]) -> Iterator[str]:
    yield _text(row["label"]) or "no class"
    yield told.get(str(row["id"]), "")
    if card.kind == "leak":
        yield _text(row["split"])


def _told_elsewhere(workspace: Workspace, kind: str, shown: Sequence[str]) -> dict[str, str]:
    """What the sources of pictures say, where that is the problem: other classes, or the splits they asked for."""
    column = {"label_conflict": "claimed_label", "given_leak": "given_split"}.get(kind)
    if column is None:
        return {}
    sources: pd.DataFrame = workspace.store.sources()
    of_shown = sources[sources["image_id"].isin(shown) & sources[column].notna()]
    words = "called {}" if kind == "label_conflict" else "given as {}"
    said = of_shown.groupby("image_id")[column].agg(lambda values: sorted(set(map(str, values))))
    several = {str(image): values for image, values in said.items() if kind == "given_leak" or len(values) > 1}
    return {image: words.format(" and ".join(values)) for image, values in several.items()}


def _name(row: Mapping[Any, Any]) -> str:
    """What the place it came from calls it."""
    name = _text(row["source_name"]) or str(row["file"])
    return PurePosixPath(name).name or name


def _text(value: Any) -> str:
    return "" if value is None or pd.isna(value) else str(value)


def _size(row: Mapping[Any, Any]) -> str:
    known = not pd.isna(row["width"]) and not pd.isna(row["height"])
    return f"{int(row['width'])} × {int(row['height'])}" if known else ""


def _others(card: Card, image_id: str) -> str:
    group = next(group for group in card.groups if image_id in group)
    if len(group) == 1:
        return ""
    return f"the best of {len(group):,}" if group[0] == image_id else f"one of {len(group):,}"
