"""Batch inference: model invocation jobs, which ask a model all records of a bucket's objects."""

from __future__ import annotations

from craton.batch.batches import Batches
from craton.batch.values import Batch, Order, Status
from craton.core.chat import Json
from craton.serve.inference import Serving
from craton.wire.aws.batches import INVOKE, arn_of_batch, read_listing, read_objects, refuse_mode, when
from craton.wire.aws.bedrock.listings import present, read_tags
from craton.wire.aws.handling import Handle, next_token
from craton.wire.aws.names import model_name, resource_id
from craton.wire.aws.service import Operation
from craton.wire.http import Reply, Request

RESOURCE = "model-invocation-job"
DEFAULT_HOURS = 24
_MAX_MESSAGE = 2048

STATUSES: dict[Status, str] = {
    "submitted": "Submitted",
    "validating": "Validating",
    "running": "InProgress",
    "stopping": "Stopping",
    "stopped": "Stopped",
    "partial": "PartiallyCompleted",
    "completed": "Completed",
    "failed": "Failed",
    "expired": "Expired",
}
_READ = {word: status for status, word in STATUSES.items()}
_KEPT = ("roleArn", "inputDataConfig", "outputDataConfig", "vpcConfig", "timeoutDurationInHours")
"""Members that are given back as they came. Roles, keys, networks and owners of buckets are bookkeeping."""


class InvocationJobOperations:
    """Handlers by operation name."""

    def __init__(self, batches: Batches, serving: Serving) -> None:
        self._batches, self._serving = batches, serving
        self.handlers: dict[str, Handle] = {
            "CreateModelInvocationJob": self.create,
            "GetModelInvocationJob": self.get,
            "ListModelInvocationJobs": self.list,
            "StopModelInvocationJob": self.stop,
        }

    async def create(self, operation: Operation, request: Request, value: Json) -> Reply:
        caller = request.authenticated
        mode = value.get("modelInvocationType", INVOKE)
        refuse_mode(await self._serving.model(caller, model_name(value["modelId"])), mode)
        hours = value.get("timeoutDurationInHours", DEFAULT_HOURS)
        given = value["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
        wanted = value["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"]
        order = Order(
            name=value["jobName"],
            model=value["modelId"],
            mode=mode,
            output=read_objects(wanted, "outputDataConfig.s3OutputDataConfig.s3Uri"),
            input=read_objects(given, "inputDataConfig.s3InputDataConfig.s3Uri"),
            seconds=hours * 3600.0,
            key_id=caller.key_id,
            extra={**{name: value[name] for name in _KEPT if name in value}, "timeoutDurationInHours": hours},
        )
        token, tags = value.get("clientRequestToken", ""), read_tags(value.get("tags"))
        batch = await self._batches.create(caller.tenant, order, token=token, tags=tags)
        return operation.write({"jobArn": arn_of_batch(RESOURCE, batch, request)})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        batch = await self._batches.get(tenant, resource_id(value["jobIdentifier"], RESOURCE, tenant))
        return operation.write(_write(batch, request))

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        status = value.get("statusEquals")
        if status is not None and status not in _READ:
            return operation.write({"invocationJobSummaries": []})  # "Scheduled": nothing here is ever that
        listing = read_listing(value, (_READ[status],) if status else ())
        batches, cursor = await self._batches.list(request.authenticated.tenant, listing)
        summaries = [_write(batch, request) for batch in batches]
        return operation.write({"invocationJobSummaries": summaries, **next_token(cursor)})

    async def stop(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        await self._batches.stop(tenant, resource_id(value["jobIdentifier"], RESOURCE, tenant))
        return operation.write({})


def _write(batch: Batch, request: Request) -> Json:
    counts = batch.counts
    return present(
        jobArn=arn_of_batch(RESOURCE, batch, request),
        jobName=batch.order.name,
        modelId=batch.order.model,
        clientRequestToken=batch.token,
        status=STATUSES[batch.status],
        message=batch.message[:_MAX_MESSAGE],
        submitTime=when(batch.created),
        lastModifiedTime=when(batch.updated),
        endTime=when(batch.ended),
        jobExpirationTime=when(batch.expires),
        modelInvocationType=batch.order.mode,
        totalRecordCount=counts.total,
        processedRecordCount=counts.done,
        successRecordCount=counts.succeeded,
        errorRecordCount=counts.failed,
        **batch.order.extra,
    )
