"""What the operations of batches share: addresses in buckets, ARNs, listings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from craton.batch.values import Batch, Listing, Objects, Status
from craton.buckets.names import parse_s3_uri
from craton.core.chat import Json
from craton.core.errors import InvalidRequest, Unsupported
from craton.core.model import ModelInfo
from craton.wire.aws.answering import refuse_invoke
from craton.wire.aws.names import resource_arn
from craton.wire.aws.sigv4 import claimed_region
from craton.wire.http import Request

CONVERSE, INVOKE = "Converse", "InvokeModel"
"""In whose words records are written: what an order's `mode` is."""


def read_objects(uri: str, field: str) -> Objects:
    """Of "s3://bucket/key". Raises InvalidRequest that names the field, TooLarge."""
    try:
        return Objects(*parse_s3_uri(uri))
    except InvalidRequest as error:
        raise InvalidRequest(error.reason, field) from None


def read_listing(value: Json, statuses: Sequence[Status]) -> Listing:
    return Listing(
        size=value.get("maxResults", 100),
        cursor=value.get("nextToken", ""),
        statuses=tuple(statuses),
        name=value.get("nameContains", ""),
        since=_seconds(value.get("submitTimeAfter")),
        until=_seconds(value.get("submitTimeBefore")),
        ascending=value.get("sortOrder") == "Ascending",
    )


def refuse_mode(model: ModelInfo, mode: str) -> None:
    """A batch that no record of can be answered is refused before it begins. Raises Unsupported."""
    if mode == CONVERSE and "chat" not in model.verbs:
        raise Unsupported(f"Converse with the model {model.id!r}", "It does not chat.")
    if mode == INVOKE:
        refuse_invoke(model)


def arn_of_batch(kind: str, batch: Batch, request: Request) -> str:
    return resource_arn(kind, batch.id, batch.tenant, claimed_region(request))


def when(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
