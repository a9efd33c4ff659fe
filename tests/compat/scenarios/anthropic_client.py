"""What an application does with anthropic: messages, streams, tools, counting, models, errors."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
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

client: Any = anthropic.Anthropic(base_url=URL, api_key=TOKEN, max_retries=0)
TOOLS: Any = [{"name": "weather", "description": "The weather", "input_schema": WEATHER_SCHEMA}]


def say(text: str) -> Any:
    return [{"role": "user", "content": text}]


def ask(text: str, max_tokens: int = 100, **options: Any) -> Any:
    return client.messages.create(model="echo", max_tokens=max_tokens, messages=say(text), **options)


def messages() -> None:
    # As a body member: the newest generation has no such argument, and the wire still has it.
    answer = ask(HELLO, system="be short", metadata={"user_id": "somebody"}, extra_body={"temperature": 0.5})
    equal([(block.type, block.text) for block in answer.content], [("text", HELLO)])
    equal((answer.role, answer.stop_reason), ("assistant", "end_turn"))
    equal(answer.usage.output_tokens, 3)


def messages_stop_at_max_tokens() -> None:
    equal(ask(HELLO, max_tokens=2).stop_reason, "max_tokens")


def messages_streamed_raw() -> None:
    events = list(ask(HELLO, stream=True))
    kinds = [event.type for event in events]
    equal((kinds[0], kinds[-2:]), ("message_start", ["message_delta", "message_stop"]))
    spoken = [event.delta.text for event in events if event.type == "content_block_delta"]
    equal("".join(spoken), HELLO)


def messages_streamed_by_the_helper() -> None:
    with client.messages.stream(model="echo", max_tokens=100, messages=say(HELLO)) as stream:
        equal("".join(stream.text_stream), HELLO)
        final = stream.get_final_message()
    equal((final.content[0].text, final.stop_reason), (HELLO, "end_turn"))
    equal(final.usage.output_tokens, ask(HELLO).usage.output_tokens)


def a_stream_tells_the_input_tokens() -> None:
    with client.messages.stream(model="echo", max_tokens=100, messages=say(HELLO)) as stream:
        final = stream.get_final_message()
    equal(final.usage.input_tokens, ask(HELLO).usage.input_tokens)


def messages_of_the_async_client() -> None:
    async def talk() -> str:
        other = anthropic.AsyncAnthropic(base_url=URL, api_key=TOKEN, max_retries=0)
        async with other, other.messages.stream(model="echo", max_tokens=100, messages=say(HELLO)) as stream:
            return await stream.get_final_text()

    equal(asyncio.run(talk()), HELLO)


def an_image_in_base64() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    content: Any = [{"type": "text", "text": "look:"}, {"type": "image", "source": source}]
    answer = client.messages.create(model="echo", max_tokens=100, messages=[{"role": "user", "content": content}])
    equal(answer.content[0].text, "look: [image png, 8 bytes]")


def tool_use_there_and_back() -> None:
    asked = ask("weather?", tools=TOOLS, tool_choice={"type": "tool", "name": "weather"})
    equal(asked.stop_reason, "tool_use")
    (block,) = asked.content
    equal((block.name, list(block.input)), ("weather", ["city"]))
    result = {"type": "tool_result", "tool_use_id": block.id, "content": "it rains"}
    conversation: Any = [
        *say("weather?"),
        {"role": "assistant", "content": asked.content},
        {"role": "user", "content": [result]},
    ]
    answer = client.messages.create(model="echo", max_tokens=100, messages=conversation, tools=TOOLS)
    equal(answer.content[0].text, "it rains")


def tool_use_streamed() -> None:
    with client.messages.stream(model="echo", max_tokens=100, messages=say(THINKS_AND_CALLS), tools=TOOLS) as stream:
        final = stream.get_final_message()
    equal(final.stop_reason, "tool_use")
    (block,) = [block for block in final.content if block.type == "tool_use"]
    equal((block.id, block.name, block.input), ("call_1", "weather", {"city": "Paris"}))


def thinking_is_told() -> None:
    answer = ask(THINKS_AND_CALLS, tools=TOOLS)
    equal([block.type for block in answer.content], ["thinking", "text", "tool_use"])
    equal(answer.content[0].thinking, "Let me look.")


def count_tokens() -> None:
    count = getattr(client.messages, "count_tokens", None) or need(client, "beta", "messages", "count_tokens")
    counted = count(model="echo", messages=say(HELLO)).input_tokens
    equal(counted, ask(HELLO).usage.input_tokens)


def models() -> None:
    resource = getattr(client, "models", None) or getattr(client.beta, "models", None)
    if resource is None:
        raise Absent("this generation has no models")
    holds("echo" in [model.id for model in resource.list()], "echo is not listed")
    equal(resource.retrieve("echo").id, "echo")


def an_unknown_model_is_not_found() -> None:
    with raises(anthropic.NotFoundError, 404, "nobody"):
        client.messages.create(model="nobody", max_tokens=10, messages=say(HELLO))


def a_refused_operation_has_its_typed_exception() -> None:
    batches = getattr(client.messages, "batches", None) or need(client, "beta", "messages", "batches")
    with raises(anthropic.BadRequestError, 400, "not supported"):
        batches.list()


def a_bad_request_is_refused() -> None:
    with raises(anthropic.BadRequestError, 400):
        ask(HELLO, extra_body={"temperature": -1})
    with raises(anthropic.BadRequestError, 400, "prompt is too long"):
        ask("word " * 9000)


def a_wrong_key_is_refused() -> None:
    with raises(anthropic.AuthenticationError, 401):
        anthropic.Anthropic(base_url=URL, api_key=WRONG_TOKEN, max_retries=0).messages.create(
            model="echo", max_tokens=10, messages=say(HELLO)
        )


def a_throttled_call_is_tried_again() -> None:
    answer = client.with_options(max_retries=2).messages.create(model="echo", max_tokens=100, messages=say(THROTTLED))
    equal(answer.content[0].text, "now it is fine")


def a_stream_that_breaks_off_raises() -> None:
    with raises(anthropic.APIStatusError, says="out of memory"):
        list(ask(BREAKS_OFF, stream=True))


run(
    [
        messages,
        messages_stop_at_max_tokens,
        messages_streamed_raw,
        messages_streamed_by_the_helper,
        a_stream_tells_the_input_tokens,
        messages_of_the_async_client,
        an_image_in_base64,
        tool_use_there_and_back,
        tool_use_streamed,
        thinking_is_told,
        count_tokens,
        models,
        an_unknown_model_is_not_found,
        a_refused_operation_has_its_typed_exception,
        a_bad_request_is_refused,
        a_wrong_key_is_refused,
        a_throttled_call_is_tried_again,
        a_stream_that_breaks_off_raises,
    ]
)
