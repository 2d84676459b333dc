"""Annotation files of other programs as rows: COCO, CVAT, FiftyOne, Label Studio, iNaturalist, VIA, LabelMe, VOC."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from pipeline.collect.cells import Row
from pipeline.collect.columns import Meaning, like_picture
from pipeline.collect.entries import MAX_ENTRIES, Labelling, Note, split_of
from pipeline.collect.nested import labels_in
from pipeline.collect.tables import MAX_TABLE_BYTES, table_of
from pipeline.errors import SourceError
from pipeline.labels import in_words
from pipeline.predict import SEVERAL

ENDINGS = (".json", ".xml")
DEEPEST_XML = 64
MOST = 0.8
# Fields of FiftyOne's samples that hold what a model said.
GUESSES = ("prediction", "predictions", "model", "pred")
# Attributes of VIA's files that say nothing about what is to be seen.
VIA_OTHERS = ("caption", "public_domain", "image_url", "url", "comment")


@dataclass(frozen=True)
class Annotations:
    """What an annotation file says: ``kind`` in words; ``rows``, their ``line`` a running number, several labels joined
    by ``|``; ``notes`` are what a person should know.
    """

    kind: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def meaning(self) -> Meaning:
        """How rows about one file go together: all labels of one are in one row, so two that differ are a conflict."""
        return Meaning((), {}, annotators=True)


@dataclass
class _Picture:
    """A picture with what is said about it."""

    path: str
    labels: Iterable[str] = ()
    split: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


Pictures: TypeAlias = Iterator[_Picture]


def read_annotations(name: str, data: bytes, how: Labelling | None = None) -> Annotations | None:
    """What the annotation file ``name`` says; None where it is none. ``how`` may name what was taken together (a key of
    the pictures' objects). Raises SourceError where it cannot be read, or is too large.
    """
    ending = PurePosixPath(name.lower()).suffix
    if ending not in ENDINGS:
        return None
    if len(data) > MAX_TABLE_BYTES:
        raise SourceError(f"{name} is larger than {MAX_TABLE_BYTES >> 20} MiB. Import it in parts.")
    how = how or Labelling()
    if ending == ".xml":
        return _made(name, _xml(name, data), how)
    value = _json(name, data)
    return _made(name, _of_value(name, value), how) or _records(name, value, how)


def _made(name: str, found: tuple[str, Pictures] | None, how: Labelling) -> Annotations | None:
    """The rows of pictures, their labels cleaned; None where no picture has any."""
    if found is None:
        return None
    kind, pictures = found
    rows: list[Row] = []
    several = bad = 0
    for number, picture in enumerate(pictures, 1):
        if number > MAX_ENTRIES:
            raise SourceError(f"{name} has more than {MAX_ENTRIES:,} pictures. Import it in parts.")
        labels = set()
        for label in picture.labels:
            try:
                labels.add(how.name(label))
            except SourceError:
                bad += 1
        several += len(labels) > 1
        scene = picture.about.get(how.group_column) if how.group_column else None
        joined = SEVERAL.join(sorted(labels)) or None
        rows.append(Row(number, picture.path, "", joined, picture.split, None if scene is None else str(scene)))
    if not any(row.label for row in rows):
        return None
    return Annotations(kind, tuple(rows), tuple(_notes(name, rows, several, bad)))


def _notes(name: str, rows: list[Row], several: int, bad: int) -> Iterator[str]:
    if several:
        example = next(row for row in rows if row.label and SEVERAL in row.label)
        words = in_words(str(example.label))
        have = "pictures have" if several > 1 else "picture has"
        yield f"{name}: {several:,} {have} several labels, like {example.path[:100]}: {words[:200]}."
    if none := sum(row.label is None for row in rows):
        yield f"{name}: {none:,} picture{'s have' if none > 1 else ' has'} no label in it."
    if bad:
        yield f"{name}: {bad:,} label{'s were' if bad > 1 else ' was'} left out, for no class can be called so."


# --- JSON ---------------------------------------------------------------------------------------------------------


class _Object(dict[str, Any]):
    """A JSON object; ``pairs`` has all it says where a key stands twice."""

    pairs: tuple[tuple[str, Any], ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    if len(made) < len(pairs):
        made.pairs = tuple(pairs)
    return made


def _json(name: str, data: bytes) -> Any:
    try:
        text = data.decode(json.detect_encoding(data))
        return json.loads(text, object_pairs_hook=_object, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise SourceError(f"{name} cannot be read as JSON: {reason[:200]}.") from error


def _of_value(name: str, value: Any) -> tuple[str, Pictures] | None:
    """The kind of annotations and their pictures."""
    for kind, is_one, read in KINDS:
        if is_one(value):
            return kind, read(value)
    if isinstance(value, dict) and "objects" in value and "tags" in value and like_picture(PurePosixPath(name).stem):
        labels = [*_texts(value["tags"], "name"), *_texts(value["objects"], "classTitle")]
        return "Supervisely", iter([_Picture(PurePosixPath(name).stem, labels)])
    return None


def _records(name: str, value: Any, how: Labelling) -> Annotations | None:
    """Lists of objects with a file and a label each, perhaps by split; read as a table is."""
    rows: list[Row] = []
    notes: list[str] = []
    for split, records in _lists_of_records(value):
        objects = ((number, dict(record)) for number, record in enumerate(records, len(rows) + 1))
        table = table_of(name, objects, how)
        if "path" not in table.roles or not table.roles & {"label", "labels"}:
            continue
        notes += [note.text for note in table.notes]
        for row in table.rows(how):
            if isinstance(row, Row):
                rows.append(Row(row.line, row.path, row.url, row.label, row.split or split, row.scene))
            else:
                notes.append(row.text if isinstance(row, Note) else f"{name} {row.path}: {row.reason}")
    return Annotations("list of pictures", tuple(rows), tuple(notes)) if any(row.label for row in rows) else None


def _lists_of_records(value: Any) -> Iterator[tuple[str | None, list[dict[str, Any]]]]:
    """(split, objects): the value itself, or what an object has under the words for splits, or its only list."""
    if isinstance(value, list):
        if value and all(isinstance(one, dict) for one in value):
            yield None, value
    elif isinstance(value, dict):
        lists = {key: one for key, one in value.items() if isinstance(one, list) and one and isinstance(one[0], dict)}
        by_split = {key: one for key, one in lists.items() if split_of(key)}
        if by_split or len(lists) == 1:
            for key, one in (by_split or lists).items():
                yield split_of(key), [record for record in one if isinstance(record, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""


def _texts(value: Any, key: str) -> list[str]:
    return [text for one in _dicts(value) if (text := _text(one.get(key)))]


def _key(value: Any) -> Hashable:
    """What an id is compared by: some write numbers as text."""
    return str(value) if isinstance(value, str | int | float) else None


# --- COCO, iNaturalist, camera traps


def _is_coco(value: Any) -> bool:
    return (
        isinstance(value, dict) and isinstance(value.get("images"), list) and isinstance(value.get("annotations"), list)
    )


def _coco(value: Any) -> Pictures:
    """One label a category that a picture has annotations of."""
    names = {
        _key(one.get("id")): _text(one.get("name")) or _text(one.get("common_name"))
        for one in _dicts(value.get("categories"))
    }
    labels: dict[Hashable, list[str]] = {}
    for one in _dicts(value["annotations"]):
        category = _key(one.get("category_id", one.get("label")))
        if category is not None:
            labels.setdefault(_key(one.get("image_id")), []).append(names.get(category) or str(category))
    for image in _dicts(value["images"]):
        if path := _text(image.get("file_name") or image.get("path") or image.get("name")):
            yield _Picture(path, labels.get(_key(image.get("id")), ()), split_of(_text(image.get("split"))), image)


# --- FiftyOne, Datumaro, StyleGAN


def _is_fiftyone(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("labels"), dict) and isinstance(value.get("classes"), list)


def _fiftyone(value: Any) -> Pictures:
    classes = value["classes"]

    def named(label: Any) -> Iterator[str]:
        if isinstance(label, list):
            for one in label:
                yield from named(one)
        elif isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(classes):
            yield _text(classes[label])
        else:
            yield from labels_in(label)

    for path, label in _pairs(value["labels"]):
        yield _Picture(path, tuple(named(label)))


def _is_samples(value: Any) -> bool:
    samples = _dicts(value.get("samples")) if isinstance(value, dict) else []
    return bool(samples) and all("filepath" in one for one in samples)


def _samples(value: Any) -> Pictures:
    for one in _dicts(value["samples"]):
        fields = [name for name, found in one.items() if isinstance(found, dict) and "_cls" in found]
        fields.sort(key=lambda name: (name != "ground_truth", name.startswith(GUESSES)))
        found = one[fields[0]] if fields and not fields[0].startswith(GUESSES) else {}
        inner = found.get("classifications") or found.get("detections") or found.get("polylines") or [found]
        splits = {split_of(_text(tag)) for tag in _list(one.get("tags"))} - {None}
        split = next(iter(splits)) if len(splits) == 1 else None
        yield _Picture(_text(one["filepath"]), _texts(inner, "label"), split, one)


def _is_datumaro(value: Any) -> bool:
    return (
        isinstance(value, dict) and isinstance(value.get("items"), list) and isinstance(value.get("categories"), dict)
    )


def _datumaro(value: Any) -> Pictures:
    names = _texts(_dict(value["categories"].get("label")).get("labels"), "name")
    for one in _dicts(value["items"]):
        path = _text(_dict(one.get("image")).get("path")) or _text(one.get("id"))
        numbers = [found.get("label_id") for found in _dicts(one.get("annotations"))]
        labels = [names[n] for n in numbers if isinstance(n, int) and 0 <= n < len(names)]
        yield _Picture(path, labels, split_of(_text(_dict(one.get("attr")).get("subset"))), one)


def _is_pairs(value: Any) -> bool:
    pairs = value.get("labels") if isinstance(value, dict) else value
    pairs = _list(pairs)
    fits = [isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) for one in pairs]
    return bool(pairs) and all(fits) and sum(like_picture(one[0]) for one in pairs) >= MOST * len(pairs)


def _of_pairs(value: Any) -> Pictures:
    for path, label in value["labels"] if isinstance(value, dict) else value:
        yield _Picture(path, tuple(labels_in(label)))


# --- Label Studio, VIA, LabelMe


def _is_label_studio(value: Any) -> bool:
    tasks = _dicts(value)
    return bool(tasks) and all(isinstance(one.get("data"), dict) for one in tasks)


def _label_studio(value: Any) -> Pictures:
    """A row for each annotation of a task: two people who disagree are a conflict."""
    for task in _dicts(value):
        texts = {key: one for key, one in task["data"].items() if isinstance(one, str)}
        path = next((texts[key] for key in ("image", "img", "url") if key in texts), None)
        path = path or next((one for one in texts.values() if like_picture(one)), "")
        found = _dicts(task.get("annotations")) or _dicts(task.get("completions"))
        found = [one for one in found if not one.get("was_cancelled")]
        for one in found or [{}]:
            values = [result.get("value") for result in _dicts(one.get("result"))]
            if path:
                yield _Picture(path, tuple(labels_in(values)), None, task["data"])


def _via_files(value: Any) -> dict[str, Any]:
    inside = _dict(value).get("_via_img_metadata", value)
    files = _dict(inside)
    fits = files and all(isinstance(one, dict) and "filename" in one and "regions" in one for one in files.values())
    return files if fits else {}


def _via(value: Any) -> Pictures:
    for one in _via_files(value).values():
        regions = one["regions"]
        regions = _dicts(list(regions.values()) if isinstance(regions, dict) else regions)
        whole = {key: said for key, said in _dict(one.get("file_attributes")).items() if key.lower() not in VIA_OTHERS}
        labels = list(_of_attributes(whole))
        if not labels:
            labels = [label for region in regions for label in _of_attributes(_dict(region.get("region_attributes")))]
        yield _Picture(_text(one["filename"]), labels, None, whole)


def _of_attributes(attributes: Mapping[str, Any]) -> Iterator[str]:
    """The label among attributes: that which is called so, else the first one. Ticked boxes are labels."""
    told = [key for key in ("label", "class", "name", "type", "category", "species") if attributes.get(key)]
    for key in (told or list(attributes))[:1]:
        value = attributes[key]
        if isinstance(value, dict):
            yield from (name for name, ticked in value.items() if ticked is True)
        else:
            yield from labels_in(value)


def _is_labelme(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("imagePath"), str) and "shapes" in value


def _labelme(value: Any) -> Pictures:
    ticked = [name for name, said in _dict(value.get("flags")).items() if said is True]
    yield _Picture(value["imagePath"], ticked or _texts(value["shapes"], "label"))


# --- objects of names


def _pairs(value: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    return getattr(value, "pairs", ()) or value.items()


def _mapping(value: Any) -> dict[str, Any]:
    """``{"1.jpg": "cat"}``, perhaps in an object of one key; empty where it is none."""
    found = _dict(value)
    if len(found) == 1 and isinstance(only := next(iter(found.values())), dict) and not like_picture(next(iter(found))):
        found = only
    likely = sum(map(like_picture, found))
    return found if found and likely >= MOST * len(found) else {}


def _of_mapping(value: Any) -> Pictures:
    for path, label in _pairs(_mapping(value)):
        yield _Picture(path, tuple(labels_in(label)), None, _dict(label))


def _is_by_class(value: Any) -> bool:
    """``{"cat": ["1.jpg", "2.jpg"]}``."""
    if not isinstance(value, dict) or not value or not all(isinstance(one, list) for one in value.values()):
        return False
    paths = [path for one in value.values() for path in one]
    return bool(paths) and all(isinstance(path, str) for path in paths) and all(map(like_picture, paths))


def _by_class(value: Any) -> Pictures:
    labels: dict[str, list[str]] = {}
    for label, paths in _pairs(value):
        for path in paths:
            labels.setdefault(path, []).append(label)
    splits = {label: split_of(label) for label in value}
    if all(splits.values()):
        return  # files by split: no labels
    for path, named in labels.items():
        yield _Picture(path, named)


KINDS: tuple[tuple[str, Callable[[Any], Any], Callable[[Any], Pictures]], ...] = (
    ("COCO", _is_coco, _coco),
    ("FiftyOne", _is_fiftyone, _fiftyone),
    ("FiftyOne", _is_samples, _samples),
    ("Datumaro", _is_datumaro, _datumaro),
    ("Label Studio", _is_label_studio, _label_studio),
    ("VGG Image Annotator", _via_files, _via),
    ("LabelMe", _is_labelme, _labelme),
    ("list of files and labels", _is_pairs, _of_pairs),
    ("labels by file", _mapping, _of_mapping),
    ("files by label", _is_by_class, _by_class),
)


# --- XML ----------------------------------------------------------------------------------------------------------


def _xml(name: str, data: bytes) -> tuple[str, Pictures] | None:
    root = _parsed(name, data)
    if root.tag == "annotations" and root.find("image") is not None:
        return "CVAT", _cvat(root)
    if root.tag == "annotation" and root.findtext("filename"):
        return "Pascal VOC", _voc(root)
    return None


def _cvat(root: Element) -> Pictures:
    for image in root.iter("image"):
        tags = [one.get("label", "") for one in image.iter("tag")]
        labels = tags or [one.get("label", "") for one in image if one.tag != "tag"]
        yield _Picture(
            image.get("name", ""), filter(None, labels), split_of(image.get("subset", "")), dict(image.attrib)
        )


def _voc(root: Element) -> Pictures:
    labels = [one.findtext("name") or "" for one in root.iter("object")]
    yield _Picture(str(root.findtext("filename")), filter(None, labels))


def _parsed(name: str, data: bytes) -> Element:
    """The tree of an XML file; without declarations of types and entities, which could make it endless."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    depth = 0

    def refuse(*_: Any) -> None:
        raise SourceError(f"{name} declares a document type, which annotation files have no use for.")

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST_XML:
            raise SourceError(f"{name} cannot be read as XML: it is nested too deep.")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise SourceError(f"{name} cannot be read as XML: {error}.") from error
    return builder.close()
