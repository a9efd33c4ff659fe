"""What the tests of the AWS dialect share: the official client's side of the wire, and random values."""

from __future__ import annotations

import asyncio
import io
import random
import string
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse, HeadersDict, prepare_request_dict
from botocore.config import Config
from botocore.model import ServiceModel as ClientModel
from botocore.model import Shape

from craton.core.access import Caller, KeyRole
from craton.core.chat import ChatRequest
from craton.core.errors import CratonError, NotFound, Unauthenticated
from craton.core.events import Event
from craton.core.model import EmbedAnswer, EmbedRequest, ModelInfo
from craton.engines.echo import EchoEngine
from craton.engines.echo.script import Script, parse_script
from craton.serve.inference import Call
from craton.wire.authentication import Authenticator
from craton.wire.aws.dialect import AwsDialect
from craton.wire.aws.model import BEDROCK_SERVICES, load_models
from craton.wire.aws.refusals import SPOKEN_SERVICES, refuse_service, write_unrouted
from craton.wire.aws.service import Service
from craton.wire.fallback import Fallback
from craton.wire.gateway import Gateway
from craton.wire.http import Request
from craton.wire.router import Router

KEY, SECRET = "CRTNAAAABBBBCCCCDDDD", "a secret"
CALLER = Caller(tenant="acme", key_id=KEY, role=KeyRole.DEVELOPER)


@pytest.fixture(scope="session")
def client_models() -> dict[str, ClientModel]:
    """The service models as the official client sees them."""
    session = botocore.session.Session()
    return {name: session.get_service_model(name) for name in BEDROCK_SERVICES}


@pytest.fixture(scope="session")
def services() -> dict[str, Service]:
    return {name: Service(model) for name, model in load_models().items()}


@pytest.fixture(scope="session")
def as_sent() -> Callable[[dict[str, Any]], Request]:
    """What botocore's serializer made, as it comes in over the wire (no placeholders filled yet)."""

    def build(serialized: dict[str, Any]) -> Request:
        prepare_request_dict(serialized, "http://127.0.0.1:8000")
        parts = urlsplit(serialized["url"])
        headers = {name.lower(): str(value) for name, value in serialized["headers"].items()}
        body = serialized["body"]
        return Request(
            serialized["method"],
            parts.path,
            parts.query,
            headers,
            body if isinstance(body, bytes) else bytes(body.encode()),
            "req-1",
            caller=CALLER,
        )

    return build


@pytest.fixture(scope="session")
def routed(as_sent: Callable[[dict[str, Any]], Request]) -> Callable[[dict[str, Any], Router], tuple[Request, Any]]:
    def find(serialized: dict[str, Any], router: Router) -> tuple[Request, Any]:
        request = as_sent(serialized)
        return request, router.find(request)

    return find


class RandomValues:
    """Valid values of a botocore shape: as `boto3` users write them. Depth is bounded, so recursive shapes end."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def members(self, shape: Shape, depth: int = 0) -> dict[str, Any]:
        names = list(shape.members)
        if getattr(shape, "is_tagged_union", False):
            names = [self.random.choice(names)]
        else:
            chance = 0.7 if depth < 4 else 0.05
            names = [n for n in names if n in shape.required_members or self.random.random() < chance]
        return {name: self.value(shape.members[name], depth + 1) for name in names}

    def value(self, shape: Shape, depth: int = 0) -> Any:
        if shape.type_name == "structure":
            return self.document(2) if shape.is_document_type else self.members(shape, depth)
        if shape.type_name == "list":
            return [self.value(shape.member, depth + 1) for _ in range(self._size(shape, 0 if depth > 4 else 2))]
        if shape.type_name == "map":
            size = self._size(shape, 0 if depth > 4 else 2)
            return {f"{self.value(shape.key)}"[:-1] + str(i): self.value(shape.value, depth + 1) for i in range(size)}
        return getattr(self, f"_{shape.type_name}")(shape)

    def document(self, depth: int) -> Any:
        if depth == 0:
            return self.random.choice([1, 2.5, "x", True, None])
        return {"a": self.document(depth - 1), "b": [self.document(depth - 1)], "ü": "ÿ\U0001f600"}

    def _size(self, shape: Shape, extra: int) -> int:
        low = int(shape.metadata.get("min", 0))
        if shape.serialization.get("location") == "querystring":
            low = max(low, 1)  # an empty list and none look the same in a query
        return self.random.randint(low, max(low, min(int(shape.metadata.get("max", low + extra)), low + extra)))

    def _string(self, shape: Shape) -> str:
        if shape.enum:
            return self.random.choice(shape.enum)
        size = max(1, self._size(shape, 12))
        letters = string.ascii_letters if shape.serialization.get("location") == "header" else ":/%+ ?#&=~üß" + "aB1"
        return "".join(self.random.choice(letters) for _ in range(size))

    def _blob(self, shape: Shape) -> bytes:
        return self.random.randbytes(max(1, self._size(shape, 20)))

    def _boolean(self, _shape: Shape) -> bool:
        return self.random.random() < 0.5

    def _integer(self, shape: Shape) -> int:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        low = -1000 if low is None else int(low)
        return self.random.randint(low, low + 2000 if high is None else int(high))

    _long = _integer

    def _float(self, shape: Shape) -> float:
        low = float(shape.metadata.get("min", 0))
        return self.random.uniform(low, float(shape.metadata.get("max", low + 10)))

    _double = _float

    def _timestamp(self, _shape: Shape) -> datetime:
        return datetime.fromtimestamp(self.random.randint(0, 4_000_000_000), UTC)


@pytest.fixture(scope="session")
def random_values() -> Callable[[int], RandomValues]:
    return RandomValues


class EchoServing:
    """`serve` cut down to one engine and two names for it. calls and requests: what came in."""

    def __init__(self, script: Script) -> None:
        self.engine = EchoEngine("echo", script)
        self.models_known = {
            "echo": ModelInfo(id="echo", verbs=("chat", "embed"), engine="echo", provider="Craton", created=1.5e9),
            "vectors": ModelInfo(id="vectors", verbs=("embed",), engine="bert", provider="Acme"),
        }
        self.aliases = {"us.vendor.big-v1:0": "echo"}
        self.calls: list[Call] = []
        self.requests: list[ChatRequest] = []
        self.closed = 0
        self.broken: CratonError | Exception | None = None

    async def chat(self, call: Call, request: ChatRequest) -> AsyncIterator[Event]:
        self.calls.append(call)
        self.requests.append(request)
        await self.model(call.caller, request.model)
        try:
            async for event in self.engine.chat(request):
                yield event
                if self.broken:
                    raise self.broken
        finally:
            self.closed += 1

    async def embed(self, call: Call, request: EmbedRequest) -> EmbedAnswer:
        return await self.engine.embed(request)

    async def count_tokens(self, call: Call, request: ChatRequest) -> int:
        self.requests.append(request)
        return await self.engine.count_tokens(request)

    async def models(self, caller: Caller) -> list[ModelInfo]:
        assert caller == CALLER
        return list(self.models_known.values())

    async def model(self, caller: Caller, name: str) -> ModelInfo:
        known = self.models_known.get(self.aliases.get(name, name))
        if known is None:
            raise NotFound("model", name)
        return known


class OneKey:
    """The key store of a test."""

    def signing(self, key_id: str) -> tuple[str, Caller]:
        if key_id != KEY:
            raise Unauthenticated("The key is not known.", "invalid")
        return SECRET, CALLER

    def verify_token(self, token: str) -> Caller:
        if token != "a-token":
            raise Unauthenticated("The key is not known.", "invalid")
        return CALLER


class Quiet:
    """Lifecycle and observer that do nothing."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def request_finished(self, request: Any, route: Any, status: int, seconds: float) -> None: ...


class _Raw(io.BytesIO):
    def stream(self, amount: int = 1024, decode_content: bool = False) -> Iterator[bytes]:
        while chunk := self.read(amount):
            yield chunk


class Endpoint:
    """The gateway with the AWS dialect, called by unmodified clients without a network in between."""

    def __init__(self, rules: str, models: Any, session: boto3.session.Session) -> None:
        self.session = session
        self.serving = EchoServing(parse_script(rules) if rules else Script())
        fallback = Fallback(write_unrouted, write_unrouted, write_unrouted, SPOKEN_SERVICES, refuse_service)
        authenticator = Authenticator(OneKey(), time.time)  # type: ignore[arg-type]
        router = Router(AwsDialect(self.serving, models=models).routes())
        self.gateway = Gateway(router, authenticator, fallback, Quiet(), Quiet(), lambda: "req-1")
        self.chunks: list[bytes] = []

    def client(self, service: str, secret: str = SECRET, **options: Any) -> Any:
        options = {"aws_access_key_id": KEY, "aws_secret_access_key": secret, **options}
        config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
        client = self.session.client(
            service, region_name="eu-west-1", endpoint_url="http://127.0.0.1:8000", config=config, **options
        )
        client.meta.events.register("before-send", self._answer)
        return client

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        status, headers = asyncio.run(self._call(request))
        return AWSResponse(request.url, status, HeadersDict(headers), _Raw(b"".join(self.chunks)))

    async def _call(self, request: Any) -> tuple[int, dict[str, str]]:
        parts = urlsplit(request.url)
        headers = [(b"host", parts.netloc.encode())]
        for name, value in request.headers.items():
            headers.append((name.lower().encode(), value if isinstance(value, bytes) else str(value).encode()))
        body = request.body.read() if hasattr(request.body, "read") else request.body or b""
        scope = {
            "type": "http",
            "method": request.method,
            "raw_path": (parts.path or "/").encode(),
            "query_string": parts.query.encode(),
            "headers": headers,
        }
        incoming = [{"type": "http.request", "body": body.encode() if isinstance(body, str) else body}]
        outgoing: list[Any] = []

        async def receive() -> Any:
            return incoming.pop() if incoming else await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            outgoing.append(message)

        await self.gateway(scope, receive, send)
        self.chunks = [message.get("body", b"") for message in outgoing[1:]]
        return outgoing[0]["status"], {name.decode(): value.decode() for name, value in outgoing[0]["headers"]}


@pytest.fixture(scope="session")
def boto3_session() -> boto3.session.Session:
    """One for all tests: it keeps the service models that it has read."""
    return boto3.session.Session()


@pytest.fixture(scope="session")
def endpoint(boto3_session: boto3.session.Session) -> Callable[..., Endpoint]:
    """Makes an endpoint whose echo engine follows a script."""
    models = load_models()
    return lambda rules="": Endpoint(rules, models, boto3_session)
