"""Model customization jobs: create, get, list, stop."""

from __future__ import annotations

from typing import Any

from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.customizing.bases import Bases
from craton.customizing.customizations import Customizations, NewCustomization
from craton.customizing.values import Customization, CustomModel, Losses, Phase
from craton.wire.aws.bedrock.custom_models import custom_model_arn
from craton.wire.aws.bedrock.listings import present, read_listing, read_tags
from craton.wire.aws.bedrock.specifying import TYPES, read_logs, read_specification
from craton.wire.aws.handling import Handle, next_token
from craton.wire.aws.names import made_from, model_arn, model_name, resource_arn, resource_id, resource_of
from craton.wire.aws.service import Operation
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request

KIND = "model-customization-job"
STATUSES = {
    "in_progress": "InProgress",
    "stopping": "Stopping",
    "stopped": "Stopped",
    "completed": "Completed",
    "failed": "Failed",
}
_OURS = {theirs: ours for ours, theirs in STATUSES.items()}
_PHASES = {**STATUSES, "not_started": "NotStarted"}
_KEPT = ("roleArn", "trainingDataConfig", "validationDataConfig", "outputDataConfig", "hyperParameters")
_MAX_FAILURE = 2048


class CustomizationJobOperations:
    """Handlers by operation name."""

    def __init__(self, customizations: Customizations, bases: Bases) -> None:
        self._customizations, self._bases = customizations, bases
        self.handlers: dict[str, Handle] = {
            "CreateModelCustomizationJob": self.create,
            "GetModelCustomizationJob": self.get,
            "ListModelCustomizationJobs": self.list,
            "StopModelCustomizationJob": self.stop,
        }

    async def create(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        base = await self._base(request, value["baseModelIdentifier"])
        new = read_customization(value, base, region)
        for name in (new.document.get("teacher"), new.document.get("grader", {}).get("judge")):
            if name:
                await self._bases.writes(request.authenticated, name)
        made = await self._customizations.create(tenant, new, value.get("clientRequestToken", ""))
        return operation.write({"jobArn": job_arn(made, region)})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        found = await self._customizations.get(tenant, resource_id(value["jobIdentifier"], KIND, tenant))
        return operation.write(write_job(found, claimed_region(request)))

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant, region = request.authenticated.tenant, claimed_region(request)
        jobs, cursor = await self._customizations.list(tenant, read_listing(value, _OURS))
        summaries = [_write_summary(job, region) for job in jobs]
        return operation.write({"modelCustomizationJobSummaries": summaries, **next_token(cursor)})

    async def stop(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        await self._customizations.stop(tenant, resource_id(value["jobIdentifier"], KIND, tenant))
        return operation.write({})

    async def _base(self, request: Request, identifier: str) -> str:
        """The name here of what is to be tuned: a foundation model, or a custom model by its ARN."""
        caller = request.authenticated
        named = resource_of(identifier, caller.tenant) if identifier.startswith("arn:") else None
        if named is not None and named.kind == "custom-model":
            return await self._bases.custom(caller, named.id)
        return await self._bases.foundation(caller, model_name(identifier))


def read_customization(value: Json, base: str, region: str) -> NewCustomization:
    """Raises InvalidRequest and Unsupported for what cannot be honoured."""
    if value.get("vpcConfig"):
        raise Unsupported("vpcConfig", "Leave it out: the job runs on this machine and reaches no network.")
    asked = read_specification(value, base)
    bucket, prefix = read_output(value["outputDataConfig"]["s3Uri"])
    extra: Json = {name: value[name] for name in _KEPT if value.get(name)}
    identifier = value["baseModelIdentifier"]
    extra["baseModelArn"] = identifier if identifier.startswith("arn:") else model_arn(base, region)
    extra["customizationType"] = value.get("customizationType", "FINE_TUNING")
    if configuration := value.get("customizationConfig"):
        extra["customizationConfig"] = configuration
    if key := value.get("customModelKmsKeyId"):
        extra["kmsKey"] = key
    return NewCustomization(
        name=value["jobName"],
        output=value["customModelName"],
        method=asked.method,
        base=base,
        document=asked.document,
        bucket=bucket,
        prefix=prefix,
        tags=read_tags(value.get("jobTags")),
        model_tags=read_tags(value.get("customModelTags")),
        extra=extra,
        logs=read_logs(value),
    )


def read_output(uri: str) -> tuple[str, str]:
    """ "s3://bucket/a/b" -> the bucket, and the prefix "a/b/". Raises InvalidRequest."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise InvalidRequest("must be s3://bucket/folder/", "outputDataConfig.s3Uri")
    return bucket, prefix and prefix.rstrip("/") + "/"


def job_arn(job: Customization, region: str) -> str:
    return resource_arn(f"{KIND}/{made_from(job.base)}", job.id, job.tenant, region)


def write_job(job: Customization, region: str) -> Json:
    return {
        **present(
            outputModelArn=_output_arn(job, region),
            failureMessage=job.failure[:_MAX_FAILURE],
            endTime=job.ended_at,
            outputModelKmsKeyArn=job.extra.get("kmsKey"),
            customizationConfig=job.extra.get("customizationConfig"),
        ),
        **write_losses(job.losses),
        "jobArn": job_arn(job, region),
        "jobName": job.name,
        "outputModelName": job.output,
        "roleArn": job.extra["roleArn"],
        "status": STATUSES[job.status],
        "statusDetails": _write_phases(job),
        "creationTime": job.created,
        "lastModifiedTime": job.updated,
        "baseModelArn": job.extra["baseModelArn"],
        "hyperParameters": job.extra.get("hyperParameters", {}),
        "trainingDataConfig": job.extra["trainingDataConfig"],
        "validationDataConfig": job.extra.get("validationDataConfig", {"validators": []}),
        "outputDataConfig": job.extra["outputDataConfig"],
        "customizationType": TYPES[job.method],
    }


def write_losses(losses: Losses) -> Json:
    """trainingMetrics and validationMetrics, as far as they were measured."""
    written: Json = {}
    if losses.training is not None:
        written["trainingMetrics"] = {"trainingLoss": losses.training}
    if losses.validation is not None:
        written["validationMetrics"] = [{"validationLoss": losses.validation}]
    return written


def _write_summary(job: Customization, region: str) -> Json:
    return {
        **present(endTime=job.ended_at, customModelArn=_output_arn(job, region)),
        "jobArn": job_arn(job, region),
        "baseModelArn": job.extra["baseModelArn"],
        "jobName": job.name,
        "status": STATUSES[job.status],
        "statusDetails": _write_phases(job),
        "creationTime": job.created,
        "lastModifiedTime": job.updated,
        "customModelName": job.output,
        "customizationType": TYPES[job.method],
    }


def _output_arn(job: Customization, region: str) -> str:
    if not job.model:
        return ""
    made = CustomModel(job.model, job.tenant, job.output, "active", job.created, base=job.base, customization=job.id)
    return custom_model_arn(made, region)


def _write_phases(job: Customization) -> Json:
    phases = job.phases
    return {
        "dataProcessingDetails": _write_phase(phases.processing),
        "trainingDetails": _write_phase(phases.training),
        "validationDetails": _write_phase(phases.validation),
    }


def _write_phase(phase: Phase) -> Json:
    times: dict[str, Any] = present(creationTime=phase.started, lastModifiedTime=phase.updated)
    return {"status": _PHASES[phase.status], **times}
