"""What folders mean: wrappers, splits, classes, pictures that wait for a label; and what is open about that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipeline.collect.entries import FILLERS, SPLIT_WORDS, Labelling, shown, split_of, words_of
from pipeline.collect.reading import Choice, Question, few, number
from pipeline.errors import UsageError

# Folders that say what they hold, and not what the pictures show.
GENERIC = frozenset(
    (
        *FILLERS,
        *(
            "raw",
            "all",
            "files",
            "file",
            "jpg",
            "jpeg",
            "png",
            "tif",
            "input",
            "inputs",
            "archive",
            "archives",
            "sample",
        ),
        *(
            "samples",
            "example",
            "examples",
            "labeled",
            "labelled",
            "annotation",
            "annotations",
            "annotated",
            "mask",
            "gt",
        ),
        *("masks", "trimaps", "segmentation", "segmentations", "label", "labels", "overlay", "overlays", "thumbnails"),
        *(
            "part",
            "parts",
            "batch",
            "batches",
            "chunk",
            "chunks",
            "shard",
            "shards",
            "vol",
            "volume",
            "upload",
            "uploads",
        ),
        *("export", "exports", "download", "downloads", "new", "old", "misc", "source", "sources", "media", "assets"),
    )
)
PARTS = frozenset(("part", "parts", "batch", "chunk", "shard", "vol", "volume", "images", "imgs", "image", "archive"))
WITHOUT_LABELS = frozenset(
    (
        *(
            "unlabeled",
            "unlabelled",
            "unlabel",
            "nolabel",
            "nolabels",
            "unsup",
            "unsupervised",
            "unsorted",
            "unannotated",
        ),
        *("pred", "preds", "predict", "prediction", "predictions", "inference", "submission", "unmarked"),
    )
)
# Classes there are, and yet one asks.
DOUBTFUL = frozenset(("unknown", "other", "others", "misc", "miscellaneous", "none", "null", "nan", "default", "class"))
INSIDE = "inside"


@dataclass
class Folder:
    """A folder with pictures in it or below it."""

    path: PurePosixPath
    folders: dict[str, Folder] = field(default_factory=dict)
    loose: list[PurePosixPath] = field(default_factory=list)

    def all(self) -> Iterator[PurePosixPath]:
        """Every picture in it and below it."""
        yield from self.loose
        for folder in self.folders.values():
            yield from folder.all()

    def without(self, names: Iterable[str]) -> Folder:
        """The folder, as if these folders in it were not there."""
        gone = set(names)
        kept = {name: folder for name, folder in self.folders.items() if name not in gone}
        return Folder(self.path, kept, self.loose)


def tree(paths: Iterable[PurePosixPath]) -> Folder:
    """The folders that the pictures at ``paths`` lie in."""
    root = Folder(PurePosixPath())
    for path in paths:
        folder = root
        for depth, name in enumerate(path.parts[:-1], 1):
            folder = folder.folders.setdefault(name, Folder(PurePosixPath(*path.parts[:depth])))
        folder.loose.append(path)
    return root


@dataclass(frozen=True)
class Place:
    """What the folders of a picture say: its split and the name of its class folder, or nothing."""

    split: str | None = None
    folder: str | None = None


@dataclass(frozen=True)
class _Part:
    """A folder that is read together with others; ``split``: what the folders above it said."""

    folder: Folder
    split: str | None = None


class Places:
    """What the folders say of every picture.

    ``of``: picture -> Place, of all but the ``ignored``. ``classes``: class folder -> how many pictures.
    ``waiting``: folders whose pictures have no label, and how many. ``splits``: split -> the folders that stand for it.
    ``beside``: folders in which class folders lie, with which empty ones are compared.
    """

    def __init__(self, paths: Iterable[PurePosixPath], how: Labelling) -> None:
        self.how = how
        self.of: dict[PurePosixPath, Place] = {}
        self.ignored: set[PurePosixPath] = set()
        self.classes: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        self.splits: dict[str, list[str]] = {}
        self.beside: set[PurePosixPath] = set()
        self.questions: list[Question] = []
        self._met: set[str] = set()
        root = tree(sorted(paths))
        if how.labels_from == "folders":
            self._deepest(root)
        else:
            self._classes(self._opened(_Part(root)))
        if missing := [name for name in how.read_as if name not in self._met]:
            raise UsageError(
                f"--read-as: there is no folder '{missing[0]}' with pictures. There are: "
                f"{', '.join(map(shown, sorted(root.folders))) or 'none'}."
            )

    # --- what was told

    def _told(self, folder: Folder) -> str | None:
        """What a person said that the folder stands for, by its path or its name."""
        for name in (shown(folder.path), shown(folder.path.name)):
            if name in self.how.read_as:
                self._met.add(name)
                return self.how.read_as[name]
        return None

    # --- wrappers and splits

    def _opened(self, part: _Part) -> list[_Part]:
        """The folder, or those in it that mean something: without wrappers, splits and what has no label."""
        folder = part.folder
        while True:
            folder = self._taken_out(folder, part.split)
            splits = self._split_folders(folder, part.split)
            if splits is not None:
                return self._in_splits(folder, splits, part.split)
            inner = self._only_wraps(folder)
            if inner:
                rest = folder.without(inner)
                parts = [one for name in inner for one in self._opened(_Part(folder.folders[name], part.split))]
                return parts + ([_Part(rest, part.split)] if rest.folders or rest.loose else [])
            if len(folder.folders) == 1 and not folder.loose:
                (child,) = folder.folders.values()
                if self._wraps(folder, child, part.split):
                    folder = child
                    continue
            return [_Part(folder, part.split)]

    def _taken_out(self, folder: Folder, split: str | None) -> Folder:
        """The folder without those in it that are ignored, or hold pictures without a label."""
        out: list[str] = []
        told = {name: self._told(child) for name, child in folder.folders.items()}
        for name, meaning in told.items():
            if meaning == "ignore":
                self.ignored.update(folder.folders[name].all())
                out.append(name)
            elif meaning == "unlabelled":
                self._wait(folder.folders[name], split)
                out.append(name)
        left = {name: child for name, child in folder.folders.items() if name not in out and told[name] is None}
        silent = [name for name in left if WITHOUT_LABELS & set(words_of(name))]
        deep = [child for name, child in left.items() if name not in silent and len(child.folders) > 1]
        if not silent and deep:
            loose = [name for name, child in left.items() if not child.folders and len(_weak(name)) == 1]
            if len(loose) + len(deep) == len(left) and all(split_of(name) is None for name in loose):
                silent = loose
        if len(silent) < len(folder.folders):
            plain = [n for n in left if n not in silent and not left[n].folders and split_of(n) is None]
            for name in silent:
                if plain:
                    self._ask(left[name], ("unlabelled", "class", "ignore"))
                self._wait(left[name], split)
                out.append(name)
        return folder.without(out) if out else folder

    def _split_folders(self, folder: Folder, split: str | None) -> dict[str, str] | None:
        """Which of the folders in it stand for which split; None where they do not divide it into splits."""
        told = {name: meaning for name, child in folder.folders.items() if (meaning := self._told(child))}
        forced = {name: meaning for name, meaning in told.items() if meaning in ("train", "valid", "test")}
        if split is not None and not forced:
            return None
        strong = {name: one for name, one in _split_names(list(folder.folders)).items() if name not in told}
        if forced or (strong and self.how.split_from == "folders"):
            return {**strong, **forced}
        rest = [name for name in folder.folders if name not in strong]
        if len(set(strong.values())) > 1:
            all_leaves = not any(child.folders for child in folder.folders.values())
            plain = [name for name in rest if not _is_generic(name)]
            return None if all_leaves and len(plain) > len(strong) else strong
        if not strong:
            return None
        inside = {name.casefold() for one in strong for name in folder.folders[one].folders}
        beside = {name.casefold() for name in rest}
        deeper = {name.casefold() for one in rest for name in _classes_below(folder.folders[one])}
        below = {name.casefold() for one in strong for name in _classes_below(folder.folders[one])}
        return strong if (inside and inside <= beside) or below & deeper or (not rest and len(strong) > 1) else None

    def _in_splits(self, folder: Folder, splits: Mapping[str, str], above: str | None) -> list[_Part]:
        parts: list[_Part] = []
        for name, split in splits.items():
            self.splits.setdefault(split, []).append(shown(folder.folders[name].path))
            parts += self._opened(_Part(folder.folders[name], split))
        names = {name.casefold() for part in parts for name in part.folder.folders}
        rest = folder.without(splits)
        beside = {name.casefold() for name in rest.folders}
        if names and names <= beside:
            return [*parts, _Part(rest, above)]
        for child in rest.folders.values():
            further = self._opened(_Part(child, above)) if child.folders else []
            if {name.casefold() for part in further for name in part.folder.folders} & names:
                parts += further
            else:
                self._wait(child, above)
        return parts + ([_Part(Folder(rest.path, {}, rest.loose), above)] if rest.loose else [])

    def _only_wraps(self, folder: Folder) -> list[str]:
        """The folders in it that are parts of one whole, or that mean nothing and have class folders."""
        told = {name: self._told(child) for name, child in folder.folders.items()}
        names = [name for name, meaning in told.items() if meaning is None]
        inside = [name for name, meaning in told.items() if meaning == INSIDE]
        if inside:
            return inside
        if len(names) > 1 and len(names) == len(told) and _are_parts(names):
            return names
        return [
            name
            for name in names
            if len(names) > 1
            and _is_generic(name)
            and sum(not _is_generic(one) for one in folder.folders[name].folders) > 1
        ]

    def _wraps(self, folder: Folder, child: Folder, split: str | None) -> bool:
        """Whether the one folder in ``folder`` means nothing by itself."""
        told = self._told(child)
        if told is not None:
            return told == INSIDE
        if child.folders and (not child.loose or len(child.folders) > 1):
            return True
        if child.folders:
            return False
        name = child.path.name
        return split is not None and (
            _is_generic(name) or split_of(name) is not None or words_of(name) == words_of(folder.path.name)
        )

    # --- classes

    def _classes(self, parts: Sequence[_Part]) -> None:
        """Give every picture of the parts, which are read as one, its place."""
        children: dict[str, list[_Part]] = {}
        for part in parts:
            self._loose(part)
            for name, child in part.folder.folders.items():
                children.setdefault(name, []).append(_Part(child, part.split))
        told = {name: self._told(here[0].folder) for name, here in children.items()}
        if children and not any(told.values()) and all(_is_generic(name) or split_of(name) for name in children):
            if self.how.label is None and self.how.pattern is None:
                for name in children:
                    self._ask(children[name][0].folder, ("unlabelled", "class"), _count(children[name]))
            for here in children.values():
                for one in here:
                    self._wait(one.folder, one.split)
            return
        below = {name for here in children.values() for one in here for name in one.folder.folders}
        inner = _split_names(sorted(below)) if below and self.how.split_from != "column" else {}
        by_split = len(set(inner.values())) > 1 and len(inner) == len(below)
        self.beside.update(part.folder.path for part in parts)
        for name, here in children.items():
            self._class(name, here, inner if by_split else {}, told[name])
        if not by_split:
            self._recurring(children)

    def _class(self, name: str, here: Sequence[_Part], inner: Mapping[str, str], told: str | None) -> None:
        count = _count(here)
        if told is None and name and _is_doubtful(name):
            words = ("class", "unlabelled", *((split_of(name) or "",) if split_of(name) else ()), "ignore")
            self._ask(here[0].folder, words, count)
        self.classes[name] += count
        for one in here:
            for child, split in [(None, one.split), *((child, split) for child, split in inner.items())]:
                of = one.folder if child is None else one.folder.folders.get(child)
                for path in of.all() if of is not None else ():
                    self.of[path] = Place(split, name)

    def _recurring(self, children: Mapping[str, Sequence[_Part]]) -> None:
        """Ask where all class folders have the same folders in them: these may be the classes."""
        sets = [{name for one in here for name in one.folder.folders} for here in children.values()]
        if len(sets) > 1 and len(sets[0]) > 1 and all(one == sets[0] for one in sets):
            names = few(sorted(children))
            self.questions.append(
                Question(
                    f"Each of the folders {names} has the same folders in it ({few(sorted(sets[0]))}). Which are the "
                    "classes?",
                    (
                        Choice(names, {"read_as": [f"{name}=class" for name in sorted(children)]}),
                        Choice(few(sorted(sets[0])), {"read_as": [f"{name}={INSIDE}" for name in sorted(children)]}),
                    ),
                )
            )

    def _loose(self, part: _Part) -> None:
        for path in part.folder.loose:
            self.of[path] = Place(part.split)
        if part.folder.loose:
            self.waiting[shown(part.folder.path)] += len(part.folder.loose)

    def _wait(self, folder: Folder, split: str | None) -> None:
        """Its pictures have no label."""
        paths = list(folder.all())
        self.of.update(dict.fromkeys(paths, Place(split)))
        self.waiting[shown(folder.path)] += len(paths)

    def _deepest(self, folder: Folder) -> None:
        """Folders are the classes, whatever they are called: by splits and wrappers where that leaves any."""
        parts = self._opened(_Part(folder))
        if any(part.folder.folders for part in parts):
            self._force(parts)
            return
        self.splits.clear()
        self.waiting.clear()
        for path in folder.all():
            self.of[path] = Place(None, path.parent.name or None)
            if path.parent.name:
                self.classes[path.parent.name] += 1

    def _force(self, parts: Sequence[_Part]) -> None:
        for part in parts:
            self._loose(part)
            for name, child in part.folder.folders.items():
                self._class(name, [_Part(child, part.split)], {}, "class")

    def _ask(self, folder: Folder, meanings: Sequence[str], count: int = 0) -> None:
        name = shown(folder.path)
        count = count or sum(1 for _ in folder.all())
        words = {
            "class": f"a class of its own, '{shown(folder.path.name)}'",
            "unlabelled": "pictures without a label",
            "ignore": "nothing to import",
        }
        choices = [Choice(words.get(one, f"the {one} split"), {"read_as": [f"{name}={one}"]}) for one in meanings]
        self.questions.append(Question(f"What is the folder '{name}' with {number(count, 'picture')}?", tuple(choices)))


# --- what names say -----------------------------------------------------------------------------------------------


def _weak(name: str) -> set[str]:
    """The splits that some word of the name stands for."""
    words = words_of(name)
    if "trainval" in "".join(words):
        return {"train"}
    return {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS and len(word) > 2}


def split_in(name: str) -> str | None:
    """The split that a name of several words tells, as a table's does: ``train_labels``, ``ISIC_2019_Test_Input``."""
    found = _weak(name)
    return split_of(name) or (next(iter(found)) if len(found) == 1 else None)


def _split_names(names: Sequence[str]) -> dict[str, str]:
    """Which of these names, that stand side by side, are splits: ``seg_train`` beside ``seg_test`` is one, too."""
    found = {name: split for name in names if (split := split_of(name)) is not None}
    alike: dict[tuple[str, ...], dict[str, str | None]] = {}
    for name in names:
        rest = tuple(word for word in words_of(name) if word not in SPLIT_WORDS and word not in FILLERS)
        weak = _weak(name)
        if len(weak) < 2:
            alike.setdefault(rest, {})[name] = next(iter(weak), None)
    for group in alike.values():
        if len(set(group.values())) > 1:
            found.update({name: split for name, split in group.items() if split is not None})
    return found


def _is_generic(name: str) -> bool:
    """Whether the name says only that pictures or files are in it."""
    words = words_of(name)
    return bool(words) and all(word in GENERIC for word in words)


def _is_doubtful(name: str) -> bool:
    words = words_of(name)
    return (
        _is_generic(name)
        or split_of(name) is not None
        or (bool(words) and all(word in DOUBTFUL | WITHOUT_LABELS | {"class"} for word in words))
    )


def _are_parts(names: Sequence[str]) -> bool:
    """Whether the names differ in a number alone, and are those of parts: images_001, images_002."""
    words = {tuple(words_of(name)) for name in names}
    return len(words) == 1 and bool(PARTS & set(next(iter(words))))


def _classes_below(folder: Folder) -> list[str]:
    """The names of the folders in it, below wrappers."""
    while len(folder.folders) == 1 and not folder.loose and next(iter(folder.folders.values())).folders:
        (folder,) = folder.folders.values()
    return list(folder.folders)


def _count(parts: Sequence[_Part]) -> int:
    return sum(1 for part in parts for _ in part.folder.all())
