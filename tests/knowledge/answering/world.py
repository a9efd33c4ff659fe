"""A small world to ask in: a scripted writer, an embedder that counts words, and passages by tenant and base."""

from __future__ import annotations

import array
import asyncio
import hashlib
import math
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from craton.core.access import Caller, KeyRole
from craton.core.chat import ChatRequest
from craton.core.errors import NotFound
from craton.core.knowledge import (
    AnswerEvent,
    AnswerStarted,
    AnswerText,
    AskRequest,
    Chunking,
    Citation,
    KnowledgeBase,
    Location,
    Passage,
    Retrieved,
    RetrieveRequest,
)
from craton.core.model import EmbedAnswer, EmbedRequest, ModelInfo
from craton.data.chunking.sentences import sentence_spans
from craton.data.documents import Chunk, Parsed, Piece
from craton.engines.echo import EchoEngine
from craton.engines.echo.script import parse_script
from craton.engines.protocol import Engine
from craton.knowledge.answering.answerer import Answerer
from craton.knowledge.answering.given import GivenDocuments
from craton.knowledge.grounding.words import content
from craton.knowledge.proficiency import Proficiencies
from craton.knowledge.sessions import Sessions
from craton.serve.counting import Counting
from craton.serve.directory import Directory
from craton.serve.inference import Call, Inference
from craton.serve.metering import Meter, Record
from craton.serve.pool import Pool, PoolLimits
from craton.serve.pricing import Prices
from craton.serve.target import Target
from craton.store.database import Database
from tests.migrated import upgrade

ACME = Caller("acme", "KEY", KeyRole.DEVELOPER)
OTHER = Caller("other", "KEY2", KeyRole.DEVELOPER)
DIMENSIONS = 256
_numbers = count(1)

FERRY = (
    "The harbour ferry leaves Pier 4 every forty minutes from six in the morning. A single ticket costs 3.20 crowns "
    "and is sold on board. Bicycles travel free outside the rush hours. The boats were built in Lindhaven in 1987."
)
KEYS = (
    "Signing keys of the gateway are rotated every ninety days by the clerk of the week. The old key stays valid for "
    "another fourteen days. A rotation is started with the command maroctl rotate."
)


def call(caller: Caller = ACME) -> Call:
    return Call(caller, f"request{next(_numbers):06d}", "test", "Ask")


def passage(text: str, title: str = "", document: str = "d1", start: int = 0) -> Passage:
    return Passage(
        document, 1, text, Location("direct", f"{document}.txt"), 1.0, title=title, start=start, end=start + len(text)
    )


FOUND = (passage(FERRY, "Harbour ferries", "ferry"), passage(KEYS, "Key rotation", "keys"))


class WordCounts(EchoEngine):
    """Texts that share words point the same way."""

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        vectors = array.array("f")
        for text in request.inputs:
            assert isinstance(text, str)
            row = [0.0] * DIMENSIONS
            for word in content(text) or [text]:
                row[hashlib.sha256(word.encode()).digest()[0] % DIMENSIONS] += 1.0
            length = math.sqrt(sum(value * value for value in row))
            vectors.extend(value / length for value in row)
        return EmbedAnswer(vectors.tobytes(), DIMENSIONS, tuple(1 for _ in request.inputs))


class Models:
    """ "writer" and "vectors", for every tenant."""

    def __init__(self, context: int) -> None:
        writer = ModelInfo(id="writer", verbs=("chat",), engine="echo", context_length=context, revision="r1")
        vectors = ModelInfo(id="vectors", verbs=("embed",), engine="echo", dimensions=DIMENSIONS)
        self._targets = {"writer": Target("writer", writer), "vectors": Target("vectors", vectors)}

    def targets(self, _tenant: str) -> list[Target]:
        return list(self._targets.values())

    def find(self, _tenant: str, name: str) -> Target | None:
        return self._targets.get(name)


class Records:
    """What the models were asked, and the answers' own records."""

    def __init__(self) -> None:
        self.all: list[Record] = []

    def finished(self, record: Record) -> None:
        self.all.append(record)

    add = finished

    def chats(self) -> list[ChatRequest]:
        return [record.request for record in self.all if isinstance(record.request, ChatRequest)]


class NoSchemas:
    async def check_request(self, request: ChatRequest) -> None:
        """There are none."""


class Shelf:
    """Passages by tenant and base, in the order in which they stand."""

    def __init__(self, passages: Mapping[tuple[str, str], tuple[Passage, ...]]) -> None:
        self.passages, self.queries = passages, list[str]()

    async def retrieve(self, call: Call, request: RetrieveRequest) -> Retrieved:
        self.queries.append(request.query)
        try:
            return Retrieved(self.passages[call.caller.tenant, request.knowledge_base][: request.top])
        except KeyError:
            raise NotFound("knowledge base", request.knowledge_base) from None

    async def get(self, tenant: str, base: str) -> KnowledgeBase:
        if (tenant, base) not in self.passages:
            raise NotFound("knowledge base", base)
        return KnowledgeBase(base, tenant, base, "vectors", "", DIMENSIONS, "active", 0.0, 0.0)


class PlainText:
    """Parses UTF-8 and cuts after every second sentence."""

    version = "1"

    async def parse(self, path: Path, name: str, media_type: str) -> Parsed:
        return Parsed((await asyncio.to_thread(path.read_bytes)).decode(), (), "text/plain")

    async def chunk(self, parsed: Parsed, chunking: Chunking) -> tuple[Chunk, ...]:
        spans = sentence_spans(parsed.text)
        pairs = [spans[index : index + 2] for index in range(0, len(spans), 2)]
        return tuple(Chunk(pair[0][0], pair[-1][1], (Piece(0, pair[-1][1] - pair[0][0]),)) for pair in pairs)

    async def close(self) -> None:
        """Nothing to give back."""


class World:
    """script: what the writer says, as `engines.echo.script` reads it."""

    def __init__(
        self,
        database: Database,
        script: str = "",
        passages: Mapping[tuple[str, str], tuple[Passage, ...]] | None = None,
        context: int = 8192,
    ) -> None:
        upgrade(database)
        engines = {"writer": EchoEngine("writer", parse_script(script)), "vectors": WordCounts("vectors")}

        async def load(target: Target) -> Engine:
            return engines[target.key]

        self.records, self.now = Records(), 1000.0
        pool = Pool(load, lambda _: 0, PoolLimits(memory=1, waiting=8))
        self.serving = Inference(
            Directory([Models(context)], {}),
            pool,
            Counting(pool, pool),
            Meter(database, self.clock),
            NoSchemas(),
            Prices({}),
            self.records,
            self.clock,
        )
        self.shelf = Shelf({("acme", "handbook"): FOUND} if passages is None else passages)
        self.sessions, self.proficiencies = Sessions(database, self.clock), Proficiencies(database)
        plain = PlainText()
        self.answerer = Answerer(
            self.serving,
            self.shelf,
            self.shelf,
            GivenDocuments(plain, plain),
            self.sessions,
            self.proficiencies,
            self.records,
            self.clock,
            embedder="vectors",
        )

    def clock(self) -> float:
        return self.now

    async def ask(self, question: str, caller: Caller = ACME, **fields: object) -> Answered:
        base = RetrieveRequest("handbook", "")
        request = replace(AskRequest(question, "writer", base), **fields)
        return Answered([event async for event in self.answerer.ask(call(caller), request)])


class Answered:
    def __init__(self, events: list[AnswerEvent]) -> None:
        self.events = events
        first = events[0]
        assert isinstance(first, AnswerStarted)
        self.started = first
        self.text = "".join(event.text for event in events if isinstance(event, AnswerText))
        self.citations = [event for event in events if isinstance(event, Citation)]

    @property
    def how(self) -> str:
        return self.started.how
