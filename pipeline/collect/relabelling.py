"""What an import calls pictures that are here already, or that it brings twice: the same, another label, or several."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from pipeline.collect.reading import Choice, Question
from pipeline.labels import in_words, named, of_today
from pipeline.predict import SEVERAL
from pipeline.workspace.database import now
from pipeline.workspace.journal import last_of, renamings
from pipeline.workspace.records import IN_USE, Refusal, State, Wish
from pipeline.workspace.store import Store

EXAMPLES = 3


@dataclass(frozen=True)
class Differing:
    """An image that was here under the label ``before``, and that the source calls ``after``."""

    id: str
    before: str
    after: str


@dataclass(frozen=True)
class Compared:
    """What the labels of an import come to. ``differing``: images with another label here (before it was changed, with
    ``relabel``); ``relabelled``: how many were changed; ``otherwise``: how often a known file came under another label;
    what to say, and what to ask.
    """

    differing: tuple[Differing, ...] = ()
    relabelled: int = 0
    otherwise: int = 0
    notes: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True)
class Claims:
    """The labels that the pictures of an import come with, beside those that they had ``before`` it (by id).

    ``since`` is the time when it began, ``mark`` the state of the journal then; ``renamed``: old class -> its name of
    today.
    """

    store: Store
    since: str
    mark: str
    before: Mapping[str, str]
    renamed: Mapping[str, str]
    places: dict[str, str] = field(default_factory=dict)
    labels: dict[str, dict[str, bool]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store) -> Claims:
        """Those of an import that begins now."""
        since, mark = now(), store.journal.mark()
        return cls(store, since, mark, store.labels(), renamings(store.journal.decisions()))

    def add(self, image_id: str, label: str | None, place: str, also: Sequence[str] = ()) -> None:
        """Note what the source calls an image, and where it lies in it; ``also``: by what other labels it calls that
        same file.
        """
        if label:
            self.places.setdefault(image_id, place)
            self.labels.setdefault(image_id, {})[_sorted(label)] = True
            for other in also:
                self.labels[image_id].setdefault(_sorted(other), False)

    def compared(self, relabel: bool = False, dry: bool = False) -> Compared:
        """What the labels come to. ``relabel``: images that have another label here get the new one, in one batch of
        the journal. An image that the source itself calls by several labels keeps the one it has, or the first.
        ``dry``: nothing is changed yet.
        """
        differing: list[Differing] = []
        several: list[str] = []
        otherwise = 0
        for image, labels in self.labels.items():
            own = _sorted(self.before.get(image) or next(iter(labels)))
            other = [label for label in labels if own not in (label, of_today(label, self.renamed))]
            otherwise += sum(labels[label] for label in other)
            if sum(labels.values()) > 1:  # what one row or folder says of it besides was noted where it was read
                several.append(image)
            elif other and len(labels) == 1:
                differing.append(Differing(image, own, other[0]))
        changed = self._relabelled(differing) if relabel and not dry else 0
        notes = self._about_several(several)
        if differing and dry:
            notes.append(self._about_to_differ(differing, relabel))
        elif differing:
            notes.append(self._about_changed(differing, changed) if relabel else self._about_differing(differing))
        questions = () if relabel or not differing else (_question(differing),)
        return Compared(tuple(differing), changed, otherwise, tuple(notes), questions)

    def _relabelled(self, differing: Sequence[Differing]) -> int:
        """Give images their new labels; what somebody decided on since the import began stays. Returns how many."""
        known = last_of(self.mark)
        wishes = [Wish(one.id, "relabel", partial(_called, one.after), known=known) for one in differing]
        refused: list[Refusal] = []
        return len(self.store.journal.decide(wishes, refused))

    def _decided(self, images: Collection[str]) -> set[str]:
        return {image for image, decision in self.store.journal.decided_on(images).items() if decision.about_label}

    def _about_several(self, images: Sequence[str]) -> list[str]:
        """A note about those pictures that Verify will show as label conflicts."""
        rows = self.store.images_of(images)
        sources = self.store.sources()
        claims = sources[sources["image_id"].isin(images)].groupby("image_id")["claimed_label"].nunique()
        disputed = set(claims[claims > 1].index) - self._decided(images)
        left = [str(image) for image in rows[rows["status"].isin(IN_USE)]["id"] if image in disputed]
        if not left:
            return []
        if len(left) == 1:
            labels = [in_words(label) for label in self.labels[left[0]]]
            number = "two" if len(labels) == 2 else f"{len(labels):,}"
            return [f"1 picture has {number} labels: {', '.join(labels)}. It keeps its first one; Verify shows it."]
        examples = [
            f"'{self.places[image]}': {', '.join(map(in_words, self.labels[image]))}" for image in left[:EXAMPLES]
        ]
        return [
            f"{len(left):,} pictures have several labels each ({'; '.join(examples)}). "
            "They keep their first ones; Verify shows them."
        ]

    def _about_differing(self, differing: Sequence[Differing]) -> str:
        """What stayed as it is, and how it can be changed."""
        decided = len(self._decided([one.id for one in differing]))
        by_hand = f" {decided:,} of them {'was' if decided == 1 else 'were'} decided on here." if decided else ""
        stays = "stays as it is" if len(differing) == 1 else "stay as they are"
        return (
            f"{_number(differing)} from what is here and {stays} ({self._examples(differing)}).{by_hand} "
            "Take the new ones? Import again with --relabel."
        )

    def _about_to_differ(self, differing: Sequence[Differing], relabel: bool) -> str:
        comes = "takes the new ones" if relabel else "leaves what is here as it is; --relabel takes the new ones"
        return f"{_number(differing)} from what is here ({self._examples(differing)}). An import {comes}."

    def _about_changed(self, differing: Sequence[Differing], changed: int) -> str:
        left = len(differing) - changed
        meanwhile = f" {left:,} stay as they are: they were decided on meanwhile." if left else ""
        done = f"{changed:,} {'was' if changed == 1 else 'were'} changed"
        return f"{_number(differing)}; {done} ({self._examples(differing)}). One undo takes that back.{meanwhile}"

    def _examples(self, differing: Sequence[Differing]) -> str:
        told = [
            f"'{self.places[one.id]}': {in_words(one.before)} here, {in_words(one.after)} in the source"
            for one in differing[:EXAMPLES]
        ]
        return "; ".join(told) + ("; ..." if len(differing) > EXAMPLES else "")


def _sorted(label: str) -> str:
    return SEVERAL.join(sorted(named(label)))


def _called(label: str, state: State) -> State:
    return replace(state, labels=tuple(sorted(named(label))))


def _number(differing: Sequence[Differing]) -> str:
    return "1 label differs" if len(differing) == 1 else f"{len(differing):,} labels differ"


def _question(differing: Sequence[Differing]) -> Question:
    keep = Choice("Keep the labels that are here", {"relabel": False})
    take = Choice("Take the new ones", {"relabel": True})
    return Question(f"{_number(differing)}: take the new {'one' if len(differing) == 1 else 'ones'}?", (keep, take))
