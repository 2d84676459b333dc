"""Class names -> folder names that every file system takes and keeps apart."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

from pipeline.collect.archives import NOISE
from pipeline.collect.entries import SPLIT_NAMES

MAX_BYTES = 255
HASH_DIGITS = 8
FORBIDDEN = re.compile(r'[/\\:*?"<>|]')
# Control characters, surrogates, what no standard has assigned (APFS refuses it), and line and paragraph separators.
FORBIDDEN_KINDS = ("Cc", "Cs", "Cn", "Zl", "Zp")
BIDI = re.compile("[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ufeff]")
# Device names of Windows, with any extension.
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL)


def folder_names(classes: Iterable[str], taken: Iterable[str] = ()) -> Mapping[str, str]:
    """The folder of each class: its name where that is fit, else a likeness of it with a part of the name's SHA-256.

    No two are equal on a file system that ignores case, or the ways to write one character; none is ``taken``, none
    would be read as a split, and none is longer than 255 bytes. The same classes give the same names.
    """
    labels = sorted(set(classes))
    not_free = {_key(name) for name in (*taken, *SPLIT_NAMES, *NOISE)}
    keys = Counter(_key(_fit(label)) for label in labels)
    names = {label: label for label in labels if label and _fit(label) == label and keys[_key(label)] == 1}
    names = {label: name for label, name in names.items() if _key(name) not in not_free}
    not_free |= {_key(name) for name in names.values()}
    for label in labels:
        if label not in names:
            names[label] = _marked(label, not_free)
            not_free.add(_key(names[label]))
    return names


def _fit(label: str) -> str:
    """The likeness of a class name that may stand in a path; the name itself where that may."""
    text = unicodedata.normalize("NFC", BIDI.sub("", FORBIDDEN.sub("_", label)))
    text = "".join("_" if unicodedata.category(c) in FORBIDDEN_KINDS else c for c in text)
    text = _cut(text.strip().lstrip(".").strip(), MAX_BYTES).rstrip(". ")
    return f"_{text}" if RESERVED.fullmatch(text) else text


def _marked(label: str, not_free: set[str]) -> str:
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()
    for digits in range(HASH_DIGITS, len(digest) + 1):
        mark = digest[:digits]
        name = f"{_cut(_fit(label), MAX_BYTES - digits - 1).rstrip('. ') or 'class'}-{mark}"
        if _key(name) not in not_free:
            break
    return name


def _cut(text: str, size: int) -> str:
    return text.encode("utf-8")[:size].decode("utf-8", "ignore")


def _key(name: str) -> str:
    """What is equal for two names that some file system takes for the same."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in folded if unicodedata.category(c) != "Cf")
