"""What kind of answer a question asks for, told by its question words, and whether a sentence holds one."""

from __future__ import annotations

import re

from craton.knowledge.grounding.facts import Kind, names, numbers, times

_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        "time",
        re.compile(
            r"\bwhen\b|\b(?:what|which|in what|in which)\s+(?:\w+\s+)?(?:year|years|date|dates|day|month|century|"
            r"decade|time|era|period)\b"
        ),
    ),
    (
        "quantity",
        re.compile(
            r"\bhow (?:many|much|long|far|tall|high|large|big|old|wide|deep|fast|often|heavy|hot|cold)\b|"
            r"\b(?:what|which) (?:\w+ )?(?:percent|percentage|number|proportion|amount|size|fraction|temperature|"
            r"population|distance|price|cost|speed|age|limit|maximum|minimum)\b"
        ),
    ),
    (
        "name",
        re.compile(r"\b(?:who|whom|whose)\b|\b(?:what|which) (?:\w+ )?(?:person|people|man|woman|name|company)\b"),
    ),
    ("place", re.compile(r"\bwhere\b|\b(?:what|which) (?:\w+ )?(?:city|country|state|place|region|town|continent)\b")),
)


def expected(question: str) -> Kind | None:
    """The kind of answer, None when the question words do not tell."""
    folded = question.casefold()
    found = ((match.start(), kind) for kind, pattern in _KINDS if (match := pattern.search(folded)))
    return min(found, default=(0, None))[1]


def holds(kind: Kind, question: str, sentence: str) -> bool:
    """Whether the sentence holds such a thing that the question does not name itself."""
    if kind == "time":
        return times(sentence)
    if kind == "quantity":
        return bool(numbers(sentence) - numbers(question))
    return bool(names(sentence) - names(question))
