"""A setting is told once: what is said of it, and which values it takes, comes from beside its field."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pipeline.errors import UsageError
from pipeline.settings import about, check, setting, settings_of, shown


@dataclass(frozen=True)
class Baking:
    what: str = field(metadata=about("what is baked", flag="WHAT"))
    minutes: float = setting(12.5, "how long", above=0, high=60)
    loaves: int = setting(0, "how many at once", low=2, high=8, means={0: "as many as fit"})
    share: float = setting(0.5, "of rye", low=0, below=1)
    rises: int = setting(1, "how often it rises", low=0, means={0: "it is flat"})
    crust: str = setting("dark", "its crust", choices={"dark": "as grandmother did", "light": "", "none": "steamed"})
    shape: str = setting("", "its shape", choices={"": "any", "round": ""}, rule="Never '{value:.4}': {choices}.")
    degrees: tuple[int, ...] = setting((), "one after the other", low=100, high=250, means={(): "always the same"})
    by: str = ""

    def __post_init__(self) -> None:
        check(self)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"minutes": 0}, "--minutes is above 0 and at most 60."),
        ({"minutes": float("nan")}, "--minutes is above 0 and at most 60."),
        ({"loaves": 1}, "--loaves is from 2 to 8 (0: as many as fit)."),
        ({"share": 1.0}, "--share is from 0 to below 1."),
        ({"rises": -1}, "--rises is 0 or more."),
        ({"crust": "blue"}, "--crust is dark, light or none."),
        ({"shape": "triangle"}, "Never 'tria': round."),
        ({"degrees": (200, 90)}, "--degrees are from 100 to 250."),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_the_rule(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        Baking("bread", **wrong)  # type: ignore[arg-type]
    assert str(refused.value) == said


def test_what_is_allowed_passes_at_the_very_ends_and_beside_the_range() -> None:
    Baking("bread", minutes=60, loaves=0, share=0, rises=0, shape="round", degrees=(100, 250), by="anybody")


def test_what_is_told_of_a_field_is_found_in_the_order_of_the_fields() -> None:
    told = settings_of(Baking)
    assert list(told) == ["what", "minutes", "loaves", "share", "rises", "crust", "shape", "degrees"]
    assert (
        told["loaves"].info == "how many at once (0: as many as fit)" and told["degrees"].info == "one after the other"
    )


def test_a_value_as_text() -> None:
    assert [shown(value) for value in (True, (64, 96), 3e-5, 10.0, "x")] == ["yes", "64, 96", "3e-05", "10", "x"]
