"""Libraries that read and write S3: s3fs, fsspec, smart_open, MinIO's client, obstore, boto3's resources."""

from __future__ import annotations

import datetime
import io
import os
import urllib.request
import uuid

import boto3
import fsspec
import minio
import obstore
import s3fs
import smart_open
from checks import ACCESS_KEY_ID, SECRET_ACCESS_KEY, URL, equal, holds, raises, run
from filling import connect, new_bucket
from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteObject
from obstore.store import S3Store

BIG = os.urandom(11_000_000)  # more than two parts
PART = 5 * 2**20
bucket = new_bucket(connect("s3"))
store = S3Store(bucket, endpoint=URL, client_options={"allow_http": True}, region="us-east-1")
client = minio.Minio(
    endpoint=URL.partition("//")[2], access_key=ACCESS_KEY_ID, secret_key=SECRET_ACCESS_KEY, secure=False
)


def s3fs_reads_and_writes() -> None:
    files = s3fs.S3FileSystem(endpoint_url=URL)
    with files.open(f"{bucket}/fs/big", "wb", block_size=PART) as file:
        file.write(BIG)
    with files.open(f"{bucket}/fs/x y+ü.txt", "w") as file:
        file.write("hello")
    equal(files.cat(f"{bucket}/fs/big"), BIG)
    equal(files.cat_file(f"{bucket}/fs/big", start=10, end=20), BIG[10:20])
    equal(files.find(f"{bucket}/fs"), [f"{bucket}/fs/big", f"{bucket}/fs/x y+ü.txt"])
    files.mv(f"{bucket}/fs/x y+ü.txt", f"{bucket}/fs/deep/moved.txt")
    equal(files.glob(f"{bucket}/fs/**/*.txt"), [f"{bucket}/fs/deep/moved.txt"])
    files.setxattr(f"{bucket}/fs/deep/moved.txt", who="me")
    equal(files.getxattr(f"{bucket}/fs/deep/moved.txt", "who"), "me")
    files.rm(f"{bucket}/fs", recursive=True)
    holds(not files.exists(f"{bucket}/fs/big"), "it is still there")


def s3fs_makes_and_removes_buckets() -> None:
    files, name = s3fs.S3FileSystem(endpoint_url=URL), f"fs-{uuid.uuid4().hex[:12]}"
    files.mkdir(name)
    holds(name in files.ls(""), "the bucket is not listed")
    files.rmdir(name)


def fsspec_opens_an_address() -> None:
    with fsspec.open(f"s3://{bucket}/spec.txt", "wt") as file:
        file.write("one")
    with fsspec.open(f"s3://{bucket}/spec.txt", "rt") as file:
        equal(file.read(), "one")


def smart_open_streams() -> None:
    with smart_open.open(f"s3://{bucket}/smart.gz", "wb") as file:
        file.write(BIG)
    with smart_open.open(f"s3://{bucket}/smart.gz", "rb") as file:
        equal(file.read(), BIG)


def minio_reads_and_writes() -> None:
    client.put_object(bucket_name=bucket, object_name="m/one", data=io.BytesIO(b"one"), length=3)
    answer = client.get_object(bucket_name=bucket, object_name="m/one")
    equal(answer.read(), b"one")
    answer.close()
    client.put_object(bucket_name=bucket, object_name="m/big", data=io.BytesIO(BIG), length=-1, part_size=PART)
    equal(client.stat_object(bucket_name=bucket, object_name="m/big").size, len(BIG))
    source = CopySource(bucket_name=bucket, object_name="m/one")
    client.copy_object(bucket_name=bucket, object_name="m/two", source=source)
    listed = client.list_objects(bucket_name=bucket, prefix="m/", recursive=True)
    equal([one.object_name for one in listed], ["m/big", "m/one", "m/two"])
    unwanted = [DeleteObject(name) for name in ("m/big", "m/one", "m/two")]
    equal(list(client.remove_objects(bucket_name=bucket, delete_object_list=unwanted)), [])


def minio_presigns() -> None:
    put = client.presigned_put_object(bucket_name=bucket, object_name="signed")
    urllib.request.urlopen(urllib.request.Request(put, data=b"by address", method="PUT"))
    get = client.presigned_get_object(bucket_name=bucket, object_name="signed")
    equal(urllib.request.urlopen(get).read(), b"by address")


def minio_makes_and_removes_buckets() -> None:
    name = f"m-{uuid.uuid4().hex[:12]}"
    client.make_bucket(bucket_name=name)
    holds(client.bucket_exists(bucket_name=name), "it is not there")
    client.remove_bucket(bucket_name=name)
    holds(not client.bucket_exists(bucket_name=name), "it is still there")


def obstore_reads_and_writes() -> None:
    store.put("o/one", b"one")
    store.put("o/big", BIG, use_multipart=True, chunk_size=PART)
    equal(bytes(store.get("o/big").bytes()), BIG)
    equal(bytes(store.get_range("o/big", start=3, length=9)), BIG[3:12])
    store.copy("o/one", "o/two")
    store.rename("o/two", "o/three")
    equal([one["path"] for page in store.list("o/") for one in page], ["o/big", "o/one", "o/three"])
    with raises(obstore.exceptions.AlreadyExistsError):
        store.put("o/one", b"other", mode="create")
    store.delete(["o/big", "o/one", "o/three"])


def obstore_presigns() -> None:
    store.put("signed", b"one")
    address = obstore.sign(store, "GET", "signed", datetime.timedelta(minutes=5))
    equal(urllib.request.urlopen(address).read(), b"one")


def boto3_resources() -> None:
    whole = boto3.resource("s3").Bucket(bucket)
    whole.put_object(Key="r/one", Body=b"one")
    equal([one.key for one in whole.objects.filter(Prefix="r/")], ["r/one"])
    whole.objects.all().delete()
    equal(list(whole.objects.all()), [])
    whole.delete()


run(
    [
        s3fs_reads_and_writes,
        s3fs_makes_and_removes_buckets,
        fsspec_opens_an_address,
        smart_open_streams,
        minio_reads_and_writes,
        minio_presigns,
        minio_makes_and_removes_buckets,
        obstore_reads_and_writes,
        obstore_presigns,
        boto3_resources,
    ]
)
