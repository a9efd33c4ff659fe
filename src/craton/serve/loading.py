"""From a model that was found to an engine that runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from craton.core.errors import CratonError, Unsupported
from craton.engines.echo import EchoEngine
from craton.engines.llama_cpp.options import Given
from craton.engines.protocol import AdapterSpec, Engine, EngineSpec
from craton.engines.worker.supervisor import Worker
from craton.serve.learning import Lines, is_live
from craton.serve.target import Target

IN_WORKERS = frozenset({"llama_cpp", "bert", "transformers", "predictor"})


class EngineLoader:
    """blob_path: where the bytes with this digest lie, verified. options: the operator's, by engine.

    connect: makes the engine of an upstream model. lines: of the models that learn.
    """

    def __init__(
        self,
        blob_path: Callable[[str], Path],
        options: Mapping[str, Mapping[str, Any]],
        connect: Callable[[Target], Engine],
        lines: Lines | None = None,
    ) -> None:
        self._blob_path = blob_path
        self._options = options
        self._connect = connect
        self._lines = lines

    async def load(self, target: Target) -> Engine:
        """Raises the load's own typed error (Damaged, Unsupported, ModelUnavailable ...)."""
        info = target.info
        if info.engine == "upstream":
            return await asyncio.to_thread(self._connect, target)
        options = dict(self._options.get(info.engine, {}))
        isolated = info.engine in IN_WORKERS or options.pop("worker", False)
        if not isolated and info.engine != "echo":
            raise Unsupported(f"Running {info.id!r}", "No engine here runs this kind of model.")
        if self._lines is not None and is_live(target):
            return await self._lines.begin(target, self._worker)
        spec = await self._spec(target, info.engine, options)
        return await _start(spec) if isolated else await asyncio.to_thread(EchoEngine.load, spec)

    async def share(
        self, targets: Sequence[Target], proven: Collection[str]
    ) -> tuple[Engine, Mapping[str, CratonError]]:
        """One worker for adapters over one base. See `pool.ShareEngine`."""
        first = targets[0]
        info = replace(first.info, id=first.info.base)  # errors that are nobody's name what all of them may know
        options = dict(self._options.get(info.engine, {}))
        spec = await self._spec(replace(first, info=info), info.engine, options)
        adapters: list[AdapterSpec] = []
        missing: dict[str, CratonError] = {}
        for target in targets:
            try:
                adapters.append(await asyncio.to_thread(self._adapter, target, target.key in proven))
            except CratonError as error:  # its files went away: no reason for the others to do without theirs
                missing[target.key] = error
        if not adapters:
            raise missing[first.key]
        worker = await _start(replace(spec, adapters=tuple(adapters)))
        return worker, {**missing, **worker.refused}

    def _adapter(self, target: Target, proven: bool) -> AdapterSpec:
        files = target.overlay.files if target.overlay is not None else {}
        return AdapterSpec(target.key, target.info.id, self._local_files(files), proven)

    async def load_counter(self, target: Target) -> Engine:
        """A worker that counts the tokens of this model's prompts and does nothing else.

        Raises Unsupported where only the model counts exactly, or what loading the model would raise.
        """
        engine = target.info.engine
        return await _start(await self._spec(target, f"{engine}_counter", dict(self._options.get(engine, {}))))

    async def _worker(self, target: Target) -> Worker:
        engine = target.info.engine
        return await _start(await self._spec(target, engine, dict(self._options.get(engine, {}))))

    async def _spec(self, target: Target, engine: str, options: dict[str, Any]) -> EngineSpec:
        files = await asyncio.to_thread(self._local_files, target.files)
        if target.units > 1:
            options = {**options, "parallel": target.units * options.get("parallel", Given().parallel)}
        return EngineSpec(engine, target.info.id, target.info, files, options)

    def _local_files(self, files: Mapping[str, str]) -> dict[str, str]:
        return {name: str(self._blob_path(digest)) for name, digest in files.items()}


async def _start(spec: EngineSpec) -> Worker:
    worker = Worker(spec)
    try:
        await worker.start()
    except BaseException:
        await worker.close()
        raise
    return worker
