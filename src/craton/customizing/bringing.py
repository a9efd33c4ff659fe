"""The code of the job that brings a model in: its files, from a bucket or a repository, become a revision of the
custom model's own repository, and the model's row names it once an engine here can run it."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from craton.buckets.buckets import Buckets
from craton.core.chat import Json
from craton.core.errors import CratonError, NotFound, StorageFull, TooLarge, Unsupported
from craton.core.job import JobCancelled, JobLost, Progress, Running
from craton.core.repo import RepoId
from craton.customizing.customizations import NAMESPACE
from craton.customizing.rows import custom_models, writing
from craton.customizing.values import CustomModel, Status
from craton.hub.catalog import Catalog
from craton.hub.importing import is_safe
from craton.hub.names import check_path
from craton.hub.repositories import Hub
from craton.store.files import FULL
from craton.training.artifacts.publishing import publish
from craton.training.repositories import Checkouts

AUTHOR = "craton"
MAX_FILES = 1000

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
                await self._fetch(model.source, folder)
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

    async def _fetch(self, source: str, folder: Path) -> None:
        """The files below the prefix, but for those that could run anything."""
        bucket, _, prefix = source.removeprefix("s3://").partition("/")
        prefix = prefix and prefix.rstrip("/") + "/"
        keys: list[str] = []
        async for info in self._parts.buckets.list(self._tenant, bucket, prefix):
            if info.key != prefix and is_safe(info.key):
                keys.append(info.key)
            if len(keys) > MAX_FILES:
                raise TooLarge("The model's folder", MAX_FILES, unit="files")
        if not keys:
            raise NotFound("model in the bucket", source, "Upload its files below that folder first.")
        for number, key in enumerate(keys):
            self._running.report(Progress(number, len(keys), "files"))
            self._running.check()
            path = folder / _safe(key.removeprefix(prefix))
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
            with path.open("wb") as file:
                async for block in self._parts.buckets.read(self._tenant, bucket, key):
                    await asyncio.to_thread(file.write, block)

    def settle(
        self, status: Status, *, failure: str = "", repo: str = "", revision: str = "", base: str = ""
    ) -> CustomModel:
        with writing(self._running) as connection:
            found = custom_models.find(connection, self._tenant, self._id)
            now = replace(found, status=status, failure=failure, repo=repo, revision=revision, base=base)
            custom_models.update(connection, now)
        return now


def _safe(path: str) -> PurePosixPath:
    """Raises InvalidRequest for a path that a repository may not have, so for one that leaves its folder."""
    check_path(path)
    return PurePosixPath(path)
