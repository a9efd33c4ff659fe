"""Answering by a model: what it writes is checked against the passages sentence by sentence while it arrives.

Nothing is shown before one sentence is supported: an answer that the sources do not support at all becomes an
abstention. From then on text is passed on at once, and each sentence's citation follows it; one that nothing supports
gets a citation without references.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec import Struct

from craton.core.events import Delta, Event, PartStarted, Stop
from craton.core.knowledge import AnswerText, Citation, Reference
from craton.core.streams import closing
from craton.knowledge.answering.prompting import refuses
from craton.knowledge.answering.splitting import Said, Splitter
from craton.knowledge.grounding.checking import Grounding


class Abstained(Struct, frozen=True):
    """The model found no answer, or wrote one that nothing supports. said: what it wrote."""

    said: str


class Guarded(Struct, frozen=True):
    """A guardrail stepped in; what stands so far is its last word."""


Written = AnswerText | Citation | Abstained | Guarded


async def checked(events: AsyncIterator[Event], grounding: Grounding) -> AsyncIterator[Written]:
    """The answer with its citations. Abstained and Guarded come last if they come. Closing cancels the model."""
    writer = _Writer(grounding)
    texts: set[int] = set()
    guarded = False
    async with closing(events) as stream:
        async for event in stream:
            if isinstance(event, PartStarted) and event.kind == "text" and event.choice == 0:
                texts.add(event.index)
            elif isinstance(event, Delta) and event.choice == 0 and event.index in texts and event.text:
                async for written in writer.add(event.text):
                    yield written
                if writer.refused:
                    break
            elif isinstance(event, Stop) and event.choice == 0:
                guarded = event.reason in {"guardrail", "content_filter"}
    async for written in writer.end(guarded):
        yield written
    if guarded:
        yield Guarded()
    elif not writer.shown:
        yield Abstained(writer.text)


class _Writer:
    """held: sentences, with their references, that wait for the first one that is supported."""

    def __init__(self, grounding: Grounding) -> None:
        self._grounding = grounding
        self._splitter = Splitter()
        self._held: list[tuple[Said, tuple[Reference, ...]]] = []
        self.text = ""
        self.shown = False
        self.refused = False

    async def add(self, text: str) -> AsyncIterator[Written]:
        if not self.text:
            text = text.lstrip()  # templates make many models begin with a space or a new line
        self.text += text
        if self.shown and text:
            yield AnswerText(text)
        async for written in self._sentences(self._splitter.feed(text)):
            yield written

    async def end(self, guarded: bool) -> AsyncIterator[Written]:
        if self.refused:
            return
        async for written in self._sentences(self._splitter.end()):
            yield written
        if guarded and not self.shown and self.text:
            yield AnswerText(self.text)  # a guardrail's own words rest on no source

    async def _sentences(self, sentences: list[Said]) -> AsyncIterator[Written]:
        for said in sentences:
            if not self.shown and not self._held and refuses(said.text):
                self.refused = True
                return
            references = await self._grounding.check(said.text)
            if self.shown:
                yield _citation(said, references)
                continue
            self._held.append((said, references))
            if references:
                self.shown = True
                yield AnswerText(self.text)
                for waiting, found in self._held:
                    yield _citation(waiting, found)


def _citation(said: Said, references: tuple[Reference, ...]) -> Citation:
    return Citation(said.text, said.start, said.end, references)
