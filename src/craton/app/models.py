"""What it takes to run models: built once for the server, and once in each job's own process."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from craton.app.config import Settings
from craton.app.fitting import bytes_needed, memory_limit
from craton.app.upstreams import Connector, allowed_hosts
from craton.core.errors import InvalidRequest
from craton.customizing.importing.source import Imported
from craton.customizing.source import Customized
from craton.engines.checking import Checker
from craton.serve.counting import COUNTER_LIMITS, Counting, counter_bytes
from craton.serve.directory import Directory, ModelSource
from craton.serve.drifting import DriftBook
from craton.serve.inference import Inference, Tracer
from craton.serve.learning import SNAPSHOT_ROWS, Lines
from craton.serve.loading import EngineLoader
from craton.serve.metering import Meter
from craton.serve.pool import Pool, PoolLimits
from craton.serve.predictors import Predictors
from craton.serve.pricing import Prices
from craton.serve.snapshots import Snapshots
from craton.serve.sources import Echo, HubModels, Upstream, Upstreams
from craton.wire.aws.names import resource_of

if TYPE_CHECKING:
    import httpx

    from craton.app.platform import Platform


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


class RunningModels:
    """`inference` is the way to them. `start` before it is used, `close` at the end."""

    def __init__(self, platform: Platform, tracer: Tracer, *, keep_content: bool = True) -> None:
        """keep_content: whether traces may hold what models were told, where the operator wants that at all."""
        settings = platform.settings
        self.outgoing = OutgoingClient(settings)
        self._checker = Checker()
        self._warming: asyncio.Task[None] | None = None
        self.meter = Meter(
            platform.database,
            time.time,
            keep_content=keep_content and settings.traces.content,
            keep_days=settings.traces.days,
        )
        connector = Connector(settings.upstreams, platform.vault, self.outgoing.get)
        options = _engine_options(platform)
        lines = Lines(Snapshots(platform.hub, platform.blobs.path), _snapshot_rows(options))
        self.drift = DriftBook(platform.blobs.path, time.time)
        loader = EngineLoader(platform.blobs.path, options, connector.connect, lines)
        self.pool = Pool(
            loader.load,
            lambda target: bytes_needed(target.info, settings, target.units),
            _limits(settings),
            share=loader.share,
        )
        self._counting = Counting(self.pool, Pool(loader.load_counter, counter_bytes, COUNTER_LIMITS))
        sources: list[ModelSource] = [Echo(time.time()), _upstreams(settings), HubModels(platform.catalog)]
        self.directory = Directory(
            [
                Customized(platform.database, sources, resource_of),
                Imported(platform.database, sources, resource_of),
                *sources,
            ],
            settings.aliases,
        )
        self.inference = Inference(
            self.directory,
            self.pool,
            self._counting,
            self.meter,
            self._checker,
            Prices(settings.prices),
            tracer,
            time.time,
            Predictors(lines, self.drift),
            deadline=settings.server.deadline,
        )

    async def start(self, *, warm: bool) -> None:
        """warm: begin to start the schema checker, so that the first schema need not wait for it."""
        self.meter.start()
        self.pool.start()
        self._counting.start()
        if warm:
            self._warming = asyncio.create_task(self._checker.start())

    async def close(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
        await self.pool.close()
        await self._counting.close()
        await self._checker.close()
        await self.meter.close()
        await self.outgoing.close()


def _limits(settings: Settings) -> PoolLimits:
    return PoolLimits(memory_limit(settings), settings.server.idle, settings.server.waiting)


def _engine_options(platform: Platform) -> dict[str, dict[str, Any]]:
    options = {name: dict(given) for name, given in platform.settings.engines.items()}
    script = platform.settings.echo.script
    if script:
        options.setdefault("echo", {})["script"] = str(platform.home.path / script)
    return options


def _snapshot_rows(options: dict[str, dict[str, Any]]) -> int:
    """[engines.predictor] snapshot_rows: the rows after which a model that learns becomes a revision, 0 for never.
    Raises InvalidRequest."""
    rows = options.get("predictor", {}).pop("snapshot_rows", SNAPSHOT_ROWS)
    if type(rows) is not int or rows < 0:
        raise InvalidRequest("must be a whole number of rows, 0 for never", "engines.predictor.snapshot_rows")
    return rows


def _upstreams(settings: Settings) -> Upstreams:
    return Upstreams(
        {
            name: Upstream(name, upstream.models, upstream.verbs, upstream.context_length)
            for name, upstream in settings.upstreams.items()
        },
        time.time(),
    )
