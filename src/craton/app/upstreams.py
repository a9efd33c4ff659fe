"""Connects a configured upstream model: its provider's wire, the operator's credential, the one outgoing client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from craton.access.tenants import DEFAULT_TENANT
from craton.access.vault import Vault
from craton.app.config import Settings, UpstreamSettings
from craton.core.errors import InvalidRequest
from craton.core.model import ModelInfo
from craton.engines.protocol import Engine
from craton.serve.directory import Target

if TYPE_CHECKING:
    import httpx

    from craton.engines.upstream import AwsKeys, BearerKey

Options = TypeVar("Options")

DEFAULT_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


def base_url(settings: UpstreamSettings) -> str:
    """Where this upstream is. Raises InvalidRequest when neither base_url nor region says so."""
    if settings.base_url:
        return settings.base_url
    if settings.wire in DEFAULT_URLS:
        return DEFAULT_URLS[settings.wire]
    if settings.region:
        return f"https://bedrock-runtime.{settings.region}.amazonaws.com"
    raise InvalidRequest("a bedrock upstream needs a region or a base_url", "upstreams")


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """The outgoing allow-list: configured upstreams, by scheme, host and port, and what [outgoing] names."""
    urls = [urlsplit(base_url(upstream)) for upstream in settings.upstreams.values()]
    return (*(f"{url.scheme}://{url.netloc}" for url in urls), *settings.outgoing.allow)


class Connector:
    """Makes engines of upstream models. client is opened at the first use."""

    def __init__(
        self, upstreams: Mapping[str, UpstreamSettings], vault: Vault, client: Callable[[], httpx.AsyncClient]
    ) -> None:
        self._upstreams = upstreams
        self._vault = vault
        self._client = client

    def connect(self, target: Target) -> Engine:
        """Raises NotFound when the credential was never stored, InvalidRequest for wrong options."""
        details = target.info.details or {}
        settings = self._upstreams[details["upstream"]]
        secret = self._vault.get(DEFAULT_TENANT, settings.credential) if settings.credential else ""
        return _engine(settings, self._client(), details["name"], secret, target.info)


def _engine(settings: UpstreamSettings, client: httpx.AsyncClient, name: str, secret: str, info: ModelInfo) -> Engine:
    from craton.engines import upstream

    url = base_url(settings)
    if settings.wire == "anthropic":
        anthropic = _options(settings.options, upstream.AnthropicOptions)
        return upstream.AnthropicUpstream(client, model=name, base_url=url, key=secret, info=info, options=anthropic)
    if settings.wire == "bedrock":
        bedrock = _options(settings.options, upstream.BedrockOptions)
        credential = _aws_credential(secret, settings.region)
        return upstream.BedrockUpstream(
            client, model=name, base_url=url, credential=credential, info=info, options=bedrock
        )
    presets = {"api.openai.com": upstream.OPENAI, "api.deepseek.com": upstream.DEEPSEEK}
    preset = presets.get(urlsplit(url).hostname or "", upstream.OpenAIOptions())
    openai = _options({**msgspec.structs.asdict(preset), **settings.options}, upstream.OpenAIOptions)
    return upstream.OpenAIUpstream(client, model=name, base_url=url, key=secret, info=info, options=openai)


def _options(given: Mapping[str, Any], kind: type[Options]) -> Options:
    try:
        return msgspec.convert(dict(given), kind, strict=True)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), "upstreams.options") from error


def _aws_credential(secret: str, region: str) -> AwsKeys | BearerKey:
    """ "ACCESS:SECRET" or "ACCESS:SECRET:TOKEN" is a key pair, anything else a Bedrock API key."""
    from craton.engines.upstream import AwsKeys, BearerKey

    access, _, rest = secret.partition(":")
    if not rest:
        return BearerKey(secret)
    key, _, token = rest.partition(":")
    return AwsKeys(access, key, region, token)
