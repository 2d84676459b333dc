"""Class names that a person cannot tell apart: characters that show nothing, look-alike letters, other spellings."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import regex

from pipeline.predict import SEVERAL

# Blanks that are no white space by Unicode: Hangul fillers and the empty Braille cell.
BLANKS = regex.compile("[\u3164\uffa0\u2800]")
INVISIBLE = regex.compile(r"[\p{Default_Ignorable_Code_Point}\uFFF9-\uFFFB]")
EMOJI = r"\p{Extended_Pictographic}[\p{Emoji_Modifier}\uFE0F\U000E0020-\U000E007F]*"
CONSONANT = r"[\p{Joining_Type=Dual_Joining}\p{Joining_Type=Left_Joining}]\p{Joining_Type=Transparent}*"
JOINED = r"\p{Joining_Type=Transparent}*[\p{Joining_Type=Dual_Joining}\p{Joining_Type=Right_Joining}]"
VIRAMA = r"\p{L}\p{M}*\p{ccc=9}[\p{M}--\p{ccc=0}]*"
# Where characters that show nothing by themselves change how others are read (joiners: UAX #31, contexts A1, A2 and B).
MEANT = regex.compile(
    rf"""
    (?<={EMOJI})\u200D(?={EMOJI})                             # families, flags, professions
    | (?<={CONSONANT})\u200C(?={JOINED})                      # Persian: letters that do not join within a word
    | (?<={CONSONANT})\u200D(?!{JOINED})                      # Arabic abbreviations: a letter that joins nothing
    | (?<={VIRAMA})\u200C(?=\p{{M}}*\p{{L}})                  # Indic: a virama that is shown
    | (?<={VIRAMA})\u200D                                     # Indic: half forms, chillus
    | (?<=\p{{Script=Bengali}})\u200D(?=\p{{ccc=9}})          # Bengali: ra with ya-phala
    | (?<=[\p{{Emoji}}\p{{Extended_Pictographic}}\p{{Emoji_Modifier}}])[\uFE0E\uFE0F]
    | (?<={EMOJI})[\U000E0020-\U000E007F]                     # flags of regions
    | (?<=\p{{Script=Han}})[\uFE00-\uFE02\U000E0100-\U000E01EF]   # forms of characters in names
    | (?<=\p{{Script=Mongolian}})[\u180B-\u180F]
    | [\u115F\u1160](?=[\u1100-\u11FF\uA960-\uA97C\uD7B0-\uD7FB]) | (?<=[\u1100-\u11FF\uA960-\uA97C])[\u115F\u1160]
    """,
    regex.VERBOSE | regex.VERSION1,
)
# Letters of other alphabets that look like Latin ones, from Unicode's confusables.txt (UTS #39, version 15.1):
# Copyright © 1991-2023 Unicode, Inc., under the Unicode License V3. Those that look like one letter; к and κ besides.
CYRILLIC = (
    "АВЕІЈЅКМНОРСТУХҮӀԌԜѴЬаеіјѕкорсухүһӏԁԛԝѵѡҽг",
    "ABEIJSKMHOPCTYXYIGWVbaeijskopcyxyhidqwvwer",
)
GREEK = ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϺϜͿαγικνορσυϲϳϱ", "ABEZHIKMNOPTYXCMFJayikvopoucjp")
ARMENIAN = ("ՍՏՕաոհսցօքզգռ", "USOwnhugofqqn")
LATIN = ("ɑɡ", "ag")
LIKE_LATIN: Mapping[int, int] = str.maketrans(
    *("".join(half) for half in zip(CYRILLIC, GREEK, ARMENIAN, LATIN, strict=True))
)
ALPHABETS = ("Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Coptic")
OF_ALPHABET = {name: regex.compile(rf"\p{{Script={name}}}") for name in ALPHABETS}
WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*")
LATIN_ACCENTS = regex.compile(r"(?<=\p{Script=Latin})[\u0300-\u036F]+")
BETWEEN = regex.compile(r"(?<=[\p{L}\p{M}\p{N}])[\s_\-\u2010-\u2015]+(?=[\p{L}\p{N}])")
AT_THE_END = regex.compile(r"[\s.,;:_\-]+$")
ORDINARY = regex.compile(r"[ \t\r\n]+")
EXAMPLES = 3


def without_invisible(text: str) -> str:
    """The text in NFC without characters that show nothing, on one line, with single blanks.

    What changes how other characters are read stays: joiners in emoji and in Persian, Arabic and Indic words, selectors
    of emoji, flags, forms of Han and Mongolian characters.
    """
    before = None
    while before != text:
        before, text = text, " ".join(BLANKS.sub(" ", unicodedata.normalize("NFC", text)).split())
        meant = {at for found in MEANT.finditer(text) for at in range(*found.span())}
        text = "".join(c for at, c in enumerate(text) if at in meant or not INVISIBLE.match(c))
    return text


def made_visible(text: str) -> str:
    """The text with what shows nothing in it, or is another blank than the usual one, as ``<U+200B>``."""
    return "".join(
        f"<U+{ord(c):04X}>" if INVISIBLE.match(c) or BLANKS.match(c) or (c.isspace() and c != " ") else c for c in text
    )


@dataclass(frozen=True)
class Spelled:
    """What names were before they were cleaned, as they are read."""

    changed: dict[str, str] = field(default_factory=dict)

    def add(self, text: str, name: str) -> None:
        """Put on record that ``text`` was read as ``name``; nothing, where both are the same by Unicode, or differ in
        ordinary blanks and line ends alone.
        """
        if " ".join(ORDINARY.split(unicodedata.normalize("NFC", text).strip(" \t\r\n"))) != name:
            self.changed[text] = name

    def notes(self, names: Container[str]) -> tuple[str, ...]:
        """At most one sentence about those that became one of ``names``, with the first examples."""
        changed = [(text, name) for text, name in self.changed.items() if name in names]
        if not changed:
            return ()
        first = [f"'{made_visible(text)[:80]}' was read as '{name[:80]}'" for text, name in changed[:EXAMPLES]]
        left = len(changed) - len(first)
        more = f", and {left:,} more" if left else ""
        number = "1 class name was" if len(changed) == 1 else f"{len(changed):,} class names were"
        return (f"{number} tidied: {', '.join(first)}{more}.",)


# --- names that look the same ------------------------------------------------------------------------------------


def look(name: str) -> str:
    """What is the same for names that look the same: letters of other alphabets as the Latin ones they look like."""
    return INVISIBLE.sub("", unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).translate(LIKE_LATIN)))


def spelling(name: str) -> str:
    """What is the same for names that differ in capitals, accents, width, blanks or their end alone, or look the same.

    A single letter is only compared by its look: where letters are classes, a and A are two.
    """
    key = unicodedata.normalize("NFKC", look(name))
    if len(key) > 1:
        key = AT_THE_END.sub("", BETWEEN.sub(" ", key)) or key
        key = LATIN_ACCENTS.sub("", unicodedata.normalize("NFD", key)).casefold()
    return unicodedata.normalize("NFC", key)


def is_mixed(name: str) -> bool:
    """Whether a word of the name has letters of several alphabets, as nobody writes it."""
    words: Iterator[str] = (found[0] for found in WORD.finditer(name))
    return any(sum(bool(letters.search(word)) for letters in OF_ALPHABET.values()) > 1 for word in words)


@dataclass(frozen=True)
class Joined:
    """Which names are one class. ``names``: what each of those that change is called then; ``notes`` say why;
    ``twins``: groups of names that may be one class, of which a person should be asked, the best name first.
    """

    names: Mapping[str, str]
    notes: tuple[str, ...] = ()
    twins: tuple[tuple[str, ...], ...] = ()

    def label(self, label: str | None) -> str | None:
        """The label (several joined by ``|``) under the names as they are then."""
        if label is None or not self.names:
            return label
        return SEVERAL.join(sorted({self.names.get(name, name) for name in label.split(SEVERAL)}))


def joined(counts: Mapping[str, int], existing: Collection[str] = (), join: bool = False) -> Joined:
    """Which of the names that come in (name -> pictures) are one class, with each other or with one of ``existing``.

    A name that mixes alphabets within a word is the one that it looks like, if there is exactly one. Names that look
    the same otherwise, or that differ in capitals, accents, blanks or their end alone, are ``twins``, unless all exist
    already; ``join`` makes each group of them one class, too. Names of ``existing`` never change.
    """
    there = frozenset(existing)
    every = sorted({*counts, *there}, key=lambda name: (name not in there, is_mixed(name), -counts.get(name, 0), name))
    mapping: dict[str, str] = {}
    notes: list[str] = []
    for first, *others in _alike(every, look):
        pure = [name for name in (first, *others) if not is_mixed(name)]
        slips = [name for name in others if name not in there and (is_mixed(name) or is_mixed(first))]
        if len(pure) <= 1 and slips:
            mapping |= dict.fromkeys(slips, first)
            notes.append(f"{_listed(slips)} looks like '{first}' with letters of another alphabet: read as that class.")
    left = [name for name in every if name not in mapping]
    twins = [group for group in _alike(left, spelling) if any(name not in there for name in group)]
    if join:
        pairs = {name: group[0] for group in twins for name in group[1:] if name not in there}
        mapping = {name: pairs.get(target, target) for name, target in mapping.items()} | pairs
        notes += [
            f"{_listed([name for name in group[1:] if name in pairs])} was read as '{group[0]}'." for group in twins
        ]
        return Joined(mapping, tuple(notes))
    return Joined(mapping, tuple(notes), tuple(map(tuple, twins)))


def _alike(names: Sequence[str], key: Callable[[str], str]) -> Iterator[list[str]]:
    """The groups of two and more names that have the same ``key``, each in the order given."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[key(name)].append(name)
    return (group for group in groups.values() if len(group) > 1)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{made_visible(name)}'" for name in names)
