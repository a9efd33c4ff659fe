"""One operation of S3: its request read and its answer written as the service model says (the protocol rest-xml)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.utils import format_datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from craton.core.errors import InvalidRequest, Unsupported
from craton.wire.aws.model import OperationModel, ServiceModel, Shape, ShapeRef
from craton.wire.aws.reading import Decoders
from craton.wire.aws.scalars import ConstraintViolated, from_text
from craton.wire.aws.writing import to_text
from craton.wire.aws.xml import XmlShapes, document
from craton.wire.http import Reply, Request

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MAX_QUERY_FIELDS = 64
# The names of bodies' root elements, which the model leaves out; clients other than botocore look at them.
_ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectTagging": "Tagging",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}
_EMPTY = Shape(type="structure")


class Operation:
    """pattern: the path and flags of the model, "/{Bucket}?acl"."""

    def __init__(self, model: ServiceModel, operation: OperationModel, xml: XmlShapes, decoders: Decoders) -> None:
        self._shapes, self._xml, self._decoders = model.shapes, xml, decoders
        self._input = model.shapes[operation.input.shape] if operation.input else _EMPTY
        self._output = model.shapes[operation.output.shape] if operation.output else _EMPTY
        self.name, self.method, self.pattern = operation.name, operation.http.method, operation.http.uri
        self.status = operation.http.status
        self.errors = frozenset(error.shape for error in operation.errors)

    @cached_property
    def needs(self) -> tuple[frozenset[str], frozenset[str]]:
        """What tells the operation apart from others of its method and path: query fields ("list-type=2" with a value,
        "acl" with any), and headers."""
        flags = frozenset(self.pattern.partition("?")[2].split("&")) - {""}
        query, headers = set(flags), set()
        for name in self._input.required:
            ref = self._input.members[name]
            if ref.location == "querystring":
                query.add(ref.location_name)
            elif ref.location == "header" and ref.location_name.lower() == "x-amz-copy-source":
                headers.add("x-amz-copy-source")
        return frozenset(query), frozenset(headers)

    # --- requests -------------------------------------------------------------------------------------------

    def parse(self, request: Request) -> dict[str, Any]:
        """The input as boto3's users write it; a body that is bytes stays in the request.

        Raises InvalidRequest (MalformedXml for the body).
        """
        value: dict[str, Any] = dict(request.params)
        query = query_of(request) if request.query else {}
        for name, ref in self._input.members.items():
            wire_name, shape = ref.location_name or name, self._shapes[ref.shape]
            if ref.location == "headers":
                prefix = wire_name.lower()
                found = {key[len(prefix) :]: item for key, item in request.headers.items() if key.startswith(prefix)}
                if found:
                    value[name] = found
                continue
            if ref.location == "querystring":
                text = query.get(wire_name)
            elif ref.location == "header":
                text = request.headers.get(wire_name.lower())
                if name == "ChecksumMode" and text not in shape.enum:
                    continue  # the C++ SDK says so when it wants none
            else:
                continue
            if text is not None:
                value[name] = self._read_text(name, ref, shape, text)
        payload = self._input.payload
        if payload and self._shapes[self._input.members[payload].shape].type == "structure" and request.body:
            value[payload] = self._xml.read(self._input.members[payload], request.body)
        for name in self._input.required:
            if name not in value:
                raise ConstraintViolated("Member must not be null", name)
        return value

    def _read_text(self, name: str, ref: ShapeRef, shape: Shape, text: str) -> Any:
        if shape.type == "list" and shape.member is not None:
            return [self._read_text(name, shape.member, self._shapes[shape.member.shape], part.strip())
                    for part in text.split(",")]  # fmt: skip
        if shape.type == "timestamp" and ref.location == "header":
            ref = ShapeRef(ref.shape, timestamp_format="rfc822")
        try:
            return from_text(shape, self._decoders.of(ref))(text)
        except ConstraintViolated as violation:
            raise violation.under(name) from None

    # --- answers --------------------------------------------------------------------------------------------

    def write(self, output: dict[str, Any], status: int | None = None) -> Reply:
        """An answer whose body, if any, is XML. output: as boto3's users will see it."""
        headers = self.headers(output)
        payload = self._output.payload
        names = [name for name, ref in self._output.members.items() if not ref.location]
        if payload:
            ref = self._output.members[payload]
            shape = self._shapes[ref.shape]
            if shape.type != "structure":
                text = output.get(payload) or ""
                return Reply(status or self.status, str(text).encode(), {**headers, "content-type": "application/json"})
            root, content = ref.location_name or payload, self._xml.members(shape, output.get(payload) or {})
        elif names:
            root = _ROOTS.get(self.name, self.name + "Result")
            content = self._xml.members(self._output, output, names)
        else:
            return Reply(status or self.status, b"", headers)
        headers["content-type"] = "application/xml"
        return Reply(status or self.status, document(root, NAMESPACE, content), headers)

    def write_bytes(self, output: dict[str, Any], body: AsyncIterator[bytes], length: int, status: int) -> Reply:
        """An answer whose body is an object's bytes, or will not be sent (HEAD)."""
        return Reply(status, body, {**self.headers(output), "content-length": str(length)})

    def headers(self, output: dict[str, Any]) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, value in output.items():
            ref = self._output.members[name]
            if value is None or not ref.location:
                continue
            wire_name, shape = (ref.location_name or name).lower(), self._shapes[ref.shape]
            if ref.location == "headers":
                headers |= {f"{wire_name}{key}": header_text(item) for key, item in value.items()}
            elif shape.type == "timestamp":
                headers[wire_name] = format_datetime(value, usegmt=True)
            elif wire_name != "content-length":
                headers[wire_name] = header_text(to_text(value))
        return headers


def query_of(request: Request) -> dict[str, str]:
    """The last value of each field. Raises InvalidRequest for too many, or what is not UTF-8."""
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequest("the query is not UTF-8") from None
    except ValueError:
        raise InvalidRequest(f"the query has more than {MAX_QUERY_FIELDS} fields") from None
    return dict(pairs)


def header_text(text: str) -> str:
    """Raises InvalidRequest for what a header cannot carry."""
    if not all(letter == "\t" or " " <= letter <= "ÿ" for letter in text) or "\x7f" in text:
        raise InvalidRequest("a header cannot carry this value")
    return text


def refuse_members(value: dict[str, Any], known: frozenset[str]) -> None:
    """Raises Unsupported for a member that asks for what Craton does not do: it must not be dropped in silence."""
    for name in value.keys() - known:
        if name == "ACL" and value[name] in {"private", "bucket-owner-full-control"}:
            continue
        if name == "StorageClass" and value[name] == "STANDARD":
            continue
        if name == "ServerSideEncryption":
            raise Unsupported("Encryption by the server (x-amz-server-side-encryption)", "Use an encrypted disk.")
        raise Unsupported(f"The parameter {name!r} with this value")
