"""Unmodified boto3 against the real server process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

GUARDED = {
    "guardrailIdentifier": "abc",
    "guardrailVersion": "1",
    "source": "INPUT",
    "content": [{"text": {"text": "x"}}],
}
HELLO = [{"role": "user", "content": [{"text": "hello there world"}]}]
WEATHER = {
    "toolSpec": {
        "name": "weather",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
    }
}


@pytest.fixture
def connect(server: Any, boto3_session: Any) -> Callable[..., Any]:
    """Makes a client of the running server, for any AWS service."""

    def make(service: str, **options: Any) -> Any:
        credentials = {
            "aws_access_key_id": server.access_key_id,
            "aws_secret_access_key": server.secret_access_key,
            **options,
        }
        config = Config(retries={"total_max_attempts": 1}, read_timeout=20)
        return boto3_session.client(
            service, region_name="us-east-1", endpoint_url=server.url, config=config, **credentials
        )

    return make


def said(stream: Any) -> str:
    return "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in stream)


def test_converse_answers_whole_and_streamed_alike(connect: Callable[..., Any]) -> None:
    client = connect("bedrock-runtime")
    whole = client.converse(modelId="echo", messages=HELLO, system=[{"text": "be short"}])
    assert whole["output"]["message"]["content"] == [{"text": "hello there world"}]
    assert whole["ResponseMetadata"]["HTTPHeaders"]["x-craton-model"] == "echo"
    events = list(client.converse_stream(modelId="echo", messages=HELLO, system=[{"text": "be short"}])["stream"])
    assert said(events) == "hello there world"
    assert events[-1]["metadata"]["usage"] == whole["usage"]
    assert events[-2]["messageStop"]["stopReason"] == whole["stopReason"] == "end_turn"


def test_a_forced_tool_is_called_with_arguments_that_fit_its_schema(connect: Callable[..., Any]) -> None:
    tools = {"tools": [WEATHER], "toolChoice": {"any": {}}}
    answer = connect("bedrock-runtime").converse(modelId="echo", messages=HELLO, toolConfig=tools)
    (block,) = answer["output"]["message"]["content"]
    assert answer["stopReason"] == "tool_use"
    assert block["toolUse"]["name"] == "weather"
    assert isinstance(block["toolUse"]["input"]["city"], str)


def test_tokens_are_counted_as_converse_counts_them(connect: Callable[..., Any]) -> None:
    client = connect("bedrock-runtime")
    counted = client.count_tokens(modelId="echo", input={"converse": {"messages": HELLO}})["inputTokens"]
    assert counted == client.converse(modelId="echo", messages=HELLO)["usage"]["inputTokens"]


def test_models_are_listed_and_described(connect: Callable[..., Any]) -> None:
    client = connect("bedrock")
    assert "echo" in [model["modelId"] for model in client.list_foundation_models()["modelSummaries"]]
    arn = client.get_foundation_model(modelIdentifier="echo")["modelDetails"]["modelArn"]
    assert client.get_foundation_model(modelIdentifier=arn)["modelDetails"]["modelId"] == "echo"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_foundation_model(modelIdentifier="nope")


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("bedrock", "list_guardrails", {}),
        ("bedrock-runtime", "apply_guardrail", GUARDED),
        ("bedrock-agent", "prepare_agent", {"agentId": "AGENT12345"}),
        ("bedrock-agent", "list_tags_for_resource", {"resourceArn": "arn:aws:bedrock:x:123456789012:agent/AGENT12345"}),
        ("bedrock-agent-runtime", "list_sessions", {}),
    ],
)
def test_every_service_is_authenticated_before_anything_else(
    service: str, operation: str, parameters: dict[str, Any], connect: Callable[..., Any]
) -> None:
    for wrong in ({"aws_secret_access_key": "wrong"}, {"aws_access_key_id": "CRTN2222222222222222"}):
        with pytest.raises(ClientError) as caught:
            getattr(connect(service, **wrong), operation)(**parameters)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    client = connect(service)
    with pytest.raises(client.exceptions.ValidationException, match="is not supported"):
        getattr(client, operation)(**parameters)


def test_a_key_works_as_a_bearer_token(server: Any) -> None:
    """By hand: boto3 sends bearer tokens over https only."""
    url = f"{server.url}/model/echo/converse"
    for token, status in ((server.token, 200), (server.token[:-1] + "x", 403)):
        reply = httpx.post(url, json={"messages": HELLO}, headers={"Authorization": f"Bearer {token}"}, timeout=20)
        assert reply.status_code == status
    assert reply.headers["x-amzn-errortype"] == "UnrecognizedClientException"


def test_a_key_works_in_a_presigned_query(connect: Callable[..., Any]) -> None:
    url = connect("bedrock").generate_presigned_url("list_foundation_models", ExpiresIn=60)
    assert "echo" in [model["modelId"] for model in httpx.get(url, timeout=20).json()["modelSummaries"]]
    forged = httpx.get(url.replace("Expires=60", "Expires=61"), timeout=20)
    assert (forged.status_code, forged.headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")


@pytest.mark.parametrize(("service", "operation"), [("sqs", "list_queues"), ("ec2", "describe_instances")])
def test_another_aws_service_is_refused_by_its_name(service: str, operation: str, connect: Callable[..., Any]) -> None:
    with pytest.raises(ClientError, match=f"does not speak the AWS service '{service}'"):
        getattr(connect(service), operation)()


def test_a_client_that_leaves_in_mid_stream_disturbs_nobody(connect: Callable[..., Any]) -> None:
    client = connect("bedrock-runtime")
    long = [{"role": "user", "content": [{"text": "word " * 4000}]}]
    for _ in range(3):
        stream = client.converse_stream(modelId="echo", messages=long)["stream"]
        assert "messageStart" in next(iter(stream))
        stream.close()
    assert client.converse(modelId="echo", messages=HELLO)["stopReason"] == "end_turn"


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(connect: Callable[..., Any]) -> None:
    client = connect("bedrock-runtime")
    long = [{"role": "user", "content": [{"text": "word " * 9000}]}]
    with pytest.raises(client.exceptions.ValidationException, match=r"9,000 tokens; the context of echo holds 8,192"):
        client.converse_stream(modelId="echo", messages=long)
