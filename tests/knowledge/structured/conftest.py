"""The shop of the tests of `data.sql`, and models that are scripted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
import yaml

from craton.core.access import Caller, KeyRole
from craton.core.chat import ChatRequest
from craton.core.errors import NotFound
from craton.core.events import Event
from craton.core.knowledge import KnowledgeBase, Retrieved, RetrieveRequest
from craton.core.model import EmbedAnswer, EmbedRequest, ModelInfo
from craton.data.sql.words import Registered
from craton.engines.echo import EchoEngine
from craton.engines.echo.script import parse_script
from craton.knowledge.structured.asking import Generated, StructuredKnowledge
from craton.knowledge.structured.probe import QUESTIONS, VERSION
from craton.knowledge.structured.proficiency import SqlProficiencies, SqlProficiency
from craton.serve.inference import Call
from craton.store.database import Database
from tests.data.sql.conftest import Shop, shop
from tests.migrated import upgrade

__all__ = ["shop"]

CALL = Call(Caller("acme", "KEY", KeyRole.DEVELOPER), "id", "test", "GenerateQuery")


def answers(known: Mapping[str, str]) -> str:
    """A script that answers each question with its SQL."""
    rules = [
        {"when": {"contains": f"Question: {question}"}, "reply": json.dumps({"sql": sql})}
        for question, sql in known.items()
    ]
    return yaml.safe_dump({"rules": rules})


PROBE = {question.question: question.sql for question in QUESTIONS}


class Serving:
    """The echo engine without a server around it: "m" answers as its script says. asked: what it was asked."""

    def __init__(self, script: str, revision: str = "r1") -> None:
        self.script, self.revision = script, revision
        self.asked: list[ChatRequest] = []

    async def chat(self, call: Call, request: ChatRequest) -> AsyncIterator[Event]:
        self.asked.append(request)
        async for event in EchoEngine("m", parse_script(self.script), context=100_000).chat(request):
            yield event

    async def embed(self, call: Call, request: EmbedRequest) -> EmbedAnswer:
        raise NotImplementedError

    async def count_tokens(self, call: Call, request: ChatRequest) -> int:
        raise NotImplementedError

    async def models(self, caller: Caller) -> list[ModelInfo]:
        return [await self.model(caller, "m")]

    async def model(self, caller: Caller, name: str) -> ModelInfo:
        if name != "m":
            raise NotFound("model", name)
        return ModelInfo(id="m", verbs=("chat",), engine="echo", revision=self.revision)


class Asked:
    """A StructuredKnowledge with the one base that it is asked about."""

    def __init__(self, structured: StructuredKnowledge, base: KnowledgeBase) -> None:
        self.structured, self.base = structured, base

    async def generate(self, question: str, call: Call = CALL) -> Generated:
        return await self.structured.generate(call, self.base, question)

    async def retrieve(self, request: RetrieveRequest) -> Retrieved:
        return await self.structured.retrieve(CALL, self.base, request)

    async def measure(self, tenant: str = "") -> SqlProficiency:
        return await self.structured.measure(CALL, "m", "shop", tenant=tenant)


Make = Callable[..., Asked]
Passed = Callable[[], Awaitable[None]]


@pytest.fixture
def passed(database: Database) -> Passed:
    """Says that revision r1 of "m" got all questions right: to ask them takes seconds."""

    async def passed() -> None:
        await SqlProficiencies(database).put("acme", SqlProficiency("m", "r1", VERSION, 0.0, 20, 20))

    return passed


@pytest.fixture
def make(shop: Shop, database: Database) -> Make:
    """A StructuredKnowledge over the shop. options: of the knowledge base "KB"."""
    upgrade(database)

    async def databases(tenant: str, name: str) -> Registered:
        if (tenant, name) != ("acme", "shop"):
            raise NotFound("database", name)
        return shop.registered

    def make(serving: Serving, model: str = "m", **options: object) -> Asked:
        base = KnowledgeBase(
            id="KB",
            tenant="acme",
            name="shop",
            embedder="",
            embedder_revision="",
            dimensions=0,
            status="active",
            created=0.0,
            updated=0.0,
            kind="sql",
            storage={"register": "shop", "structured": {"schemas": [shop.schema], "model": model, **options}},
        )
        return Asked(StructuredKnowledge(serving, databases, SqlProficiencies(database), lambda: 1000.0), base)

    return make
