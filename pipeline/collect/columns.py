"""What the columns of a table mean: by the names people give them, and by what is in the first rows."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType

from pipeline.collect.entries import Labelling, split_of
from pipeline.errors import SourceError
from pipeline.images.formats import PICTURE_SUFFIXES


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Names of columns, without regard to case, blanks and signs; in the order of preference.
FILES = _words(
    "path file filename fname image filepath filepaths imagepath imagefile imagefilename imagefilepath fullpath "
    "relativepath relpath img imgpath imgname imgfile picture picturepath photo imageindex imageuri gcsuri "
    "imagepaths images"
)
# These also mean other things: they count where nothing above is there, and no URL.
NAMES = _words("name imagename imageid imgid id idcode isicid photoid pictureid fileid uid uuid petid key stem")
URLS = _words("url link imageurl imagelink photourl pictureurl uri imgurl src coverimageurl mediumurl")
LABELS = _words("labels tags findinglabels categories classes attributes choices multilabel objects annotations")
LABEL = _words(
    "label class category classname labelname categoryname tag class_ choice target groundtruth truelabel "
    "benignmalignant diagnosis dx breed species disease scientificname commonname taxonname taxon findinglabel finding "
    "emotion expression level grade retinopathygrade severity cultivar variety "
    "classid labelid categoryid classindex classidx labelidx targetid"
)
NUMBERED = frozenset(_words("classid labelid categoryid classindex classidx labelidx targetid target label class"))
# What stands where no split is given.
NO_SPLIT = frozenset(("", "nan", "null", "<na>", "#n/a", "none", "unassigned", "unused", "n/a", "-"))
SPLITS = ("split", "splits", "datasplit", "traintestsplit", "trainvaltest", "mluse")
# Only where most of their cells are words for a split.
SPLITS_TOO = _words("set subset dataset datatype partition phase usage part stage mode purpose group type")
FLAGS = MappingProxyType(
    {
        "isvalid": ("valid", "train"),
        "isval": ("valid", "train"),
        "isvalidation": ("valid", "train"),
        "istest": ("test", "train"),
        "istrain": ("train", "test"),
        "istraining": ("train", "test"),
        "istrainingimage": ("train", "test"),
    }
)
FOLDS = ("fold", "kfold", "foldid", "cvfold", "folds")
SCENES = ("scene", "scenes", "sceneid")
GROUPS = _words(
    "patientid patient subjectid subject lesionid studyid caseid groupid group videoid video sequence sequenceid "
    "sessionid session cameraid camera locationid location siteid site burst individualid individual animalid"
)
BOXES = _words("xmin xmax ymin ymax bbox boundingbox x1 x2 y1 y2 predictionstring encodedpixels segmentation")
ANNOTATORS = ("annotator", "annotatorid", "rater", "raterid", "labeler", "labeller", "workerid", "completedby")
# Never a class by what is in them.
NO_CLASS = frozenset(
    _words(
        "text caption description comment comments notes note title width height size channels depth bytes date time "
        "datetime timestamp createdat updatedat leadtime annotationid age ageapprox sex gender weight score "
        "scoreweight validationweight confidence probability format extension mode usage seq number no index row "
        "rownames license licence author creator source url page md5 sha256 hash aptoid viewposition frontallateral "
        "appa followup latitude longitude lat lon latlng quality"
    )
)
FOLDER = ("folder",)
WORDS = (FILES, NAMES, URLS, LABELS, LABEL, SPLITS, tuple(FLAGS), FOLDER, SCENES)
HUMAN_ROLES = MappingProxyType(
    {"path": "file_column", "label": "label_column", "split": "split_column", "scene": "group_column"}
)
YES = frozenset({"1", "true", "yes", "y", "t", "x"})
NO = frozenset({"0", "false", "no", "n", "f", ""})
UNKNOWN = "-1"
ADDRESS = re.compile(r"(https?|gs|s3|file|ftp)://", re.I)
WEB = re.compile(r"https?://", re.I)
PIXELS = re.compile(r"pixels?|pixel\d+|\d+x\d+", re.I)
MOST = 0.8
LOOKED_AT = 1000


@dataclass(frozen=True)
class Meaning:
    """What the columns of a table mean.

    ``names`` are as written (``1``, ``2``, ... where the table has no header: ``headed`` is False). ``roles``: path,
    url, label (one a cell), labels (several a cell), split, is_valid (a flag; see ``flag``), folder, scene -> the
    column's index. ``one_hot``: columns that are classes, with yes or no in each row. ``more``: further labels of a
    row. ``boxes``: a row is a part of a picture; ``annotators``: a row is what one person said. ``notes`` are what one
    should know.
    """

    names: tuple[str, ...]
    roles: Mapping[str, int]
    headed: bool = True
    one_hot: tuple[int, ...] = ()
    flag: tuple[str, str] = ("valid", "train")
    more: tuple[int, ...] = ()
    boxes: bool = False
    annotators: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def known(self) -> frozenset[str]:
        """The roles that are there; one-hot columns are a label."""
        return frozenset(self.roles) | ({"label"} if self.one_hot else set())

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that one-hot columns stand for; ``label_cat``, ``label_dog`` without what they have
        in common, where that is a word for a label.
        """
        named = [self.names[index] for index in self.one_hot]
        starts = {name.partition("_")[0] for name in named if name.partition("_")[2]}
        if len(starts) == 1 and all("_" in name for name in named) and plain(next(iter(starts))) in (*LABEL, *LABELS):
            return tuple(name.partition("_")[2] for name in named)
        return tuple(named)


def plain(name: str) -> str:
    """A column's name for comparing: without case, blanks, signs, and marks that cannot be seen."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in text if character.isalnum())


def like_picture(cell: str) -> bool:
    """Whether a cell ends like the name of a picture."""
    return PurePosixPath(cell.strip().replace("\\", "/").partition("?")[0]).suffix.lower() in PICTURE_SUFFIXES


def as_flag(cell: str) -> bool | None:
    """Whether a cell says yes or no (empty is no). None for -1, which is neither. Raises ValueError for all else."""
    word = cell.strip().lower()
    if re.fullmatch(r"-?[01]\.0*", word):
        word = word.partition(".")[0]
    if word == UNKNOWN:
        return None
    if word in YES or word in NO:
        return word in YES
    raise ValueError(cell)


def meaning_of(
    table: str, first: Sequence[str], rows: Sequence[Sequence[str]], how: Labelling, headed: bool | None = None
) -> Meaning:
    """What the columns mean. ``first`` is the first row that is not empty, ``rows`` up to LOOKED_AT that follow it;
    ``headed``: whether ``first`` names the columns (None: that is to be seen).

    Raises SourceError where ``how`` names a column that is not there, or the pictures themselves are in the cells.
    """
    headed = _is_header(first, rows, how) if headed is None else headed
    names = tuple(" ".join(cell.replace("\ufeff", "").split()) for cell in first)
    if not headed:
        rows = [first, *rows]
        names = tuple(str(number) for number in range(1, max((len(row) for row in rows), default=0) + 1))
    elif rows and all(len(row) == len(first) + 1 and row[-1].strip() for row in rows):
        names = ("", *names)  # R leaves out the name of the column with the rows' names
    return _Look(table, names, headed, rows, how).meaning()


def _is_header(first: Sequence[str], rows: Sequence[Sequence[str]], how: Labelling) -> bool:
    """A row in which a file or address stands where the next rows have one, too, and no name that is known, is data."""
    told = {plain(name) for role in HUMAN_ROLES.values() if (name := getattr(how, role))}
    words = {plain(cell) for cell in first}
    known = {word for group in WORDS for word in group}
    if any(not word.isdigit() for word in words & told):
        return True
    places = [n for n, cell in enumerate(first) if like_picture(cell) or ADDRESS.match(cell.strip())]
    if places:
        below = [row[n] for n in places for row in rows[:20] if n < len(row)]
        return not (not below or any(like_picture(cell) or ADDRESS.match(cell.strip()) for cell in below))
    if words & known or not rows:
        return True
    # 1000,healthy / 1001,rust / 1002,healthy: what stands in the first row comes again below
    again = [
        n for n, cell in enumerate(first) if cell.strip() and sum(row[n] == cell for row in rows if n < len(row)) > 1
    ]
    return not again or all(list(row[: len(first)]) == list(first) for row in rows if row[again[0] : again[0] + 1])


class _Look:
    """One look at a table's header and first rows."""

    def __init__(
        self, table: str, names: tuple[str, ...], headed: bool, rows: Sequence[Sequence[str]], how: Labelling
    ) -> None:
        self.table, self.names, self.headed, self.how = table, names, headed, how
        self.words = [plain(name) for name in names] if headed else [""] * len(names)
        self.cells = [[row[n].strip() for row in rows if n < len(row) and row[n].strip()] for n in range(len(names))]
        self.count = len(rows)
        self.roles: dict[str, int] = {}
        self.notes: list[str] = []
        self.told: set[str] = set()

    def meaning(self) -> Meaning:
        """Named columns first, then files, splits, classes."""
        for role, option in HUMAN_ROLES.items():
            if (name := getattr(self.how, option)) is not None:
                self.roles[role] = self._named(name, option)
                self.told.add(role)
        self._files()
        self._refuse_pixels()
        flag = self._splits()
        self._take("folder", FOLDER)
        self._scenes()
        one_hot = () if "label" in self.told else self._one_hot()
        if not one_hot:
            self._label()
        if not self.headed:
            self.notes.append(f"{self.table} has no header: its first line is a row like the others.")
        return Meaning(
            self.names,
            MappingProxyType(self.roles),
            self.headed,
            one_hot,
            flag,
            self._more(),
            boxes=any(word in BOXES or word.startswith("bbox") for word in self.words),
            annotators=bool(set(self.words) & set(ANNOTATORS)),
            notes=tuple(self.notes),
        )

    # --- by name

    def _named(self, name: str, option: str) -> int:
        for same in (str, lambda text: text.strip().casefold(), plain):
            found = [n for n, column in enumerate(self.names) if same(column) == same(name) and same(name)]
            if found:
                return found[0]
        raise SourceError(
            f"{self.table} has no column '{name[:60]}' (--{option.replace('_', '-')}). It has: {self.listed()}."
        )

    def listed(self) -> str:
        """The names of the columns, in words."""
        return listed(self.names, self.headed)

    def _free(self) -> list[int]:
        return [n for n in range(len(self.names)) if n not in self.roles.values()]

    def _with(self, words: Iterable[str]) -> list[int]:
        """The free columns that are called like that, the most preferred word first."""
        free = self._free()
        return [n for word in words for n in free if self.words[n] == word]

    def _take(self, role: str, words: Iterable[str]) -> None:
        found = self._with(words)
        if found and role not in self.roles:
            self.roles[role] = found[0]

    # --- files and addresses

    def _files(self) -> None:
        self._take("url", URLS)
        if "path" in self.roles:
            return
        strong = self._with(FILES)
        weak = [] if "url" in self.roles else self._with(NAMES)
        like = [n for n in self._free() if self._share(n, like_picture) >= MOST and not self._share(n, WEB.match)]
        chosen = [n for n in strong if n in like] or strong or [n for n in weak if n in like] or weak
        if not chosen and (found := [n for n in like if self.words[n] not in NO_CLASS]):
            chosen = found
            self.notes += self._decided(found[0], "its cells end like pictures", "file")
        if chosen:
            self.roles["path"] = chosen[0]
        elif "url" not in self.roles:
            addresses = [n for n in self._free() if self._share(n, ADDRESS.match) >= MOST]
            if addresses:
                web = self._share(addresses[0], WEB.match) >= MOST
                self.roles["url" if web else "path"] = addresses[0]

    def _share(self, column: int, test: object) -> float:
        cells = self.cells[column]
        return sum(bool(test(cell)) for cell in cells) / len(cells) if cells else 0.0  # type: ignore[operator]

    def _decided(self, column: int, why: str, option: str) -> list[str]:
        if not self.headed:
            return []
        return [
            f"{self.table}: the column '{self.names[column]}' is the {option}, for {why} (else: --{option}-column)."
        ]

    def _refuse_pixels(self) -> None:
        pixels = [name for name in self.names if self.headed and PIXELS.fullmatch(name)]
        if pixels and not {"path", "url"} & set(self.roles):
            where = f"columns '{pixels[0]}' ..." if len(pixels) > 1 else f"column '{pixels[0]}'"
            raise SourceError(
                f"{self.table} holds the pictures themselves, as numbers in the {where}. Save each row as a picture "
                "file (PIL.Image.fromarray), in a folder for each class, and import that."
            )

    # --- splits and scenes

    def _splits(self) -> tuple[str, str]:
        for n in self._with(FOLDS):
            self.notes.append(f"{self.table}: '{self.names[n]}' numbers folds; that is no split, and was not used.")
        if "split" in self.roles:
            return self._flag(self.roles["split"])
        self._take("split", SPLITS)
        if "split" not in self.roles:
            likely = [n for n in self._with(SPLITS_TOO) if self._share(n, split_of) >= 0.5]
            free = [n for n in self._free() if self.words[n] not in (*LABEL, *LABELS, *FILES, *NAMES)]
            most = [n for n in free if self._share(n, _split_like) >= MOST and any(map(split_of, self.cells[n]))]
            likely += [n for n in most if not self.headed or len({split_of(cell) for cell in self.cells[n]}) > 1]
            if likely:
                self.roles["split"] = likely[0]
        if "split" not in self.roles:
            for n in self._with(FLAGS):
                self.roles["is_valid"] = n
                return FLAGS[self.words[n]]
        return FLAGS["isvalid"]

    def _flag(self, column: int) -> tuple[str, str]:
        """A named split column may be a flag."""
        word = self.words[column]
        if word in FLAGS:
            self.roles["is_valid"] = self.roles.pop("split")
        return FLAGS.get(word, FLAGS["isvalid"])

    def _scenes(self) -> None:
        self._take("scene", SCENES)
        if "scene" in self.roles:
            return
        for n in self._with(GROUPS):
            kinds = len(set(self.cells[n]))
            if 1 < kinds < len(self.cells[n]):
                self.notes.append(
                    f"{self.table}: '{self.names[n]}' may say which pictures belong together ({kinds:,} of them in the "
                    f'first {self.count:,} rows); --group-column "{self.names[n]}" keeps them in one split.'
                )
                return

    # --- classes

    def _one_hot(self) -> tuple[int, ...]:
        if self._with((*LABELS, *LABEL)) and not self._only_flags(self._with((*LABELS, *LABEL))):
            return ()
        columns = [
            n
            for n in self._free()
            if self.cells[n] and self.words[n] and not self._passed_over(n) and all(map(_flag_like, self.cells[n]))
        ]
        return tuple(columns) if self.headed and len(columns) > 1 else ()

    def _only_flags(self, columns: Sequence[int]) -> bool:
        """Whether columns called like labels are among many with yes and no, like one class called ``target``."""
        flags = [n for n in self._free() if self.cells[n] and all(map(_flag_like, self.cells[n]))]
        return len(flags) > 3 and all(n in flags for n in columns) and self.words[columns[0]] not in ("label", "class")

    def _passed_over(self, column: int) -> bool:
        word = self.words[column]
        return word in NO_CLASS or word in (*FOLDS, *FLAGS, *GROUPS, *BOXES) or word.startswith("unnamed")

    def _label(self) -> None:
        if "label" in self.told:
            if self.words[self.roles["label"]] in LABELS:
                self.roles["labels"] = self.roles.pop("label")
            return
        found = [n for n in self._with((*LABELS, *LABEL)) if self.cells[n]] or self._with((*LABELS, *LABEL))
        several = [n for n in found if self.words[n] in LABELS]
        one = [n for n in found if n not in several]
        if found:
            chosen = self._in_words(one[0] if one else several[0], found)
            self.roles["labels" if chosen in several else "label"] = chosen
            self._tell_others(chosen, found)
        elif (chosen_by_data := self._repeated()) is not None:
            self.roles["label"] = chosen_by_data
            self.notes += self._decided(chosen_by_data, "its values come again and again", "label")

    def _in_words(self, chosen: int, found: Sequence[int]) -> int:
        """The column that says in words what ``chosen`` says in numbers; itself where there is none."""
        if self.words[chosen] not in NUMBERED or not all(_is_number(cell) for cell in self.cells[chosen]):
            return chosen
        numbers = self.cells[chosen]
        for n in found:
            words = self.cells[n]
            if len(words) == len(numbers) and not any(map(_is_number, words)):
                pairs = set(zip(numbers, words, strict=True))
                if len(pairs) == len(set(numbers)) == len(set(words)):
                    return n
        return chosen

    def _tell_others(self, chosen: int, found: Sequence[int]) -> None:
        others = [n for n in found if n != chosen and len(set(self.cells[n])) > 1]
        if others:
            self.notes.append(
                f"{self.table}: the label is taken from '{self.names[chosen]}'; it could also be "
                f"{', '.join(repr(self.names[n]) for n in others[:5])} (--label-column)."
            )

    def _repeated(self) -> int | None:
        """The one free column with few values that come again; words go before numbers."""
        likely = [n for n in self._free() if not self._passed_over(n) and self._comes_again(n)]
        best = [n for n in likely if not all(map(_is_number, self.cells[n]))] or likely
        if self.headed:
            flags = [n for n in self._free() if len(self.cells[n]) > 1 and all(map(_flag_like, self.cells[n]))]
            flags = [n for n in flags if self.words[n] and not self._passed_over(n)]
            best = best or flags
            return best[0] if len(best) == 1 else None
        rest = [n for n in best or self._free() if self.cells[n]]
        after = [n for n in rest if n > self.roles.get("path", -1)] or rest
        alike = len(after) > 1 and set(self.cells[after[0]]) & set(self.cells[after[1]])
        return after[0] if after and (best or len(after) == 1 or alike) else None

    def _more(self) -> tuple[int, ...]:
        """Columns of a table without a header that go on with the labels."""
        if self.headed or "label" not in self.roles or "label" in self.told:
            return ()
        label = self.roles["label"]
        kinds = set(self.cells[label])
        return tuple(
            n
            for n in range(label + 1, len(self.names))
            if self.cells[n] and n not in self.roles.values() and kinds & set(self.cells[n])
        )

    def _comes_again(self, column: int) -> bool:
        cells = self.cells[column]
        kinds = set(cells)
        if len(kinds) * 2 > len(cells) or len(cells) * 2 <= self.count or (self.headed and len(kinds) < 2):
            return False
        return not any(_is_number(cell) and not float(cell).is_integer() for cell in kinds)


def listed(names: Sequence[str], headed: bool = True) -> str:
    """The names of columns, in words."""
    shown = [repr(name) if headed else f"{name}." for name in names if name][:30]
    more = len(names) - len(shown)
    return (", ".join(shown) or "none")[:600] + (f" and {more} more" if len(shown) == 30 and more else "")


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _split_like(cell: str) -> bool:
    return split_of(cell) is not None or cell.lower() in NO_SPLIT


def _flag_like(cell: str) -> bool:
    try:
        as_flag(cell)
    except ValueError:
        return False
    return True
