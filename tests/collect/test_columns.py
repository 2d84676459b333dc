"""What columns mean, by the names that well-known sets give them and by what is in their cells."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.columns import Meaning, as_flag, meaning_of
from pipeline.collect.entries import Labelling
from pipeline.errors import SourceError


def meant(*lines: str, sign: str = ",", **how: Any) -> Meaning:
    first, *rows = [line.split(sign) for line in lines]
    return meaning_of("t.csv", first, rows, Labelling(**how))


def roles(*lines: str, sign: str = ",", **how: Any) -> dict[str, str]:
    """role -> the column's name; all one-hot columns are ``one_hot``."""
    found = meant(*lines, sign=sign, **how)
    named = {role: found.names[index] for role, index in found.roles.items()}
    return named | ({"one_hot": "+".join(found.classes)} if found.one_hot else {})


SETS = {
    "dog breeds": (("id,breed", "0a1b,pug", "0c2d,boxer"), {"path": "id", "label": "breed"}),
    "aptos": (("id_code,diagnosis", "0a1b,2", "0c2d,4"), {"path": "id_code", "label": "diagnosis"}),
    "cassava": (("image_id,label", "1.jpg,0", "2.jpg,3"), {"path": "image_id", "label": "label"}),
    "cifar-10": (("id,label", "1,frog", "2,truck"), {"path": "id", "label": "label"}),
    "ham10000": (
        ("lesion_id,image_id,dx,dx_type,age,sex,localization", "H1,I1,bkl,histo,80.0,male,scalp"),
        {"path": "image_id", "label": "dx"},
    ),
    "isic 2020": (
        ("image_name,patient_id,sex,age_approx,diagnosis,benign_malignant,target", "I1,P1,male,45,unknown,benign,0"),
        {"path": "image_name", "label": "benign_malignant"},
    ),
    "isic 2019": (("image,MEL,NV,BCC", "I1,0.0,1.0,0.0", "I2,1.0,0.0,0.0"), {"path": "image", "one_hot": "MEL+NV+BCC"}),
    "isic 2019, test": (
        ("image,MEL,NV,score_weight,validation_weight", "I1,0.0,1.0,1.0,0.0"),
        {"path": "image", "one_hot": "MEL+NV"},
    ),
    "nih": (
        ("Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age", "1.png,Mass|Nodule,0,1,58"),
        {"path": "Image Index", "labels": "Finding Labels"},
    ),
    "chexpert": (
        (
            "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema",
            "a/1.jpg,Male,1,Frontal,AP,1.0,",
            "a/2.jpg,F,2,L,,,-1.0",
        ),
        {"path": "Path", "one_hot": "No Finding+Edema"},
    ),
    "plant pathology": (
        ("image_id,healthy,multiple_diseases,rust,scab", "T_0,0,0,0,1", "T_1,1,0,0,0"),
        {"path": "image_id", "one_hot": "healthy+multiple_diseases+rust+scab"},
    ),
    "roboflow": (("filename, Bus, Car", "1.jpg, 1, 0", "2.jpg, 1, 1"), {"path": "filename", "one_hot": "Bus+Car"}),
    "planet": (("image_name,tags", "train_0,haze primary"), {"path": "image_name", "labels": "tags"}),
    "birds": (
        ("class id,filepaths,labels,data set", "0,train/A/1.jpg,ABBOTTS BABBLER,train", "1,train/B/1.jpg,OWL,test"),
        {"path": "filepaths", "labels": "labels", "split": "data set"},
    ),
    "gtsrb, test": (
        ("Width,Height,Roi.X1,ClassId,Path", "53,54,6,16,Test/0.png", "42,45,5,1,Test/1.png"),
        {"path": "Path", "label": "ClassId"},
    ),
    "petfinder": (("PetID,Breed", "86e1089a3,pug"), {"path": "PetID", "label": "Breed"}),
    "label studio": (
        (
            "annotation_id,annotator,choice,created_at,id,image,lead_time",
            "1,1,cat,x,7,/data/upload/1/1a2b3c4d-a.jpg,2.1",
        ),
        {"path": "image", "label": "choice"},
    ),
    "inaturalist": (
        ("id,image_url,scientific_name", "7,https://x.org/7.jpg,Ursus arctos"),
        {"url": "image_url", "label": "scientific_name"},
    ),
    "hugging face": (("file_name,label", "1.jpg,cat"), {"path": "file_name", "label": "label"}),
    "pandas": ((",file,label", "0,1.jpg,cat", "1,2.jpg,dog"), {"path": "file", "label": "label"}),
    "pandas, twice": (
        ("Unnamed: 0.1,Unnamed: 0,file,healthy,sick", "0,0,1.jpg,1,0", "1,1,2.jpg,0,1"),
        {"path": "file", "one_hot": "healthy+sick"},
    ),
    "dummies": (("file,breed_pug,breed_boxer", "1.jpg,True,False"), {"path": "file", "one_hot": "pug+boxer"}),
    "cub": (("image_id,is_training_image,class_id", "1,1,1"), {"path": "image_id", "is_valid": "is_training_image"}),
    "celeba": (("image_id,Bald,Male", "1.jpg,-1,1", "2.jpg,1,-1"), {"path": "image_id", "one_hot": "Bald+Male"}),
}


@pytest.mark.parametrize("name", SETS)
def test_the_columns_of_well_known_sets_are_known(name: str) -> None:
    lines, expected = SETS[name]
    assert roles(*lines).items() >= expected.items()
    bare = "\ufeff" + lines[0].upper().replace("_", " ")
    if "one_hot" not in expected:
        assert {role: column.upper().replace("_", " ") for role, column in expected.items()}.items() <= (
            roles(bare, *lines[1:]).items()
        )


def test_a_semicolon_table_of_traffic_signs() -> None:
    lines = ("Filename;Width;Height;Roi.X1;ClassId", "00000.ppm;29;30;5;0")
    assert roles(*lines, sign=";") == {"path": "Filename", "label": "ClassId"}


def test_words_are_taken_where_numbers_say_the_same() -> None:
    assert roles("file,label,label_name", "1.jpg,0,cat", "2.jpg,1,dog", "3.jpg,0,cat")["label"] == "label_name"
    assert roles("file,label,breed", "1.jpg,0,pug", "2.jpg,0,boxer", "3.jpg,1,pug")["label"] == "label"


def test_what_else_the_label_could_be_is_told() -> None:
    told = meant("file,dx,diagnosis", "1.jpg,a,b", "2.jpg,c,d").notes
    assert len(told) == 1 and "'diagnosis'" in told[0] and "'dx' (--label-column)" in told[0]


def test_what_may_belong_together_is_proposed_and_only_taken_when_it_is_said() -> None:
    lines = ("lesion_id,image_id,dx", "H1,I1,a", "H1,I2,a", "H2,I3,b")
    assert "scene" not in meant(*lines).roles
    assert any('--group-column "lesion_id"' in note for note in meant(*lines).notes)
    told = meant(*lines, group_column="Lesion ID")
    assert told.names[told.roles["scene"]] == "lesion_id" and told.notes == ()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("sample,kind", "a.jpg,x", "b.jpg,y", "c.jpg,x", "d.jpg,y"), {"path": "sample", "label": "kind"}),
        (("kind,sample", "1,a.tif", "2,b.tif", "1,c.tif", "2,d.tif"), {"path": "sample", "label": "kind"}),
        (
            ("where,is", "https://x.org/1,x", "https://x.org/2,x", "http://x.org/3,y", "http://x.org/4,y"),
            {"url": "where"},
        ),
        (("thing,usage_", "a.jpg,train", "b.jpg,test", "c.jpg,train"), {"path": "thing", "split": "usage_"}),
        (("a,b,c", "1.jpg,x,p", "2.jpg,y,q", "3.jpg,x,p", "4.jpg,y,q"), {"path": "a"}),
        (("a,text", "1.jpg,good", "2.jpg,bad", "3.jpg,good", "4.jpg,bad"), {"path": "a"}),
        (("a,b", "1.jpg,0.25", "2.jpg,0.5", "3.jpg,0.25", "4.jpg,0.5"), {"path": "a"}),
    ],
)
def test_unknown_names_are_decided_by_what_is_in_the_cells(lines: tuple[str, ...], expected: dict[str, str]) -> None:
    found = roles(*lines)
    assert found.items() >= expected.items()
    assert ("label" in found) == ("label" in expected) or "url" in expected or "split" in expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("1.jpg,cat", "2.jpg,dog"), {"path": "1", "label": "2"}),
        (("cat,1.jpg", "dog,2.jpg", "cat,3.jpg"), {"label": "1", "path": "2"}),
        (("TRAIN,gs://b/1.jpg,daisy", "TEST,gs://b/2.jpg,rose"), {"split": "1", "path": "2", "label": "3"}),
        (("UNASSIGNED,gs://b/1.jpg,daisy", "TEST,gs://b/2.jpg,rose"), {"split": "1", "path": "2", "label": "3"}),
        (("TRAIN,gs://b/1.jpg,daisy", "TRAIN,gs://b/2.jpg,daisy"), {"split": "1", "path": "2", "label": "3"}),
        (("gs://b/1.jpg,daisy", "gs://b/2.jpg,rose"), {"path": "1", "label": "2"}),
        (("https://x.org/1.jpg,daisy", "https://x.org/2.jpg,rose"), {"url": "1", "label": "2"}),
    ],
)
def test_a_first_line_that_is_a_row_is_seen(lines: tuple[str, ...], expected: dict[str, str]) -> None:
    found = meant(*lines)
    assert not found.headed and any("no header" in note for note in found.notes)
    assert roles(*lines) == expected


def test_a_header_stays_a_header() -> None:
    for first in ("file,label", "a.jpg,label", "image.png,class"):
        assert meant(first, "1,cat", "2,dog").headed
    assert meant("file,label").headed and meant("1000,healthy").headed
    assert not meant("1000,healthy", "1001,rust", "1002,healthy", "1003,healthy").headed


@pytest.mark.parametrize("name", ["Kind", "kind", " KIND ", "k_i_n_d"])
def test_named_columns_win_whatever_the_case(name: str) -> None:
    lines = ("file,label,other,kind,when", "1.jpg,cat,2.jpg,x,test", "2.jpg,dog,1.jpg,y,train")
    told = roles(*lines, label_column=name, file_column="OTHER", split_column="When", group_column="label")
    assert told == {"path": "other", "label": "kind", "split": "when", "scene": "label"}


def test_a_column_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(SourceError, match=r"no column 'klass' \(--label-column\)\. It has: 'file', 'label'\."):
        meant("file,label", "1.jpg,cat", label_column="klass")
    assert roles("1.jpg,cat,x", "2.jpg,dog,y", label_column="3")["label"] == "3"


@pytest.mark.parametrize("lines", [("emotion,pixels,Usage", "0,70 80 82,Training"), ("label,pixel0,pixel1", "3,0,255")])
def test_pictures_in_the_cells_are_refused_in_words(lines: tuple[str, ...]) -> None:
    with pytest.raises(SourceError, match=r"the pictures themselves.*picture file"):
        meant(*lines)


def test_folds_are_no_split() -> None:
    found = meant("file,label,fold", "1.jpg,a,0", "2.jpg,b,1")
    assert "split" not in found.roles and "no split" in found.notes[0]


def test_a_column_called_like_a_split_that_says_something_else_is_none() -> None:
    assert "split" not in meant("file,label,dataset", "1.jpg,a,vidir_modern", "2.jpg,b,rosendahl").roles
    assert "split" in meant("file,label,split", "1.jpg,a,odd", "2.jpg,b,even").roles


def test_boxes_and_annotators_are_seen() -> None:
    assert meant("filename,class,xmin,ymin", "1.jpg,cat,1,2").boxes
    assert meant("Image Index,Finding Label,Bbox [x,y,w,h]", "1.png,Mass,1,2,3,4").boxes
    assert roles("Image Index,Finding Label,Bbox [x,y,w,h]", "1.png,Mass,1,2,3,4")["label"] == "Finding Label"
    assert meant("image,choice,annotator", "1.jpg,cat,7").annotators


@pytest.mark.parametrize(("cell", "says"), [("1", True), ("0.0", False), (" TRUE", True), ("", False), ("-1.0", None)])
def test_yes_and_no_are_read_as_people_write_them(cell: str, says: bool | None) -> None:
    assert as_flag(cell) is says


@given(st.lists(st.lists(st.text(max_size=8), max_size=5), min_size=1, max_size=6))
@settings(max_examples=50)
def test_any_cells_have_a_meaning_or_a_reason(rows: list[list[str]]) -> None:
    try:
        found = meaning_of("t.csv", rows[0], rows[1:], Labelling())
    except SourceError as error:
        assert str(error).endswith(".")
    else:
        assert all(0 <= index < len(found.names) for index in (*found.roles.values(), *found.one_hot))
