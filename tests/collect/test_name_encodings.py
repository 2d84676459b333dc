"""Names of which an archive does not say the encoding are read right, or the doubt is told."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.entries import Labelling
from pipeline.collect.importing import ImportConfig
from pipeline.collect.name_encodings import KNOWN, MOST_PARTS, Names, encoding_named, names_of
from pipeline.collect.sources import read
from pipeline.errors import SourceError, UsageError

WORDS = {
    "ja": "猫 犬小屋 表 りんご バナナ ソファ 机 自転車 飛行機 鳥 "
    "キリン 良品 不良品 能面 三毛猫 申込 予約 構造 富士山 味噌ラーメン",
    "zh": "猫咪 小狗 苹果 香蕉 汽车 自行车 火车 鸟类 大象 老虎 "
    "向日葵 玫瑰花 可回收物 厨余垃圾 正常 裂纹 训练集 金毛犬 桌子 番茄",
    "zh-tw": "貓咪 小狗 蘋果 香蕉 汽車 腳踏車 火車 鳥類 大象 老虎 "
    "向日葵 玫瑰花 塑膠類 廚餘 正常 裂縫 訓練 功能 許願池 牛肉麵",
    "ko": "고양이 강아지 사과 바나나 자동차 자전거 비행기 물고기 호랑이 "
    "사자 해바라기 플라스틱 음식물 정상 불량 떡볶이 의자 휴대폰",
    "ru": "собака кошка Яблоко банан машина велосипед самолёт птица "
    "лошадь медведь роза тюльпан пластик дефект трещина гриб берёза",
    "fr": "café pâté éléphant écureuil pêche châtaigne vélo hélicoptère "
    "forêt fenêtre crêpe gâteau zèbre métal Élan garçon",
    "de": "Bär Löwe Äpfel Möwe Vögel Schlüssel Straße Gemüse "
    "Nüsse Käse Brücke Gebäude Häuser Löffel Stühle Känguru Müll",
    "es": "piña limón plátano sandía tiburón león búho águila avión camión pingüino cigüeña montaña araña maíz cartón",
    "pt": "maçã limão melão cão pão feijão avião ônibus pássaro tubarão coração botões açaí maracujá lâmpada orgânico",
    "pl": "żółw źrebię łoś niedźwiedź wąż gęś śliwka jabłko książka łódka łyżka nóż stół świnia dąb",
    "he": "חתול כלב תפוח בננה מכונית אופניים מטוס ציפור סוס דוב ורד פלסטיק תקין פגום עגבניה",
    "ar": "قطة كلب تفاحة موز سيارة دراجة طائرة طائر حصان دب وردة بلاستيك سليم تالف طماطم",
    "th": "แมว หมา แอปเปิล กล้วย รถยนต์ จักรยาน เครื่องบิน นก ม้า หมี กุหลาบ พลาสติก ปกติ ชำรุด มะเขือเทศ",
    "el": "γάτα σκύλος μήλο μπανάνα αυτοκίνητο ποδήλατο αεροπλάνο πουλί άλογο αρκούδα τριαντάφυλλο ντομάτα",
    "tr": "köpek kuş elma çilek otobüs ağaç şişe güneş gözlük ayı balık aslan tavşan ördek çiçek ekşi",
}
ENCODINGS = {
    "ja": ("cp932", "euc_jp"),
    "zh": ("gb18030",),
    "zh-tw": ("cp950",),
    "ko": ("cp949",),
    "ru": ("cp866", "cp1251"),
    "fr": ("cp1252", "cp850", "cp437"),
    "de": ("cp1252", "cp850", "cp437"),
    "es": ("cp1252", "cp850", "cp437"),
    "pt": ("cp1252", "cp850"),
    "pl": ("cp1250", "cp852"),
    "he": ("cp1255", "cp862"),
    "ar": ("cp1256", "cp720"),
    "th": ("cp874",),
    "el": ("cp1253", "cp737"),
    "tr": ("cp1254", "cp857"),
}
PAIRS = [(language, encoding) for language, own in ENCODINGS.items() for encoding in (*own, "utf-8")]
# A handful of words in these says something in an encoding that is met more often, too.
WANT_MORE = (("ja", "euc_jp"), ("he", "cp1255"))


class Raw(zipfile.ZipInfo):
    """An entry whose name is written as these bytes."""

    def __init__(self, raw: bytes, beside: str | None = None, system: int = 3) -> None:
        super().__init__(raw.decode("cp437"))
        self.raw, self.create_system, self.says_utf8 = raw, system, False
        if beside is not None:
            field = struct.pack("<BL", 1, zlib.crc32(raw)) + beside.encode()
            self.extra = struct.pack("<HH", 0x7075, len(field)) + field

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.raw, self.flag_bits | (0x800 if self.says_utf8 else 0)


def zip_of(target: Path, *names: bytes | Raw) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name if isinstance(name, Raw) else Raw(name), b"x")
    return target


def tar_of(target: Path, *names: bytes, form: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(target, "w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for name in names:
            member = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    return target


def labels(source: Path, **how: object) -> set[str | None]:
    reading = read(source, Labelling(**how))  # type: ignore[arg-type]
    for entry in reading.entries:
        with entry.open() as opened:
            assert opened.read() == b"x"
    return {entry.label for entry in reading.entries}


def files(words: Iterable[str], encoding: str) -> list[bytes]:
    return [f"{word}/{number}.jpg".encode(encoding) for word in words for number in range(2)]


@pytest.mark.parametrize(("language", "encoding"), PAIRS)
def test_class_names_of_an_archive_are_read_right(language: str, encoding: str, tmp_path: Path) -> None:
    words = WORDS[language].split()
    source = zip_of(tmp_path / "a.zip", *files(words, encoding))
    assert labels(source) == set(words)
    assert labels(tar_of(tmp_path / "a.tar", *files(words, encoding))) == set(words)
    (note,) = read(source).notes or (KNOWN["utf-8"][0],)
    assert KNOWN[encoding][0] in note or encoding in ("cp850", "cp437")


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_few_names_are_read_right_or_the_right_reading_is_offered(data: st.DataObject) -> None:
    language, encoding = data.draw(st.sampled_from([pair for pair in PAIRS if pair not in WANT_MORE]))
    words = data.draw(st.lists(st.sampled_from(WORDS[language].split()), min_size=2, max_size=6, unique=True))
    raw = [word.encode(encoding) for word in words]
    names = names_of(raw)
    offered = [[name.decode(other, "replace") for name in raw] for other in (names.encoding, *names.others)]
    assert words in offered
    if len(words) > 4 and language not in ("pl", "tr"):
        assert [names.text(name) for name in raw] == words


@given(names=st.lists(st.binary(min_size=1, max_size=40), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_names_in_some_encoding(names: list[bytes]) -> None:
    found = names_of(names)
    assert all(isinstance(found.text(name), str) for name in names)
    note = found.note("a.zip")
    assert note is None or note.text.encode()


def test_one_encoding_is_taken_for_the_whole_archive(tmp_path: Path) -> None:
    """A name by itself could be another one: GBK's 猫 is UTF-8's è."""
    source = zip_of(tmp_path / "a.zip", *files(("猫", "小狗", "苹果"), "gbk"))
    assert labels(source) == {"猫", "小狗", "苹果"}


def test_a_backslash_within_a_character_is_no_folder(tmp_path: Path) -> None:
    names = files(("表", "能面", "ソファ"), "cp932")
    assert any(b"\\" in name for name in names)
    names += [name.replace(b"/", b"\\") for name in files(("予約", "申込"), "cp932")]
    assert labels(zip_of(tmp_path / "a.zip", *names)) == {"表", "能面", "ソファ", "予約", "申込"}


def test_the_field_beside_a_name_says_what_it_is_where_it_is_for_that_name(tmp_path: Path) -> None:
    both = [Raw(b"_/1.jpg", "Löwe/1.jpg"), Raw("Bär/1.jpg".encode("cp850"), "Bär/1.jpg")]
    wrong = Raw("Kröte/1.jpg".encode("cp850"), "Frosch/1.jpg")
    wrong.extra = wrong.extra[:5] + b"\0\0\0\0" + wrong.extra[9:]
    source = zip_of(tmp_path / "a.zip", *both, wrong)
    assert labels(source) == {"Löwe", "Bär", "Kröte"}


def test_names_that_say_they_are_utf_8_are_and_do_not_decide_for_others(tmp_path: Path) -> None:
    said = Raw("花/1.jpg".encode())
    said.says_utf8 = True
    source = zip_of(tmp_path / "a.zip", said, *files(("猫", "犬小屋", "自転車"), "cp932"))
    assert labels(source) == {"花", "猫", "犬小屋", "自転車"}


def test_what_is_in_doubt_is_told_and_can_be_chosen(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "a.zip", *files(("말", "비빔밥"), "cp949"))
    reading = read(source)
    (note,) = reading.notes
    assert "could also be" in note and "말, 비빔밥" in note and "--name-encoding" in note
    choice = next(one for one in reading.others if one.told == {"name_encoding": "cp949"})
    assert "말, 비빔밥" in choice.words
    assert (
        labels(source, **choice.told) == {"말", "비빔밥"} and not read(source, Labelling(name_encoding="cp949")).notes
    )


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_tar_archive_that_says_its_names_is_believed(form: int, tmp_path: Path) -> None:
    words = ("猫", "è", "дом")
    source = tar_of(tmp_path / "a.tar", *files(words, "utf-8"), form=form)
    assert labels(source) == set(words) and read(source).notes == ()


def test_letters_of_an_alphabet_as_classes_stay_letters(tmp_path: Path) -> None:
    letters = set("åäöéèüñß")
    assert labels(zip_of(tmp_path / "a.zip", *files(letters, "utf-8"))) == letters


def test_an_encoding_is_checked_when_it_is_given(tmp_path: Path) -> None:
    assert ImportConfig("a.zip", name_encoding="Shift_JIS").labelling().name_encoding == "cp932"
    assert encoding_named(" GBK ") == "gb18030"
    for wrong in ("nosuch", "utf-16", "base64", "idna", "punycode", "a\0b", "cp037", "x" * 200):
        with pytest.raises(UsageError, match="--name-encoding is an encoding like utf-8"):
            ImportConfig("a.zip", name_encoding=wrong)
    source = zip_of(tmp_path / "a.zip", b"caf\xe9/1.jpg", b"b/2.jpg")
    assert labels(source, name_encoding="latin-1") == {"café", "b"}
    with pytest.raises(SourceError, match=r"The name caf\\xe9/1.jpg cannot be read as utf-8"):
        read(source, Labelling(name_encoding="utf-8"))


def test_very_many_names_are_looked_at_in_a_moment() -> None:
    raw = [f"{word}{number}".encode("cp932") for number in range(MOST_PARTS) for word in WORDS["ja"].split()]
    assert names_of(raw).encoding == "cp932"
    assert names_of([]) == names_of([b"cat", b"dog"]) == Names("utf-8")
