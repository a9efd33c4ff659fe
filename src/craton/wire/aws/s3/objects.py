"""Handlers for single objects: read, written, copied, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import Struct

from craton.buckets.buckets import Buckets
from craton.buckets.digests import Digests
from craton.buckets.names import check_key
from craton.buckets.protocol import ObjectStore
from craton.buckets.values import WHOLE, Condition, Headers, Opened, StoredObject
from craton.core.errors import CratonError, InvalidRequest
from craton.wire.aws.s3 import conditions
from craton.wire.aws.s3.describing import (
    STANDARD,
    checksum_members,
    chosen_algorithm,
    describe,
    headers_of,
    moment,
    quoted,
    upload_of,
)
from craton.wire.aws.s3.errors import S3Error, code_of
from craton.wire.aws.s3.operation import Operation, header_text, refuse_members
from craton.wire.aws.s3.owner import check_owner
from craton.wire.http import Reply, Request

Value = dict[str, Any]
MAX_COPY = 5 * 2**30  # bytes of one copy, as S3 has it
MAX_DELETED = 1000  # keys of one DeleteObjects

_CHECKSUMS = {f"Checksum{name}" for name in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5")} | {
    "ChecksumAlgorithm"
}
_ANY = {"Bucket", "Key", "ExpectedBucketOwner", "RequestPayer"}
_OVERRIDES = {
    "ResponseCacheControl": "cache-control",
    "ResponseContentDisposition": "content-disposition",
    "ResponseContentEncoding": "content-encoding",
    "ResponseContentLanguage": "content-language",
    "ResponseContentType": "content-type",
    "ResponseExpires": "expires",
}
_CONDITIONS = {"IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince"}
_READ = frozenset(_ANY | _CONDITIONS | {"Range", "VersionId", "ChecksumMode"} | _OVERRIDES.keys())
DESCRIBED = frozenset(STANDARD) | {"Metadata", "Expires"}
_PUT = frozenset(_ANY | _CHECKSUMS | DESCRIBED | {"ContentLength", "ContentMD5", "IfMatch", "IfNoneMatch"})
_SOURCE_CONDITIONS = {f"CopySource{name}" for name in _CONDITIONS}
_COPY = frozenset(
    _ANY
    | _SOURCE_CONDITIONS
    | DESCRIBED
    | {"CopySource", "MetadataDirective", "ChecksumAlgorithm", "ExpectedSourceBucketOwner", "IfMatch", "IfNoneMatch"}
)
_DELETE = frozenset(_ANY | {"VersionId", "IfMatch"})
_DELETE_MANY = frozenset(_ANY | {"Delete", "ChecksumAlgorithm"})


class ObjectHandlers:
    """Handlers by operation name."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self.handlers = {
            "HeadObject": self.head,
            "GetObject": self.get,
            "PutObject": self.put,
            "CopyObject": self.copy,
            "DeleteObject": self.delete,
            "DeleteObjects": self.delete_many,
        }

    async def head(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _READ)
        _check_version(value)
        store = await self._store(request, value)
        stored = await store.stat(check_key(value["Key"]))
        conditions.check_reading(stored.info, value)
        start, end = conditions.span(value.get("Range")).within(stored.info.size)
        return _reply(operation, value, Opened(stored, start, end, _nothing()))

    async def get(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _READ)
        _check_version(value)
        store = await self._store(request, value)
        key = check_key(value["Key"])
        if _CONDITIONS & value.keys():  # before the range: one that is not met outweighs one that is not there
            conditions.check_reading((await store.stat(key)).info, value)
        opened = await store.open(key, conditions.span(value.get("Range")))
        conditions.check_reading(opened.stored.info, value)
        return _reply(operation, value, opened)

    async def put(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _PUT)
        stream, trailer = request.streamed, request.headers.get("x-amz-trailer", "")
        upload = upload_of(stream, value, trailer, headers_of(value))
        condition = conditions.writing(value)
        store = await self._store(request, value)
        stored = await store.put(check_key(value["Key"]), aiter(stream), upload, condition, upload.computed)
        output = {"ETag": quoted(stored.info.etag), **checksum_members(stored.headers.checksums)}
        if stored.headers.checksums:
            output["ChecksumType"] = "FULL_OBJECT"
        return operation.write(output)

    async def copy(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _COPY)
        replace = value.get("MetadataDirective", "COPY") == "REPLACE"
        bucket, key = copy_source(value)
        if (bucket, key) == (value["Bucket"], value["Key"]) and not replace:
            reason = "This copy request is illegal because it copies an object to itself and changes nothing of it."
            raise S3Error("InvalidRequest", 400, reason)
        target = await self._store(request, value)
        condition = conditions.writing(value)
        opened = await open_source(self._buckets, request, value)
        try:
            if opened.stored.info.size > MAX_COPY:
                reason = f"The source is larger than {MAX_COPY:,} bytes: copy it in parts."
                raise S3Error("InvalidRequest", 400, reason)
            headers = headers_of(value) if replace else opened.stored.headers
            algorithms = tuple(chosen_algorithm(value)) or _kept_algorithms(opened.stored)
            draft = _Copy(msgspec.structs.replace(headers, checksums={}, composite=False))
            stored = await target.put(check_key(value["Key"]), opened.body, draft, condition, algorithms)
        finally:
            await close(opened)
        result = {"ETag": quoted(stored.info.etag), "LastModified": moment(stored.info.modified)}
        return operation.write({"CopyObjectResult": {**result, **checksum_members(stored.headers.checksums)}})

    async def delete(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _DELETE)
        _check_version(value)
        store = await self._store(request, value)
        await store.delete(check_key(value["Key"]), conditions.writing(value))
        return operation.write({})

    async def delete_many(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _DELETE_MANY)
        wanted = value["Delete"]["Objects"]
        if len(wanted) > MAX_DELETED:
            raise S3Error("MalformedXML", 400, f"At most {MAX_DELETED:,} keys can be deleted at once.")
        store = await self._store(request, value)
        deleted, failed = [], []
        for item in wanted:
            try:
                refuse_members(item, frozenset({"Key", "VersionId", "ETag"}))
                _check_version(item)
                await store.delete(check_key(item["Key"]), _condition_of(item))
                deleted.append({"Key": item["Key"]})
            except CratonError as error:
                failed.append({"Key": item["Key"], "Code": code_of(error)[0], "Message": str(error)})
        quiet = value["Delete"].get("Quiet", False)
        return operation.write({"Deleted": [] if quiet else deleted, "Errors": failed})

    async def _store(self, request: Request, value: Value) -> ObjectStore:
        tenant = request.authenticated.tenant
        store = await self._buckets.store(tenant, value["Bucket"])
        check_owner(tenant, value)
        return store


class _Copy(Struct, frozen=True):
    """A write of bytes that are here already."""

    headers: Headers

    def finish(self, digests: Digests) -> tuple[str, Headers]:
        return digests.etag, msgspec.structs.replace(self.headers, checksums=digests.checksums)


def copy_source(value: Value) -> tuple[str, str]:
    """Bucket and key. Raises InvalidRequest, S3Error for a version."""
    source, _, query = value["CopySource"].partition("?")
    version = parse_qs(query).get("versionId", ["null"])[-1]
    _check_version({"VersionId": version})
    try:
        bucket, separator, key = unquote(source, errors="strict").removeprefix("/").partition("/")
    except UnicodeDecodeError:
        separator, bucket, key = "", "", ""
    if not separator:
        raise InvalidRequest("must be BUCKET/KEY, percent-encoded", "x-amz-copy-source")
    return bucket, check_key(key)


async def open_source(buckets: Buckets, request: Request, value: Value, part: str | None = None) -> Opened:
    """What a copy copies, its conditions checked. part: a range of it. Raises NotFound, ConditionFailed, S3Error."""
    bucket, key = copy_source(value)
    store = await buckets.store(request.authenticated.tenant, bucket)
    opened = await store.open(key, conditions.span(part) if part else WHOLE)
    try:
        conditions.check_reading(opened.stored.info, value, "CopySource")
    except BaseException:
        await close(opened)
        raise
    return opened


async def close(opened: Opened) -> None:
    finish = getattr(opened.body, "aclose", None)
    if finish is not None:
        await finish()


def _reply(operation: Operation, value: Value, opened: Opened) -> Reply:
    stored, size = opened.stored, opened.stored.info.size
    partial = "Range" in value and conditions.span(value["Range"]) != WHOLE
    wants_checksums = value.get("ChecksumMode") == "ENABLED" and not partial
    output = describe(stored, checksums=wants_checksums)
    if partial:
        output["ContentRange"] = f"bytes {opened.start}-{opened.end - 1}/{size}"
    expires = output.pop("ExpiresString", None)
    reply = operation.write_bytes(output, opened.body, opened.end - opened.start, 206 if partial else 200)
    if expires:
        reply.headers["expires"] = header_text(expires)
    for name, header in _OVERRIDES.items():
        if name in value:
            reply.headers[header] = header_text(str(value[name]))
    return reply


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for item in nothing:
        yield item


def _check_version(value: Value) -> None:
    """An object has the one version that S3 calls "null". Raises S3Error."""
    if value.get("VersionId", "null") != "null":
        raise S3Error("NoSuchVersion", 404, "The specified version does not exist: buckets here keep no versions.")


def _condition_of(item: Value) -> Condition:
    return conditions.writing({"IfMatch": item["ETag"]} if "ETag" in item else {})


def _kept_algorithms(stored: StoredObject) -> tuple[str, ...]:
    return () if stored.headers.composite else tuple(stored.headers.checksums)
