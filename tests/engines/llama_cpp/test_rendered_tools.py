"""Tools for a model that knows none: whatever it says, a call fits its schema."""

from __future__ import annotations

import asyncio
import random

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from craton.core.chat import ChatRequest, Json, Message, Sampling, TextPart, Tool, ToolChoice, ToolUsePart
from craton.core.events import ChatAnswer, fold
from craton.engines.llama_cpp.engine import LlamaCppEngine

names = st.sampled_from(["city", "days", "unit", "note", "größe", 'a"b'])
leaves = st.one_of(
    st.just({"type": "boolean"}),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-50, 50),
        st.integers(0, 90),
    ),
    st.builds(lambda size: {"type": "string", "maxLength": size}, st.integers(1, 8)),
    st.builds(
        lambda values: {"enum": values},
        st.lists(st.sampled_from(["a", "b c", 7, None, True]), min_size=1, max_size=3, unique_by=repr),
    ),
    st.just({"type": "string", "pattern": "^[a-c]{2,4}$"}),
    st.just({"type": "number", "minimum": 0, "maximum": 1}),
)


def _object(properties: Json) -> Json:
    required = [name for index, name in enumerate(properties) if index % 2 == 0]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.dictionaries(names, inner, min_size=1, max_size=2).map(_object),
        st.builds(lambda items: {"type": "array", "items": items, "minItems": 1, "maxItems": 2}, inner),
        st.lists(inner, min_size=2, max_size=2).map(lambda either: {"anyOf": either}),
    ),
    max_leaves=4,
)


def asked(tools: tuple[Tool, ...], choice: ToolChoice, text: str, sampling: Sampling) -> ChatRequest:
    messages = (Message(role="user", parts=(TextPart(text=text),)),)
    return ChatRequest(model="starter", messages=messages, tools=tools, tool_choice=choice, sampling=sampling)


async def answer(engine: LlamaCppEngine, request: ChatRequest) -> ChatAnswer:
    return fold([event async for event in engine.chat(request)])


@pytest.mark.slow
@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(properties=st.dictionaries(names, schemas, min_size=1, max_size=2), seed=st.integers(0, 1000))
def test_a_required_call_always_fits_its_schema(engine: LlamaCppEngine, properties: Json, seed: int) -> None:
    tool = Tool(name="do_it", schema=_object(properties))
    jsonschema.Draft202012Validator.check_schema(tool.schema)
    sampling = Sampling(max_tokens=120, temperature=1.0, seed=seed)
    request = asked((tool,), ToolChoice(mode="tool", name="do_it", parallel=False), "Go on.", sampling)
    choice = asyncio.run(answer(engine, request)).choices[0]
    (call,) = choice.parts
    assert isinstance(call, ToolUsePart)
    if choice.stop.reason == "tool_use":
        jsonschema.validate(call.arguments, tool.schema)
    else:
        assert choice.stop.reason == "max_tokens"


@pytest.mark.anyio
async def test_schemas_with_references_and_no_properties_hold(engine: LlamaCppEngine) -> None:
    schema = {
        "type": "object",
        "properties": {"where": {"$ref": "#/$defs/place"}},
        "required": ["where"],
        "$defs": {
            "place": {
                "type": "object",
                "properties": {"kind": {"enum": ["city", "sea"]}},
                "required": ["kind"],
                "additionalProperties": False,
            }
        },
    }
    tools = (Tool(name="visit", schema=schema), Tool(name='say "hi"', schema={"type": "object", "maxProperties": 0}))
    for seed in range(2):
        sampling = Sampling(max_tokens=80, temperature=1.0, seed=seed)
        choice = (
            await answer(engine, asked(tools, ToolChoice(mode="any", parallel=False), "Visit the sea.", sampling))
        ).choices[0]
        (call,) = choice.parts
        assert isinstance(call, ToolUsePart)
        chosen = next(tool for tool in tools if tool.name == call.name)
        jsonschema.validate(call.arguments, chosen.schema)


@pytest.mark.anyio
async def test_a_call_that_the_model_begins_by_itself_is_held_too(engine: LlamaCppEngine) -> None:
    tool = Tool(name="visit", schema={"type": "object", "properties": {"n": {"enum": [3, 5]}}, "required": ["n"]})
    request = ChatRequest(
        model="starter",
        messages=(
            Message(role="user", parts=(TextPart(text="Call visit with n 3."),)),
            Message(role="assistant", parts=(ToolUsePart(id="x", name="visit", arguments={"n": 3}),)),
            Message(role="user", parts=(TextPart(text="The same again, exactly: repeat your last message."),)),
        ),
        tools=(tool,),
        tool_choice=ToolChoice(parallel=False),
        sampling=Sampling(max_tokens=60, temperature=0, stop=("arguments",)),
    )
    folded = await answer(engine, request)
    (call,) = [part for part in folded.choices[0].parts if isinstance(part, ToolUsePart)]
    jsonschema.validate(call.arguments, tool.schema)
    assert folded.choices[0].stop.reason == "tool_use"
    assert folded.usage.input == await engine.count_tokens(request)
    assert folded.usage.output < 60


@pytest.mark.anyio
async def test_parallel_calls_are_several_parts_or_one(engine: LlamaCppEngine) -> None:
    tool = Tool(name="roll", schema={"type": "object", "properties": {"d": {"enum": [4, 6]}}, "required": ["d"]})
    sampling = Sampling(max_tokens=80, temperature=1.0, seed=random.Random(4).randrange(100))
    folded = await answer(engine, asked((tool,), ToolChoice(mode="any"), "Roll two dice: d4 and d6.", sampling))
    parts = folded.choices[0].parts
    assert 1 <= len(parts) <= 8
    assert all(isinstance(part, ToolUsePart) and part.arguments["d"] in {4, 6} for part in parts)
    assert len({part.id for part in parts if isinstance(part, ToolUsePart)}) == len(parts)
