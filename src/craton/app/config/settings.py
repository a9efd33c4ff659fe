"""config.toml as a whole: read, and checked for what types cannot say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field

from craton.access.destinations import DEFAULT_PORTS, Destinations
from craton.app.config.sections import (
    BlobSettings,
    DatabaseSettings,
    EchoSettings,
    HubSettings,
    JobSettings,
    MirrorSettings,
    OutgoingSettings,
    QdrantSettings,
    QuotaSettings,
    RaySettings,
    ServerSettings,
    SourceSettings,
    TraceSettings,
    TrainingSettings,
    UpstreamSettings,
)
from craton.app.config.sizes import parse_bytes
from craton.core.errors import InvalidRequest
from craton.serve.pricing import Price
from craton.store.blobs.opening import check_location

ENGINES = frozenset({"llama_cpp", "bert", "predictor", "echo"})


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    server: ServerSettings = ServerSettings()
    traces: TraceSettings = TraceSettings()
    echo: EchoSettings = EchoSettings()
    aliases: dict[str, str] = {}
    engines: dict[str, dict[str, Any]] = {}
    upstreams: dict[str, UpstreamSettings] = {}
    outgoing: OutgoingSettings = OutgoingSettings()
    databases: dict[str, DatabaseSettings] = {}
    qdrant: dict[str, QdrantSettings] = {}
    sources: SourceSettings = SourceSettings()
    jobs: JobSettings = JobSettings()
    ray: RaySettings | None = None
    training: TrainingSettings = TrainingSettings()
    blobs: BlobSettings = BlobSettings()
    quotas: QuotaSettings = QuotaSettings()
    hub: HubSettings = HubSettings()
    hubs: dict[Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")], MirrorSettings] = {}
    prices: dict[str, Price] = field(default_factory=dict)


def load_settings(path: Path) -> Settings:
    """The settings in this file; defaults when there is none. Raises InvalidRequest naming what is wrong in it."""
    if not path.is_file():
        return Settings()
    try:
        settings = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Settings)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise InvalidRequest(str(error), path.name) from error
    try:
        _check(settings, path.parent)
    except InvalidRequest as error:
        raise InvalidRequest(error.reason, f"{path.name}: {error.field}") from error
    return settings


def _check(settings: Settings, home: Path) -> None:
    """What types cannot say; at the start, so that no caller is told of the operator's mistakes."""
    if settings.server.memory:
        parse_bytes(settings.server.memory, "server.memory")
    parse_bytes(settings.hub.xet_above, "hub.xet_above")
    _check_blobs(settings.blobs, settings.quotas)
    if settings.echo.script and not (home / settings.echo.script).is_file():
        raise InvalidRequest(f"there is no file {settings.echo.script!r}", "echo.script")
    for engine in settings.engines.keys() - ENGINES:
        raise InvalidRequest(f"there is no such engine; there are {', '.join(sorted(ENGINES))}", f"engines.{engine}")
    try:
        Destinations(settings.outgoing.allow)
    except InvalidRequest as error:
        raise InvalidRequest(error.reason, "outgoing.allow") from error
    for name, mirrored in settings.hubs.items():
        _check_address(mirrored.endpoint, f"hubs.{name}.endpoint")
    if settings.ray is not None:
        _check_address(settings.ray.url, "ray.url")
    owners: dict[str, str] = {}
    for name, upstream in settings.upstreams.items():
        _check_upstream(f"upstreams.{name}", upstream)
        for model in upstream.models:
            if not re.fullmatch(r"[!-~]+", model):
                raise InvalidRequest(f"{model!r} is not plain text without blanks", f"upstreams.{name}.models")
            if owners.setdefault(model, name) != name:
                raise InvalidRequest(f"{model!r} is also a model of {owners[model]}", f"upstreams.{name}.models")


def _check_blobs(blobs: BlobSettings, quotas: QuotaSettings) -> None:
    if blobs.url:
        check_location(blobs.location, "blobs")
    if blobs.replica is not None:
        check_location(blobs.replica, "blobs.replica")
    for name, size in {
        "blobs.cache": blobs.cache,
        "blobs.scrub_rate": blobs.scrub_rate,
        **({"quotas.default": quotas.default} if quotas.default else {}),
        **{f"quotas.tenants.{tenant}": size for tenant, size in quotas.tenants.items()},
    }.items():
        parse_bytes(size, name)


def _check_upstream(field: str, upstream: UpstreamSettings) -> None:
    if not upstream.url:
        raise InvalidRequest("a bedrock upstream needs a region or a base_url", field)
    _check_address(upstream.url, f"{field}.base_url")


def _check_address(address: str, field: str) -> None:
    try:
        url = urlsplit(address)
        if url.scheme not in DEFAULT_PORTS or url.username or url.query or url.fragment:
            raise ValueError(address)
        Destinations((f"{url.scheme}://{url.netloc}",))
    except ValueError:  # InvalidRequest is one too
        reason = "is not an http(s) address without user, query and fragment"
        raise InvalidRequest(f"{address!r} {reason}", field) from None
