"""S3 as unmodified boto3 speaks it, against a real server process."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from craton.access.keys import Keys
from craton.access.root import load_master
from craton.access.tenants import Tenants
from craton.core.access import KeyRole
from craton.store.database import Database
from tests.faults.seen import assert_tells_nothing, resident_bytes
from tests.servers import RunningServer, serving

MEGABYTE = 2**20


def connect(server: RunningServer, service: str = "s3", token: str = "", **config: Any) -> Any:
    _, key, secret = (token or server.token).split("-", 2)
    options = Config(retries={"total_max_attempts": 1}, **config)
    return boto3.client(
        service, endpoint_url=server.url, aws_access_key_id=key, aws_secret_access_key=secret,
        region_name="us-east-1", config=options,
    )  # fmt: skip


def code_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    told = caught.value.response
    return told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture(scope="module")
def s3(server: RunningServer) -> Any:
    return connect(server)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"test-{uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def foreign(server: RunningServer) -> Iterator[dict[str, str]]:
    """Tokens: of another tenant, and of a reader of ours."""
    database = Database.at(server.home / "craton.db")
    keys = Keys(database, load_master(server.home))
    tenant = f"t-{uuid4().hex[:8]}"
    Tenants(database).create(tenant)
    yield {
        "stranger": keys.create(tenant, "theirs", KeyRole.ADMIN).token,
        "reader": keys.create("default", "reader", KeyRole.READER).token,
    }
    database.close()


def test_buckets_are_made_found_listed_and_deleted(s3: Any) -> None:
    names = [f"b-{uuid4().hex}" for _ in range(2)]
    s3.create_bucket(Bucket=names[0])
    s3.create_bucket(Bucket=names[1], CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert code_of(lambda: s3.create_bucket(Bucket=names[0])) == ("BucketAlreadyOwnedByYou", 409)
    assert set(names) <= {item["Name"] for item in s3.list_buckets()["Buckets"]}
    assert s3.get_bucket_location(Bucket=names[0])["LocationConstraint"] is None
    assert s3.get_bucket_location(Bucket=names[1])["LocationConstraint"] == "eu-west-1"
    assert s3.head_bucket(Bucket=names[1])["BucketRegion"] == "eu-west-1"
    s3.put_object(Bucket=names[0], Key="a", Body=b"")
    assert code_of(lambda: s3.delete_bucket(Bucket=names[0])) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=names[0], Key="a")
    for name in names:
        s3.delete_bucket(Bucket=name)
        assert code_of(lambda name=name: s3.head_bucket(Bucket=name))[1] == 404
    assert code_of(lambda: s3.create_bucket(Bucket="Not_A_Bucket"))[0] == "InvalidBucketName"


@pytest.mark.parametrize("name", ["api", "openai", "model", "healthz", "v1.models"])
def test_a_bucket_may_be_called_like_any_path_of_the_other_dialects(name: str, s3: Any, server: RunningServer) -> None:
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="models", Body=b"mine")
    assert s3.get_object(Bucket=name, Key="models")["Body"].read() == b"mine"
    with server.client() as client:
        assert client.get("/v1/models").json()["object"] == "list"
    s3.delete_object(Bucket=name, Key="models")
    s3.delete_bucket(Bucket=name)


def test_an_object_comes_back_with_all_that_was_said_of_it(s3: Any, bucket: str) -> None:
    said = {
        "ContentType": "text/markdown",
        "CacheControl": "max-age=1",
        "ContentDisposition": 'attachment; filename="x"',
        "ContentLanguage": "de",
        "Metadata": {"who": "me", "empty": ""},
    }
    put = s3.put_object(Bucket=bucket, Key="a/ü b.md", Body=b"hello", **said)
    assert put["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    for found in (s3.get_object(Bucket=bucket, Key="a/ü b.md"), s3.head_object(Bucket=bucket, Key="a/ü b.md")):
        assert {name: found[name] for name in said} == said
        assert (found["ETag"], found["ContentLength"]) == (put["ETag"], 5)
        assert abs(found["LastModified"] - datetime.now(UTC)) < timedelta(minutes=5)
    assert s3.get_object(Bucket=bucket, Key="a/ü b.md")["Body"].read() == b"hello"
    assert code_of(lambda: s3.get_object(Bucket=bucket, Key="a")) == ("NoSuchKey", 404)
    assert code_of(lambda: s3.get_object(Bucket="no-such-bucket", Key="a")) == ("NoSuchBucket", 404)


@pytest.mark.parametrize(
    ("asked", "body", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=5-99", b"56789", "bytes 5-9/10"),
    ],
)
def test_ranges(asked: str, body: bytes, told: str, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    found = s3.get_object(Bucket=bucket, Key="digits", Range=asked)
    assert (found["Body"].read(), found["ContentRange"]) == (body, told)
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert code_of(lambda: s3.get_object(Bucket=bucket, Key="digits", Range="bytes=10-")) == ("InvalidRange", 416)


def test_conditions_on_reading_and_writing(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
    here = {"Bucket": bucket, "Key": "a"}
    soon, past = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(hours=1)
    assert s3.get_object(**here, IfMatch=etag)["ETag"] == etag
    assert code_of(lambda: s3.get_object(**here, IfMatch='"x"')) == ("PreconditionFailed", 412)
    assert code_of(lambda: s3.get_object(**here, IfNoneMatch=etag))[1] == 304
    assert code_of(lambda: s3.get_object(**here, IfModifiedSince=soon))[1] == 304
    assert code_of(lambda: s3.get_object(**here, IfUnmodifiedSince=past))[1] == 412
    assert s3.get_object(**here, IfModifiedSince=past)["ETag"] == etag
    assert code_of(lambda: s3.put_object(**here, Body=b"2", IfNoneMatch="*"))[1] == 412
    assert code_of(lambda: s3.put_object(**here, Body=b"2", IfMatch='"x"'))[1] == 412
    s3.put_object(**here, Body=b"2", IfMatch=etag)
    assert s3.get_object(**here)["Body"].read() == b"2"


def test_large_files_go_up_and_down_in_parts(s3: Any, bucket: str, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(18 * MEGABYTE + 7)
    (tmp_path / "up").write_bytes(data)
    config = TransferConfig(multipart_threshold=5 * MEGABYTE, multipart_chunksize=5 * MEGABYTE, max_concurrency=4)
    s3.upload_file(str(tmp_path / "up"), bucket, "big", ExtraArgs={"Metadata": {"n": "1"}}, Config=config)
    found = s3.head_object(Bucket=bucket, Key="big", ChecksumMode="ENABLED")
    parts = [hashlib.md5(data[start : start + 5 * MEGABYTE]) for start in range(0, len(data), 5 * MEGABYTE)]
    assert found["ETag"] == f'"{hashlib.md5(b"".join(part.digest() for part in parts)).hexdigest()}-4"'
    assert found["ChecksumType"] == "COMPOSITE"
    assert found["Metadata"] == {"n": "1"}
    s3.download_file(bucket, "big", str(tmp_path / "down"), Config=config)
    assert (tmp_path / "down").read_bytes() == data
    s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "copied", Config=config)
    assert s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == data
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_an_upload_in_parts_step_by_step(s3: Any, bucket: str, server: RunningServer) -> None:
    here = {"Bucket": bucket, "Key": "x"}
    upload = s3.create_multipart_upload(**here)["UploadId"]
    big = bytes(5 * MEGABYTE)
    first = s3.upload_part(**here, UploadId=upload, PartNumber=1, Body=big)["ETag"]
    second = s3.upload_part(**here, UploadId=upload, PartNumber=2, Body=b"old")["ETag"]
    second = s3.upload_part(**here, UploadId=upload, PartNumber=2, Body=b"end")["ETag"]
    assert [part["Size"] for part in s3.list_parts(**here, UploadId=upload)["Parts"]] == [len(big), 3]
    page = s3.list_parts(**here, UploadId=upload, MaxParts=1)
    assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 1)
    assert [item["UploadId"] for item in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]

    def complete(*parts: tuple[int, str]) -> Any:
        listed = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        return s3.complete_multipart_upload(**here, UploadId=upload, MultipartUpload={"Parts": listed})

    assert code_of(lambda: complete((2, second), (1, first)))[0] == "InvalidPartOrder"
    assert code_of(lambda: complete((1, first), (2, '"x"')))[0] == "InvalidPart"
    third = s3.upload_part(**here, UploadId=upload, PartNumber=3, Body=b"3")["ETag"]
    assert code_of(lambda: complete((2, second), (3, third)))[0] == "EntityTooSmall"
    assert code_of(lambda: s3.get_object(**here))[0] == "NoSuchKey"
    assert complete((1, first), (2, second))["ETag"].endswith('-2"')
    assert s3.get_object(**here)["Body"].read() == big + b"end"
    assert code_of(lambda: complete((1, first)))[0] == "NoSuchUpload"
    aborted = s3.create_multipart_upload(**here)["UploadId"]
    s3.upload_part(**here, UploadId=aborted, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(**here, UploadId=aborted)
    assert code_of(lambda: s3.upload_part(**here, UploadId=aborted, PartNumber=2, Body=b"x"))[0] == "NoSuchUpload"
    assert not any((server.home / "buckets" / ".uploads" / name).exists() for name in (upload, aborted))


def test_listings_with_prefix_delimiter_and_pages(s3: Any, bucket: str) -> None:
    keys = sorted(["a", "b/1", "b/2", "b/c/3", "b.txt", "dir/", "é/ü", "x y+z&<>", "z//end"])
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for operation in ("list_objects", "list_objects_v2"):
        pages = list(s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}))
        assert [item["Key"] for page in pages for item in page["Contents"]] == keys
        found = getattr(s3, operation)(Bucket=bucket, Delimiter="/")
        assert [item["Key"] for item in found["Contents"]] == ["a", "b.txt", "x y+z&<>"]
        assert [item["Prefix"] for item in found["CommonPrefixes"]] == ["b/", "dir/", "z/", "é/"]
        below = getattr(s3, operation)(Bucket=bucket, Delimiter="/", Prefix="b/")
        assert [item["Key"] for item in below["Contents"]] == ["b/1", "b/2"]
        assert [item["Prefix"] for item in below["CommonPrefixes"]] == ["b/c/"]
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, StartAfter="dir/")["Contents"]] == keys[5 + 1 :]
    listed = s3.list_object_versions(Bucket=bucket, Prefix="b/")
    assert {item["VersionId"] for item in listed["Versions"]} == {"null"}
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(answer["Deleted"]) == len(keys)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_copies_keep_or_replace_what_was_said(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="from/ü &?.txt", Body=b"x", ContentType="a/b", Metadata={"k": "1"})
    source = {"Bucket": bucket, "Key": "from/ü &?.txt"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    assert s3.head_object(Bucket=bucket, Key="kept")["Metadata"] == {"k": "1"}
    replaced = {"MetadataDirective": "REPLACE", "Metadata": {"k": "2"}, "ContentType": "c/d"}
    s3.copy_object(Bucket=bucket, Key="from/ü &?.txt", CopySource=source, **replaced)
    found = s3.head_object(**source)
    assert (found["Metadata"], found["ContentType"]) == ({"k": "2"}, "c/d")
    assert code_of(lambda: s3.copy_object(**source, CopySource=source))[0] == "InvalidRequest"
    assert code_of(lambda: s3.copy_object(Bucket=bucket, Key="y", CopySource=f"{bucket}/absent"))[0] == "NoSuchKey"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_are_held_against_the_bytes_and_given_back(algorithm: str, s3: Any, bucket: str) -> None:
    from craton.buckets.digests import Digests

    digests, member = Digests([algorithm.lower()]), f"Checksum{algorithm}"
    digests.update(b"hello")
    right, wrong = digests.checksums[algorithm.lower()], Digests([algorithm.lower()]).checksums[algorithm.lower()]
    assert s3.put_object(Bucket=bucket, Key="a", Body=b"hello", **{member: right})[member] == right
    assert code_of(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"other", **{member: wrong}))[0] == "BadDigest"
    assert s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")[member] == right
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"hello"


def test_a_checksum_mode_that_is_not_enabled_asks_for_no_checksum(server: RunningServer, bucket: str) -> None:
    """The C++ SDK (and with it Arrow) says so in a word that the model does not have."""
    client = connect(server)
    client.put_object(Bucket=bucket, Key="a", Body=b"hello", ChecksumAlgorithm="SHA256")

    def say(request: Any, **_rest: Any) -> None:
        del request.headers["x-amz-checksum-mode"]
        request.headers["x-amz-checksum-mode"] = "DISABLED"

    client.meta.events.register("before-sign.s3", say)
    for found in (client.get_object(Bucket=bucket, Key="a"), client.head_object(Bucket=bucket, Key="a")):
        assert "ChecksumSHA256" not in found
        assert found["ContentLength"] == 5


def test_a_wrong_md5_changes_nothing(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"old")
    md5 = "XrY7u+Ae7tCTyyK7j1rNww=="
    assert code_of(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"new", ContentMD5=md5))[0] == "BadDigest"
    assert code_of(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"new", ContentMD5="eA=="))[0] == "InvalidDigest"
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"old"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls(version: str, server: RunningServer, bucket: str) -> None:
    client = connect(server, signature_version=version)

    def url(what: str, seconds: int = 60, key: str = "a b/ü") -> str:
        return str(client.generate_presigned_url(what, Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds))

    with httpx.Client(trust_env=False, timeout=60) as web:
        assert web.put(url("put_object"), content=b"hello").status_code == 200
        assert web.get(url("get_object")).content == b"hello"
        assert web.get(url("get_object"), headers={"range": "bytes=1-2"}).content == b"el"
        for wrong in (
            web.put(url("get_object"), content=b"x"),
            web.get(url("get_object").replace("a%20b", "other")),
            web.get(url("get_object") + "&acl"),
            web.get(url("get_object").replace("Signature=", "Signature=x")),
        ):
            assert wrong.status_code == 403
            assert b"<Error>" in wrong.content
            assert_tells_nothing(wrong.text, server)
        assert web.get(url("get_object", -5)).status_code == 403
        assert web.get(url("get_object", key="absent")).status_code == 404


def test_a_bucket_in_the_host(server: RunningServer, bucket: str, s3: Any) -> None:
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"x")
    port = server.url.rpartition(":")[2]
    host = f"{bucket}.localhost:{port}"
    local = boto3.client(
        "s3", endpoint_url=f"http://localhost:{port}", aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key, region_name="us-east-1",
        config=Config(s3={"addressing_style": "virtual"}, signature_version="s3v4"),
    )  # fmt: skip
    url = local.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/b"}, ExpiresIn=60)
    assert f"//{host}/a/b?" in url
    found = httpx.get(url.replace(host, f"127.0.0.1:{port}"), headers={"host": host}, trust_env=False)
    assert (found.status_code, found.content) == (200, b"x")


def test_what_was_never_set_is_said_so_and_the_rest_is_refused_by_name(s3: Any, bucket: str) -> None:
    assert code_of(lambda: s3.get_bucket_tagging(Bucket=bucket))[0] == "NoSuchTagSet"
    assert code_of(lambda: s3.get_bucket_policy(Bucket=bucket))[0] == "NoSuchBucketPolicy"
    encryption = code_of(lambda: s3.get_bucket_encryption(Bucket=bucket))[0]
    assert encryption == "ServerSideEncryptionConfigurationNotFoundError"
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    enabled = {"Status": "Enabled"}
    assert code_of(lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled))[1] == 501
    here = {"Bucket": bucket, "Key": "a", "Body": b"x"}
    for asked in ({"ServerSideEncryption": "AES256"}, {"Tagging": "a=b"}, {"ACL": "public-read"},
                  {"StorageClass": "GLACIER"}):  # fmt: skip
        assert code_of(lambda asked=asked: s3.put_object(**here, **asked)) == ("NotImplemented", 501)
    s3.put_object(**here, ACL="private", StorageClass="STANDARD")


@pytest.mark.parametrize(
    "key", ["../../x", "/abs", "a\\b", "a%2F..%2Fb", "a//b", "end/", "..", ".", "a/../b", ".craton-tmp/x", "\x01\x7f",
            "ü☃", "k" * 255, "+ &=?#", " ", "a\rb\nc"]
)  # fmt: skip
def test_hostile_keys_are_only_keys(key: str, s3: Any, bucket: str, server: RunningServer) -> None:
    def elsewhere() -> set[Path]:
        return {path for path in server.home.parent.rglob("*") if bucket not in path.parts}

    before = elsewhere()
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert elsewhere() == before
    s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)


def test_keys_that_cannot_be_held_are_refused_in_words(s3: Any, bucket: str) -> None:
    for key in ("k" * 1025, "k" * 256):
        assert code_of(lambda key=key: s3.put_object(Bucket=bucket, Key=key, Body=b"x")) == ("KeyTooLongError", 400)
    assert code_of(lambda: s3.put_object(Bucket=bucket, Key="a\0b", Body=b"x"))[0] == "InvalidArgument"
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert code_of(lambda: s3.put_object(Bucket=bucket, Key="a/b", Body=b"x"))[1] == 409


def test_tenants_and_roles(server: RunningServer, foreign: dict[str, str], s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"mine")
    stranger, reader = connect(server, token=foreign["stranger"]), connect(server, token=foreign["reader"])
    assert bucket not in {item["Name"] for item in stranger.list_buckets()["Buckets"]}
    for call in (
        lambda client, name: client.get_object(Bucket=name, Key="a"),
        lambda client, name: client.put_object(Bucket=name, Key="a", Body=b"theirs"),
        lambda client, name: client.list_objects_v2(Bucket=name),
        lambda client, name: client.delete_object(Bucket=name, Key="a"),
        lambda client, name: client.create_multipart_upload(Bucket=name, Key="a"),
        lambda client, name: client.delete_bucket(Bucket=name),
    ):
        assert code_of(lambda call=call: call(stranger, bucket)) == ("NoSuchBucket", 404)
        assert code_of(lambda call=call: call(stranger, "no-such-one")) == ("NoSuchBucket", 404)
    stranger.create_bucket(Bucket=bucket)
    copied = {"Bucket": bucket, "Key": "b", "CopySource": f"{bucket}/a"}
    assert code_of(lambda: stranger.copy_object(**copied))[0] == "NoSuchKey"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    theirs = {"Bucket": bucket, "Key": "a", "UploadId": upload}
    assert code_of(lambda: stranger.upload_part(**theirs, PartNumber=1, Body=b"x"))[0] == "NoSuchUpload"
    assert code_of(lambda: stranger.abort_multipart_upload(**theirs))[0] == "NoSuchUpload"
    assert reader.get_object(Bucket=bucket, Key="a")["Body"].read() == b"mine"
    assert code_of(lambda: reader.put_object(Bucket=bucket, Key="a", Body=b"x")) == ("AccessDenied", 403)
    assert code_of(lambda: reader.delete_object(Bucket=bucket, Key="a")) == ("AccessDenied", 403)


def test_wrong_secrets_and_unknown_keys(server: RunningServer, bucket: str) -> None:
    wrong = connect(server, token=f"craton-{server.access_key_id}-nonsense")
    assert code_of(wrong.list_buckets) == ("SignatureDoesNotMatch", 403)
    assert code_of(lambda: wrong.put_object(Bucket=bucket, Key="a", Body=b"x")) == ("SignatureDoesNotMatch", 403)
    unknown = connect(server, token=f"craton-CRTN{'A' * 16}-nonsense")
    assert code_of(unknown.list_buckets) == ("InvalidAccessKeyId", 403)


def test_many_writers_at_once(s3: Any, bucket: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: s3.put_object(Bucket=bucket, Key=f"k{n % 20}", Body=bytes([n])), range(100)))
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 20


def test_a_large_object_does_not_stay_in_memory(s3: Any, bucket: str, server: RunningServer, tmp_path: Path) -> None:
    size = 200 * MEGABYTE
    with (tmp_path / "big").open("wb") as file:
        file.truncate(size)
    s3.put_object(Bucket=bucket, Key="warm", Body=b"x")
    before = resident_bytes(server.pid)
    with (tmp_path / "big").open("rb") as file:
        s3.put_object(Bucket=bucket, Key="big", Body=file)
    assert resident_bytes(server.pid) - before < 60 * MEGABYTE
    body = s3.get_object(Bucket=bucket, Key="big")["Body"]
    assert sum(len(chunk) for chunk in body.iter_chunks(MEGABYTE)) == size
    assert resident_bytes(server.pid) - before < 60 * MEGABYTE


def test_a_client_that_leaves_in_mid_body_leaves_nothing(server: RunningServer, s3: Any, bucket: str) -> None:
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "half"}, ExpiresIn=60)

    def breaking() -> Iterator[bytes]:
        yield bytes(3 * MEGABYTE)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        httpx.put(url, content=breaking(), trust_env=False, timeout=60)
    assert code_of(lambda: s3.get_object(Bucket=bucket, Key="half"))[0] == "NoSuchKey"
    s3.put_object(Bucket=bucket, Key="whole", Body=b"x")
    folder = server.home / "buckets" / "default" / bucket
    for _ in range(200):
        if [path.name for path in folder.rglob("*") if path.is_file()] == ["whole"]:
            return
        os.sched_yield()
        httpx.get(f"{server.url}/healthz", trust_env=False)
    pytest.fail("a temporary file stayed")


def test_a_remote_store_is_a_bucket_too(server: RunningServer, bucket: str, tmp_path: Path) -> None:
    """The other store is a Craton as well: what it answers is real S3."""
    with serving(tmp_path / "front") as front:
        front.craton("keys", "credential", "set", "back", stdin=f"{server.access_key_id}:{server.secret_access_key}")
        place = ["--endpoint", server.url, "--remote", bucket, "--credential", "back"]
        front.craton("buckets", "create", "far", *place)
        near, far = connect(front), connect(server)
        near.put_object(Bucket="far", Key="a/b", Body=b"hello", ContentType="x/y", Metadata={"k": "v"})
        found = far.get_object(Bucket=bucket, Key="a/b")
        assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (b"hello", "x/y", {"k": "v"})
        far.put_object(Bucket=bucket, Key="a/c", Body=b"0123456789")
        assert near.get_object(Bucket="far", Key="a/c", Range="bytes=2-4")["Body"].read() == b"234"
        assert [item["Key"] for item in near.list_objects_v2(Bucket="far")["Contents"]] == ["a/b", "a/c"]
        assert [item["Prefix"] for item in near.list_objects_v2(Bucket="far", Delimiter="/")["CommonPrefixes"]] == [
            "a/"
        ]
        (tmp_path / "up").write_bytes(os.urandom(17 * MEGABYTE))
        near.upload_file(str(tmp_path / "up"), "far", "big")
        assert far.get_object(Bucket=bucket, Key="big")["Body"].read() == (tmp_path / "up").read_bytes()
        assert code_of(lambda: near.get_object(Bucket="far", Key="absent")) == ("NoSuchKey", 404)
        assert code_of(lambda: near.delete_bucket(Bucket="far"))[0] == "AccessDenied"
        near.delete_objects(Bucket="far", Delete={"Objects": [{"Key": key} for key in ("a/b", "a/c", "big")]})
        assert far.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


USE = """
import boto3
s3 = boto3.client("s3")
s3.create_bucket(Bucket="executed")
s3.put_object(Bucket="executed", Key="a", Body=b"x")
print(s3.list_objects_v2(Bucket="executed")["KeyCount"], boto3.client("sts").get_caller_identity()["Account"])
s3.delete_object(Bucket="executed", Key="a"); s3.delete_bucket(Bucket="executed")
"""


def test_s3_and_sts_work_under_craton_exec(server: RunningServer) -> None:
    done = server.craton("exec", "--", sys.executable, "-c", USE)
    count, account = done.stdout.split()
    assert (count, len(account)) == ("1", 12)


def test_a_registered_folder_that_is_gone_is_unavailable(server: RunningServer, s3: Any, tmp_path: Path) -> None:
    folder, name = tmp_path / "mine", f"gone-{uuid4().hex}"
    folder.mkdir()
    server.craton("buckets", "create", name, "--folder", str(folder))
    folder.rmdir()
    for call in (
        lambda: s3.put_object(Bucket=name, Key="a", Body=b"x"),
        lambda: s3.list_objects_v2(Bucket=name),
        lambda: s3.get_object(Bucket=name, Key="a"),
    ):
        assert code_of(call) == ("ServiceUnavailable", 503)
    assert not folder.exists()
    server.craton("buckets", "delete", name)
