"""What an application does with openai: chat, streams, tools, schemas, embeddings, models, errors."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import openai
from checks import (
    BREAKS_OFF,
    HELLO,
    THINKS_AND_CALLS,
    THROTTLED,
    TOKEN,
    URL,
    WEATHER_SCHEMA,
    WRONG_TOKEN,
    Absent,
    equal,
    holds,
    need,
    raises,
    run,
)
from pydantic import BaseModel

client: Any = openai.OpenAI(base_url=f"{URL}/v1", api_key=TOKEN, max_retries=0)
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER_SCHEMA}}]


def say(text: str) -> Any:
    return [{"role": "user", "content": text}]


def ask(text: str, **options: Any) -> Any:
    return client.chat.completions.create(model="echo", messages=say(text), **options)


def chat() -> None:
    answer = ask(HELLO, temperature=0.5, user="somebody")
    equal(answer.choices[0].message.content, HELLO)
    equal(answer.choices[0].finish_reason, "stop")
    equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)


def chat_stops_at_max_tokens() -> None:
    equal(ask(HELLO, max_tokens=2).choices[0].finish_reason, "length")


def chat_streamed() -> None:
    chunks = list(ask(HELLO, stream=True, stream_options={"include_usage": True}))
    equal("".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices), HELLO)
    equal(chunks[-1].usage, ask(HELLO).usage)
    without = list(ask(HELLO, stream=True))
    holds(all(chunk.choices and chunk.usage is None for chunk in without), "usage was not asked for")


def chat_of_the_async_client() -> None:
    async def talk() -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=TOKEN, max_retries=0) as other:
            whole = await other.chat.completions.create(model="echo", messages=say(HELLO))
            stream = await other.chat.completions.create(model="echo", messages=say(HELLO), stream=True)
            spoken = [choice.delta.content or "" async for chunk in stream for choice in chunk.choices]
            return whole.choices[0].message.content or "", "".join(spoken)

    equal(asyncio.run(talk()), (HELLO, HELLO))


def an_image_as_a_data_address() -> None:
    content = [
        {"type": "text", "text": "look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]
    answer = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": content}])
    equal(answer.choices[0].message.content, "look: [image png, 8 bytes]")


def tool_calls_there_and_back() -> None:
    asked = ask("weather?", tools=TOOLS, tool_choice={"type": "function", "function": {"name": "weather"}})
    (call,) = asked.choices[0].message.tool_calls
    equal(call.function.name, "weather")
    equal(list(json.loads(call.function.arguments)), ["city"])
    messages = [
        *say("weather?"),
        asked.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "it rains"},
    ]
    answer = client.chat.completions.create(model="echo", messages=messages, tools=TOOLS)
    equal(answer.choices[0].finish_reason, "stop")
    holds(answer.choices[0].message.content, "no answer after the tool's result")


def tool_calls_streamed() -> None:
    chunks = list(ask(THINKS_AND_CALLS, tools=TOOLS, stream=True))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    calls = [call for choice in choices for call in choice.delta.tool_calls or []]
    equal((calls[0].id, calls[0].function.name), ("call_1", "weather"))
    equal(json.loads("".join(call.function.arguments or "" for call in calls)), {"city": "Paris"})
    equal("".join(choice.delta.content or "" for choice in choices), "One moment.")
    equal(choices[-1].finish_reason, "tool_calls")


class City(BaseModel):
    name: str
    people: int


def structured_output() -> None:
    """`parse` builds the strict schema and reads the answer."""
    completions: Any = client.chat.completions
    if not hasattr(completions, "parse"):
        completions = need(client, "beta", "chat", "completions")
    if not hasattr(completions, "parse"):
        raise Absent("this generation has no chat.completions.parse")
    answer = completions.parse(model="echo", messages=say("a city"), response_format=City)
    holds(isinstance(answer.choices[0].message.parsed, City), "nothing was parsed")


def the_stream_helper() -> None:
    completions: Any = client.chat.completions
    if not hasattr(completions, "stream"):
        completions = need(client, "beta", "chat", "completions")
    if not hasattr(completions, "stream"):
        raise Absent("this generation has no chat.completions.stream")
    with completions.stream(model="echo", messages=say(THINKS_AND_CALLS)) as stream:
        answer = stream.get_final_completion()
    equal(answer.choices[0].message.content, "One moment.")
    equal(json.loads(answer.choices[0].message.tool_calls[0].function.arguments), {"city": "Paris"})


def embeddings() -> None:
    """The client asks for base64 by itself, and for lists when told so."""
    encoded = client.embeddings.create(model="echo", input=["one", "two words"])
    listed = client.embeddings.create(model="echo", input=["one", "two words"], encoding_format="float")
    equal([item.index for item in encoded.data], [0, 1])
    for one, other in zip(encoded.data, listed.data, strict=True):
        holds(len(one.embedding) == len(other.embedding) > 1, "the lengths differ")
        holds(math.isclose(one.embedding[0], other.embedding[0], abs_tol=1e-6), "the forms differ")
    equal(encoded.usage.prompt_tokens, 3)


def models() -> None:
    holds("echo" in [model.id for model in client.models.list()], "echo is not listed")
    equal(client.models.retrieve("echo").id, "echo")


def raw_responses_carry_the_request_id() -> None:
    raw = client.chat.completions.with_raw_response.create(model="echo", messages=say(HELLO))
    holds(raw.headers.get("x-request-id"), "no x-request-id")
    equal(raw.parse().choices[0].message.content, HELLO)


def an_unknown_model_is_not_found() -> None:
    with raises(openai.NotFoundError, 404, "nobody"):
        client.chat.completions.create(model="nobody", messages=say(HELLO))
    with raises(openai.NotFoundError, 404):
        client.models.retrieve("nobody/nothing")


def a_refused_operation_has_its_typed_exception() -> None:
    with raises(openai.BadRequestError, 400, "not supported"):
        client.images.generate(prompt="a cat", model="echo")
    with raises(openai.BadRequestError, 400, "not supported"):
        client.files.list()


def a_bad_request_is_refused() -> None:
    with raises(openai.BadRequestError, 400):
        ask(HELLO, temperature=-1)
    with raises(openai.BadRequestError, 400, "maximum context length is 8192"):
        ask("word " * 9000)


def a_wrong_key_is_refused() -> None:
    with raises(openai.AuthenticationError, 401):
        openai.OpenAI(base_url=f"{URL}/v1", api_key=WRONG_TOKEN, max_retries=0).models.list()


def a_throttled_call_is_tried_again() -> None:
    answer = client.with_options(max_retries=2).chat.completions.create(model="echo", messages=say(THROTTLED))
    equal(answer.choices[0].message.content, "now it is fine")


def a_stream_that_breaks_off_raises() -> None:
    with raises(openai.APIError, says="out of memory"):
        list(ask(BREAKS_OFF, stream=True))


run(
    [
        chat,
        chat_stops_at_max_tokens,
        chat_streamed,
        chat_of_the_async_client,
        an_image_as_a_data_address,
        tool_calls_there_and_back,
        tool_calls_streamed,
        structured_output,
        the_stream_helper,
        embeddings,
        models,
        raw_responses_carry_the_request_id,
        an_unknown_model_is_not_found,
        a_refused_operation_has_its_typed_exception,
        a_bad_request_is_refused,
        a_wrong_key_is_refused,
        a_throttled_call_is_tried_again,
        a_stream_that_breaks_off_raises,
    ]
)
