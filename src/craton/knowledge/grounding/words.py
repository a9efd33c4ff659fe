"""Words as answers and sources are compared by them: folded, without the common ones, cut to their stems.

A light stemmer is enough here: both sides go through it, so a stem need not be a word, only the same one.
The lists are English; other languages are compared by all of their words. Chinese, Japanese and Korean, which set no
spaces, are compared by pairs of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_TOKEN = re.compile(r"[^\W_]+(?:[.,'\u2019-][^\W_]+)*")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
_NUMBER = re.compile(r"\d[\d.,]*")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")

_COMMON = """
    a about above after again against all also am among an and any are as at be because been before being below
    between both but by can could did do does doing down during each either else ever every few for from further had
    has have having he her here hers him his how however i if in into is it its itself just let many may me might more
    most much must my no nor not now of off on once one only or other our out over own per rather same shall she should
    since so some such than that the their them then there these they this those through thus to too under until up
    upon us very was we were what when where whether which while who whom whose why will with within without would yet
    you your
"""
COMMON = frozenset(_COMMON.split())
_CARDINALS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
"""
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
NUMBER_WORDS = {word: str(number) for number, word in enumerate(_CARDINALS.split())} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "seventy": "70",
    "eighty": "80",
    "ninety": "90",
    **{word: str(number) for number, word in enumerate(_ORDINALS.split(), 1)},
}
_ENDINGS = ("ment", "ness", "ing", "ied", "ie", "ion", "ed")


def fold(text: str) -> str:
    """Case and compatibility forms folded, accents dropped, typographic apostrophes made plain."""
    if text.isascii():
        return text.lower()
    for _ in range(2):  # a decomposed letter may have a case of its own
        text = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in text if not unicodedata.combining(char)).replace("\u2019", "'")


def matches(text: str) -> Iterator[re.Match[str]]:
    """The words as they stand in text, numbers with their separators ("1,000", "3.5")."""
    return _TOKEN.finditer(text)


def tokens(text: str) -> Iterator[str]:
    return (found[0] for found in _TOKEN.finditer(text))


def words(text: str) -> list[str]:
    """Every word, folded and stemmed, in order."""
    return [word for token in tokens(fold(text)) for word in _stems(token)]


def content(text: str) -> list[str]:
    """`words` without the common ones."""
    return [word for token in tokens(fold(text)) if token not in COMMON for word in _stems(token)]


def number(token: str) -> str | None:
    """The number that a word spells ("1,000", "10th", "seven"), None when it spells none."""
    folded = token.casefold()
    if named := NUMBER_WORDS.get(folded):
        return named
    if ordinal := _ORDINAL.fullmatch(folded):
        return ordinal[1]
    if _NUMBER.fullmatch(folded):
        return _plain(folded)
    return None


def _plain(digits: str) -> str:
    """Thousands' separators and empty decimals gone: 1,000.50 -> 1000.5."""
    whole = re.sub(r"[,.](?=\d{3}(?:\D|$))", "", digits).replace(",", ".").rstrip(".")
    return whole.rstrip("0").rstrip(".") if "." in whole else whole


def _stems(token: str) -> Iterator[str]:
    for part in re.split(r"[-']", token) if number(token) is None else (token,):
        if not part or part == "s":
            continue
        if _UNSPACED.fullmatch(part):
            yield from (part[i : i + 2] for i in range(max(1, len(part) - 1)))
        else:
            yield _stem(part)


def _stem(word: str) -> str:
    """rotate, rotates, rotated, rotation and rotating share one; so do run, running; key, keys; create, creation."""
    if (spelled := number(word)) is not None:
        return spelled
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            return _short(word.removesuffix("at") if len(word) > 4 else word)
    if len(word) > 5 and word.endswith("ate"):
        return word[:-3]
    return _short(word)


def _short(word: str) -> str:
    if len(word) > 6 and word.endswith("ly"):
        word = word[:-2]
    if len(word) > 4 and word.endswith("al"):
        word = word[:-2]
    if len(word) > 3 and word[-1] in "ey":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
