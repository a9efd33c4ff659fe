"""The three dialects as one shape, spoken by the official clients (and, for what those would never send, by httpx)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import anthropic
import boto3
import httpx
import openai
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from tests.servers import RunningServer

SECONDS = 60.0  # a client's patience


@dataclass(frozen=True)
class Failure:
    """An error as a client sees it. status: 0 when it came inside a stream. kind: the exception's class."""

    status: int
    code: str
    message: str
    request_id: str
    kind: str


class Dialect(Protocol):
    """One dialect, with a key."""

    name: str

    def url(self, model: str, *, stream: bool = False) -> str:
        """Where a chat with this model is posted."""
        ...

    def headers(self) -> dict[str, str]: ...

    def body(self, model: str, text: str, *, stream: bool = False, max_tokens: int = 64) -> dict[str, Any]: ...

    def refusal(self, response: httpx.Response) -> Failure:
        """Reads an error reply; fails when it does not have this dialect's form."""
        ...

    def ask(self, model: str, text: str, max_tokens: int = 64, **more: Any) -> str: ...

    def stream(self, model: str, text: str, max_tokens: int = 64) -> Iterator[str]: ...

    def failure(self, error: Exception) -> Failure:
        """Reads the official client's exception."""
        ...


class Aws:
    name = "aws"

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        _, key_id, secret = token.split("-", 2)
        session = boto3.Session(aws_access_key_id=key_id, aws_secret_access_key=secret, region_name="us-east-1")
        config = Config(retries={"total_max_attempts": 1}, read_timeout=SECONDS, max_pool_connections=50)
        self.client = session.client("bedrock-runtime", endpoint_url=url, config=config)

    def url(self, model: str, *, stream: bool = False) -> str:
        return f"{self._url}/model/{model}/{'converse-stream' if stream else 'converse'}"

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}", "content-type": "application/json"}

    def body(self, model: str, text: str, *, stream: bool = False, max_tokens: int = 64) -> dict[str, Any]:
        return {
            "messages": [{"role": "user", "content": [{"text": text}]}],
            "inferenceConfig": {"maxTokens": max_tokens, "temperature": 0},
        }

    def refusal(self, response: httpx.Response) -> Failure:
        headers, told = response.headers, response.json()
        assert set(told) <= {"message", "__type"}
        code = headers["x-amzn-errortype"]
        return Failure(response.status_code, code, told["message"], headers["x-amzn-requestid"], "")

    def ask(self, model: str, text: str, max_tokens: int = 64, **more: Any) -> str:
        answer = self.client.converse(modelId=model, **self.body(model, text, max_tokens=max_tokens), **more)
        return "".join(block.get("text", "") for block in answer["output"]["message"]["content"])

    def stream(self, model: str, text: str, max_tokens: int = 64) -> Iterator[str]:
        answer = self.client.converse_stream(modelId=model, **self.body(model, text, max_tokens=max_tokens))
        for event in answer["stream"]:
            piece = event.get("contentBlockDelta", {}).get("delta", {}).get("text")
            if piece:
                yield piece

    def failure(self, error: Exception) -> Failure:
        assert isinstance(error, ClientError), repr(error)
        told = error.response["Error"]
        if isinstance(error, EventStreamError):
            return Failure(0, told["Code"], told["Message"], "", "EventStreamError")
        metadata = error.response["ResponseMetadata"]
        return Failure(
            metadata["HTTPStatusCode"], told["Code"], told["Message"], metadata["RequestId"], type(error).__name__
        )


class OpenAI:
    name = "openai"

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0, timeout=SECONDS)

    def url(self, model: str, *, stream: bool = False) -> str:
        return f"{self._url}/v1/chat/completions"

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}", "content-type": "application/json"}

    def body(self, model: str, text: str, *, stream: bool = False, max_tokens: int = 64) -> dict[str, Any]:
        return {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": stream,
        }

    def refusal(self, response: httpx.Response) -> Failure:
        told = response.json()["error"]
        assert set(told) == {"message", "type", "param", "code"}
        code = told["code"] or told["type"]
        return Failure(response.status_code, code, told["message"], response.headers["x-request-id"], "")

    def ask(self, model: str, text: str, max_tokens: int = 64, **more: Any) -> str:
        body: Any = self.body(model, text, max_tokens=max_tokens)
        return self.client.chat.completions.create(**body, **more).choices[0].message.content or ""

    def stream(self, model: str, text: str, max_tokens: int = 64) -> Iterator[str]:
        body: Any = self.body(model, text, stream=True, max_tokens=max_tokens)
        for chunk in self.client.chat.completions.create(**body):
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    def failure(self, error: Exception) -> Failure:
        assert isinstance(error, openai.APIError), repr(error)
        told: Any = error.body
        code, kind = told["code"] or told["type"], type(error).__name__
        if isinstance(error, openai.APIStatusError):
            return Failure(error.status_code, code, told["message"], error.request_id or "", kind)
        return Failure(0, code, told["message"], "", kind)


class Anthropic:
    name = "anthropic"

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self.client = anthropic.Anthropic(base_url=url, api_key=token, max_retries=0, timeout=SECONDS)

    def url(self, model: str, *, stream: bool = False) -> str:
        return f"{self._url}/v1/messages"

    def headers(self) -> dict[str, str]:
        return {"x-api-key": self._token, "anthropic-version": "2023-06-01", "content-type": "application/json"}

    def body(self, model: str, text: str, *, stream: bool = False, max_tokens: int = 64) -> dict[str, Any]:
        return {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": max_tokens,
            "stream": stream,
        }

    def refusal(self, response: httpx.Response) -> Failure:
        told = response.json()
        assert set(told) == {"type", "error", "request_id"}
        assert told["type"] == "error"
        assert told["request_id"] == response.headers["request-id"]
        error = told["error"]
        return Failure(response.status_code, error["type"], error["message"], told["request_id"], "")

    def ask(self, model: str, text: str, max_tokens: int = 64, **more: Any) -> str:
        body: Any = self.body(model, text, max_tokens=max_tokens)
        answer = self.client.messages.create(**body, **more)
        return "".join(block.text for block in answer.content if block.type == "text")

    def stream(self, model: str, text: str, max_tokens: int = 64) -> Iterator[str]:
        body: Any = self.body(model, text, stream=True, max_tokens=max_tokens)
        for event in self.client.messages.create(**body):
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                yield event.delta.text

    def failure(self, error: Exception) -> Failure:
        assert isinstance(error, anthropic.APIStatusError), repr(error)
        told: Any = error.body
        # anthropic-python takes the status of the stream's reply (200) for an error inside a stream
        status = 0 if error.status_code == 200 else error.status_code
        return Failure(
            status, told["error"]["type"], told["error"]["message"], told.get("request_id", ""), type(error).__name__
        )


NAMES = ("aws", "openai", "anthropic")
_KINDS = {"aws": Aws, "openai": OpenAI, "anthropic": Anthropic}


def speak(name: str, server: RunningServer, token: str | None = None) -> Dialect:
    """The dialect of this name at a server, with its root key when no other is given."""
    return _speak(name, server.url, token or server.token)


@lru_cache(maxsize=64)
def _speak(name: str, url: str, token: str) -> Dialect:
    dialect: Dialect = _KINDS[name](url, token)  # boto3's clients take half a second to make
    return dialect


def send(
    dialect: Dialect, body: bytes | dict[str, Any], model: str = "echo", *, stream: bool = False, **options: Any
) -> httpx.Response:
    """Posts a chat as it is: what the official clients would refuse to send."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = dialect.headers() | options.pop("headers", {})
    return httpx.post(
        dialect.url(model, stream=stream), content=content, headers=headers, trust_env=False, timeout=SECONDS, **options
    )


def outcome(dialect: Dialect, model: str, text: str, *, stream: bool, max_tokens: int = 64) -> str | Failure:
    """The answer's text, or how it failed."""
    try:
        if stream:
            return "".join(dialect.stream(model, text, max_tokens))
        return dialect.ask(model, text, max_tokens)
    except Exception as error:
        return dialect.failure(error)


class Interrupted:
    """What a stream said until it failed."""

    def __init__(self, dialect: Dialect, model: str, text: str, max_tokens: int = 64) -> None:
        self.said: list[str] = []
        self.failure: Failure | None = None
        self._dialect = dialect
        self._pieces = dialect.stream(model, text, max_tokens)

    def first(self) -> None:
        """Waits for the first piece."""
        self.said.append(next(self._pieces))

    def rest(self) -> Interrupted:
        try:
            self.said.extend(self._pieces)
        except Exception as error:
            self.failure = self._dialect.failure(error)
        return self

    def close(self) -> None:
        with suppress(Exception):
            self._pieces.close()  # type: ignore[attr-defined]  # a generator in all three
