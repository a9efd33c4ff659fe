"""What the echo engine promises."""

from __future__ import annotations

import json
import math
import time

import pytest

from craton.core.chat import (
    ChatRequest,
    Message,
    OutputSchema,
    ReasoningOptions,
    ReasoningPart,
    Sampling,
    TextPart,
    Tool,
    ToolChoice,
    ToolResultPart,
    ToolUsePart,
)
from craton.core.errors import ContextExceeded, InvalidRequest, Unsupported
from craton.core.events import ChatAnswer, Delta, fold_stream
from craton.core.model import EmbedRequest, ModelInfo
from craton.engines.echo import EchoEngine
from craton.engines.echo.minimal import minimal
from craton.engines.protocol import EngineSpec

pytestmark = pytest.mark.anyio


def ask(text: str, **values: object) -> ChatRequest:
    return ChatRequest(model="echo", messages=(Message("user", (TextPart(text),)),), **values)


async def answer(request: ChatRequest, engine: EchoEngine | None = None) -> ChatAnswer:
    return await fold_stream((engine or EchoEngine("echo")).chat(request))


@pytest.mark.parametrize("text", ["one two", "  lead\n\n and  trail \t", "", "   ", "한국어 word\u00a0x 🙂"])
async def test_the_fold_is_exactly_the_last_user_text(text: str) -> None:
    whole = await answer(ask(text))
    assert whole.choices[0].text() == text
    assert whole.choices[0].stop.reason == "end_turn"


async def test_a_word_is_a_token_and_every_token_a_delta() -> None:
    request = ask("a b c", system=(TextPart("be brief"),), tools=(Tool("f", {"type": "object"}, "does it"),))
    events = [event async for event in EchoEngine("echo").chat(request)]
    assert [event.text for event in events if isinstance(event, Delta)] == ["a", " b", " c"]
    assert events[-1].input == 2 + 3 + 1 + 2 + 1
    assert events[-1].output == 3
    assert await EchoEngine("echo").count_tokens(request) == events[-1].input


async def test_max_tokens_cuts() -> None:
    whole = await answer(ask("one two three", sampling=Sampling(max_tokens=2)))
    assert (whole.choices[0].text(), whole.choices[0].stop.reason, whole.usage.output) == ("one two", "max_tokens", 2)


@pytest.mark.parametrize(("stop", "kept"), [("two", "one "), ("e t", "on"), ("o three", "one tw")])
async def test_stop_sequences_are_found_across_deltas(stop: str, kept: str) -> None:
    whole = await answer(ask("one two three", sampling=Sampling(stop=("never", stop))))
    assert whole.choices[0].text() == kept
    assert whole.choices[0].stop.reason == "stop_sequence"
    assert whole.choices[0].stop.sequence == stop


async def test_a_stop_sequence_after_the_cut_does_not_count() -> None:
    whole = await answer(ask("one two three", sampling=Sampling(stop=("three",), max_tokens=2)))
    assert whole.choices[0].stop.reason == "max_tokens"


async def test_n_answers_are_counted_together() -> None:
    whole = await answer(ask("one two", sampling=Sampling(n=3)))
    assert [choice.text() for choice in whole.choices] == ["one two"] * 3
    assert whole.usage.output == 6


async def test_logprobs_name_every_token() -> None:
    whole = await answer(ask("one two", sampling=Sampling(logprobs=2)))
    found = whole.choices[0].logprobs
    assert [(item.token, item.logprob, item.bytes) for item in found] == [("one", 0.0, b"one"), (" two", 0.0, b" two")]
    assert [len(item.top) for item in found] == [2, 2]
    assert found[0].top[0].token == "one"
    assert (await answer(ask("one", sampling=Sampling(logprobs=0)))).choices[0].logprobs[0].top == ()


async def test_a_prompt_over_the_context_is_refused_with_both_numbers() -> None:
    engine = EchoEngine("echo", context=3)
    with pytest.raises(ContextExceeded) as caught:
        await answer(ask("a b c d"), engine)
    assert (caught.value.limit, caught.value.prompt) == (3, 4)


async def test_the_answer_never_leaves_the_context() -> None:
    whole = await answer(ask("a b c"), EchoEngine("echo", context=5))
    assert (whole.choices[0].text(), whole.choices[0].stop.reason) == ("a b", "max_tokens")


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "days": {"type": "array", "items": {"$ref": "#/$defs/day"}, "minItems": 2},
        "optional": {"type": "string"},
    },
    "required": ["city", "unit", "days"],
    "$defs": {"day": {"type": "integer", "minimum": 1, "maximum": 7}},
}


@pytest.mark.parametrize("choice", [ToolChoice("any"), ToolChoice("tool", "weather")])
async def test_a_forced_tool_gets_the_smallest_valid_arguments(choice: ToolChoice) -> None:
    whole = await answer(ask("hi", tools=(Tool("weather", SCHEMA), Tool("other", {})), tool_choice=choice))
    (part,) = whole.choices[0].parts
    assert isinstance(part, ToolUsePart)
    assert part.arguments == {"city": "aa", "unit": "celsius", "days": [1, 1]}
    assert (part.name, whole.choices[0].stop.reason) == ("weather", "tool_use")
    assert part.id.startswith("call_")


async def test_tools_that_are_not_forced_are_not_called() -> None:
    whole = await answer(ask("hi", tools=(Tool("weather", SCHEMA),)))
    assert whole.choices[0].text() == "hi"


async def test_forcing_a_tool_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        await answer(ask("hi", tools=(Tool("a", {}),), tool_choice=ToolChoice("tool", "b")))


async def test_a_tool_result_is_said_back() -> None:
    result = ToolResultPart("call_1", (TextPart("22 degrees"),))
    request = ChatRequest("echo", (Message("user", (TextPart("q"),)), Message("user", (result,))))
    assert (await answer(request)).choices[0].text() == "22 degrees"


async def test_an_output_schema_gets_json_that_fits() -> None:
    whole = await answer(ask("hi", output_schema=OutputSchema(SCHEMA)))
    assert json.loads(whole.choices[0].text())["unit"] == "celsius"
    assert (await answer(ask("hi", output_schema=OutputSchema({})))).choices[0].text() == "{}"


async def test_reasoning_comes_first_when_asked_for() -> None:
    whole = await answer(ask("one two", reasoning=ReasoningOptions()))
    assert [type(part) for part in whole.choices[0].parts] == [ReasoningPart, TextPart]
    assert whole.usage.reasoning == whole.usage.output - 2


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 5}, 5),
        ({"type": ["null", "string"]}, None),
        ({"type": "integer", "exclusiveMinimum": 3, "multipleOf": 5}, 5),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "string", "pattern": "^[0-9]{4}$"}, "0000"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"anyOf": [{"not": {}}, {"type": "boolean"}]}, False),
        (
            {"allOf": [{"required": ["a"]}, {"properties": {"a": {"type": "integer"}}, "required": ["b"]}]},
            {"a": 0, "b": None},
        ),
        ({"type": "object", "minProperties": 1}, {"key1": None}),
    ],
)
async def test_the_smallest_value_of_a_schema(schema: dict[str, object], value: object) -> None:
    assert minimal(schema) == value


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "string", "pattern": "^(a+)+$"},
        {"type": "string", "pattern": "^" + "a*" * 50 + "b$"},
        {"$ref": "https://example.com/schema"},
        {"type": "integer", "minimum": 2, "maximum": 1},
        {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}},
        {"$defs": {str(i): {"allOf": [{"$ref": f"#/$defs/{i + 1}"}] * 2} for i in range(60)}, "$ref": "#/$defs/0"},
    ],
)
async def test_a_schema_without_an_easy_smallest_value_is_refused_quickly(schema: dict[str, object]) -> None:
    started = time.monotonic()
    with pytest.raises(Unsupported):
        minimal(schema)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "schema", [{"required": 5}, {"type": "array", "minItems": "x"}, {"properties": [], "required": ["a"]}]
)
async def test_what_is_no_schema_is_refused(schema: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        minimal(schema)


async def test_embeddings_are_unit_vectors_that_depend_on_the_text_alone() -> None:
    engine = EchoEngine("echo")
    first = await engine.embed(EmbedRequest("echo", ("hello", "world", (1, 2))))
    again = await engine.embed(EmbedRequest("echo", ("world",)))
    rows = first.rows()
    assert (first.dimensions, first.tokens) == (64, (1, 1, 2))
    assert rows[1] == again.rows()[0] != rows[0]
    assert all(math.isclose(sum(value * value for value in row), 1, rel_tol=1e-5) for row in rows)
    short = await engine.embed(EmbedRequest("echo", ("hello",), dimensions=8))
    assert [len(row) for row in short.rows()] == [8]


async def test_an_input_longer_than_the_window_is_refused_or_cut() -> None:
    engine = EchoEngine("echo", context=2)
    with pytest.raises(ContextExceeded):
        await engine.embed(EmbedRequest("echo", ("a b c",)))
    cut = await engine.embed(EmbedRequest("echo", ("a b c",), truncate=True))
    assert cut.tokens == (2,)
    assert cut.vectors == (await engine.embed(EmbedRequest("echo", ("a b",)))).vectors


async def test_an_unknown_option_is_refused() -> None:
    info = ModelInfo(id="echo", verbs=("chat",), engine="echo")
    with pytest.raises(InvalidRequest, match="scirpt"):
        EchoEngine.load(EngineSpec("echo", "echo", info, {}, {"scirpt": "x"}))


async def test_echo_is_cheap() -> None:
    engine, request = EchoEngine("echo"), ask("say these ten words back to me now please thanks")
    started = time.perf_counter()
    for _ in range(500):
        async for _event in engine.chat(request):
            pass
    assert (time.perf_counter() - started) / 500 < 0.002  # a loaded machine; alone it is a tenth of that or less
