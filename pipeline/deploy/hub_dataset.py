"""An exported data set -> Hugging Face: private unless a person wants it public, and then only after they looked at the
licences that its pictures claim.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import CommitOperationDelete, HfApi, metadata_load

from pipeline.collect.data_card import ATTRIBUTIONS, CARD, NOT_STATED
from pipeline.collect.listings import CHANGES
from pipeline.deploy.publishing import (
    Kind,
    checked_hub,
    checked_repo_id,
    checked_token,
    commit,
    create,
    files_in,
    in_words,
    refuse_secrets,
    send,
    without_bars,
)
from pipeline.errors import DeployError
from pipeline.images.formats import PICTURE_SUFFIXES
from pipeline.safe_text import on_one_line, restored, without_token
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage

README = "README.md"
# They are a person's own: the names that files had, and the card under its other name.
OWN = (CHANGES, CARD)
MOST_IN_A_COMMIT = 10_000
MOST_LICENCES = 8
LONGEST = 80
KIND = Kind(
    "dataset",
    "datasets",
    "data set",
    "send it",
    "Data set by Winnow",
    "Export it as parquet, which is few large files instead of many small ones.",
    "Hugging Face asks for a payment: the account has no room for more private data. Look at "
    "https://huggingface.co/settings/billing, or send it with --public, where its licences allow that.",
)


@dataclass(frozen=True)
class SendConfig:
    """What goes where. A data set is private, unless it is to be ``public``; whoever publishes it has to ``accept``
    what is claimed of its licences.

    >>> w.SendConfig("fruit-data", "ann/fruit").public
    False
    """

    folder: str = field(metadata=about("what 'dataset' wrote", flag="FOLDER"))
    repo_id: str = field(metadata=about("USER/NAME", flag="REPO_ID"))
    public: bool = setting(False, "everybody may see it; else you alone")
    accept: bool = setting(
        False, "you looked at the licences that the pictures claim, and may publish them", flag="--accept-licences"
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class SentDataset:
    """The address of the data set, and how many ``files`` it has; ``licences``: what its pictures claim, and how many
    claim it.
    """

    url: str
    public: bool
    files: int
    licences: dict[str, int]


@dataclass(frozen=True)
class DatasetFolder:
    """A folder that can be sent: bytes by name (with ``/``), and what stays here."""

    folder: Path
    sizes: dict[str, int]
    left_out: tuple[str, ...]
    licences: dict[str, int]


def send_dataset(config: SendConfig, token: str | None, hub: Callable[[], HfApi] = HfApi) -> Stage[SentDataset]:
    """Send an exported data set to ``config.repo_id``, or update it there: it changes all at once (up to 10,000 files;
    more come in several commits, the card last).

    The token is used for this call only and is never stored. changes.csv stays here; files of an earlier version in the
    same folders are replaced. Raises DeployError: before any network when the folder or the arguments are wrong, or it
    is to be public and nobody looked at the licences; later when the hub says no.

    >>> import os
    >>> written = w.run(w.export_dataset(ws, w.DatasetConfig("fruit-data", layout="parquet")))
    >>> sent = w.run(w.send_dataset(w.SendConfig("fruit-data", "ann/fruit-data"), os.environ["HF_TOKEN"]))
    >>> sent.url, sent.public
    ('https://huggingface.co/datasets/ann/fruit-data', False)
    """
    secret = checked_token(token)
    repo_id = checked_repo_id(config.repo_id, KIND.noun)
    found = read_dataset(config.folder, secret)
    if config.public and not config.accept:
        raise DeployError(
            f"{licences_in_words(found.licences)} Whoever publishes pictures has to look at that first: then send it "
            "with --accept-licences, or leave --public out, and you alone see it."
        )
    total = sum(found.sizes.values()) + 1
    yield Progress(0, total, f"{len(found.sizes):,} files, {total / 1e6:.1f} MB. {licences_in_words(found.licences)}")
    try:
        api = checked_hub(hub())
        with without_bars():
            url = yield from create(api, repo_id, KIND, not config.public, secret)
            public = not api.dataset_info(repo_id, token=secret).private
            yield from _upload(api, repo_id, found, secret, total)
    except DeployError as refused:
        raise DeployError(without_token(str(refused), secret)) from None
    except Exception as error:  # noqa: BLE001 - the one boundary: whatever the hub's client raises is put into words
        raise DeployError(in_words(error, repo_id, KIND, secret)) from None
    yield Progress(total, total, "It is there" if public else "It is there; you alone see it")
    return SentDataset(url, public, len(found.sizes), found.licences)


def _upload(api: HfApi, repo_id: str, found: DatasetFolder, token: str, total: int) -> Stage[None]:
    """Send the files, and change the data set; its card comes last."""
    there = [file.rfilename for file in api.dataset_info(repo_id, token=token).siblings or []]
    folders = {name.partition("/")[0] for name in found.sizes if "/" in name}
    old = [name for name in there if "/" in name and name.partition("/")[0] in folders and name not in found.sizes]
    additions = yield from send(api, repo_id, KIND, found.folder, found.sizes, token, total)
    additions.sort(key=lambda one: one.path_in_repo == README)
    yield Progress(total - 1, total, "Publishing")
    for start in range(0, len(additions), MOST_IN_A_COMMIT):
        part = additions[start : start + MOST_IN_A_COMMIT]
        gone = [CommitOperationDelete(name) for name in old] if start == 0 else []
        commit(api, repo_id, KIND, [*part, *gone], token)


# --- what is sent ---------------------------------------------------------------------------------------------------


def read_dataset(folder: Path | str, token: str | None = None) -> DatasetFolder:
    """What would be sent from ``folder``; no network. Raises DeployError where it is no data set, or holds a secret."""
    try:
        root = Path(folder).expanduser().resolve()
        is_there = (root / README).is_file()
    except (OSError, RuntimeError, ValueError) as error:
        raise DeployError(f"{str(folder)!r} cannot be a folder: {error}. Choose another.") from error
    if not is_there:
        raise DeployError(
            f"{root} is not a data set's folder: it has no {README}. Export one first (python cli.py dataset WORKSPACE "
            "FOLDER --layout parquet)."
        )
    try:
        card = metadata_load(root / README)
    except Exception as error:  # the YAML reader raises many kinds
        raise DeployError(f"The lines between '---' at the top of {root / README} cannot be read: {error}.") from error
    if not card or "sdk" in card:
        raise DeployError(
            f"{root} is not a data set's folder: {README} says nothing of one. Export it again (python cli.py dataset)."
        )
    try:
        sizes, left_out = files_in(root, KIND.noun)
        sizes = {name: size for name, size in sizes.items() if name not in OWN}
        for name in sizes:
            is_picture = Path(name).suffix.lower() in PICTURE_SUFFIXES
            refuse_secrets(root / name, name, token, KIND.noun, by_name=not is_picture)
    except OSError as error:
        raise DeployError(f"{root} cannot be read: {error.strerror or error}. Nothing was sent.") from error
    return DatasetFolder(root, sizes, left_out, licences(root))


def licences(folder: Path) -> dict[str, int]:
    """Which licences the pictures of an exported set claim, and how many pictures each; the most frequent first."""
    try:
        with (folder / ATTRIBUTIONS).open(encoding="utf-8-sig", newline="") as lines:
            claimed = {(row["id"], restored(row["licence"] or "").strip()) for row in csv.DictReader(lines)}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error):
        return {}
    counted = Counter(on_one_line(licence, LONGEST) or NOT_STATED for _, licence in claimed)
    return dict(counted.most_common())


def licences_in_words(found: Mapping[str, int]) -> str:
    """The claims in sentences, for whoever is to say whether the pictures may be published."""
    if not found:
        return "Nothing is known of the licences of these pictures."
    shown = [f"{name} ({pictures:,})" for name, pictures in list(found.items())[:MOST_LICENCES]]
    more = f" and {len(found) - MOST_LICENCES} more" if len(found) > MOST_LICENCES else ""
    return f"The licences that the pictures claim: {', '.join(shown)}{more}. Nobody checked these claims."
