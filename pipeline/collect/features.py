"""What Hugging Face's `datasets` says of columns: which are pictures, and what numbers stand for as classes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pipeline.errors import SourceError

MOST_BYTES = 8 << 20
MOST_OF_A_CARD = 1 << 20
MOST_CLASSES = 100_000
LISTS = ("Sequence", "List", "LargeList")
DEEPEST = 8
FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|$)", re.S)


def features_of(text: str | bytes) -> Mapping[str, Any]:
    """Column -> feature, of the metadata of a schema or of a dataset_info.json; nothing where it says none."""
    try:
        told = json.loads(text) if len(text) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        return {}
    if isinstance(told, dict) and isinstance(told.get("info"), dict):
        told = told["info"]
    if isinstance(told, dict) and "features" not in told and told:  # dataset_infos.json: a configuration each
        told = next(iter(told.values()))
    features = told.get("features") if isinstance(told, dict) else None
    return features if isinstance(features, dict) else {}


def front_matter(text: str) -> Mapping[str, Any]:
    """What stands above a card, as YAML; nothing where it cannot be read."""
    found = FRONT_MATTER.match(text[:MOST_OF_A_CARD])
    try:
        told = yaml.safe_load(found[1]) if found else None
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def features_of_card(card: Mapping[str, Any], config: str | None = None) -> Mapping[str, Any]:
    """Column -> feature, as the ``dataset_info`` above a card says of a configuration (None: the first)."""
    told = card.get("dataset_info")
    infos = [one for one in (told if isinstance(told, list) else [told]) if isinstance(one, dict)]
    named = [one for one in infos if config is not None and one.get("config_name") == config]
    features = (named or infos or [{}])[0].get("features")
    columns = [one for one in (features if isinstance(features, list) else ()) if isinstance(one, dict)]
    return {str(one["name"]): _of_card(one) for one in columns if "name" in one}


def _of_card(told: Mapping[str, Any], deep: int = 0) -> Any:
    for key in ("sequence", "list"):
        inside = told.get(key)
        if isinstance(inside, dict) and deep < DEEPEST:
            return {"_type": "List", "feature": _of_card({"dtype": inside, **inside}, deep + 1)}
    dtype = told.get("dtype", told)
    if dtype == "image":
        return {"_type": "Image"}
    label = dtype.get("class_label") if isinstance(dtype, dict) else None
    names = label.get("names") if isinstance(label, dict) else None
    if isinstance(names, dict):  # '0': cat, '1': dog
        names = (
            [name for _, name in sorted(names.items(), key=lambda one: int(str(one[0])))] if _numbered(names) else None
        )
    return {"_type": "ClassLabel", "names": names} if isinstance(names, list) else {"_type": "Value"}


def _numbered(names: Mapping[Any, Any]) -> bool:
    return all(str(key).isdecimal() and len(str(key)) < 10 for key in names)


def is_image(feature: Any) -> bool:
    """Whether a column holds pictures."""
    return isinstance(feature, dict) and feature.get("_type") == "Image"


def class_names(feature: Any, deep: int = 0) -> tuple[str, ...] | None:
    """The names of the classes that a column's numbers, or its lists of them, stand for; None where there are none."""
    if isinstance(feature, list) and feature:
        feature = {"_type": "List", "feature": feature[0]}
    if not isinstance(feature, dict) or deep > DEEPEST:
        return None
    if feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        return tuple(map(str, names[:MOST_CLASSES])) if isinstance(names, list) and names else None
    return class_names(feature.get("feature"), deep + 1) if feature.get("_type") in LISTS else None


def in_classes(value: Any, names: Sequence[str]) -> Any:
    """A cell with the names of the classes that its numbers stand for, as a list; nothing for -1, which is none.
    Raises SourceError for a number that stands for none.
    """
    if isinstance(value, list):
        found = [in_classes(one, names) for one in value]
        return [name for one in found for name in (one or ())]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or value == -1 or value != value:
        return None
    if isinstance(value, str):
        return [value] if value.strip() else None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(names):
        raise SourceError(f"Its number {value} stands for none of the {len(names):,} classes.")
    return [names[value]]


def has_classes(feature: Any, deep: int = 0) -> bool:
    """Whether numbers of classes are anywhere in a column."""
    if class_names(feature) is not None:
        return True
    if deep > DEEPEST or not isinstance(feature, dict | list):
        return False
    return any(has_classes(one, deep + 1) for one in (feature.values() if isinstance(feature, dict) else feature))


def with_names(value: Any, feature: Any, deep: int = 0) -> Any:
    """A cell with objects in it, the names of classes in the place of their numbers. Raises SourceError."""
    names = class_names(feature)
    if names is not None and not isinstance(value, dict):
        return in_classes(value, names)
    if deep > DEEPEST or not isinstance(feature, dict | list):
        return value
    inside = feature[0] if isinstance(feature, list) and feature else feature
    if isinstance(inside, dict) and inside.get("_type") in LISTS:
        inside = inside.get("feature")
    if isinstance(value, list):
        return [with_names(one, inside, deep + 1) for one in value]
    if isinstance(value, dict) and isinstance(inside, dict):
        return {key: with_names(one, inside.get(key), deep + 1) for key, one in value.items()}
    return value


@dataclass(frozen=True)
class Config:
    """A configuration that a card names; ``files``: (split, pattern of paths)."""

    name: str
    files: tuple[tuple[str, str], ...] = ()
    default: bool = False


def configs_of(card: Mapping[str, Any]) -> tuple[Config, ...]:
    """The configurations that the ``configs`` above a card name."""
    told = card.get("configs")
    found = []
    for one in told if isinstance(told, list) else ():
        if isinstance(one, dict) and isinstance(one.get("config_name"), str):
            files = tuple(_patterns(one.get("data_files"), one.get("data_dir")))
            found.append(Config(one["config_name"], files, one.get("default") is True))
    return tuple(found)


def _patterns(files: Any, folder: Any) -> Iterator[tuple[str, str]]:
    if files is None and isinstance(folder, str):
        yield "", f"{folder.strip('/')}/*"
    for one in files if isinstance(files, list) else [files]:
        if isinstance(one, str):
            yield "", one
        elif isinstance(one, dict):
            paths = one.get("path")
            for path in paths if isinstance(paths, list) else [paths]:
                if isinstance(path, str):
                    yield str(one.get("split") or ""), path


def examples_of(card: Mapping[str, Any], config: str | None) -> int:
    """How many rows the ``dataset_info`` above a card says that a configuration (None: the first) has; 0 where it does
    not say.
    """
    told = card.get("dataset_info")
    infos = [one for one in (told if isinstance(told, list) else [told]) if isinstance(one, dict)]
    named = [one for one in infos if config is not None and one.get("config_name") == config]
    splits = (named or infos or [{}])[0].get("splits")
    counts = [one.get("num_examples") for one in (splits if isinstance(splits, list) else ()) if isinstance(one, dict)]
    return sum(count for count in counts if isinstance(count, int) and count > 0)
