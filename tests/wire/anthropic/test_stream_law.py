"""fold(stream) == the whole answer: Anthropic's own accumulator arrives at what the whole answer says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import given, settings
from hypothesis import strategies as st

from craton.core.chat import CitationPart
from craton.core.errors import ModelFailed, Unsupported
from craton.core.events import ChatAnswer, Choice, Delta, Event, PartEnded, PartStarted, Stop, Usage, fold
from craton.wire import sse
from craton.wire.anthropic.write_message import EventWriter, Head, write_answer

HEAD = Head("msg_1", "echo", "req-1")
Streams = Callable[..., st.SearchStrategy[list[Event]]]


def written_events(events: list[Event]) -> list[dict[str, Any]]:
    writer = EventWriter(HEAD)
    text = b"".join(writer.write(event) for event in events).decode()
    found = []
    for block in text.split("\n\n")[:-1]:
        name, data = block.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert found[-1]["type"] == name.removeprefix("event: ")
    return found


def accumulated(written: list[dict[str, Any]]) -> dict[str, Any]:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in written:
        if event["type"] != "ping":
            snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)  # type: ignore[arg-type]  # it parses dicts too
    whole: dict[str, Any] = snapshot.to_dict(mode="json")
    return whole


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_the_events_add_up_to_the_whole_answer(streams: Streams, data: st.DataObject) -> None:
    events = data.draw(streams(redacted=True))
    written = written_events(events)
    message = without_nulls(accumulated(written))
    whole = without_nulls(json.loads(write_answer(fold(events), HEAD)))
    for block in [*message["content"], *whole["content"]]:
        block["input"] = json.dumps(block.get("input"), sort_keys=True)
    assert message == whole


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_blocks_are_numbered_and_never_overlap(streams: Streams, data: st.DataObject) -> None:
    written = [event for event in written_events(data.draw(streams(redacted=True))) if event["type"] != "ping"]
    assert [event["type"] for event in written[:1] + written[-2:]] == ["message_start", "message_delta", "message_stop"]
    opened = -1
    is_open = False
    for event in written[1:-2]:
        if event["type"] == "content_block_start":
            assert not is_open
            opened, is_open = opened + 1, True
        assert is_open
        assert event["index"] == opened
        is_open = event["type"] != "content_block_stop"
    assert not is_open


def test_the_prompt_is_counted_apart_from_what_the_cache_gave() -> None:
    events: list[Event] = [Stop("stop_sequence", sequence="END"), Usage(10, 4, 6, 1, 2)]
    start, ping, delta, stop = written_events(events)
    assert start["message"]["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert (ping["type"], stop["type"]) == ("ping", "message_stop")
    assert delta == {
        "type": "message_delta",
        "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
        "usage": {
            "input_tokens": 3,
            "output_tokens": 4,
            "cache_read_input_tokens": 6,
            "cache_creation_input_tokens": 1,
            "output_tokens_details": {"thinking_tokens": 2},
        },
    }


def test_reasoning_that_turns_redacted_becomes_two_blocks_in_both_forms() -> None:
    events: list[Event] = [
        PartStarted(0, "reasoning"),
        Delta(0, "hm"),
        Delta(0, "", redacted=b"opaque"),
        PartEnded(0),
        Stop("end_turn"),
        Usage(1, 1),
    ]
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "redacted_thinking", "data": "opaque"},
    ]
    assert accumulated(written_events(events))["content"] == blocks
    assert json.loads(write_answer(fold(events), HEAD))["content"] == blocks


def test_a_part_without_a_place_in_the_answer_is_refused() -> None:
    answer = ChatAnswer((Choice((CitationPart("x"),), Stop("end_turn")),), Usage(1, 1))
    with pytest.raises(Unsupported):
        write_answer(answer, HEAD)


async def broken(events: list[Event]) -> AsyncIterator[Event]:
    for event in events:
        yield event
    raise ModelFailed("echo", "its worker died")


@pytest.mark.anyio
async def test_an_error_before_the_first_byte_is_raised_and_a_later_one_written() -> None:
    with pytest.raises(ModelFailed):
        await anext(sse.relay(broken([]), EventWriter(HEAD)))
    written = [data async for data in sse.relay(broken([PartStarted(0, "text")]), EventWriter(HEAD))]
    assert written[-1] == (
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":'
        b'"The model \'echo\' failed: its worker died"},"request_id":"req-1"}\n\n'
    )
