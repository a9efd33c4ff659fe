"""The S3 dialect: every operation of S3's service model, done or refused by its name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from craton.buckets.buckets import Buckets
from craton.buckets.digests import ALGORITHMS, Digests
from craton.core.access import Action
from craton.wire.aws.model import ServiceModel, load_models
from craton.wire.aws.reading import Decoders
from craton.wire.aws.s3.buckets import EMPTY, NOT_SET, BucketHandlers
from craton.wire.aws.s3.describing import check_md5, md5_of
from craton.wire.aws.s3.errors import not_implemented, write_error
from craton.wire.aws.s3.listing import ListingHandlers
from craton.wire.aws.s3.multipart import MultipartHandlers
from craton.wire.aws.s3.objects import ObjectHandlers
from craton.wire.aws.s3.operation import Operation
from craton.wire.aws.s3.router import DOMAINS, Claim, S3Router
from craton.wire.aws.xml import XmlShapes
from craton.wire.http import Handler, Reply, Request, Route

Handle = Callable[[Operation, Request, dict[str, Any]], Awaitable[Reply]]

SERVICE = "s3"
NEVER_SET = "cannot be set here, which is what it answers"
MAX_OBJECT = 5 * 2**30  # bytes of one PUT, as S3 has it
MAX_FRAMING = 2**26  # bytes more, where it comes in signed chunks
MAX_BODY = 4 * 2**20  # of an XML document
STREAMED = frozenset({"PutObject", "UploadPart"})
# The model has older names for these, on the same requests; and S3 Express alone has directory buckets.
_SUPERSEDED = frozenset(
    {
        "GetBucketLifecycle",
        "GetBucketNotification",
        "PutBucketLifecycle",
        "PutBucketNotification",
        "ListDirectoryBuckets",
    }
)
# The same request as an operation that is done; their client sends another host, or a header that tells them apart.
_ELSEWHERE = frozenset({"WriteGetObjectResponse"})


class S3Dialect:
    """buckets: where the objects are. domains: hosts below which first labels name buckets (".localhost")."""

    name = "s3"

    def __init__(self, buckets: Buckets, model: ServiceModel | None = None, domains: tuple[str, ...] = DOMAINS) -> None:
        model = model or load_models((SERVICE,))[SERVICE]
        xml, decoders = XmlShapes(model), Decoders(model)
        self._handlers: Mapping[str, Handle] = {
            **BucketHandlers(buckets).handlers,
            **ListingHandlers(buckets).handlers,
            **ObjectHandlers(buckets).handlers,
            **MultipartHandlers(buckets).handlers,
        }
        operations = [
            Operation(model, operation, xml, decoders)
            for name, operation in model.operations.items()
            if name not in _SUPERSEDED | _ELSEWHERE
        ]
        self.router = S3Router([Claim(self._route(operation), *operation.needs) for operation in operations], domains)

    def routes(self) -> list[Route]:
        return self.router.routes

    def _route(self, operation: Operation) -> Route:
        handle = self._handlers.get(operation.name)
        streams = operation.name in STREAMED
        return Route(
            method=operation.method,
            pattern=operation.pattern,
            dialect=self.name,
            operation=operation.name,
            handler=_answering(operation, handle) if handle else _refusing(operation),
            write_error=write_error,
            action=Action.READ if operation.method in {"GET", "HEAD"} else Action.WRITE,
            status="real" if handle else "refused",
            max_body=MAX_OBJECT + MAX_FRAMING if streams else MAX_BODY,
            note=NEVER_SET if operation.name in {*NOT_SET, *EMPTY} else SERVICE,
            streams=streams,
        )


def _answering(operation: Operation, handle: Handle) -> Handler:
    async def answer(request: Request) -> Reply:
        value = operation.parse(request)
        if request.body:
            await asyncio.to_thread(_check_body, operation, request)
        reply = await handle(operation, request, value)
        reply.headers["x-amz-request-id"] = request.request_id
        return reply

    return answer


def _check_body(operation: Operation, request: Request) -> None:
    """The checksums that a document was sent with. Raises Damaged, S3Error."""
    sent = {name: request.headers.get(f"x-amz-checksum-{name}", "") for name in ALGORITHMS}
    if operation.name == "CompleteMultipartUpload":
        sent = {}  # there they are of the object, not of the document
    digests = Digests(name for name, value in sent.items() if value)
    digests.update(request.body)
    digests.check({name: value for name, value in sent.items() if value})
    check_md5(md5_of(request.headers.get("content-md5", "")), digests)


def _refusing(operation: Operation) -> Handler:
    async def refuse(_request: Request) -> Reply:
        raise not_implemented(f"The operation {operation.name}")

    return refuse
