"""RetrieveAndGenerate, whole and streamed.

How an answer was found ("generated", "extractive", "abstained") has no member on Bedrock's wire: each reference's
metadata says it under `x-craton-answer`, and a header of that name does.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from craton.core.chat import Json, Sampling
from craton.core.errors import CratonError, Internal, InvalidRequest, Unsupported
from craton.core.knowledge import (
    AnswerEnded,
    AnswerEvent,
    AnswerStarted,
    AnswerText,
    AskRequest,
    Citation,
    External,
    Reference,
)
from craton.core.streams import closing
from craton.knowledge.protocol import Answering
from craton.wire.aws.bedrock_agent_runtime.passages import OWN, write_content, write_location, write_metadata
from craton.wire.aws.bedrock_agent_runtime.retrieval import read_retrieval
from craton.wire.aws.errors import stream_exception
from craton.wire.aws.handling import Handle, call_of, refuse_members
from craton.wire.aws.names import model_name
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request

HOW = f"{OWN}answer"

log = logging.getLogger("craton.wire.aws")


class GenerationOperations:
    """Handlers by operation name."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self.handlers: dict[str, Handle] = {
            "RetrieveAndGenerate": self.answer,
            "RetrieveAndGenerateStream": self.stream,
        }

    async def answer(self, operation: Operation, request: Request, value: Json) -> Reply:
        text: list[str] = []
        citations: list[Json] = []
        guarded = False
        async with closing(self._answering.ask(call_of(operation, request), read_ask(value))) as events:
            started = await _start(events)
            async for event in events:
                if isinstance(event, AnswerText):
                    text.append(event.text)
                elif isinstance(event, Citation):
                    citations.append(write_citation(event, started.how))
                elif isinstance(event, AnswerEnded):
                    guarded = event.guarded
        reply = operation.write(
            {
                "sessionId": started.session,
                "output": {"text": "".join(text)},
                "citations": citations,
                "guardrailAction": "INTERVENED" if guarded else "NONE",
            }
        )
        reply.headers[HOW] = started.how
        return reply

    async def stream(self, operation: Operation, request: Request, value: Json) -> Reply:
        events = self._answering.ask(call_of(operation, request), read_ask(value))
        started = await _start(events)
        frames = self._frames(operation, request, events, started.how)
        reply = operation.write_stream({"sessionId": started.session}, frames)
        reply.headers[HOW] = started.how
        return reply

    async def _frames(
        self, operation: Operation, request: Request, events: AsyncIterator[AnswerEvent], how: str
    ) -> AsyncIterator[bytes]:
        async with closing(events) as rest:
            try:
                async for event in rest:
                    if isinstance(event, AnswerText):
                        yield operation.event("output", {"text": event.text})
                    elif isinstance(event, Citation):
                        yield operation.event("citation", _write_event(write_citation(event, how)))
                    elif isinstance(event, AnswerEnded) and event.guarded:
                        yield operation.event("guardrail", {"action": "INTERVENED"})
            except CratonError as error:
                yield operation.exception(*stream_exception(error, operation))
            except Exception:
                log.exception("request %s broke off in mid-stream", request.request_id)
                yield operation.exception(*stream_exception(Internal(request.request_id), operation))


async def _start(events: AsyncIterator[AnswerEvent]) -> AnswerStarted:
    first = await anext(events)
    if not isinstance(first, AnswerStarted):
        raise RuntimeError("an answer without its beginning")
    return first


def read_ask(value: Json) -> AskRequest:
    """Raises InvalidRequest and Unsupported for what cannot be honoured."""
    configuration = value.get("retrieveAndGenerateConfiguration")
    if configuration is None:
        raise InvalidRequest("must not be null", "retrieveAndGenerateConfiguration")
    question, session = value["input"]["text"], value.get("sessionId", "")
    if value.get("sessionConfiguration"):
        raise Unsupported("sessionConfiguration", "Sessions are not encrypted with a key of yours.")
    if configuration["type"] == "EXTERNAL_SOURCES":
        given = _member(configuration, "externalSourcesConfiguration")
        options = given.get("generationConfiguration", {})
        return AskRequest(
            question=question,
            model=model_name(given["modelArn"]),
            documents=tuple(_read_external(source) for source in given["sources"]),
            prompt=_read_prompt(options),
            sampling=_read_sampling(options),
            session=session,
        )
    given = _member(configuration, "knowledgeBaseConfiguration")
    options, orchestration = given.get("generationConfiguration", {}), given.get("orchestrationConfiguration", {})
    refuse_members(orchestration, ["additionalModelRequestFields"], "orchestrationConfiguration")
    return AskRequest(
        question=question,
        model=model_name(given["modelArn"]),
        retrieval=read_retrieval(
            given["knowledgeBaseId"],
            given.get("retrievalConfiguration", {}),
            query=question,
            user=value.get("userContext", {}).get("userId", ""),
            decompose="queryTransformationConfiguration" in orchestration,
        ),
        prompt=_read_prompt(options),
        rewriting_prompt=_read_prompt(orchestration),
        sampling=_read_sampling(options),
        session=session,
    )


def _member(configuration: Json, name: str) -> Json:
    found: Json | None = configuration.get(name)
    if found is None:
        raise InvalidRequest(f"type {configuration['type']} needs it", f"retrieveAndGenerateConfiguration.{name}")
    return found


def _read_external(source: Json) -> External:
    if source["sourceType"] == "S3":
        raise Unsupported("An external source in S3", "Send its bytes: sourceType BYTE_CONTENT.")
    content = source.get("byteContent")
    if content is None:
        raise InvalidRequest("sourceType BYTE_CONTENT needs it", "sources.byteContent")
    return External(content["identifier"], content["data"], content["contentType"])


def _read_prompt(options: Json) -> str:
    prompt: str = options.get("promptTemplate", {}).get("textPromptTemplate", "")
    return prompt


def _read_sampling(options: Json) -> Sampling:
    refuse_members(
        options, ["additionalModelRequestFields", "guardrailConfiguration"], "generationConfiguration", _GUARDRAILS
    )
    given = options.get("inferenceConfig", {}).get("textInferenceConfig", {})
    return Sampling(
        max_tokens=given.get("maxTokens"),
        temperature=given.get("temperature"),
        top_p=given.get("topP"),
        stop=tuple(given.get("stopSequences", ())),
    )


_GUARDRAILS = "Guardrails and fields of one vendor's models are not built yet."


def write_citation(citation: Citation, how: str) -> Json:
    """Bedrock's span includes its end."""
    span = {"start": citation.start, "end": max(citation.start, citation.end - 1)}
    return {
        "generatedResponsePart": {"textResponsePart": {"text": citation.text, "span": span}},
        "retrievedReferences": [_write_reference(reference, how) for reference in citation.references],
    }


def _write_reference(reference: Reference, how: str) -> Json:
    """What of the passage supports the answer has no member either: `x-craton-quote`, characters, end excluded."""
    passage = reference.passage
    return {
        "content": write_content(passage),
        "location": write_location(passage),
        "metadata": {**write_metadata(passage), HOW: how, f"{OWN}quote": [reference.start, reference.end]},
    }


def _write_event(citation: Json) -> Json:
    """Old SDKs read the inner member, new ones the outer ones."""
    return {"citation": citation, **citation}
