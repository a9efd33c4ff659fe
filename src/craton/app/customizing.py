"""Customization, put together: for the server, and for the processes of its jobs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from craton.app.conversion import RunningImports
from craton.app.models import RunningModels
from craton.app.platform import Platform
from craton.core.chat import Json
from craton.core.errors import NotFound
from craton.core.job import Running
from craton.core.model import ModelInfo
from craton.core.repo import RepoId
from craton.customizing.bases import Bases
from craton.customizing.customizations import Customizations
from craton.customizing.deployments import Deployments
from craton.customizing.models import CustomModels
from craton.customizing.preparing import Preparing, Train
from craton.customizing.tags import Tags
from craton.customizing.tending import Tending
from craton.customizing.throughputs import Throughputs
from craton.hub.reaching import Reaching
from craton.training.repositories import Checkouts
from craton.wire.aws.bedrock.custom_models import CustomModelOperations
from craton.wire.aws.bedrock.customization_jobs import CustomizationJobOperations
from craton.wire.aws.bedrock.deployments import DeploymentOperations
from craton.wire.aws.bedrock.provisioned import ProvisionedOperations
from craton.wire.aws.bedrock.tags import Find, TagOperations
from craton.wire.aws.handling import Handle

if TYPE_CHECKING:
    from craton.customizing.bringing import BringParts
    from craton.customizing.job import CustomizeParts


class RunningCustomizing:
    """`operations` of the service bedrock. `start` before they are asked, `close` at the end. train: what makes the
    arguments of a training. tagged: what else can have tags there, by kind, as `bedrock.tags` finds it."""

    def __init__(
        self, platform: Platform, models: RunningModels, train: Train, tagged: Mapping[str, Find] = MappingProxyType({})
    ) -> None:
        database, jobs, clock = platform.database, platform.jobs, time.time

        async def find(tenant: str, name: str) -> ModelInfo:
            return (await models.directory.find(tenant, name)).info

        self._tending = Tending(database, models.directory, models.pool, clock)
        customizations = Customizations(database, jobs, Preparing(platform.buckets, train), clock)
        custom_models = CustomModels(platform.hub, jobs, clock)
        deployments = Deployments(database, self._tending.changed, clock)
        throughputs = Throughputs(database, find, self._tending.changed, clock)
        imports = RunningImports(platform, models.directory.forget)
        owners = {
            **imports.owners,
            **tagged,
            "model-customization-job": customizations.get,
            "custom-model": custom_models.get,
            "custom-model-deployment": deployments.get,
            "provisioned-model": throughputs.get,
        }
        self.operations: Mapping[str, Handle] = {
            **CustomizationJobOperations(customizations, Bases(models.inference, custom_models)).handlers,
            **CustomModelOperations(custom_models, customizations).handlers,
            **DeploymentOperations(deployments).handlers,
            **ProvisionedOperations(throughputs).handlers,
            **imports.handlers,
            **TagOperations(Tags(database), owners).handlers,
        }

    def start(self) -> None:
        self._tending.start()

    async def close(self) -> None:
        await self._tending.close()


def bring_parts(platform: Platform) -> BringParts:
    from craton.conversion.preparing import prepare
    from craton.customizing.bringing import BringParts

    checkouts = Checkouts(platform.hub, Reaching(platform.database))
    return BringParts(platform.hub, platform.catalog, platform.buckets, checkouts, prepare)


@asynccontextmanager
async def customize_parts(platform: Platform) -> AsyncIterator[CustomizeParts]:
    from craton.app.training import training_parts
    from craton.customizing.curves import Curves
    from craton.customizing.job import CustomizeParts
    from craton.training.running import train

    async with training_parts(platform) as parts:

        async def run(running: Running, arguments: Json) -> Json:
            return await train(running, arguments, parts)

        def discard(tenant: str, path: str) -> None:
            namespace, _, name = path.partition("/")
            with suppress(NotFound):
                platform.hub.delete(tenant, RepoId("model", namespace, name))

        yield CustomizeParts(platform.database, run, Curves(platform.database, platform.buckets), discard)
