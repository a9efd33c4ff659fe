"""The code of an import job: fetched, converted, checked, and only then a repository of the tenant's.

Killed anywhere it goes on where it was: the files lie in a folder of the job's own until it ends.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from craton.buckets.buckets import Buckets
from craton.core.chat import Json
from craton.core.errors import CratonError, StorageFull, Unsupported
from craton.core.job import JobCancelled, JobLost, Progress, Running
from craton.core.model import ModelInfo
from craton.core.repo import RepoId, TreeEntry
from craton.customizing.importing.fetching import check_weights, fetch
from craton.customizing.importing.imports import NAMESPACE
from craton.customizing.importing.rows import import_jobs, imported_models
from craton.customizing.importing.values import ImportedModel, ImportJob
from craton.customizing.rows import new_id, writing
from craton.customizing.tags import Tags
from craton.hub.describing import describe
from craton.hub.importing import is_safe
from craton.hub.repositories import Hub
from craton.store.files import FULL
from craton.training.artifacts.publishing import publish
from craton.training.repositories import Checkouts

AUTHOR = "craton"
LARGE_NOTE = 500  # characters

Prepare = Callable[[Path], str]
"""Makes of a folder with a model what is served here; why it has no GGUF file then, or "". Blocks."""


@dataclass(frozen=True, slots=True)
class ImportParts:
    """prepare: see above. folder: for what is fetched. clock: seconds since the epoch."""

    hub: Hub
    buckets: Buckets
    checkouts: Checkouts
    prepare: Prepare
    folder: Path
    clock: Callable[[], float]


async def import_model(running: Running, arguments: Json, parts: ImportParts) -> Json:
    """arguments: {"import": its id}. Raises what the source raises, Damaged and Unsupported with the reason."""
    importing = _Importing(running, str(arguments["import"]), parts)
    folder = parts.folder / running.job.id
    try:
        found = await asyncio.to_thread(importing.found)
        if found.status == "in_progress":
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
            found = await importing.work(found, folder)
    except JobLost:
        raise  # another process goes on in the same folder
    except JobCancelled:
        await asyncio.to_thread(importing.fail, "It was stopped.")
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise
    except CratonError as error:
        await asyncio.to_thread(importing.fail, str(error))
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StorageFull() from error
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return {"model": f"{NAMESPACE}/{found.output}"}


class _Importing:
    def __init__(self, running: Running, id: str, parts: ImportParts) -> None:
        self._running, self._id, self._parts = running, id, parts
        self._tenant = running.job.tenant

    def found(self) -> ImportJob:
        with self._parts.hub.database.read() as connection:
            return import_jobs.find(connection, self._tenant, self._id)

    async def work(self, job: ImportJob, folder: Path) -> ImportJob:
        if job.source.startswith("hf://"):
            ref = job.source.removeprefix("hf://")
            await asyncio.to_thread(self._check_out, ref, folder)
        else:
            await fetch(self._running, self._parts.buckets, job.source, folder)
        self._running.check()
        self._running.report(Progress(message="converting"))
        given = await asyncio.to_thread(_has_template, folder)
        note = await asyncio.to_thread(self._parts.prepare, folder)
        self._running.check()
        info = await asyncio.to_thread(described, job.output, folder)
        if not info.verbs:
            reason = str((info.details or {}).get("refused") or "no engine here runs it")
            raise Unsupported(f"The model in {job.source}", f"{reason}. {note}".strip())
        repo = RepoId("model", NAMESPACE, job.output)
        revision = await asyncio.to_thread(self._publish, repo, folder)
        return await asyncio.to_thread(self._complete, repo, revision, info, given, note)

    def _check_out(self, ref: str, folder: Path) -> None:
        self._parts.checkouts.check_out(self._tenant, "model", ref, folder)
        left = [path for path in folder.rglob("*") if path.is_file() and not is_safe(path.name)]
        for path in left:  # programs and pickles stay outside
            path.unlink()
        check_weights(ref, {path.name for path in folder.iterdir()}, [path.name for path in left])

    def _publish(self, repo: RepoId, folder: Path) -> str:
        hub, job = self._parts.hub, self._running.job
        return publish(hub, self._tenant, AUTHOR, repo, "main", folder, job.id, private=True)

    def _complete(self, repo: RepoId, revision: str, info: ModelInfo, given: bool, note: str) -> ImportJob:
        with writing(self._running) as connection:
            job = import_jobs.find(connection, self._tenant, self._id)
            now = self._parts.clock()
            model = ImportedModel(
                new_id(),
                self._tenant,
                job.output,
                now,
                repo.path,
                revision,
                info.architecture,
                given,
                job.source,
                job.id,
                job.name,
                note[:LARGE_NOTE] if info.engine == "transformers" else "",
                {name: job.extra[name] for name in ("kms",) if name in job.extra},
            )
            imported_models.insert(connection, model)
            Tags.put(connection, self._tenant, f"imported-model/{model.id}", job.extra.get("modelTags", {}))
            done = replace(job, status="completed", model=model.id, updated=now, ended=now)
            import_jobs.update(connection, done)
        return done

    def fail(self, failure: str) -> None:
        with writing(self._running) as connection:
            job = import_jobs.find(connection, self._tenant, self._id)
            now = self._parts.clock()
            if job.status == "in_progress":
                failed = replace(job, status="failed", failure=failure, updated=now, ended=now)
                import_jobs.update(connection, failed)


def described(name: str, folder: Path) -> ModelInfo:
    """What the folder is as a model, before it is one of the hub's. Raises Damaged."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    entries = {name: TreeEntry(name, name, path.stat().st_size, "") for name, path in paths.items()}
    return describe(name, entries, lambda digest: paths[digest])


def _has_template(folder: Path) -> bool:
    """Whether the model came with a chat template of its own."""
    return bool(described("model", folder).chat_template)
