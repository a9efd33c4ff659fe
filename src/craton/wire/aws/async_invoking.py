"""Asynchronous invocation: one body for a model, whose answer becomes an object of a bucket."""

from __future__ import annotations

import msgspec

from craton.batch.batches import Batches
from craton.batch.values import Batch, Order, Status
from craton.core.chat import Json
from craton.core.errors import NotFound
from craton.serve.inference import Serving
from craton.wire.aws.batches import INVOKE, arn_of_batch, read_listing, read_objects, refuse_mode, when
from craton.wire.aws.bedrock.listings import present, read_tags
from craton.wire.aws.handling import Handle, next_token
from craton.wire.aws.names import model_arn, model_name, resource_id
from craton.wire.aws.service import Operation
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Reply, Request

RESOURCE = "async-invoke"
HINT = "The models that are here are in ListFoundationModels; those that make media are not among them."
_MAX_MESSAGE = 2048

_STATUSES: dict[str, tuple[Status, ...]] = {
    "Completed": ("completed",),
    "Failed": ("failed", "stopped", "expired"),
    "InProgress": ("submitted", "validating", "running", "stopping"),
}
_WORDS = {status: word for word, statuses in _STATUSES.items() for status in statuses}


class AsyncInvokeOperations:
    """Handlers by operation name."""

    def __init__(self, batches: Batches, serving: Serving) -> None:
        self._batches, self._serving = batches, serving
        self.handlers: dict[str, Handle] = {
            "StartAsyncInvoke": self.start,
            "GetAsyncInvoke": self.get,
            "ListAsyncInvokes": self.list,
        }

    async def start(self, operation: Operation, request: Request, value: Json) -> Reply:
        caller = request.authenticated
        try:
            model = await self._serving.model(caller, model_name(value["modelId"]))
        except NotFound as error:
            raise NotFound(error.kind, error.name, HINT) from None
        refuse_mode(model, INVOKE)
        order = Order(
            name="",
            model=value["modelId"],
            mode=INVOKE,
            output=read_objects(
                value["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"], "outputDataConfig.s3OutputDataConfig.s3Uri"
            ),
            key_id=caller.key_id,
            extra={"outputDataConfig": value["outputDataConfig"]},
        )
        body, token = msgspec.json.encode(value["modelInput"]), value.get("clientRequestToken", "")
        batch = await self._batches.create(caller.tenant, order, body, token, read_tags(value.get("tags")))
        return operation.write({"invocationArn": arn_of_batch(RESOURCE, batch, request)})

    async def get(self, operation: Operation, request: Request, value: Json) -> Reply:
        tenant = request.authenticated.tenant
        batch = await self._batches.get(tenant, resource_id(value["invocationArn"], RESOURCE, tenant))
        return operation.write(_write(batch, request))

    async def list(self, operation: Operation, request: Request, value: Json) -> Reply:
        listing = read_listing(value, _STATUSES.get(value.get("statusEquals", ""), ()))
        batches, cursor = await self._batches.list(request.authenticated.tenant, listing)
        return operation.write(
            {"asyncInvokeSummaries": [_write(one, request) for one in batches], **next_token(cursor)}
        )


def _write(batch: Batch, request: Request) -> Json:
    stopped = "It was cancelled." if batch.status == "stopped" else ""
    return present(
        invocationArn=arn_of_batch(RESOURCE, batch, request),
        modelArn=_model_arn(batch.order.model, claimed_region(request)),
        clientRequestToken=batch.token,
        status=_WORDS[batch.status],
        failureMessage=(batch.message or stopped)[:_MAX_MESSAGE],
        submitTime=when(batch.created),
        lastModifiedTime=when(batch.updated),
        endTime=when(batch.ended),
        **batch.order.extra,
    )


def _model_arn(model: str, region: str) -> str:
    return model if model.startswith("arn:") else model_arn(model, region)
