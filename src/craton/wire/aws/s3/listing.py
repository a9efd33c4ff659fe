"""Handlers that list a bucket's objects."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote

from craton.buckets.buckets import Buckets
from craton.buckets.values import Page
from craton.core.errors import InvalidRequest
from craton.wire.aws.s3.describing import entry
from craton.wire.aws.s3.operation import Operation, refuse_members
from craton.wire.aws.s3.owner import check_owner, owner_of
from craton.wire.http import Reply, Request

Value = dict[str, Any]
MAX_KEYS = 1000
_COMMON = {"Bucket", "Delimiter", "EncodingType", "MaxKeys", "Prefix", "ExpectedBucketOwner", "RequestPayer",
           "OptionalObjectAttributes"}  # fmt: skip
_V1 = frozenset(_COMMON | {"Marker"})
_V2 = frozenset(_COMMON | {"ContinuationToken", "StartAfter", "FetchOwner"})
_VERSIONS = frozenset(_COMMON | {"KeyMarker", "VersionIdMarker"})


class ListingHandlers:
    """Handlers by operation name."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self.handlers = {
            "ListObjects": self.list_objects,
            "ListObjectsV2": self.list_objects_v2,
            "ListObjectVersions": self.list_versions,
        }

    async def list_objects(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _V1)
        marker = value.get("Marker", "")
        page = await self._page(request, value, marker)
        encode = encoder(value)
        output = _echoed(value, page) | {"Marker": encode(marker), "Contents": [_entry(encode, item) for item in
                                                                               page.objects]}  # fmt: skip
        if page.last:
            output["NextMarker"] = encode(page.last)
        return operation.write(output)

    async def list_objects_v2(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _V2)
        token, start = value.get("ContinuationToken"), value.get("StartAfter", "")
        page = await self._page(request, value, read_token(token) if token is not None else start)
        encode = encoder(value)
        entries = [_entry(encode, item) for item in page.objects]
        if value.get("FetchOwner"):
            owner = owner_of(request.authenticated.tenant)
            entries = [{**item, "Owner": owner} for item in entries]
        output = _echoed(value, page) | {"KeyCount": len(page.objects) + len(page.prefixes), "Contents": entries}
        if token is not None:
            output["ContinuationToken"] = token
        if start:
            output["StartAfter"] = encode(start)
        if page.last:
            output["NextContinuationToken"] = write_token(page.last)
        return operation.write(output)

    async def list_versions(self, operation: Operation, request: Request, value: Value) -> Reply:
        """A bucket without versioning: every object is its own one version, "null"."""
        refuse_members(value, _VERSIONS)
        marker = value.get("KeyMarker", "")
        page = await self._page(request, value, marker)
        encode = encoder(value)
        owner = owner_of(request.authenticated.tenant)
        versions = [{**_entry(encode, item), "VersionId": "null", "IsLatest": True, "Owner": owner}
                    for item in page.objects]  # fmt: skip
        output = _echoed(value, page) | {"KeyMarker": encode(marker), "Versions": versions}
        if page.last:
            output |= {"NextKeyMarker": encode(page.last), "NextVersionIdMarker": "null"}
        return operation.write(output)

    async def _page(self, request: Request, value: Value, after: str) -> Page:
        tenant = request.authenticated.tenant
        store = await self._buckets.store(tenant, value["Bucket"])
        check_owner(tenant, value)
        limit = value.get("MaxKeys", MAX_KEYS)
        if limit < 0:
            raise InvalidRequest("must not be negative", "max-keys")
        if limit == 0:
            return Page((), ())
        return await store.page(value.get("Prefix", ""), value.get("Delimiter", ""), after, min(limit, MAX_KEYS))


def encoder(value: Value) -> Any:
    """For names in a listing: percent-encoded where the client asked for it, since XML cannot hold all of them."""
    return (lambda text: quote(text, safe="/-_.~*")) if value.get("EncodingType") == "url" else str


def _entry(encode: Any, item: Any) -> Value:
    found = entry(item)
    return {**found, "Key": encode(item.key)}


def _echoed(value: Value, page: Page) -> Value:
    encode = encoder(value)
    output: Value = {
        "Name": value["Bucket"],
        "Prefix": encode(value.get("Prefix", "")),
        "MaxKeys": value.get("MaxKeys", MAX_KEYS),
        "IsTruncated": bool(page.last),
        "CommonPrefixes": [{"Prefix": encode(prefix)} for prefix in page.prefixes],
    }
    if value.get("Delimiter"):
        output["Delimiter"] = encode(value["Delimiter"])
    if "EncodingType" in value:
        output["EncodingType"] = value["EncodingType"]
    return output


def write_token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode()


def read_token(token: str) -> str:
    """Raises InvalidRequest."""
    try:
        return base64.b64decode(token.encode(), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise InvalidRequest("The continuation token provided is incorrect", "continuation-token") from None
