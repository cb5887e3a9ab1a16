"""What may follow a value without changing it: units, percent, degrees, ordinals."""

import re

from spurious.verify.limits import MAX_DEPTH

_ALIASES = {
    "cm": "centimeter centimetre", "mm": "millimeter millimetre", "km": "kilometer kilometre", "m": "meter metre",
    "in": "inch inches", "ft": "foot feet", "yd": "yard", "mi": "mile", "kg": "kilogram", "g": "gram gm",
    "mg": "milligram", "lb": "pound lbs", "oz": "ounce", "l": "liter litre", "ml": "milliliter millilitre",
    "h": "hour hr hrs", "min": "minute mins", "s": "second sec secs", "day": "", "week": "", "month": "",
    "year": "yr yrs", "dollar": "usd buck", "cent": "", "am": "", "pm": "", "mph": "", "unit": "", "sq": "square",
    "kmh": "kmh kph", "gallon": "gal", "ton": "", "euro": "", "rad": "radian", "point": "pt pts",
}  # fmt: skip
_UNITS = {name: unit for unit, names in _ALIASES.items() for name in (unit, *names.split())}
_IGNORED = frozenset(["unit", "units", "sq", "square", "cubic", "cu", "per", "of", "a", "the", "each", "and", "total"])
_PERCENT = re.compile(
    r" ?(?:%|\\text\{ ?(?:percent|percentage|per cent|%)(?: points?)? ?\}"
    r"|(?:percent|percentage|per cent)(?: points?)?)$"
)
_DEGREE = re.compile(
    r" ?(?:\^\{ ?\\circ ?\}|\^\\circ)(?: ?(?:[CF]|\\text\{ ?[CF] ?\}))?$"
    r"| ?(?:\\text\{ ?degrees? ?(?:[CF]|Celsius|Fahrenheit)? ?\}|degrees?)$"
)
_ORDINAL = re.compile(
    r"(?<=\d)(?:\^\{(?:\\text\{ ?)?(?:st|nd|rd|th)(?: ?\})?\}| ?\\text\{ ?(?:st|nd|rd|th) ?\}|st|nd|rd|th)$"
)
_TEXT_UNIT = re.compile(r" ?\\text\{([^{}]{1,80})\}(?: ?\^\{?[23]\}?)?$")
_COUNTED = re.compile(r"(-?[\d.,/]+) ([A-Za-z]{3,20}(?: [A-Za-z]{3,20}){0,3})")
_BARE_UNIT = re.compile(r"(?<=[\d})!]) ?([A-Za-z][A-Za-z.]*(?: [A-Za-z.]+){0,5})(?:\^\{?[23]\}?)?$")


def split_unit(text: str, deepest: int = MAX_DEPTH) -> tuple[str, str]:
    r"""A normalized answer as (value, unit): `15 \text{cm}^{2}` is (`15`, `cm`); the unit `%` is percent.

    The unit is empty where there is none, and the value is never empty: an answer that is only words has no unit. Of
    several units one after the other, the last `deepest` are read.
    """
    for pattern, name in ((_PERCENT, "%"), (_DEGREE, "°"), (_ORDINAL, "")):
        if (match := pattern.search(text)) and match.start():
            return text[: match.start()].rstrip(), name
    if (match := _TEXT_UNIT.search(text)) and match.start():
        value = text[: match.start()].rstrip()
        inner, unit = split_unit(value, deepest - 1) if deepest else (value, "")
        return inner, unit or match.group(1).strip()
    if (match := _COUNTED.fullmatch(text)) and not re.search(r"\b(?:and|or|not)\b", match.group(2)):
        return match.group(1), match.group(2)
    tail = text[-120:]
    if (match := _BARE_UNIT.search(tail)) and _is_unit(match.group(1)):
        return text[: len(text) - len(tail) + match.start()].rstrip(), match.group(1).strip()
    return text, ""


def units_differ(first: str, second: str) -> bool:
    """Whether two units are both known and not the same; an unknown or missing unit is forgiven."""
    one, other = _known(first), _known(second)
    return one is not None and other is not None and one != other


def _is_unit(words: str) -> bool:
    """Whether undelimited words are a unit, and not a product of variables."""
    parts = words.replace(".", "").lower().split()
    return all(part in _IGNORED or _single(part) in _UNITS for part in parts) and any(len(part) > 1 for part in parts)


def _known(unit: str) -> tuple[str, ...] | None:
    parts = [part for part in re.sub(r"[^a-z ]", "", unit.lower()).split() if part not in _IGNORED]
    known = tuple(_UNITS[_single(part)] for part in parts if _single(part) in _UNITS)
    return known if known and len(known) == len(parts) else None


def _single(word: str) -> str:
    if word in _UNITS:
        return word
    for ending in ("es", "s"):
        if word.endswith(ending) and word.removesuffix(ending) in _UNITS:
            return word.removesuffix(ending)
    return word
