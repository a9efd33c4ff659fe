"""Imports, copies and conversion, put together: for the server, and for the processes of its jobs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from craton.app.platform import Platform
from craton.conversion.orders import KIND, QuantiseOrder, check_order, gguf_of
from craton.core.job import Job, JobSpec
from craton.customizing.importing.copying import Copies
from craton.customizing.importing.imports import Imports
from craton.wire.aws.bedrock.copy_jobs import CopyJobOperations
from craton.wire.aws.bedrock.import_jobs import ImportJobOperations
from craton.wire.aws.bedrock.imported_models import ImportedModelOperations
from craton.wire.aws.bedrock.tags import Find
from craton.wire.aws.handling import Handle
from craton.wire.native_models import ModelsDialect

if TYPE_CHECKING:
    from craton.conversion.job import QuantiseParts
    from craton.customizing.importing.job import ImportParts


class RunningImports:
    """`handlers` of the service bedrock. owners: how what has tags is found, by the kind that its ARN names."""

    def __init__(self, platform: Platform, forget: Callable[[], None]) -> None:
        """forget: names of models are asked anew."""
        imports = Imports(platform.hub, platform.jobs, forget, time.time)
        copies = Copies(platform.hub, time.time)
        self.handlers: Mapping[str, Handle] = {
            **ImportJobOperations(imports).handlers,
            **ImportedModelOperations(imports).handlers,
            **CopyJobOperations(copies).handlers,
        }
        self.owners: Mapping[str, Find] = {
            "imported-model": imports.model,
            "model-copy-job": copies.get,
            "model-import-job": imports.get,
        }


def import_parts(platform: Platform) -> ImportParts:
    from craton.conversion.preparing import prepare
    from craton.customizing.importing.job import ImportParts
    from craton.hub.reaching import Reaching
    from craton.training.repositories import Checkouts

    checkouts = Checkouts(platform.hub, Reaching(platform.database))
    folder = platform.home.path / "importing"
    return ImportParts(platform.hub, platform.buckets, checkouts, prepare, folder, time.time)


def open_quantising(platform: Platform) -> ModelsDialect:
    def submit(tenant: str, order: QuantiseOrder) -> Job:
        check_order(order)
        gguf_of(platform.catalog.resolve(tenant, order.model), order.model)
        spec = JobSpec(tenant, KIND, msgspec.to_builtins(order), f"{order.model} -> {order.name} ({order.to})")
        with platform.database.write() as connection:
            return platform.jobs.submit(connection, spec)

    return ModelsDialect(lambda tenant, order: asyncio.to_thread(submit, tenant, order))


def quantise_parts(platform: Platform) -> QuantiseParts:
    from craton.conversion.job import QuantiseParts

    return QuantiseParts(platform.hub, platform.catalog, platform.blobs.path)
