"""Handlers for uploads in parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from craton.buckets.buckets import Buckets
from craton.buckets.digests import Digests, composite, composite_etag
from craton.buckets.names import check_key
from craton.buckets.uploads import MAX_PARTS, Part, Upload
from craton.buckets.values import Headers
from craton.core.errors import Damaged
from craton.wire.aws.s3 import conditions
from craton.wire.aws.s3.describing import (
    checksum_members,
    checksums_of,
    intent_of,
    moment,
    quoted,
    upload_of,
)
from craton.wire.aws.s3.errors import S3Error
from craton.wire.aws.s3.listing import encoder
from craton.wire.aws.s3.objects import DESCRIBED, close, open_source
from craton.wire.aws.s3.operation import Operation, refuse_members
from craton.wire.aws.s3.owner import check_owner, owner_of
from craton.wire.aws.xml import MalformedXml
from craton.wire.http import Reply, Request

Value = dict[str, Any]
MIN_PART = 5 * 2**20  # bytes of all parts but the last, as S3 has it
MAX_LISTED = 1000

_ANY = {"Bucket", "Key", "UploadId", "ExpectedBucketOwner", "RequestPayer"}
_CHECKSUMS = {f"Checksum{name}" for name in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5")}
_CREATE = frozenset(_ANY | DESCRIBED | {"ChecksumAlgorithm", "ChecksumType"})
_PART = frozenset(_ANY | _CHECKSUMS | {"ChecksumAlgorithm", "PartNumber", "ContentLength", "ContentMD5"})
_COPY = frozenset(
    _ANY
    | {"CopySource", "CopySourceRange", "PartNumber", "ExpectedSourceBucketOwner"}
    | {f"CopySourceIf{name}" for name in ("Match", "NoneMatch", "ModifiedSince", "UnmodifiedSince")}
)
_COMPLETE = frozenset(
    _ANY | _CHECKSUMS | {"MultipartUpload", "ChecksumType", "MpuObjectSize", "IfMatch", "IfNoneMatch"}
)
_END = frozenset(_ANY)
_PARTS = frozenset(_ANY | {"MaxParts", "PartNumberMarker"})
_UPLOADS = frozenset(_ANY | {"Delimiter", "EncodingType", "KeyMarker", "MaxUploads", "Prefix", "UploadIdMarker"})


class MultipartHandlers:
    """Handlers by operation name."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self.handlers = {
            "CreateMultipartUpload": self.create,
            "UploadPart": self.put,
            "UploadPartCopy": self.copy,
            "CompleteMultipartUpload": self.complete,
            "AbortMultipartUpload": self.abort,
            "ListParts": self.parts,
            "ListMultipartUploads": self.uploads,
        }

    async def create(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _CREATE)
        tenant, key, intent = request.authenticated.tenant, check_key(value["Key"]), intent_of(value)
        await self._buckets.get(tenant, value["Bucket"])
        check_owner(tenant, value)
        upload = await self._buckets.uploads.create(tenant, value["Bucket"], key, intent)
        output: Value = {"Bucket": value["Bucket"], "Key": key, "UploadId": upload.id}
        if intent.algorithm:
            kind = "FULL_OBJECT" if intent.full else "COMPOSITE"
            output |= {"ChecksumAlgorithm": intent.algorithm.upper(), "ChecksumType": kind}
        return operation.write(output)

    async def put(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _PART)
        tenant, stream = request.authenticated.tenant, request.streamed
        upload = await self._upload(request, value)
        if upload.intent.algorithm:
            value = {"ChecksumAlgorithm": upload.intent.algorithm, **value}
        promise = upload_of(stream, value, request.headers.get("x-amz-trailer", ""), Headers())
        part = await self._buckets.uploads.put(
            tenant, upload, value["PartNumber"], aiter(stream), promise.check, promise.computed
        )
        return operation.write({"ETag": quoted(part.etag), **checksum_members(part.checksums)})

    async def copy(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _COPY)
        upload = await self._upload(request, value)
        algorithms = (upload.intent.algorithm,) if upload.intent.algorithm else ()
        opened = await open_source(self._buckets, request, value, value.get("CopySourceRange"))
        try:
            part = await self._buckets.uploads.put(
                request.authenticated.tenant, upload, value["PartNumber"], opened.body, _checksums, algorithms
            )
        finally:
            await close(opened)
        result = {"ETag": quoted(part.etag), "LastModified": moment(part.modified)}
        return operation.write({"CopyPartResult": {**result, **checksum_members(part.checksums)}})

    async def complete(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _COMPLETE)
        tenant, condition = request.authenticated.tenant, conditions.writing(value)
        upload = await self._upload(request, value)
        stored_parts = await self._buckets.uploads.parts(tenant, upload)
        chosen = _choose(value.get("MultipartUpload", {}).get("Parts", []), stored_parts)
        promised = checksums_of(value)
        draft = _Joined(chosen, upload, promised, value.get("MpuObjectSize"))
        algorithms = [upload.intent.algorithm] if upload.intent.full and upload.intent.algorithm else []
        store = await self._buckets.store(tenant, upload.bucket)
        blocks = self._buckets.uploads.read(upload, chosen)
        stored = await store.put(upload.key, blocks, draft, condition, tuple(algorithms))
        await self._buckets.uploads.end(tenant, upload)
        output = {"Bucket": upload.bucket, "Key": upload.key, "ETag": quoted(stored.info.etag)}
        output |= {"Location": f"/{upload.bucket}/{upload.key}", **checksum_members(stored.headers.checksums)}
        if stored.headers.checksums:
            output["ChecksumType"] = "COMPOSITE" if stored.headers.composite else "FULL_OBJECT"
        return operation.write(output)

    async def abort(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _END)
        await self._buckets.uploads.end(request.authenticated.tenant, await self._upload(request, value))
        return operation.write({})

    async def parts(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _PARTS)
        tenant = request.authenticated.tenant
        upload = await self._upload(request, value)
        marker, limit = int(value.get("PartNumberMarker") or 0), min(value.get("MaxParts", MAX_LISTED), MAX_LISTED)
        found = [part for part in await self._buckets.uploads.parts(tenant, upload) if part.number > marker]
        shown = found[: max(0, limit)]
        output: Value = {
            "Bucket": upload.bucket,
            "Key": upload.key,
            "UploadId": upload.id,
            "Initiator": owner_of(tenant),
            "Owner": owner_of(tenant),
            "StorageClass": "STANDARD",
            "PartNumberMarker": marker,
            "MaxParts": limit,
            "IsTruncated": len(found) > len(shown),
            "Parts": [
                {
                    "PartNumber": part.number,
                    "LastModified": moment(part.modified),
                    "ETag": quoted(part.etag),
                    "Size": part.size,
                    **checksum_members(part.checksums),
                }
                for part in shown
            ],
        }
        if len(found) > len(shown) and shown:
            output["NextPartNumberMarker"] = shown[-1].number
        return operation.write(output)

    async def uploads(self, operation: Operation, request: Request, value: Value) -> Reply:
        refuse_members(value, _UPLOADS)
        tenant, bucket = request.authenticated.tenant, value["Bucket"]
        await self._buckets.get(tenant, bucket)
        check_owner(tenant, value)
        prefix, delimiter = value.get("Prefix", ""), value.get("Delimiter", "")
        key_marker, id_marker = value.get("KeyMarker", ""), value.get("UploadIdMarker", "")
        limit, encode = min(value.get("MaxUploads", MAX_LISTED), MAX_LISTED), encoder(value)
        found = [
            upload for upload in await self._buckets.uploads.of_bucket(tenant, bucket) if upload.key.startswith(prefix)
        ]
        found = _after(found, key_marker, id_marker)
        common, plain = {}, []
        for upload in found:
            cut = upload.key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                common[upload.key[: cut + len(delimiter)]] = True
            else:
                plain.append(upload)
        shown = plain[: max(0, limit)]
        output: Value = {
            "Bucket": bucket,
            "KeyMarker": encode(key_marker),
            "UploadIdMarker": id_marker,
            "Prefix": encode(prefix),
            "MaxUploads": limit,
            "IsTruncated": len(plain) > len(shown),
            "Uploads": [_describe(upload, tenant, encode) for upload in shown],
            "CommonPrefixes": [{"Prefix": encode(name)} for name in common],
        }
        if delimiter:
            output["Delimiter"] = encode(delimiter)
        if "EncodingType" in value:
            output["EncodingType"] = value["EncodingType"]
        if len(plain) > len(shown) and shown:
            output |= {"NextKeyMarker": encode(shown[-1].key), "NextUploadIdMarker": shown[-1].id}
        return operation.write(output)

    async def _upload(self, request: Request, value: Value) -> Upload:
        tenant = request.authenticated.tenant
        await self._buckets.get(tenant, value["Bucket"])
        check_owner(tenant, value)
        return await self._buckets.uploads.get(tenant, value["Bucket"], check_key(value["Key"]), value["UploadId"])


class _Joined(Struct, frozen=True):
    """The whole of an upload in parts: a `buckets.protocol.Draft`."""

    parts: list[Part]
    upload: Upload
    promised: dict[str, str]
    size: int | None

    @property
    def headers(self) -> Headers:
        return self.upload.intent.headers

    def finish(self, digests: Digests) -> tuple[str, Headers]:
        """Raises Damaged for another size or checksum than what was promised."""
        intent, algorithm = self.upload.intent, self.upload.intent.algorithm
        if self.size is not None and self.size != digests.size:
            raise Damaged("The upload", "its parts do not have the promised size.")
        checksums = digests.checksums
        if algorithm and not intent.full and all(algorithm in part.checksums for part in self.parts):
            checksums = {algorithm: composite(algorithm, (part.checksums[algorithm] for part in self.parts))}
        for name, value in self.promised.items():
            if checksums.get(name, "").partition("-")[0] != value.partition("-")[0]:
                raise Damaged("The upload", f"its parts do not have the promised checksum ({name}).")
        headers = msgspec.structs.replace(intent.headers, checksums=checksums, composite=not intent.full)
        return composite_etag(part.etag for part in self.parts), headers


def _checksums(digests: Digests) -> dict[str, str]:
    return digests.checksums


def _choose(listed: Sequence[Value], stored: Sequence[Part]) -> list[Part]:
    """The parts that the client names, as they are stored. Raises S3Error, MalformedXml."""
    if not listed or len(listed) > MAX_PARTS:
        raise MalformedXml("CompleteMultipartUpload must list the parts")
    by_number = {part.number: part for part in stored}
    numbers = [item.get("PartNumber", 0) for item in listed]
    if numbers != sorted(set(numbers)):
        raise S3Error("InvalidPartOrder", 400, "The list of parts was not in ascending order.")
    chosen = []
    for item in listed:
        part = by_number.get(item.get("PartNumber", 0))
        if part is None or str(item.get("ETag", "")).strip('"') != part.etag or not _agrees(item, part):
            reason = "One or more of the specified parts could not be found, or has another entity tag or checksum."
            raise S3Error("InvalidPart", 400, reason, PartNumber=str(item.get("PartNumber")))
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size < MIN_PART:
            reason = "Your proposed upload is smaller than the minimum allowed object size."
            raise S3Error("EntityTooSmall", 400, reason, PartNumber=str(part.number), MinSizeAllowed=str(MIN_PART))
    return chosen


def _agrees(item: Value, part: Part) -> bool:
    promised = checksums_of(item)
    return all(part.checksums.get(name) in {None, value} for name, value in promised.items())


def _after(found: list[Upload], key_marker: str, id_marker: str) -> list[Upload]:
    if not key_marker:
        return found
    if id_marker:
        places = [place for place, upload in enumerate(found) if (upload.key, upload.id) == (key_marker, id_marker)]
        if places:
            return found[places[0] + 1 :]
    return [upload for upload in found if upload.key > key_marker]


def _describe(upload: Upload, tenant: str, encode: Any) -> Value:
    return {
        "UploadId": upload.id,
        "Key": encode(upload.key),
        "Initiated": moment(upload.created),
        "StorageClass": "STANDARD",
        "Owner": owner_of(tenant),
        "Initiator": owner_of(tenant),
    }
