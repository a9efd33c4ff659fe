"""Answers to AWS clients outside the Bedrock services, each in the protocol that the client reads.

An application whose profile sends every AWS service here must be told which one is missing; nothing is passed on.
Protocols: https://smithy.io/2.0/aws/protocols/
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from craton.core import errors
from craton.core.errors import CratonError
from craton.wire.aws.errors import error_headers, error_name
from craton.wire.aws.sigv4 import claimed_service
from craton.wire.http import Reply, Request, encode_json

SPOKEN_SERVICES = frozenset({"bedrock", "bedrock-mantle", "sagemaker", "s3", "sts", "iam", "aoss"})
"""Names in a signature's scope that Craton answers: all Bedrock clients sign as "bedrock", but those that speak
OpenAI's or Anthropic's API to it; OpenSearch Serverless is "aoss"."""

_RUNTIME_ALONE = frozenset({"sagemaker"})
"""Services whose control plane signs by the same name as the runtime that is answered, and is not."""

_S3 = frozenset({"s3", "s3express", "s3-outposts", "s3-object-lambda"})
_REST_XML = frozenset({"route53", "cloudfront"})
_STATUSES: dict[type[CratonError], int] = {
    errors.InvalidRequest: 400,
    errors.TooLarge: 413,
    errors.Unauthenticated: 403,
    errors.Forbidden: 403,
    errors.Gated: 403,
    errors.NotFound: 404,
    errors.Throttled: 429,
}
_KNOWN = ("ValidationException", "AccessDeniedException", "ThrottlingException")


def refuse_service(service: str, request: Request) -> Reply:
    """The refusal of a service that Craton does not speak, by its name in the signature."""
    message = (
        f"Craton does not speak the AWS service {service[:64]!r}, and passes nothing on to AWS. "
        "Use a client with AWS' own endpoint for it. Craton answers bedrock, bedrock-runtime, bedrock-agent, "
        "bedrock-agent-runtime, sagemaker-runtime and s3, and a part of sts, iam and opensearchserverless."
    )
    headers = {"x-amzn-errortype": "UnknownService", "x-amzn-requestid": request.request_id}
    return _write(service, request, 400, headers, message)


def write_unrouted(error: CratonError, request: Request) -> Reply:
    """An error for an AWS client whose request matches no operation."""
    service = claimed_service(request)
    if isinstance(error, errors.NotFound) and service in _RUNTIME_ALONE:
        return refuse_service(service, request)
    name = "UnknownOperationException" if isinstance(error, errors.NotFound) else error_name(error, _KNOWN)
    headers = error_headers(error, name, request)
    return _write(service, request, status_of(error), headers, str(error))


def status_of(error: CratonError) -> int:
    return next((_STATUSES[ancestor] for ancestor in type(error).__mro__ if ancestor in _STATUSES), 500)


def _write(service: str, request: Request, status: int, headers: dict[str, str], message: str) -> Reply:
    """Which of AWS' seven protocols: told by what the client sent, since the service names are too many to list."""
    code, request_id = headers["x-amzn-errortype"], request.request_id
    content_type = request.headers.get("content-type", "")
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        fields = {"__type": code, "message": message}
        return Reply(
            status, _cbor(fields), {**headers, "content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        )
    if service in _S3:
        body = f"<Error>{_error_xml(code, message)}<RequestId>{escape(request_id)}</RequestId></Error>"
    elif service == "ec2":
        body = (
            f"<Response><Errors><Error>{_error_xml(code, message)}</Error></Errors>"
            f"<RequestID>{escape(request_id)}</RequestID></Response>"
        )
    elif service in _REST_XML or content_type.startswith("application/x-www-form-urlencoded"):
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type>{_error_xml(code, message)}</Error>"
            f"<RequestId>{escape(request_id)}</RequestId></ErrorResponse>"
        )
    else:
        content_type = "application/x-amz-json-1.0" if "x-amz-target" in request.headers else "application/json"
        return Reply(
            status, encode_json({"__type": code, "message": message}), {**headers, "content-type": content_type}
        )
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    return Reply(status, document.encode(), {**headers, "content-type": "application/xml"})


def _error_xml(code: str, message: str) -> str:
    return f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"


def _cbor(fields: dict[str, str]) -> bytes:
    """A CBOR map of short texts (RFC 8949: major type 5, then 3 with a two-byte length)."""
    encoded = bytearray([0xA0 | len(fields)])
    for text in (part.encode() for pair in fields.items() for part in pair):
        encoded += b"\x79" + len(text).to_bytes(2, "big") + text
    return bytes(encoded)
