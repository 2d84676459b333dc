"""What encoding the names in an archive are in, where it does not say: one for all of them, by what they would say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.collect.entries import NamesRead
from pipeline.collect.letters import bits
from pipeline.errors import SourceError, UsageError

# encoding -> (its name in words, the language of its Chinese characters, how unlikely it is, in bits)
KNOWN: Mapping[str, tuple[str, str | None, float]] = {
    "utf-8": ("UTF-8", None, 0.0),
    "cp437": ("the code page of DOS (cp437)", None, 2.0),
    "cp850": ("the Western code page of DOS (cp850)", None, 2.0),
    "cp1252": ("the Western code page of Windows (cp1252)", None, 3.0),
    "cp932": ("Shift-JIS (cp932)", "ja", 2.0),
    "gb18030": ("GBK (gb18030)", "zh", 2.0),
    "cp950": ("Big5 (cp950)", "zh-tw", 3.0),
    "cp949": ("Korean (cp949)", "ko", 3.0),
    "cp866": ("the Cyrillic code page of DOS (cp866)", None, 3.0),
    "cp1251": ("the Cyrillic code page of Windows (cp1251)", None, 3.0),
    "koi8-r": ("KOI8-R", None, 7.0),
    "cp852": ("the Central European code page of DOS (cp852)", None, 5.0),
    "cp1250": ("the Central European code page of Windows (cp1250)", None, 5.0),
    "cp857": ("the Turkish code page of DOS (cp857)", None, 7.0),
    "cp1254": ("the Turkish code page of Windows (cp1254)", None, 7.0),
    "cp737": ("the Greek code page of DOS (cp737)", None, 8.0),
    "cp1253": ("the Greek code page of Windows (cp1253)", None, 8.0),
    "euc_jp": ("EUC-JP", "ja", 5.0),
    "cp862": ("the Hebrew code page of DOS (cp862)", None, 7.0),
    "cp1255": ("the Hebrew code page of Windows (cp1255)", None, 5.0),
    "cp720": ("the Arabic code page of DOS (cp720)", None, 7.0),
    "cp1256": ("the Arabic code page of Windows (cp1256)", None, 5.0),
    "cp874": ("the Thai code page (cp874)", None, 5.0),
}
ALIASES = {
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "big5": "cp950",
    "euc-kr": "cp949",
    "euc-jp": "euc_jp",
    "utf8": "utf-8",
    "windows-1252": "cp1252",
    "windows-1251": "cp1251",
    "windows-1250": "cp1250",
}
PLAUSIBLE_BITS = 6.0
MOST_OTHERS = 3
MOST_PARTS, MOST_LETTERS = 500, 200  # that are looked at, of names


@dataclass(frozen=True)
class Names:
    """The ``encoding`` that the names of an archive are read in, and ``others`` that say something else and are nearly
    as likely, the likeliest first. ``parts``: some of what was looked at.
    """

    encoding: str
    others: tuple[str, ...] = ()
    parts: tuple[bytes, ...] = ()

    def text(self, raw: bytes) -> str:
        """The name. Raises SourceError where it is none in this encoding."""
        try:
            return raw.decode(self.encoding)
        except UnicodeDecodeError as error:
            name = raw.decode("ascii", "backslashreplace")[:200]
            raise SourceError(
                f"The name {name} cannot be read as {self.encoding}. Leave --name-encoding out, or give another one."
            ) from error

    def note(self, archive: str) -> NamesRead | None:
        """What the person should know about the names; None where there is nothing to be doubted."""
        if not self.parts or (self.encoding == "utf-8" and not self.others):
            return None
        words = f"Names in {archive} were read as {_in_words(self.encoding)}: {self._some(self.encoding)}."
        others = {other: f"{_in_words(other)}: {self._some(other)}" for other in self.others}
        if others:
            words += f" They could also be {'; or '.join(others.values())}."
        return NamesRead(f"{words} --name-encoding gives another one.", others)

    def _some(self, encoding: str) -> str:
        texts = list(dict.fromkeys(part.decode(encoding, "replace") for part in self.parts))
        texts = [text if text.isprintable() else ascii(text)[1:-1] for text in texts]
        return ", ".join(text[:40] for text in texts[:3]) + (" ..." if len(texts) > 3 else "")


def encoding_named(encoding: str) -> str:
    """The encoding as Python calls it. Raises UsageError where there is none that names could be in."""
    name = encoding.strip().lower()
    name = ALIASES.get(name, name)
    letters = bytes(range(32, 127))
    try:
        fits = letters.decode(name) == letters.decode("ascii") and b"\xc3\xa9".decode(name, "replace") != ""
    except (LookupError, ValueError, TypeError):  # a codec that is none of text raises LookupError
        fits = False
    if not fits:
        raise UsageError(f"--name-encoding is an encoding like {', '.join(list(KNOWN)[:9])}, not '{encoding[:40]}'.")
    return name


def names_of(raw: Iterable[bytes], known: Sequence[tuple[bytes, str]] = (), dos: bool = False) -> Names:
    """How names of an archive are to be read, by all of them together. ``known``: names of which the archive says what
    they are; ``dos``: they come from DOS or Windows.
    """
    every = sorted({part for name in raw if not name.isascii() for part in name.split(b"/") if not part.isascii()})
    if not every:
        return Names("utf-8")
    some = every[:: -(-len(every) // MOST_PARTS)]
    ranked = []
    for encoding, (_, language, unlikely) in KNOWN.items():
        if all(_is_text(part, encoding) for part in every):
            texts = [part.decode(encoding)[:MOST_LETTERS] for part in some]
            wrong = any(name.decode(encoding, "replace") != text for name, text in known)
            likely = 2.0 if encoding == "utf-8" and not dos else 0.0
            ranked.append((bits(texts, language) + unlikely + 50.0 * wrong - likely, encoding, texts))
    ranked.sort()
    least, best, texts = ranked[0]
    said, others = [texts], []
    for cost, encoding, texts in ranked[1:]:
        if cost - least < PLAUSIBLE_BITS and texts not in said:
            said.append(texts)
            others.append(encoding)
    return Names(best, tuple(others[:MOST_OTHERS]), tuple(some[:5]))


def _is_text(part: bytes, encoding: str) -> bool:
    try:
        part.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _in_words(encoding: str) -> str:
    return KNOWN[encoding][0] if encoding in KNOWN else encoding
