"""Objects in S3's words: what a request says of one becomes `Headers` and digests, and back."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from craton.buckets.digests import ALGORITHMS, Digests
from craton.buckets.uploads import Intent
from craton.buckets.values import Headers, ObjectInfo, StoredObject
from craton.core.errors import Damaged, TooLarge, Unsupported
from craton.wire.aws.s3.errors import S3Error
from craton.wire.http import BodyStream

MAX_METADATA = 2048  # bytes of names and values, as S3 has it
DEFAULT_TYPE = "binary/octet-stream"
STANDARD = {
    "CacheControl": "cache_control",
    "ContentDisposition": "content_disposition",
    "ContentEncoding": "content_encoding",
    "ContentLanguage": "content_language",
    "ContentType": "content_type",
}
"""Members of the model -> members of `Headers`."""

_CHECKSUM_MEMBERS = {name: f"Checksum{name.upper()}" for name in ALGORITHMS}
_OTHER_CHECKSUMS = ("xxhash64", "xxhash3", "xxhash128")


class Upload(Struct, frozen=True):
    """What a request promises of its bytes, held against them when they are through: a `buckets.protocol.Draft`.

    promised: checksums from headers; a trailer may bring more. computed: algorithms to keep the checksum of.
    """

    stream: BodyStream
    headers: Headers
    md5: str
    promised: dict[str, str]
    computed: tuple[str, ...]

    def finish(self, digests: Digests) -> tuple[str, Headers]:
        """Raises S3Error, Damaged."""
        checksums = self.check(digests)
        return digests.etag, msgspec.structs.replace(self.headers, checksums=checksums)

    def check(self, digests: Digests) -> dict[str, str]:
        """The checksums to keep."""
        promised = self.promised | {
            name: self.stream.trailers[f"x-amz-checksum-{name}"]
            for name in self.computed
            if f"x-amz-checksum-{name}" in self.stream.trailers
        }
        digests.check(promised)
        check_md5(self.md5, digests)
        return digests.checksums


def upload_of(stream: BodyStream, value: dict[str, Any], trailer: str, headers: Headers) -> Upload:
    """trailer: what X-Amz-Trailer announces. Raises S3Error, Unsupported."""
    promised = checksums_of(value)
    announced = [name.strip().lower().removeprefix("x-amz-checksum-") for name in trailer.split(",") if name.strip()]
    computed = tuple(dict.fromkeys([*promised, *announced, *chosen_algorithm(value)]))
    for name in computed:
        if name not in ALGORITHMS:
            raise Unsupported(f"The checksum {name!r}", f"There are {', '.join(ALGORITHMS)}.")
    return Upload(stream, headers, md5_of(value.get("ContentMD5", "")), promised, computed)


def chosen_algorithm(value: dict[str, Any]) -> list[str]:
    """x-amz-sdk-checksum-algorithm, or x-amz-checksum-algorithm of a multipart upload. Raises Unsupported."""
    name = str(value.get("ChecksumAlgorithm", "")).lower()
    if name and name not in ALGORITHMS:
        raise Unsupported(f"The checksum {name!r}", f"There are {', '.join(ALGORITHMS)}.")
    return [name] if name else []


def checksums_of(value: dict[str, Any]) -> dict[str, str]:
    """Algorithm -> base64, as the request's members say. Raises Unsupported for those that Craton does not compute."""
    for name in _OTHER_CHECKSUMS:
        if f"Checksum{name.upper()}" in value:
            raise Unsupported(f"The checksum {name!r}", f"There are {', '.join(ALGORITHMS)}.")
    return {name: value[member] for name, member in _CHECKSUM_MEMBERS.items() if member in value}


def checksum_members(checksums: dict[str, str]) -> dict[str, str]:
    return {_CHECKSUM_MEMBERS[name]: text for name, text in checksums.items() if name in _CHECKSUM_MEMBERS}


def headers_of(value: dict[str, Any]) -> Headers:
    """Raises TooLarge for more than MAX_METADATA."""
    metadata = {name.lower(): text for name, text in value.get("Metadata", {}).items()}
    size = sum(len(name) + len(text) for name, text in metadata.items())
    if size > MAX_METADATA:
        raise S3Error("MetadataTooLarge", 400, str(TooLarge("The metadata headers", MAX_METADATA, size)))
    fields = {member: value[name] for name, member in STANDARD.items() if name in value}
    encodings = [part.strip() for part in fields.get("content_encoding", "").split(",")]
    fields["content_encoding"] = ",".join(part for part in encodings if part not in {"", "aws-chunked"})
    expires = value.get("Expires", "")
    return msgspec.convert({**fields, "expires": str(expires), "metadata": metadata}, Headers)


def describe(stored: StoredObject, *, checksums: bool) -> dict[str, Any]:
    """The members that HeadObject and GetObject share."""
    headers, info = stored.headers, stored.info
    found: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "ETag": quoted(info.etag),
        "LastModified": moment(info.modified),
        "ContentType": headers.content_type or DEFAULT_TYPE,
        "Metadata": headers.metadata,
    }
    for name, member in STANDARD.items():
        if name != "ContentType":
            found[name] = getattr(headers, member) or None
    if headers.expires:
        found["ExpiresString"] = headers.expires
    if checksums and headers.checksums:
        found |= checksum_members(headers.checksums)
        found["ChecksumType"] = "COMPOSITE" if headers.composite else "FULL_OBJECT"
    return found


def entry(info: ObjectInfo) -> dict[str, Any]:
    """In a listing."""
    return {
        "Key": info.key,
        "LastModified": moment(info.modified),
        "ETag": quoted(info.etag),
        "Size": info.size,
        "StorageClass": "STANDARD",
    }


def quoted(etag: str) -> str:
    return f'"{etag}"'


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def intent_of(value: dict[str, Any]) -> Intent:
    algorithm = next(iter(chosen_algorithm(value)), "")
    kind = value.get("ChecksumType", "FULL_OBJECT" if algorithm == "crc64nvme" else "COMPOSITE")
    if kind == "FULL_OBJECT" and algorithm in {"sha1", "sha256", "sha512", "md5"}:
        raise S3Error("InvalidRequest", 400, f"The algorithm {algorithm} has no full-object checksum of parts.")
    if kind == "COMPOSITE" and algorithm == "crc64nvme":
        raise S3Error("InvalidRequest", 400, "The algorithm crc64nvme has no composite checksum.")
    return Intent(headers_of(value), algorithm, kind == "FULL_OBJECT")


def md5_of(text: str) -> str:
    """Content-MD5 as hex, "" when it was not sent. Raises S3Error."""
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b"?"
    if text and len(digest) != 16:
        raise S3Error("InvalidDigest", 400, "The Content-MD5 you specified is not valid.")
    return digest.hex()


def check_md5(md5: str, digests: Digests) -> None:
    """Raises Damaged unless the bytes have this MD5, or none was sent."""
    if md5 and md5 != digests.etag:
        raise Damaged("The upload", "its bytes do not have the MD5 that Content-MD5 states.")
