"""What `craton trace` shows of an answer: the question, what was searched for instead, what was found and said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from msgspec import Struct

from craton.core.errors import CratonError
from craton.core.events import Delta, PartEnded, PartStarted, Stop, Usage
from craton.core.knowledge import AnswerEvent, AnswerStarted, AnswerText, AskRequest, Citation
from craton.serve.inference import Call
from craton.serve.metering import Record


class Recorder(Protocol):
    """`serve.metering.Meter`."""

    def add(self, record: Record) -> None: ...


class Source(Struct, frozen=True):
    """start and end: of the passage in its document."""

    document: str
    uri: str
    start: int
    end: int
    score: float


class Cited(Struct, frozen=True):
    """answer[start:end] rests on these characters of that document; document "" when nothing supports it."""

    start: int
    end: int
    document: str = ""
    source_start: int = 0
    source_end: int = 0


class Asked(Struct, frozen=True):
    """query: what was searched for. unsupported: sentences of the answer without a source."""

    question: str
    query: str
    knowledge_base: str
    session: str
    how: str
    sources: tuple[Source, ...]
    citations: tuple[Cited, ...]
    unsupported: int


class Notes:
    """Gathers while the answer arrives."""

    def __init__(self, request: AskRequest) -> None:
        self._request = request
        self.query = request.question
        self._text: list[str] = []
        self._citations: list[Citation] = []
        self._started: AnswerStarted | None = None
        self._ended = False

    def observe(self, event: AnswerEvent) -> None:
        if isinstance(event, AnswerText):
            self._text.append(event.text)
        elif isinstance(event, Citation):
            self._citations.append(event)
        elif isinstance(event, AnswerStarted):
            self._started = event
        else:
            self._ended = True

    def write(self, record: Record) -> None:
        started = self._started
        record.request = Asked(
            question=self._request.question,
            query=self.query,
            knowledge_base=self._request.retrieval.knowledge_base if self._request.retrieval else "",
            session=started.session if started else self._request.session,
            how=started.how if started else "",
            sources=tuple(
                Source(found.document, found.location.uri, found.start, found.end, found.score)
                for found in (started.retrieved if started else ())
            ),
            citations=tuple(cited for citation in self._citations for cited in _cited(citation)),
            unsupported=sum(not citation.references for citation in self._citations),
        )
        record.events = [PartStarted(0, "text"), *(Delta(0, text) for text in self._text), PartEnded(0)]
        if self._ended:
            record.events += [Stop("end_turn"), Usage(0, 0)]
            record.stop = "end_turn"


def _cited(citation: Citation) -> list[Cited]:
    if not citation.references:
        return [Cited(citation.start, citation.end)]
    return [
        Cited(
            citation.start,
            citation.end,
            reference.passage.document,
            reference.passage.start + reference.start,
            reference.passage.start + reference.end,
        )
        for reference in citation.references
    ]


@contextmanager
def recorded(recorder: Recorder, clock: Callable[[], float], call: Call, request: AskRequest) -> Iterator[Notes]:
    """One row for the question, however it ends. It costs nothing: the models' own rows carry tokens and prices."""
    record = Record(
        tenant=call.caller.tenant,
        id=call.request_id,
        key_id=call.caller.key_id,
        started=clock(),
        dialect=call.dialect,
        operation=call.operation,
        model=request.model,
        request=None,
    )
    notes = Notes(request)
    try:
        yield notes
    except CratonError as error:
        record.status, record.error = "error", type(error).__name__
        raise
    except (asyncio.CancelledError, GeneratorExit):
        record.status = "cancelled"
        raise
    except Exception:
        record.status, record.error = "error", "Internal"
        raise
    finally:
        record.seconds = clock() - record.started
        notes.write(record)
        recorder.add(record)
