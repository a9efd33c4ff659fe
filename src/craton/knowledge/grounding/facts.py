"""The hard facts of a sentence: its numbers and names. What is said of them may be worded freely, they may not."""

from __future__ import annotations

import re
from typing import Literal

from craton.knowledge.grounding.words import COMMON, fold, matches, number

Kind = Literal["name", "time", "quantity", "place"]

_DIGIT = re.compile(r"\d")
_BEGINS = re.compile(r"[.!?:;\n]['\"\u201d\u2019)\]]*\s*[-*•\"'\u201c\u2018(\[]*\s*\Z|\A\W*\Z")

_MONTHS = """
    january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday
"""
_TIMES = """
    century centuries decade today yesterday tomorrow spring summer autumn winter midnight noon bc ad bce ce
"""
TIMES = frozenset((_MONTHS + _TIMES).split())
_YEAR = re.compile(r"(?:1\d|20)\d\d(?:s|-\d{2,4})?|\d\d?:\d\d(?:am|pm)?")
_NEGATION = re.compile(
    r"\b(?:not|never|no|none|neither|nor|without|cannot|nobody|nothing)\b|n['\u2019]t\b", re.IGNORECASE
)


def numbers(text: str) -> frozenset[str]:
    """The numbers written in digits or as words ("1,000" and "1000" are the same; "one" is left to grammar)."""
    found = set()
    for match in matches(text):
        token = match[0]
        if token.casefold() in COMMON:
            continue
        for part in token.split("-"):
            if (spelled := number(part)) is not None:
                found.add(spelled)
            elif _DIGIT.search(part):  # "A4", "v2", "15kg"
                found.add(fold(part))
    return frozenset(found)


def names(text: str) -> frozenset[str]:
    """Folded words written with a capital where grammar asks for none: not at the start of a sentence, unless they hold
    more than one capital ("NASA", "McKinley")."""
    found = set()
    for match in matches(text):
        token = match[0]
        if not token[0].isupper() or token.casefold() in COMMON:
            continue
        begins = _BEGINS.search(text, max(0, match.start() - 12), match.start()) is not None
        if begins and sum(char.isupper() for char in token) < 2:
            continue
        name = fold(token).removesuffix("'s")
        if name not in COMMON and number(name) is None:
            found.add(name)
    return frozenset(found)


def times(text: str) -> bool:
    """Whether a date, a year or a time of day stands in text."""
    folded = (match[0].casefold() for match in matches(text))
    return any(token in TIMES or _YEAR.fullmatch(token) is not None for token in folded)


def negated(text: str) -> bool:
    """Whether the text denies something."""
    return _NEGATION.search(text) is not None
