"""The code of a run that tunes: records brought here, the method, the repository written, published.

The result is loaded again in a fresh process by the method itself, before it returns.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from craton.core.chat import Json
from craton.core.errors import StorageFull
from craton.core.job import Running
from craton.training.artifacts.writing import write_facts
from craton.training.disk import is_full
from craton.training.ending import finish
from craton.training.specification.reading import read_tuning
from craton.training.specification.tuning import Tuned
from craton.training.tuning.card import write_card
from craton.training.tuning.given import Given
from craton.training.tuning.methods import Train, trainer_for
from craton.training.tuning.sources import Pinned, pinned_in

if TYPE_CHECKING:
    from craton.training.running import TrainingParts

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
QUIET = {"TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"}


async def tune(running: Running, arguments: Json, parts: TrainingParts) -> Json:
    """arguments: {"specification", "pinned", "pinned_validation", "pinned_base"}. Raises InvalidRequest, Conflict when
    the gate does not hold or the data changed, StorageFull, and what methods raise."""
    spec, pinned, tenant = read_tuning(arguments["specification"]), pinned_in(arguments), running.job.tenant
    if not pinned.data:
        pinned = await parts.sources.pin(tenant, spec)
    os.environ.update(OFFLINE | QUIET)  # of this process alone, before a library of theirs is imported
    importing = asyncio.ensure_future(asyncio.to_thread(trainer_for, spec))
    folder = Path(tempfile.mkdtemp(prefix="craton-records-"))
    try:
        data = spec.data
        train = await parts.sources.open(tenant, pinned.data, data, data.part, folder, "data.ref")
        validation = None
        if pinned.validation:
            validation = await parts.sources.open(tenant, pinned.validation, data, data.part, folder, "data.validation")
        given = Given(train, validation, pinned.base)
        return await asyncio.to_thread(_work, running, spec, pinned, given, await importing, parts)
    except Exception as error:
        if is_full(error):
            raise StorageFull() from error
        raise
    finally:
        await asyncio.wait([importing])
        shutil.rmtree(folder, ignore_errors=True)


def _work(running: Running, spec: Tuned, pinned: Pinned, given: Given, method: Train, parts: TrainingParts) -> Json:
    run = parts.start_run(running, spec)
    folder = None
    try:
        dataset, _, revision = pinned.data.removeprefix("datasets/").partition("@")
        run.begin(*((dataset, revision) if pinned.data.startswith("datasets/") else ("", "")))
        trained = method(spec, given, run)
        folder = trained.folder
        assert folder is not None
        for name, value in trained.metrics.items():
            run.metric(name, value)
        write_facts(folder, spec, trained)
        write_card(folder, spec, trained, pinned, running.job.id, run.warnings)
        published = finish(running, spec, trained, folder, run, parts)
    finally:
        run.close()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    result: Json = {"metrics": trained.metrics, "warnings": run.warnings, "data": pinned.data, "tuned": True}
    return result | ({"model": spec.output.model, "revision": published} if published else {})
