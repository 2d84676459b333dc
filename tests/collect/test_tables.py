"""Tables as people save them: any encoding and separator that Excel writes, many names for a column, bad rows told."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.entries import Entry, Labelling, Link, Note, Refused
from pipeline.collect.sources import read
from pipeline.collect.tables import Row, names_files, open_table, read_table
from pipeline.errors import SourceError, UsageError
from tests.support.paths import SHARED
from tests.support.sources import found, lay, notes, placed, refused, table

CSV = SHARED / "corpus" / "dev" / "csv"
URL = "https://example.org/a.jpg"


def test_a_table_names_files_labels_and_splits(tmp_path: Path) -> None:
    lay(tmp_path, "pictures/1.jpg", "pictures/2.jpg", "3.jpg")
    rows = [["pictures/1.jpg", "cat", "train"], ["pictures/2.jpg", "dog", "Validation"], ["3.jpg", "cat", ""]]
    source = table(tmp_path / "t.csv", ["path", "label", "split"], *rows)
    assert placed(source) == {
        "pictures/1.jpg": ("cat", "train"),
        "pictures/2.jpg": ("dog", "valid"),
        "3.jpg": ("cat", None),
    }
    assert placed(source, split_from="column") == placed(source)


def test_a_table_of_urls_gives_links(tmp_path: Path) -> None:
    url = "https://example.org/a.jpg"
    source = table(tmp_path / "t.csv", ["URL", " Label ", "split"], [url, "cat", "test"], [url, " dog ", ""])
    assert found(source)[:2] == [Link(url, "cat", "test"), Link(url, "dog", None)]
    assert "1 address stands in several rows that call them differently" in notes(source)[0]


def test_a_table_may_name_both(tmp_path: Path) -> None:
    lay(tmp_path, "1.jpg")
    rows = [["1.jpg", "", "cat"], ["", "https://example.org/a.jpg", "cat"]]
    kinds = [type(one) for one in found(table(tmp_path / "t.csv", ["path", "url", "label"], *rows))]
    assert kinds == [Entry, Link]


def test_a_byte_order_mark_and_quotes_are_read(tmp_path: Path) -> None:
    lay(tmp_path, 'a "b", c.jpg')
    source = table(tmp_path / "t.csv", ["path", "label"], ['a "b", c.jpg', "cät"], encoding="utf-8-sig")
    assert placed(source) == {'a "b", c.jpg': ("cät", None)}


def test_bad_rows_are_listed_with_their_line_and_the_rest_is_taken(tmp_path: Path) -> None:
    lay(tmp_path, "1.jpg")
    rows = [
        *(["1.jpg", "cat", ""], ["missing.jpg", "cat", ""], ["1.jpg", "x" * 300, ""], ["", "cat", ""]),
        *(["x" * 5000, "cat", ""], ["nul\0.jpg", "cat", ""]),
    ]
    source = table(tmp_path / "t.csv", ["path", "label", "split"], *rows)
    assert set(placed(source)) == {"1.jpg"}
    assert set(refused(source)) == {f"line {number}" for number in range(3, 8)}
    assert "missing.jpg" in refused(source)["line 3"]


def test_a_row_without_a_label_or_with_another_split_keeps_its_picture(tmp_path: Path) -> None:
    lay(tmp_path, *(f"{number}.jpg" for number in range(5)))
    rows = [
        ["0.jpg", "cat", "exam"],
        ["1.jpg", "", "train"],
        ["2.jpg", "nan", "exam"],
        ["3.jpg"],
        ["4.jpg", "dog", "-"],
    ]
    source = table(tmp_path / "t.csv", ["path", "label", "split"], *rows)
    assert placed(source) == {
        **{"0.jpg": ("cat", None), "1.jpg": (None, "train"), "2.jpg": (None, None), "3.jpg": (None, None)},
        "4.jpg": ("dog", None),
    }
    assert refused(source) == {}
    told = " ".join(notes(source))
    assert "3 rows have no label" in told and "2 rows have 'exam' for a split, which is none" in told


def test_a_label_for_all_makes_the_label_column_needless(tmp_path: Path) -> None:
    lay(tmp_path, "1.jpg")
    source = table(tmp_path / "t.csv", ["path"], ["1.jpg"])
    assert placed(source, label="cat") == {"1.jpg": ("cat", None)}
    with pytest.raises(SourceError, match=r"no column 'label'.*--label"):
        found(source)


@pytest.mark.parametrize("header", [["thing", "label"], ["label"], [], ["", "x"]])
def test_a_table_without_its_columns_is_explained(tmp_path: Path, header: list[str]) -> None:
    with pytest.raises(SourceError, match=r"no column 'path' or 'url' \(it has: .*Its first line"):
        found(table(tmp_path / "t.csv", header))


def test_asking_for_a_split_column_where_there_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no column 'split'"):
        found(table(tmp_path / "t.csv", ["path", "label"]), split_from="column")


def test_links_in_a_table_are_not_followed(tmp_path: Path) -> None:
    lay(tmp_path, "1.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "1.jpg")
    assert placed(table(tmp_path / "t.csv", ["path", "label"], ["link.jpg", "cat"])) == {}


# --- encodings and separators


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_what_excel_saves_is_read(tmp_path: Path, encoding: str, delimiter: str) -> None:
    lay(tmp_path, "Bär, klein; 1.jpg", "2.jpg")
    rows = [["path", "label", "split"], ["Bär, klein; 1.jpg", "Bär; Ñu", "train"], ["2.jpg", 'a "quoted"\tone', ""]]
    source = table(tmp_path / "t.csv", *rows, encoding=encoding, delimiter=delimiter)
    assert placed(source) == {"Bär, klein; 1.jpg": ("Bär; Ñu", "train"), "2.jpg": ('a "quoted" one', None)}
    told = notes(source)
    assert (len(told) == 1 and "Windows text" in told[0]) if encoding == "cp1252" else told == []


@pytest.mark.parametrize("first", ["sep=;\r\n", '"sep=;"\r\n', "SEP=;\n", "\r\n;;\r\n"])
def test_the_line_in_which_excel_names_its_separator_is_no_header(tmp_path: Path, first: str) -> None:
    (tmp_path / "t.csv").write_text(f"{first}url;label;a,b,c\r\n{URL};cat;x\r\n;dog;x\r\n", newline="")
    line = 3 + first.count("\n")
    assert found(tmp_path / "t.csv")[0] == Link(URL, "cat", None)
    assert list(refused(tmp_path / "t.csv")) == [f"line {line}"]


@pytest.mark.parametrize(
    "data",
    [
        b"path,label\n1.jpg,\x81\x8d\n",
        codecs.BOM_UTF16_LE + b"p\0a\0\xd8",
        b"path,label\n1.jpg,\xff\0\n",
        b"\xef\xbb\xbf\xff",
    ],
)
def test_bytes_that_are_no_text_are_explained(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(SourceError, match=r"cannot be read as a table in UTF-8.*Save it anew"):
        found(tmp_path / "t.csv")


def test_a_line_without_an_end_and_a_table_too_large_are_refused(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("path,label\n" + "x" * (2 << 20))
    with pytest.raises(SourceError, match="line 2 is longer than"):
        found(tmp_path / "long.csv")
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(SourceError, match="larger than 64 MiB"):
        found(tmp_path / "large.csv")


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.collect.tables.MAX_ENTRIES", 10)
    with pytest.raises(SourceError, match=r"more than 10 rows"):
        found(table(tmp_path / "t.csv", ["url", "label"], *([URL, "cat"] for _ in range(11))))


def test_a_quotation_mark_too_many_costs_its_rows_and_not_the_table(tmp_path: Path) -> None:
    lines = ["url,label", f'{URL},"cat', *["x" * 1000 + ","] * 140, f"{URL},dog"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    assert Link(URL, "dog", None) in found(tmp_path / "t.csv")
    assert any("quotation mark" in reason for reason in refused(tmp_path / "t.csv").values())


def test_a_row_with_a_cell_too_many_is_listed(tmp_path: Path) -> None:
    source = table(tmp_path / "t.csv", ["url", "label"], [URL, "cat", "x"], [URL, "cat", ""], ["", "", ""], [])
    assert [type(one) for one in found(source)] == [Link, Refused]
    assert "3 cells, the first line 2" in refused(source)["line 2"]


def test_lines_end_as_they_end_on_any_system(tmp_path: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        (tmp_path / "t.csv").write_text(f'url,label{end}{URL},"polar{end}bear"{end}{URL},cat', newline="")
        assert found(tmp_path / "t.csv")[:2] == [Link(URL, "polar bear", None), Link(URL, "cat", None)]


@pytest.mark.skipif(not CSV.exists(), reason="the corpus of tables is not here")
def test_the_corpus_of_tables_is_read_cell_by_cell() -> None:
    for source in sorted(CSV.glob("*.csv")):
        truth = json.loads(source.with_suffix(".json").read_text(encoding="utf-8"))
        told = list(truth[0])
        data = source.read_bytes().replace(told[0].encode(), b"path", 1).replace(told[1].encode(), b"label", 1)
        cells = [cells for _, cells in open_table("t.csv", data).records]
        assert cells == [{"path": row[told[0]].strip(), "label": row[told[1]].strip()} for row in truth]


@given(st.binary(max_size=400))
def test_no_bytes_end_in_anything_but_rows_or_words(data: bytes) -> None:
    for start in (b"", b"path,label\n", b"url;labels;split\n"):
        try:
            table = open_table("t.csv", start + data)
            for row in table.rows(Labelling()):
                assert isinstance(row, Refused | Note) or row.line > 0
        except SourceError as error:
            assert str(error).endswith(".")


# --- columns


@pytest.mark.parametrize("column", ["path", "File", "file_name", "filename", "fname", " image ", "filepath", "name"])
@pytest.mark.parametrize("label", ["label", "Class", "category"])
def test_columns_have_many_names(tmp_path: Path, column: str, label: str) -> None:
    lay(tmp_path, "1.jpg")
    source = table(tmp_path / "t.csv", ["id", label, column], ["7", "cat", "1.jpg"])
    assert placed(source) == {"1.jpg": ("cat", None)}
    assert names_files(source)


@pytest.mark.parametrize("column", ["id", "image_id"])
def test_an_id_is_a_file_where_nothing_else_names_one(tmp_path: Path, column: str) -> None:
    lay(tmp_path, "1.jpg")
    assert placed(table(tmp_path / "t.csv", [column, "label"], ["1.jpg", "cat"])) == {"1.jpg": ("cat", None)}
    both = table(tmp_path / "u.csv", [column, "path", "label"], ["7", "1.jpg", "cat"])
    assert placed(both) == {"1.jpg": ("cat", None)}


def test_a_name_beside_a_url_is_no_file(tmp_path: Path) -> None:
    source = table(tmp_path / "t.csv", ["name", "link", "category"], ["A cat", URL, "cat"])
    assert found(source) == [Link(URL, "cat", None)]
    assert not names_files(source)


def test_a_url_in_the_column_for_files_is_a_url(tmp_path: Path) -> None:
    assert found(table(tmp_path / "t.csv", ["image", "label"], [URL, "cat"])) == [Link(URL, "cat", None)]


def test_a_table_of_fast_ai_says_what_is_valid(tmp_path: Path) -> None:
    rows = [
        ["fname", "labels", "is_valid"],
        ["1.jpg", "chair dog", "True"],
        ["2.jpg", "dog", "False"],
        ["3.jpg", "chair car", "2"],
    ]
    lay(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    source = table(tmp_path / "train.csv", *rows)
    assert placed(source) == {"1.jpg": ("chair|dog", "valid"), "2.jpg": ("dog", "train"), "3.jpg": ("car|chair", None)}
    assert refused(source) == {}
    assert any("1 row has '2' for a split" in note for note in notes(source))
    assert placed(source, split_from="column") == placed(source)


@pytest.mark.parametrize(
    ("header", "cell", "separator", "label"),
    [
        ("label", "polar bear", None, "polar bear"),
        ("label", "dog;cat", None, "dog;cat"),
        ("label", "dog;cat", ";", "cat|dog"),
        ("label", "dog cat dog", " ", "cat|dog"),
        ("tags", "polar bear; cat", None, "cat|polar bear"),
        ("labels", "dog|cat", None, "cat|dog"),
        ("labels", "polar bear,cat", ",", "cat|polar bear"),
    ],
)
def test_several_labels_are_kept(tmp_path: Path, header: str, cell: str, separator: str | None, label: str) -> None:
    source = table(tmp_path / "t.csv", ["url", header], [URL, cell], delimiter="\t")
    assert found(source, separator=separator) == [Link(URL, label, None)]


@pytest.mark.parametrize("sign", [";", "|"])
def test_one_cell_tells_what_separates_the_labels_of_all(tmp_path: Path, sign: str) -> None:
    """Two words that are classes by themselves are two, all the same."""
    cells = (f"dog{sign} cat", "polar bear", "seal", "cat dog")
    rows = [[f"{URL}?{number}", cell] for number, cell in enumerate(cells)]
    source = table(tmp_path / "t.csv", ["url", "labels"], *rows, delimiter="\t")
    labels = ["cat|dog", "polar bear", "seal", "cat|dog"]
    assert [one.label for one in found(source) if isinstance(one, Link)] == labels


def test_a_separator_of_nothing_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="--label-separator"):
        Labelling(separator="")


def test_files_named_on_windows_are_found(tmp_path: Path) -> None:
    lay(tmp_path, "cat/1.jpg")
    assert set(placed(table(tmp_path / "t.csv", ["path", "label"], ["cat\\1.jpg", "cat"]))) == {"cat\\1.jpg"}


# --- who may name what


def test_a_table_that_a_visitor_sent_names_no_file_of_this_machine(tmp_path: Path) -> None:
    lay(tmp_path, "secret.jpg")
    paths = table(tmp_path / "paths.csv", ["path", "label"], [str(tmp_path / "secret.jpg"), "cat"])
    with pytest.raises(SourceError, match=r"its pictures did not come along.*column 'url'"):
        read(paths, local=False)
    both = table(tmp_path / "both.csv", ["path", "url", "label"], ["secret.jpg", "", "cat"], ["", URL, "cat"])
    sent = read(both, local=False)
    assert (sent.refused, sent.links) == ((Refused("line 2", "It has no URL."),), (Link(URL, "cat", None),))
    assert names_files(both) and names_files(paths)
    assert read(both).entries


def test_a_list_of_urls_is_read_with_what_is_wrong_in_it(tmp_path: Path) -> None:
    source = table(
        tmp_path / "t.csv", ["url", "label"], [URL, "Bär"], ["", "x"], [URL, ""], encoding="cp1252", delimiter=";"
    )
    told = list(read_table(source, Labelling(), need=("url",)))
    assert [type(one) for one in told] == [Note, Link, Refused, Refused]
    assert [one.path for one in told if isinstance(one, Refused)] == ["line 3", "line 4"]


# --- JSON lines


def test_json_lines_are_a_table_too(tmp_path: Path) -> None:
    lay(tmp_path, "1.jpg", "2.jpg")
    rows = [{"file_name": "1.jpg", "label": 0}, {"file_name": "2.jpg", "label": "cat"}, ["no"], {"file_name": "3.jpg"}]
    lines = [json.dumps(row) for row in rows] + ["{broken", "", json.dumps({"file_name": {"a": 1}, "label": "x"})]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    assert placed(tmp_path / "t.jsonl") == {"1.jpg": ("0", None), "2.jpg": ("cat", None)}
    assert set(refused(tmp_path / "t.jsonl")) == {"line 3", "line 4", "line 5", "line 7"}


def test_a_list_in_json_lines_has_all_its_labels(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"url": URL, "labels": ["polar bear", "cat"]}))
    assert found(tmp_path / "t.jsonl") == [Link(URL, "cat|polar bear", None)]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("gb18030", ["大熊猫", "狮子"]),
        ("cp932", ["ネコ", "イヌ", "熊"]),
        ("cp949", ["고양이", "강아지"]),
        ("cp1251", ["медведь", "кошка"]),
        ("cp1252", ["Bär", "piñata"]),
        ("cp1252", ["é"]),
    ],
)
def test_other_scripts_are_read_where_their_letters_tell(encoding: str, words: list[str]) -> None:
    rows = "".join(f"{number}.jpg,{word}\r\n" for number, word in enumerate(words))
    table = open_table("t.csv", f"file,label\r\n{rows}".encode(encoding))
    assert [row.label for row in table.rows(Labelling()) if isinstance(row, Row)] == words
    assert table.note is not None and "is not in UTF-8" in table.note.text
