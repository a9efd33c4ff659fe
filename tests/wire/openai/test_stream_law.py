"""fold(stream) == the whole answer: OpenAI's own accumulator of chunks arrives at what the whole answer says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from craton.core.errors import ModelFailed, Unsupported
from craton.core.events import Delta, Event, PartStarted, Stop, Usage, fold
from craton.wire import sse
from craton.wire.openai.write_chat import ChunkWriter, Head, write_answer

HEAD = Head("chatcmpl-1", 1_790_000_000, "echo")
Streams = Callable[..., st.SearchStrategy[list[Event]]]


def chunks(events: list[Event], choices: int = 1, include_usage: bool = True) -> list[Any]:
    writer = ChunkWriter(HEAD, choices, include_usage)
    text = b"".join(writer.write(event) for event in events).decode()
    assert text.endswith("data: [DONE]\n\n")
    lines = text.removesuffix("data: [DONE]\n\n").split("\n\n")[:-1]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def accumulated(written: list[Any]) -> dict[str, Any]:
    state = ChatCompletionStreamState()
    for chunk in written:
        list(state.handle_chunk(ChatCompletionChunk.model_validate(chunk)))
    return state.current_completion_snapshot.to_dict(mode="json")


def gist(completion: dict[str, Any]) -> dict[str, Any]:
    """What both forms must agree on; arguments as JSON values, absent as null."""
    return {
        **{name: completion[name] for name in ("id", "model", "created", "usage")},
        "choices": [
            {
                "index": choice["index"],
                "finish_reason": choice["finish_reason"],
                "logprobs": (choice.get("logprobs") or {}).get("content"),
                **{name: choice["message"].get(name) for name in ("role", "content", "refusal", "reasoning_content")},
                "tool_calls": [
                    (call["id"], call["type"], call["function"]["name"], json.loads(call["function"]["arguments"]))
                    for call in choice["message"].get("tool_calls") or ()
                ],
            }
            for choice in completion["choices"]
        ],
    }


@settings(max_examples=150, deadline=None)
@given(data=st.data(), choices=st.integers(1, 3), logprobs=st.booleans())
def test_the_chunks_add_up_to_the_whole_answer(
    streams: Streams, data: st.DataObject, choices: int, logprobs: bool
) -> None:
    events = data.draw(streams(choices=choices, logprobs=logprobs))
    whole = json.loads(write_answer(fold(events), HEAD))
    assert gist(accumulated(chunks(events, choices))) == gist(whole)


def test_usage_comes_in_a_last_chunk_without_choices_and_only_when_asked() -> None:
    events: list[Event] = [Stop("end_turn"), Usage(3, 4, 1, None, 2)]
    written = chunks(events)
    assert written[-1]["choices"] == []
    assert written[-1]["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    assert all(chunk["usage"] is None for chunk in written[:-1])
    assert all("usage" not in chunk for chunk in chunks(events, include_usage=False))


def test_every_choice_is_opened_in_order_before_any_speaks() -> None:
    written = chunks([PartStarted(0, "text", 1), Stop("end_turn", 1), Stop("end_turn", 0), Usage(1, 1)], choices=2)
    assert [(chunk["choices"][0]["index"], chunk["choices"][0]["delta"]) for chunk in written[:2]] == [
        (0, {"role": "assistant"}),
        (1, {"role": "assistant"}),
    ]


def test_arguments_that_were_cut_off_are_passed_on_as_they_are() -> None:
    events: list[Event] = [
        PartStarted(0, "tool_use", tool_id="c", tool_name="t"),
        Delta(0, '{"a": [1'),
        Stop("max_tokens"),
        Usage(1, 1),
    ]
    whole = json.loads(write_answer(fold(events), HEAD))["choices"][0]
    assert whole["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": [1'
    assert whole["finish_reason"] == "length"


def test_redacted_reasoning_is_refused_in_both_forms() -> None:
    events: list[Event] = [PartStarted(0, "reasoning"), Delta(0, "", redacted=b"x"), Stop("end_turn"), Usage(1, 1)]
    with pytest.raises(Unsupported):
        write_answer(fold(events), HEAD)
    with pytest.raises(Unsupported):
        chunks(events)


async def broken(events: list[Event]) -> AsyncIterator[Event]:
    for event in events:
        yield event
    raise ModelFailed("echo", "its worker died")


@pytest.mark.anyio
async def test_an_error_before_the_first_byte_is_raised_and_a_later_one_written() -> None:
    with pytest.raises(ModelFailed):
        await anext(sse.relay(broken([]), ChunkWriter(HEAD, 1, False)))
    written = [data async for data in sse.relay(broken([PartStarted(0, "text")]), ChunkWriter(HEAD, 1, False))]
    error = json.loads(written[-1].removeprefix(b"data: "))["error"]
    assert error == {
        "message": "The model 'echo' failed: its worker died",
        "type": "server_error",
        "param": None,
        "code": "model_failed",
    }


@pytest.mark.anyio
async def test_closing_the_bytes_closes_the_events() -> None:
    closed = False

    async def events() -> AsyncIterator[Event]:
        nonlocal closed
        try:
            while True:
                yield PartStarted(0, "text")
        finally:
            closed = True

    stream = sse.relay(events(), ChunkWriter(HEAD, 1, False))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # it is an async generator
    assert closed
