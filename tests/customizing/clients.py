"""Unmodified boto3 clients of a tenant of a running server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from tests.servers import RunningServer

ROLE = "arn:aws:iam::123456789012:role/craton"
PATIENCE = 120.0  # seconds


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
