"""What every upstream engine keeps to, whichever wire its provider speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from craton.access.outgoing import outgoing
from craton.core.chat import (
    ChatRequest,
    ImagePart,
    Message,
    OutputSchema,
    ReasoningPart,
    Sampling,
    TextPart,
    Tool,
    ToolChoice,
    ToolResultPart,
    ToolUsePart,
)
from craton.core.errors import (
    ContextExceeded,
    CratonError,
    InvalidRequest,
    ModelFailed,
    ModelUnavailable,
    Throttled,
    Unauthenticated,
    Unsupported,
)
from craton.core.events import Delta, Event, PartEnded, PartStarted, Stop, Usage, fold
from craton.engines.protocol import Engine
from craton.engines.upstream import Timeouts

pytestmark = pytest.mark.anyio

WEATHER = Tool("weather", {"type": "object", "properties": {"city": {"type": "string"}}}, "Tells the weather")


def ask(*messages: Message, **more: Any) -> ChatRequest:
    turns = messages or (Message("user", (TextPart("Hello?"),)),)
    return ChatRequest("upstream-model", turns, **({"sampling": Sampling(max_tokens=100)} | more))


async def events(engine: Engine, request: ChatRequest) -> list[Event]:
    return [event async for event in engine.chat(request)]


async def to_the_end(stream: AsyncIterator[Event]) -> None:
    async for _ in stream:
        pass


def check_order(arrived: list[Event]) -> None:
    """The order that core.chat.Event states."""
    assert isinstance(arrived[-1], Usage)
    assert sum(isinstance(event, Usage) for event in arrived) == 1
    opened: dict[int, int | None] = {}
    indexes: dict[int, int] = {}
    stopped: set[int] = set()
    for event in arrived[:-1]:
        assert not isinstance(event, Usage)
        assert event.choice not in stopped
        if isinstance(event, PartStarted):
            assert opened.get(event.choice) is None
            assert event.index == indexes.get(event.choice, 0)
            opened[event.choice] = event.index
        elif isinstance(event, Delta):
            assert opened[event.choice] == event.index
        elif isinstance(event, PartEnded):
            assert opened[event.choice] == event.index
            opened[event.choice], indexes[event.choice] = None, event.index + 1
        elif isinstance(event, Stop):
            assert opened.get(event.choice) is None
            stopped.add(event.choice)


async def test_text_arrives_in_pieces_that_fold_to_the_answer(provider: Any, engine: Engine, answer: Any) -> None:
    provider.answers(answer([("text", ["Hel", "lo, ", "wörld"])], input=9, output=4, cached=3))
    arrived = await events(engine, ask())
    check_order(arrived)
    folded = fold(arrived)
    assert folded.choices[0].parts == (TextPart("Hello, wörld"),)
    assert folded.choices[0].stop == Stop("end_turn")
    assert (folded.usage.input, folded.usage.output, folded.usage.cached_input) == (12, 4, 3)
    assert not folded.usage.estimated
    assert [event.text for event in arrived if isinstance(event, Delta)] == ["Hel", "lo, ", "wörld"]


async def test_where_the_network_cuts_the_bytes_does_not_matter(provider: Any, engine: Engine, answer: Any) -> None:
    wanted = answer(
        [("reasoning", ["hm", "m"], "sig"), ("text", ["a", "é"]), ("tool", "t1", "weather", ['{"ci', 'ty":1}'])],
        "tools",
    )
    provider.answers(wanted)
    whole = await events(engine, ask())
    body = b"".join(provider.wire.write(wanted))
    for size in (1, 7):
        provider.says(*(body[at : at + size] for at in range(0, len(body), size)))
        assert await events(engine, ask()) == whole


async def test_a_conversation_keeps_its_turns(provider: Any, engine: Engine, answer: Any) -> None:
    provider.answers(answer([("text", ["Fine."])]))
    turns = [("user", "Hi"), ("assistant", "Hello"), ("user", "How are you?")]
    request = ask(
        *(Message(role, (TextPart(text),)) for role, text in turns),  # type: ignore[arg-type]  # literals above
        system=(TextPart("Be brief."),),
    )
    await events(engine, request)
    assert provider.wire.said(provider.seen[0].body) == [("system", "Be brief."), *turns]
    assert provider.seen[0].path == provider.wire.chat_path


async def test_tools_go_out_and_come_back(provider: Any, engine: Engine, answer: Any) -> None:
    calls = [
        ("text", ["Let me see."]),
        ("tool", "call_1", "weather", ['{"city": ', '"Bonn"}']),
        ("tool", "call_2", "weather", []),
    ]
    provider.answers(answer(calls, "tools"), answer([("text", ["Rain."])]))
    first = ask(tools=(WEATHER,), tool_choice=ToolChoice("any"))
    arrived = await events(engine, first)
    check_order(arrived)
    choice = fold(arrived).choices[0]
    assert choice.parts[1:] == (
        ToolUsePart("call_1", "weather", {"city": "Bonn"}),
        ToolUsePart("call_2", "weather", {}),
    )
    assert choice.stop.reason == "tool_use"
    results = (
        ToolResultPart("call_1", (TextPart("rain"),)),
        ToolResultPart("call_2", (TextPart("no such city"),), is_error=True),
        TextPart("So?"),
    )
    second = ask(*first.messages, Message("assistant", choice.parts), Message("user", results), tools=(WEATHER,))
    assert fold(await events(engine, second)).choices[0].text() == "Rain."
    written = str(provider.seen[1].body)
    assert all(word in written for word in ("call_1", "call_2", "Bonn", "rain", "no such city", "rror", "So?"))


async def test_one_tool_can_be_forced(provider: Any, engine: Engine, answer: Any) -> None:
    provider.answers(answer([("tool", "c", "weather", ["{}"])], "tools"))
    await events(engine, ask(tools=(WEATHER,), tool_choice=ToolChoice("tool", "weather")))
    choice = provider.seen[0].body
    assert "weather" in str(choice.get("tool_choice") or choice["toolConfig"]["toolChoice"])


async def test_a_call_that_the_limit_cut_off_is_kept_as_it_came(provider: Any, engine: Engine, answer: Any) -> None:
    provider.answers(answer([("tool", "c", "weather", ['{"city": "Bo'])], "limit"))
    choice = fold(await events(engine, ask(tools=(WEATHER,)))).choices[0]
    assert choice.stop.reason == "max_tokens"
    assert choice.parts == (ToolUsePart("c", "weather", {}, broken='{"city": "Bo'),)


async def test_thoughts_arrive_and_go_back(provider: Any, engine: Engine, answer: Any) -> None:
    provider.answers(
        answer([("reasoning", ["Let ", "me think"], "c2ln"), ("text", ["42"])]), answer([("text", ["ok"])])
    )
    arrived = await events(engine, ask())
    check_order(arrived)
    parts = fold(arrived).choices[0].parts
    assert isinstance(parts[0], ReasoningPart)
    assert (parts[0].text, parts[1]) == ("Let me think", TextPart("42"))
    await events(engine, ask(*ask().messages, Message("assistant", parts), Message("user", (TextPart("Sure?"),))))
    sent = str(provider.seen[1].body)
    assert "Let me think" in sent
    assert provider.wire.name == "openai" or "c2ln" in sent


async def test_images_arrive_unchanged(provider: Any, engine: Engine, answer: Any) -> None:
    provider.answers(answer([("text", ["A cat."])]))
    data = bytes(range(256))
    await events(engine, ask(Message("user", (ImagePart("png", data), TextPart("What is it?")))))
    assert provider.wire.images(provider.seen[0].body) == [data]


async def test_sampling_and_schema_are_written(provider: Any, engine: Engine, answer: Any) -> None:
    provider.answers(answer([("text", ["{}"])]))
    sampling = Sampling(max_tokens=7, temperature=0.25, top_p=0.5, top_k=3, stop=("END",))
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}}
    await events(engine, ask(sampling=sampling, output_schema=OutputSchema(schema)))
    body = msgspec.json.encode(provider.seen[0].body).decode()
    assert all(text in body for text in ("0.25", "0.5", "END", "answer", "integer", ":7", ":3"))


@pytest.mark.parametrize("provider", ["anthropic", "bedrock"], indirect=True)  # OpenAI's wire can say all of these
@pytest.mark.parametrize(
    "change",
    [
        {"sampling": Sampling(seed=1)},
        {"sampling": Sampling(n=2)},
        {"sampling": Sampling(logprobs=0)},
        {"sampling": Sampling(presence_penalty=0.5)},
        {"sampling": Sampling(logit_bias={1: 2.0})},
        {"sampling": Sampling(min_p=0.1)},
        {"output_schema": OutputSchema({})},
    ],
    ids=str,
)
async def test_what_a_wire_cannot_say_is_refused_before_anything_is_sent(
    provider: Any, engine: Engine, answer: Any, change: dict[str, Any]
) -> None:
    provider.answers(answer([("text", ["x"])]))
    with pytest.raises(Unsupported):
        await events(engine, ask(**change))
    assert provider.seen == []


@pytest.mark.parametrize(("kind", "error"), [("throttled", Throttled), ("failed", ModelFailed)])
async def test_an_error_in_the_middle_of_a_stream_is_raised_there(
    provider: Any, engine: Engine, answer: Any, kind: str, error: type[CratonError]
) -> None:
    begun = provider.wire.write(answer([("text", ["Hel", "lo"])]))[:4]
    provider.says(*begun, provider.wire.stream_error(kind, "boom"))
    stream = engine.chat(ask())
    assert isinstance(await anext(stream), PartStarted)
    assert isinstance(await anext(stream), Delta)
    with pytest.raises(error) as raised:
        await to_the_end(stream)
    assert "boom" not in str(raised.value)


@pytest.mark.parametrize("end", ["cut", "quiet"])
@pytest.mark.parametrize("kept", [0, 4, -1])
async def test_a_stream_without_its_end_fails(provider: Any, engine: Engine, answer: Any, end: str, kept: int) -> None:
    body = provider.wire.write(answer([("text", ["Hel", "lo"])]))
    last = kept if provider.wire.name != "openai" or kept >= 0 else -2  # there, usage alone ends a stream
    provider.says(*body[:last], *(["cut"] if end == "cut" else []))
    with pytest.raises(ModelFailed):
        await events(engine, ask())


async def test_garbage_in_a_stream_fails(provider: Any, engine: Engine, answer: Any) -> None:
    provider.says(*provider.wire.write(answer([("text", ["Hello"])]))[:3], provider.wire.garbage())
    with pytest.raises(ModelFailed, match="malformed"):
        await events(engine, ask())


async def test_an_endless_event_is_not_kept(provider: Any, engine: Engine) -> None:
    provider.says(provider.wire.endless(), "hang")
    with pytest.raises(ModelFailed):
        await events(engine, ask())
    assert await asyncio.to_thread(provider.left.wait, 5)


async def test_something_other_than_a_stream_fails(provider: Any, engine: Engine, plan: Any) -> None:
    provider.will(plan([b"<html>a proxy's page</html>"], content_type="text/html"))
    with pytest.raises(ModelFailed):
        await events(engine, ask())


async def test_a_silent_provider_is_given_up(provider: Any, client: httpx.AsyncClient, answer: Any) -> None:
    engine = provider.wire.build(client, provider.url, Timeouts(connect=5, first=5, idle=0.2))
    provider.says(*provider.wire.write(answer([("text", ["Hello"])]))[:3], "hang")
    with pytest.raises(ModelFailed, match="silent"):
        await events(engine, ask())
    assert await asyncio.to_thread(provider.left.wait, 5)


async def test_closing_the_answer_hangs_up(provider: Any, engine: Engine, answer: Any) -> None:
    provider.says(*provider.wire.write(answer([("text", ["Hel", "lo"])]))[:4], "hang")
    stream = engine.chat(ask())
    async for event in stream:
        if isinstance(event, Delta):
            break
    await stream.aclose()  # type: ignore[attr-defined]  # the protocol promises it in words
    assert await asyncio.to_thread(provider.left.wait, 5)


async def test_cancelling_the_reader_hangs_up(provider: Any, engine: Engine, answer: Any) -> None:
    provider.says(*provider.wire.write(answer([("text", ["Hel", "lo"])]))[:3], "hang")
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in engine.chat(ask()):
            begun.set()

    task = asyncio.create_task(read())
    await asyncio.wait_for(begun.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(provider.left.wait, 5)


async def test_leaving_before_the_first_byte_hangs_up(provider: Any, engine: Engine, plan: Any) -> None:
    provider.will(plan(silent=True))
    task = asyncio.create_task(events(engine, ask()))
    assert await asyncio.to_thread(provider.asked.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(provider.left.wait, 5)


async def test_a_provider_that_never_begins_is_given_up(provider: Any, client: httpx.AsyncClient, plan: Any) -> None:
    provider.will(plan(silent=True))
    engine = provider.wire.build(client, provider.url, Timeouts(connect=0.1, first=0.2, idle=5))
    with pytest.raises(ModelFailed, match="silent"):
        await events(engine, ask())


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "request", InvalidRequest),
        (401, "key", ModelUnavailable),
        (403, "key", ModelUnavailable),
        (429, "throttled", Throttled),
        (500, "failed", ModelFailed),
    ],
)
async def test_a_refusal_becomes_the_platforms_error(
    provider: Any, engine: Engine, status: int, kind: str, error: type[CratonError]
) -> None:
    provider.refuses(status, kind)
    with pytest.raises(error) as raised:
        await events(engine, ask())
    assert not isinstance(raised.value, Unauthenticated | PermissionError)


async def test_retry_after_is_passed_on(provider: Any, engine: Engine) -> None:
    provider.refuses(429, "throttled", retry_after="7")
    with pytest.raises(Throttled) as raised:
        await events(engine, ask())
    assert raised.value.retry_after == 7


async def test_a_prompt_too_long_keeps_its_numbers(provider: Any, engine: Engine) -> None:
    provider.refuses(400, "context", "prompt is too long: 210000 tokens > 200000 maximum")
    with pytest.raises(ContextExceeded) as raised:
        await events(engine, ask())
    assert (raised.value.model, raised.value.limit, raised.value.prompt) == ("upstream-model", 200000, 210000)


@pytest.mark.parametrize("status", [400, 401, 403, 422, 500])
async def test_credentials_and_addresses_never_stand_in_errors(provider: Any, engine: Engine, status: int) -> None:
    key = "the-providers-own-key-1234567890"
    provider.refuses(
        status, "request", f"bad {key} at http://10.0.0.7:8000/v1 sk-proj-abcdef0123 AKIAEXAMPLEEXAMPLE01\n"
    )
    with pytest.raises(CratonError) as raised:
        await events(engine, ask())
    shown = f"{raised.value} {raised.value!r} {raised.value.__dict__} {engine!r}"
    for secret in (key, "10.0.0.7", "sk-proj", "AKIA", "127.0.0.1", "Bearer"):
        assert secret not in shown


async def test_an_endless_error_body_is_not_read(provider: Any, engine: Engine, plan: Any) -> None:
    provider.will(plan([b"x" * 200_000, "hang"], 500, {}, "text/plain"))
    with pytest.raises(ModelFailed):
        await events(engine, ask())
    assert await asyncio.to_thread(provider.left.wait, 5)


async def test_a_redirect_is_not_followed(provider: Any, engine: Engine, plan: Any) -> None:
    provider.will(plan([b""], 307, {"location": f"{provider.url}/elsewhere"}))
    with pytest.raises(ModelFailed):
        await events(engine, ask())
    assert len(provider.seen) == 1


async def test_nobody_listening_means_unavailable(provider: Any, client: httpx.AsyncClient) -> None:
    engine = provider.wire.build(client, "http://127.0.0.1:1", Timeouts(connect=2, first=2, idle=2))
    with pytest.raises(ModelUnavailable):
        await events(engine, ask())


async def test_a_provider_off_the_allow_list_is_never_called(provider: Any) -> None:
    provider.says(b"")
    async with outgoing([]) as client:
        engine = provider.wire.build(client, provider.url, Timeouts())
        with pytest.raises(ModelUnavailable, match="has not allowed"):
            await events(engine, ask())
    assert provider.seen == []


async def test_the_platforms_own_client_reaches_an_allowed_provider(provider: Any, answer: Any) -> None:
    provider.answers(answer([("text", ["ok"])]))
    async with outgoing([provider.url]) as client:
        engine = provider.wire.build(client, provider.url, Timeouts())
        assert fold(await events(engine, ask())).choices[0].text() == "ok"


async def test_a_request_after_a_failure_works(provider: Any, engine: Engine, answer: Any, plan: Any) -> None:
    good = plan(list(provider.wire.write(answer([("text", ["ok"])]))))
    provider.will(plan(["cut"]), good)
    with pytest.raises(ModelFailed):
        await events(engine, ask())
    assert fold(await events(engine, ask())).choices[0].text() == "ok"


async def test_streams_do_not_mix(provider: Any, engine: Engine, answer: Any) -> None:
    provider.answers(answer([("text", ["one ", "two ", "three"])]))
    answers = await asyncio.gather(*(events(engine, ask()) for _ in range(8)))
    assert {fold(arrived).choices[0].text() for arrived in answers} == {"one two three"}
