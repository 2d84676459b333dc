"""Annotation files of other programs: what each says of which picture; and what is none, damaged or hostile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.annotations import Annotations, read_annotations
from pipeline.collect.entries import Labelling
from pipeline.errors import SourceError

COCO = {
    "images": [{"id": 0, "file_name": "0.jpg"}, {"id": "1", "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "polar bear"}],
    "annotations": [
        {"image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4]},
        {"image_id": 0, "category_id": 1},
        {"image_id": 1, "category_id": 2},
        {"image_id": 1, "category_id": 1},
    ],
}
INATURALIST = {
    "images": [{"id": 9, "file_name": "train_val2019/Birds/1/a.jpg", "location": "X"}],
    "categories": [{"id": 5, "name": "Ursus arctos", "supercategory": "Mammals"}],
    "annotations": [{"id": 1, "image_id": 9, "category_id": 5}],
}
SAMPLES = {
    "samples": [
        {
            "filepath": "data/0.jpg",
            "tags": ["validation", "x"],
            "ground_truth": {"_cls": "Classification", "label": "cat"},
            "predictions": {"_cls": "Classification", "label": "dog"},
        },
        {
            "filepath": "data/1.jpg",
            "tags": [],
            "ground_truth": {"_cls": "Detections", "detections": [{"label": "cat"}, {"label": "dog"}]},
        },
    ]
}
CHOICES = [{"value": {"choices": ["cat"]}, "from_name": "choice"}]
BOX = [{"value": {"x": 1, "rectanglelabels": ["dog"]}}, {"value": {"rectanglelabels": ["cat"]}}]
LABEL_STUDIO = [
    {"id": 1, "data": {"image": "/data/upload/1/1a2b3c4d-0.jpg"}, "annotations": [{"result": CHOICES}]},
    {"id": 2, "data": {"photo": "/data/upload/1/1a2b3c4d-1.jpg"}, "annotations": [{"result": BOX}]},
    {"id": 3, "data": {"image": "2.jpg"}, "annotations": [{"result": CHOICES, "was_cancelled": True}]},
]
VIA = {
    "_via_settings": {},
    "_via_img_metadata": {
        "0.jpg123": {"filename": "0.jpg", "regions": [], "file_attributes": {"caption": "x", "type": "cat"}},
        "1.jpg45": {"filename": "1.jpg", "regions": [{"region_attributes": {"kind": "dog"}}], "file_attributes": {}},
        "2.jpg6": {"filename": "2.jpg", "regions": {"0": {"region_attributes": {"type": {"cat": True, "dog": False}}}}},
    },
}
DATUMARO = {
    "categories": {"label": {"labels": [{"name": "cat"}, {"name": "dog"}]}},
    "items": [
        {"id": "a/0", "annotations": [{"label_id": 0}], "image": {"path": "a/0.jpg"}, "attr": {}},
        {"id": "a/1", "annotations": [{"label_id": 1}, {"label_id": 9}]},
    ],
}
CVAT = b"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><name>x</name></task></meta>
<image id="0" name="a/0.jpg" width="1" height="1" subset="Validation"><tag label="cat"/><box label="dog"/></image>
<image id="1" name="1.jpg"><box label="dog"><attribute name="x">y</attribute></box><polygon label="cat"/></image>
<image id="2" name="2.jpg"/></annotations>"""
VOC = b"<annotation><filename>0.jpg</filename>" + b"<object><name>cat</name></object>" * 2 + b"</annotation>"


def read(value: Any, name: str = "x.json", **how: Any) -> Annotations | None:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_annotations(name, data, Labelling(**how))


def said(value: Any, name: str = "x.json") -> list[tuple[str, str | None, str | None]]:
    found = read(value, name)
    assert found is not None
    return [(row.path, row.label, row.split) for row in found.rows]


CASES: dict[str, tuple[Any, list[tuple[str, str | None, str | None]]]] = {
    "COCO": (COCO, [("0.jpg", "cat", None), ("1.jpg", "cat|polar bear", None), ("2.jpg", None, None)]),
    "COCO without names": (
        COCO | {"categories": []},
        [("0.jpg", "1", None), ("1.jpg", "1|2", None), ("2.jpg", None, None)],
    ),
    "iNaturalist": (INATURALIST, [("train_val2019/Birds/1/a.jpg", "Ursus arctos", None)]),
    "FiftyOne": (
        {"classes": ["cat", "dog"], "labels": {"0": 0, "1": [0, 1], "2": None, "3": "dog", "4": 7, "5": True}},
        [
            *(("0", "cat", None), ("1", "cat|dog", None), ("2", None, None), ("3", "dog", None), ("4", "7", None)),
            ("5", "True", None),
        ],
    ),
    "FiftyOne's samples": (SAMPLES, [("data/0.jpg", "cat", "valid"), ("data/1.jpg", "cat|dog", None)]),
    "Label Studio": (
        LABEL_STUDIO,
        [
            ("/data/upload/1/1a2b3c4d-0.jpg", "cat", None),
            ("/data/upload/1/1a2b3c4d-1.jpg", "cat|dog", None),
            ("2.jpg", None, None),
        ],
    ),
    "Label Studio, short": (
        [{"image": "/data/upload/1/a.jpg", "choice": "cat"}, {"image": "b.jpg", "choice": {"choices": ["cat", "dog"]}}],
        [("/data/upload/1/a.jpg", "cat", None), ("b.jpg", "cat|dog", None)],
    ),
    "VIA": (VIA, [("0.jpg", "cat", None), ("1.jpg", "dog", None), ("2.jpg", "cat", None)]),
    "LabelMe": (
        {"imagePath": "0.jpg", "shapes": [{"label": "cat"}, {"label": "cat"}], "flags": {}},
        [("0.jpg", "cat", None)],
    ),
    "LabelMe's flags": (
        {"imagePath": "0.jpg", "shapes": [], "flags": {"cat": True, "dog": False}},
        [("0.jpg", "cat", None)],
    ),
    "Datumaro": (DATUMARO, [("a/0.jpg", "cat", None), ("a/1", "dog", None)]),
    "records": (
        [{"file_name": "0.jpg", "label": "cat", "split": "val"}, {"file_name": "1.jpg", "label": 0}],
        [("0.jpg", "cat", "valid"), ("1.jpg", "0", None)],
    ),
    "records by split": (
        {"train": [{"image": "0.jpg", "label": "a"}], "test": [{"image": "1.jpg", "label": "b"}]},
        [("0.jpg", "a", "train"), ("1.jpg", "b", "test")],
    ),
    "CreateML": (
        [{"image": "0.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 1}}]}],
        [("0.jpg", "cat", None)],
    ),
    "labels by file": (
        {"0.jpg": "cat", "a/1.PNG": ["dog", "cat"], "2.jpg": 3, "3.jpg": {"label": "cow"}},
        [("0.jpg", "cat", None), ("a/1.PNG", "cat|dog", None), ("2.jpg", "3", None), ("3.jpg", "cow", None)],
    ),
    "files by label": (
        {"cat": ["0.jpg"], "dog": ["1.jpg", "0.jpg"]},
        [("0.jpg", "cat|dog", None), ("1.jpg", "dog", None)],
    ),
    "pairs": (
        {"labels": [["0/img0.png", 6], ["0/img1.png", 9]]},
        [("0/img0.png", "6", None), ("0/img1.png", "9", None)],
    ),
    "a file that says two things of one": (
        b'{"0.jpg": "cat", "0.jpg": "dog"}',
        [("0.jpg", "cat", None), ("0.jpg", "dog", None)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_annotations_are_read(case: str) -> None:
    value, expected = CASES[case]
    assert said(value) == expected


def test_xml_of_cvat_and_voc_is_read() -> None:
    assert said(CVAT, "annotations.xml") == [
        *(("a/0.jpg", "cat", "valid"), ("1.jpg", "cat|dog", None), ("2.jpg", None, None)),
    ]
    assert said(VOC, "0.xml") == [("0.jpg", "cat", None)]
    object_of_supervisely = {"tags": [], "objects": [{"classTitle": "cat"}], "size": {}}
    assert said(object_of_supervisely, "0.jpg.json") == [("0.jpg", "cat", None)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_any_encoding_of_json_is_read(encoding: str) -> None:
    assert said('{"Bär.jpg": "Bär"}'.encode(encoding)) == [("Bär.jpg", "Bär", None)]


def test_several_labels_and_none_are_told() -> None:
    found = read(COCO)
    assert found is not None and found.kind == "COCO"
    assert "x.json: 1 picture has several labels, like 1.jpg: cat, polar bear." in found.notes
    assert "x.json: 1 picture has no label in it." in found.notes


def test_people_who_disagree_are_two_rows() -> None:
    twice = [{"data": {"image": "0.jpg"}, "annotations": [{"result": CHOICES}, {"result": BOX[:1]}]}]
    assert said(twice) == [("0.jpg", "cat", None), ("0.jpg", "dog", None)]
    found = read(twice)
    assert found is not None and found.meaning.annotators


def test_what_was_taken_together_is_read_where_it_is_named() -> None:
    found = read(INATURALIST, group_column="location")
    assert found is not None and found.rows[0].scene == "X"


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, "text", [], {}, [1, 2], [[]], {"a": 1}, {"images": []}, {"images": 1, "annotations": []}),
        {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": []},
        {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "A cat."}]},
        *({"train": ["1.jpg"], "test": ["2.jpg"]}, {"classes": [], "labels": {}}, {"samples": [{}]}, [{"data": {}}]),
        {"name": "x", "version": "1", "dependencies": {"a": "1"}},
        [{"title": "x", "body": "y"}],
    ],
)
def test_other_json_is_none(value: Any) -> None:
    assert read(value) is None


def test_other_files_are_none() -> None:
    assert read_annotations("x.txt", b'{"1.jpg": "cat"}') is None
    assert read_annotations("x.xml", b"<svg/>") is None
    assert read_annotations("x.xml", b"<annotations><track/></annotations>") is None


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x.json", b"{", "cannot be read as JSON"),
        ("x.json", b"", "cannot be read as JSON"),
        ("x.json", b"\xff\xfe\xfd", "cannot be read as JSON"),
        ("x.json", b"[" * 200_000, "nested too deep"),
        ("x.json", b'{"1.jpg":' + b"9" * 10_000 + b"}", "cannot be read as JSON"),
        ("x.xml", b"<annotations>", "cannot be read as XML"),
        ("x.xml", b"<a>" * 100, "nested too deep"),
        ("x.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "declares a document type"),
        ("x.xml", b'<?xml version="1.0" encoding="nonsense"?><a/>', "cannot be read as XML"),
    ],
)
def test_damaged_and_hostile_files_are_refused_in_words(name: str, data: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read_annotations(name, data)


def test_what_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.collect.annotations.MAX_ENTRIES", 2)
    with pytest.raises(SourceError, match="more than 2 pictures"):
        read(COCO)
    monkeypatch.setattr("pipeline.collect.annotations.MAX_TABLE_BYTES", 10)
    with pytest.raises(SourceError, match="larger than"):
        read(COCO)


JUNK: list[Any] = [
    *(None, True, 0, -1, 10**30, 1e308, float("nan"), "", "cat", "x" * 300, "\ud800"),
    *([], [None], [[]], [{}], {}, {"a": None}, {"1.jpg": {}}),
]
VALUES = st.recursive(
    st.sampled_from(JUNK),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def damaged(value: Any, data: st.DataObject) -> Any:
    """The value with junk in one place of it, or beside what is there."""
    inside = isinstance(value, dict | list) and value and data.draw(st.integers(0, 5))
    if not inside:
        junk = data.draw(VALUES)
        beside = isinstance(value, list) and data.draw(st.booleans())
        return [*value, junk] if beside else junk
    if isinstance(value, list):
        at = data.draw(st.integers(0, len(value) - 1))
        return [damaged(one, data) if number == at else one for number, one in enumerate(value)]
    key = data.draw(st.sampled_from(list(value)))
    return {**value, key: damaged(value[key], data)}


@given(st.sampled_from([value for value, _ in CASES.values() if not isinstance(value, bytes)]), st.data())
@settings(max_examples=150)
def test_no_damaged_json_ends_in_anything_but_rows_or_words(value: Any, data: st.DataObject) -> None:
    try:
        found = read_annotations("x.json", json.dumps(damaged(value, data)).encode())
    except SourceError as error:
        assert str(error).endswith(".")
    else:
        assert found is None or any(row.label for row in found.rows)
