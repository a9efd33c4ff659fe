"""Splitting a question into simpler ones, each of which is searched for by itself.

By rules, which are deterministic and read English: several questions in a row, questions joined by a conjunction, and
comparisons. A chat model splits what no rule sees; it is asked only when it is measured to be good enough
(`knowledge.proficiency`), and what it writes is checked: a line that has no word of the question is no part of it.
Measured in `python -m bench retrieval`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from craton.core.chat import ChatRequest, Message, Sampling, TextPart
from craton.core.errors import CratonError
from craton.core.events import fold_stream
from craton.data.chunking.sentences import sentence_spans
from craton.knowledge.grounding.words import content
from craton.knowledge.proficiency import Proficiencies
from craton.serve.inference import Call, Serving

MAX_PARTS = 4
_LONGEST = 1_000  # characters of a part
_LONGEST_READ = 4_000  # characters of a question that is looked at: what is longer is a text, not a question

_ASKS = (
    r"(?:what|who|whom|whose|which|when|where|why|how|is|are|was|were|do|does|did|can|could|should|would|will|has|have)"
)
_JOINED = re.compile(
    rf"\s*(?:[,;]\s*)?\b(?:and|or|but)\s+(?:also\s+)?(?={_ASKS}\b)|\s*;\s*(?={_ASKS}\b)", re.IGNORECASE
)
_COMPARED = (
    re.compile(r"\bdifferences?\s+between\s+(.+?)\s+and\s+(.+?)\s*\??$", re.IGNORECASE),
    re.compile(r"\bcompare[sd]?\s+(.+?)\s+(?:and|with|to|against)\s+(.+?)\s*[?.]?$", re.IGNORECASE),
    re.compile(r"^(.+?)\s+(?:vs\.?|versus)\s+(.+?)\s*\??$", re.IGNORECASE),
)
_QUESTION = re.compile(rf"^{_ASKS}\b", re.IGNORECASE)

_PROMPT = (
    "Split the question into at most {most} simpler questions that can be looked up one by one. Write one question on "
    "each line and nothing else. When it is simple already, write it unchanged.\n\nQuestion: {question}"
)
_NUMBERED = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])\s*")


class Decomposer:
    """model: the chat model that may be asked, "" for none."""

    def __init__(self, serving: Serving, proficiencies: Proficiencies, model: str = "") -> None:
        self._serving, self._proficiencies, self._model = serving, proficiencies, model

    async def split(self, call: Call, question: str) -> tuple[str, ...]:
        """Two to MAX_PARTS simpler questions; empty when it is simple, as far as can be told. A model that fails leaves
        the question whole."""
        parts = by_rules(question)
        if parts or not self._model or len(question) > _LONGEST_READ:
            return parts
        try:
            info = await self._serving.model(call.caller, self._model)
            measured = await self._proficiencies.get(call.caller.tenant, info)
            if measured is None or not measured.generates:
                return ()
            prompt = _PROMPT.format(most=MAX_PARTS, question=" ".join(question.split()))
            asked = ChatRequest(
                self._model, (Message("user", (TextPart(prompt),)),), sampling=Sampling(max_tokens=200, temperature=0.0)
            )
            answer = await fold_stream(self._serving.chat(call, asked))
        except CratonError:
            return ()
        return checked(question, answer.choices[0].text().splitlines())


def by_rules(question: str) -> tuple[str, ...]:
    """Two to MAX_PARTS parts, or none."""
    question = " ".join(question.split())
    if not question or len(question) > _LONGEST_READ:
        return ()
    sentences = [question[start:end] for start, end in sentence_spans(question)]
    asked = [sentence for sentence in sentences if sentence.endswith("?")] if len(sentences) > 1 else sentences
    parts = [part for sentence in asked for part in _joined(sentence)]
    if len(parts) == 1:
        parts = _compared(parts[0])
    return _bounded(parts)


def checked(question: str, lines: Sequence[str]) -> tuple[str, ...]:
    """What a model wrote, as far as it is parts of this question."""
    words = set(content(question))
    parts = [" ".join(_NUMBERED.sub("", line).split()) for line in lines]
    return _bounded([part for part in parts if part and len(part) <= _LONGEST and words.intersection(content(part))])


def _bounded(parts: Sequence[str]) -> tuple[str, ...]:
    different: dict[str, str] = {}
    for part in parts:
        different.setdefault(part.casefold(), part)
    return tuple(different.values())[:MAX_PARTS] if len(different) > 1 else ()


def _joined(sentence: str) -> list[str]:
    """Both sides must be questions with something to ask for: "how and why" is one."""
    parts = [part.strip(" ,;") for part in _JOINED.split(sentence)]
    if len(parts) > 1 and all(_QUESTION.match(part) and content(part) for part in parts):
        return parts
    return [sentence]


def _compared(sentence: str) -> list[str]:
    for pattern in _COMPARED:
        if (found := pattern.search(sentence)) and all(content(side) for side in found.groups()):
            return [side.strip(" ,;") for side in found.groups()]
    return [sentence]
