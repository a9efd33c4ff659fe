"""Connects a configured upstream model: its provider's wire, the operator's credential, the one outgoing client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from craton.access.tenants import DEFAULT_TENANT
from craton.access.vault import Vault
from craton.app.config import Settings, UpstreamSettings
from craton.core.chat import ChatRequest
from craton.core.errors import Damaged, InvalidRequest, ModelUnavailable, NotFound
from craton.core.events import Event
from craton.core.model import Capabilities, EmbedAnswer, EmbedRequest, ModelInfo, ScoreAnswer, ScoreRequest
from craton.core.predicting import PredictAnswer, PredictorRequest
from craton.core.streams import closing
from craton.engines.protocol import Engine
from craton.serve.target import Target

if TYPE_CHECKING:
    import httpx

    from craton.engines.upstream import AnthropicOptions, AwsKeys, BearerKey, BedrockOptions, OpenAIOptions

    WireOptions = AnthropicOptions | BedrockOptions | OpenAIOptions

HUGGING_FACE = "https://huggingface.co"
HUGGING_FACE_STORAGE = ("*.huggingface.co", "*.hf.co")
KEY_SECONDS = 2.0  # how long a stored key is believed: one that was replaced needs no restart


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """The outgoing allow-list: configured upstreams, Qdrant servers, hubs and a Ray cluster, by scheme, host and port,
    and what [outgoing] names. The best-known hub hands files out from hosts of its own."""
    addresses = [upstream.url for upstream in settings.upstreams.values()]
    addresses += [server.url for server in settings.qdrant.values()]
    addresses += [] if settings.ray is None else [settings.ray.url]
    hubs = [hub.endpoint.rstrip("/") for hub in settings.hubs.values()]
    addresses += hubs
    storage = HUGGING_FACE_STORAGE if HUGGING_FACE in hubs else ()
    urls = [urlsplit(address) for address in addresses]
    return (*(f"{url.scheme}://{url.netloc}" for url in urls), *storage, *settings.outgoing.allow)


class Connector:
    """Makes engines of upstream models. client is opened at the first use."""

    def __init__(
        self, upstreams: Mapping[str, UpstreamSettings], vault: Vault, client: Callable[[], httpx.AsyncClient]
    ) -> None:
        """Raises InvalidRequest for options that a wire does not have."""
        self._upstreams = upstreams
        self._vault = vault
        self._client = client
        self._options = {name: _read_options(name, settings) for name, settings in upstreams.items()}

    def connect(self, target: Target) -> Engine:
        """Raises ModelUnavailable when its credential is not stored, or cannot be used."""
        details = target.info.details or {}
        upstream, theirs = details["upstream"], details["name"]
        settings, options = self._upstreams[upstream], self._options[upstream]

        def build(secret: str) -> Engine:
            return _engine(settings, options, self._client(), theirs, secret, target.info)

        return UpstreamModel(lambda: self._secret(settings.credential, target.info.id), build)

    def _secret(self, credential: str, model: str) -> str:
        if not credential:
            return ""
        try:
            return self._vault.get(DEFAULT_TENANT, credential)
        except NotFound:
            raise ModelUnavailable(
                model,
                f"its provider's key is not stored; the operator's `craton keys credential set {credential}` does.",
            ) from None
        except Damaged as error:
            raise ModelUnavailable(
                model, "its provider's key cannot be opened; the operator can store it again."
            ) from error


class UpstreamModel:
    """An `Engine` that follows its key: it looks every KEY_SECONDS whether another one was stored.

    secret: reads the key; called in a thread. build: makes the engine with it. Raises what secret raises.
    """

    def __init__(
        self,
        secret: Callable[[], str],
        build: Callable[[str], Engine],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_secret, self._build, self._monotonic = secret, build, monotonic
        self._secret = secret()
        self._read_at = monotonic()
        self._engine = build(self._secret)

    @property
    def capabilities(self) -> Capabilities:
        return self._engine.capabilities

    async def chat(self, request: ChatRequest) -> AsyncIterator[Event]:
        engine = await self._current()
        async with closing(engine.chat(request)) as events:
            async for event in events:
                yield event

    async def embed(self, request: EmbedRequest) -> EmbedAnswer:
        return await (await self._current()).embed(request)

    async def score(self, request: ScoreRequest) -> ScoreAnswer:
        return await (await self._current()).score(request)

    async def predict(self, request: PredictorRequest) -> PredictAnswer:
        return await (await self._current()).predict(request)

    async def count_tokens(self, request: ChatRequest) -> int:
        return await (await self._current()).count_tokens(request)

    async def close(self) -> None:
        """Upstream engines hold nothing of their own."""

    async def _current(self) -> Engine:
        if self._monotonic() - self._read_at >= KEY_SECONDS:
            secret = await asyncio.to_thread(self._read_secret)
            self._read_at = self._monotonic()
            if secret != self._secret:
                self._engine, self._secret = self._build(secret), secret
        return self._engine


def _engine(
    settings: UpstreamSettings,
    options: WireOptions,
    client: httpx.AsyncClient,
    name: str,
    secret: str,
    info: ModelInfo,
) -> Engine:
    from craton.engines import upstream

    if isinstance(options, upstream.AnthropicOptions):
        return upstream.AnthropicUpstream(
            client, model=name, base_url=settings.url, key=secret, info=info, options=options
        )
    if isinstance(options, upstream.BedrockOptions):
        credential = _aws_credential(secret, settings.region, info.id)
        return upstream.BedrockUpstream(
            client, model=name, base_url=settings.url, credential=credential, info=info, options=options
        )
    return upstream.OpenAIUpstream(client, model=name, base_url=settings.url, key=secret, info=info, options=options)


def _read_options(name: str, settings: UpstreamSettings) -> WireOptions:
    """The operator's, over what is known of the provider."""
    from craton.engines import upstream

    presets = {"api.openai.com": upstream.OPENAI, "api.deepseek.com": upstream.DEEPSEEK}
    preset: WireOptions
    if settings.wire == "anthropic":
        preset = upstream.AnthropicOptions()
    elif settings.wire == "bedrock":
        preset = upstream.BedrockOptions()
    else:
        preset = presets.get(urlsplit(settings.url).hostname or "", upstream.OpenAIOptions())
    given = {**msgspec.structs.asdict(preset), **settings.options}
    field = f"config.toml: upstreams.{name}.options"
    if unknown := sorted(given.keys() - set(preset.__struct_fields__)):
        raise InvalidRequest(f"there is no {unknown[0]!r}; there are {', '.join(preset.__struct_fields__)}", field)
    try:
        return msgspec.convert(given, type(preset), strict=True)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), field) from error


def _aws_credential(secret: str, region: str, model: str) -> AwsKeys | BearerKey:
    """ "ACCESS:SECRET" or "ACCESS:SECRET:TOKEN" is a key pair, anything else a Bedrock API key."""
    from craton.engines.upstream import AwsKeys, BearerKey

    access, _, rest = secret.partition(":")
    if not rest:
        return BearerKey(secret)
    if not region:
        raise ModelUnavailable(model, "the operator has stored an AWS key pair for it, but set no region.")
    key, _, token = rest.partition(":")
    return AwsKeys(access, key, region, token)
