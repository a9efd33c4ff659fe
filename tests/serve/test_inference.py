"""Resolve, admit, refuse, run, meter: the way to a model, with the echo engine at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from craton.core.access import Caller, KeyRole
from craton.core.chat import ChatRequest, Message, Sampling, TextPart, Tool, ToolChoice
from craton.core.errors import DeadlineExceeded, InvalidRequest, NotFound, Throttled, Unsupported
from craton.core.events import Event, Usage, fold_stream
from craton.core.model import Capabilities, EmbedRequest, ModelInfo
from craton.engines.echo import EchoEngine
from craton.engines.echo.script import load_script
from craton.engines.protocol import Engine
from craton.serve.counting import Counting
from craton.serve.directory import Directory
from craton.serve.inference import Call, Inference
from craton.serve.metering import Meter, Record
from craton.serve.pool import Pool, PoolLimits
from craton.serve.pricing import Price, Prices
from craton.serve.target import Target
from craton.store.database import Database

pytestmark = pytest.mark.anyio

CALLER = Caller("acme", "KEY", KeyRole.DEVELOPER)


class OneModel:
    """A source with one model, "m"."""

    def __init__(self, info: ModelInfo) -> None:
        self.target = Target("m", info)

    def targets(self, _tenant: str) -> list[Target]:
        return [self.target]

    def find(self, tenant: str, name: str) -> Target | None:
        return self.target if (tenant, name) == ("acme", "m") else None


class Limited(EchoEngine):
    """An echo engine that can do less."""

    can: Capabilities | None = None

    @property
    def capabilities(self) -> Capabilities:
        return self.can or super().capabilities


class Records:
    def __init__(self) -> None:
        self.all: list[Record] = []

    def finished(self, record: Record) -> None:
        self.all.append(record)


class NoSchemas:
    async def check_request(self, request: ChatRequest) -> None:
        if request.output_schema is not None:
            raise InvalidRequest("checked", "output_schema")


def make(
    engine: Engine, records: Records, *, verbs: tuple[str, ...] = ("chat", "embed"), deadline: float = 60.0
) -> Inference:
    async def load(_: Target) -> Engine:
        return engine

    info = ModelInfo(id="m", verbs=verbs, engine="echo", context_length=8192)  # type: ignore[arg-type]
    pool = Pool(load, lambda _: 0, PoolLimits(memory=1, waiting=1))
    return Inference(
        Directory([OneModel(info)], {"us.vendor.big-model": "m"}),
        pool,
        Counting(pool, pool),
        Meter(Database("sqlite://"), lambda: 0.0),
        NoSchemas(),
        Prices({"m": Price(input=1_000_000.0, output=2_000_000.0)}),
        records,
        lambda: 0.0,
        deadline=deadline,
    )


def call() -> Call:
    return Call(CALLER, "id", "test", "Chat")


def ask(text: str = "one two three", **fields: object) -> ChatRequest:
    return replace(ChatRequest("m", (Message("user", (TextPart(text),)),)), **fields)


async def test_an_answer_is_metered_with_its_price() -> None:
    records = Records()
    answer = await fold_stream(make(EchoEngine("m"), records).chat(call(), ask()))
    assert answer.choices[0].text() == "one two three"
    (record,) = records.all
    assert (record.status, record.resolved, record.stop, record.usage) == ("ok", "m", "end_turn", Usage(3, 3))
    assert record.cost == 3 * 1.0 + 3 * 2.0


async def test_a_vendors_id_is_answered_only_through_an_alias_and_the_record_says_by_whom() -> None:
    records = Records()
    inference = make(EchoEngine("m"), records)
    await fold_stream(inference.chat(call(), ask(model="us.vendor.big-model")))
    assert (records.all[0].model, records.all[0].resolved) == ("us.vendor.big-model", "m")
    with pytest.raises(NotFound):
        await fold_stream(inference.chat(call(), ask(model="us.vendor.other-model")))
    assert records.all[1].error == "NotFound"


async def test_another_tenants_model_does_not_exist() -> None:
    inference = make(EchoEngine("m"), Records())
    foreign = Call(replace(CALLER, tenant="other"), "id", "test", "Chat")
    with pytest.raises(NotFound):
        await fold_stream(inference.chat(foreign, ask()))


@pytest.mark.parametrize(
    ("can", "request_", "what"),
    [
        (Capabilities(("chat",)), ask(tools=(Tool("t", {"type": "object"}),)), "Tool use"),
        (Capabilities(("chat",)), ask(sampling=Sampling(n=2)), "choice"),
        (Capabilities(("chat",)), ask(sampling=Sampling(logprobs=0)), "Log prob"),
        (Capabilities(("chat",)), ask(sampling=Sampling(seed=1)), "seed"),
        (Capabilities(("chat",)), ask(sampling=Sampling(logit_bias={1: 2.0})), "logit_bias"),
        (Capabilities(("chat",)), ask(sampling=Sampling(presence_penalty=1.0)), "penalty"),
        (Capabilities(("chat",)), ask(guardrail={"id": "g"}), "guardrail"),
    ],
)
async def test_what_an_engine_cannot_do_is_refused_by_name(can: Capabilities, request_: ChatRequest, what: str) -> None:
    engine = Limited("m")
    engine.can = can
    with pytest.raises(Unsupported, match=what):
        await fold_stream(make(engine, Records()).chat(call(), request_))


async def test_requests_that_contradict_themselves_are_refused() -> None:
    inference = make(EchoEngine("m"), Records())
    for bad in (ask(messages=()), ask(tool_choice=ToolChoice("any")), ask(tools=(Tool("a", {}), Tool("a", {})))):
        with pytest.raises(InvalidRequest):
            await fold_stream(inference.chat(call(), bad))


async def test_a_chat_model_does_not_embed() -> None:
    with pytest.raises(Unsupported, match="embed"):
        await make(EchoEngine("m"), Records(), verbs=("chat",)).embed(call(), EmbedRequest("m", ("text",)))


async def test_counting_equals_what_chat_reports() -> None:
    inference = make(EchoEngine("m"), Records())
    answer = await fold_stream(inference.chat(call(), ask("a b c d e")))
    assert await inference.count_tokens(call(), ask("a b c d e")) == answer.usage.input


def scripted(tmp_path: Path, text: str) -> EchoEngine:
    path = tmp_path / "script.yaml"
    path.write_text(text)
    return EchoEngine("m", load_script(path))


SLOW = "rules:\n  - reply: one two three four\n    delay: {between_ms: 200}\n"


async def test_a_deadline_ends_the_answer_and_is_recorded(tmp_path: Path) -> None:
    records = Records()
    inference = make(scripted(tmp_path, SLOW), records, deadline=0.3)
    with pytest.raises(DeadlineExceeded):
        await fold_stream(inference.chat(call(), ask()))
    assert (records.all[0].status, records.all[0].error) == ("error", "DeadlineExceeded")


async def test_a_reader_who_leaves_frees_the_place_at_once_and_is_recorded(tmp_path: Path) -> None:
    records = Records()
    engine = Limited("m", scripted(tmp_path, SLOW)._script)
    engine.can = replace(EchoEngine("m").capabilities, concurrency=1)
    inference = make(engine, records)

    async def read(events: AsyncIterator[Event]) -> None:
        async for _ in events:
            pass

    first = asyncio.create_task(read(inference.chat(call(), ask())))
    second = asyncio.create_task(read(inference.chat(call(), ask())))
    await asyncio.sleep(0.05)
    with pytest.raises(Throttled):
        await read(inference.chat(call(), ask()))
    first.cancel()
    await asyncio.wait([first])
    await asyncio.wait_for(second, 30)
    assert [record.status for record in records.all] == ["error", "cancelled", "ok"]
