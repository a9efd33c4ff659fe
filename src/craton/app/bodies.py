"""Bodies of InvokeModel in other dialects' words, put together of what those dialects read and write."""

from __future__ import annotations

import time

from craton.core.chat import ChatRequest
from craton.serve.inference import Serving
from craton.wire.anthropic import write_message
from craton.wire.anthropic.dialect import AnthropicDialect
from craton.wire.anthropic.read_message import read_count, read_message
from craton.wire.chat_bodies import ChatBodies, Family, route_handler
from craton.wire.openai import write_chat
from craton.wire.openai.completions import CompletionWriter, read_completion
from craton.wire.openai.dialect import OpenAIDialect
from craton.wire.openai.read_chat import read_chat
from craton.wire.sse import StreamWriter


def chat_bodies(serving: Serving) -> ChatBodies:
    """For InvokeModel, live, streamed and in batches."""

    def message(id: str, body: bytes) -> tuple[ChatRequest, StreamWriter]:
        asked = read_message(body).request
        return asked, write_message.EventWriter(write_message.Head(f"msg_{id}", asked.model, id))

    def completion(id: str, body: bytes) -> tuple[ChatRequest, StreamWriter]:
        asked = read_chat(body)
        head = write_chat.Head(f"chatcmpl-{id}", int(time.time()), asked.request.model)
        return asked.request, write_chat.ChunkWriter(head, asked.request.sampling.n, asked.include_usage)

    def text(id: str, body: bytes) -> tuple[ChatRequest, StreamWriter]:
        asked = read_completion(body)
        head = write_chat.Head(f"cmpl-{id}", int(time.time()), asked.request.model)
        return asked.request, CompletionWriter(head, asked.include_usage)

    openai = OpenAIDialect(serving, time.time)
    return ChatBodies(
        Family(route_handler(AnthropicDialect(serving), "CreateMessage"), message, read_count),
        Family(route_handler(openai, "CreateChatCompletion"), completion, lambda body: read_chat(body).request),
        Family(route_handler(openai, "CreateCompletion"), text, lambda body: read_completion(body).request),
    )
