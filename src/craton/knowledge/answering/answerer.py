"""Asking documents: remember, rewrite, retrieve, then generate, quote or abstain.

Who may answer freely is a measurement (`knowledge.proficiency`): a model below the bar, or unmeasured, answers by
quoting. Everything that an answer was made of is recorded under the request's id; the calls to models that it took
leave rows of their own beside it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from msgspec.structs import replace

from craton.core.chat import ChatRequest
from craton.core.errors import InvalidRequest, NotFound, TooLarge, Unsupported
from craton.core.events import Delta, Event, PartEnded, PartStarted, Stop, Usage, fold_stream
from craton.core.knowledge import (
    AnswerEnded,
    AnswerEvent,
    AnswerStarted,
    AnswerText,
    AskRequest,
    Citation,
    KnowledgeBase,
    Passage,
    Reference,
)
from craton.core.model import ModelInfo
from craton.core.streams import closing
from craton.knowledge.answering import rows
from craton.knowledge.answering.budget import fit
from craton.knowledge.answering.extracting import extract
from craton.knowledge.answering.generating import Abstained, Guarded, checked
from craton.knowledge.answering.given import GivenDocuments
from craton.knowledge.answering.models import Calls, Embed, dot, embedder
from craton.knowledge.answering.prompting import NO_ANSWER, check_template, prompt
from craton.knowledge.answering.recording import Notes, Recorder, recorded
from craton.knowledge.answering.rewriting import carry_over, check_rewriting, rewriting_prompt, rewritten
from craton.knowledge.grounding.checking import Grounding
from craton.knowledge.proficiency import Proficiencies
from craton.knowledge.protocol import Retrieving
from craton.knowledge.sessions import Session, Sessions, Turn
from craton.serve.guarding import guard, guard_passages
from craton.serve.inference import Call, Serving
from craton.serve.refusals import refuse_verb

EMBEDDER = "all-minilm-l6-v2"
"""The model that the weights in `extracting` were measured with."""

TOP = 5  # chunks of documents that come with the question
MAX_QUESTION = 20_000  # characters
BETWEEN = "\n"  # quotes


class Bases(Protocol):
    async def get(self, tenant: str, base: str) -> KnowledgeBase: ...


class Answerer:
    """Implements `protocol.Answering`. embedder: scores sentences; when it is not here, the base's own does. new_mark:
    unguessable, delimits what documents say in a prompt."""

    def __init__(
        self,
        serving: Serving,
        retrieving: Retrieving,
        bases: Bases,
        given: GivenDocuments,
        sessions: Sessions,
        proficiencies: Proficiencies,
        recorder: Recorder,
        clock: Callable[[], float],
        *,
        embedder: str = EMBEDDER,
        new_mark: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._serving, self._retrieving, self._bases, self._given = serving, retrieving, bases, given
        self._sessions, self._proficiencies, self._recorder, self._clock = sessions, proficiencies, recorder, clock
        self._embedder, self._new_mark = embedder, new_mark

    async def ask(self, call: Call, request: AskRequest) -> AsyncIterator[AnswerEvent]:
        """Raises NotFound (model, knowledge base, session), InvalidRequest, TooLarge, Unsupported (a guardrail), and
        what retrieval, the parser and the model raise."""
        with recorded(self._recorder, self._clock, call, request) as notes:
            _check(request)
            info = await self._serving.model(call.caller, request.model)
            refuse_verb(info, "chat")
            user = request.retrieval.user if request.retrieval else ""
            session = await self._sessions.open(call.caller.tenant, request.session, user)
            async with closing(self._answer(call, request, info, session, notes)) as events:
                async for event in events:
                    notes.observe(event)
                    yield event

    async def _answer(
        self, call: Call, request: AskRequest, info: ModelInfo, session: Session, notes: Notes
    ) -> AsyncIterator[AnswerEvent]:
        calls = Calls(call)
        generates = await self._generates(call, request, info)
        query = notes.query = await self._rewrite(calls, request, session, generates)
        embed = embedder(self._serving, calls, await self._embedding_model(call, request))
        passages = guard_passages(await self._passages(calls, request, query, embed))
        if generates and passages:
            answer = self._generated(calls, request, info, session, query, passages, embed)
        else:
            answer = _quoted(query, passages, embed)
        started = AnswerStarted(
            session.id, "generated" if generates else "extractive", info.id if generates else "", passages
        )
        said: list[str] = []
        begun = guarded = False
        async with closing(answer) as events:
            async for event in events:
                if isinstance(event, Abstained):
                    yield replace(started, how="abstained", model="")
                    yield AnswerText(NO_ANSWER)
                    begun = True
                    continue
                if not begun:
                    yield started
                    begun = True
                if isinstance(event, Guarded):
                    guarded = True
                    continue
                if isinstance(event, AnswerText):
                    said.append(event.text)
                yield event
        await self._sessions.add(call.caller.tenant, session, Turn(request.question, query, "".join(said)))
        yield AnswerEnded(guarded)

    async def _generates(self, call: Call, request: AskRequest, info: ModelInfo) -> bool:
        if request.answering != "auto":
            return request.answering == "generate"
        measured = await self._proficiencies.get(call.caller.tenant, info)
        return measured is not None and measured.generates

    async def _rewrite(self, calls: Calls, request: AskRequest, session: Session, generates: bool) -> str:
        if not session.turns:
            return request.question
        if not generates:
            return carry_over(request.question, session.turns)
        rewriting = rewriting_prompt(request.model, request.question, session.turns, request.rewriting_prompt)
        async with closing(self._serving.chat(calls.named("rewrite"), rewriting)) as events:
            answer = (await fold_stream(events)).choices[0].text()
        return rewritten(answer, request.question, session.turns)

    async def _embedding_model(self, call: Call, request: AskRequest) -> str:
        try:
            return (await self._serving.model(call.caller, self._embedder)).id
        except NotFound:
            if request.retrieval is None:
                raise
        return (await self._bases.get(call.caller.tenant, request.retrieval.knowledge_base)).embedder

    async def _passages(self, calls: Calls, request: AskRequest, query: str, embed: Embed) -> tuple[Passage, ...]:
        if request.retrieval is None:
            return await self._given.passages(request.documents, query, TOP, embed)
        found = await self._retrieving.retrieve(calls.named("retrieve"), replace(request.retrieval, query=query))
        return found.passages

    async def _generated(
        self,
        calls: Calls,
        request: AskRequest,
        info: ModelInfo,
        session: Session,
        query: str,
        passages: tuple[Passage, ...],
        embed: Embed,
    ) -> AsyncIterator[AnswerText | Citation | Abstained | Guarded]:
        mark = self._new_mark()

        def build(sources: Sequence[Passage]) -> ChatRequest:
            return prompt(
                request.model,
                request.question,
                sources,
                session.turns,
                mark,
                template=request.prompt,
                sampling=request.sampling,
            )

        async def similar(sentence: str, spans: Sequence[str]) -> list[float]:
            said, *vectors = await embed([sentence, *spans])
            return [dot(said, vector) for vector in vectors]

        call = calls.named("answer")
        asked, kept = await fit(self._serving, call, info.context_length, build, passages)
        grounding = await asyncio.to_thread(Grounding, query, passages[:kept], similar)
        async with closing(checked(self._serving.chat(call, asked), grounding)) as written:
            async for event in written:
                yield event


async def _quoted(
    query: str, passages: tuple[Passage, ...], embed: Embed
) -> AsyncIterator[AnswerText | Citation | Abstained | Guarded]:
    """The sentences that hold the answer, word for word, each with its place; a query's rows as they are."""
    between = BETWEEN
    if any(passage.query for passage in passages):
        quotes, between = rows.rows_of(passages), rows.BETWEEN
    else:
        quotes = [found.sentence for found in (await extract(query, passages, embed)).quotes]
    if not quotes:
        yield Abstained("")
        return
    whole = between.join(quote.text for quote in quotes)
    allowed = (await fold_stream(guard(_spoken(whole)))).choices[0]
    if allowed.text() != whole:
        yield AnswerText(allowed.text())
        yield Guarded()
        return
    start = 0
    for quote in quotes:
        yield AnswerText(quote.text if start == 0 else between + quote.text)
        end = start + len(quote.text)
        yield Citation(quote.text, start, end, (Reference(passages[quote.passage], quote.start, quote.end),))
        start = end + len(between)
    if allowed.stop.reason == "guardrail":
        yield Guarded()


async def _spoken(text: str) -> AsyncIterator[Event]:
    """Quotes as a model would say them: they pass the same guard."""
    for event in (PartStarted(0, "text"), Delta(0, text), PartEnded(0), Stop("end_turn"), Usage(0, 0)):
        yield event


def _check(request: AskRequest) -> None:
    if not request.question.strip():
        raise InvalidRequest("must not be empty", "question")
    if len(request.question) > MAX_QUESTION:
        raise TooLarge("the question", MAX_QUESTION, len(request.question), "characters")
    if (request.retrieval is None) == (not request.documents):
        raise InvalidRequest("give a knowledge base or documents, one of the two", "retrieval")
    if request.guardrail is not None:
        raise Unsupported("A guardrail on answers from documents", "Leave it out.")
    check_template(request.prompt)
    check_rewriting(request.rewriting_prompt)
