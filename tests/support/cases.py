"""Folders, archives and tables as people have them, written down as one mapping, and what is right about each.

``"train/cat/1.jpg": shows("cat", "train")`` is a picture at its place, with the label and the split that it has to get;
a text is a file with that text, ``None`` an empty folder, ``link("..")`` a link. So what a case expects stands beside
what it is made of, and every picture has bytes of its own, by which it is found again in the workspace.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from PIL import Image, ImageDraw

from pipeline.collect.importing import ImportConfig, Imported
from pipeline.collect.reading import Reading
from pipeline.collect.sources import read
from pipeline.errors import PipelineError
from pipeline.workspace.workspace import Workspace
from tests.support.importing import bring_in

ENCODINGS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".ppm": "PPM",
}
ANY = "*"
ABSENT = "absent"
Answers: TypeAlias = tuple[str | None, ...]


@dataclass(frozen=True)
class Picture:
    """What a picture has to be called, and its split; of several answers each is right. ``same``: the place of the
    picture that it is a copy of. ``taken``: whether it has to be brought in at all.
    """

    labels: Answers
    splits: Answers
    same: str = ""
    taken: bool = True


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    to: str


Thing: TypeAlias = Picture | Link | str | bytes | None
Tree: TypeAlias = Mapping[str, Thing]


@dataclass(frozen=True)
class Case:
    """What lies there, what of it is imported, and what the reading has to mention and to ask.

    ``says``: words of the layout, the notes, the questions or the refusals. ``refused``: how many parts of the source
    (of a table, say) are given back with a reason; None is any number.
    """

    tree: Tree
    source: str = "."
    says: tuple[str, ...] = ()
    asks: bool = False
    refused: int | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def shows(label: str | Answers | None = None, split: str | Answers | None = None, same: str = "") -> Picture:
    return Picture(_answers(label), _answers(split), same)


def _answers(of: str | Answers | None) -> Answers:
    return of if isinstance(of, tuple) else (of,)


LEFT_OUT = Picture((ANY,), (ANY,), taken=False)
ANYTHING = Picture((ANY,), (ANY,))
link = Link


def each(name: str, numbers: Iterable[object], thing: Thing) -> dict[str, Thing]:
    """Several alike, named by a pattern with ``{}``."""
    return {name.format(number): thing for number in numbers}


def classes(name: str, labels: Iterable[str], split: str | Answers | None = None, count: int = 2) -> dict[str, Thing]:
    """``count`` pictures for each label, named by a pattern with ``{label}`` and ``{number}``."""
    names = {label: [name.format(label=label, number=number) for number in range(count)] for label in labels}
    return {place: shows(label, split) for label, places in names.items() for place in places}


def rows(*lines: str) -> str:
    return "\n".join(lines) + "\n"


# --- made ---------------------------------------------------------------------------------------------------------


@cache
def drawn(number: int, encoding: str) -> bytes:
    """A picture of 16 x 16 that no other number has, and no other format."""
    image = Image.new("RGB", (16, 16), (number * 37 % 256, number * 91 % 256, 60))
    ImageDraw.Draw(image).rectangle((number % 8, number // 8 % 8, 12, 14), fill=(255 - number % 256, 30, 200))
    image.putpixel((0, 0), (number % 256, number // 256, 0))
    target = io.BytesIO()
    image.save(target, encoding)
    return target.getvalue()


def contents(tree: Tree) -> dict[str, bytes]:
    """The bytes of all that is a file."""
    found: dict[str, bytes] = {}
    for number, (name, thing) in enumerate(tree.items()):
        if isinstance(thing, Picture):
            encoding = ENCODINGS.get(Path(name).suffix.lower(), "PNG")
            found[name] = found[thing.same] if thing.same else drawn(number, encoding)
        elif isinstance(thing, str | bytes):
            found[name] = thing.encode() if isinstance(thing, str) else thing
    return found


def lay(root: Path, tree: Tree) -> Path:
    """The tree as a folder."""
    files = contents(tree)
    root.mkdir(parents=True, exist_ok=True)
    for name, thing in tree.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(thing, Link):
            place.symlink_to(thing.to)
        elif thing is None:
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(files[name])
    return root


def packed(target: Path, tree: Tree) -> Path:
    """The tree as a .zip, or else a .tar.gz."""
    files = contents(tree)
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(target, "w:gz") as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return target


class _Named(zipfile.ZipInfo):
    """An entry whose name is written as the bytes that a program of another country writes."""

    raw = b""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.raw, 0


def zipped_as(target: Path, tree: Tree, encoding: str, unicode_field: bool = False) -> Path:
    """A .zip whose names are in ``encoding`` and not marked, with the Unicode extra field where that is wanted."""
    with zipfile.ZipFile(target, "w") as archive:
        for number, (name, data) in enumerate(contents(tree).items()):
            entry = _Named(f"{number}")
            entry.raw = name.encode(encoding)
            if unicode_field:
                told = b"\1" + zlib.crc32(entry.raw).to_bytes(4, "little") + name.encode()
                entry.extra = b"\x75\x70" + len(told).to_bytes(2, "little") + told
            archive.writestr(entry, data)
    return target


# --- compared -----------------------------------------------------------------------------------------------------


def words(imported: Imported) -> str:
    """All that a person is told about an import, as one text."""
    parts = [imported.layout, *imported.notes, *imported.left_out, *imported.empty]
    parts += [f"{count}" for count in imported.left_out.values()]
    for question in imported.questions:
        parts += [question.text, *(choice.words for choice in question.choices)]
    parts += [choice.words for choice in imported.others]
    parts += [f"{refused.path} {refused.reason}" for refused in imported.failed]
    return "\n".join(map(str, parts))


def stored(workspace: Workspace) -> dict[str, Answers]:
    """SHA-256 of the bytes -> label and split that the workspace gives."""
    rows = workspace.store.images()
    return {row.id: (row.label, row.given_split) for row in rows.itertuples()}


def as_read(reading: Reading) -> dict[str, Answers]:
    """SHA-256 of the bytes -> label and split that a reading gives; of the same bytes twice, the first that has one."""
    came: dict[str, Answers] = {}
    for entry in reading.entries:
        with entry.open() as file:
            data = file.read()
        image = hashlib.sha256(data).hexdigest()
        label, split = came.get(image, (None, None))
        came[image] = (label or entry.label, split or entry.split)
    return came


def differences(came: Mapping[str, Answers], tree: Tree) -> dict[str, str]:
    """What is not right in what came (SHA-256 -> label and split): a picture's place -> what it is, what is right."""
    files = contents(tree)
    wrong: dict[str, str] = {}
    for name, thing in tree.items():
        if not isinstance(thing, Picture):
            continue
        label, split = got = came.get(hashlib.sha256(files[name]).hexdigest(), (ABSENT, None))
        if label == ABSENT and thing.taken:
            wrong[name] = f"is not brought in; right: {thing.labels}, {thing.splits}"
        elif label != ABSENT and not thing.taken:
            wrong[name] = f"is brought in as {label}"
        elif thing.taken and not (_fits(label, thing.labels) and _fits(split, thing.splits)):
            wrong[name] = f"is {got}; right: {thing.labels}, {thing.splits}"
    return wrong


def _fits(value: str | None, answers: Answers) -> bool:
    return ANY in answers or value in answers


def problems(workspace: Workspace, folder: Path, case: Case, store: bool = False) -> list[str]:
    """All that is wrong with how a case is read (``store``: is brought in); nothing where all is right."""
    source, options = folder / case.source, dict(case.options)
    try:
        imported = bring_in(workspace, source, **options, dry_run=not store)
        how = ImportConfig(str(source), **options).labelling()
        came = stored(workspace) if store else as_read(read(source, how))
    except PipelineError as error:
        return [f"refused whole: {error}"]
    found = [f"{name} {what}" for name, what in differences(came, case.tree).items()]
    told = words(imported)
    found += [f"nothing is said of {word!r} in: {told}" for word in case.says if word.lower() not in told.lower()]
    if case.asks and not imported.questions:
        found.append(f"nothing is asked in: {told}")
    if case.refused is not None and len(imported.failed) != case.refused:
        found.append(f"{len(imported.failed)} parts are refused, not {case.refused}: {imported.failed}")
    return found
