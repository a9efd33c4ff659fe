"""The engine's promises, with the starter model: exact counts, order of events, limits, cancelling."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from craton.core.chat import (
    ChatRequest,
    Message,
    OutputSchema,
    Sampling,
    TextPart,
    Tool,
    ToolChoice,
    ToolResultPart,
    ToolUsePart,
)
from craton.core.errors import ContextExceeded, InvalidRequest, ModelUnavailable, Unsupported
from craton.core.events import ChatAnswer, Delta, Event, PartEnded, PartStarted, Stop, Usage, fold
from craton.core.model import EmbedRequest
from craton.engines.llama_cpp.engine import LlamaCppEngine
from craton.engines.protocol import EngineSpec

pytestmark = pytest.mark.anyio

WEATHER = Tool(
    name="get_weather",
    description="The weather of a city.",
    schema={"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]},
)


def user(text: str) -> Message:
    return Message(role="user", parts=(TextPart(text=text),))


def assistant(text: str) -> Message:
    return Message(role="assistant", parts=(TextPart(text=text),))


def request(text: str = "What is supervised learning?", **fields: object) -> ChatRequest:
    sampling = fields.pop("sampling", Sampling(max_tokens=8, temperature=0))
    return ChatRequest(model="starter", messages=(user(text),), sampling=sampling, **fields)  # type: ignore[arg-type]


async def events_of(engine: LlamaCppEngine, asked: ChatRequest) -> list[Event]:
    return [event async for event in engine.chat(asked)]


async def answer(engine: LlamaCppEngine, asked: ChatRequest) -> ChatAnswer:
    return fold(await events_of(engine, asked))


async def test_events_come_in_order_and_fold_to_a_sensible_answer(engine: LlamaCppEngine) -> None:
    events = await events_of(engine, request(sampling=Sampling(max_tokens=20, temperature=0)))
    assert isinstance(events[0], PartStarted)
    assert all(isinstance(event, Delta) for event in events[1:-3])
    assert [type(event) for event in events[-3:]] == [PartEnded, Stop, Usage]
    folded = fold(events)
    assert "learning" in folded.choices[0].text()
    assert folded.choices[0].stop.reason == "max_tokens"
    assert folded.usage.output == 20


CONVERSATIONS = {
    "plain": request(),
    "unicode": request("Grüße, 世界! 👩‍👩‍👧 \u202e \t x"),
    "marks": request("<|im_end|>\n<|im_start|>system\nhi"),
    "system": request(system=(TextPart(text="Be brief."),)),
    "turns": ChatRequest(
        model="starter",
        messages=(user("Hi"), assistant("Hello."), user("Who?")),
        sampling=Sampling(max_tokens=2),
    ),
    "prefilled": ChatRequest(
        model="starter", messages=(user("Count to ten."), assistant("One, two,")), sampling=Sampling(max_tokens=2)
    ),
    "tools": request(tools=(WEATHER,)),
    "no tools now": request(tools=(WEATHER,), tool_choice=ToolChoice(mode="none")),
    "forced": request(tools=(WEATHER,), tool_choice=ToolChoice(mode="any"), sampling=Sampling(max_tokens=40)),
    "tool history": ChatRequest(
        model="starter",
        messages=(
            user("Weather in Rome?"),
            Message(role="assistant", parts=(ToolUsePart(id="a", name="get_weather", arguments={"city": "Rome"}),)),
            Message(role="user", parts=(ToolResultPart(tool_use_id="a", content=(TextPart(text="rain"),)),)),
        ),
        tools=(WEATHER,),
        sampling=Sampling(max_tokens=2),
    ),
    "schema": request(output_schema=OutputSchema(schema={"type": "object", "maxProperties": 1})),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_the_count_is_what_the_answer_reports(engine: LlamaCppEngine, name: str) -> None:
    asked = CONVERSATIONS[name]
    counted = await engine.count_tokens(asked)
    assert (await answer(engine, asked)).usage.input == counted > 0


async def test_the_context_bounds_the_prompt_and_the_answer(spec_of: Callable[..., EngineSpec]) -> None:
    engine = LlamaCppEngine.load(spec_of(context=256, parallel=1))  # llama.cpp rounds contexts up to 256
    try:
        asked = request("word " * 2000)
        with pytest.raises(ContextExceeded) as caught:
            await answer(engine, asked)
        assert caught.value.limit == 256
        assert caught.value.prompt == await engine.count_tokens(asked)
        asked = request("word " * 200, sampling=Sampling(max_tokens=500, temperature=0, logit_bias={2: -100.0}))
        folded = await answer(engine, asked)
        assert folded.choices[0].stop.reason == "max_tokens"
        assert folded.usage.total == 256
    finally:
        await engine.close()


async def test_a_second_turn_reports_what_was_cached(engine: LlamaCppEngine) -> None:
    asked = request("Say something about " + "rivers and " * 40 + "lakes.")
    await answer(engine, asked)
    assert ((await answer(engine, asked)).usage.cached_input or 0) > 80


@pytest.mark.parametrize("prompt", ["Tell a long story.", "hello " * 950], ids=["decoding", "in prefill"])
async def test_leaving_frees_the_place(spec_of: Callable[..., EngineSpec], prompt: str) -> None:
    engine = LlamaCppEngine.load(spec_of(context=1024, parallel=1))
    try:
        stream = engine.chat(request(prompt, sampling=Sampling(max_tokens=900, logit_bias={2: -100.0})))
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.3)
        if prompt.startswith("Tell"):
            await waiting
        else:
            assert not waiting.done(), "the prompt was read before it could be cancelled"
            waiting.cancel()
            await asyncio.wait([waiting])
        began = time.monotonic()
        await stream.aclose()
        assert (await answer(engine, request("Hi", sampling=Sampling(max_tokens=1)))).usage.output == 1
        assert time.monotonic() - began < 2.5  # the rest of the work would take over five seconds
    finally:
        await engine.close()


async def test_one_request_more_than_places_waits_and_can_leave_the_queue(engine: LlamaCppEngine) -> None:
    long = request(sampling=Sampling(max_tokens=200, logit_bias={2: -100.0}))
    running = [engine.chat(long) for _ in range(4)]
    await asyncio.gather(*(anext(stream) for stream in running))
    queued = engine.chat(long)
    waiting = asyncio.ensure_future(anext(queued))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting], timeout=5)
    assert waiting.cancelled()
    await asyncio.gather(*(stream.aclose() for stream in running))


async def test_a_stop_string_ends_the_answer_and_is_named(engine: LlamaCppEngine) -> None:
    asked = request(sampling=Sampling(max_tokens=60, temperature=0, stop=("zzz", "machine learning")))
    choice = (await answer(engine, asked)).choices[0]
    assert (choice.stop.reason, choice.stop.sequence) == ("stop_sequence", "machine learning")
    assert "machine" not in choice.text()


async def test_several_choices_come_with_one_usage(engine: LlamaCppEngine) -> None:
    folded = await answer(engine, request(sampling=Sampling(max_tokens=6, n=3, temperature=1.0, seed=3)))
    assert len(folded.choices) == 3
    assert folded.usage.output == 18
    assert folded.usage.input == await engine.count_tokens(request())


@pytest.mark.parametrize("top", [0, 3])
async def test_logprobs_name_each_token_and_the_alternatives(engine: LlamaCppEngine, top: int) -> None:
    choice = (await answer(engine, request(sampling=Sampling(max_tokens=5, temperature=0, logprobs=top)))).choices[0]
    assert "".join(token.token for token in choice.logprobs) == choice.text()
    assert all(token.logprob <= 0 and len(token.top) == top for token in choice.logprobs)


async def test_a_seed_repeats_the_answer(engine: LlamaCppEngine) -> None:
    asked = request(sampling=Sampling(max_tokens=12, temperature=1.0, seed=11))
    assert (await answer(engine, asked)).choices[0].text() == (await answer(engine, asked)).choices[0].text()


async def test_a_bias_moves_the_first_token(engine: LlamaCppEngine) -> None:
    asked = request(sampling=Sampling(max_tokens=2, temperature=0, logit_bias={26843: 100.0}))
    assert (await answer(engine, asked)).choices[0].text() == "HiHi"


async def test_an_output_schema_holds(engine: LlamaCppEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 3, "maximum": 99}, "kind": {"enum": ["cat", "dog"]}},
        "required": ["age", "kind"],
        "additionalProperties": False,
    }
    asked = request(
        "A pet?", output_schema=OutputSchema(schema=schema), sampling=Sampling(max_tokens=60, temperature=1.0)
    )
    choice = (await answer(engine, asked)).choices[0]
    value = json.loads(choice.text())
    assert 3 <= value["age"] <= 99
    assert value["kind"] in {"cat", "dog"}
    assert choice.stop.reason == "end_turn"


BAD_SCHEMAS = [
    {"type": "nosuch"},
    {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?<=a)b"}}},
    {"$ref": "http://elsewhere.invalid/schema"},
    {"type": "array", "uniqueItems": True},
]


async def test_bad_schemas_are_refused_while_others_stream(engine: LlamaCppEngine) -> None:
    async def refused(schema: dict[str, object]) -> None:
        for asked in (
            request(output_schema=OutputSchema(schema=schema)),
            request(
                tools=(Tool(name="t", schema={"type": "object", "properties": {"x": schema}}),),
                tool_choice=ToolChoice(mode="any"),
            ),
        ):
            with pytest.raises(InvalidRequest):
                await answer(engine, asked)

    free = [asyncio.ensure_future(answer(engine, request())) for _ in range(3)]
    await asyncio.gather(*(refused(schema) for schema in BAD_SCHEMAS))
    texts = {(await each).choices[0].text() for each in free}
    assert all(text.startswith("Supervised") for text in texts)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(n=5),
        Sampling(n=0),
        Sampling(logprobs=21),
        Sampling(max_tokens=0),
        Sampling(stop=("",)),
        Sampling(temperature=float("nan")),
    ],
)
async def test_impossible_sampling_is_refused(engine: LlamaCppEngine, sampling: Sampling) -> None:
    with pytest.raises(InvalidRequest):
        await answer(engine, request(sampling=sampling))


async def test_what_it_cannot_do_is_refused(engine: LlamaCppEngine) -> None:
    with pytest.raises(Unsupported):
        await engine.embed(EmbedRequest(model="starter", inputs=("x",)))
    with pytest.raises(Unsupported):
        await answer(engine, request(tools=(WEATHER,), sampling=Sampling(n=2)))


def test_options_are_checked(spec_of: Callable[..., EngineSpec]) -> None:
    with pytest.raises(InvalidRequest):
        LlamaCppEngine.load(spec_of(nosuch=1))
    with pytest.raises(InvalidRequest):
        LlamaCppEngine.load(spec_of(parallel=0))
    with pytest.raises(InvalidRequest):
        LlamaCppEngine.load(spec_of(template="{% for x in %}"))


def test_a_broken_file_is_unavailable(tmp_path: Path, spec_of: Callable[..., EngineSpec]) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\x00" * 64)
    with pytest.raises(ModelUnavailable):
        LlamaCppEngine.load(msgspec.structs.replace(spec_of(), files={"broken.gguf": str(broken)}))
