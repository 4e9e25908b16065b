"""Units as sellers spell them in ten languages, with what they are worth in one base unit of their kind."""

from collections.abc import Mapping
from types import MappingProxyType

# Base unit → (spellings, how many base units one is). Bytes are not converted: a kilobyte is 1,000 or 1,024 of them.
_TABLE: Mapping[str, tuple[tuple[str, float], ...]] = MappingProxyType(
    {
        "g": (
            ("g gr gm gram grams gramm gramme grammes grammo grammi gramo gramos grama gramas グラム غرام جرام غم جم", 1),
            (
                "kg kgs kilo kilos kilogram kilograms kilogramm kilogramme kilogrammes chilo chili chilogrammo chilogrammi "
                "kilogramo kilogramos quilo quilos quilograma quilogramas キロ キログラム كجم كغ كغم كيلو كيلوجرام كيلوغرام",
                1_000,
            ),
            (
                "mg milligram milligrams milligramm milligramme milligrammes milligrammi miligramo miligramos miligrama "
                "miligramas miligram ミリグラム ملغ مجم",
                0.001,
            ),
            ("oz ounce ounces unze unzen once onces oncia once onza onzas onca oncas ons オンス اونصه", 28.349523),
            ("lb lbs pound pounds pfund livre livres libbra libbre libra libras pond ポンド رطل", 453.59237),
        ),
        "ml": (
            (
                "ml milliliter milliliters millilitre millilitres millilitro millilitri mililitro mililitros mililitre "
                "ミリリットル مل ملل ملليلتر",
                1,
            ),
            ("cl centiliter centilitre centilitres centilitro centilitri zentiliter santilitre", 10),
            ("dl deciliter decilitre decilitro decilitri デシリットル", 100),
            ("l lt ltr liter liters litre litres litro litri litros リットル لتر ليتر", 1_000),
            ("floz", 29.5735296),
        ),
        "mm": (
            (
                "mm millimeter millimeters millimetre millimetres millimetri milimetro milimetros milimetre "
                "ミリ ミリメートル مم ملم",
                1,
            ),
            (
                "cm centimeter centimeters centimetre centimetres zentimeter centimetro centimetri centimetros santimetre "
                "santim センチ センチメートル سم",
                10,
            ),
            ("m meter meters metre metres metro metri metros メートル متر", 1_000),
            ("in inch inches zoll pouce pouces pollice pollici pulgada pulgadas polegada polegadas inc インチ بوصه", 25.4),
            ("ft foot feet fuss pied pieds piede piedi pie pies pe pes voet フィート قدم", 304.8),
        ),
        "pc": (
            (
                "pc pcs piece pieces stueck stuck stk stuks pezzo pezzi pz pieza piezas ud uds unidad unidades peca pecas "
                "unidade adet parca 個 枚 本 コ قطعه قطع حبه",
                1,
            ),
        ),
        "v": (("v volt volts voltios ボルト فولت", 1), ("mv", 0.001), ("kv", 1_000)),
        "w": (("w watt watts vatios ワット واط وات", 1), ("kw kilowatt kilowatts", 1_000)),
        "hz": (("hz hertz ヘルツ", 1), ("khz", 1e3), ("mhz", 1e6), ("ghz", 1e9)),
        "mah": (("mah", 1), ("ah", 1_000)),
        "mb": (("mb megabyte megabytes", 1),),
        "gb": (("gb gigabyte gigabytes gbyte", 1),),
        "tb": (("tb terabyte terabytes", 1),),
    }
)

# Spelling, folded as in values.py → base unit, and how many of it.
UNITS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        spelling: (base, worth)
        for base, entries in _TABLE.items()
        for spellings, worth in entries
        for spelling in spellings.split()
    }
)
