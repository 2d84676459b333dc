"""Where pictures lie on a disk: names that are a class or none, what machines leave behind, links, empty folders."""

from __future__ import annotations

import unicodedata

from tests.support.cases import LEFT_OUT, Case, classes, each, link, shows

NUMBERS = range(2)
BLOBS = ("c0ffee", "decade", "facade", "0ff1ce")
SNAPSHOT = "datasets--me--pets/snapshots/1a2b"

NAMES = {
    "a class called unknown": Case(
        classes("{label}/{number}.jpg", ("cat", "dog")) | each("unknown/{}.jpg", NUMBERS, shows(("unknown", None))),
        says=("unknown",),
        asks=True,
    ),
    "a class called test, beside others": Case(
        classes("{label}/{number}.jpg", ("control", "placebo"))
        | each("test/{}.jpg", NUMBERS, shows(("test", None), (None, "test"))),
        says=("test",),
        asks=True,
    ),
    "a class called train, beside other vehicles": Case(
        classes("{label}/{number}.jpg", ("bus", "car"))
        | each("train/{}.jpg", NUMBERS, shows(("train", None), (None, "train"))),
        says=("train",),
        asks=True,
    ),
    "a class called train within train": Case(
        {
            **classes("train/{label}/{number}.jpg", ("bus", "car", "train"), "train"),
            **classes("valid/{label}/1{number}.jpg", ("bus", "car", "train"), "valid"),
        },
        says=("train",),
    ),
    "images and data as classes": Case(
        {
            **each("images/{}.jpg", NUMBERS, shows(("images", None))),
            **each("data/{}.jpg", NUMBERS, shows(("data", None))),
        },
        asks=True,
    ),
    "a lone folder called images": Case(each("images/{}.jpg", NUMBERS, shows(("images", None))), says=("images",)),
    "Unicode twins: composed and apart": Case(
        {
            **each(unicodedata.normalize("NFC", "Bär") + "/{}.jpg", NUMBERS, shows("Bär")),
            **each(unicodedata.normalize("NFD", "Bär") + "/1{}.jpg", NUMBERS, shows("Bär")),
            **each("Löwe/{}.jpg", NUMBERS, shows("Löwe")),
        }
    ),
    "an invisible twin": Case(
        {
            **each("cat/{}.jpg", NUMBERS, shows("cat")),
            **each("ca\u200bt/1{}.jpg", NUMBERS, shows("cat")),
            **each("d\u00adog/{}.jpg", NUMBERS, shows("dog")),
        }
    ),
    "a twin in Cyrillic is asked about or joined": Case(
        {
            **each("cat/{}.jpg", NUMBERS, shows("cat")),
            **each("c\u0430t/1{}.jpg", NUMBERS, shows(("cat", "c\u0430t"))),
            **each("dog/{}.jpg", NUMBERS, shows("dog")),
        },
        says=("cat",),
    ),
    "the same class in two cases in two splits": Case(
        {
            **each("train/Cat/{}.jpg", NUMBERS, shows(("Cat", "cat"), "train")),
            **each("train/Dog/{}.jpg", NUMBERS, shows(("Dog", "dog"), "train")),
            **each("valid/cat/1{}.jpg", NUMBERS, shows(("Cat", "cat"), "valid")),
            **each("valid/dog/1{}.jpg", NUMBERS, shows(("Dog", "dog"), "valid")),
        },
        says=("cat",),
    ),
    "wrappers in wrappers": Case(classes("archive/data/Pet Images (1)/{label}/{number}.jpg", ("cat", "dog"))),
    "a wrapper in each class": Case(classes("{label}/images/{number}.jpg", ("cat", "dog"))),
    "folders below classes": Case(
        {
            **each("cat/monday/{}.jpg", NUMBERS, shows("cat")),
            **each("cat/tuesday/1{}.jpg", NUMBERS, shows("cat")),
            **each("dog/monday/{}.jpg", NUMBERS, shows("dog")),
        }
    ),
    "loose pictures beside class folders": Case(
        {**classes("{label}/{number}.jpg", ("cat", "dog")), "cover.jpg": shows(), "sheet.png": shows()}
    ),
    "numbers as classes": Case(
        {
            **classes("training/{label}/{number}.png", ("0", "1", "2"), "train"),
            **classes("testing/{label}/1{number}.png", ("0", "1", "2"), "test"),
        }
    ),
    "classes first, then splits": Case(
        {
            **each("cat/train/{}.jpg", NUMBERS, shows("cat", "train")),
            **each("cat/test/1{}.jpg", NUMBERS, shows("cat", "test")),
            **each("dog/train/{}.jpg", NUMBERS, shows("dog", "train")),
            **each("dog/test/1{}.jpg", NUMBERS, shows("dog", "test")),
        }
    ),
    "an empty class folder": Case({**classes("{label}/{number}.jpg", ("cat", "dog")), "bird": None}, says=("bird",)),
    "an empty class in one split": Case(
        {
            **classes("train/{label}/{number}.jpg", ("cat", "dog", "bird"), "train"),
            **classes("valid/{label}/1{number}.jpg", ("cat", "dog"), "valid"),
            "valid/bird": None,
        },
        says=("bird",),
    ),
    "endings in capitals, and none": Case(
        {"cat/A.JPG": shows("cat"), "cat/B.JPEG": shows("cat"), "dog/C.Png": shows("dog"), "dog/IMG_0001": shows("dog")}
    ),
}

NAMES |= {
    "unusual endings": Case(
        {
            "cat/a.jfif": shows("cat"),
            "cat/b.jpe": shows("cat"),
            "cat/c.webp": shows("cat"),
            "dog/d.tiff": shows("dog"),
            "dog/e.bmp": shows("dog"),
            "dog/g.jpg_large": shows("dog"),
            "dog/h.jpg?w=300": shows("dog"),
        },
        refused=0,
    )
}

NOISE = {
    "what a Synology, Windows and a Mac leave": Case(
        {
            **classes("{label}/{number}.jpg", ("a", "b")),
            "@eaDir/0.jpg/SYNOFILE_THUMB_M.jpg": LEFT_OUT,
            "a/@eaDir/0.jpg/SYNOFILE_THUMB_M.jpg": LEFT_OUT,
            "a/#recycle/x.jpg": LEFT_OUT,
            "$RECYCLE.BIN/x.jpg": LEFT_OUT,
            "System Volume Information/x.jpg": LEFT_OUT,
            "lost+found/x.jpg": LEFT_OUT,
            ".Trash-1000/files/z.jpg": LEFT_OUT,
            "__MACOSX/a/._0.jpg": LEFT_OUT,
            ".ipynb_checkpoints/0-checkpoint.jpg": LEFT_OUT,
            "a/.ipynb_checkpoints/0-checkpoint.jpg": LEFT_OUT,
            "a/.thumbnails/0.jpg": LEFT_OUT,
            "a/Thumbs.db": "\0",
            "b/desktop.ini": "[.ShellClassInfo]",
            ".DS_Store": "Bud1",
        },
        says=("NAS", "Windows"),
        refused=0,
    ),
    "what other systems and tools leave": Case(
        {
            **classes("{label}/{number}.jpg", ("a", "b")),
            "#snapshot/a/0.jpg": LEFT_OUT,
            "@Recycle/x.jpg": LEFT_OUT,
            "RECYCLER/x.jpg": LEFT_OUT,
            ".Spotlight-V100/x.jpg": LEFT_OUT,
            ".fseventsd/x.jpg": LEFT_OUT,
            ".AppleDouble/a.jpg": LEFT_OUT,
            ".git/objects/aa": "x",
            "a/.AppleDouble/0.jpg": LEFT_OUT,
            "b/.@__thumb/0.jpg": LEFT_OUT,
        },
        refused=0,
    ),
    "noise beside a table and its folders": Case(
        {
            "labels.csv": "id,label\n1,cat\n2,dog\n",
            "train/1.jpg": shows("cat", (None, "train")),
            "train/2.jpg": shows("dog", (None, "train")),
            "train/@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg": LEFT_OUT,
            "@eaDir/labels.csv@SynoEAStream": "x",
        }
    ),
}

LINKS = {
    "links into a folder of blobs": Case(
        {
            **{f"blobs/{name}": shows(("a", "b")[number % 2]) for number, name in enumerate(BLOBS)},
            **{f"snap/{('a', 'b')[n % 2]}/{n}.jpg": link(f"../../blobs/{name}") for n, name in enumerate(BLOBS)},
        }
    ),
    "the cache of Hugging Face": Case(
        {
            **{f"datasets--me--pets/blobs/{n}": shows(("a", "b")[i % 2], (None, "train")) for i, n in enumerate(BLOBS)},
            **{
                f"{SNAPSHOT}/train/{('a', 'b')[number % 2]}/{number}.jpg": link(f"../../../../blobs/{name}")
                for number, name in enumerate(BLOBS)
            },
            "datasets--me--pets/refs/main": "1a2b",
        }
    ),
    "the cache of DVC, hidden in the folder": Case(
        {
            **{f".dvc/cache/files/md5/{n[:2]}/{n[2:]}": shows(("a", "b")[i % 2]) for i, n in enumerate(BLOBS)},
            **{
                f"data/{('a', 'b')[i % 2]}/{i}.jpg": link(f"../../.dvc/cache/files/md5/{n[:2]}/{n[2:]}")
                for i, n in enumerate(BLOBS)
            },
            "data.dvc": "outs:\n- path: data\n",
        }
    ),
    "a snapshot whose blobs lie outside of it": Case(
        {
            **{f"datasets--me--pets/blobs/{n}": shows(("a", "b")[i % 2], (None, "train")) for i, n in enumerate(BLOBS)},
            **{
                f"{SNAPSHOT}/train/{('a', 'b')[number % 2]}/{number}.jpg": link(f"../../../../blobs/{name}")
                for number, name in enumerate(BLOBS)
            },
        },
        source=SNAPSHOT,
        options={"follow_links": True},
    ),
    "class folders that are links": Case(
        {
            **each("shelf/7/{}.jpg", NUMBERS, shows("cat")),
            **each("shelf/8/{}.jpg", NUMBERS, shows("dog")),
            "set/cat": link("../shelf/7"),
            "set/dog": link("../shelf/8"),
        },
        source="set",
        options={"follow_links": True},
    ),
    "a link to the folder above ends": Case(
        {**classes("{label}/{number}.jpg", ("cat", "dog")), "cat/again": link("..")}
    ),
    "a link that leads nowhere": Case(
        {**classes("{label}/{number}.jpg", ("cat", "dog")), "cat/9.jpg": link("gone.jpg")}, says=("9.jpg",)
    ),
    "a link out of the folder is not followed": Case(
        {
            **classes("mine/{label}/{number}.jpg", ("cat", "dog")),
            "elsewhere/secret.jpg": LEFT_OUT,
            "mine/cat/9.jpg": link("../../elsewhere/secret.jpg"),
        },
        source="mine",
        says=("9.jpg", "--follow-links"),
    ),
}
