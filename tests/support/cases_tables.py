"""Tables as people and programs write them: their columns, what separates them, and how they name files."""

from __future__ import annotations

import unicodedata

from pipeline.predict import NONE
from tests.support.cases import Case, Thing, classes, rows, shows

NFC, NFD = (unicodedata.normalize(form, "Müller_Bär") for form in ("NFC", "NFD"))
CATS: dict[str, Thing] = {"0.jpg": shows("cat"), "1.jpg": shows("dog"), "2.jpg": shows("cat")}
SPLITS = {"train": "train", "valid": "valid", "test": "test"}


def table(text: str | bytes, files: dict[str, Thing] | None = None, **more: object) -> Case:
    """A table beside its pictures."""
    return Case({"data.csv": text, **(files or CATS)}, says=("data.csv",), **more)  # type: ignore[arg-type]


FILES = {
    "ids without an ending": table(rows("image_id,label", "0,cat", "1,dog", "2,cat")),
    "paths relative to the folder above": Case(
        {
            "project/data/t.csv": rows("path,label", "data/img/0.jpg,cat", "data/img/1.jpg,dog"),
            "project/data/img/0.jpg": shows("cat"),
            "project/data/img/1.jpg": shows("dog"),
        },
        source="project/data/t.csv",
        refused=0,
    ),
    "paths relative to the folder above, the folder imported": Case(
        {
            "data/t.csv": rows("path,label", "data/img/0.jpg,cat", "data/img/1.jpg,dog"),
            "data/img/0.jpg": shows("cat"),
            "data/img/1.jpg": shows("dog"),
        },
        source="data",
    ),
    "names composed in the table and apart on the disk": Case(
        {
            "t.csv": rows("filename,label", f"{NFC}.jpg,cat", "é.jpg,dog"),
            f"{NFD}.jpg": shows("cat"),
            unicodedata.normalize("NFD", "é.jpg"): shows("dog"),
        }
    ),
    "names apart in the table and composed on the disk": Case(
        {
            "t.csv": rows("filename,label", f"{NFD}.jpg,cat", "b.jpg,dog"),
            f"{NFC}.jpg": shows("cat"),
            "b.jpg": shows("dog"),
        }
    ),
    "another case": Case(
        {
            "t.csv": rows("filename,label", "IMG_0001.jpg,cat", "Photos/img_2.JPG,dog"),
            "img_0001.JPG": shows("cat"),
            "photos/IMG_2.jpg": shows("dog"),
        }
    ),
    "another ending": Case(
        {
            "t.csv": rows("filename,label", "a.jpg,cat", "b.png,dog"),
            "a.jpeg": shows("cat"),
            "b.JPG": shows("dog"),
        }
    ),
    "paths of Windows": Case(
        {
            "t.csv": rows("filename,label", r"pets\day one\0.jpg,cat", r".\pets\1.jpg,dog"),
            "pets/day one/0.jpg": shows("cat"),
            "pets/1.jpg": shows("dog"),
        }
    ),
    "absolute paths of another machine": Case(
        {
            "t.csv": rows(
                "filepath,label",
                r"C:\Users\Ana\Desktop\photos\monday\1.jpg,cat",
                "/content/drive/MyDrive/photos/tuesday/1.jpg,dog",
                "/home/ana/photos/2.jpg,dog",
            ),
            "monday/1.jpg": shows("cat"),
            "tuesday/1.jpg": shows("dog"),
            "2.jpg": shows("dog"),
        }
    ),
    "ids whose picture lies in one of several folders": Case(
        {
            "labels.csv": rows("id,label", "a1,cat", "b2,dog", "c3,cat"),
            "part 1/a1.jpg": shows("cat"),
            "part 1/b2.jpg": shows("dog"),
            "part 2/c3.jpg": shows("cat"),
        }
    ),
    "one name in two folders is no guess": Case(
        {
            "labels.csv": rows("filename,label", "1.jpg,cat", "2.jpg,dog"),
            "monday/1.jpg": shows((None, "monday")),
            "tuesday/1.jpg": shows((None, "tuesday")),
            "monday/2.jpg": shows(("dog", "monday")),
        },
        says=("1.jpg",),
    ),
    "most files that a table names are missing: one hint": Case(
        {
            "data.csv": rows(
                "path,label", *(f"gone/{number}.jpg,cat" for number in range(40)), "0.jpg,cat", "1.jpg,dog"
            ),
            "0.jpg": shows("cat"),
            "1.jpg": shows("dog"),
        },
        source="data.csv",
        says=("gone/0.jpg",),
        refused=1,
    ),
    "two files are missing": Case(
        {
            "data.csv": rows("path,label", "0.jpg,cat", "1.jpg,dog", "7.jpg,dog", "8.jpg,dog"),
            "0.jpg": shows("cat"),
            "1.jpg": shows("dog"),
        },
        says=("7.jpg",),
    ),
    "blanks around the names": table(rows("path , label ", " 0.jpg , cat", "1.jpg, dog ", "2.jpg,cat")),
}

COLUMNS = {
    "one-hot": table(rows("filename,cat,dog", "0.jpg,1,0", "1.jpg,0,1", "2.jpg,1,0")),
    "one-hot, True and False": table(
        rows("filename,cat,dog", "0.jpg,True,False", "1.jpg,False,True", "2.jpg,TRUE,false")
    ),
    "one-hot, several and none": table(
        rows("filename,cat,dog,wet", "0.jpg,1,0,1", "1.jpg,0,0,0", "2.jpg,0,1,0"),
        {"0.jpg": shows("cat|wet"), "1.jpg": shows((None, NONE)), "2.jpg": shows("dog")},
    ),
    "one-hot, 1 and -1": table(
        rows("image_id,Bald,Young", "0.jpg,-1,1", "1.jpg,1,-1", "2.jpg,1,1"),
        {"0.jpg": shows("Young"), "1.jpg": shows("Bald"), "2.jpg": shows("Bald|Young")},
    ),
    "an index column of pandas": table(rows(",path,label", "0,0.jpg,cat", "1,1.jpg,dog", "2,2.jpg,cat")),
    "an index column called Unnamed: 0": table(rows("Unnamed: 0,id,label", "0,0,cat", "1,1,dog", "2,2,cat")),
    "semicolons": table(rows("path;label", "0.jpg;cat", "1.jpg;dog", "2.jpg;cat")),
    "tabs in a file called .csv": table(rows("path\tlabel", "0.jpg\tcat", "1.jpg\tdog", "2.jpg\tcat")),
    "no header": table(rows("0.jpg,cat", "1.jpg,dog", "2.jpg,cat")),
    "no header, the label first": table(rows("cat,0.jpg", "dog,1.jpg", "cat,2.jpg")),
    "no header, a blank between them": Case(
        {"list.txt": rows("0.jpg cat", "1.jpg dog", "2.jpg cat"), **CATS}, says=("list.txt",)
    ),
    "a BOM": table("﻿path,label\n0.jpg,cat\n1.jpg,dog\n2.jpg,cat\n".encode()),
    "UTF-16 with semicolons": table("path;label\r\n0.jpg;cat\r\n1.jpg;dog\r\n2.jpg;cat\r\n".encode("utf-16")),
    "Excel's sep=": table("sep=;\r\npath;label\r\n0.jpg;cat\r\n1.jpg;dog\r\n2.jpg;cat\r\n"),
    "names of programs: img_path and class_name": table(
        rows("img_path,class_name", "0.jpg,cat", "1.jpg,dog", "2.jpg,cat")
    ),
    "names of people: Image Name, Species": table(rows("Image Name,Species", "0.jpg,cat", "1.jpg,dog", "2.jpg,cat")),
    "names in another language are told": Case(
        {
            "data.csv": rows("Datei;Tier;Teil;Hof", "0.jpg;cat;lernen;a", "1.jpg;dog;lernen;b", "2.jpg;cat;lernen;a"),
            **CATS,
        },
        options={"file_column": "Datei", "label_column": "Tier"},
    ),
    "the label is a column that is not called so": Case(
        {
            "data.csv": rows("path,label,breed", "0.jpg,1,cat", "1.jpg,1,dog", "2.jpg,1,cat"),
            **CATS,
        },
        options={"label_column": "breed"},
    ),
    "a class called by two words": table(
        rows("filename,labels", "0.jpg,AMERICAN ROBIN", "1.jpg,SNOWY OWL", "2.jpg,AMERICAN ROBIN"),
        {"0.jpg": shows("AMERICAN ROBIN"), "1.jpg": shows("SNOWY OWL"), "2.jpg": shows("AMERICAN ROBIN")},
    ),
    "classes with commas in their names": table(
        rows("filename,labels", '0.jpg,"tench, Tinca tinca"', '1.jpg,"hen"', '2.jpg,"tench, Tinca tinca"'),
        {"0.jpg": shows("tench, Tinca tinca"), "1.jpg": shows("hen"), "2.jpg": shows("tench, Tinca tinca")},
    ),
    "words that recur in other combinations are several labels": table(
        rows("filename,tags", "0.jpg,cat wet", "1.jpg,dog wet", "2.jpg,cat"),
        {"0.jpg": shows("cat|wet"), "1.jpg": shows("dog|wet"), "2.jpg": shows("cat")},
    ),
    "commas in a cell that recur are several labels": table(
        rows("filename,labels", '0.jpg,"cat,wet"', '1.jpg,"dog,wet"', "2.jpg,cat"),
        {"0.jpg": shows("cat|wet"), "1.jpg": shows("dog|wet"), "2.jpg": shows("cat")},
    ),
    "a list as Python writes it": table(
        rows("filename,labels", "0.jpg,\"['cat', 'wet']\"", "1.jpg,\"['dog']\"", "2.jpg,\"['cat']\""),
        {"0.jpg": shows("cat|wet"), "1.jpg": shows("dog"), "2.jpg": shows("cat")},
    ),
    "numbers for a name, and the name": table(
        rows("filename,class_id,class_name", "0.jpg,0,cat", "1.jpg,1,dog", "2.jpg,0,cat")
    ),
    "rows without a label": table(
        rows("filename,label", "0.jpg,cat", "1.jpg,dog", "2.jpg,"),
        {"0.jpg": shows("cat"), "1.jpg": shows("dog"), "2.jpg": shows()},
    ),
    "a row twice": table(rows("path,label", "0.jpg,cat", "1.jpg,dog", "2.jpg,cat", "0.jpg,cat"), refused=0),
    "a file with two labels": table(
        rows("path,label", "0.jpg,cat", "0.jpg,dog", "1.jpg,dog", "2.jpg,cat"),
        {"0.jpg": shows(("cat", "dog", "cat|dog", None)), "1.jpg": shows("dog"), "2.jpg": shows("cat")},
    ),
    "a row for each label": table(
        rows("path,label", "0.jpg,cat", "0.jpg,wet", "1.jpg,dog", "1.jpg,wet", "2.jpg,cat", "2.jpg,asleep"),
        {
            "0.jpg": shows(("cat|wet", "cat", "wet", None)),
            "1.jpg": shows(("dog|wet", "dog", "wet", None)),
            "2.jpg": shows(("asleep|cat", "asleep", "cat", None)),
        },
    ),
    "boxes: a file for each of its objects": table(
        rows(
            "filename,width,height,class,xmin,ymin,xmax,ymax",
            "0.jpg,16,16,cat,1,1,5,5",
            "0.jpg,16,16,cat,7,7,9,9",
            "1.jpg,16,16,dog,1,1,5,5",
            "2.jpg,16,16,cat,1,1,5,5",
        )
    ),
    "a patient for each picture": table(
        rows("path,label,patient_id", "0.jpg,cat,p1", "1.jpg,dog,p2", "2.jpg,cat,p1"),
        options={"group_column": "patient_id"},
    ),
    "three tables that say the same of other pictures": Case(
        {
            "train.csv": rows("path,label", "pictures/0.jpg,cat", "pictures/1.jpg,dog"),
            "val.csv": rows("path,label", "pictures/2.jpg,cat"),
            "test.csv": rows("path,label", "pictures/3.jpg,dog"),
            "pictures/0.jpg": shows("cat", (None, "train")),
            "pictures/1.jpg": shows("dog", (None, "train")),
            "pictures/2.jpg": shows("cat", (None, "valid")),
            "pictures/3.jpg": shows("dog", (None, "test")),
        }
    ),
}

BESIDE = {
    "a table in a folder beside the pictures": Case(
        {
            "annotations/labels.csv": rows("id,label", "a1,cat", "b2,dog"),
            "images/a1.jpg": shows("cat"),
            "images/b2.jpg": shows("dog"),
        },
        says=("labels.csv",),
    ),
    "two tables that say different things": Case(
        {
            "labels.csv": rows("path,label", "0.jpg,cat", "1.jpg,dog", "2.jpg,cat"),
            "labels_corrected.csv": rows("path,label", "0.jpg,dog", "1.jpg,dog", "2.jpg,cat"),
            "0.jpg": shows(("cat", "dog", "cat|dog")),
            "1.jpg": shows("dog"),
            "2.jpg": shows("cat"),
        },
        says=("labels.csv", "labels_corrected.csv"),
    ),
    "a table of sizes says no class": Case(
        {
            "sizes.csv": rows("filename,width,height", "cat/0.jpg,16,16", "cat/1.jpg,16,16", "dog/0.jpg,16,16"),
            **classes("{label}/{number}.jpg", ("cat", "dog")),
        }
    ),
    "a log of a training is no table of pictures": Case(
        {
            "history.csv": rows("epoch,loss,label", "0,1.5,a", "1,0.7,b"),
            **classes("{label}/{number}.jpg", ("cat", "dog")),
        }
    ),
    "a table that names one picture of many": Case(
        {
            "notes.csv": rows("filename,label", "cat/0.jpg,doubtful"),
            **classes("{label}/{number}.jpg", ("cat", "dog"), count=4),
            "cat/0.jpg": shows(("cat", "doubtful")),
        },
        says=("notes.csv",),
    ),
    "a workbook beside the pictures is not passed over in silence": Case(
        {"labels.xlsx": b"PK\3\4 workbook", "0.jpg": shows(), "1.jpg": shows()}, says=("labels.xlsx",)
    ),
}

SPLIT_WORDS = {
    "PublicTest, PrivateTest, validate, holdout, Val": table(
        rows(
            "path,label,split",
            *("0.jpg,a,Training", "1.jpg,b,PublicTest", "2.jpg,a,PrivateTest", "3.jpg,b,holdout"),
            *("4.jpg,a,TRAIN", "5.jpg,b,Val", "6.jpg,a,validate"),
        ),
        {
            "0.jpg": shows("a", "train"),
            "1.jpg": shows("b", "valid"),
            "2.jpg": shows("a", "test"),
            "3.jpg": shows("b", "test"),
            "4.jpg": shows("a", "train"),
            "5.jpg": shows("b", "valid"),
            "6.jpg": shows("a", "valid"),
        },
        refused=0,
    ),
    "FER2013's Usage": table(
        rows("image,emotion,Usage", "0.jpg,happy,Training", "1.jpg,sad,PublicTest", "2.jpg,happy,PrivateTest"),
        {"0.jpg": shows("happy", "train"), "1.jpg": shows("sad", "valid"), "2.jpg": shows("happy", "test")},
    ),
    "a word that is no split loses no picture": Case(
        {
            "data.csv": rows("path,label,split", "0.jpg,cat,train", "1.jpg,dog,test", "2.jpg,cat,7b"),
            "0.jpg": shows("cat", ("train", None)),
            "1.jpg": shows("dog", ("test", None)),
            "2.jpg": shows("cat"),
        },
        says=("7b",),
    ),
    "fold numbers are no splits": table(
        rows("path,label,fold", "0.jpg,cat,0", "1.jpg,dog,1", "2.jpg,cat,2"),
    ),
    "dataset as the column, dev as the word": table(
        rows("path,label,dataset", "0.jpg,cat,train", "1.jpg,dog,dev", "2.jpg,cat,eval"),
        {"0.jpg": shows("cat", "train"), "1.jpg": shows("dog", "valid"), "2.jpg": shows("cat", ("valid", "test"))},
    ),
    "is_valid": table(
        rows("path,label,is_valid", "0.jpg,cat,False", "1.jpg,dog,True", "2.jpg,cat,0"),
        {"0.jpg": shows("cat", "train"), "1.jpg": shows("dog", "valid"), "2.jpg": shows("cat", "train")},
    ),
    "a column that is named by the person": Case(
        {
            "data.csv": rows("path,label,part", "0.jpg,cat,train", "1.jpg,dog,valid", "2.jpg,cat,test"),
            "0.jpg": shows("cat", "train"),
            "1.jpg": shows("dog", "valid"),
            "2.jpg": shows("cat", "test"),
        },
        options={"split_column": "part"},
    ),
}
