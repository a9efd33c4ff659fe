"""A follow-up question made to stand alone: "And its limits?" cannot be searched for.

A model above the bar rewrites it by prompt. Otherwise what the question leans on is carried over by rule: when it has
a pronoun without a name of its own, or hardly any words of its own, the names and other telling words of the turn
before are appended to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from craton.core.chat import ChatRequest, Message, Sampling, TextPart
from craton.core.errors import InvalidRequest
from craton.knowledge.answering.prompting import MAX_TEMPLATE, inert, recent
from craton.knowledge.grounding.facts import names
from craton.knowledge.grounding.words import COMMON, content, fold, matches
from craton.knowledge.sessions import Turn

REWRITING = """$conversation_history$

Last question: $query$

Write the last question again so that it can be understood alone: replace pronouns and add what it leaves out. Write
only the question. If it stands alone already, write it unchanged."""

LONGEST = 1_000  # characters of a rewritten question
CARRIED = 6  # words that are carried over at most
ELLIPTIC = 2  # own telling words: with fewer the question leans on what was said before

_LEANS = re.compile(
    r"\b(?:it|its|itself|he|him|his|she|hers?|they|them|their|theirs|that|this|those|these|there|then|former|latter|one|"
    r"ones|same|such)\b",
    re.IGNORECASE,
)
_CONTINUES = re.compile(
    r"\s*(?:and|but|or|so|then|also|what about|how about|why|why not|how so|what else)\b", re.IGNORECASE
)
_VAGUE = frozenset(content("tell explain describe mean happen work thing kind way example detail"))
_PLACE = re.compile(r"\$(query|conversation_history)\$")


def carry_over(question: str, turns: Sequence[Turn]) -> str:
    """By rule. The question itself when it stands alone, or when nothing was said before."""
    if not turns or not _leans(question):
        return question
    present = set(content(question))
    carried: list[str] = []
    for word in _telling(turns[-1].query):
        if len(carried) < CARRIED and not present.issuperset(content(word)):
            carried.append(word)
    return f"{question} ({' '.join(carried)})" if carried else question


def _leans(question: str) -> bool:
    own = [word for word in content(question) if word not in _VAGUE]
    if len(own) < ELLIPTIC or _CONTINUES.match(question):
        return True
    return _LEANS.search(question) is not None and not names(question)


def _telling(query: str) -> list[str]:
    """Its words that are not common, names first, each once."""
    named = names(query)
    found: dict[str, str] = {}
    for match in matches(query):
        word = fold(match[0])
        if word not in COMMON and not _VAGUE.issuperset(content(word)):
            found.setdefault(word.removesuffix("'s"), match[0])
    return sorted(found.values(), key=lambda word: fold(word).removesuffix("'s") not in named)


def check_rewriting(template: str) -> None:
    """Raises InvalidRequest for a template without a place for the question."""
    if len(template) > MAX_TEMPLATE or (template and "$query$" not in template):
        raise InvalidRequest(f"must hold $query$ and at most {MAX_TEMPLATE:,} characters", "rewriting_prompt")


def rewriting_prompt(model: str, question: str, turns: Sequence[Turn], template: str = "") -> ChatRequest:
    """template: "" for the built-in one."""
    values = {
        "query": inert(question),
        "conversation_history": "\n".join(
            f"Question: {inert(turn.question)}\nAnswer: {inert(turn.answer)}" for turn in recent(turns)
        ),
    }
    text = _PLACE.sub(lambda found: values[found[1]], template or REWRITING)
    return ChatRequest(model, (Message("user", (TextPart(text),)),), sampling=Sampling(max_tokens=128, temperature=0.0))


def rewritten(answer: str, question: str, turns: Sequence[Turn]) -> str:
    """What the model made of the question; the rule's, when that is no question of a sensible length."""
    lines = [line.strip() for line in answer.strip().splitlines() if line.strip()]
    if len(lines) != 1 or len(lines[0]) > LONGEST or not content(lines[0]):
        return carry_over(question, turns)
    return lines[0].strip('"')
