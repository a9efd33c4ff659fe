"""CountTokens through unmodified clients, before anything is loaded: the number that the answer then reports."""

from __future__ import annotations

from typing import Any

import anthropic
import boto3
import pytest
from botocore.config import Config

from tests.servers import RunningServer

MODEL = "smollm2-135m-instruct"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
AWS_TOOL = {"toolSpec": {"name": "weather", "description": "The weather.", "inputSchema": {"json": SCHEMA}}}
USED = [
    {"role": "user", "content": [{"text": "Grüße aus 世界! 12345"}]},
    {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "weather", "input": {"city": "Rome"}}}]},
    {"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": [{"text": "rain"}]}}]},
]
HELLO = [{"role": "user", "content": [{"text": "What is supervised learning?"}]}]
CONVERSATIONS: dict[str, dict[str, Any]] = {
    "plain": {"messages": HELLO},
    "system": {"messages": HELLO, "system": [{"text": "Be brief."}]},
    "turns": {"messages": [*HELLO, {"role": "assistant", "content": [{"text": " Learning.\n"}]}, *HELLO]},
    "tools": {"messages": USED, "system": [{"text": "Be brief."}], "toolConfig": {"tools": [AWS_TOOL]}},
}


@pytest.fixture
def unloaded(model_server: RunningServer) -> RunningServer:
    with model_server.client() as http:
        http.delete(f"/api/craton/v1/loaded/{MODEL}").raise_for_status()
    assert loaded(model_server) == []
    return model_server


def loaded(server: RunningServer) -> list[str]:
    with server.client() as http:
        return [
            entry["model"] for entry in http.get("/api/craton/v1/status").json()["loaded"] if entry["model"] == MODEL
        ]


def bedrock(server: RunningServer) -> Any:
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}),
    )


def prompt_tokens(usage: anthropic.types.Usage) -> int:
    """All of them: those that were found in a cache are reported apart."""
    return usage.input_tokens + (usage.cache_read_input_tokens or 0)


def test_bedrock_counts_without_loading_what_converse_then_reports(unloaded: RunningServer) -> None:
    client = bedrock(unloaded)
    counted = {
        name: client.count_tokens(modelId=MODEL, input={"converse": conversation})["inputTokens"]
        for name, conversation in CONVERSATIONS.items()
    }
    assert loaded(unloaded) == []
    reported = {
        name: client.converse(modelId=MODEL, **conversation, inferenceConfig={"maxTokens": 1})["usage"]
        for name, conversation in CONVERSATIONS.items()
    }
    assert counted == {
        name: usage["inputTokens"] + usage.get("cacheReadInputTokens", 0) for name, usage in reported.items()
    }
    assert loaded(unloaded) == [MODEL]
    again = client.count_tokens(modelId=MODEL, input={"converse": CONVERSATIONS["tools"]})["inputTokens"]
    assert again == counted["tools"]  # by the model now


def test_anthropic_counts_without_loading_what_the_message_then_reports(unloaded: RunningServer) -> None:
    client = anthropic.Anthropic(base_url=unloaded.url, api_key=unloaded.token, max_retries=0)
    request: Any = {
        "model": MODEL,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "What is the weather in Rome?"}],
        "tools": [{"name": "weather", "description": "The weather.", "input_schema": SCHEMA}],
    }
    counted = client.messages.count_tokens(**request).input_tokens
    assert loaded(unloaded) == []
    assert prompt_tokens(client.messages.create(**request, max_tokens=1).usage) == counted


def test_an_answer_that_was_begun_is_counted_by_the_model_itself(unloaded: RunningServer) -> None:
    client = anthropic.Anthropic(base_url=unloaded.url, api_key=unloaded.token, max_retries=0)
    messages: Any = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "One, two,"}]
    counted = client.messages.count_tokens(model=MODEL, messages=messages).input_tokens
    assert loaded(unloaded) == [MODEL]
    assert prompt_tokens(client.messages.create(model=MODEL, messages=messages, max_tokens=1).usage) == counted
