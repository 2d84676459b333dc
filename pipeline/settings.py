"""A setting is told once, beside its field: what it means, what it may be, and what it is called where one asks for it.

    epochs: int = setting(3, "passes over the pictures", label="Epochs", low=0, means={0: "the head alone"})

The checks of a configuration, the arguments of the command line, docs/commands.md and the widgets of the Train tab are
made from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pipeline.errors import UsageError

T = TypeVar("T")
KEY = "setting"
# Values that cannot be written.
NOTHING = (None, "", ())
# The largest whole number there is for any setting: that of 64 bits.
LARGEST_WHOLE = 2**63 - 1


@dataclass(frozen=True)
class Setting:
    """What is told about a field of a configuration.

    ``help``: plain words, in the terminal, in the documents and under the widget. ``label``: the field's own term, over
    the widget; ``group``: the box it stands in.

    ``choices``: the values there are, each in words. ``low``, ``high``: the smallest and the largest number it may be;
    ``above``, ``below``: those it has to stay off. ``means``: values that stand for something, in that range or beside
    it, and for what (0: off). ``rule``: what is said of any other value, where that is not made from these; ``{value}``
    and ``{choices}`` are filled in.

    ``flag``: the argument, where it is not ``--`` and the field's name: another one, a place (``SOURCE``), or None for
    none at all. ``const``: what the flag by itself stands for. ``parse``: makes a value of a word of the command line.
    ``metavar``: what stands for that word in its help.
    """

    help: str
    label: str = ""
    group: str = ""
    choices: Mapping[Any, str] | None = None
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    means: Mapping[Any, str] = field(default_factory=dict)
    rule: str = ""
    flag: str | None = ""
    const: Any = None
    parse: Callable[[str], Any] | None = None
    metavar: str | None = None

    def allows(self, value: Any) -> bool:
        """Whether it may have that value; every one of them where it is a tuple."""
        if self.choices is not None:
            return value in self.choices
        if value in self.means:
            return True
        numbers = value if isinstance(value, tuple) else (value,)
        return all(map(self._within, numbers))

    def _within(self, number: Any) -> bool:
        return not _is_number(number) or (
            is_countable(number)
            and (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def refusal(self, name: str, value: Any) -> str:
        """What to say of a value that is not allowed, to a person who calls it ``name``."""
        options = [str(choice) for choice in self.choices or () if choice not in NOTHING]
        if self.rule:
            return self.rule.format(value=value, choices=", ".join(options))
        verb = "are" if isinstance(value, tuple) else "is"
        if self.choices is not None:
            return f"{name} {verb} {', '.join(options[:-1])} or {options[-1]}."
        beside = {
            special: words for special, words in self.means.items() if special != () and not self._within(special)
        }
        return f"{name} {verb} {self._range()}{_in_brackets(beside)}."

    def _range(self) -> str:
        if self.low is not None:
            top = f"to {self.high:g}" if self.high is not None else f"to below {self.below}" if self.below else ""
            return f"from {self.low:g} {top}" if top else f"{self.low:g} or more"
        bottom = f"above {self.above:g}" if self.above is not None else ""
        ends = filter(None, [bottom, f"at most {self.high:g}" if self.high is not None else ""])
        return " and ".join(ends) or "a number that is not too large to count with"

    @property
    def info(self) -> str:
        """The help with what some values stand for."""
        return self.help + _in_brackets(self.means)

    @property
    def named_choices(self) -> list[tuple[str, Any]]:
        """(what to show, value) of its choices."""
        return [(words or str(value), value) for value, words in (self.choices or {}).items()]


def _in_brackets(means: Mapping[Any, str]) -> str:
    special = "; ".join(f"{shown(value)}: {words}" for value, words in means.items() if value not in NOTHING)
    return f" ({special})" if special else ""


def setting(default: T, help: str, **told: Any) -> T:
    """A field of a configuration with its default and what is told about it, see :class:`Setting`."""
    made: T = field(default=default, metadata=about(help, **told))
    return made


def about(help: str, **told: Any) -> Mapping[str, Setting]:
    """The ``metadata`` of a field without a default."""
    return {KEY: Setting(help, **told)}


def settings_of(kind: type) -> dict[str, Setting]:
    """What is told about the fields of a configuration, by their names, in their order."""
    return {one.name: one.metadata[KEY] for one in fields(kind) if KEY in one.metadata}


def option(name: str) -> str:
    """A field's argument on the command line, as it is called by itself: ``--base-lr``."""
    return f"--{name.replace('_', '-')}"


def check(config: Any) -> None:
    """Raises UsageError for the first setting of a configuration whose value is not allowed, saying what is."""
    hints = get_type_hints(type(config))
    for name, told in settings_of(type(config)).items():
        value, called = getattr(config, name), told.flag or option(name)
        if not is_a(value, hints[name]):
            raise UsageError(f"{called} is {_KINDS.get(_kind(hints[name]), 'of another kind')}.")
        if not told.allows(value):
            raise UsageError(told.refusal(called, value))


_KINDS: Mapping[Any, str] = {
    **{int: "a whole number", float: "a number", str: "text", bool: "yes or no", tuple: "a list of such values"},
}


def _kind(hint: Any) -> Any:
    """What a field takes besides None: a class, or tuple for several."""
    if get_origin(hint) is tuple:
        return tuple
    return next((one for one in get_args(hint) if one is not NoneType), hint)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real)


def is_countable(number: float) -> bool:
    """Whether one can count with a number: it is neither NaN nor infinite, and a whole one has 64 bits at most."""
    return abs(int(number)) <= LARGEST_WHOLE if isinstance(number, Integral) else math.isfinite(number)


def is_a(value: Any, hint: Any) -> bool:
    """Whether a value is of the kind a field is annotated with: whole numbers are numbers, True and False are none."""
    kind = _kind(hint)
    if kind is tuple:
        inside = get_args(hint)
        kinds = inside[:1] * len(value) if inside[-1] is ... and isinstance(value, tuple) else inside
        return isinstance(value, tuple) and len(kinds) == len(value) and all(map(is_a, value, kinds))
    if value is None:
        return NoneType in get_args(hint)
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    return not isinstance(kind, type) or isinstance(value, kind)


def check_count(count: Any, what: str) -> None:
    """Raises UsageError where ``what`` is no whole number from 1 on that one can count with."""
    if not is_a(count, int) or not is_countable(count) or count < 1:
        raise UsageError(f"{what} must be 1 or more.")


def shown(value: Any) -> str:
    """A setting's value as text: ``128, 192`` for several, ``yes`` or ``no``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return ", ".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
