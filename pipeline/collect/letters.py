"""How likely a character is in the name of a class or a file, in bits: rough, but enough to tell encodings apart."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# What everyday words are written with, the commonest first or nearly so: of Chinese as written on the mainland, of
# Chinese as written in Taiwan and Hong Kong, of Japanese, and the syllables of Korean.
COMMON = {
    "zh": (
        "的一是不了人我在有他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还"
        "发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些与高意进把法此实回二理美点月明其种声全"
        "工己话儿者向情部正名定女问力机给等几很业最间新什打便位因重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入"
        "先山五太水万市眼体别处总才场师书比住员九笑性通目华报立马命张活难神数件安表原车白应路期叫死常提感金何更反合放做系计或司利受光王果"
        "亲界及今京务制解各任至清物台象记边共风战干接它许八特觉望直服毛林题建南度统色字请交爱让认算论百吃义科怎元社术结六功指思非流每青管"
        "夫连远资队跟带花快条院变联言权往展该领传近留红治决周保达办运武半候七必城父强步完革深区即求品士转量空甚众技轻程告江语英基派满式李"
        "息写呢识极令黄德收脸钱党倒未持取设始版双历越史商千片容研像找友孩站广改议形委早房音火际则首单据导影失拿网香似斯专石若兵弟谁校读志"
        "飞观争究包组造落视济喜离虽坏兴切苏茶草木树叶根竹松柏梅兰菊荷莲桃梨李杏枣柿橙桔橘柑柚柠檬葡萄西瓜哈密甜苦黄冬南丝茄番薯芋豆芽菜"
        "葱姜蒜椒芹韭萝卜菠蘑菇米面饭粥饺包馒头饼糕糖盐油酱醋酒咖啡奶蛋肉鱼虾蟹贝鸡鸭鹅猪牛羊马狗猫兔鼠虎狮豹熊狼狐狸鹿象猴猩鸟鹰鸽雀燕鹤"
        "鹦鹉孔乌鸦企龟蛇蛙蜥蜴龙鲨鲸豚虫蝶蜂蚁蚊蝇蜘蛛蜻蜓猕杨坦克汽自行摩托飞船轮舰桥楼房屋窗桌椅床灯刀叉勺碗盘杯瓶锅伞鞋帽衣裤裙袜包"
        "笔纸钟表镜玻璃铁铜银塑料垃圾厨余害可回收缺陷良损坏裂纹划痕正常异患病叶斑健康图片照样训练测试验证集数据类别标注其他未知白黑红蓝绿"
        "紫棕灰粉大小圆方长短波斯金毛拉布犬哈士奇贵宾柯基泰迪吉娃浣浆草莓蓝樱杧芒菠榴枇杷石猕荔枝龙眼腰核"
    ),
    "zh-tw": (
        "的一是不了人我在有他這中大來上個國到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她裡後小麼心多天而能好都然沒日於起還"
        "發成事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老從動兩長知民樣現分將外但身些與高意進把法此實回二理美點月明其種聲全"
        "工己話兒者向情部正名定女問力機給等幾很業最間新什打便位因重被走電四第門相次東政海口使教西再平真聽世氣信北少關並內加化由卻代軍產入"
        "先山五太水萬市眼體別處總才場師書比住員九笑性通目華報立馬命張活難神數件安表原車白應路期叫死常提感金何更反合放做系計或司利受光王果"
        "親界及今京務制解各任至清物台象記邊共風戰幹接它許八特覺望直服毛林題建南度統色字請交愛讓認算論百吃義科怎元社術結六功指思非流每青管"
        "花快條院變聯言權往展該領傳近留紅治決週保達辦運武半候七必城父強步完革深區即求品士轉量空眾技輕程告江語英基派滿式茶草木樹葉根竹松"
        "柏梅蘭菊荷蓮桃梨李杏棗柿橙橘柑柚檸檬葡萄瓜甜苦絲茄番薯芋豆芽菜蔥薑蒜椒芹韭蘿蔔菠蘑菇米麵飯粥餃包饅餅糕糖鹽油醬醋酒咖啡奶蛋肉魚蝦蟹"
        "貝雞鴨鵝豬牛羊馬狗貓兔鼠虎獅豹熊狼狐狸鹿象猴猩鳥鷹鴿雀燕鶴鸚鵡孔烏鴉企鵝龜蛇蛙蜥蜴龍鯊鯨豚蟲蝶蜂蟻蚊蠅蜘蛛蜻蜓汽腳踏摩托飛機船輪艦"
        "橋樓房屋窗桌椅床燈刀叉匙碗盤杯瓶鍋傘鞋帽衣褲裙襪筆紙鐘錶鏡玻璃鐵銅銀塑膠垃圾廚餘回收缺陷良損壞裂紋刮痕正常異病斑健康圖片照樣訓練"
        "測試驗證集數據類別標註其他未知白黑紅藍綠紫棕灰粉圓方長短草莓鳳梨香蕉蘋芒櫻"
    ),
    "ja": (
        "日一国人年大十二本中長出三時行見月分後前生五間上東四今金九入学高円子外八六下来気小七山話女北午百書先名川千水半男西電校語土木聞食車"
        "何南万毎白天母火右読友左休父雨事自社者地業方新場員立開手力問代明動京目通言理体田主題意不作用度強公持野以思家世多正安院心界教文元重"
        "近考画海売知道集別物使品計死特私始朝運終台広住無真有口少町料工建空急止送切転研足究楽起着店病質待試族銀早映親験英医仕去味写字答夜"
        "音注帰古歌買悪図週室歩風紙黒花春赤青館屋色走秋夏習駅洋旅服夕借曜飲肉貸堂鳥飯勉冬昼茶弟牛魚兄犬妹姉漢猫馬豚羊熊虎象鹿猿兎鼠亀蛇"
        "蛙蝶蜂虫草木葉桜梅松竹菊蘭薔薇桃梨柿苺葡萄蜜柑栗豆芋米麦卵乳酒油塩砂糖菜茸鶏鳩烏鷹鷲鶴鯨鮫鮪鯛蟹蝦海老貝橋塔城寺神社港船飛機自転"
        "靴傘帽鞄眼鏡鍵机椅窓扉皿箸匙茶碗瓶缶硝子鉄銅良否正常異欠陥傷割汚検査画像写真訓練学習検証評価分類種別他未知緑黄紫茶灰桃丸四角長短"
        "柴秋田小屋鉛筆消毛布枕布団時計電池洗濯冷蔵庫掃除信号標識歩道横断踏切救急消防警察車両人間男女顔耳鼻歯髪骨"
    ),
    "ko": (
        "이다는의가에고한하을를로지사어기은자도리스아그나시정대인서해일수과들것부장전상있보여주라니제동만구성원우조으신마유선학관안국미연생공"
        "습할면적게중물모세위진오무화비내되실용모호바방분경소거트러단문체계드간발영양결당각간개건강격견결고곰공과관광교구국군굴궁귀그글금급기"
        "길김까꽃나낙난날남내냉너널네노녹놀농높누눈늑늘다단달닭담당대더데도독돌동돼두드등디딸땅떡라람랑래량러럼레려력렬령로론료루류르른름릉"
        "리린림립마막만말망매맥머먹면명모목몸무문물미민밀바박반발밤방배백뱀버번벌범베벤벼변별병보복본볼봄부북분불붉비빈빛빨뻐뿌사산살삼상새"
        "색샌생서석선설섬성세소속손솔송쇠수순술숭쉬스슴습시식신실심싸쌀쓰씨아악안알암앙애앵야약양어언얼엄업에여역연열염엽영예오옥온올옷와왕"
        "외요용우운울원월위유육윤은을음응의이인일임입잎자작잔장재저적전절점접정제조족존종좌주죽준줄중쥐즈증지직진질집짜차참창채책처천철청체"
        "초촌총최추축춘출충치친칠침카캐커컴컵코콘콜콩쿠크키타탁탄탈탑태택터테토통투트특티파판팔패팬퍼펀페펭편평포폭표푸품풍프피필하학한할함"
        "합항해핸행향허헌험현형호홍화확환활황회효후훈휴흑흰히힘햄꼬끼뚜꿀벌레양파당근감자고구마포도복숭아딸기귤레몬수박참외멜론호박오이가지"
        "배추무마늘버섯쌀빵우유치즈계란새우게문어오징어"
    ),
}
RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"  # by frequency
GREEK = "αοιετσνηυρπκμλςωδγχθφβξζψάέήίόύώϊϋΐΰ"
HEBREW = "יוהלארתבמשנםדחעקפכגטזצסןךףץ"
ARABIC = "ايلمنرتوبةدعسفكقحهجشطصخزىأضغثذءئإظآؤ"
THAI = "านรอกเ่้งมยลวดัิีทสตะปบคหแจพ์ชขใไุูโื็ผธณญศซถฟษึภฝฉฐำฎฤฮ"
# Scripts of one language, as far as names go: their letters by frequency.
OTHERS = {"cyrillic": RUSSIAN, "greek": GREEK, "hebrew": HEBREW, "arabic": ARABIC, "thai": THAI}
# Languages of the Latin alphabet with letters of their own, the commonest first; and how unlikely each is, in bits.
LATIN = {
    "éèêàçâîôûëïùœüÿæ": 0.0,  # French
    "üäößé": 0.0,  # German
    "óáíéñúü": 0.0,  # Spanish
    "ãçáéíóêúâõôàü": 0.0,  # Portuguese
    "àòèùìéîó": 1.0,  # Italian
    "äöåøæéü": 1.0,  # Danish, Finnish, Norwegian, Swedish
    "łóąęśżćńź": 1.0,  # Polish
    "íáěéýřčžšůúťďňóäôľĺŕ": 1.0,  # Czech, Slovak
    "éáöóüőúűí": 1.0,  # Hungarian
    "ıüöşçğiâî": 1.0,  # Turkish
    "ăâîșțşţ": 4.0,  # Romanian
    "čšžćđ": 3.0,  # Croatian, Slovene
    "õäüöšž": 5.0,  # Estonian
    "áíéóúýþðöæ": 5.0,  # Icelandic
}
LETTERS = frozenset("".join(LATIN))
VOWELS = frozenset("aeiouy")
SCRIPTS = {
    "latin": ((0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x24F)),
    "greek": ((0x370, 0x3FF),),
    "cyrillic": ((0x400, 0x52F),),
    "kana": ((0x3041, 0x3096), (0x309D, 0x309E), (0x30A1, 0x30FE)),
    "han": ((0x4E00, 0x9FFF), (0x3005, 0x3007)),
    "hangul": ((0xAC00, 0xD7A3),),
    "arabic": ((0x620, 0x64A),),
    "hebrew": ((0x5D0, 0x5EA),),
    "thai": ((0xE01, 0xE4E),),
}
STANDARDS = {"zh": ("gb2312", 0xD7), "zh-tw": ("big5", 0xC6), "ja": ("shift_jis", 0x97)}
USUAL_SIGNS = "、。「」『』（）・〜～！？，：；　°²³·ªº’‘“”–—…№×"


def bits(parts: Iterable[str], language: str | None = None) -> float:
    """How surprising names are: the sum over all ``parts`` of paths, in the one language that fits them best.

    ``language`` is the one that Chinese characters are looked at in (a key of COMMON), None for any.
    """
    texts = [unicodedata.normalize("NFC", part) for part in parts]
    found = [(text, at) for text in texts for at, letter in enumerate(text) if not letter.isascii()]
    latin = [text[at].lower() for text, at in found if script_of(text[at]) == "latin"]
    total = min(unlikely + sum(_latin(letter, own) for letter in latin) for own, unlikely in LATIN.items())
    languages = (language,) if language else tuple(COMMON)
    total += min(sum(_of_east(text[at], one) for text, at in found) for one in languages)
    total += sum(_of_others(text[at], language) + _beside(text, at) for text, at in found)
    total += sum(map(_of_ascii, "".join(texts)))
    alone = sum(script_of(text[at]) == "latin" and not _letters_beside(text, at) for text, at in found)
    return total + (alone + 8.0 if alone else 0.0)


def _of_ascii(letter: str) -> float:
    if not letter.isascii():
        return 0.0
    return 4.5 if letter.islower() or letter.isdigit() else 6.0 if letter.isupper() or letter in " _-." else 9.0


@lru_cache(maxsize=1 << 14)
def script_of(letter: str) -> str:
    """A key of SCRIPTS, or "" for what is no letter, or of no script that is told apart."""
    code = ord(letter)
    return next((name for name, spans in SCRIPTS.items() if any(low <= code <= high for low, high in spans)), "")


def _latin(letter: str, own: str) -> float:
    return _in_order(letter, own, 3.0, 0.35) if letter in own else 9.5 if letter in LETTERS else 14.0


def _in_order(letter: str, order: str, first: float, step: float) -> float:
    at = order.find(letter)
    return first + step * at if at >= 0 else 12.0


@lru_cache(maxsize=1 << 14)
def _of_east(letter: str, language: str) -> float:
    """Characters of Chinese, syllables of Korean: of everyday words, and others by where a standard has them."""
    script = script_of(letter)
    if script not in ("han", "hangul"):
        return 0.0
    if letter in COMMON[language]:
        return 8.5
    if script == "hangul" or language not in STANDARDS:
        return 13.0 if script == "hangul" else 17.0
    encoding, last = STANDARDS[language]
    try:
        return 12.0 if letter.encode(encoding)[0] <= last else 16.0
    except UnicodeEncodeError:
        return 20.0


@lru_cache(maxsize=1 << 14)
def _of_others(letter: str, language: str | None) -> float:
    script = script_of(letter)
    if script in ("latin", "han", "hangul"):
        return 0.0
    if (
        script and language and (script, language) != ("kana", "ja")
    ):  # these encodings have them, who uses them does not
        return 13.0
    if script in OTHERS:
        return _in_order(letter.lower(), OTHERS[script], 3.0, 0.2)
    if script:
        return 6.0
    kind = unicodedata.category(letter)
    if letter in USUAL_SIGNS or "\uff01" <= letter <= "\uff9f":  # forms of half and of full width
        return 12.0 if letter in USUAL_SIGNS else 10.0
    if kind in ("Cc", "Cn", "Co", "Cs", "Cf") or "\u2500" <= letter <= "\u25ff":  # boxes to draw with
        return 24.0
    return 15.0 if kind[0] == "L" else 18.0


def _letters_beside(text: str, at: int) -> int:
    beside = (text[at - 1 : at] if at else "", text[at + 1 : at + 2])
    return sum(letter.isalpha() and (letter.isascii() or script_of(letter) == "latin") for letter in beside)


def _beside(text: str, at: int) -> float:
    """What is odd about a letter for those beside it: another script, a capital within a word, rare pairs."""
    letter, script = text[at], script_of(text[at])
    before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    other = script_of(after) if after else ""
    odd = 0.0
    if script in ("latin", "cyrillic", "greek"):
        if letter.isupper():
            odd += 6.0 if before.islower() or (after.islower() and before.isalpha()) else 1.5
        elif after.isupper():
            odd += 6.0
    if script == "latin":
        odd += 2.0 * (other == "latin")
        odd += 4.0 * (letter.lower() in "äöüőű" and after.lower() in VOWELS - {"u"})
        odd += 3.0 * (letter in "àìòù" and after.isalpha())
        odd += 5.0 * (letter == "ß" and before not in VOWELS | set("äöü"))
        odd += 4.0 * (letter.lower() in "ãõ" and bool(after) and after.lower() not in VOWELS)
    elif script:
        odd += 4.0 * sum(one.isalpha() and one.isascii() for one in (before, after))
        odd += 6.0 * (other not in ("", script) and {script, other} != {"han", "kana"})
        odd += 6.0 * (letter in "σς" and after.isalpha() != (letter == "σ"))
    return odd
