"""Units of measurement by their spellings, so that ``2.5 kW``, ``2.5kW`` and ``2.5千瓦`` agree."""

from __future__ import annotations

import re

__all__ = ["MONEY", "unit", "unit_after"]

SPELLINGS = """
mg 毫克 milligram milligrams milligramme milligrammes ミリグラム 밀리그램 мг
g 克 公克 gram grams gramme grammes グラム 그램 г
kg 千克 公斤 kilogram kilograms kilo kilos kgs キログラム 킬로그램 кг
μg ug mcg 微克 microgram micrograms マイクログラム 마이크로그램 мкг
ng 纳克 奈克 nanogram nanograms
t 吨 公吨 tonne tonnes ton tons トン 톤
lb lbs pound pounds 磅
oz ounce ounces 盎司
l 升 公升 liter liters litre litres リットル 리터 л
ml 毫升 公撮 milliliter milliliters millilitre millilitres ミリリットル 밀리리터 мл
dl 分升 deciliter deciliters decilitre decilitres
μl ul 微升 microliter microliters microlitre microlitres
m 米 公尺 meter meters metre metres メートル 미터 м
km 千米 公里 kilometer kilometers kilometre kilometres キロメートル 킬로미터 км
cm 厘米 公分 centimeter centimeters centimetre centimetres センチメートル センチ 센티미터 см
mm 毫米 公厘 millimeter millimeters millimetre millimetres ミリメートル 밀리미터 мм
μm um 微米 micrometer micrometers micrometre micrometres micron microns
nm 纳米 奈米 nanometer nanometers nanometre nanometres
ft foot feet 英尺
in inch inches 英寸 吋
mi mile miles 英里 哩
m2 m^2 sqm 平方米 平方公尺
km2 km^2 平方公里 平方千米
cm2 cm^2 平方厘米 平方公分
m3 m^3 立方米 立方公尺
cm3 cm^3 cc 立方厘米 立方公分
ha hectare hectares 公顷
s sec secs second seconds 秒 秒钟 초
min mins minute minutes 分钟 분
h hr hrs hour hours 小时 時間 시간
ms msec millisecond milliseconds 毫秒
hz hertz 赫兹 赫
khz kilohertz 千赫 千赫兹
mhz megahertz 兆赫 兆赫兹
ghz gigahertz 吉赫 吉赫兹 千兆赫
w watt watts 瓦 瓦特
kw kilowatt kilowatts 千瓦 千瓦特
mw megawatt megawatts 兆瓦
kwh 千瓦时 千瓦小时
v volt volts 伏 伏特
kv kilovolt kilovolts 千伏
mv millivolt millivolts 毫伏
a amp amps ampere amperes 安培
ma milliamp milliamps 毫安
mah 毫安时
ω ohm ohms 欧姆
kb kilobyte kilobytes
mb megabyte megabytes
gb gigabyte gigabytes
tb terabyte terabytes
mbps mbit/s
gbps gbit/s
pa pascal pascals 帕 帕斯卡
kpa kilopascal kilopascals 千帕
mpa megapascal megapascals 兆帕
mmhg 毫米汞柱
bar
psi
j joule joules 焦 焦耳
kj kilojoule kilojoules 千焦
cal calorie calories 卡 卡路里
kcal kilocalorie kilocalories 千卡 大卡
iu 国际单位
mol mole moles 摩尔
mmol millimole millimoles 毫摩尔
db decibel decibels 分贝
rpm
ppm
mph
km/h kph kmh 公里/小时
m/s 米/秒
° 度 °c c 摄氏度 degree degrees 도 градус
°f f 华氏度
% percent pct 퍼센트 パーセント prozent procent
‰ 千分之
$ usd 美元 美金 dollar dollars ドル 달러
€ eur euro euros 欧元 ユーロ 유로
£ gbp 英镑
¥ cny rmb 元 人民币 yuan
円 jpy 日元 日圆 yen
₩ krw 韩元 won 원
₹ inr rupee rupees 卢比
₽ rub руб рубль рубля рублей
฿ thb baht บาท
mg milligramm миллиграмм миллиграмма миллиграммов
g gramm грамм грамма граммов
kg kilogramm килограмм килограмма килограммов
l литр литра литров litro litros litri
ml миллилитр миллилитра миллилитров
m метр метра метров metro metros mètre mètres
km километр километра километров
cm сантиметр сантиметра сантиметров
min minuten минут минуты минуту
h stunde stunden heure heures hora horas час часа часов
° grad градуса градусов
% процент процента процентов
€ евро
"""
"""How a unit counts, and its other spellings, simplified and without case."""

LINES = [line.split() for line in SPELLINGS.strip().splitlines()]
UNITS = {spelling: line[0] for line in LINES for spelling in line}
MONEY = frozenset("$€£¥₩₹₽฿")
COMMON_WORDS = frozenset({"a", "in", "c", "f"})
"""Units only where they touch their number: "5 in the morning"."""

UNSEPARATED = re.compile(
    "|".join(sorted((word for word in UNITS if word[0] >= "\u0e00"), key=len, reverse=True))
)
UNIT_STARTS = frozenset(word[0] for word in UNITS if word[0] >= "\u0e00")
LETTERS = "a-zµ-ɏͰ-ӿ"
AFTER = re.compile(
    rf"([ \n\t-]?)(?:([%‰$€£¥₩₹₽฿]|°[cf]?(?![a-z0-9]))"
    rf"|((?:[{LETTERS}]++(?:\^?[23])?+/?)++)(?![0-9_])|([^\W\d_至到]))"
)


def unit(word: str, *, touching: bool) -> str | None:
    """Return the unit that a word of letters is; of ``mg/kg`` that of its parts, joined."""
    if not touching and word in COMMON_WORDS:
        return None
    first, *others = word.split("/")
    if word in UNITS or not others:
        return UNITS.get(word)
    return "/".join(UNITS.get(part, part) for part in (first, *others)) if first in UNITS else None


def unit_after(text: str, at: int) -> str | None:
    """Return the unit that a text has behind a number; of Han the first character, if no unit."""
    match = AFTER.match(text, at)
    if match is None:
        return None
    gap, sign, word, character = match.groups()
    if sign:
        return UNITS[sign]
    if word:
        return unit(word.rstrip("/"), touching=gap != " ")
    known = UNSEPARATED.match(text, match.start(4)) if character in UNIT_STARTS else None
    return UNITS[known[0]] if known else character if character >= "\u0e00" else None
