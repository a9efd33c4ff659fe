"""A template that knows tools, llama.cpp's own parsers read the calls (the starter's weights in Qwen-like turns)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import jsonschema
import pytest

from craton.core.chat import ChatRequest, Message, Sampling, TextPart, Tool, ToolChoice, ToolResultPart, ToolUsePart
from craton.core.events import ChatAnswer, fold
from craton.engines.llama_cpp.engine import LlamaCppEngine
from craton.engines.protocol import EngineSpec

pytestmark = pytest.mark.anyio

HERMES = """{%- if tools %}<|im_start|>system
{%- if messages[0].role == 'system' %}{{ messages[0].content }}{%- endif %}
# Tools
You may call functions. Signatures:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>
For each call, return a json object within <tool_call></tool_call> tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == "tool" %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
WEATHER = Tool(
    name="get_weather",
    schema={
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"enum": [1, 2, 3]}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
)


@pytest.fixture(scope="module")
def native(spec_of: Callable[..., EngineSpec]) -> Iterator[LlamaCppEngine]:
    loaded = LlamaCppEngine.load(spec_of(template=HERMES, context=1024, parallel=1))
    yield loaded
    asyncio.run(loaded.close())


async def answer(engine: LlamaCppEngine, asked: ChatRequest) -> ChatAnswer:
    return fold([event async for event in engine.chat(asked)])


async def test_a_forced_call_is_read_as_a_part(native: LlamaCppEngine) -> None:
    assert native.capabilities.tools == "native"
    asked = ChatRequest(
        model="starter",
        messages=(Message(role="user", parts=(TextPart(text="The weather in Paris for two days?"),)),),
        tools=(WEATHER,),
        tool_choice=ToolChoice(mode="any", parallel=False),
        sampling=Sampling(max_tokens=120, temperature=0),
    )
    folded = await answer(native, asked)
    (call,) = [part for part in folded.choices[0].parts if isinstance(part, ToolUsePart)]
    assert call.name == "get_weather"
    assert call.id
    jsonschema.validate(call.arguments, WEATHER.schema)
    assert folded.choices[0].stop.reason == "tool_use"
    assert folded.usage.input == await native.count_tokens(asked)


async def test_a_free_call_is_read_by_the_models_own_parser(native: LlamaCppEngine) -> None:
    made = ToolUsePart(id="x", name="get_weather", arguments={"city": "Paris", "days": 2})
    asked = ChatRequest(
        model="starter",
        messages=(
            Message(role="user", parts=(TextPart(text="Call get_weather for Paris, 2 days."),)),
            Message(role="assistant", parts=(made,)),
            Message(role="user", parts=(TextPart(text="The same again, exactly: repeat your last message."),)),
        ),
        tools=(WEATHER,),
        tool_choice=ToolChoice(parallel=False),
        sampling=Sampling(max_tokens=80, temperature=0),
    )
    folded = await answer(native, asked)
    (part,) = [part for part in folded.choices[0].parts if isinstance(part, ToolUsePart)]
    jsonschema.validate(part.arguments, WEATHER.schema)
    assert folded.choices[0].stop.reason == "tool_use"


async def test_a_history_with_calls_is_counted_as_it_is_answered(native: LlamaCppEngine) -> None:
    asked = ChatRequest(
        model="starter",
        messages=(
            Message(role="user", parts=(TextPart(text="Rome?"),)),
            Message(
                role="assistant", parts=(ToolUsePart(id="a", name="get_weather", arguments={"city": "R", "days": 1}),)
            ),
            Message(role="user", parts=(ToolResultPart(tool_use_id="a", content=(TextPart(text="rain"),)),)),
        ),
        tools=(WEATHER,),
        sampling=Sampling(max_tokens=3),
    )
    assert (await answer(native, asked)).usage.input == await native.count_tokens(asked)
