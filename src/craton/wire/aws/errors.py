"""Craton's errors in the words of the Bedrock services: one table; the statuses come from each service's model."""

from __future__ import annotations

from collections.abc import Collection

from craton.core import errors
from craton.core.errors import CratonError
from craton.wire.aws.service import Operation, Service
from craton.wire.http import Reply, Request, json_reply

# Names in order of preference: the first that the operation (or the stream) knows is taken.
_NAMES: dict[type[CratonError], tuple[str, ...]] = {
    errors.InvalidRequest: ("ValidationException", "ValidationError"),
    errors.Unsupported: ("ValidationException", "ValidationError"),
    errors.TooLarge: ("ValidationException", "ValidationError"),
    errors.ContextExceeded: ("ValidationException", "ValidationError"),
    errors.Forbidden: ("AccessDeniedException",),
    errors.Gated: ("AccessDeniedException",),
    errors.NotFound: ("ResourceNotFoundException", "ValidationException", "ValidationError"),
    errors.Conflict: ("ConflictException", "ResourceInUseException", "ValidationException", "ValidationError"),
    errors.Throttled: ("ThrottlingException",),
    errors.DeadlineExceeded: (
        "ModelTimeoutException",
        "ServiceUnavailableException",
        "DependencyFailedException",
        "ModelError",
    ),
    errors.ModelUnavailable: ("ServiceUnavailableException", "ModelNotReadyException"),
    errors.ModelFailed: (
        "ModelErrorException",
        "ModelStreamErrorException",
        "DependencyFailedException",
        "ModelError",
    ),
    errors.SourceFailed: ("DependencyFailedException", "BadGatewayException", "ValidationException"),
    errors.OutgoingRefused: ("ValidationException", "ValidationError"),
    errors.Damaged: (),
    errors.StorageFull: ("ServiceUnavailableException", "ServiceUnavailable"),
    errors.Internal: (),
}
_LAST_RESORT = "InternalServerException"
_COMMON = {"AccessDeniedException": 403, "ThrottlingException": 400}
"""Errors that every AWS service may answer, in its model or not; and their statuses there."""

# Refused credentials are not in the models: every AWS service answers them alike, with 403.
_CREDENTIALS = {
    "missing": "MissingAuthenticationTokenException",
    "invalid": "UnrecognizedClientException",
    "expired": "ExpiredTokenException",
    "signature": "InvalidSignatureException",
    "skewed": "InvalidSignatureException",
}


def error_name(error: CratonError, *known: Collection[str]) -> str:
    """The AWS name of an error. known: collections of names, the better ones first."""
    if isinstance(error, errors.Unauthenticated):
        return _CREDENTIALS.get(error.code, "UnrecognizedClientException")
    names = next((_NAMES[ancestor] for ancestor in type(error).__mro__ if ancestor in _NAMES), ())
    found = next((name for some in known for name in names if name in some), None)
    return found or next((name for name in names if name in _COMMON), _LAST_RESORT)


def write_error(error: CratonError, request: Request, service: Service, operation: Operation) -> Reply:
    """The reply that gives boto3 its typed exception."""
    name = error_name(error, operation.errors, service.error_statuses)
    status = (
        403 if isinstance(error, errors.Unauthenticated) else service.error_statuses.get(name) or _COMMON.get(name, 500)
    )
    return json_reply(status, {"message": str(error)}, error_headers(error, name, request))


def error_headers(error: CratonError, name: str, request: Request) -> dict[str, str]:
    headers = {"x-amzn-errortype": name, "x-amzn-requestid": request.request_id}
    if isinstance(error, errors.Throttled):
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    return headers


def stream_exception(error: CratonError, operation: Operation) -> tuple[str, str]:
    """The member of the operation's event stream that an error in mid-stream becomes, and its message."""
    members = {name[0].upper() + name[1:]: name for name in operation.stream_exceptions}
    name = error_name(error, members)
    return members.get(name, members.get(_LAST_RESORT, name)), str(error)
