"""The rows of the store as values: a new image, a verdict, a state, a decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

# The states of an image that training and cleaning look at, and the verdicts of Verify with which it may be used.
IN_USE = ("ok", "new")
USABLE = ("ok", "suspect")
# The action by which a person says that a picture is not the same as the others of the decision's batch.
NOT_SAME = "not_same"
# The actions by which a person names pictures of a sheet, and by which the model's word is taken for what nobody saw.
LABEL, ACCEPT = "label", "accept"


@dataclass(frozen=True)
class NewImage:
    """An image file that lies in the workspace already, to be put on record with where it came from.

    ``label``: several labels are joined by ``|``. ``scene``: what it was taken together with. ``original_sha256`` and
    ``original_bytes`` are of the file as it was fetched, where a reduced copy of it was kept.
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
    scene: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What verify found out about one image; ``tiny`` is its 32 x 32 x 3 RGB miniature as bytes, ``quality`` its
    scores as JSON, ``taken`` when (ISO 8601, by the camera's clock) and ``camera`` with which camera it was taken; ""
    where it does not say.
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
    taken: str = ""
    camera: str = ""


@dataclass(frozen=True)
class State:
    """What a decision can change about an image. ``group``: its duplicate group, where the decision is about that."""

    labels: tuple[str, ...]
    status: str
    reason: str = ""
    group: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Decision:
    """One row of the journal: what was decided about an image, and what it was before.

    Decisions that were made in one go share their ``batch``.
    """

    id: int
    image: str
    action: str
    before: State
    after: State
    at: str
    undone: bool = field(default=False)
    batch: str | None = field(default=None)

    @property
    def about_label(self) -> bool:
        """Whether it stands and says what the image shows; an image set aside or restored is not judged by that, nor
        is one whose class has another name now, that is another picture than those like it, or whose label is the
        model's.
        """
        return not self.undone and self.action not in ("set_aside", "restore", "rename", NOT_SAME, ACCEPT)


@dataclass(frozen=True)
class Wish:
    """A decision that is to be made: ``change`` gives the state of ``image`` after it (None: nothing is to be decided),
    or raises StoreError.

    ``expected`` is the state that the person saw, and ``known`` the number of the last decision of the journal by then:
    where the image is in another state, or was decided on since, the wish is not granted.
    """

    image: str
    action: str
    change: Callable[[State], State | None]
    expected: State | None = None
    known: int | None = None


@dataclass(frozen=True)
class Refusal:
    """A wish that was not granted, with the reason in words."""

    image: str
    reason: str


@dataclass(frozen=True)
class Step:
    """What one undo takes back: the decisions from ``first`` to ``last`` (ids), made in one go.

    ``count`` of them were made, ``undone`` of those are taken back, ``redoable`` of these can be redone; ``later``
    decisions that stand came after it. ``decisions`` are the first few.
    """

    first: int
    last: int
    count: int
    undone: int
    redoable: int
    later: int
    decisions: tuple[Decision, ...]
