"""The card of a workspace's pictures, and their attributions: where from, when, under which claimed licences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from pipeline.collect.outcomes import outcomes
from pipeline.collect.reading import number
from pipeline.errors import WorkspaceError
from pipeline.safe_text import plain, table, write_cells
from pipeline.web.addresses import host
from pipeline.workspace.database import now
from pipeline.workspace.records import IN_USE
from pipeline.workspace.store import SPLITS
from pipeline.workspace.workspace import Workspace, writing

CARD = "data_card.md"
ATTRIBUTIONS = "attributions.csv"
MOST_HOSTS = 5
LONGEST = 100
NOT_STATED = "not stated"
# The hub's own words for licences (https://huggingface.co/docs/hub/repositories-licenses) that pictures carry.
HUB_LICENCES = re.compile(
    r"cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-(2\.0|2\.5|3\.0|4\.0)|mit|apache-2\.0|odbl|odc-by|pddl|unlicense|wtfpl"
)
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
COLUMNS: Mapping[str, str] = {
    "file": "file",
    "id": "id",
    "label": "label",
    "title": "title",
    "creator": "creator",
    "licence": "licence",
    "licence_url": "licence_url",
    "page_url": "page_url",
    "name": "source",
    "provider": "provider",
    "query": "query",
    "at": "fetched_at",
    "original_sha256": "original_sha256",
}
UNKNOWN = """\
- Whether the claimed licences are true, and whether they allow what you want to do. Ask before you publish pictures,
  or a model made of them.
- Whether the people, places and works in the pictures may be shown.
- Whether every label is right.
- How the pictures differ from those the model will see: they were found, not drawn at random."""


def write_card(workspace: Workspace, folder: Path | None = None) -> list[Path]:
    """Write data_card.md and attributions.csv into ``folder`` (None: the workspace's own), each whole or not at all.

    What was written before is replaced. Raises WorkspaceError where it cannot be written.

    >>> [path.name for path in w.write_card(ws)]
    ['data_card.md', 'attributions.csv']
    """
    card, rows = (folder or workspace.root) / CARD, (folder or workspace.root) / ATTRIBUTIONS
    try:
        with writing(card, durable=False) as part:
            part.write_text(data_card(workspace), encoding="utf-8")
        with writing(rows, durable=False) as part:
            write_attributions(attributions(workspace), part)
    except OSError as error:
        raise WorkspaceError(
            f"The data-set card {card} cannot be written: {error.strerror or error}. "
            "The pictures are kept; free some space or look at the folder's permissions, then write it again."
        ) from error
    return [card, rows]


@contextmanager
def card_afterwards(workspace: Workspace) -> Iterator[None]:
    """Write the card when the block has ended, also where it was stopped or failed; then its own error counts."""
    try:
        yield
    except BaseException:
        with suppress(WorkspaceError):
            write_card(workspace)
        raise
    write_card(workspace)


def attributions(workspace: Workspace, files: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row per image and place it came from: file, id, label, title, creator, licence, licence_url, page_url, source
    (URL or file name), provider, query, fetched_at, original_sha256. Every cell is one line of text, empty if unknown.

    ``files`` (id -> file) are the images it is about; None: all that were not removed, under the workspace's names.
    """
    images = workspace.store.images()
    if files is None:
        wanted = images[images["status"] != "removed"]
    else:
        wanted = images[images["id"].isin(files)].assign(file=lambda rows: rows["id"].map(dict(files)))
    labels = wanted.assign(label=wanted["label"].str.replace("|", "; "))[["id", "file", "label"]]
    rows = labels.merge(workspace.store.sources(), left_on="id", right_on="image_id")
    return rows[list(COLUMNS)].rename(columns=dict(COLUMNS)).map(_one_line).astype(object)


def write_attributions(rows: pd.DataFrame, path: Path) -> None:
    """The table for people: formulas defused, and with the mark by which Excel knows UTF-8."""
    write_cells(rows, path, encoding="utf-8-sig")


def _one_line(cell: Any) -> str:
    return "" if pd.isna(cell) else re.sub(r"[\x00-\x1f\x7f-\x9f]", "", " ".join(str(cell).split()))


# --- the card ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Facts:
    """What the store says, read once: the images that are kept (neither removed nor set aside) and their sources."""

    workspace: Workspace

    @cached_property
    def images(self) -> pd.DataFrame:
        return self.workspace.store.images()

    @cached_property
    def kept(self) -> pd.DataFrame:
        return self.images[self.images["status"].isin(IN_USE)]

    @cached_property
    def sources(self) -> pd.DataFrame:
        sources = self.workspace.store.sources()
        return sources[sources["image_id"].isin(self.kept["id"])]

    @cached_property
    def classes(self) -> dict[str, dict[str, int]]:
        """class -> {split: how many of the images}; see :meth:`Store.split_counts`."""
        return self.workspace.store.split_counts()


def data_card(workspace: Workspace, about: str = "", told: Mapping[str, Any] = MappingProxyType({})) -> str:
    """The card in Markdown, with the front matter of a data set on the hub. ``about``: a paragraph on the files;
    ``told``: what else the front matter says of them.
    """
    facts = _Facts(workspace)
    count, classes = len(facts.kept), len(facts.classes)
    parts = [
        f"---\n{_front_matter(facts, told)}---\n# {plain(workspace.name)}",
        f"{number(count, 'picture')} of {number(classes, 'class', 'classes')}, for classifying images. Written by "
        f"Winnow on {now()[:10]}, from what it recorded as the pictures came in.",
        about,
        f"## The classes\n{_classes(facts)}",
        f"## Where the pictures come from\n{_places(facts)}",
        _searches(facts),
        f"## The licences that are claimed\n{_licences(facts)}",
        f"## What is not in it\n{_left_out(facts)}",
        _failures(facts),
        f"## What was done to the pictures\n{_changes(facts)}",
        f"## What is not known\n{UNKNOWN}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(facts: _Facts, told: Mapping[str, Any]) -> str:
    from huggingface_hub import DatasetCardData

    count = len(facts.kept)
    size = next((words for below, words in SIZES if count < below), "1M<n<10M")
    matter = DatasetCardData(
        pretty_name=facts.workspace.name,
        license=_hub_licence(facts.sources),
        task_categories=["image-classification"],
        size_categories=size,
        tags=["winnow", "image-classification"],
        **told,
    )
    return f"{matter.to_yaml()}\n"


def _hub_licence(sources: pd.DataFrame) -> str:
    """The hub's word for the one licence that every picture claims; else ``unknown`` or ``other``."""
    claims = sources["licence"].drop_duplicates()
    if claims.empty or claims.isna().any():
        return "unknown"
    words = {re.sub(r"[\s_]+", "-", str(claim).strip().lower()) for claim in claims}
    only = words.pop()
    return only if not words and HUB_LICENCES.fullmatch(only) else "other"


def _classes(facts: _Facts) -> str:
    splits = [*SPLITS, ""] if any("" in numbers for numbers in facts.classes.values()) else [*SPLITS]
    heads = ["class", *(split or "no split yet" for split in splits), "all"]
    rows = [
        [label, *(numbers.get(split, 0) for split in splits), sum(numbers.values())]
        for label, numbers in facts.classes.items()
    ]
    text = table(heads, rows, numbers=len(splits) + 1)
    if unlabelled := int(facts.kept["label"].isna().sum()):
        text += f"\n\n{number(unlabelled, 'picture')} without a label."
    if int(facts.kept["label"].str.contains("|", regex=False).sum()):
        text += "\n\nA picture with several labels is counted once for each of them."
    return text


def _places(facts: _Facts) -> str:
    rows: list[tuple[str, str, str, str, int]] = []
    for provider, group in facts.sources.groupby("provider"):
        days = group["at"].str[:10]
        urls = (name for name in group["name"] if name.lstrip().lower().startswith(("http:", "https:")))
        hosts = Counter(filter(None, map(host, urls)))
        shown = [f"{site} ({times})" for site, times in hosts.most_common(MOST_HOSTS)]
        shown += [f"{len(hosts) - MOST_HOSTS} others"] if len(hosts) > MOST_HOSTS else []
        pictures = group["image_id"].nunique()
        rows.append((str(provider), ", ".join(shown), str(days.min()), str(days.max()), pictures))
    rows.sort(key=lambda row: (-row[-1], row[0]))
    text = table(["found by", "sites", "first", "last", "pictures"], rows)
    twice = int((facts.sources.groupby("image_id")["provider"].nunique() > 1).sum())
    note = f"\n\nOf them, {number(twice, 'picture')} found by more than one and counted for each." if twice else ""
    return f"{text}{note}\n\n`{ATTRIBUTIONS}` has a line for every picture and every place it came from."


def _searches(facts: _Facts) -> str:
    asked = facts.sources.dropna(subset="query")
    asked = asked[asked["query"] != ""]
    if asked.empty:
        return ""
    rows = _counted(asked, "query", "provider")
    return f"## What was searched for\n{table(['words', 'found by', 'pictures'], rows)}"


def _counted(sources: pd.DataFrame, first: str, second: str) -> list[tuple[str, str, int]]:
    """How many pictures there are of each pair of values, the most first."""
    numbers = sources.groupby([first, second])["image_id"].nunique().reset_index()
    rows = zip(numbers[first], numbers[second], numbers["image_id"], strict=True)
    return sorted(((str(a)[:LONGEST], str(b)[:LONGEST], int(n)) for a, b, n in rows), key=lambda row: (-row[2], row))


def _licences(facts: _Facts) -> str:
    named = facts.sources[["image_id", "licence", "licence_url"]].fillna({"licence": NOT_STATED, "licence_url": ""})
    silent = int(facts.kept.shape[0] - facts.sources.dropna(subset="licence")["image_id"].nunique())
    anonymous = int(facts.kept.shape[0] - facts.sources.dropna(subset="creator")["image_id"].nunique())
    return (
        f"{table(['claimed licence', 'its text', 'pictures'], _counted(named, 'licence', 'licence_url'))}\n\n"
        "These are claims of the places that the pictures were found at; nobody checked them. "
        f"Pictures without a stated licence: {silent:,}; without a named author: {anonymous:,}."
    )


def _left_out(facts: _Facts) -> str:
    aside = facts.images[facts.images["status"] == "set_aside"]
    verdicts = Counter(str(verdict).replace("_", " ") for verdict in aside["verdict"].fillna("not stated"))
    why = f" ({', '.join(f'{verdict}: {times}' for verdict, times in verdicts.most_common())})" if verdicts else ""
    removed = int((facts.images["status"] == "removed").sum())
    groups = facts.kept["group"].dropna().value_counts()
    repeated = int((groups[groups > 1] - 1).sum())
    lines = [
        f"- {number(len(aside), 'picture')} set aside{why}.",
        f"- {number(removed, 'picture')} removed by a person.",
    ]
    if repeated:
        lines.append(
            f"\nIn it are {number(repeated, 'picture')} that show the same as another one (nearly equal pixels)."
        )
    return "\n".join(lines)


def _failures(facts: _Facts) -> str:
    ended = [[outcome.title, outcome.number] for outcome in outcomes(facts.workspace) if outcome.status != "stored"]
    if not ended:
        return ""
    return f"Of the links that were found, these brought no new picture:\n\n{table(['why', 'links'], ended)}"


def _changes(facts: _Facts) -> str:
    reduced = facts.sources.dropna(subset="original_sha256")["image_id"].nunique()
    given = facts.kept.dropna(subset="original_label")
    changed = int((given["original_label"].map(_set) != given["label"].map(_set)).sum())
    unchecked = int((facts.kept["status"] == "new").sum())
    lines = [f"- {number(changed, 'label')} changed since the pictures came."]
    if reduced:
        lines.append(
            f"- {number(reduced, 'picture')} reduced in size when downloaded; the SHA-256 of the file as it was "
            f"fetched is in {ATTRIBUTIONS} (original_sha256)."
        )
    if unchecked:
        lines.append(f"- {number(unchecked, 'picture')} not checked yet: whether they decode is not known.")
    return "\n".join(lines)


def _set(labels: object) -> frozenset[str]:
    return frozenset(labels.split("|") if isinstance(labels, str) else ())
