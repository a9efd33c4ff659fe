"""The older presigned query of S3 (signature version 2), which boto3 still makes when it presigns without being told
otherwise. Only that: GET, HEAD and PUT of one object, until the moment that the query names.

The signature covers the method, the path, a list of query fields and the x-amz- headers; what it does not cover is
refused. https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from urllib.parse import parse_qsl

from craton.core.access import Caller
from craton.core.errors import Unauthenticated
from craton.wire.http import Request

MAX_EXPIRES = 7 * 24 * 3600  # seconds from now
_OWN = frozenset({"AWSAccessKeyId", "Signature", "Expires"})
_SIGNED = frozenset(
    {f"response-{name}" for name in ("cache-control", "content-disposition", "content-encoding", "content-language",
                                     "content-type", "expires")}
    | {"partNumber", "uploadId", "versionId"}
)  # fmt: skip
_METHODS = frozenset({"GET", "HEAD", "PUT"})


def is_presigned(request: Request) -> bool:
    """Whether the query carries such a signature, and nothing else says who is calling."""
    query = request.query
    return (
        "AWSAccessKeyId=" in query
        and "Signature=" in query
        and "authorization" not in request.headers
        and "X-Amz-Algorithm=" not in query
    )


def key_id_of(request: Request) -> str:
    return _fields(request).get("AWSAccessKeyId", "")


def verify(request: Request, signing: Callable[[str], tuple[str, Caller]], now: float) -> Caller:
    """As `sigv4.verify`. Raises Unauthenticated."""
    fields = _fields(request)
    expires = fields.get("Expires", "")
    if not (expires.isdecimal() and expires.isascii() and len(expires) < 12 and int(expires) <= now + MAX_EXPIRES):
        raise _refused(f"Expires must be a time at most {MAX_EXPIRES} seconds from now.")
    if int(expires) < now:
        raise Unauthenticated("The presigned request has expired.", "expired")
    if request.method not in _METHODS or fields.keys() - _OWN - _SIGNED - {"x-id"}:
        raise _refused("Signatures of version 2 are taken for one object alone: use signature_version='s3v4'.")
    secret, caller = signing(fields.get("AWSAccessKeyId", ""))
    signature = fields.get("Signature", "").encode()
    for path in _paths(request):
        text = _string_to_sign(request, fields, expires, path)
        expected = base64.b64encode(hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha1"))
        if hmac.compare_digest(expected, signature):
            return caller
    raise _refused("The request signature we calculated does not match the signature you provided.")


def _string_to_sign(request: Request, fields: dict[str, str], expires: str, path: str) -> str:
    headers = request.headers
    amazon = [f"{name}:{headers[name].strip()}\n" for name in sorted(headers) if name.startswith("x-amz-")]
    signed = sorted(name for name in fields if name in _SIGNED)
    query = "&".join(f"{name}={fields[name]}" for name in signed)
    head = [request.method, headers.get("content-md5", ""), headers.get("content-type", ""), expires]
    return "\n".join(head) + "\n" + "".join(amazon) + path + (f"?{query}" if query else "")


def _paths(request: Request) -> list[str]:
    """With the bucket in front where the host names it; which of the two it is, the signature decides."""
    host = request.headers.get("host", "").rpartition(":")[0]
    bucket = host.removesuffix(".localhost")
    return [request.path] if bucket == host else [f"/{bucket}{request.path}", request.path]


def _fields(request: Request) -> dict[str, str]:
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, max_num_fields=64)
    except ValueError:
        raise _refused("The query has too many fields.") from None
    if len(dict(pairs)) != len(pairs):
        raise _refused("The query has a field twice.")
    return dict(pairs)


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(reason, "signature")
