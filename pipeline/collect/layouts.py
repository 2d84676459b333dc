"""What a tree of files means: which tables are believed, what folders are classes, and every file accounted for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from pipeline.collect.entries import (
    Empty,
    Entry,
    File,
    Labelling,
    LeftOut,
    NameMatcher,
    NamesRead,
    Note,
    Refused,
    Walked,
    shown,
)
from pipeline.collect.folders import OUTSIDE
from pipeline.collect.listings import Listing, Listings, candidates, read_listings
from pipeline.collect.places import Place, Places
from pipeline.collect.reading import Choice, Question, Reading, few, in_words, number
from pipeline.collect.tables import Row
from pipeline.collect.twice import given_twice
from pipeline.errors import SourceError
from pipeline.images.formats import PICTURE_SUFFIXES, extension_by_bytes

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
PACKED = "It is an archive. Archives in archives or folders are left packed: import it by itself."
NO_PICTURE = "It is not a picture, by its name and by its content."
NOT_NEEDED = "files that this set does not need"
IGNORED = "files that are to be ignored"
TWICE = "files that are given twice"
FOLDERS, NAMES, TOLD = "their folders", "their names", "--label"
SNIFFED = 4096
# A table is believed before class folders where it names more than so many of the pictures in them.
MOST = 0.5
NUMBERED = re.compile(r"(.*?[^\W\d])[\W\d_]*\d[\W\d_]*")


def laid_out(found: Iterable[Walked], how: Labelling) -> Reading:
    """What files mean by their places and by the tables among them. Raises SourceError, UsageError."""
    files: list[File] = []
    refused: list[Refused] = []
    left_out: Counter[str] = Counter()
    empty: list[str] = []
    notes: list[str] = []
    others: list[Choice] = []
    for one in found:
        if isinstance(one, File):
            files.append(one)
        elif isinstance(one, Refused):
            refused.append(one)
        elif isinstance(one, LeftOut):
            left_out[one.kind] += 1
        elif isinstance(one, Empty):
            empty.append(one.path)
        elif isinstance(one, Note):
            notes.append(one.text)
            encodings = one.others if isinstance(one, NamesRead) else {}
            others += [Choice(words, {"name_encoding": encoding}) for encoding, words in encodings.items()]
    if any(one.reason == OUTSIDE for one in refused):
        others.append(Choice("with the files that links outside this folder lead to", {"follow_links": True}))
    reading = _Tree(how, files, refused, left_out, tuple(empty), notes).reading()
    return replace(reading, others=(*reading.others, *others))


@dataclass(frozen=True)
class _Said:
    """What is known of one picture. ``origin``: where its label is from, in words; ``by_column``: its split is."""

    label: str | None = None
    split: str | None = None
    scene: str | None = None
    also: tuple[str, ...] = ()
    origin: str = ""
    by_column: bool = False


@dataclass
class _Tree:
    how: Labelling
    files: list[File]
    refused: list[Refused]
    left_out: Counter[str]
    empty: tuple[str, ...]
    notes: list[str]
    pictures: list[File] = field(default_factory=list)

    def reading(self) -> Reading:
        """Sort the files out, read the tables, look at the folders, and give every picture what is known of it."""
        tables = self._sorted_out()
        twice, told = given_twice(self.pictures)
        self.notes += told
        self.left_out[TWICE] += len(twice)
        self.pictures = [file for file in self.pictures if file.path not in twice]
        listings = read_listings(tables, [file.path for file in self.pictures], self.how)
        self.refused += [*listings.refused, *(one for table in listings.tables for one in table.refused)]
        self.refused += [Refused(shown(file.path), NO_PICTURE) for file in listings.left]
        self.notes += listings.notes
        self.how = replace(self.how, names={**self.how.names, **listings.classes})
        files = {name for file in self.files for name in (shown(file.path), file.path.name)}
        folders = {name: meaning for name, meaning in self.how.read_as.items() if name not in files}
        places = Places((file.path for file in self.pictures), replace(self.how, read_as=folders))
        return self._entries(places, listings, _Decision(self.how, places, listings))

    def _sorted_out(self) -> list[File]:
        """Take the pictures; returns what may be tables. The rest is refused or left out."""
        how = self.how
        tables = candidates(self.files, how, [file.path for file in self.files if _is_called_picture(file)])
        known = {file.path for file in tables}
        ignored = [file for file in tables if self._is_ignored(file)]
        self.left_out[IGNORED] += len(ignored)
        tables = [file for file in tables if file not in ignored]
        for file in self.files:
            if file.path in known:
                continue
            if how.below and not set(file.path.parts[:2]) & set(how.below):
                self.left_out[NOT_NEEDED] += 1
            elif _is_called_picture(file) or (reason := _refusal(file)) is None:
                self.pictures.append(file)
            else:
                self.refused.append(Refused(shown(file.path), reason))
        if how.tables is None:
            return tables
        wanted = [file for file in tables if file.path.name.lower() in (*how.tables, *how.lists)]
        self.left_out[NOT_NEEDED] += len(tables) - len(wanted)
        return wanted

    def _is_ignored(self, table: File) -> bool:
        return any(self.how.read_as.get(name) == "ignore" for name in (shown(table.path), table.path.name))

    def _entries(self, places: Places, listings: Listings, decision: _Decision) -> Reading:
        said: dict[PurePosixPath, _Said] = {}
        for file in self.pictures:
            if file.path in places.ignored:
                self.left_out[IGNORED] += 1
                continue
            try:
                said[file.path] = decision.of(file.path)
            except SourceError as error:
                self.refused.append(Refused(shown(file.path), str(error)))
        splits = {one.split for one in said.values() if one.label is not None}
        if self._is_one_split(said.values(), splits):
            (split,) = splits
            if places.splits:
                self.notes.append(f"Only '{split}' has pictures with labels, so nothing is split yet.")
            said = {path: replace(one, split=None) for path, one in said.items()}
        entries = tuple(
            Entry(shown(file.path), one.label, one.split, file.size, file.open, one.scene, one.also)
            for file in self.pictures
            if (one := said.get(file.path)) is not None
        )
        origins = Counter(one.origin for one in said.values() if one.label is not None)
        reading = Reading(
            "",
            entries,
            refused=tuple(self.refused),
            left_out=dict(+self.left_out),
            tables=listings.read,
            empty=self.empty,
            notes=tuple(dict.fromkeys([*self.notes, *decision.notes(said), *self._more_notes(places, said)])),
            questions=decision.questions(),
            others=decision.others(said),
            columns=tuple(table.columns for table in listings.tables if table.columns is not None),
        )
        return replace(reading, layout=in_words(reading, origins))

    def _is_one_split(self, said: Iterable[_Said], splits: set[str | None]) -> bool:
        """Whether folders or tables' names put all pictures with labels into one split: that divides nothing."""
        return (
            len(splits) == 1
            and None not in splits
            and self.how.split_from is None
            and not any(one.by_column for one in said)
        )

    def _more_notes(self, places: Places, said: Mapping[PurePosixPath, _Said]) -> list[str]:
        notes: list[str] = []
        waiting = [folder for path, one in said.items() if one.label is None and (folder := _test_folder(places, path))]
        if waiting:
            notes.append(
                f"Without labels, and so to be predicted and no test split: {number(len(waiting), 'picture')} in "
                f"{few(sorted(set(waiting)))}."
            )
        beside = [folder for folder in self.empty if PurePosixPath(folder).parent in places.beside]
        if beside:
            notes.append(f"{'This folder is' if len(beside) == 1 else 'These folders are'} empty: {few(beside)}.")
        return notes


def _test_folder(places: Places, path: PurePosixPath) -> str | None:
    place = places.of.get(path)
    return shown(path.parent) if place is not None and place.split == "test" else None


def _is_called_picture(file: File) -> bool:
    return file.path.suffix.lower() in PICTURE_SUFFIXES


def _refusal(file: File) -> str | None:
    """Why a file that is not called like a picture is none; None where its first bytes are those of one."""
    try:
        with file.open() as opened:
            data = opened.read(SNIFFED)
    except Exception as error:  # noqa: BLE001 - archives raise zlib, lzma, zipfile and tarfile errors, and OSError
        return f"It cannot be read: {error}."
    if extension_by_bytes(data) is not None:
        return None
    return PACKED if file.path.suffix.lower() in ARCHIVES or data.startswith(b"PK\3\4") else NO_PICTURE


class _Decision:
    """Which of tables and folders is believed, and for which pictures."""

    def __init__(self, how: Labelling, places: Places, listings: Listings) -> None:
        self.how, self.places, self.listings = how, places, listings
        self.matcher = NameMatcher(how.pattern) if how.pattern is not None else None
        self.told = how.label is not None or self.matcher is not None
        self.labelling = [table for table in listings.tables if table.labelled]
        self.rows: dict[PurePosixPath, tuple[Listing, Row]] = {}
        self.contradicted: dict[tuple[str, str], list[PurePosixPath]] = {}
        for table in self.labelling:
            for path in table.labelled:
                first, row = self.rows.setdefault(path, (table, table.rows[path]))
                if row.label != table.rows[path].label:
                    self.contradicted.setdefault((first.name, table.name), []).append(path)
        if how.split_from == "column" and not any(table.has_splits for table in listings.tables):
            raise SourceError("There is no table with a column 'split' to take the split from.")
        if how.split_from == "folders" and not places.splits:
            raise SourceError("There are no train, valid or test folders to take the split from.")
        self.origins = {table.words for table in self.labelling}
        self.by_table = not self.told and self._tables_decide()
        self.known = {row.label for _, row in self.rows.values()}

    def _tables_decide(self) -> bool:
        """Whether what the tables do not name has no label, whatever its folder is called."""
        how = self.how
        if not self.rows or how.labels_from in ("folders", "none"):
            return False
        if how.labels_from == "table":
            return True
        sorted_in = {path for path, place in self.places.of.items() if place.folder is not None}
        if sorted_in and len(self.rows.keys() & sorted_in) <= MOST * len(sorted_in):
            return False
        return not self._numbers_for_folders()

    def _numbers_for_folders(self) -> bool:
        """Whether each class folder has one label of its own in the tables, and all of these are numbers."""
        pairs = {
            (place.folder, row.label)
            for path, (_, row) in self.rows.items()
            if (place := self.places.of.get(path)) is not None
        }
        folders, labels = {folder for folder, _ in pairs}, {label for _, label in pairs}
        return (
            len(self.places.classes) > 1
            and len(folders) == len(labels) == len(pairs)
            and all(label is not None and re.fullmatch(r"\d+(\.0*)?", label) for label in labels)
        )

    def of(self, path: PurePosixPath) -> _Said:
        """What is known of a picture. Raises SourceError where what should be its label cannot be one."""
        place = self.places.of.get(path, Place())
        split, by_column, scene = self._split(path, place)
        label, also, origin = self._label(path, place)
        if label is None:
            return _Said(scene=scene)
        return _Said(label, split, scene, also, origin, by_column)

    def _label(self, path: PurePosixPath, place: Place) -> tuple[str | None, tuple[str, ...], str]:
        if self.how.label is not None:
            return self.how.name(self.how.label), (), TOLD
        if self.matcher is not None:
            found = self.matcher.label(path)
            if found is None:
                raise SourceError("The regular expression does not fit its name.")
            return self.how.name(found), (), NAMES
        if self.how.labels_from == "none":
            return None, (), ""
        table, row = self.rows.get(path, (None, None))
        folder = self._class(place.folder) if place.folder is not None else None
        believed = self.by_table or (table is not None and table.believed) or folder is None
        if table is not None and row is not None and believed and self.how.labels_from != "folders":
            return row.label, table.also.get(path, ()), table.words
        if self.by_table and (self.how.labels_from == "table" or folder not in self.known):
            return None, (), ""
        return (folder, (), FOLDERS) if folder is not None else (None, (), "")

    def _class(self, folder: str) -> str:
        name = self.how.name(folder)
        return self.how.names.get(name, name)

    def _split(self, path: PurePosixPath, place: Place) -> tuple[str | None, bool, str | None]:
        """(split, whether a column says so, scene)."""
        rows = [(table, table.rows[path]) for table in self.listings.tables if path in table.rows]
        scene = next((row.scene for _, row in rows if row.scene is not None), None)
        if self.how.split_from == "folders":
            return place.split, False, scene
        rows = [(table, row) for table, row in rows if not table.placeholders]
        column = next((row.split for _, row in rows if row.split), None)
        if column is not None:
            return column, True, scene
        named = next((table.split for table, _ in rows if table.split), None)
        return place.split or named, False, scene

    # --- what is said about it

    def notes(self, said: Mapping[PurePosixPath, _Said]) -> list[str]:
        """What a person should know about the tables."""
        notes = [] if self.told else [note for table in self.listings.tables for note in table.notes()]
        if self.told and self.labelling:
            notes.append(
                f"{few([table.name for table in self.labelling])} was not used: the label was given otherwise."
            )
        elif self.by_table:
            names = few([table.name for table in self.labelling])
            near = {path.parent for path in self.rows}
            silent = [path for path, one in said.items() if one.label is None and path.parent in near]
            if silent:
                notes.append(
                    f"Not named in {names}, and so without a label: {number(len(silent), 'picture')} beside those that "
                    f"are ({few([shown(path) for path in silent])})."
                )
        elif self.labelling and self.origins.isdisjoint(one.origin for one in said.values()):
            notes.append(
                f"{few([table.name for table in self.labelling])} was not used: the class folders say what the "
                "pictures show. --labels-from table believes it instead."
            )
        for (first, second), paths in () if self.told else self.contradicted.items():
            notes.append(
                f"{first} and {second} call {number(len(paths), 'picture')} differently, like {shown(paths[0])}: what "
                f"{first} says counts."
            )
        return [*notes, *self._hint(said)]

    def _hint(self, said: Mapping[PurePosixPath, _Said]) -> list[str]:
        names = _kinds_in_names(said) if not any(one.label for one in said.values()) and not self.told else []
        if not names:
            return []
        return [
            f"The names begin with {few(names)}: --label-regex '{_REGEX}' makes classes of them, if that is what they "
            "are."
        ]

    def questions(self) -> tuple[Question, ...]:
        """What the tables leave open, and the folders where they matter."""
        if self.told or self.how.labels_from in ("folders", "none"):
            return ()
        asked = [
            Question(
                f"{first} and {second} call {number(len(paths), 'picture')} differently. Which one is right?",
                (Choice(first, {"read_as": [f"{second}=ignore"]}), Choice(second, {"read_as": [f"{first}=ignore"]})),
            )
            for (first, second), paths in self.contradicted.items()
        ]
        return (*asked, *(() if self.by_table or self.how.labels_from else self.places.questions))

    def others(self, said: Mapping[PurePosixPath, _Said]) -> tuple[Choice, ...]:
        """What else the source could be."""
        if self.told:
            return ()
        others: list[Choice] = []
        labelled = any(one.label is not None for one in said.values())
        folders = sorted(self.places.classes) or sorted({path.parent.name for path in said if path.parent.name})
        if folders and not any(one.origin == FOLDERS for one in said.values()):
            others.append(Choice(f"labels from the folders: {few(folders)}", {"labels_from": "folders"}))
        if self.rows and self.origins.isdisjoint(one.origin for one in said.values()):
            names = few([table.words for table in self.labelling])
            others.append(Choice(f"labels from {names}", {"labels_from": "table"}))
        if not labelled and _kinds_in_names(said):
            others.append(Choice(f"labels from the names: {few(_kinds_in_names(said))}", {"label_regex": _REGEX}))
        if labelled:
            others.append(Choice("no labels at all", {"labels_from": "none"}))
        return tuple(others)


_REGEX = r"^(.*?[^\W\d])[\W\d_]*\d[\W\d_]*\.\w+$"


def _kinds_in_names(said: Mapping[PurePosixPath, _Said]) -> list[str]:
    """What the names of the pictures begin with, before a number, where that may be classes: few, and each again."""
    kinds = Counter(found[1] for path in said if (found := NUMBERED.fullmatch(path.stem)) is not None)
    named = kinds.total()
    return sorted(kinds) if 1 < len(kinds) <= named / 2 and named * 2 >= len(said) else []
