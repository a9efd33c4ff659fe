"""Signatures: what the official signer signs is accepted, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from craton.core.access import Caller, KeyRole
from craton.core.errors import Unauthenticated
from craton.wire.aws.sigv4 import (
    MAX_EXPIRES,
    WINDOW,
    claimed_key_id,
    claimed_region,
    claimed_service,
    is_signed,
    verify,
)
from craton.wire.http import Request

KEY, SECRET = "CRTNAAAABBBBCCCCDDDD", "a secret/+ with signs"
CALLER = Caller(tenant="acme", key_id=KEY, role=KeyRole.DEVELOPER)
HOST = "127.0.0.1:8000"
VECTORS = json.loads((Path(__file__).parent / "data" / "openai_bedrock_sigv4.json").read_text())


def signing(key_id: str) -> tuple[str, Caller]:
    if key_id != KEY:
        raise Unauthenticated("The key is not known.", "invalid")
    return SECRET, CALLER


def sign(
    method: str = "POST",
    path: str = "/model/echo/converse",
    body: bytes = b'{"messages":[]}',
    headers: dict[str, str] | None = None,
    query: str = "",
    *,
    signer: type[SigV4Auth] = SigV4Auth,
    service: str = "bedrock",
    secret: str = SECRET,
    token: str | None = None,
    **options: Any,
) -> Request:
    """A request as botocore's signer leaves it."""
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    prepared = AWSRequest(method=method, url=url, headers=headers or {"Content-Type": "application/json"}, data=body)
    signer(Credentials(KEY, secret, token), service, "eu-west-1", **options).add_auth(prepared)
    parts = urlsplit(prepared.url)
    lower = {name.lower(): value for name, value in prepared.headers.items()}
    return Request(method, parts.path, parts.query, {"host": HOST, **lower}, body, "req-1")


def signed_at(request: Request) -> float:
    stamp = request.headers.get("x-amz-date") or request.query.split("X-Amz-Date=")[1].split("&")[0]
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def check(request: Request, later: float = 0.0) -> Any:
    return verify(request, signing, signed_at(request) + later)


def refusal(request: Request, later: float = 0.0) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        check(request, later)
    return caught.value


def test_a_right_signature_names_caller_service_and_region() -> None:
    signature = check(sign())
    assert (signature.caller, signature.service, signature.region) == (CALLER, "bedrock", "eu-west-1")


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: str(vector["name"]))
def test_the_vectors_of_the_openai_repository_are_accepted(vector: dict[str, Any]) -> None:
    stamp = vector["headers"]["x-amz-date"]
    scope = f"{VECTORS['access_key_id']}/{stamp[:8]}/{VECTORS['region']}/{VECTORS['service']}/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={vector['signed']}"
    headers = {**vector["headers"], "authorization": f"{authorization}, Signature={vector['signature']}"}
    request = Request("POST", "/openai/v1/responses", "", headers, vector["body"].encode(), "req-1")
    now = signed_at(request)
    signature = verify(request, lambda _key_id: (VECTORS["secret_access_key"], CALLER), now)
    assert signature.service == "bedrock-mantle"
    with pytest.raises(Unauthenticated):
        verify(request, lambda _key_id: (SECRET, CALLER), now)


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        (
            "bedrock",
            "get_foundation_model",
            {"modelIdentifier": "arn:aws:bedrock:us-east-1::foundation-model/a.b-v1:0"},
        ),
        ("bedrock", "list_tags_for_resource", {"resourceARN": "arn:aws:bedrock:us-east-1:1:guardrail/a%2Fb"}),
        ("bedrock", "list_guardrails", {"guardrailIdentifier": "arn:aws:b:c/d e%f+g&h=i", "maxResults": 7}),
        ("bedrock-runtime", "converse", {"modelId": "us.a/b:c%d e~ü", "messages": []}),
        ("bedrock-runtime", "invoke_model", {"modelId": "m", "body": b"\x00{}", "accept": "*/*"}),
        ("bedrock-agent", "get_agent", {"agentId": "AGENT12345"}),
        ("bedrock-agent", "untag_resource", {"resourceArn": "arn:aws:bedrock:x:1:agent/A", "tagKeys": ["a b", "c/d"]}),
        ("bedrock-agent-runtime", "retrieve", {"knowledgeBaseId": "KB12345678", "retrievalQuery": {"text": "hi"}}),
    ],
)
def test_requests_of_unmodified_clients_are_accepted(
    service: str, operation: str, parameters: dict[str, Any], boto3_session: Any
) -> None:
    client = boto3_session.client(
        service,
        region_name="eu-west-1",
        endpoint_url=f"http://{HOST}",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(parameter_validation=False),
    )
    caught: list[Any] = []

    def intercept(request: Any, **_: Any) -> Any:
        caught.append(request)
        raise InterruptedError

    client.meta.events.register("before-send", intercept)
    with pytest.raises(InterruptedError):
        getattr(client, operation)(**parameters)
    sent = caught[0]
    parts = urlsplit(sent.url)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in sent.headers.items()
    }
    request = Request(sent.method, parts.path, parts.query, {"host": HOST, **headers}, sent.body or b"", "req-1")
    assert check(request).service == "bedrock"
    request.path = parts.path + "x"
    assert refusal(request).code == "signature"


@settings(deadline=None, database=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.text(alphabet="ab/%2F:~.-_", max_size=20),
    query=st.lists(st.tuples(st.sampled_from(["a", "b", "a%2Fb"]), st.sampled_from(["", "1", "%20x", "%2B", "~"]))),
    body=st.binary(max_size=50),
    value=st.text(alphabet="az ,;=", max_size=10).map(str.strip),
)
def test_whatever_botocore_signs_is_accepted(path: str, query: list[tuple[str, str]], body: bytes, value: str) -> None:
    text = "&".join(f"{name}={item}" for name, item in query)
    request = sign("PUT", f"/m/{path}", body, {"X-Amz-Meta": value, "Content-Type": "a/b"}, text)
    assert check(request).caller == CALLER


@pytest.mark.parametrize(
    "tamper",
    [
        lambda r: setattr(r, "body", r.body + b" "),
        lambda r: setattr(r, "path", "/model/other/converse"),
        lambda r: setattr(r, "path", r.path + "/"),
        lambda r: setattr(r, "path", r.path + "#x"),
        lambda r: setattr(r, "method", "PUT"),
        lambda r: setattr(r, "query", "a=1&b=3"),
        lambda r: setattr(r, "query", "a=1"),
        lambda r: setattr(r, "query", "a=1&b=2&b=2"),
        lambda r: setattr(r, "headers", {**r.headers, "content-type": "text/plain"}),
        lambda r: setattr(r, "headers", {**r.headers, "host": "elsewhere"}),
        lambda r: setattr(r, "headers", {**r.headers, "x-amz-extra": "1"}),
        lambda r: setattr(r, "headers", {k: v for k, v in r.headers.items() if k != "content-type"}),
        lambda r: setattr(r, "headers", {**r.headers, "authorization": r.headers["authorization"][:-1] + "z"}),
    ],
)
def test_a_changed_request_is_refused(tamper: Callable[[Request], None]) -> None:
    request = sign(query="a=1&b=2")
    check(request)
    tamper(request)
    assert refusal(request).code == "signature"


def test_a_wrong_secret_is_refused_and_an_unknown_key_is_not_looked_at_further() -> None:
    assert refusal(sign(secret="another")).code == "signature"
    request = sign()
    request.headers = {**request.headers, "authorization": request.headers["authorization"].replace(KEY, "OTHER")}
    assert claimed_key_id(request) == "OTHER"
    assert refusal(request).code == "invalid"


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=, SignedHeaders=, Signature=",
        f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/r/bedrock/aws3_request, SignedHeaders=host, Signature=ü",
        f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=ü",
        "AWS4-HMAC-SHA256 " + "=" * 4000 + "," * 4000,
    ],
)
def test_hostile_authorization_headers_are_refused(authorization: str) -> None:
    headers = {"host": HOST, "x-amz-date": "20260101T000000Z", "authorization": authorization}
    request = Request("GET", "/", "", headers, b"", "req-1")
    assert is_signed(request)
    assert refusal(request).code == "signature"


@pytest.mark.parametrize("later", [-WINDOW, WINDOW])
def test_within_the_window_a_clock_may_differ(later: float) -> None:
    assert check(sign(), later).caller == CALLER


@pytest.mark.parametrize("later", [-WINDOW - 1, WINDOW + 1])
def test_outside_the_window_a_signature_is_skewed(later: float) -> None:
    assert refusal(sign(), later).code == "skewed"


@pytest.mark.parametrize("stamp", ["", "20260101", "20261301T000000Z", "20260101T000000", "20260101T0000000Z"])
def test_a_time_that_is_none_is_refused(stamp: str) -> None:
    request = sign()
    request.headers = {
        **request.headers,
        "x-amz-date": stamp,
        "authorization": request.headers["authorization"].replace(request.headers["x-amz-date"][:8], stamp[:8] or "x"),
    }
    with pytest.raises(Unauthenticated) as caught:
        verify(request, signing, 0)
    assert caught.value.code == "signature"


def test_a_stated_hash_must_be_the_hash_of_the_body() -> None:
    request = sign(signer=S3SigV4Auth, service="bedrock")
    assert "x-amz-content-sha256" in request.headers
    request.body = b"another"
    assert refusal(request).code == "signature"


def test_only_s3_may_leave_the_body_unsigned() -> None:
    class Unsigned(SigV4Auth):
        def payload(self, request: Any) -> str:
            request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
            return "UNSIGNED-PAYLOAD"

        def headers_to_sign(self, request: Any) -> Any:
            self.payload(request)
            return super().headers_to_sign(request)

    class UnsignedS3(Unsigned):
        def _normalize_url_path(self, path: str) -> str:
            return path

    assert refusal(sign(signer=Unsigned, service="bedrock")).code == "signature"
    assert check(sign(signer=UnsignedS3, service="s3")).service == "s3"


def test_s3_paths_are_encoded_once_and_others_twice() -> None:
    path = "/bucket/a%2Fb%20c//d"
    assert check(sign("GET", path, b"", signer=S3SigV4Auth, service="s3")).service == "s3"
    assert check(sign("GET", path, b"", service="bedrock")).service == "bedrock"
    assert refusal(sign("GET", path, b"", signer=S3SigV4Auth, service="bedrock")).code == "signature"


def test_a_session_token_is_passed_over() -> None:
    assert check(sign(token="left over from somewhere")).caller == CALLER


def test_a_header_sent_twice_is_signed_with_both_values() -> None:
    prepared = AWSRequest(method="GET", url=f"http://{HOST}/guardrails", headers={}, data=b"")
    prepared.headers["X-Amz-Twice"] = "one"
    prepared.headers["X-Amz-Twice"] = "two"
    SigV4Auth(Credentials(KEY, SECRET), "bedrock", "eu-west-1").add_auth(prepared)
    headers = {name.lower(): value for name, value in prepared.headers.items()}
    headers |= {"host": HOST, "x-amz-twice": "one,two"}
    request = Request("GET", "/guardrails", "", headers, b"", "req-1")
    assert check(request).caller == CALLER
    request.headers = {**headers, "x-amz-twice": "two,one"}
    assert refusal(request).code == "signature"


@pytest.mark.parametrize(
    ("signer", "service"), [(SigV4QueryAuth, "bedrock"), (SigV4QueryAuth, "sts"), (S3SigV4QueryAuth, "s3")]
)
def test_a_presigned_query_is_accepted_until_it_expires(signer: type[SigV4Auth], service: str) -> None:
    request = sign("GET", "/model/a%2Fb", b"", {"X": "y"}, "z=1&a=%2F", signer=signer, service=service, expires=600)
    assert "authorization" not in request.headers
    assert is_signed(request)
    assert (claimed_key_id(request), claimed_service(request)) == (KEY, service)
    assert claimed_region(request) == "eu-west-1"
    assert check(request, 600).service == service
    assert refusal(request, 601).code == "expired"
    assert refusal(request, -WINDOW - 1).code == "skewed"
    request.query = request.query.replace("z=1", "z=2")
    assert refusal(request).code == "signature"


def test_a_presigned_query_cannot_live_for_ever_or_say_things_twice() -> None:
    assert refusal(sign("GET", body=b"", signer=SigV4QueryAuth, expires=MAX_EXPIRES + 1)).code == "signature"
    assert check(sign("GET", body=b"", signer=SigV4QueryAuth, expires=MAX_EXPIRES)).caller == CALLER
    request = sign("GET", body=b"", signer=SigV4QueryAuth)
    request.query += "&X-Amz-Expires=9"
    assert refusal(request).code == "signature"
    request.query = "&".join("a=1" for _ in range(1000)) + "&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    with pytest.raises(Unauthenticated):
        verify(request, signing, 0)


def test_a_key_id_with_odd_characters_never_reaches_the_key_store() -> None:
    request = sign("GET", body=b"", signer=SigV4QueryAuth)
    for odd in ("%00", "%27--", "%C3%BC", "A" * 200):
        changed = Request("GET", "/", request.query.replace(KEY, odd), request.headers, b"", "req-1")
        with pytest.raises(Unauthenticated):
            claimed_key_id(changed)


def test_a_bearer_token_is_no_signature() -> None:
    request = Request("GET", "/", "", {"authorization": "Bearer x"}, b"", "req-1")
    assert not is_signed(request)
    assert (claimed_service(request), claimed_region(request)) == ("", "")
