"""S3 through whatever stands before the server: requests that boto3 made for another address arrive with that host.

What a proxy that ends TLS passes on is told from plain http by its bodies: boto3 sends "aws-chunked" ones with a
checksum behind them and leaves them unsigned, since TLS vouches for them.
"""

from __future__ import annotations

import io
import os
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from tests.servers import RunningServer

MEGABYTE = 2**20


class Proxy:
    """Passes a client's requests on to the server as they are, and keeps their heads."""

    def __init__(self, client: Any, server: RunningServer) -> None:
        self._session, self._server = URLLib3Session(timeout=60), server
        self.heads: list[dict[str, str]] = []
        client.meta.events.register("before-send.s3", self.send)

    def send(self, request: Any, **_rest: Any) -> Any:
        meant = urlsplit(request.url)
        request.url = self._server.url + meant.path + (f"?{meant.query}" if meant.query else "")
        request.headers["Host"] = meant.netloc
        self.heads.append({name.lower(): _text(value) for name, value in request.headers.items()})
        return self._session.send(request)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def connect(server: RunningServer, endpoint: str, style: str, **options: Any) -> tuple[Any, Proxy]:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": style, **options}),
    )
    return client, Proxy(client, server)


@pytest.mark.parametrize(
    ("endpoint", "style"),
    [
        ("https://craton.example.com", "path"),
        ("https://craton.example.com:8443", "path"),
        ("https://localhost", "virtual"),
        ("http://localhost:8080", "virtual"),
        ("http://localhost:8080", "auto"),
    ],
)
def test_a_bucket_works_whatever_the_client_calls_the_server(endpoint: str, style: str, server: RunningServer) -> None:
    s3, proxy = connect(server, endpoint, style)
    name, big = f"p-{uuid4().hex}", os.urandom(6 * MEGABYTE)
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a b/ü+1", Body=b"hello", Metadata={"who": "me"})
    s3.upload_fileobj(io.BytesIO(big), name, "big", Config=TransferConfig(multipart_threshold=5 * MEGABYTE))
    s3.put_object(Bucket=name, Key="empty", Body=b"")
    assert s3.get_object(Bucket=name, Key="a b/ü+1")["Body"].read() == b"hello"
    assert s3.get_object(Bucket=name, Key="big")["Body"].read() == big
    s3.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": "a b/ü+1"})
    assert s3.head_object(Bucket=name, Key="copy")["Metadata"] == {"who": "me"}
    listed = [item["Key"] for item in s3.list_objects_v2(Bucket=name)["Contents"]]
    assert listed == ["a b/ü+1", "big", "copy", "empty"]
    s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": key} for key in listed]})
    s3.delete_bucket(Bucket=name)
    with pytest.raises(ClientError):
        s3.head_bucket(Bucket=name)
    unsigned = [
        head for head in proxy.heads if head.get("x-amz-content-sha256") == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    ]
    assert bool(unsigned) == endpoint.startswith("https")
    assert all(head["content-encoding"] == "aws-chunked" for head in unsigned)
    in_host = [head for head in proxy.heads if head["host"].startswith(f"{name}.")]
    assert bool(in_host) == (style == "virtual")


def test_an_unsigned_body_that_was_changed_on_its_way_is_refused(server: RunningServer) -> None:
    s3, _ = connect(server, "https://craton.example.com", "path")
    name = f"p-{uuid4().hex}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"old")
    client, _ = connect(server, "https://craton.example.com", "path")

    def lie(request: Any, **_rest: Any) -> None:
        request.headers["x-amz-trailer"] = "x-amz-checksum-crc32"
        request.body = b"3\r\nnew\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"

    client.meta.events.register_first("before-send.s3", lie)
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=name, Key="a", Body=b"new")
    assert caught.value.response["Error"]["Code"] == "BadDigest"
    assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"old"


def test_a_changed_host_breaks_the_signature(server: RunningServer) -> None:
    s3, proxy = connect(server, "https://craton.example.com", "path")

    def rename(request: Any, **_rest: Any) -> None:
        request.url = request.url.replace("craton.example.com", "elsewhere.example.com")

    s3.meta.events.register_first("before-send.s3", rename)
    with pytest.raises(ClientError) as caught:
        s3.list_buckets()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    assert proxy.heads[0]["host"] == "elsewhere.example.com"
