"""Handlers for buckets: made, found, listed, deleted; and what S3 truthfully says of a bucket without settings."""

from __future__ import annotations

import asyncio
from typing import Any

from craton.buckets.buckets import Buckets
from craton.buckets.values import Bucket, Place
from craton.core.access import Caller
from craton.core.errors import Conflict
from craton.wire.aws.names import DEFAULT_REGION
from craton.wire.aws.s3.describing import moment
from craton.wire.aws.s3.errors import S3Error
from craton.wire.aws.s3.operation import NAMESPACE, Operation, refuse_members
from craton.wire.aws.s3.owner import check_owner, owner_of
from craton.wire.aws.xml import document
from craton.wire.http import Reply, Request

Value = dict[str, Any]

# What a bucket does not have here is answered as S3 does for one on which it was never set.
NOT_SET = {
    "GetBucketCors": "NoSuchCORSConfiguration",
    "GetBucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
    "GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "GetBucketOwnershipControls": "OwnershipControlsNotFoundError",
    "GetBucketPolicy": "NoSuchBucketPolicy",
    "GetBucketReplication": "ReplicationConfigurationNotFoundError",
    "GetBucketTagging": "NoSuchTagSet",
    "GetBucketWebsite": "NoSuchWebsiteConfiguration",
    "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
    "GetPublicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
}
EMPTY = ("GetBucketAccelerateConfiguration", "GetBucketLogging", "GetBucketNotificationConfiguration",
         "GetBucketVersioning")  # fmt: skip
_CREATE = frozenset({"Bucket", "CreateBucketConfiguration", "ObjectOwnership"})
_CONFIGURATION = frozenset({"LocationConstraint"})
_LIST = frozenset({"MaxBuckets", "ContinuationToken", "Prefix", "BucketRegion"})


class BucketHandlers:
    """Handlers by operation name."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self.handlers = {
            "ListBuckets": self.list_buckets,
            "CreateBucket": self.create,
            "HeadBucket": self.head,
            "DeleteBucket": self.delete,
            "GetBucketLocation": self.location,
            "GetBucketAcl": self.acl,
            "GetObjectAcl": self.object_acl,
            "GetObjectTagging": self.object_tags,
            "GetBucketRequestPayment": self.request_payment,
            **dict.fromkeys(NOT_SET, self.not_set),
            **dict.fromkeys(EMPTY, self.empty),
        }

    async def list_buckets(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _LIST)
        tenant = request.authenticated.tenant
        found = await asyncio.to_thread(self._buckets.registry.list, tenant)
        prefix, after = value.get("Prefix", ""), value.get("ContinuationToken", "")
        region = value.get("BucketRegion")
        found = [
            bucket
            for bucket in found
            if bucket.name.startswith(prefix)
            and bucket.name > after
            and region in {None, bucket.place.region or DEFAULT_REGION}
        ]
        limit = value.get("MaxBuckets", 10_000)
        output: Value = {
            "Owner": owner_of(tenant),
            "Buckets": [{"Name": bucket.name, "CreationDate": moment(bucket.created)} for bucket in found[:limit]],
        }
        if len(found) > limit:
            output["ContinuationToken"] = found[limit - 1].name
        return operation.write(output)

    async def create(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _CREATE)
        configuration = value.get("CreateBucketConfiguration", {})
        refuse_members(configuration, _CONFIGURATION)
        place = Place(region=configuration.get("LocationConstraint", ""))
        name = value["Bucket"]
        try:
            await asyncio.to_thread(self._buckets.create, request.authenticated.tenant, name, place)
        except Conflict:
            reason = "Your previous request to create the named bucket succeeded and you already own it."
            raise S3Error("BucketAlreadyOwnedByYou", 409, reason, BucketName=name) from None
        return operation.write({"Location": f"/{name}"})

    async def head(self, operation: Operation, request: Request, value: Value) -> Reply:
        bucket = await self._get(request, value)
        return operation.write({"BucketRegion": bucket.place.region or DEFAULT_REGION})

    async def delete(self, operation: Operation, request: Request, value: Value) -> Reply:
        bucket = await self._get(request, value)
        if not bucket.is_own:
            reason = "The operator registered this bucket, and lets it go with `craton buckets delete`."
            raise S3Error("AccessDenied", 403, reason)
        await asyncio.to_thread(self._buckets.delete, bucket.tenant, bucket.name)
        return operation.write({})

    async def location(self, operation: Operation, request: Request, value: Value) -> Reply:
        bucket = await self._get(request, value)
        region = "" if bucket.place.region == DEFAULT_REGION else bucket.place.region
        body = document("LocationConstraint", NAMESPACE, region)
        return Reply(operation.status, body, {"content-type": "application/xml"})

    async def acl(self, operation: Operation, request: Request, value: Value) -> Reply:
        await self._get(request, value)
        return operation.write(_acl(request.authenticated))

    async def object_acl(self, operation: Operation, request: Request, value: Value) -> Reply:
        await self._check_object(request, value)
        return operation.write(_acl(request.authenticated))

    async def object_tags(self, operation: Operation, request: Request, value: Value) -> Reply:
        await self._check_object(request, value)
        return operation.write({"TagSet": []})

    async def request_payment(self, operation: Operation, request: Request, value: Value) -> Reply:
        await self._get(request, value)
        return operation.write({"Payer": "BucketOwner"})

    async def not_set(self, operation: Operation, request: Request, value: Value) -> Reply:
        await self._get(request, value)
        what = operation.name.removeprefix("Get")
        raise S3Error(NOT_SET[operation.name], 404, f"The {what} is not set.", BucketName=value["Bucket"])

    async def empty(self, operation: Operation, request: Request, value: Value) -> Reply:
        await self._get(request, value)
        return operation.write({})

    async def _get(self, request: Request, value: Value) -> Bucket:
        tenant = request.authenticated.tenant
        bucket = await self._buckets.get(tenant, value["Bucket"])
        check_owner(tenant, value)
        return bucket

    async def _check_object(self, request: Request, value: Value) -> None:
        bucket = await self._get(request, value)
        await self._buckets.stat(bucket.tenant, bucket.name, value["Key"])


def _acl(caller: Caller) -> Value:
    """All of a bucket is its tenant's, and nobody else's."""
    owner = owner_of(caller.tenant)
    return {"Owner": owner, "Grants": [{"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}
