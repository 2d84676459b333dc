"""Names that every file system takes and keeps apart: the folder of each class, and the file of each picture, which is
called as its source called it where that may be.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from pipeline.collect.entries import SPLIT_NAMES
from pipeline.collect.noise import noise_of
from pipeline.images.formats import EXTENSIONS, PICTURE_SUFFIXES, READABLE
from pipeline.safe_text import defused

MAX_NAME_BYTES = 255
HASH_DIGITS = 8
MOST_FOLDERS = 12
FORBIDDEN = re.compile(r'[/\\:*?"<>|]')
# Control characters, surrogates, what no standard has assigned (APFS refuses it), and line and paragraph separators.
FORBIDDEN_KINDS = ("Cc", "Cs", "Cn", "Zl", "Zp")
BIDI = re.compile("[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ufeff]")
# Device names of Windows, with any extension.
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL)
WEB = re.compile(r"\s*https?://", re.IGNORECASE)


# --- the folders of classes -----------------------------------------------------------------------------------------


def folder_names(classes: Iterable[str], taken: Iterable[str] = ()) -> Mapping[str, str]:
    """The folder of each class: its name where that is fit, else a likeness of it with a part of the name's SHA-256.

    No two are equal on a file system that ignores case, or the ways to write one character; none is ``taken``, none
    would be read as a split or left out by an import, and none is longer than 255 bytes. The same classes give the same
    names.
    """
    labels = sorted(set(classes))
    not_free = {alike(name) for name in (*taken, *SPLIT_NAMES)}
    keys = Counter(alike(_fit(label)) for label in labels)
    names = {label: label for label in labels if label and _fit(label) == label and keys[alike(label)] == 1}
    names = {label: name for label, name in names.items() if alike(name) not in not_free}
    not_free |= {alike(name) for name in names.values()}
    for label in labels:
        if label not in names:
            names[label] = _marked(label, not_free)
            not_free.add(alike(names[label]))
    return names


def _marked(label: str, not_free: set[str]) -> str:
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()
    for digits in range(HASH_DIGITS, len(digest) + 1):
        mark = digest[:digits]
        name = f"{_cut(_fit(label), MAX_NAME_BYTES - digits - 1).rstrip('. ') or 'class'}-{mark}"
        if alike(name) not in not_free:
            break
    return name


# --- the files of pictures ------------------------------------------------------------------------------------------


def file_name(source: str, extension: str) -> str:
    """What a picture's file is called by its source (a path or an address) and how it is written now: ``IMG_1.JPEG``
    stays for ``jpg``, ``IMG_1.heic`` becomes ``IMG_1.jpg``. Empty where the source has no name for it.
    """
    path = unquote(urlsplit(source).path, errors="replace") if WEB.match(source) else source
    name = PurePosixPath(path.replace("\\", "/")).name
    ending = PurePosixPath(name).suffix
    kind = next((kind for kind, written in EXTENSIONS.items() if written == extension), "")
    same = READABLE[kind].endings if kind else (extension,)
    if ending.lower() in PICTURE_SUFFIXES:
        name = name[: -len(ending)]
    return fit_file(name, ending if ending[1:].lower() in same else f".{extension}") if name.strip(". ") else ""


def fit_file(stem: str, ending: str) -> str:
    """The likeness of a file's name that may stand in a path, and in the cell of a table as it is."""
    name = _fit(stem.replace(";", "_"), ending)  # a spreadsheet may begin a new cell behind it
    runs = any(defused(one) != one for one in (name, numbered(name, 2)))
    return _fit(f"_{name.removesuffix(ending)}", ending) if runs else name


def source_folders(source: str) -> tuple[str, ...]:
    """The folders of a picture in its source, each fit to stand in a path; none for an address, or for a path from the
    root of a machine, whose folders are not those of a set.
    """
    path = source.replace("\\", "/")
    if WEB.match(path) or path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path):
        return ()
    parts = [part for part in PurePosixPath(path).parts[:-1] if part.strip(". ")]
    return tuple(name for part in parts[:MOST_FOLDERS] if (name := fit_file(part, "")))


def places(wanted: Sequence[tuple[PurePosixPath, str]], folders: Iterable[PurePosixPath] = ()) -> list[PurePosixPath]:
    """Where each file goes, by the folder and the name that are wanted for it: no two are equal on any file system, and
    none is one of the ``folders``. The first that wants a name has it; one that meets it has a number behind the stem.
    Folders that some file system takes for one are one.
    """
    spelled: dict[str, PurePosixPath] = {}
    for folder in dict.fromkeys((*folders, *(folder for folder, _ in wanted))):
        for above in (*reversed(folder.parents), folder):
            parent = spelled.get(_folder_key(above.parent), PurePosixPath())
            spelled.setdefault(_folder_key(above), parent / above.name)
    taken = set(spelled)
    keys = [f"{_folder_key(folder)}/{alike(name)}" for folder, name in wanted]
    first = {key: index for index, key in reversed(list(enumerate(keys))) if key not in taken}
    taken |= first.keys()
    numbers: Counter[str] = Counter()
    found = []
    for index, (folder, name) in enumerate(wanted):
        chosen = name
        if first.get(keys[index]) != index:
            while f"{_folder_key(folder)}/{alike(chosen)}" in taken:
                numbers[keys[index]] += 1
                chosen = numbered(name, numbers[keys[index]] + 1)
            taken.add(f"{_folder_key(folder)}/{alike(chosen)}")
        found.append(spelled[_folder_key(folder)] / chosen)
    return found


def numbered(name: str, number: int) -> str:
    """A file's name with a number behind its stem: ``a-2.jpg``."""
    ending = f"-{number}{PurePosixPath(name).suffix}"
    return f"{_cut(PurePosixPath(name).stem, MAX_NAME_BYTES - len(ending.encode(errors='replace')))}{ending}"


@lru_cache(maxsize=4096)
def _folder_key(folder: PurePosixPath) -> str:
    return "".join(f"/{alike(part)}" for part in folder.parts)


# --- what both are made of ------------------------------------------------------------------------------------------


def _fit(text: str, ending: str = "") -> str:
    """The likeness of a name that may stand in a path, before its ending; the name itself where that may."""
    text = unicodedata.normalize("NFC", BIDI.sub("", FORBIDDEN.sub("_", text)))
    text = "".join("_" if unicodedata.category(c) in FORBIDDEN_KINDS else c for c in text)
    text = text.strip().lstrip(".").strip()
    text = _cut(text, MAX_NAME_BYTES - len(ending.encode()))
    name = f"{text}{ending}" if ending else text.rstrip(". ")
    if RESERVED.fullmatch(name) or noise_of(name):
        return f"_{_cut(name.removesuffix(ending), MAX_NAME_BYTES - len(ending.encode()) - 1)}{ending}"
    return name


def _cut(text: str, size: int) -> str:
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")


def alike(name: str) -> str:
    """What is equal for two names that some file system takes for the same."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in folded if unicodedata.category(c) != "Cf")
