"""The composition root: everything is built here, by constructor arguments, and nothing is global."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from craton.access.bookkeeping import Bookkeeping
from craton.app.backstage import Backstage
from craton.app.batching import RunningBatches
from craton.app.bodies import chat_bodies
from craton.app.clusters import clusters
from craton.app.conversion import open_quantising
from craton.app.customizing import RunningCustomizing
from craton.app.fitting import describe_fit
from craton.app.hub import RunningHub
from craton.app.inspecting import open_inspector
from craton.app.knowledge import RunningKnowledge
from craton.app.models import RunningModels
from craton.app.platform import Platform, request_ids
from craton.app.training import open_runs, open_trainings
from craton.children.process import sweep_folders
from craton.jobs.executor import ExecutorLimits, LocalExecutor, default_at_once
from craton.serve.spans import Spans
from craton.serve.telemetry import Fanout, Metrics
from craton.wire.anthropic.dialect import AnthropicDialect
from craton.wire.anthropic.errors import write_error as write_anthropic_error
from craton.wire.authentication import Authenticator
from craton.wire.aws.beside.dialect import BesideDialect
from craton.wire.aws.dialect import AwsDialect
from craton.wire.aws.refusals import SPOKEN_SERVICES, refuse_service, write_unrouted
from craton.wire.aws.s3.dialect import S3Dialect
from craton.wire.aws.s3.router import DOMAINS
from craton.wire.fallback import Fallback
from craton.wire.gateway import Gateway
from craton.wire.http import Request, Route
from craton.wire.huggingface.viewer_host import ViewerHost
from craton.wire.native import NativeDialect
from craton.wire.native_inspecting import InspectingDialect
from craton.wire.native_jobs import JobsDialect
from craton.wire.native_knowledge import NativeKnowledge
from craton.wire.native_measuring import MeasuringDialect
from craton.wire.native_predicting import PredictingDialect
from craton.wire.native_reranking import RerankingDialect
from craton.wire.native_training import TrainingDialect
from craton.wire.openai.dialect import OpenAIDialect
from craton.wire.openai.errors import write_error as write_openai_error
from craton.wire.openinference.dialect import OpenInferenceDialect
from craton.wire.router import Router
from craton.wire.services import ServiceRouter

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("craton")


class Server:
    """Everything that answers requests: `gateway` is the ASGI application."""

    def __init__(self, platform: Platform, environment: Mapping[str, str]) -> None:
        settings = platform.settings
        self._platform = platform
        self._metrics = Metrics()
        self._spans = Spans.from_environment(environment)
        self._models = RunningModels(platform, Fanout([self._metrics, *([self._spans] if self._spans else [])]))
        self._backstage = Backstage(
            self._models.directory,
            self._models.pool,
            platform.history,
            self._metrics,
            lambda info: describe_fit(info, settings),
            lambda: self._hub.keeping.health,
            self._models.drift,
        )
        self._knowledge = RunningKnowledge(platform, self._models)
        self._hub = RunningHub(platform, self._models.outgoing.get, self._models.inference)
        self._trainings = open_trainings(platform, self._hub.viewer.viewer)
        self._batches = RunningBatches(platform, self._models.inference)
        self._customizing = RunningCustomizing(platform, self._models, self._trainings.prepare, self._batches.owners)
        self._inspector = open_inspector(platform, self._models)
        self._executor = _executor(platform, environment, self._models.outgoing.get)
        self.router = Router(self._routes())
        beside = BesideDialect(Bookkeeping(platform.database))
        bucket_domains = (*DOMAINS, *(f".{domain}" for domain in settings.server.domains))
        self.services = ServiceRouter(
            ViewerHost(self.router, self._hub.viewer.hosted),
            {
                "s3": S3Dialect(platform.buckets, domains=bucket_domains).router,
                **beside.tables,
            },
        )
        self.gateway = Gateway(
            self.services,
            Authenticator(platform.keys, time.time, self._hub.passes, strangers=platform.settings.hub.anonymous),
            Fallback(write_unrouted, write_anthropic_error, write_openai_error, SPOKEN_SERVICES, refuse_service),
            lifecycle=self,
            observer=self,
            new_id=request_ids(),
        )

    def _routes(self) -> list[Route]:
        dialects = (
            AwsDialect(
                self._models.inference,
                self._knowledge.knowledge,
                more=[("bedrock", self._customizing.operations), *self._batches.handlers],
                bodies=chat_bodies(self._models.inference),
            ),
            OpenAIDialect(self._models.inference, time.time),
            AnthropicDialect(self._models.inference),
            NativeDialect(self._backstage),
            PredictingDialect(self._models.inference),
            InspectingDialect(self._inspector),
            OpenInferenceDialect(self._models.inference, lambda: self._backstage.accepting),
            JobsDialect(self._platform.jobs),
            TrainingDialect(self._trainings, self._platform.jobs),
            open_quantising(self._platform),
            *open_runs(self._platform),
            NativeKnowledge(self._knowledge.knowledge),
            MeasuringDialect(self._knowledge.knowledge.measuring),
            RerankingDialect(self._knowledge.knowledge.ranking),
            self._hub.dialect,
            self._hub.viewer.native,
        )
        return [route for dialect in dialects for route in dialect.routes()]

    async def start(self) -> None:
        await asyncio.to_thread(sweep_folders)
        await asyncio.to_thread(self._platform.buckets.sweep)
        await self._models.start(warm=True)
        self._knowledge.start()
        self._hub.start()
        self._customizing.start()
        self._executor.start()
        self._backstage.accepting = True

    async def stop(self) -> None:
        self._backstage.accepting = False
        await self._executor.stop()
        await self._customizing.close()
        await self._hub.stop()
        await self._knowledge.close()
        await self._inspector.close()
        await self._models.close()
        if self._spans is not None:
            self._spans.close()

    def request_finished(self, request: Request, route: Route | None, status: int, seconds: float) -> None:
        dialect, operation = (route.dialect, route.operation) if route else ("", "unknown")
        self._metrics.answered(dialect, operation, status, seconds)
        if log.isEnabledFor(logging.INFO):
            log.info(
                "request",
                extra={
                    "request_id": request.request_id,
                    "method": request.method,
                    "path": request.path[:300],
                    "dialect": dialect,
                    "operation": operation,
                    "status": status,
                    "ms": round(seconds * 1000, 2),
                    "key": request.caller.key_id if request.caller else "",
                    "tenant": request.caller.tenant if request.caller else "",
                },
            )


def _executor(
    platform: Platform, environment: Mapping[str, str], client: Callable[[], httpx.AsyncClient]
) -> LocalExecutor:
    settings = platform.settings.jobs
    command = (sys.executable, "-s", "-P", "-m", "craton", "job", "run")
    limits = ExecutorLimits(settings.at_once or default_at_once(), settings.attempts, days=settings.days)
    variables = {"CRATON_HOME": str(platform.home.path)}
    return LocalExecutor(platform.jobs, command, environment, variables, limits, clusters(platform, client))
