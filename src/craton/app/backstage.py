"""What Craton's own routes show of the server: readiness, memory, metrics, traces."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import msgspec

from craton import __version__
from craton.app.fitting import Fit
from craton.core.access import Caller
from craton.core.model import ModelInfo
from craton.hub.keeping.scrubbing import Health
from craton.serve.directory import Directory
from craton.serve.drifting import DriftBook
from craton.serve.history import History, Trace, UsageLine
from craton.serve.loaded import Loaded
from craton.serve.pool import Pool
from craton.serve.target import Target
from craton.serve.telemetry import Metrics


class Backstage:
    """See `wire.native.Backstage`, the part of this that the routes need."""

    def __init__(
        self,
        directory: Directory,
        pool: Pool,
        history: History,
        metrics: Metrics,
        describe: Callable[[ModelInfo], Fit],
        health: Callable[[], Health],
        drift: DriftBook,
    ) -> None:
        """describe: the numbers of a model that is not loaded, "will it fit?" among them. health: of stored bytes.
        drift: of the rows that trained models are asked about."""
        self._directory = directory
        self._pool = pool
        self._history = history
        self._metrics = metrics
        self._describe, self._health, self._drift = describe, health, drift
        self._started = time.monotonic()
        self.accepting = False

    def ready(self) -> bool:
        return self.accepting

    def status(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "blobs": msgspec.to_builtins(self._health()),
            "uptime_seconds": round(time.monotonic() - self._started, 1),
            "loaded": [_shown(loaded) for loaded in self._pool.loaded()],
        }

    def metrics(self) -> bytes:
        self._metrics.broken_blobs(self._health().broken)
        return self._metrics.exposition(self._pool, self._drift.all())

    async def models(self, caller: Caller) -> list[ModelInfo]:
        return [target.info for target in await self._directory.targets(caller.tenant)]

    async def model_details(self, caller: Caller, name: str) -> dict[str, Any]:
        info = (await self._directory.find(caller.tenant, name)).info
        described: dict[str, Any] = msgspec.to_builtins(info)
        return described | msgspec.structs.asdict(self._describe(info))

    async def unload(self, caller: Caller, name: str) -> bool:
        info = (await self._directory.find(caller.tenant, name)).info
        return await self._pool.unload(info.id)

    def trace(self, tenant: str, request_id: str) -> Trace:
        return self._history.trace(tenant, request_id)

    def recent(self, tenant: str, limit: int) -> list[dict[str, Any]]:
        return self._history.recent(tenant, limit)

    def usage(self, tenant: str, since: float) -> list[UsageLine]:
        return self._history.usage(tenant, since)


def _shown(loaded: Loaded) -> dict[str, Any]:
    """A worker, under its model's name: under its base's, and with its adapters, where those share it."""
    info, shared = loaded.target.info, loaded.target.overlay is not None
    base, _, revision = info.base.partition("@")
    shown = {
        "model": base if shared else info.id,
        "revision": revision if shared else info.revision,
        "engine": info.engine,
        "bytes_needed": loaded.bytes_needed,
        "running": loaded.admission.running,
        "waiting": loaded.admission.waiting,
        "concurrency": loaded.admission.concurrency,
        "pid": getattr(loaded.engine, "pid", None),
        "finishing": loaded.finishing,
    }
    if shared:
        shown["adapters"] = [_adapter(member.target, loaded) for member in loaded.members.values()]
    return shown


def _adapter(target: Target, loaded: Loaded) -> dict[str, Any]:
    running, waiting = loaded.admission.of(target.adapter)
    return {
        "model": target.info.id,
        "revision": target.info.revision,
        "bytes": target.overlay.size if target.overlay is not None else 0,
        "running": running,
        "waiting": waiting,
    }
