"""The code of the job that brings a model in: its files, from a bucket or a repository, become a revision of the
custom model's own repository, and the model's row names it once an engine here can run it."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from craton.buckets.buckets import Buckets
from craton.core.chat import Json
from craton.core.errors import CratonError, StorageFull, Unsupported
from craton.core.job import JobCancelled, JobLost, Running
from craton.core.repo import RepoId
from craton.customizing.customizations import NAMESPACE
from craton.customizing.importing.fetching import fetch
from craton.customizing.rows import custom_models, writing
from craton.customizing.values import CustomModel, Status
from craton.hub.catalog import Catalog
from craton.hub.repositories import Hub
from craton.store.files import FULL
from craton.training.artifacts.publishing import publish
from craton.training.repositories import Checkouts

AUTHOR = "craton"

log = logging.getLogger("craton.customizing")

Prepare = Callable[[Path], object]
"""Makes of a folder with a model what is served here (a GGUF file beside safetensors). Blocks; raises Unsupported."""


@dataclass(frozen=True, slots=True)
class BringParts:
    """prepare: see above."""

    hub: Hub
    catalog: Catalog
    buckets: Buckets
    checkouts: Checkouts
    prepare: Prepare


async def bring(running: Running, arguments: Json, parts: BringParts) -> Json:
    """arguments: {"model": its id}. Raises what the source raises, Unsupported for a model that no engine runs."""
    bringing = _Bringing(running, str(arguments["model"]), parts)
    try:
        model = await asyncio.to_thread(bringing.found)
        if model.status == "creating":
            model = await bringing.work(model)
    except JobCancelled:
        await asyncio.to_thread(bringing.settle, "failed", failure="It was stopped.")
        raise
    except JobLost:
        raise
    except CratonError as error:
        await asyncio.to_thread(bringing.settle, "failed", failure=str(error))
        raise
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StorageFull() from error
    return {"model": model.repo, "revision": model.revision}


class _Bringing:
    def __init__(self, running: Running, id: str, parts: BringParts) -> None:
        self._running, self._id, self._parts = running, id, parts
        self._tenant = running.job.tenant

    def found(self) -> CustomModel:
        with self._parts.hub.database.read() as connection:
            return custom_models.find(connection, self._tenant, self._id)

    async def work(self, model: CustomModel) -> CustomModel:
        repo = RepoId("model", NAMESPACE, model.name)
        with tempfile.TemporaryDirectory(prefix="craton-model-") as place:
            folder = Path(place)
            if model.source.startswith("hf://"):
                ref = model.source.removeprefix("hf://")
                await asyncio.to_thread(self._parts.checkouts.check_out, self._tenant, "model", ref, folder)
            else:
                await fetch(self._running, self._parts.buckets, model.source, folder)
            self._running.check()
            await asyncio.to_thread(self._parts.prepare, folder)
            self._running.check()
            revision = await asyncio.to_thread(self._publish, repo, folder)
        info = (await asyncio.to_thread(self._parts.catalog.resolve, self._tenant, f"{repo.path}@{revision}")).info
        if not info.verbs:
            await asyncio.to_thread(self._parts.hub.delete, self._tenant, repo)
            reason = (info.details or {}).get("refused") or "no engine here runs it"
            raise Unsupported(f"The model in {model.source}", f"{reason}.")
        return await asyncio.to_thread(self.settle, "active", repo=repo.path, revision=revision, base=info.base)

    def _publish(self, repo: RepoId, folder: Path) -> str:
        hub, job = self._parts.hub, self._running.job
        return publish(hub, self._tenant, AUTHOR, repo, "main", folder, job.id, private=True)

    def settle(
        self, status: Status, *, failure: str = "", repo: str = "", revision: str = "", base: str = ""
    ) -> CustomModel:
        with writing(self._running) as connection:
            found = custom_models.find(connection, self._tenant, self._id)
            now = replace(found, status=status, failure=failure, repo=repo, revision=revision, base=base)
            custom_models.update(connection, now)
        return now
