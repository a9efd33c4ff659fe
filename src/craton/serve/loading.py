"""From a model that was found to an engine that runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from craton.core.errors import Unsupported
from craton.engines.echo import EchoEngine
from craton.engines.protocol import Engine, EngineSpec
from craton.engines.worker.supervisor import Worker
from craton.serve.directory import Target

IN_WORKERS = frozenset({"llama_cpp", "bert"})


class EngineLoader:
    """blob_path: where the bytes with this digest lie, verified. options: the operator's, by engine.

    connect: makes the engine of an upstream model.
    """

    def __init__(
        self,
        blob_path: Callable[[str], Path],
        options: Mapping[str, Mapping[str, Any]],
        connect: Callable[[Target], Engine],
    ) -> None:
        self._blob_path = blob_path
        self._options = options
        self._connect = connect

    async def load(self, target: Target) -> Engine:
        """Raises the load's own typed error (Damaged, Unsupported, ModelUnavailable ...)."""
        info = target.info
        if info.engine == "upstream":
            return await asyncio.to_thread(self._connect, target)
        options = dict(self._options.get(info.engine, {}))
        isolated = info.engine in IN_WORKERS or options.pop("worker", False)
        if not isolated and info.engine != "echo":
            raise Unsupported(f"Running {info.id!r}", "No engine here runs this kind of model.")
        spec = EngineSpec(info.engine, info.id, info, await asyncio.to_thread(self._local_files, target), options)
        if not isolated:
            return await asyncio.to_thread(EchoEngine.load, spec)
        worker = Worker(spec)
        try:
            await worker.start()
        except BaseException:
            await worker.close()
            raise
        return worker

    def _local_files(self, target: Target) -> dict[str, str]:
        return {name: str(self._blob_path(digest)) for name, digest in target.files.items()}
