"""Exports of tools that label pictures, and what Hugging Face and Google take: as their documentation shows them."""

from __future__ import annotations

import json
from typing import Any

from tests.support.cases import ANY, Case, classes, each, rows, shows

NUMBERS = range(2)
CATS = {"0.jpg": shows("cat"), "1.jpg": shows("dog"), "2.jpg": shows("cat"), "3.jpg": shows("dog")}
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><id>1</id><name>pets</name><labels>
<label><name>cat</name><type>tag</type></label><label><name>dog</name><type>tag</type></label>
</labels></task></meta>{}</annotations>"""


def below(folder: str, tree: dict[str, Any]) -> dict[str, Any]:
    return {f"{folder}/{name}": thing for name, thing in tree.items()}


def coco(boxes: dict[str, tuple[int, ...]], file_name: str = "{}") -> str:
    """Picture -> the classes (1 cat, 2 dog) of its boxes, as COCO writes them."""
    names = list(boxes)
    pairs = [(number, kind) for number, name in enumerate(names) for kind in boxes[name]]
    return json.dumps(
        {
            "info": {"description": "pets"},
            "licenses": [],
            "images": [{"id": number, "file_name": file_name.format(name)} for number, name in enumerate(names)],
            "categories": [{"id": 1, "name": "cat", "supercategory": ""}, {"id": 2, "name": "dog"}],
            "annotations": [
                {"id": number, "image_id": image, "category_id": kind, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0}
                for number, (image, kind) in enumerate(pairs)
            ],
        }
    )


def studio(file: str, *choices: str) -> dict[str, Any]:
    """A task of Label Studio's JSON."""
    result = {"value": {"choices": list(choices)}, "from_name": "choice", "to_name": "image", "type": "choices"}
    return {
        "id": 1,
        "annotations": [{"id": 1, "result": [result], "was_cancelled": False}] if choices else [],
        "file_upload": file.rsplit("/", 1)[-1],
        "data": {"image": file},
    }


TOOLS = {
    "FiftyOne: data and labels.json": Case(
        below("data", {f"00000{n}.jpg": shows(("cat", "dog")[n % 2]) for n in range(4)})
        | {
            "labels.json": json.dumps(
                {"classes": ["cat", "dog"], "labels": {f"00000{number}": number % 2 for number in range(4)}}
            )
        },
        says=("labels.json",),
    ),
    "FiftyOne: a labels.json for each split": Case(
        {
            "train/labels.json": json.dumps({"classes": ["cat", "dog"], "labels": {"000001": 0, "000002": 1}}),
            "train/data/000001.jpg": shows("cat", "train"),
            "train/data/000002.jpg": shows("dog", "train"),
            "validation/labels.json": json.dumps({"classes": ["cat", "dog"], "labels": {"000001": 1}}),
            "validation/data/000001.jpg": shows("dog", "valid"),
            "test/labels.json": json.dumps({"classes": ["cat", "dog"], "labels": {"000001": 0}}),
            "test/data/000001.jpg": shows("cat", "test"),
        }
    ),
    "FiftyOne: several labels, and one picture without": Case(
        {
            "labels.json": json.dumps({"classes": ["cat", "dog"], "labels": {"1": [0, 1], "2": [1], "3": None}}),
            "data/1.jpg": shows("cat|dog"),
            "data/2.jpg": shows("dog"),
            "data/3.jpg": shows(),
        }
    ),
    "COCO: images and annotations": Case(
        below("images", CATS)
        | {"annotations/instances_default.json": coco({"0.jpg": (1,), "1.jpg": (2,), "2.jpg": (1,), "3.jpg": (2,)})},
        says=("instances_default.json",),
    ),
    "COCO: several boxes, two classes, none": Case(
        {
            "annotations.json": coco({"0.jpg": (1, 1, 1), "1.jpg": (1, 2), "2.jpg": ()}),
            "images/0.jpg": shows("cat"),
            "images/1.jpg": shows("cat|dog"),
            "images/2.jpg": shows(),
        },
        says=("annotations.json",),
    ),
    "COCO: train2017 and val2017": Case(
        {
            "annotations/instances_train2017.json": coco({"1.jpg": (1,), "2.jpg": (2,)}),
            "annotations/instances_val2017.json": coco({"3.jpg": (1,), "4.jpg": (2,)}),
            "train2017/1.jpg": shows("cat", (None, "train")),
            "train2017/2.jpg": shows("dog", (None, "train")),
            "val2017/3.jpg": shows("cat", (None, "valid")),
            "val2017/4.jpg": shows("dog", (None, "valid")),
        }
    ),
    "COCO of Roboflow: a file in each split": Case(
        {
            "train/_annotations.coco.json": coco({"a_jpg.rf.1.jpg": (1,), "b_jpg.rf.2.jpg": (2,)}),
            "train/a_jpg.rf.1.jpg": shows("cat", "train"),
            "train/b_jpg.rf.2.jpg": shows("dog", "train"),
            "valid/_annotations.coco.json": coco({"c_jpg.rf.3.jpg": (1,)}),
            "valid/c_jpg.rf.3.jpg": shows("cat", "valid"),
            "test/_annotations.coco.json": coco({"d_jpg.rf.4.jpg": (2,)}),
            "test/d_jpg.rf.4.jpg": shows("dog", "test"),
            "README.roboflow.txt": "pets - v1",
        }
    ),
    "Roboflow: class folders": Case(
        {
            "README.dataset.txt": "# pets > v1",
            "README.roboflow.txt": "pets - v1",
            **classes("train/{label}/{label}-{number}_jpg.rf.3c.jpg", ("cat", "dog"), "train"),
            **classes("valid/{label}/{label}-{number}_jpg.rf.4d.jpg", ("cat", "dog"), "valid"),
            **classes("test/{label}/{label}-{number}_jpg.rf.5e.jpg", ("cat", "dog"), "test"),
        }
    ),
    "Roboflow: several labels, _classes.csv with blanks after the commas": Case(
        {
            "train/_classes.csv": rows("filename, cat, dog", "a_jpg.rf.1.jpg, 1, 0", "b_jpg.rf.2.jpg, 1, 1"),
            "train/a_jpg.rf.1.jpg": shows("cat", "train"),
            "train/b_jpg.rf.2.jpg": shows("cat|dog", "train"),
            "valid/_classes.csv": rows("filename, cat, dog", "c_jpg.rf.3.jpg, 0, 1"),
            "valid/c_jpg.rf.3.jpg": shows("dog", "valid"),
            "test/_classes.csv": rows("filename, cat, dog", "d_jpg.rf.4.jpg, 1, 0"),
            "test/d_jpg.rf.4.jpg": shows("cat", "test"),
            "README.roboflow.txt": "pets - v1",
        },
        says=("_classes.csv",),
    ),
    "CVAT: the ImageNet export": Case(classes("{label}/{label}_image{number}.jpg", ("cat", "dog"))),
    "CVAT: annotations.xml with tags": Case(
        below("images", {**CATS, "4.jpg": shows()})
        | {
            "annotations.xml": CVAT.format(
                "".join(
                    f'<image id="{n}" name="{n}.jpg" width="16" height="16">'
                    f'<tag label="{("cat", "dog")[n % 2]}" source="manual"></tag></image>'
                    for n in range(4)
                )
                + '<image id="4" name="4.jpg" width="16" height="16"></image>'
            )
        },
        says=("annotations.xml",),
    ),
    "CVAT: boxes, and pictures in folders": Case(
        {
            "annotations.xml": CVAT.format(
                '<image id="0" name="garden/0.jpg" width="16" height="16">'
                '<box label="cat" source="manual" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0"></box>'
                '<box label="cat" source="manual" occluded="0" xtl="2" ytl="2" xbr="9" ybr="9" z_order="0"></box>'
                "</image>"
                '<image id="1" name="street/0.jpg" width="16" height="16"><tag label="dog" source="manual"/></image>'
            ),
            "images/garden/0.jpg": shows("cat"),
            "images/street/0.jpg": shows("dog"),
        }
    ),
    "Label Studio: JSON, the files with the names they were given": Case(
        {
            "project-1-at-2024-01-02.json": json.dumps(
                [studio("/data/upload/1/8b6d1b4d-0.jpg", "cat"), studio("/data/upload/1/0c1d2e3f-1.jpg", "dog")]
            ),
            "images/8b6d1b4d-0.jpg": shows("cat"),
            "images/0c1d2e3f-1.jpg": shows("dog"),
        },
        says=("project-1-at-2024-01-02.json",),
    ),
    "Label Studio: JSON, the files as they were before they were uploaded": Case(
        {
            "project.json": json.dumps(
                [
                    studio("/data/upload/1/8b6d1b4d-tom.jpg", "cat"),
                    studio("/data/upload/1/0c1d2e3f-rex.jpg", "dog"),
                    studio("/data/upload/1/77aa88bb-nobody.jpg"),
                ]
            ),
            "pictures/tom.jpg": shows("cat"),
            "pictures/rex.jpg": shows("dog"),
            "pictures/nobody.jpg": shows(),
        }
    ),
    "Label Studio: JSON-MIN of local files, with a blank in the name": Case(
        {
            "min.json": json.dumps(
                [
                    {"image": "/data/local-files/?d=pets/my%20cat.jpg", "id": 1, "choice": "cat", "annotator": 1},
                    {
                        "image": "/data/local-files/?d=pets/rex.jpg",
                        "id": 2,
                        "choice": {"choices": ["dog", "wet"]},
                        "annotator": 1,
                    },
                ]
            ),
            "pets/my cat.jpg": shows("cat"),
            "pets/rex.jpg": shows("dog|wet"),
        }
    ),
    "Label Studio: CSV": Case(
        {
            "project-1.csv": rows(
                "annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at",
                "1,1,cat,2024-01-02T09:00:00.1Z,1,/data/upload/1/8b6d1b4d-tom.jpg,3.2,2024-01-02T09:00:00.1Z",
                '2,1,"{""choices"": [""dog"", ""wet""]}",2024-01-02,2,/data/upload/1/0c1d2e3f-rex.jpg,1.0,2024-01-02',
            ),
            "8b6d1b4d-tom.jpg": shows("cat"),
            "0c1d2e3f-rex.jpg": shows("dog|wet"),
        },
        says=("project-1.csv",),
    ),
    "iNaturalist: paths in the JSON file": Case(
        {
            "train2018.json": json.dumps(
                {
                    "images": [
                        {"id": 1, "file_name": "train_val2018/Aves/2761/a.jpg", "license": 0},
                        {"id": 2, "file_name": "train_val2018/Fungi/77/b.jpg", "license": 0},
                    ],
                    "categories": [
                        {"id": 2761, "name": "Turdus merula", "supercategory": "Aves"},
                        {"id": 77, "name": "Amanita muscaria", "supercategory": "Fungi"},
                    ],
                    "annotations": [
                        {"id": 1, "image_id": 1, "category_id": 2761},
                        {"id": 2, "image_id": 2, "category_id": 77},
                    ],
                }
            ),
            "train_val2018/Aves/2761/a.jpg": shows("Turdus merula", ANY),
            "train_val2018/Fungi/77/b.jpg": shows("Amanita muscaria", ANY),
        },
        says=("train2018.json",),
    ),
    "Google AutoML: no header, gs:// addresses": Case(
        {
            "all_data.csv": rows(
                "TRAIN,gs://my-bucket/flowers/daisy 1.jpg,daisy",
                "VALIDATION,gs://my-bucket/flowers/rose 1.jpg,rose",
                "TEST,gs://my-bucket/flowers/rose 2.jpg,rose",
                "UNASSIGNED,gs://my-bucket/flowers/daisy 2.jpg,daisy",
            ),
            "flowers/daisy 1.jpg": shows("daisy", "train"),
            "flowers/rose 1.jpg": shows("rose", "valid"),
            "flowers/rose 2.jpg": shows("rose", "test"),
            "flowers/daisy 2.jpg": shows("daisy"),
        },
        says=("all_data.csv",),
    ),
    "Hugging Face: metadata.csv in each split": Case(
        {
            "README.md": "---\nlicense: mit\n---",
            "train/metadata.csv": rows("file_name,label", "0001.png,cat", "0002.png,dog"),
            "train/0001.png": shows("cat", "train"),
            "train/0002.png": shows("dog", "train"),
            "test/metadata.csv": rows("file_name,label", "0001.png,dog"),
            "test/0001.png": shows("dog", "test"),
        }
    ),
    "Hugging Face: metadata.jsonl, one for all, with lists of labels": Case(
        {
            "data/metadata.jsonl": rows(
                '{"file_name": "train/a.png", "labels": ["cat", "wet"], "width": 16}',
                '{"file_name": "train/b.png", "labels": ["dog"]}',
                '{"file_name": "test/c.png", "labels": ["dog", "wet"]}',
            ),
            "data/train/a.png": shows("cat|wet", "train"),
            "data/train/b.png": shows("dog", "train"),
            "data/test/c.png": shows("dog|wet", "test"),
        }
    ),
    "Hugging Face: a caption for each picture says no class, the folder does": Case(
        {
            "metadata.csv": rows("file_name,text", "cat/0.png,a cat that sleeps", "dog/0.png,a dog in the rain"),
            **classes("{label}/{number}.png", ("cat", "dog")),
        }
    ),
    "Hugging Face: split folders without classes": Case(
        {
            **each("train/{}.png", NUMBERS, shows(None, ANY)),
            **each("test/{}.png", NUMBERS, shows()),
            "README.md": "# data",
        }
    ),
}
