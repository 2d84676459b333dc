"""The rows of the store as values: a new image, a verdict, a state, a decision."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class NewImage:
    """An image file that lies in the workspace already, to be put on record with where it came from.

    ``label``: several labels are joined by ``|``. ``original_sha256`` and ``original_bytes`` are of the file as it was
    fetched, where a reduced copy of it was kept.
    """

    id: str
    file: str
    bytes: int
    label: str | None
    provider: str
    name: str
    page_url: str | None = None
    licence: str | None = None
    split: str | None = None
    query: str | None = None
    title: str | None = None
    creator: str | None = None
    licence_url: str | None = None
    original_sha256: str | None = None
    original_bytes: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What verify found out about one image; ``tiny`` is its 32 x 32 x 3 RGB miniature as bytes, ``quality`` its
    scores as JSON.
    """

    id: str
    status: str
    verdict: str
    reason: str
    width: int | None = None
    height: int | None = None
    format: str | None = None
    pixels: str | None = None
    phash: bytes | None = None
    tiny: bytes | None = None
    quality: str | None = None


@dataclass(frozen=True)
class State:
    """What a decision can change about an image."""

    labels: tuple[str, ...]
    status: str
    reason: str = ""

    @classmethod
    def from_json(cls, text: str) -> State:
        """The state written by :meth:`to_json`."""
        raw = json.loads(text)
        return cls(tuple(raw["labels"]), raw["status"], raw.get("reason", ""))

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True)
class Decision:
    """One row of the journal: what was decided about an image, and what it was before."""

    id: int
    image: str
    action: str
    before: State
    after: State
    at: str
    undone: bool = field(default=False)

    @property
    def about_label(self) -> bool:
        """Whether it stands and says what the image shows; an image set aside or restored is not judged by that."""
        return not self.undone and self.action not in ("set_aside", "restore")
