"""The stand-in providers are true to life: the official clients understand them."""

from __future__ import annotations

import json
from typing import Any

PARTS = [
    ("reasoning", ["hm", "m"], "c2ln"),
    ("text", ["Hel", "lo"]),
    ("tool", "t1", "weather", ['{"city": ', '"Bonn"}']),
]
KEY = "the-providers-own-key-1234567890"


def test_openais_client_reads_the_openai_provider(providers: dict[str, Any], answer: Any) -> None:
    import openai

    provider = providers["openai"]
    provider.complaints = []
    provider.answers(answer(PARTS, "tools", input=9, output=4))
    client = openai.OpenAI(base_url=f"{provider.url}/v1", api_key=KEY, max_retries=0)
    with client.chat.completions.stream(
        model="gpt-x", messages=[{"role": "user", "content": "Hi"}], stream_options={"include_usage": True}
    ) as stream:
        whole = stream.get_final_completion()
    message = whole.choices[0].message
    assert message.content == "Hello"
    assert message.tool_calls is not None
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Bonn"}
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (9, 4)
    assert not provider.complaints


def test_anthropics_client_reads_the_anthropic_provider(providers: dict[str, Any], answer: Any) -> None:
    import anthropic

    provider = providers["anthropic"]
    provider.complaints = []
    provider.answers(answer(PARTS, "tools", input=9, output=4))
    client = anthropic.Anthropic(base_url=provider.url, api_key=KEY, max_retries=0)
    with client.messages.stream(
        model="claude-x", max_tokens=100, messages=[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    ) as stream:
        whole = stream.get_final_message()
    thought, text, call = whole.content
    assert (thought.type, text.type, call.type) == ("thinking", "text", "tool_use")
    assert text.model_dump()["text"] == "Hello"
    assert call.model_dump()["input"] == {"city": "Bonn"}
    assert (whole.stop_reason, whole.usage.input_tokens, whole.usage.output_tokens) == ("tool_use", 9, 4)
    assert not provider.complaints


def test_boto3_reads_the_bedrock_provider(providers: dict[str, Any], answer: Any) -> None:
    import boto3

    provider = providers["bedrock"]
    provider.complaints = []
    provider.answers(answer(PARTS, "tools", input=9, output=4))
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=provider.url,
        region_name="eu-central-1",
        aws_access_key_id="AKIAEXAMPLEEXAMPLE01",
        aws_secret_access_key=KEY,
        aws_session_token=f"session-{KEY}",
    )
    messages = [{"role": "user", "content": [{"text": "Hi"}]}]
    stream = client.converse_stream(modelId="eu.anthropic.claude-x-v1:0", messages=messages)["stream"]
    events = list(stream)
    text = "".join(
        event["contentBlockDelta"]["delta"].get("text", "") for event in events if "contentBlockDelta" in event
    )
    assert text == "Hello"
    assert {"messageStop": {"stopReason": "tool_use"}} in events
    assert events[-1]["metadata"]["usage"]["inputTokens"] == 9
    assert not provider.complaints
