"""The composition root: everything is built here, by constructor arguments, and nothing is global."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from craton.access.keys import Keys, NewKey
from craton.access.root import ensure_root, load_master
from craton.access.vault import Vault
from craton.app.backstage import Backstage
from craton.app.config import Home, Settings, load_settings
from craton.app.fitting import bytes_needed, describe_fit, memory_limit
from craton.app.upstreams import Connector, allowed_hosts
from craton.children.process import sweep_folders
from craton.engines.checking import Checker
from craton.hub.catalog import Catalog
from craton.hub.models import Models
from craton.hub.repositories import Hub
from craton.serve.counting import COUNTER_LIMITS, Counting, counter_bytes
from craton.serve.directory import Directory
from craton.serve.history import History
from craton.serve.inference import Inference
from craton.serve.loading import EngineLoader
from craton.serve.metering import Meter
from craton.serve.pool import Pool, PoolLimits
from craton.serve.pricing import Prices
from craton.serve.sources import Echo, HubModels, Upstream, Upstreams
from craton.serve.spans import Spans
from craton.serve.telemetry import Fanout, Metrics
from craton.store.blobs import Blobs
from craton.store.database import Database
from craton.store.migrations import upgrade
from craton.wire.anthropic.dialect import AnthropicDialect
from craton.wire.anthropic.errors import write_error as write_anthropic_error
from craton.wire.authentication import Authenticator
from craton.wire.aws.dialect import AwsDialect
from craton.wire.aws.refusals import SPOKEN_SERVICES, refuse_service, write_unrouted
from craton.wire.fallback import Fallback
from craton.wire.gateway import Gateway
from craton.wire.http import Request, Route
from craton.wire.native import NativeDialect
from craton.wire.openai.dialect import OpenAIDialect
from craton.wire.openai.errors import write_error as write_openai_error
from craton.wire.router import Router

if TYPE_CHECKING:
    import httpx


log = logging.getLogger("craton")


@dataclass(frozen=True, slots=True)
class Platform:
    """What stands without a server: rows, blobs, keys, the hub. The command line works on it directly."""

    home: Home
    settings: Settings
    database: Database
    blobs: Blobs
    keys: Keys
    vault: Vault
    hub: Hub
    catalog: Catalog
    history: History
    new_root: NewKey | None

    def close(self) -> None:
        self.database.close()


def open_platform(home: Home) -> Platform:
    """Opens CRATON_HOME, making and migrating what is missing. Raises InvalidRequest for a bad config.toml."""
    home.create()
    settings = load_settings(home.config)
    database = Database(settings.server.database) if settings.server.database else Database.at(home.database)
    upgrade(database)
    blobs = Blobs(home.blobs)
    master = load_master(home.path)
    keys = Keys(database, master)
    hub = Hub(database, blobs, time.time)
    return Platform(
        home=home,
        settings=settings,
        database=database,
        blobs=blobs,
        keys=keys,
        vault=Vault(database, master),
        hub=hub,
        catalog=Catalog(Models(hub)),
        history=History(database),
        new_root=ensure_root(home.path, keys),
    )


class OutgoingClient:
    """The one outgoing HTTP client, opened at its first use: most servers never call out."""

    def __init__(self, settings: Settings) -> None:
        self._allow = allowed_hosts(settings)
        self._client: httpx.AsyncClient | None = None

    def get(self) -> httpx.AsyncClient:
        if self._client is None:
            from craton.access.outgoing import outgoing

            self._client = outgoing(self._allow)
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


class Server:
    """Everything that answers requests: `gateway` is the ASGI application."""

    def __init__(self, platform: Platform, environment: Mapping[str, str]) -> None:
        settings = platform.settings
        self._platform = platform
        self._metrics = Metrics()
        self._spans = Spans.from_environment(environment)
        self._outgoing = OutgoingClient(settings)
        self._checker = Checker()
        self._warming: asyncio.Task[None] | None = None
        self._meter = Meter(
            platform.database, time.time, keep_content=settings.traces.content, keep_days=settings.traces.days
        )
        connector = Connector(settings.upstreams, platform.vault, self._outgoing.get)
        loader = EngineLoader(platform.blobs.path, _engine_options(platform), connector.connect)
        self._pool = Pool(loader.load, lambda target: bytes_needed(target.info, settings), _limits(settings))
        self._counting = Counting(self._pool, Pool(loader.load_counter, counter_bytes, COUNTER_LIMITS))
        directory = Directory([Echo(time.time()), _upstreams(settings), HubModels(platform.catalog)], settings.aliases)
        self._inference = Inference(
            directory,
            self._pool,
            self._counting,
            self._meter,
            self._checker,
            Prices(settings.prices),
            Fanout([self._metrics, *([self._spans] if self._spans else [])]),
            time.time,
            deadline=settings.server.deadline,
        )
        self._backstage = Backstage(
            directory, self._pool, platform.history, self._metrics, lambda info: describe_fit(info, settings)
        )
        self.router = Router(self._routes())
        self.gateway = Gateway(
            self.router,
            Authenticator(platform.keys, time.time),
            Fallback(write_unrouted, write_anthropic_error, write_openai_error, SPOKEN_SERVICES, refuse_service),
            lifecycle=self,
            observer=self,
            new_id=request_ids(),
        )

    def _routes(self) -> list[Route]:
        dialects = (
            AwsDialect(self._inference),
            OpenAIDialect(self._inference, time.time),
            AnthropicDialect(self._inference),
            NativeDialect(self._backstage),
        )
        return [route for dialect in dialects for route in dialect.routes()]

    async def start(self) -> None:
        await asyncio.to_thread(sweep_folders)
        self._meter.start()
        self._pool.start()
        self._counting.start()
        self._warming = asyncio.create_task(self._checker.start())  # so that the first schema need not wait for it
        self._backstage.accepting = True

    async def stop(self) -> None:
        self._backstage.accepting = False
        if self._warming is not None:
            self._warming.cancel()
        await self._pool.close()
        await self._counting.close()
        await self._checker.close()
        await self._meter.close()
        await self._outgoing.close()
        if self._spans is not None:
            self._spans.close()

    def request_finished(self, request: Request, route: Route | None, status: int, seconds: float) -> None:
        dialect, operation = (route.dialect, route.operation) if route else ("", "unknown")
        self._metrics.answered(dialect, operation, status, seconds)
        if log.isEnabledFor(logging.INFO):
            log.info(
                "request",
                extra={
                    "request_id": request.request_id,
                    "method": request.method,
                    "path": request.path[:300],
                    "dialect": dialect,
                    "operation": operation,
                    "status": status,
                    "ms": round(seconds * 1000, 2),
                    "key": request.caller.key_id if request.caller else "",
                    "tenant": request.caller.tenant if request.caller else "",
                },
            )


def request_ids() -> Callable[[], str]:
    """Makes ids of 32 hex digits: unique across processes and restarts by their first half, told apart by the rest."""
    prefix, numbers = os.urandom(8).hex(), count(1)
    return lambda: f"{prefix}{next(numbers):016x}"


def _limits(settings: Settings) -> PoolLimits:
    return PoolLimits(memory_limit(settings), settings.server.idle, settings.server.waiting)


def _engine_options(platform: Platform) -> dict[str, dict[str, Any]]:
    options = {name: dict(given) for name, given in platform.settings.engines.items()}
    script = platform.settings.echo.script
    if script:
        options.setdefault("echo", {})["script"] = str(platform.home.path / script)
    return options


def _upstreams(settings: Settings) -> Upstreams:
    return Upstreams(
        {
            name: Upstream(name, upstream.models, upstream.verbs, upstream.context_length)
            for name, upstream in settings.upstreams.items()
        },
        time.time(),
    )
