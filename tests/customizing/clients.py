"""Unmodified boto3 clients of a tenant of a running server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from tests.servers import RunningServer

ROLE = "arn:aws:iam::123456789012:role/craton"
PATIENCE = 280.0  # seconds


class Clients:
    """token: "craton-ID-SECRET" of a key."""

    def __init__(self, server: RunningServer, token: str) -> None:
        self.token = token
        self._url = server.url
        self._session = boto3.session.Session(token.split("-", 2)[1], token.split("-", 2)[2], region_name="us-east-1")
        self.bedrock = self.client("bedrock")
        self.runtime = self.client("bedrock-runtime")
        self.s3 = self.client("s3")

    def client(self, service: str) -> Any:
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        return self._session.client(service, endpoint_url=self._url, config=config)

    def say(self, model: str, text: str = "w1 w2 w3", tokens: int = 8) -> str:
        """What the model answers, the likeliest tokens."""
        answer = self.runtime.converse(
            modelId=model,
            messages=[{"role": "user", "content": [{"text": text}]}],
            inferenceConfig={"maxTokens": tokens, "temperature": 0},
        )
        return "".join(block["text"] for block in answer["output"]["message"]["content"])

    def ways(self, model: str, text: str = "w1 w2 w3", tokens: int = 8) -> dict[str, Callable[[], str]]:
        """What the model answers by each operation that asks it."""
        settings = {"maxTokens": tokens, "temperature": 0}
        asked = {"modelId": model, "messages": [{"role": "user", "content": [{"text": text}]}]}
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": tokens, "temperature": 0}
        given = {"modelId": model, "body": json.dumps(body)}

        def converse_stream() -> str:
            stream = self.runtime.converse_stream(**asked, inferenceConfig=settings)["stream"]
            deltas = [event["contentBlockDelta"]["delta"] for event in stream if "contentBlockDelta" in event]
            return "".join(delta["text"] for delta in deltas)

        def invoke() -> str:
            answer = json.loads(self.runtime.invoke_model(**given)["body"].read())
            return str(answer["choices"][0]["message"]["content"])

        def invoke_stream() -> str:
            stream = self.runtime.invoke_model_with_response_stream(**given)["body"]
            chunks = [json.loads(event["chunk"]["bytes"]) for event in stream]
            return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])

        return {
            "Converse": lambda: self.say(model, text, tokens),
            "ConverseStream": converse_stream,
            "InvokeModel": invoke,
            "InvokeModelWithResponseStream": invoke_stream,
        }

    def counted(self, model: str, text: str = "w1 w2 w3") -> int:
        """The tokens of a question, as both kinds of CountTokens say."""
        body = {"messages": [{"role": "user", "content": text}]}
        asked = {"messages": [{"role": "user", "content": [{"text": text}]}]}
        inputs = [{"converse": asked}, {"invokeModel": {"body": json.dumps(body).encode()}}]
        (tokens,) = {self.runtime.count_tokens(modelId=model, input=one)["inputTokens"] for one in inputs}
        return int(tokens)

    def deploy(self, name: str, model: str) -> str:
        """The deployment's ARN, once it is active."""
        made = self.bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)
        arn = str(made["customModelDeploymentArn"])
        wait(lambda: self.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn), "Active")
        return arn


def wait(get: Callable[[], Any], *statuses: str, member: str = "status") -> Any:
    """Asks until it has one of the statuses. What ended otherwise fails at once."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        found = get()
        if found[member] in statuses:
            return found
        if found[member] in {"Failed", "Stopped", "Completed"}:
            break
        time.sleep(0.1)
    raise AssertionError(f"{found[member]} instead of {statuses}: {found.get('failureMessage')}")


def wait_until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up, "it never was so"
        time.sleep(0.1)
