"""AWS Signature Version 4, verified: in the Authorization header or in a presigned query.

The request is rebuilt and signed again with botocore's own signer, so that both sides agree on the canonical form.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.compat import HTTPHeaders

from craton.core.access import Caller
from craton.core.errors import Unauthenticated
from craton.wire.aws import sigv2
from craton.wire.aws.payload import ChunkSigner, Payload
from craton.wire.http import Request

WINDOW = 300  # seconds that the signer's clock may be off
MAX_EXPIRES = 7 * 24 * 3600  # seconds that a presigned query may live
MAX_FIELDS = 256  # of a query

_ALGORITHM = "AWS4-HMAC-SHA256"
_SCOPE = re.compile(r"(\w{1,128})/(\d{8})/([\w.-]{1,64})/([\w.-]{1,64})/aws4_request", re.ASCII)
_TIMESTAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_S3_SERVICES = frozenset({"s3", "s3express", "s3-outposts", "s3-object-lambda"})
# What S3's clients may put in place of the body's hash. The Bedrock services hash every body.
_CHUNK_SIGNED = frozenset({"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"})
_HASH = re.compile(r"[0-9a-f]{64}")
_UNHASHED = frozenset({"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that was right: by whom, and the service and region that it was made for.

    payload: what it promises of a body that streams."""

    caller: Caller
    service: str
    region: str
    payload: Payload = field(default_factory=Payload)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What the request says about its signature. expires: seconds, None for the header form."""

    key_id: str
    date: str
    region: str
    service: str
    timestamp: str
    signed_headers: tuple[str, ...]
    signature: str
    expires: int | None

    def moment(self) -> float:
        """Seconds since the epoch."""
        try:
            if _TIMESTAMP.fullmatch(self.timestamp):
                return datetime.fromisoformat(self.timestamp).timestamp()
        except ValueError:
            pass
        raise _refused("X-Amz-Date must look like 20260131T235959Z.")


class _Credentials(NamedTuple):
    """As botocore's signer wants them."""

    access_key: str
    secret_key: str
    token: None = None


@dataclass(slots=True)
class _Rebuilt:
    """The request as botocore's signer wants it (the part of `botocore.awsrequest.AWSRequest` that it reads)."""

    method: str
    url: str
    headers: HTTPHeaders
    params: list[tuple[str, str]]
    body: bytes
    context: dict[str, Any] = field(default_factory=dict)


def is_signed(request: Request) -> bool:
    """Whether the request carries an AWS signature, right or wrong: of version 4, or S3's presigned query of 2."""
    return (
        request.headers.get("authorization", "").startswith(_ALGORITHM)
        or "X-Amz-Algorithm=" in request.query
        or sigv2.is_presigned(request)
    )


def claimed_key_id(request: Request) -> str:
    """The access key id that the request names, unverified. Raises Unauthenticated when it cannot be read."""
    if sigv2.is_presigned(request):
        return sigv2.key_id_of(request)
    return _read_claim(request, _query_of(request)).key_id


def claimed_service(request: Request) -> str:
    """The service that the request is meant for, unverified; "" when it does not say. For wording errors only."""
    if sigv2.is_presigned(request):
        return "s3"
    claim = _try_claim(request)
    return claim.service if claim else ""


def claimed_region(request: Request) -> str:
    """The region that the request was signed for; "" for bearer tokens, which name none. For writing ARNs only."""
    claim = _try_claim(request)
    return claim.region if claim else ""


def verify(request: Request, signing: Callable[[str], tuple[str, Caller]], now: float) -> Signature:
    """Who signed the request.

    signing: access key id -> its secret and caller; raises Unauthenticated for unknown ones. now: seconds since the
    epoch. A session token is covered by the signature where it was signed, and otherwise ignored: Craton has none.
    Raises Unauthenticated with the code "signature", "skewed" (outside WINDOW) or "expired" (a presigned query).
    """
    if sigv2.is_presigned(request):
        return Signature(sigv2.verify(request, signing, now), "s3", "")
    query = _query_of(request)
    claim = _read_claim(request, query)
    _check_time(claim, now)
    _check_headers(request.headers, claim)
    secret, caller = signing(claim.key_id)
    is_s3 = claim.service in _S3_SERVICES
    payload = _promised(request, claim, secret) if request.stream is not None else Payload()
    if request.stream is None:
        _check_body_hash(request, claim, is_s3)
    presigned = claim.expires is not None
    signer_class = (S3SigV4QueryAuth if presigned else S3SigV4Auth) if is_s3 else SigV4Auth
    signer = signer_class(_Credentials(claim.key_id, secret), claim.service, claim.region)
    rebuilt = _rebuild(request, query, claim)
    expected = signer.signature(signer.string_to_sign(rebuilt, signer.canonical_request(rebuilt)), rebuilt)
    if not hmac.compare_digest(expected.encode(), claim.signature.encode()):
        raise _refused(
            "The request signature we calculated does not match the signature you provided. "
            "Check the secret access key, and that nothing changes the request on its way."
        )
    return Signature(caller, claim.service, claim.region, payload)


def _try_claim(request: Request) -> _Claim | None:
    try:
        return _read_claim(request, _query_of(request)) if is_signed(request) else None
    except Unauthenticated:
        return None


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(reason, "signature")


def _query_of(request: Request) -> list[tuple[str, str]]:
    """Decoded pairs, in order: two queries that decode alike are the same to the signature and to the handlers."""
    try:
        return parse_qsl(request.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise _refused("The query has too many fields.") from None


def _read_claim(request: Request, query: list[tuple[str, str]]) -> _Claim:
    header = request.headers.get("authorization", "")
    if header.startswith(_ALGORITHM):
        pairs = (part.strip().partition("=") for part in header[len(_ALGORITHM) :].split(","))
        fields = {name: value for name, _, value in pairs}
        timestamp, expires = request.headers.get("x-amz-date", ""), None
    else:
        given = [(name.removeprefix("X-Amz-"), value) for name, value in query if name.startswith("X-Amz-")]
        fields = dict(given)
        if len(fields) != len(given) or fields.get("Algorithm") != _ALGORITHM:
            raise _refused("The signature in the query is not one of AWS Signature Version 4.")
        timestamp, expires = fields.get("Date", ""), _read_expires(fields.get("Expires", ""))
    scope = _SCOPE.fullmatch(fields.get("Credential", ""))
    if scope is None:
        raise _refused("The signature's Credential must be KEY/DATE/REGION/SERVICE/aws4_request.")
    key_id, date, region, service = scope.groups()
    if not timestamp.startswith(date):
        raise _refused("X-Amz-Date and the date in the signature's Credential differ.")
    signed = tuple(fields.get("SignedHeaders", "").split(";"))
    return _Claim(key_id, date, region, service, timestamp, signed, fields.get("Signature", ""), expires)


def _read_expires(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) < 10 and 1 <= int(text) <= MAX_EXPIRES):
        raise _refused(f"X-Amz-Expires must be from 1 to {MAX_EXPIRES} seconds.")
    return int(text)


def _check_time(claim: _Claim, now: float) -> None:
    age = now - claim.moment()
    if age < -WINDOW or (claim.expires is None and age > WINDOW):
        raise Unauthenticated(
            f"The signature's time {claim.timestamp} is more than {WINDOW // 60} minutes away from the server's; "
            "set the clock right.",
            "skewed",
        )
    if claim.expires is not None and age > claim.expires:
        raise Unauthenticated("The presigned request has expired.", "expired")


def _check_headers(headers: Mapping[str, str], claim: _Claim) -> None:
    unsigned = {"host"} | {name for name in headers if name.startswith("x-amz-")}
    unsigned.difference_update(claim.signed_headers)
    if unsigned:
        raise _refused(f"These headers must be signed: {', '.join(sorted(unsigned))[:200]}.")
    absent = [name for name in claim.signed_headers if name not in headers]
    if absent:
        raise _refused(f"These headers are said to be signed and are not there: {', '.join(absent)[:200]}.")


def _promised(request: Request, claim: _Claim, secret: str) -> Payload:
    """What the signature says of a body that is still to come: its header covers the hash, or says how it is framed."""
    stated = request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD" if claim.expires is not None else "")
    if stated in _UNHASHED:
        return Payload(framed=stated != "UNSIGNED-PAYLOAD")
    if stated in _CHUNK_SIGNED:
        key = f"AWS4{secret}".encode()
        for step in (claim.date, claim.region, claim.service, "aws4_request"):
            key = hmac.digest(key, step.encode(), hashlib.sha256)
        scope = f"{claim.date}/{claim.region}/{claim.service}/aws4_request"
        signer = ChunkSigner(key, claim.timestamp, scope, claim.signature)
        return Payload(framed=True, signer=signer, signed_trailer=stated.endswith("-TRAILER"))
    if not _HASH.fullmatch(stated):
        raise _refused("X-Amz-Content-SHA256 must state the body's hash, or how it is sent.")
    return Payload(sha256=stated)


def _check_body_hash(request: Request, claim: _Claim, is_s3: bool) -> None:
    """When the hash stands in a header, the signature covers the header, and this makes the header cover the body."""
    stated = request.headers.get("x-amz-content-sha256")
    if stated is None or (is_s3 and stated in _UNHASHED):
        return
    if not hmac.compare_digest(stated.encode(), hashlib.sha256(request.body).hexdigest().encode()):
        raise _refused("The body does not have the hash that X-Amz-Content-SHA256 states.")


def _rebuild(request: Request, query: list[tuple[str, str]], claim: _Claim) -> _Rebuilt:
    if "#" in request.path or "?" in request.path:
        raise _refused("The path has characters that must be percent-encoded.")
    headers = HTTPHeaders()
    for name in claim.signed_headers:
        headers[name] = request.headers[name]
    params = query if claim.expires is None else [pair for pair in query if pair[0] != "X-Amz-Signature"]
    # With plain http, the signer always hashes the body; the host that counts is the signed header.
    return _Rebuilt(
        request.method, f"http://craton{request.path}", headers, params, request.body, {"timestamp": claim.timestamp}
    )
