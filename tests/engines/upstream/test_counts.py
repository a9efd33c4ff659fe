"""Token counts that cannot be true: they would break counters and sums, so the answer that holds them is a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from craton.core.chat import ChatRequest, Message, TextPart
from craton.engines.upstream.anthropic_events import AnthropicEvents
from craton.engines.upstream.bedrock_events import BedrockEvents, Frame
from craton.engines.upstream.failures import Malformed
from craton.engines.upstream.openai_events import OpenAIEvents


def openai(count: int) -> None:
    reader = OpenAIEvents(ChatRequest("m", (Message("user", (TextPart("hi"),)),)))
    reader.feed(json.dumps({"choices": [], "usage": {"prompt_tokens": count, "completion_tokens": 1}}).encode())


def anthropic(count: int) -> None:
    message = {"id": "m", "usage": {"input_tokens": count, "output_tokens": 1}}
    AnthropicEvents().feed("message_start", json.dumps({"type": "message_start", "message": message}).encode())


def bedrock(count: int) -> None:
    reader = BedrockEvents()

    def feed(name: str, payload: dict[str, Any]) -> None:
        reader.feed(Frame("event", name, json.dumps(payload).encode()))

    feed("messageStop", {"stopReason": "end_turn"})
    feed("metadata", {"usage": {"inputTokens": count, "outputTokens": 1}})


@pytest.mark.parametrize("read", [openai, anthropic, bedrock])
def test_absurd_counts_are_malformed(read: Callable[[int], None]) -> None:
    read(2**40)
    for count in (-1, 2**40 + 1, 10**30):
        with pytest.raises(Malformed):
            read(count)
