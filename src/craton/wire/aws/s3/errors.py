"""S3's error codes, and Craton's errors in them.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from http import HTTPStatus

from craton.buckets.values import ConditionFailed, RangeMissed
from craton.core import errors
from craton.core.errors import CratonError
from craton.wire.aws.payload import PayloadMismatch
from craton.wire.aws.scalars import ConstraintViolated
from craton.wire.aws.xml import HEAD, MalformedXml, elements
from craton.wire.http import Reply, Request


class S3Error(CratonError):
    """An error that only S3 knows. fields: further elements of its XML."""

    def __init__(self, code: str, status: int, message: str, **fields: str) -> None:
        super().__init__(code, message)
        self.code, self.status, self.message, self.fields = code, status, message, fields

    def __str__(self) -> str:
        return self.message


def not_implemented(what: str) -> S3Error:
    return S3Error("NotImplemented", 501, f"{what} is not supported. docs/operations.md lists what Craton does.")


_ABSENT = {
    "bucket": ("NoSuchBucket", 404),
    "object": ("NoSuchKey", 404),
    "upload": ("NoSuchUpload", 404),
    "operation": ("MethodNotAllowed", 405),
}
_CREDENTIALS = {
    "missing": ("AccessDenied", 403),
    "invalid": ("InvalidAccessKeyId", 403),
    "expired": ("AccessDenied", 403),
    "signature": ("SignatureDoesNotMatch", 403),
    "skewed": ("RequestTimeTooSkewed", 403),
}
_CODES: dict[type[CratonError], tuple[str, int]] = {
    MalformedXml: ("MalformedXML", 400),
    ConstraintViolated: ("InvalidArgument", 400),
    ConditionFailed: ("PreconditionFailed", 412),
    RangeMissed: ("InvalidRange", 416),
    PayloadMismatch: ("XAmzContentSHA256Mismatch", 400),
    errors.InvalidRequest: ("InvalidArgument", 400),
    errors.Unsupported: ("NotImplemented", 501),
    errors.TooLarge: ("EntityTooLarge", 400),
    errors.Forbidden: ("AccessDenied", 403),
    errors.Damaged: ("BadDigest", 400),
    errors.Throttled: ("SlowDown", 503),
    errors.StorageFull: ("ServiceUnavailable", 503),
    errors.SourceFailed: ("ServiceUnavailable", 503),
    errors.DeadlineExceeded: ("ServiceUnavailable", 503),
}


def code_of(error: CratonError) -> tuple[str, int]:
    """S3's code and status for an error."""
    if isinstance(error, S3Error):
        return error.code, error.status
    if isinstance(error, errors.Unauthenticated):
        return _CREDENTIALS.get(error.code, ("AccessDenied", 403))
    if isinstance(error, errors.NotFound):
        return _ABSENT.get(error.kind, ("NoSuchKey", 404))
    if isinstance(error, errors.Conflict):
        return ("BucketNotEmpty", 409) if "not empty" in error.reason else ("OperationAborted", 409)
    if isinstance(error, errors.TooLarge) and "key" in error.what.lower():
        return "KeyTooLongError", 400
    if isinstance(error, errors.Damaged) and "announced" in error.reason:
        return "IncompleteBody", 400
    if isinstance(error, errors.InvalidRequest) and error.field == "bucket":
        return "InvalidBucketName", 400
    return next((_CODES[ancestor] for ancestor in type(error).__mro__ if ancestor in _CODES), ("InternalError", 500))


def write_error(error: CratonError, request: Request) -> Reply:
    code, status = code_of(error)
    if status == HTTPStatus.NOT_MODIFIED:
        return Reply(status, b"", {"x-amz-request-id": request.request_id})
    fields = {"Code": code, "Message": str(error), "Resource": request.path[:2000]}
    if isinstance(error, S3Error):
        fields |= error.fields
    headers = {"content-type": "application/xml", "x-amz-request-id": request.request_id}
    if isinstance(error, RangeMissed):
        fields["ActualObjectSize"] = str(error.size)
        headers["content-range"] = f"bytes */{error.size}"
    fields |= {"RequestId": request.request_id}
    body = "".join(elements(fields))
    return Reply(status, f"{HEAD}<Error>{body}</Error>".encode("utf-8", "replace"), headers)
