"""SigV4 against the real server: replayed, tampered with, presigned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import botocore.auth
import httpx
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.faults.seen import assert_tells_nothing
from tests.servers import RunningServer

BODY = b'{"messages": [{"role": "user", "content": [{"text": "hello"}]}]}'


def signed(server: RunningServer, when: timedelta = timedelta(), body: bytes = BODY, **more: Any) -> Mapping[str, str]:
    """The headers of a Converse request to echo that was signed at another time."""
    request = AWSRequest("POST", f"{server.url}/model/echo/converse", data=body, headers={"x-note": "signed"})
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=_now() + when):
        SigV4Auth(_credentials(server, **more), "bedrock", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def presigned(server: RunningServer, path: str, when: timedelta = timedelta(), expires: int = 60) -> str:
    request = AWSRequest("GET", server.url + path)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=_now() + when):
        SigV4QueryAuth(_credentials(server), "bedrock", "us-east-1", expires=expires).add_auth(request)
    return str(request.url)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _credentials(server: RunningServer, secret: str | None = None) -> Credentials:
    return Credentials(server.access_key_id, secret or server.secret_access_key)


def post(
    server: RunningServer, headers: Mapping[str, str], body: bytes = BODY, path: str = "/model/echo/converse"
) -> Any:
    return httpx.post(server.url + path, content=body, headers=dict(headers), trust_env=False)


def test_a_signed_request_works_and_may_come_twice_within_its_window(server: RunningServer) -> None:
    headers = signed(server)
    assert post(server, headers).status_code == 200
    assert post(server, headers).status_code == 200


@pytest.mark.parametrize("minutes", [-6, -60 * 24 * 365, 6])
def test_one_replayed_after_five_minutes_is_refused(minutes: int, server: RunningServer) -> None:
    response = post(server, signed(server, timedelta(minutes=minutes)))
    assert response.status_code == 403
    assert response.headers["x-amzn-errortype"] == "InvalidSignatureException"
    assert response.headers["x-amzn-requestid"]
    assert_tells_nothing(response.text, server)


def test_within_five_minutes_it_is_taken(server: RunningServer) -> None:
    for minutes in (-4, 4):
        assert post(server, signed(server, timedelta(minutes=minutes))).status_code == 200


def test_a_tampered_request_is_refused(server: RunningServer) -> None:
    headers = signed(server)
    other = BODY.replace(b"hello", b"other")
    hashed = {**headers, "X-Amz-Content-SHA256": hashlib.sha256(other).hexdigest()}
    tampered = [
        post(server, headers, other),
        post(server, hashed, other),
        post(server, headers, path="/model/echo/converse-stream"),
        post(server, headers, path="/model/echo/converse?more=1"),
        post(server, {**headers, "x-note": "changed"}),
        post(server, {name: value for name, value in headers.items() if name != "x-note"}),
        post(server, {**headers, "X-Amz-Date": "20200101T000000Z"}),
        post(server, {**headers, "Authorization": headers["Authorization"].replace("us-east-1", "eu-west-1")}),
        post(server, {**headers, "Authorization": headers["Authorization"][:-1] + "g"}),
        post(server, signed(server, secret="x" * 43)),
        httpx.put(f"{server.url}/model/echo/converse", content=BODY, headers=dict(headers), trust_env=False),
    ]
    assert [response.status_code for response in tampered] == [403] * len(tampered)
    for response in tampered:
        assert_tells_nothing(response.text, server)
    assert post(server, headers).status_code == 200


def test_a_presigned_url_works_until_it_expires(server: RunningServer) -> None:
    for path in ("/foundation-models", "/foundation-models/echo", "/foundation-models?byOutputModality=TEXT"):
        assert httpx.get(presigned(server, path), trust_env=False).status_code == 200
        late = httpx.get(presigned(server, path, timedelta(seconds=-90)), trust_env=False)
        assert late.status_code == 403
        assert_tells_nothing(late.text, server)
    assert httpx.get(presigned(server, "/foundation-models", timedelta(minutes=-50), 3600), trust_env=False).is_success


def test_a_presigned_url_is_good_for_nothing_else(server: RunningServer) -> None:
    url = presigned(server, "/foundation-models")
    assert httpx.get(url.replace("/foundation-models", "/foundation-models/echo"), trust_env=False).status_code == 403
    assert httpx.get(f"{url}&byProvider=x", trust_env=False).status_code == 403
    assert httpx.get(url.replace("Expires=60", "Expires=600"), trust_env=False).status_code == 403
    assert httpx.post(url, content=b"{}", trust_env=False).status_code == 403
    assert httpx.get(presigned(server, "/foundation-models", expires=8 * 24 * 3600), trust_env=False).status_code == 403
